"""Which code a config would run, and which of it is known to do no more than a model does.

A target of a config is any Python that can be imported, and calling it may do anything. Without trust only these are
used: modules of `torch.nn`, and a few functions and classes of this framework.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet3.utils.targets import targets_in

_KNOWN = frozenset(
    {
        "espnet3.components.modeling.pretrained.load_pretrained",
        "espnet3.systems.base.inference_provider.InferenceProvider",
        "espnet3.systems.base.inference_runner.InferenceRunner",
    }
)
_TORCH_MODULE = re.compile(r"torch\.nn\.[A-Z]\w*")
# What loading a bundle makes of an inference config; its test sets are not looked at.
SECTIONS = ("model", "output_fn", "provider", "runner", "dataset.preprocessor")
# A backslash before it makes it plain text, two of them are one backslash.
_REFERENCE = re.compile(r"(?<!\\)(?:\\\\)*\$\{(?!recipe_dir\})")


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


def file_of(path: str, folder: Path) -> str | None:
    """The file of a bundle in which a dotted path leads; None where it leads elsewhere."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        module = "/".join(parts[:length])
        for name in (f"{module}.py", f"{module}/__init__.py"):
            if (folder / name).is_file():
                return name
    return None


def references(config: Any, key: str = "") -> Iterator[str]:
    """The keys of a bundle's config whose values refer to anything but the bundle's folder."""
    if isinstance(config, Mapping):
        for name, value in config.items():
            yield from references(value, f"{key}.{name}" if key else str(name))
    elif isinstance(config, list):
        for index, value in enumerate(config):
            yield from references(value, f"{key}[{index}]")
    elif isinstance(config, str) and _REFERENCE.search(config):
        yield key


def _targets(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for section in SECTIONS:
        node: Any = config
        for part in section.split("."):
            node = node.get(part) if isinstance(node, Mapping) else None
        if isinstance(node, str) and section != "model":
            yield section, node
        elif node is not None:
            yield from ((key, str(path)) for key, path in targets_in(node, section))


def _is_known(path: str) -> bool:
    if path in _KNOWN:
        return True
    if not _TORCH_MODULE.fullmatch(path):
        return False
    import torch

    found = getattr(torch.nn, path.rpartition(".")[2], None)
    return isinstance(found, type) and issubclass(found, torch.nn.Module)
