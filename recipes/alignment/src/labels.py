"""Alignments as files, and the frame labels that they give.

A file has a line for each word, as NIST's CTM has it: utterance, channel, start and length in seconds, word.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from src.frames import HOP_SECONDS, frame_count
from src.segmentation import Segment

PAUSE = 0
STATES = 1 + 2 * 10
"""The pause, and the first and the second half of each digit."""


def first_half(digit: str) -> int:
    """The state of the first half of a digit; that of the second half is the next."""
    return 1 + 2 * int(digit)


def ctm_text(alignments: Mapping[str, Iterable[Segment]]) -> str:
    """The lines of a CTM file."""
    lines = []
    for utt_id, segments in alignments.items():
        for each in segments:
            start, length = each.start * HOP_SECONDS, (each.end - each.start) * HOP_SECONDS
            lines.append(f"{utt_id} 1 {start:.2f} {length:.2f} {each.word}\n")
    return "".join(lines)


def read_ctm(path: Path) -> dict[str, list[Segment]]:
    """The words of each utterance of a CTM file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line has another form.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: run the stage prepare_alignment first")
    found: dict[str, list[Segment]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            utt_id, _, start, length, word = line.split()
            first, frames = round(float(start) / HOP_SECONDS), round(float(length) / HOP_SECONDS)
        except ValueError as error:
            raise ValueError(f"{path}:{number}: not `utterance channel start length word`: {line!r}") from error
        found.setdefault(utt_id, []).append(Segment(word, first, first + frames))
    return found


class FrameLabels:
    """Gives a sample the states of its frames: a `preprocessor`.

    Args:
        alignment: The folder with `train.ctm` and `valid.ctm`.
        sample_rate: Of the speech, in Hz.

    Raises:
        FileNotFoundError: There is no alignment.
    """

    def __init__(self, alignment: str | Path, sample_rate: int = 16_000) -> None:
        self.sample_rate = sample_rate
        self._segments: dict[str, list[Segment]] = {}
        for split in ("train", "valid"):
            self._segments.update(read_ctm(Path(alignment) / f"{split}.ctm"))

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Return the sample with `labels`, int64[frames], in the place of `text`.

        Raises:
            ValueError: The alignment does not have the utterance.
        """
        utt_id = sample["utt_id"]
        if utt_id not in self._segments:
            raise ValueError(f"the alignment has no utterance {utt_id}: run the stage prepare_alignment again")
        labels = np.full(frame_count(len(sample["speech"]), self.sample_rate), PAUSE, dtype=np.int64)
        for each in self._segments[utt_id]:
            middle = (each.start + each.end) // 2
            labels[each.start : middle] = first_half(each.word)
            labels[middle : each.end] = first_half(each.word) + 1
        return {"utt_id": utt_id, "speech": sample["speech"], "labels": labels}
