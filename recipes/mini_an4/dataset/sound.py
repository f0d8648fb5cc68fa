"""AN4's audio: SPHERE or bare big-endian samples in, 16-bit WAV out."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from esp3rt.files import write_bytes

SAMPLE_RATE = 16_000

_HEADER_BYTES = 44


class SoundError(RuntimeError):
    """A recording is missing or cannot be read."""


def find_recording(an4: Path, stem: str) -> Path:
    """The file of a recording: `wav/<stem>.sph`, or `.raw` where the archive has those.

    Raises:
        SoundError: There is neither.
    """
    places = [an4 / "wav" / f"{stem}{suffix}" for suffix in (".sph", ".raw")]
    for place in places:
        if place.is_file():
            return place
    raise SoundError(f"the recording {stem} is not in the archive: looked for {', '.join(map(str, places))}")


def count_samples(path: Path) -> int:
    """The number of samples of a `.sph` or `.raw` recording, from its header or its size."""
    if path.suffix == ".raw":
        return path.stat().st_size // 2
    return int(_info(path).frames)


def convert(path: Path, wav: Path) -> int:
    """Write a `.sph` or `.raw` recording as WAV, whole or not at all; return the number of samples.

    Raises:
        SoundError: It cannot be read, or is not 16 kHz with one channel.
    """
    samples = _read(path)
    data = io.BytesIO()
    soundfile.write(data, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    write_bytes(wav, data.getvalue())
    return len(samples)


def whole_samples(wav: Path) -> int | None:
    """The number of samples in a WAV file that `convert` made, or None where it is missing or cut short."""
    try:
        with wav.open("rb") as handle:
            header = handle.read(_HEADER_BYTES)
            size = handle.seek(0, io.SEEK_END)
    except FileNotFoundError:
        return None
    if len(header) < _HEADER_BYTES or header[:4] != b"RIFF" or int.from_bytes(header[4:8], "little") + 8 != size:
        return None
    return (size - _HEADER_BYTES) // 2


def _read(path: Path) -> npt.NDArray[np.int16]:
    if path.suffix == ".raw":
        return np.frombuffer(path.read_bytes(), dtype=">i2").astype(np.int16)
    info = _info(path)
    if (info.samplerate, info.channels) != (SAMPLE_RATE, 1):
        raise SoundError(
            f"{path} has {info.samplerate} Hz and {info.channels} channels; AN4 has {SAMPLE_RATE} Hz and one"
        )
    samples: npt.NDArray[np.int16] = soundfile.read(path, dtype="int16")[0]
    return samples


def _info(path: Path) -> Any:
    try:
        return soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise SoundError(f"{path} cannot be read: {error}") from error
