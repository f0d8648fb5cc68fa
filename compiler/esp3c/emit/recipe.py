"""The files of a recipe, as text. Nothing here touches the disk, and nothing depends on the machine or the time."""

from __future__ import annotations

from esp3c.emit.files import EmittedFile, Layout
from esp3c.emit.lower import MODULES, lower
from esp3c.emit.manifest import manifest
from esp3c.emit.modules import dataset_module, run_module, system_module, written_by
from esp3c.emit.targets import targets
from esp3c.emit.yaml import dump, trace
from esp3c.ir import Recipe


def emit(recipe: Recipe, layout: Layout) -> tuple[EmittedFile, ...]:
    """Everything that `esp3c build` writes, the manifest last. The recipe has no errors."""
    trees = {config.name: lower(recipe, config) for config in recipe.configs.values()}
    files = [run_module(recipe, layout, targets(recipe, trees.values())), system_module(recipe, layout)]
    for name, tree in trees.items():
        text = dump(tree, written_by(layout))
        files.append(EmittedFile(f"conf/{name}.yaml", text, *trace(tree, text)))
    modules = [each for each in (dataset_module(d, layout) for d in recipe.datasets.values()) if each is not None]
    if modules:
        files.append(
            EmittedFile(f"{MODULES}/__init__.py", f'"""The datasets of this recipe. {written_by(layout)}"""\n')
        )
        files.extend(modules)
    files.sort(key=lambda each: each.path)
    return (*files, manifest(files, layout, recipe.span.source))
