"""Log mel spectra: what the generator starts from, and what it is measured by.

The mel scale is O'Shaughnessy's (Speech Communication: Human and Machine, 1987): mel(f) = 2595 log10(1 + f / 700).

Shapes: B segments, S samples, T = S // hop frames, F bins of the Fourier transform, M mel bands.
"""

import math

import torch
from torch import Tensor, nn

# Below this magnitude there is nothing to hear, and its logarithm would only be noise.
_FLOOR = 1e-2


class LogMel(nn.Module):
    """Log mel spectra in natural logarithms, one frame for every `hop` samples.

    Args:
        sample_rate: Of the speech, in Hz.
        n_mels: Number of mel bands, M.
        hop: Samples from frame to frame.
        n_fft: Length of the window and the Fourier transform; F = n_fft // 2 + 1.
    """

    def __init__(self, sample_rate: int, n_mels: int, hop: int = 64, n_fft: int = 256) -> None:
        super().__init__()
        self.hop = hop
        self.n_fft = n_fft
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.register_buffer("bank", _filterbank(n_mels, n_fft, sample_rate), persistent=False)
        self.window: Tensor
        self.bank: Tensor

    def forward(self, speech: Tensor) -> Tensor:
        """float32[B, S] to float32[B, M, T]; the ends are continued by their mirror image."""
        side = (self.n_fft - self.hop) // 2
        speech = nn.functional.pad(speech, (side, side), mode="reflect")
        frames = speech.unfold(1, self.n_fft, self.hop) * self.window
        spectrum = torch.fft.rfft(frames)
        magnitude = (spectrum.real.square() + spectrum.imag.square() + 1e-9).sqrt()
        return (magnitude @ self.bank).clamp(min=_FLOOR).log().transpose(1, 2)


def _filterbank(n_mels: int, n_fft: int, sample_rate: int) -> Tensor:
    """Triangular filters, float32[F, M], whose centres lie evenly on the mel scale."""
    step = _mel(sample_rate / 2) / (n_mels + 1)
    edges = torch.tensor([_hertz(step * band) for band in range(n_mels + 2)])
    bins = torch.arange(n_fft // 2 + 1)[:, None] * sample_rate / n_fft
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    return torch.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)).clamp(min=0.0)


def _mel(hertz: float) -> float:
    return 2595.0 * math.log10(1.0 + hertz / 700.0)


def _hertz(mel: float) -> float:
    return 700.0 * (math.pow(10.0, mel / 2595.0) - 1.0)
