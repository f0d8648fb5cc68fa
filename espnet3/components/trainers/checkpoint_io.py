"""Checkpoints that appear whole, and that are read without running anything.

Lightning's own writer makes a file in the temporary folder of the machine and moves it: between two file
systems that is a copy, which a killed process leaves half done under the final name, and nothing is brought
to the disk. Here a checkpoint is written beside its place, synced and renamed.
"""

import logging
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from lightning.fabric.plugins import CheckpointIO

from esp3rt.files import replacing
from espnet3.utils.errors import ConfigError

_LOG = logging.getLogger(__name__)


class AtomicCheckpointIO(CheckpointIO):
    """Writes and reads checkpoints as single files.

    Args:
        before_rename: Called once a checkpoint is on the disk, before it takes the place of the old one, which stays if it
            raises.
    """

    _looked = False

    def __init__(self, before_rename: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._before_rename = before_rename

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write a checkpoint; at any moment the path holds the old one or the new one."""
        with replacing(path, "wb") as handle:
            torch.save(to_safe_types(checkpoint), handle)
            handle.flush()
            os.fsync(handle.fileno())
            self._before_rename()
        if not self._looked:
            self._looked = True
            self._look_for_unsafe(Path(path))

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint with `weights_only`, so that nothing in it is run.

        Raises:
            ConfigError: It is not there, is no checkpoint, or holds objects that may not be loaded.
        """
        if not Path(path).is_file():
            raise ConfigError(f"there is no checkpoint {path}")
        try:
            loaded: dict[str, Any] = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise ConfigError(
                f"the checkpoint {path} holds {_unsafe_names(Path(path)) or 'objects'} that may "
                "not be loaded "
                "unasked. If you trust the file, allow them where the recipe's model is defined: "
                "torch.serialization.add_safe_globals([TheClass])"
            ) from error
        except (RuntimeError, EOFError) as error:
            raise ConfigError(f"{path} is no checkpoint that can be read: {error}") from error
        return loaded

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint if it is there."""
        Path(path).unlink(missing_ok=True)

    def _look_for_unsafe(self, path: Path) -> None:
        names = _unsafe_names(path)
        if names:
            _LOG.warning(
                "%s holds objects that cannot be loaded unasked (%s): taking up this training will need "
                "torch.serialization.add_safe_globals for them",
                path,
                names,
            )


def to_safe_types(value: Any) -> Any:
    """Give the same with plain types in place of those that a safe loader refuses.

    numpy's numbers and arrays become Python's numbers and tensors, paths become text, configs become dicts,
    subclasses of dict and list become dict and list.
    """
    if isinstance(value, torch.Tensor | str | bytes | int | float | bool | None) and not isinstance(value, np.generic):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return torch.from_numpy(np.ascontiguousarray(value))
    if isinstance(value, PurePath):
        return str(value)
    if type(value).__module__.startswith("omegaconf."):
        from omegaconf import OmegaConf

        if OmegaConf.is_config(value):
            return OmegaConf.to_container(value, resolve=True)
    if isinstance(value, OrderedDict):
        copied = OrderedDict((to_safe_types(key), to_safe_types(entry)) for key, entry in value.items())
        # torch keeps the versions of a state dict's modules in an attribute.
        if hasattr(value, "_metadata"):
            copied._metadata = value._metadata  # type: ignore[attr-defined]
        return copied
    if isinstance(value, Mapping):
        return {to_safe_types(key): to_safe_types(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [to_safe_types(entry) for entry in value]
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(to_safe_types(entry) for entry in value)
    return value


def _unsafe_names(path: Path) -> str:
    look = getattr(torch.serialization, "get_unsafe_globals_in_checkpoint", None)
    if look is None:
        return ""
    try:
        return ", ".join(look(str(path)))
    except (RuntimeError, ValueError, pickle.UnpicklingError):
        return ""
