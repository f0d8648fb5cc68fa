"""Which code a config would run, and which of it is known to do no more than a model does.

A target of a config is any Python that can be imported, and calling it may do anything. Without trust only these are
used: modules of `torch.nn`, and a few functions and classes of this framework.

What is looked at here is the config as it is used: `espnet3.publication.foreign.settled` has made it, and nothing
interpolates it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet3.publication.containers import at, below
from espnet3.publication.foreign import BundleError, stays_inside
from espnet3.utils.targets import targets_in

_LOADER = "espnet3.components.modeling.pretrained.load_pretrained"
_KNOWN = frozenset(
    {
        _LOADER,
        "espnet3.systems.base.inference_provider.InferenceProvider",
        "espnet3.systems.base.inference_runner.InferenceRunner",
    }
)
_TORCH_MODULE = re.compile(r"torch\.nn\.[A-Z]\w*")
# What loading a bundle makes of an inference config; its test sets are not looked at.
SECTIONS = ("model", "output_fn", "provider", "runner", "dataset.preprocessor")
# Their class is taken as it is named, and never called to find another.
_CLASSES = ("provider", "runner")


@dataclass(frozen=True)
class Named:
    """Code that a config names.

    Attributes:
        key: The key of the config.
        path: The dotted path.
        file: The bundle's file in which it stands; None for an installed package.
    """

    key: str
    path: str
    file: str | None

    @property
    def words(self) -> str:
        """One line that says what would run."""
        return f"{self.key}: {self.path} ({self.file or 'the installed package ' + self.path.split('.')[0]})"


def named_code(config: Mapping[str, Any], folder: Path) -> list[Named]:
    """All code that making the model of an inference config would run, but for what is known.

    Args:
        config: The inference config of a bundle, as a plain container.
        folder: The bundle.
    """
    found = []
    for key, path in _targets(config):
        file = file_of(path, folder)
        if file is not None or not _is_known(path):
            found.append(Named(key, path, file))
    return found


def misnamed(config: Mapping[str, Any]) -> Iterator[str]:
    """The keys of targets that are no text, and of lookups whose path is none."""
    for section in SECTIONS:
        node = at(config, section)
        yield from (key for key, path in targets_in(node, section) if not isinstance(path, str))
        yield from _misnamed(node, section)


def with_own_files(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The config of a bundle that is not trusted, with whole paths of the files that the known functions read.

    Raises:
        BundleError: A file is not one of the bundle's, or it is not said which argument names it.
    """
    made: dict[str, Any] = _with_own_files(dict(config), folder, "", {section.split(".")[0] for section in SECTIONS})
    return made


def file_of(path: str, folder: Path) -> str | None:
    """The file of a bundle in which a dotted path leads; None where it leads elsewhere."""
    parts = path.split(".")
    if not all(part.isidentifier() for part in parts):
        return None
    for length in range(len(parts), 0, -1):
        module = "/".join(parts[:length])
        for name in (f"{module}.py", f"{module}/__init__.py"):
            if (folder / name).is_file():
                return name
    return None


def _misnamed(node: Any, key: str) -> Iterator[str]:
    if isinstance(node, Mapping):
        if not isinstance(node.get("_target_", ""), str):
            yield below(key, "_target_")
        for name, value in node.items():
            yield from _misnamed(value, below(key, name))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _misnamed(value, f"{key}[{index}]")


def _with_own_files(node: Any, folder: Path, key: str, only: set[str] | None = None) -> Any:
    if isinstance(node, list):
        return [_with_own_files(value, folder, f"{key}[{index}]") for index, value in enumerate(node)]
    if not isinstance(node, Mapping):
        return node
    made = {
        name: _with_own_files(value, folder, below(key, name)) if only is None or name in only else value
        for name, value in node.items()
    }
    if node.get("_target_") == _LOADER:
        named = node.get("checkpoint")
        if not isinstance(named, str) or "_args_" in node:
            raise BundleError(f"{folder}: {key} must say `checkpoint`, a file of the bundle, by name")
        place = folder / named
        if ".." in place.parts or not stays_inside(folder, place) or not place.is_file():
            raise BundleError(f"{folder}: {below(key, 'checkpoint')} is no file of the bundle: {named}")
        made["checkpoint"] = str(place)
    return made


def _targets(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for section in SECTIONS:
        node = at(config, section)
        if isinstance(node, str) and section != "model":
            yield section, node
        elif node is not None:
            named = {key: str(path) for key, path in targets_in(node, section)}
            if section in _CLASSES and isinstance(node, Mapping) and "_target_" in node:
                named = {f"{section}._target_": str(node["_target_"]), **named}
            yield from named.items()


def _is_known(path: str) -> bool:
    if path in _KNOWN:
        return True
    if not _TORCH_MODULE.fullmatch(path):
        return False
    import torch

    found = getattr(torch.nn, path.rpartition(".")[2], None)
    return isinstance(found, type) and issubclass(found, torch.nn.Module)
