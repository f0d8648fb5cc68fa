"""Low-rank adaptation (Hu et al., 2021): a model's linear layers stay, and each learns a small correction beside it."""

import math

import torch
from torch import Tensor, nn


class LoraLinear(nn.Module):
    """A linear layer W that is frozen, with a trainable correction: W x + (alpha / rank) B A x.

    B begins as zero, so that the layer begins as the one that it stands for.

    Args:
        linear: The layer; its parameters are frozen.
        rank: Rows of A, float32[rank, inputs], and columns of B, float32[outputs, rank].
        alpha: The size of the correction; the same learning rate then fits all ranks.

    Raises:
        ValueError: `rank` is less than one, or not less than the layer's smaller side.
    """

    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        smaller = min(linear.in_features, linear.out_features)
        if not 1 <= rank < smaller:
            raise ValueError(
                f"rank = {rank}: for a layer of {linear.out_features} x {linear.in_features} take 1 to {smaller - 1}"
            )
        self.linear = linear.requires_grad_(False)
        self.scaling = alpha / rank
        self.down = nn.Parameter(linear.weight.new_empty(rank, linear.in_features))
        self.up = nn.Parameter(linear.weight.new_zeros(linear.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, hidden: Tensor) -> Tensor:
        """float32[..., inputs] to float32[..., outputs]."""
        return self.linear(hidden) + self.scaling * (hidden @ self.down.T @ self.up.T)

    @torch.no_grad()
    def merge(self) -> nn.Linear:
        """The one layer that gives the same, with the correction added to its weight."""
        self.linear.weight += self.scaling * self.up @ self.down
        return self.linear


class LoraModel(nn.Module):
    """A model of which only low-rank corrections are trained.

    Args:
        model: The model; all its parameters are frozen, and the linear layers of `layers` are replaced.
        rank: Of the corrections.
        alpha: Their size.
        layers: The part of the model whose linear layers get corrections.

    Raises:
        ValueError: There is no linear layer in that part, or `rank` does not fit one.
    """

    def __init__(self, model: nn.Module, rank: int, alpha: float = 8.0, layers: str = "encoder") -> None:
        super().__init__()
        self.model = model
        model.requires_grad_(False)
        for module in list(model.get_submodule(layers).modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.Linear):
                    setattr(module, name, LoraLinear(child, rank, alpha))
        if not any(isinstance(module, LoraLinear) for module in model.modules()):
            raise ValueError(f"layers = {layers!r}: no linear layer is in it")

    def forward(self, **batch: Tensor) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """What the model gives for a batch."""
        return self.model(**batch)

    def merge(self) -> nn.Module:
        """The model with the corrections in its weights, as it was before it was adapted in all but them."""
        for module in list(self.model.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, LoraLinear):
                    setattr(module, name, child.merge())
        return self.model
