"""Which digit a clip begins with: spectra, two convolutions, a linear layer."""

import torch
from torch import Tensor, nn

N_DIGITS = 10
_FLOOR = 1e-6


class FirstDigit(nn.Module):
    """A clip to the scores of ten digits.

    Shapes: B clips, S samples, T frames, F frequency bins, H channels.

    Args:
        length: Of a clip, in samples, S.
        hidden_size: Channels of the convolutions, H.
        window: Of the Fourier transform, in samples; frames overlap by half.
        dropout: Share of the hidden values set to zero in training.
    """

    def __init__(self, length: int, hidden_size: int = 24, window: int = 256, dropout: float = 0.3) -> None:
        super().__init__()
        self.window, self.hop = window, window // 2
        self.register_buffer("shape", torch.hann_window(window), persistent=False)
        self.shape: Tensor
        self.layers = nn.Sequential(
            nn.Conv2d(1, hidden_size, 3, padding=1), nn.BatchNorm2d(hidden_size), nn.ReLU(), nn.MaxPool2d((2, 4)),
            nn.Conv2d(hidden_size, hidden_size, 3, padding=1), nn.BatchNorm2d(hidden_size), nn.ReLU(),
            nn.MaxPool2d((2, 2)), nn.Flatten(), nn.Dropout(dropout),
        )  # fmt: skip
        frames = (length - window) // self.hop + 1
        self.head = nn.Linear(hidden_size * (frames // 4) * (window // 2 // 8), N_DIGITS)

    def forward(self, speech: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor], int]:
        """The loss of a batch.

        Args:
            speech: float32[B, S].
            label: int64[B], from 0 to 9.

        Returns:
            The cross entropy, what to log of the batch, and its size.
        """
        scores = self.scores(speech)
        loss = nn.functional.cross_entropy(scores, label)
        right = (scores.argmax(1) == label).float().mean()
        return loss, {"loss": loss.detach(), "accuracy": right}, len(label)

    def scores(self, speech: Tensor) -> Tensor:
        """float32[B, S] to float32[B, 10]."""
        frames = speech.unfold(1, self.window, self.hop) * self.shape
        logs = (torch.fft.rfft(frames).abs().square()[..., 1:] + _FLOOR).log()
        logs = logs - logs.mean((1, 2), keepdim=True)
        return self.head(self.layers(logs[:, None]))
