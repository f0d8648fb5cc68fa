"""Speech from eSpeak NG's shared library, through ctypes.

The library keeps state between utterances that no call resets (the phase of its oscillators, its noise, its
echo): the same words sound a little different the second time. Here the library is therefore loaded afresh for
every utterance and unloaded after it, which takes a few milliseconds and makes every utterance depend on its
parameters alone.
"""

import _ctypes
import ctypes
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 22_050

_OUTPUT_SYNCHRONOUS = 2
_PARAMETER_RATE, _PARAMETER_PITCH = 1, 3
_POSITION_CHARACTER = 1
_TEXT_UTF8 = 1
_OK = 0

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

_MISSING = (
    "the digits are spoken by eSpeak NG, and the package `espeakng-loader`, which carries it, is not installed. "
    "It is optional because eSpeak NG is under the GPL. Install it: pip install 'esp3c[espeak]'"
)

# const short *wave, int number_of_samples, espeak_EVENT *events -> 0 to go on
_SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class SpeechError(RuntimeError):
    """eSpeak NG is missing, lacks a voice, or could not speak."""


def is_installed() -> bool:
    """Whether the package that carries eSpeak NG can be found; nothing is loaded."""
    return importlib.util.find_spec("espeakng_loader") is not None


def require(variants: tuple[str, ...]) -> None:
    """Check that eSpeak NG is here and knows all of `variants`.

    Raises:
        SpeechError: It is not installed, or its data folder lacks a variant.
    """
    folder = _data_folder() / "voices" / "!v"
    missing = [variant for variant in variants if not (folder / variant).is_file()]
    if missing:
        raise SpeechError(
            f"this eSpeak NG has no voice variant {', '.join(missing)} in {folder}. "
            "Take the version that the recipe was made with: pip install -U 'espeakng-loader>=0.2.4'"
        )


def speak(digits: str, *, voice: str, pitch: int, speed: int) -> npt.NDArray[np.int16]:
    """Speak `digits` ("3 1 4") and return the samples, int16[time] at `SAMPLE_RATE`.

    Args:
        digits: Digits with spaces between them.
        voice: An accent and a variant, such as "en-us+f3".
        pitch: 0 to 100, where 50 is the voice's own.
        speed: Words a minute.

    Raises:
        SpeechError: eSpeak NG is missing, has no such voice, or said nothing.
    """
    accent, _, variant = voice.partition("+")
    if variant:
        # eSpeak NG takes a variant that it does not have for none, without a word.
        require((variant,))
    words = " ".join(_WORDS[int(digit)] for digit in digits.split()).encode()
    chunks: list[npt.NDArray[np.int16]] = []

    def take(wave: Any, count: int, _events: Any) -> int:
        if wave and count > 0:
            chunks.append(np.ctypeslib.as_array(wave, shape=(count,)).copy())
        return 0

    callback = _SynthCallback(take)
    library = ctypes.CDLL(str(_library_path()))
    try:
        rate = library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, str(_data_folder()).encode(), 0)
        if rate != SAMPLE_RATE:
            raise SpeechError(f"eSpeak NG did not start with its data in {_data_folder()} (it returned {rate})")
        # Its noise comes from its own generator in some voices and from the C library's in others.
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        ctypes.CDLL(None).srand(1)
        library.espeak_SetSynthCallback(callback)
        if library.espeak_SetVoiceByName(voice.encode()) != _OK:
            raise SpeechError(f"eSpeak NG has no voice {voice!r}: it does not know the accent {accent!r}")
        library.espeak_SetParameter(_PARAMETER_PITCH, pitch, 0)
        library.espeak_SetParameter(_PARAMETER_RATE, speed, 0)
        library.espeak_Synth(words, ctypes.c_size_t(len(words) + 1), 0, _POSITION_CHARACTER, 0, _TEXT_UTF8, None, None)
        library.espeak_Synchronize()
        library.espeak_Terminate()
    finally:
        handle = library._handle
        del library
        _ctypes.dlclose(handle)
    if not chunks:
        raise SpeechError(f"eSpeak NG said nothing for {digits!r} with the voice {voice!r}")
    return np.concatenate(chunks)


def _data_folder() -> Path:
    return _package_folder() / "espeak-ng-data"


def _library_path() -> Path:
    found = sorted(_package_folder().glob("libespeak-ng.*"))
    if not found:
        raise SpeechError(f"{_package_folder()} holds no eSpeak NG library. Reinstall espeakng-loader")
    return found[0]


def _package_folder() -> Path:
    spec = importlib.util.find_spec("espeakng_loader")
    if spec is None or spec.origin is None:
        raise SpeechError(_MISSING)
    return Path(spec.origin).parent
