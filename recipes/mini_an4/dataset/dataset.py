"""Reads what `dataset.builder` has built."""

import csv
from pathlib import Path
from typing import Any

import soundfile
from torch.utils.data import Dataset

_SPLITS = ("train", "valid", "test")


class MiniAn4(Dataset[dict[str, Any]]):
    """One split of AN4.

    An item is a dict with

    - `utt_id`: str,
    - `speech`: float32[time] at 16 kHz, within [-1, 1],
    - `text`: str, words in capitals.

    Args:
        split: `train`, `valid` or `test`.
        recipe_dir: The recipe's folder, which holds `data`.
        repeats: How often each utterance comes in an epoch. Four utterances once would make epochs of one step.

    Raises:
        ValueError: There is no such split, or `repeats` is less than one.
        FileNotFoundError: The data has not been built.
    """

    def __init__(self, split: str, recipe_dir: str | Path = ".", repeats: int = 1) -> None:
        if split not in _SPLITS:
            raise ValueError(f"MiniAn4 has no split {split!r}; it has {', '.join(_SPLITS)}")
        if repeats < 1:
            raise ValueError(f"repeats = {repeats}: each utterance comes at least once in an epoch")
        self._data = Path(recipe_dir) / "data" / "an4"
        manifest = self._data / split / "manifest.tsv"
        if not manifest.is_file():
            raise FileNotFoundError(f"{manifest} is not there: run the stage create_dataset first")
        with manifest.open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))
        self._rows = rows * repeats

    def __len__(self) -> int:
        """The number of items: utterances times `repeats`."""
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The item number `index`.

        Raises:
            RuntimeError: Its audio cannot be read.
        """
        row = self._rows[index]
        path = self._data / row["wav"]
        try:
            speech, _ = soundfile.read(path, dtype="float32")
        except soundfile.LibsndfileError as error:
            raise RuntimeError(f"{path} cannot be read ({error}): run create_dataset, which makes it again") from error
        return {"utt_id": row["utt_id"], "speech": speech, "text": row["text"]}
