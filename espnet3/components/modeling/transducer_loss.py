"""The loss of a transducer, in torch alone: for machines without a compiled one."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from torch import Tensor, nn


class TransducerLoss(nn.Module):
    """Minus the log probability of the labels, summed over all alignments (Graves, 2012, "Sequence Transduction with
    Recurrent Neural Networks", equations 16 to 18).

    The lattice of T frames and U + 1 label positions is walked by its diagonals, whose cells do not need each other,
    so that a batch takes T + U steps.

    Args:
        blank: The number of the blank symbol.
    """

    def __init__(self, blank: int = 0) -> None:
        super().__init__()
        self.blank = blank

    def forward(self, scores: Tensor, labels: Tensor, frames: Tensor, lengths: Tensor) -> Tensor:
        """The mean over the batch, a scalar.

        Args:
            scores: float[B, T, U + 1, V], of the joint network, before the softmax.
            labels: int[B, U], padded with any symbol.
            frames: int[B], how many of the T frames each utterance has.
            lengths: int[B], how many of the U labels.

        Raises:
            ValueError: The shapes do not fit together.
        """
        batch, n_frames, positions, _ = scores.shape
        if labels.shape != (batch, positions - 1):
            raise ValueError(f"labels of shape {tuple(labels.shape)} for scores of shape {tuple(scores.shape)}")
        log_probs = scores.log_softmax(-1)
        stay = log_probs[..., self.blank]
        symbols = labels.long().clamp(0, scores.shape[-1] - 1)[:, None, :, None].expand(-1, n_frames, -1, -1)
        emit = log_probs[:, :, :-1].gather(-1, symbols)[..., 0]
        # Cell (t, u) of the lattice stands in row t + u, column u.
        stay, emit = _sheared(stay), _sheared(emit)
        alpha = torch.full_like(stay[:, 0], -torch.inf)
        alpha[:, 0] = 0.0
        rows = [alpha]
        for row in range(1, n_frames + positions - 1):
            by_frame = alpha + stay[:, row - 1]
            by_label = nn.functional.pad(alpha[:, :-1] + emit[:, row - 1], (1, 0), value=-torch.inf)
            alpha = _add(by_frame, by_label)
            rows.append(alpha)
        column = lengths.to(scores.device).long()
        last_row = frames.to(scores.device).long() - 1 + column
        each = torch.arange(batch, device=scores.device)
        total = torch.stack(rows, 1)[each, last_row, column] + stay[each, last_row, column]
        return -total.mean()


def give_loss(model: Any) -> Any:
    """Give an `ESPnetASRTransducerModel` a loss where its own is not installed.

    Without `warprnnt_pytorch` the model would end the process in the first step. Other models are left as they are.

    Returns:
        The model.
    """
    lacks = getattr(model, "criterion_transducer", model) is None and not getattr(model, "use_k2_pruned_loss", True)
    if lacks and not _is_compiled_there():
        model.criterion_transducer = TransducerLoss()
    return model


def _is_compiled_there() -> bool:
    return importlib.util.find_spec("warprnnt_pytorch") is not None


def _sheared(cells: Tensor) -> Tensor:
    """float[B, T, W] to float[B, T + W - 1, W]: column w is moved down by w, and -inf stands around it."""
    batch, height, width = cells.shape
    padded = nn.functional.pad(cells, (0, 0, 0, width), value=-torch.inf)
    # Read by columns of T + W cells in columns that are one cell shorter, each column ends up one cell lower.
    flat = padded.transpose(1, 2).reshape(batch, -1)[:, : width * (height + width - 1)]
    return flat.reshape(batch, width, height + width - 1).transpose(1, 2)


def _add(left: Tensor, right: Tensor) -> Tensor:
    """log(exp(left) + exp(right)), with gradients that stay numbers where both are -inf."""
    both = torch.stack([left, right])
    dead = torch.isinf(both).all(0)
    return both.masked_fill(dead, 0.0).logsumexp(0).masked_fill(dead, -torch.inf)
