"""From a dataset reference in a config to a `Dataset` object.

A reference names a module and arguments. `data_src` is a tag `recipe/task`, a dotted module, or absent: then it is the
recipe's own `<recipe_dir>/dataset/__init__.py`. The module has a class `Dataset`, which gets `data_src_args`.

A tag is the module `egs3.<recipe>.<task>.dataset` where that can be imported, or else the `dataset` folder of a
neighbouring recipe: one and two folders above this one, `<recipe>/<task>/dataset` or `<recipe>/dataset` is looked for.

torch is not imported here, so that a stage that only builds data starts at once.
"""

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from espnet3.components.data import dataset_folders
from espnet3.utils.errors import ConfigError, did_you_mean, listed
from espnet3.utils.importing import large_imports
from espnet3.utils.targets import check_name

if TYPE_CHECKING:
    from omegaconf import DictConfig

_OWN = "dataset"
_ENTRY_KEYS = ("name", "data_src", "data_src_args", "transform", "split")


class DatasetModuleError(ConfigError):
    """A dataset reference leads nowhere; the message says which module, what is missing and what is near."""


class DatasetReference(NamedTuple):
    """What an entry of a config says about its dataset: the module and the arguments of its `Dataset`."""

    data_src: str | None
    data_src_args: dict[str, Any]


def resolve_dataset_module_name(ref: str) -> str:
    """Give the dotted module that a `data_src` means; for a tag, the one that is looked for first.

    Args:
        ref: A tag `recipe/task`, or a dotted module.

    Raises:
        DatasetModuleError: `ref` is neither.
    """
    parts = ref.strip().split("/")
    if len(parts) == 1 and all(piece.isidentifier() for piece in parts[0].split(".")):
        return parts[0]
    if len(parts) == 2 and all(piece.isidentifier() for piece in parts):
        return f"egs3.{parts[0]}.{parts[1]}.dataset"
    raise DatasetModuleError(
        f"data_src {ref!r} is neither a tag such as 'mini_an4/asr' nor a dotted module such as 'dataset.modules.digits'"
    )


def load_dataset_module(data_src: str | None = None, recipe_dir: str | Path | None = None) -> ModuleType:
    """Import the module that a reference means.

    Args:
        data_src: A tag, a dotted module, or `None` for the recipe's own `dataset` folder, which `dataset` means as well.
        recipe_dir: The recipe's folder; it is put first on `sys.path` where it is not there yet. The working
            directory when `None`.

    Raises:
        DatasetModuleError: There is no such module, or it cannot be imported.
    """
    folder = Path(recipe_dir or ".").resolve()
    _put_on_path(folder)
    if not data_src:
        return _load_own_module(folder)
    check_name(data_src, "data_src")
    if data_src == _OWN and (folder / _OWN / "__init__.py").is_file():
        return _load_own_module(folder)
    name = resolve_dataset_module_name(data_src)
    if "/" in data_src and not _is_importable(name):
        return _load_neighbour(data_src, folder)
    return _import(name, data_src)


def neighbour_folders(tag: str, recipe_dir: str | Path) -> list[Path]:
    """The folders in which a tag `recipe/task` is looked for, in order; none of them need be there."""
    recipe, task = tag.strip().split("/")
    above = list(Path(recipe_dir).resolve().parents[:2])
    return [each for parent in above for each in (parent / recipe / task / "dataset", parent / recipe / "dataset")]


def parse_dataset_reference_config(config: "Mapping[str, Any] | DictConfig") -> DatasetReference:
    """Read `data_src` and `data_src_args` from an entry of `dataset.train`, `valid` or `test`.

    `split` beside them is short for `data_src_args.split`.

    Raises:
        DatasetModuleError: An unknown key, or arguments that are not a mapping.
    """
    entry = _to_plain(config)
    for key in entry:
        if key not in _ENTRY_KEYS:
            raise DatasetModuleError(
                f"a dataset entry has no key {key!r}{did_you_mean(str(key), _ENTRY_KEYS)}; "
                f"it takes {', '.join(_ENTRY_KEYS)}"
            )
    arguments = entry.get("data_src_args")
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise DatasetModuleError(
            f"data_src_args must hold keyword arguments of the Dataset, not {type(arguments).__name__}"
        )
    arguments = {str(key): value for key, value in arguments.items()}
    if entry.get("split") is not None:
        arguments.setdefault("split", entry["split"])
    source = entry.get("data_src")
    return DatasetReference(None if source in (None, "") else str(source), arguments)


def instantiate_dataset_reference(
    config: "Mapping[str, Any] | DictConfig", recipe_dir: str | Path | None = None
) -> Any:
    """Make the `Dataset` that an entry of a config refers to.

    Raises:
        DatasetModuleError: The module is not there, has no `Dataset`, or does not take these arguments.
    """
    reference = parse_dataset_reference_config(config)
    module = load_dataset_module(reference.data_src, recipe_dir)
    dataset_class = getattr(module, "Dataset", None)
    if dataset_class is None:
        public = [name for name in vars(module) if not name.startswith("_")]
        raise DatasetModuleError(
            f"module {module.__name__} ({module.__file__}) has no class named Dataset"
            f"{did_you_mean('Dataset', public)}; define it there, or import it: "
            "from .dataset import MyDataset as Dataset"
        )
    _check_arguments(dataset_class, reference.data_src_args, reference.data_src or module.__name__)
    return dataset_class(**reference.data_src_args)


def _load_own_module(folder: Path) -> ModuleType:
    init = folder / "dataset" / "__init__.py"
    if not init.is_file():
        raise DatasetModuleError(
            f"the entry has no data_src, so the recipe's own dataset module is meant, but {init} "
            "does not exist; "
            "write it (it exposes Dataset and DatasetBuilder), or name a data_src"
        )
    if "dataset" not in sys.modules:
        found = importlib.util.find_spec("dataset")
        first = None if found is None or found.origin is None else Path(found.origin).resolve()
        if first == init.resolve():
            return _import("dataset", str(init))
    elif _is_file(sys.modules["dataset"], init):
        return sys.modules["dataset"]
    # Another package called `dataset` comes first; this one lives beside it under a name of its own.
    return _import(dataset_folders.module_name(init.parent), str(init))


def _load_neighbour(tag: str, folder: Path) -> ModuleType:
    places = neighbour_folders(tag, folder)
    found = next((place for place in places if (place / "__init__.py").is_file()), None)
    if found is None:
        known = _neighbours(folder, tag)
        near = did_you_mean(tag.strip(), known)
        there = f"; the recipes beside this one that have a dataset: {listed(known)}" if known and not near else ""
        raise DatasetModuleError(
            f"the tag {tag!r} leads to no dataset: there is no module {resolve_dataset_module_name(tag)}, and none of "
            f"{listed(str(place / '__init__.py') for place in places)}{near}{there}"
        )
    if found == folder / "dataset":
        return _load_own_module(folder)
    return _import(dataset_folders.module_name(found), tag)


def _neighbours(folder: Path, tag: str) -> list[str]:
    """Tags of recipes beside one, for a hint. Of ESPnet3's layout, those with the task of the tag, or of its recipe."""
    recipe, task = tag.strip().split("/")
    found = {f"{init.parents[1].name}/{task}" for init in folder.parent.glob("*/dataset/__init__.py")}
    for parent in folder.parents[1:2]:
        inits = (*parent.glob(f"*/{task}/dataset/__init__.py"), *parent.glob(f"{recipe}/*/dataset/__init__.py"))
        found.update(f"{init.parents[2].name}/{init.parents[1].name}" for init in inits)
    return sorted(found)


def _is_importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError as error:
        # A package on the way that is there, and lacks something itself, is a mistake to be told.
        missing = error.name or ""
        return not (name == missing or name.startswith(missing + "."))


def _import(name: str, ref: str) -> ModuleType:
    try:
        with large_imports():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing and (name == missing or name.startswith(missing + ".")):
            raise DatasetModuleError(
                f"data_src {ref!r} means the module {name}, and there is no module {missing}{_siblings(missing)}"
            ) from error
        if missing.partition(".")[0] in ("dataset", "src") and name.startswith(dataset_folders.__name__):
            raise DatasetModuleError(
                f"the dataset of {ref!r} imports {missing}, which means this recipe's own folder: {error}; "
                "modules of a dataset folder reach each other by relative imports (from .builder import …)"
            ) from error
        raise DatasetModuleError(
            f"the dataset module {name} (data_src {ref!r}) needs the module {missing}, which is not installed"
        ) from error
    except ImportError as error:
        raise DatasetModuleError(f"the dataset module {name} (data_src {ref!r}) cannot be imported: {error}") from error


def _siblings(missing: str) -> str:
    parent, _, leaf = missing.rpartition(".")
    folders = list(getattr(sys.modules.get(parent), "__path__", [])) if parent else sys.path
    names = {
        path.stem
        for folder in folders
        if Path(folder or ".").is_dir()
        for path in Path(folder or ".").iterdir()
        if path.suffix == ".py" or (path.is_dir() and (path / "__init__.py").is_file())
    }
    near = did_you_mean(leaf, sorted(names - {"__init__"}))
    if near or not parent:
        return near
    known = sorted(names - {"__init__"})
    return f"; {parent} has {', '.join(known[:8])}" if known else f"; the package {parent} is empty"


def _check_arguments(dataset_class: Any, arguments: dict[str, Any], module: str) -> None:
    """Say in the config's words what Python would say in those of the class."""
    import inspect

    try:
        signature = inspect.signature(dataset_class)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(**arguments)
    except TypeError as error:
        known = list(signature.parameters)
        unknown = next((name for name in arguments if name not in known), None)
        hint = did_you_mean(unknown, known) if unknown else ""
        raise DatasetModuleError(
            f"{module}.Dataset does not take data_src_args {{{', '.join(arguments)}}}: {error}{hint}; "
            f"it is Dataset{signature}"
        ) from error


def _to_plain(config: Any) -> dict[Any, Any]:
    if not isinstance(config, dict):
        from omegaconf import DictConfig, OmegaConf

        if isinstance(config, DictConfig):
            config = OmegaConf.to_container(config, resolve=True)
    if not isinstance(config, Mapping):
        raise DatasetModuleError(
            "a dataset entry must be a mapping with data_src and data_src_args, "
            f"not {type(config).__name__}: {config!r}"
        )
    return dict(config)


def _put_on_path(folder: Path) -> None:
    if not any(Path(entry or ".").resolve() == folder for entry in sys.path):
        sys.path.insert(0, str(folder))


def _is_file(module: ModuleType, path: Path) -> bool:
    return module.__file__ is not None and Path(module.__file__).resolve() == path.resolve()
