"""From spoken samples to a recording: resampling, room noise, level, and 16-bit WAV."""

import io
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from esp3rt.files import write_bytes

Samples = npt.NDArray[np.float64]

_HEADER_BYTES = 44
_SECONDS_AROUND = 0.1
_PEAK = 0.5
# Fourier transforms of lengths with large prime factors are slow: lengths are rounded up to avoid them.
_BLOCKS_A_STEP = 8


def resample(samples: Samples, old_rate: int, new_rate: int) -> Samples:
    """Resample float64[time] from `old_rate` to `new_rate` (Hz), band-limited.

    The spectrum is cut (or filled with zeros) at the lower of the two Nyquist frequencies: the ideal low-pass
    filter, whose ringing lies at the edge of the band. Silence is put behind the samples so that both lengths
    hold a whole number of periods of the two rates and the end does not wrap around to the start.
    """
    if old_rate == new_rate:
        return samples
    common = math.gcd(old_rate, new_rate)
    up, down = new_rate // common, old_rate // common
    blocks = math.ceil((len(samples) / down + 1) / _BLOCKS_A_STEP) * _BLOCKS_A_STEP
    spectrum = np.fft.rfft(samples, blocks * down)
    length = math.ceil(len(samples) * up / down)
    resampled: Samples = np.fft.irfft(spectrum[: blocks * up // 2 + 1], blocks * up) * (up / down)
    return resampled[:length]


def record(speech: npt.NDArray[np.int16], *, rate: int, sample_rate: int, snr: float, seed: int) -> Samples:
    """Turn what eSpeak NG said into a recording: float64[time] at `sample_rate`, within [-1, 1].

    Noise is added at `snr` dB below the speech's mean power, between white and pink, as `seed` says.
    """
    margin = np.zeros(round(_SECONDS_AROUND * rate))
    clean = resample(np.concatenate([margin, speech / 32768.0, margin]), rate, sample_rate)
    generator = np.random.Generator(np.random.PCG64(seed))
    noise = _coloured_noise(len(clean), exponent=generator.uniform(0.0, 1.0), generator=generator)
    power = float(np.mean(clean**2))
    noisy = clean + noise * math.sqrt(power / float(np.mean(noise**2)) * 10.0 ** (-snr / 10.0))
    recording: Samples = noisy * (_PEAK / float(np.max(np.abs(noisy))))
    return recording


def write_wav(path: Path, samples: Samples, sample_rate: int) -> int:
    """Write float64[time] within [-1, 1] as 16-bit WAV, whole or not at all; return the number of samples."""
    data = io.BytesIO()
    soundfile.write(data, samples, sample_rate, format="WAV", subtype="PCM_16")
    write_bytes(path, data.getvalue())
    return len(samples)


def whole_samples(path: Path) -> int | None:
    """The number of samples in a WAV file that `write_wav` made, or None where it is missing or cut short."""
    try:
        with path.open("rb") as handle:
            header = handle.read(_HEADER_BYTES)
            size = handle.seek(0, io.SEEK_END)
    except FileNotFoundError:
        return None
    if len(header) < _HEADER_BYTES or header[:4] != b"RIFF" or int.from_bytes(header[4:8], "little") + 8 != size:
        return None
    return (size - _HEADER_BYTES) // 2


def _coloured_noise(length: int, *, exponent: float, generator: np.random.Generator) -> Samples:
    """Noise whose power falls with frequency to the power of `exponent`: 0 is white, 1 is pink."""
    longer = 1 << (length - 1).bit_length()
    spectrum = np.fft.rfft(generator.standard_normal(longer))
    bins = np.maximum(np.arange(len(spectrum)), 1)
    noise: Samples = np.fft.irfft(spectrum * bins ** (-exponent / 2.0), longer)
    return noise[:length]
