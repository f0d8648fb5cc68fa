"""A small CTC model over the spectrum of speech at 16 kHz."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from src.text import DIGITS

WINDOW, HOP, STRIDE = 512, 160, 4


class DigitReader(nn.Module):
    """Log spectrum, mean taken off → convolutions, one of them strided → GRU → CTC (Graves et al., 2006)."""

    def __init__(self, bands: int, hidden_size: int) -> None:
        super().__init__()
        self.bands = nn.Linear(WINDOW // 2 + 1, bands, bias=False)
        self.convolutions = nn.Sequential(
            nn.Conv1d(bands, hidden_size, kernel_size=7, stride=STRIDE, padding=3),
            nn.ReLU(),
            nn.Conv1d(hidden_size, hidden_size, kernel_size=3, padding=1),
            nn.ReLU(),
        )
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden_size, len(DIGITS) + 1)

    def scores(self, speech: Tensor, speech_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log probabilities (batch, frames, digits + 1) of waves (batch, time), and how many frames each has."""
        window = torch.hann_window(WINDOW, device=speech.device)
        power = torch.stft(speech, WINDOW, HOP, window=window, return_complex=True).abs().square()
        spectrum = torch.log(power + 1e-4).transpose(1, 2)
        frames = speech_lengths // HOP + 1
        there = torch.arange(spectrum.shape[1], device=speech.device) < frames[:, None]
        mean = (spectrum * there[..., None]).sum(1, keepdim=True) / frames[:, None, None]
        spectrum = (spectrum - mean) * there[..., None]
        hidden = self.convolutions(self.bands(spectrum).transpose(1, 2)).transpose(1, 2)
        hidden, _ = self.gru(hidden)
        return self.head(hidden).log_softmax(-1), (frames - 1) // STRIDE + 1

    def forward(
        self, speech: Tensor, speech_lengths: Tensor, text: Tensor, text_lengths: Tensor
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """The CTC loss of a batch: waves (batch, time), digits (batch, digits), and how long each is."""
        if int(text.max()) >= self.head.out_features:
            # CTC would read beyond the end of its scores, and go on with what is there.
            raise ValueError(f"a symbol has number {int(text.max())}, but there are {self.head.out_features} scores")
        scores, frames = self.scores(speech, speech_lengths)
        loss = nn.functional.ctc_loss(
            scores.transpose(0, 1), text.clamp(min=0), frames, text_lengths, zero_infinity=True
        )
        return loss, {"loss": loss.detach()}, torch.tensor(float(len(speech)))
