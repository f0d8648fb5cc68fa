"""Weight initialisation by name."""

from collections.abc import Callable

import torch

from espnet3.components.modeling.pretrained import was_loaded
from espnet3.utils.errors import ConfigError, did_you_mean

_METHODS: dict[str, Callable[[torch.Tensor], object]] = {
    "xavier_uniform": torch.nn.init.xavier_uniform_,
    "xavier_normal": torch.nn.init.xavier_normal_,
    "kaiming_uniform": lambda weight: torch.nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
    "kaiming_normal": lambda weight: torch.nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "orthogonal": torch.nn.init.orthogonal_,
}


def initialize(model: torch.nn.Module, method: str) -> None:
    """Initialise a model's trainable weights anew.

    Matrices and kernels (two dimensions and more) are drawn by `method`, biases become zero. Embeddings and
    normalisation layers keep the values that they were made with, and what `load_pretrained` has loaded is kept too.

    Args:
        model: The model; it is changed in place.
        method: `xavier_uniform`, `xavier_normal`, `kaiming_uniform`, `kaiming_normal` or `orthogonal`.

    Raises:
        ConfigError: There is no such method.
    """
    if method not in _METHODS:
        raise ConfigError(f"init is {method!r}{did_you_mean(method, _METHODS)}; there are {', '.join(_METHODS)}")
    draw = _METHODS[method]
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Embedding | torch.nn.EmbeddingBag) or _is_norm(module):
                continue
            for name, parameter in module.named_parameters(recurse=False):
                if not parameter.requires_grad or was_loaded(parameter):
                    continue
                if parameter.dim() > 1:
                    draw(parameter)
                elif "bias" in name:
                    parameter.zero_()


def _is_norm(module: torch.nn.Module) -> bool:
    return "norm" in type(module).__name__.lower()
