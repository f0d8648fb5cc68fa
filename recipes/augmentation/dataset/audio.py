"""Audio once more: another sample rate, another speed, the first word."""

import io
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from esp3rt.files import write_bytes

Samples = npt.NDArray[np.float32]


def resampled(samples: Samples, old_rate: float, new_rate: float) -> Samples:
    """Resample float32[time], band-limited: the spectrum is cut, or filled with zeros, at the lower Nyquist frequency."""
    length = max(1, round(len(samples) * new_rate / old_rate))
    if length == len(samples):
        return samples
    # The end must not wrap around to the beginning.
    margin = math.ceil(0.01 * old_rate)
    padded = np.pad(samples, (0, margin))
    longer = round(len(padded) * new_rate / old_rate)
    spectrum = np.fft.rfft(padded)
    made = np.fft.irfft(spectrum[: longer // 2 + 1], longer) * (longer / len(padded))
    return made[:length].astype(np.float32)


def at_speed(samples: Samples, factor: float) -> Samples:
    """Speech `factor` times as fast, and higher by as much: resampled, and played at the old rate.

    Speed perturbation (Ko et al., 2015, Audio augmentation for speech recognition).
    """
    return resampled(samples, factor, 1.0)


def first_word(samples: Samples, sample_rate: int, seconds: float) -> Samples:
    """The first `seconds` of a recording, in which its first word lies; filled up with silence."""
    length = round(seconds * sample_rate)
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


def write_wav(path: Path, samples: Samples, sample_rate: int) -> None:
    """Write 16-bit WAV, whole or not at all."""
    data = io.BytesIO()
    soundfile.write(data, np.clip(samples, -1.0, 1.0), sample_rate, format="WAV", subtype="PCM_16")
    write_bytes(path, data.getvalue())


def read_wav(path: Path) -> tuple[Samples, int]:
    """Read float32[time] and its sample rate.

    Raises:
        RuntimeError: It cannot be read.
    """
    try:
        samples, sample_rate = soundfile.read(path, dtype="float32")
    except soundfile.LibsndfileError as error:
        raise RuntimeError(f"{path} cannot be read ({error}): run create_dataset, which makes it again") from error
    return samples, sample_rate
