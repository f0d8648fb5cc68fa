"""Many layers of convolutions, and CTC."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn


class LogMelFrontend(nn.Module):
    """Energies of `n_mels` bands; `window` and `hop` are in seconds."""

    def __init__(self, n_mels: int, sample_rate: int = 16_000, window: float = 0.025, hop: float = 0.010) -> None:
        super().__init__()
        self.n_mels = n_mels
        self.hop = round(hop * sample_rate)
        self.bands = nn.Conv1d(1, n_mels, kernel_size=round(window * sample_rate), stride=self.hop)

    def forward(self, speech: Tensor, speech_lengths: Tensor) -> tuple[Tensor, Tensor]:
        bands = self.bands(speech[:, None]).square().add(1e-6).log().transpose(1, 2)
        return bands, (speech_lengths // self.hop).clamp(1, bands.shape[1])


class DeepCTC(nn.Module):
    """Speech to letters, trained with CTC."""

    def __init__(
        self,
        n_mels: int,
        width: int,
        layers: int,
        vocab_size: int,
        frontend: nn.Module,
        dropout: float = 0.0,
        activation: Literal["relu", "gelu", "silu"] = "relu",
        norm: Callable[[int], nn.Module] = nn.LayerNorm,
    ) -> None:
        super().__init__()
        self.frontend = frontend
        self.inputs = nn.Linear(n_mels, width)
        chosen = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}[activation]
        self.layers = nn.ModuleList(
            nn.Sequential(norm(width), nn.Linear(width, width), chosen(), nn.Dropout(dropout)) for _ in range(layers)
        )
        self.head = nn.Linear(width, vocab_size)

    def forward(
        self, speech: Tensor, speech_lengths: Tensor, text: Tensor, text_lengths: Tensor
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        scores, lengths = self.encode(speech, speech_lengths)
        loss = nn.functional.ctc_loss(scores.transpose(0, 1), text.clamp(min=0), lengths, text_lengths)
        return loss, {"loss": loss.detach()}, torch.tensor(len(speech))

    def encode(self, speech: Tensor, speech_lengths: Tensor) -> tuple[Tensor, Tensor]:
        features, lengths = self.frontend(speech, speech_lengths)
        hidden = self.inputs(features)
        for layer in self.layers:
            hidden = hidden + layer(hidden)
        return self.head(hidden).log_softmax(-1), lengths
