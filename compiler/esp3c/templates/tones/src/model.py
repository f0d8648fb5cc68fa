"""A small CTC model over the spectrum of a wave."""

from __future__ import annotations

import torch
from torch import Tensor, nn

WINDOW, HOP = 512, 256


class ToneReader(nn.Module):
    """Log spectrum → convolution → GRU → CTC (Graves et al., 2006)."""

    def __init__(self, hidden_size: int, vocab_size: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(WINDOW // 2 + 1, hidden_size, kernel_size=5, padding=2)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden_size, vocab_size)

    def scores(self, speech: Tensor) -> Tensor:
        """Log probabilities, (batch, frames, vocab_size), of waves (batch, time)."""
        window = torch.hann_window(WINDOW, device=speech.device)
        spectrum = torch.stft(speech, WINDOW, HOP, window=window, return_complex=True).abs()
        hidden = torch.relu(self.convolution(torch.log(spectrum + 1e-3))).transpose(1, 2)
        hidden, _ = self.gru(hidden)
        return self.head(hidden).log_softmax(-1)

    def forward(
        self, speech: Tensor, speech_lengths: Tensor, text: Tensor, text_lengths: Tensor
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """The CTC loss of a batch: waves (batch, time), words (batch, words), and how long each is."""
        if len(text) and int(text.max()) >= self.head.out_features:
            # CTC would read beyond the end of its scores, and crash the process.
            raise ValueError(f"a word has number {int(text.max())}, but vocab_size is {self.head.out_features}")
        scores = self.scores(speech).transpose(0, 1)
        frames = speech_lengths // HOP + 1
        loss = nn.functional.ctc_loss(scores, text.clamp(min=0), frames, text_lengths, zero_infinity=True)
        return loss, {"loss": loss.detach()}, torch.tensor(float(len(speech)))
