"""`python -m espnet3.shapes REQUEST`: whether shapes fit, for each training config of a request, as one JSON document.

A request is a JSON file: `recipe_dir`; `paths`, folders with modules that come before the recipe's own; `targets`, all
that the configs may name; `scratch`, the only folder that may be written to; and `configs`, each with `name`, `path`
and `samples` (for each entry of `dataset.train` a list of `{name, dtype, dims, optional}`, or null).
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any


def main(request_path: str) -> int:
    """Print the reports on the configs of a request; 0, whatever they say."""
    request: dict[str, Any] = json.loads(Path(request_path).read_text(encoding="utf-8"))
    # What the recipe prints must not get into the document.
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        reports = _reports(request)
    print(json.dumps({"reports": reports}))
    return 0


def _reports(request: dict[str, Any]) -> list[dict[str, Any]]:
    import logging
    import warnings
    from importlib import import_module

    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    from espnet3.shapes.guard import guard, limit_memory
    from espnet3.utils.importing import large_imports

    with large_imports():
        # torch imports it for most models; behind the guard that may not be possible.
        import_module("torch._dynamo")
        from espnet3.shapes.report import report_on
        from espnet3.shapes.trial import ITEM_TARGET
        from espnet3.utils.targets import allow_targets

    recipe_dir = request["recipe_dir"]
    sys.dont_write_bytecode = True
    os.chdir(recipe_dir)
    # As run.py has it.
    sys.path[:0] = list(dict.fromkeys([*request["paths"], recipe_dir]))
    limit_memory()
    guard(request["scratch"])
    allow_targets([*request["targets"], ITEM_TARGET], {})
    return [report_on(each["name"], each["path"], each["samples"], recipe_dir).data() for each in request["configs"]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
