"""Log mel spectra in plain torch, with a mel axis that can be stretched for each utterance.

The mel scale is O'Shaughnessy's (Speech Communication: Human and Machine, 1987): mel(f) = 2595 log10(1 + f / 700).
Stretching the frequency axis by a random factor, so that one speaker's vocal tract looks like another's, is vocal
tract length perturbation (Jaitly and Hinton, 2013, ICML workshop on deep learning for audio, speech and language).

Shapes: B utterances, T frames, F bins of the Fourier transform, M mel bands.
"""

import math

import torch
from torch import Tensor, nn

_LOWEST_HZ = 20.0
# The power of a rounding error of 16-bit audio: below it there is nothing to hear.
_FLOOR = 1e-6


def mel_filterbank(
    n_mels: int, n_fft: int, sample_rate: int, *, stretch: float = 1.0, lowest_hz: float = _LOWEST_HZ
) -> Tensor:
    """Triangular filters whose centres lie evenly on the mel scale; each reaches to its neighbours' centres.

    Args:
        n_mels: Number of filters, M.
        n_fft: Length of the Fourier transform; F = n_fft // 2 + 1.
        sample_rate: In Hz; the highest filter ends at half of it, or below where `stretch` pulls it down.
        stretch: The filters' frequencies are multiplied by this.
        lowest_hz: Where the lowest filter begins.

    Returns:
        float32[F, M].
    """
    highest = _mel(sample_rate / 2)
    lowest = _mel(lowest_hz)
    step = (highest - lowest) / (n_mels + 1)
    centres = [_hertz(lowest + step * band) * stretch for band in range(n_mels + 2)]
    edges = torch.tensor(centres, dtype=torch.float32)
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float32)[:, None] * sample_rate / n_fft
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    return torch.minimum(rising, falling).clamp(min=0.0)


class LogMel(nn.Module):
    """Log mel spectra, each utterance's mean taken away; padding changes nothing in the frames before it.

    In training mode each utterance's mel axis is stretched by a factor drawn from `stretches`.

    Args:
        n_mels: Number of mel bands, M.
        sample_rate: Of the speech, in Hz.
        stretches: The factors to draw from in training.
    """

    def __init__(self, n_mels: int, sample_rate: int = 16_000, stretches: tuple[float, ...] = (1.0,)) -> None:
        super().__init__()
        self.window_length = round(0.025 * sample_rate)
        self.hop = round(0.010 * sample_rate)
        self.n_fft = 1 << (self.window_length - 1).bit_length()
        self.register_buffer("window", torch.hann_window(self.window_length, periodic=False), persistent=False)
        banks = [mel_filterbank(n_mels, self.n_fft, sample_rate, stretch=s) for s in (1.0, *stretches)]
        self.register_buffer("banks", torch.stack(banks), persistent=False)
        self.window: Tensor
        self.banks: Tensor

    def lengths(self, speech_lengths: Tensor) -> Tensor:
        """Frames for so many samples, int64[B]; speech shorter than a window counts as one frame."""
        return ((speech_lengths - self.window_length) // self.hop + 1).clamp(min=1)

    def forward(self, speech: Tensor, speech_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the spectra.

        Args:
            speech: float32[B, samples], padded with any numbers.
            speech_lengths: int64[B], in samples.

        Returns:
            float32[B, T, M], zero behind the end of each utterance, and the frames int64[B].
        """
        lengths = self.lengths(speech_lengths)
        samples = int((lengths.max() - 1) * self.hop + self.window_length)
        speech = nn.functional.pad(speech, (0, max(0, samples - speech.shape[1])))[:, :samples]
        frames = speech.unfold(1, self.window_length, self.hop)
        spectrum = torch.fft.rfft(frames * self.window, n=self.n_fft)
        power = spectrum.real.square() + spectrum.imag.square()
        if self.training and len(self.banks) > 1:
            chosen = torch.randint(1, len(self.banks), (len(power),), device=power.device)
            mel = torch.bmm(power, self.banks[chosen])
        else:
            mel = power @ self.banks[0]
        valid = frame_mask(lengths, mel.shape[1])[..., None]
        logs = (mel + _FLOOR).log() * valid
        mean = logs.sum(1, keepdim=True) / lengths[:, None, None]
        return (logs - mean) * valid, lengths


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """bool[B, frames]: which frames lie within each utterance of `lengths`, int64[B]."""
    return torch.arange(frames, device=lengths.device) < lengths[:, None]


def _mel(hertz: float) -> float:
    return 2595.0 * math.log10(1.0 + hertz / 700.0)


def _hertz(mel: float) -> float:
    return 700.0 * (math.pow(10.0, mel / 2595.0) - 1.0)
