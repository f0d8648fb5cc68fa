"""Folders of datasets as modules, each under a name that says where the folder is.

The folder `/data/digits/dataset` is the module `espnet3.components.data.dataset_folders.digits_2f64…`, whose last part is
its path in hexadecimal. So a `dataset` folder stands beside another one without a clash, and since the name is all that
the import needs, an object of such a folder can be unpickled in a process that has never seen the recipe: a spawned
worker of a DataLoader, or one on another machine with the same file system.

Modules of a folder reach each other by relative imports; an absolute `dataset.…` means the recipe that runs.
"""

import os
import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType


def module_name(folder: Path) -> str:
    """The name under which a folder is imported, the same in every process.

    Args:
        folder: A folder with an `__init__.py`.
    """
    whole = folder.resolve()
    recipe = re.sub(r"\W", "_", whole.parent.name, flags=re.ASCII)
    return f"{__name__}.{recipe}_{os.fsencode(whole).hex()}"


class _FolderFinder(MetaPathFinder):
    """Finds the folder that a name of this package stands for."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        package, _, last = fullname.rpartition(".")
        if package != __name__:
            return None
        try:
            folder = Path(os.fsdecode(bytes.fromhex(last.rpartition("_")[2])))
        except ValueError:
            return None
        init = folder / "__init__.py"
        if not init.is_file():
            raise ModuleNotFoundError(f"the dataset folder {folder} is not there on this machine", name=fullname)
        return spec_from_file_location(fullname, init, submodule_search_locations=[str(folder)])


if not any(type(finder).__name__ == _FolderFinder.__name__ for finder in sys.meta_path):
    sys.meta_path.append(_FolderFinder())
