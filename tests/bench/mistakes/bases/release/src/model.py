"""A small recogniser."""

import torch
from torch import Tensor, nn


class Small(nn.Module):
    """Speech to pieces."""

    def __init__(self, vocab_size: int, width: int = 64) -> None:
        super().__init__()
        self.bands = nn.Conv1d(1, width, kernel_size=400, stride=160)
        self.head = nn.Linear(width, vocab_size)

    def scores(self, speech: Tensor) -> Tensor:
        return self.head(self.bands(speech[:, None]).relu().transpose(1, 2)).log_softmax(-1)

    def forward(self, speech: Tensor, speech_lengths: Tensor, text: Tensor, text_lengths: Tensor) -> dict[str, Tensor]:
        scores = self.scores(speech)
        lengths = ((speech_lengths - 400) // 160 + 1).clamp(1, scores.shape[1])
        loss = nn.functional.ctc_loss(scores.transpose(0, 1), text.clamp(min=0), lengths, text_lengths)
        return {"loss": loss, "accuracy": torch.exp(-loss.detach())}
