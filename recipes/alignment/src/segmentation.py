"""Where in an utterance its words are, from the energy of its frames and the number of syllables of each word.

Between two words the energy tends to have a valley, and a word of two syllables tends to take twice as long as one of
one. The boundaries that are best in both ways together are found by dynamic programming over all pairs of frames. What
is quiet beside a boundary belongs to no word: it is a pause.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from src.frames import frame_sizes

Floats = npt.NDArray[np.float64]

SYLLABLES = {"0": 2, "7": 2}
"""Digits of two syllables; all others have one."""

# Frames over which the energy is averaged: the voice's own pulses are no pauses.
_SMOOTHED = 5
_SHORTEST_WORD = 6


@dataclass(frozen=True)
class Segment:
    """A word with its first frame and the one behind its last."""

    word: str
    start: int
    end: int


def frame_energies(speech: npt.NDArray[Any], sample_rate: int) -> Floats:
    """The energy of each frame in dB, float64[frames], averaged over its neighbours.

    Args:
        speech: float[time], at least one frame long.
        sample_rate: In Hz.
    """
    window, hop = frame_sizes(sample_rate)
    frames = np.lib.stride_tricks.sliding_window_view(np.asarray(speech, dtype=np.float64), window)[::hop]
    energies = 10.0 * np.log10((frames**2).mean(axis=1) + 1e-10)
    smooth = np.ones(_SMOOTHED) / _SMOOTHED
    padded = np.pad(energies, _SMOOTHED // 2, mode="edge")
    return np.convolve(padded, smooth, mode="valid")


def segment_words(energies: Floats, words: list[str], pause_level: float, evenness: float) -> list[Segment]:
    """Divide the frames of an utterance among its words and the pauses between them.

    Args:
        energies: In dB, float64[frames].
        words: In the order in which they are said.
        pause_level: Where between the quietest (0) and the loudest (1) frame a pause ends.
        evenness: How much a word's length counts beside the energy at its boundaries.

    Raises:
        ValueError: The utterance is too short for its words.
    """
    low, high = np.percentile(energies, [5, 95])
    levels = np.clip((energies - low) / max(high - low, 1e-6), 0.0, 1.0)
    loud = np.flatnonzero(levels > pause_level)
    first, behind = (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, len(levels))
    if behind - first < len(words) * _SHORTEST_WORD:
        raise ValueError(f"{behind - first} frames of speech are too few for {len(words)} words")
    bounds = first + _boundaries(levels[first:behind], [SYLLABLES.get(word, 1) for word in words], evenness)
    segments = []
    for word, start, end in zip(words, bounds[:-1], bounds[1:], strict=True):
        inside = start + np.flatnonzero(levels[start:end] > pause_level)
        if len(inside):
            start, end = inside[0], inside[-1] + 1
        segments.append(Segment(word, int(start), int(end)))
    return segments


def _boundaries(levels: Floats, weights: list[int], evenness: float) -> npt.NDArray[np.int64]:
    """The frames, from 0 to all, between which words of these weights lie best."""
    frames = len(levels)
    cost_of_cut = np.append(levels, 0.0)
    # lengths[i, j]: a word from frame i to frame j.
    lengths = np.arange(frames + 1)[None, :] - np.arange(frames + 1)[:, None]
    best = np.full(frames + 1, np.inf)
    best[0] = 0.0
    came_from = []
    for weight in weights:
        expected = frames * weight / sum(weights)
        uneven = np.where(lengths >= _SHORTEST_WORD, evenness * (lengths / expected - 1.0) ** 2, np.inf)
        total = best[:, None] + uneven
        came_from.append(total.argmin(axis=0))
        best = total.min(axis=0) + cost_of_cut
    cuts = [frames]
    for previous in reversed(came_from):
        cuts.append(int(previous[cuts[-1]]))
    return np.array(cuts[::-1])
