"""Values of inference that are no text: each becomes a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esp3rt.files import replacing, write_json
from espnet3.utils.errors import OutputError, did_you_mean, listed

if TYPE_CHECKING:
    from omegaconf import DictConfig

_SUFFIXES = {"wav": ".wav", "npy": ".npy", "json": ".json", "pickle": ".pkl"}


def infer_artifact_type(value: Any) -> str:
    """The type of file that fits `value`: "npy" for an array or tensor, "json" for lists, dicts and the
    like.

    Raises:
        OutputError: No type fits by itself.
    """
    if _is_array(value):
        return "npy"
    if isinstance(value, dict | list | tuple | str | int | float | bool | None):
        return "json"
    raise OutputError(
        f"a {type(value).__name__} has no file type of its own; name one in output_artifacts "
        f"({listed(_SUFFIXES)}) or a writer"
    )


def write_artifact(value: Any, output_path: Path, field_config: dict[str, Any] | DictConfig | None = None) -> Path:
    """Write `value` as a file of its own.

    Args:
        value: A waveform of shape (time,) or (time, channels) for "wav", an array or tensor for "npy",
            anything that JSON holds for "json", anything for "pickle".
        output_path: The path without a suffix; the type's suffix is added.
        field_config: `{type: wav, sample_rate: 16000}`, `{type: npy}`, … or `{writer: {_target_: …}}`,
            whose target is called as `writer(value, output_path)` and returns the path that it wrote, or
            None for `output_path`. Without it the type is inferred. "pickle" is written as it is asked for;
            reading a pickle runs code, so prefer another type for what others will read.

    Returns:
        The path of the file.

    Raises:
        OutputError: The type is unknown, does not fit the value, or "wav" has no `sample_rate`.
    """
    settings = {str(key): entry for key, entry in field_config.items()} if field_config else {}
    writer = settings.get("writer")
    if writer is not None:
        return _write_with(writer, value, output_path)
    kind = settings.get("type") or infer_artifact_type(value)
    if kind not in _SUFFIXES:
        raise OutputError(
            f"output_artifacts has the type {kind!r}; there are {listed(_SUFFIXES)}{did_you_mean(str(kind), _SUFFIXES)}"
        )
    path = output_path.with_name(output_path.name + _SUFFIXES[kind])
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "wav":
        _write_wav(value, path, settings)
    elif kind == "npy":
        import numpy as np

        with replacing(path, "wb") as handle:
            np.save(handle, _as_array(value), allow_pickle=False)
    elif kind == "json":
        try:
            write_json(path, value)
        except TypeError as error:
            raise OutputError(f"{path}: not everything in the value fits JSON ({error})") from error
    else:
        import pickle

        with replacing(path, "wb") as handle:
            pickle.dump(value, handle)
    return path


def _write_wav(value: Any, path: Path, settings: Mapping[str, Any]) -> None:
    import soundfile

    rate = settings.get("sample_rate")
    if not isinstance(rate, int) or rate <= 0:
        raise OutputError(f"{path}: a wav needs its sample_rate in hertz, as in {{type: wav, sample_rate: 16000}}")
    samples = _as_array(value)
    if samples.ndim == 2 and samples.shape[0] == 1:
        samples = samples[0]
    if samples.ndim not in (1, 2):
        raise OutputError(f"{path}: a waveform has the shape (time,) or (time, channels), not {samples.shape}")
    with replacing(path, "wb") as handle:
        soundfile.write(handle, samples, rate, format="WAV", subtype=settings.get("subtype"))


def _write_with(writer: Any, value: Any, output_path: Path) -> Path:
    from espnet3.utils.instantiation import instantiate

    function = writer if callable(writer) else instantiate(writer, "writer")
    if not callable(function):
        raise OutputError(f"the writer {writer!r} is nothing that can be called with a value and a path")
    output_path.parent.mkdir(parents=True, exist_ok=True)
    written = function(value, output_path)
    path = output_path if written is None else Path(written)
    if not path.is_file():
        raise OutputError(f"the writer {writer!r} did not write {path}")
    return path


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and (hasattr(value, "__array__") or hasattr(value, "detach"))


def _as_array(value: Any) -> Any:
    import numpy as np

    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    if array.dtype == object:
        raise OutputError(f"a {type(value).__name__} is no array of numbers")
    return array
