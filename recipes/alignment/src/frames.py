"""How samples become frames, the same in the alignment, the labels and the model.

A frame has 25 ms, and one begins every 10 ms.
"""

WINDOW_SECONDS = 0.025
HOP_SECONDS = 0.010


def frame_sizes(sample_rate: int) -> tuple[int, int]:
    """Window and hop in samples."""
    return round(WINDOW_SECONDS * sample_rate), round(HOP_SECONDS * sample_rate)


def frame_count(samples: int, sample_rate: int) -> int:
    """The whole frames in that many samples.

    Raises:
        ValueError: There is not one.
    """
    window, hop = frame_sizes(sample_rate)
    if samples < window:
        raise ValueError(f"{samples} samples are less than one frame of {window}")
    return 1 + (samples - window) // hop
