"""Labels from a machine: each clip gets the label of the nearest centroid, where that is clearly the nearest.

A centroid is the mean spectrogram of the labelled clips of one digit. That is a weak classifier, and the labels that it
is least sure of are left out: what is near two centroids is near the border between two digits.
"""

import numpy as np
import numpy.typing as npt

from .audio import Samples

_FRAMES, _BANDS = 16, 24
_FLOOR = 1e-6

Features = npt.NDArray[np.float64]


def spectrogram(clip: Samples) -> Features:
    """The log power of a clip in `_FRAMES` spans of time and `_BANDS` bands, its mean taken away: float64[384]."""
    frames = np.stack(np.array_split(clip[: len(clip) // _FRAMES * _FRAMES], _FRAMES))
    power = np.abs(np.fft.rfft(frames * np.hanning(frames.shape[1]))) ** 2
    # Bands grow with frequency, about as the ear's do.
    edges = np.unique(np.geomspace(2, power.shape[1], _BANDS + 1).astype(int))
    bands = np.log(np.add.reduceat(power, edges[:-1], axis=1) + _FLOOR)
    return (bands - bands.mean()).ravel()


def pseudo_labels(
    labelled: Features, labels: list[str], unlabelled: Features, keep: float
) -> list[tuple[int, str, float]]:
    """Label the clips whose nearest centroid is clearest.

    Args:
        labelled: float64[N, D].
        labels: Of the N labelled ones.
        unlabelled: float64[M, D].
        keep: Which part of the M, between 0 and 1, gets a label.

    Returns:
        For each that gets one: its place among the M, its label, and how much farther the second nearest centroid is
        than the nearest (1 is as near), in the order of the places.
    """
    names = sorted(set(labels))
    chosen = np.array(labels)
    centroids = np.stack([labelled[chosen == name].mean(axis=0) for name in names])
    distances = np.linalg.norm(unlabelled[:, None] - centroids[None], axis=2)
    order = np.argsort(distances, axis=1)
    nearest, second = np.take_along_axis(distances, order, axis=1)[:, :2].T
    clearness = second / nearest
    kept = np.argsort(-clearness, kind="stable")[: round(keep * len(unlabelled))]
    return [(int(place), names[order[place, 0]], float(clearness[place])) for place in sorted(kept)]
