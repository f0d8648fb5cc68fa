"""Recordings from files, as a model hears them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3.utils.errors import OutputError

if TYPE_CHECKING:
    import numpy as np

_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf", ".sph", ".w64")


def is_audio(value: Any) -> bool:
    """Whether a value is the path of an audio file: a `Path`, or a text that ends as one."""
    return isinstance(value, Path) or (isinstance(value, str) and value.lower().endswith(_SUFFIXES))


def read_audio(path: str | Path, sample_rate: int | None = None) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Read a file as float32[time] within [-1, 1]; several channels become their mean.

    Args:
        path: The file, in any format that libsndfile knows.
        sample_rate: The rate in Hz that is wanted; None takes the file's own.

    Raises:
        FileNotFoundError: There is no such file.
        OutputError: It is no audio, is empty, or has another rate and the package soxr is not installed.
    """
    import numpy as np
    import soundfile

    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise OutputError(f"{path} cannot be read as audio: {error}") from error
    if len(samples) == 0:
        raise OutputError(f"{path} holds no samples")
    mono: np.ndarray[Any, np.dtype[np.float32]] = np.ascontiguousarray(samples.mean(axis=1), dtype=np.float32)
    if sample_rate is None or rate == sample_rate:
        return mono
    try:
        import soxr
    except ModuleNotFoundError:
        raise OutputError(
            f"{path} has {rate} Hz and the model hears {sample_rate} Hz: install the package soxr (it comes with "
            "esp3c[publication]), or convert the file"
        ) from None
    resampled: np.ndarray[Any, np.dtype[np.float32]] = soxr.resample(mono, rate, sample_rate)
    return resampled
