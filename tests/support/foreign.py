"""Bundles as somebody else might have made them: whatever config, whatever files, with hashes that are right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from espnet3.publication.sealed_folder import META, seal

IDENTITY = {"_target_": "torch.nn.Identity"}
# A model of the bundle's own, which gives back what it is called with.
MODEL = "import torch\n\n\nclass Model(torch.nn.Module):\n    def forward(self, input):\n        return input\n"


def foreign(folder: Path, config: Mapping[str, Any] | str, files: Mapping[str, str | bytes] | None = None) -> Path:
    """Write a bundle.

    Args:
        folder: Where to.
        config: The inference config, or its text; a config without `model` and `input_key` gets both.
        files: Further files by name.
    """
    usual = {"model": IDENTITY, "input_key": "input"}
    text = config if isinstance(config, str) else yaml.safe_dump({**usual, **config})
    for name, content in {"conf/inference.yaml": text, **(files or {})}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    seal(folder, {"format": 1, "name": "foreign"})
    return folder


def with_meta(folder: Path, **keys: Any) -> Path:
    """The bundle with other entries in its `meta.yaml`."""
    meta = yaml.safe_load((folder / META).read_text(encoding="utf-8"))
    (folder / META).write_text(yaml.safe_dump({**meta, **keys}), encoding="utf-8")
    return folder
