"""Recipes as a package: `egs3.<recipe>.<task>`.

A folder `egs3/` of one's own, anywhere on `sys.path`, belongs to it too, so that `egs3.my_recipe.asr.dataset` is found
beside the template.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
