"""Files that hold weights, and the names under which a model knows them.

Known are the checkpoints of a training (Lightning's form, where the model stands under `model.`), averages and other
state dicts, files that keep a state dict beside other things, and safetensors.
"""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from espnet3.utils.errors import ConfigError, did_you_mean

# Where files keep a state dict beside other things: Lightning, and two habits of training scripts.
_INSIDE = ("state_dict", "model_state_dict", "model")
_OWN_PREFIX = "model."


def read_weights(checkpoint: str | Path) -> dict[str, torch.Tensor]:
    """Read the weights of a model: `read_state` without extra states that are no tensors."""
    return {name: value for name, value in read_state(checkpoint).items() if isinstance(value, torch.Tensor)}


def read_state(checkpoint: str | Path) -> dict[str, Any]:
    """Read the state dict of a model; nothing in the file is run.

    Returns:
        The tensors by their names in the model, on the CPU, and the extra states of modules that have one, which are
        plain values. The tensors of a file that torch has written are mapped, not read.

    Raises:
        ConfigError: The file is not there, cannot be read, or holds no weights or more than weights.
    """
    path = Path(checkpoint)
    if not path.is_file():
        raise ConfigError(f"`checkpoint` {path} is not there{_near(path)}; train it first, or correct the path")
    if path.suffix == ".safetensors":
        return dict(_read_safetensors(path))
    loaded = _read_torch(path)
    inside = next(
        (key for key in _INSIDE if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping)), None
    )
    state = loaded if inside is None else loaded[inside]
    if not isinstance(state, Mapping):
        raise ConfigError(f"`checkpoint` {path} holds a {type(state).__name__} and no weights by their names")
    weights = {
        str(name): value
        for name, value in state.items()
        if isinstance(value, torch.Tensor) or is_extra_state(str(name))
    }
    if not weights:
        keys = ", ".join(map(str, list(state)[:4])) or "nothing"
        raise ConfigError(f"`checkpoint` {path} holds no weights by their names; it has {keys}")
    if inside == _INSIDE[0] and all(name.startswith(_OWN_PREFIX) for name in weights):
        # What trains the model holds it under this name.
        return {name.removeprefix(_OWN_PREFIX): value for name, value in weights.items()}
    return weights


def is_extra_state(name: str) -> bool:
    """Whether a name of a state dict is that of a module's extra state, which need not be a tensor."""
    return name.rpartition(".")[2] == "_extra_state"


def _read_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise ConfigError(_refusal(path, error)) from error
    except Exception as error:
        # What is no pickle at all ends the reader in many ways.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"`checkpoint` {path} cannot be read: {reason}") from error


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise ConfigError(
            f"`checkpoint` {path} is read with the package safetensors, which is not installed: pip install safetensors"
        ) from error
    try:
        weights: dict[str, torch.Tensor] = load_file(path)
    except SafetensorError as error:
        raise ConfigError(f"`checkpoint` {path} cannot be read: {error}") from error
    return weights


def _refusal(path: Path, error: Exception) -> str:
    names: list[str] = []
    if zipfile.is_zipfile(path):
        names = list(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    if names:
        return (
            f"`checkpoint` {path} holds more than weights ({', '.join(names[:4])}), and reading that could run code. "
            "Save the state dict alone: torch.save(model.state_dict(), path)"
        )
    return f"`checkpoint` {path} is no file of weights, or reading it could run code: {str(error).splitlines()[0]}"


def _near(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f" (nor is its folder {folder})"
    return did_you_mean(path.name, [each.name for each in folder.iterdir() if each.is_file()])
