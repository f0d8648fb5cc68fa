"""Reads what `dataset.builder` has built."""

import csv
from pathlib import Path
from typing import Any

import soundfile
from torch.utils.data import Dataset

from .plan import SPLITS


class SpokenDigits(Dataset[dict[str, Any]]):
    """One split of the spoken digits.

    An item is a dict with

    - `utt_id`: str,
    - `speech`: float32[time], within [-1, 1],
    - `text`: str, the digits with spaces between them, such as "3 1 4".

    Args:
        split: `train`, `valid`, `test` (voices of the training set) or `test_unseen` (voices of no other split).
        recipe_dir: The recipe's folder, which holds `data`.

    Raises:
        ValueError: There is no such split.
        FileNotFoundError: The data has not been built.
    """

    def __init__(self, split: str, recipe_dir: str | Path = ".") -> None:
        if split not in SPLITS:
            raise ValueError(f"SpokenDigits has no split {split!r}; it has {', '.join(SPLITS)}")
        self._data = Path(recipe_dir) / "data"
        manifest = self._data / split / "manifest.tsv"
        if not manifest.is_file():
            raise FileNotFoundError(f"{manifest} is not there: run the stage create_dataset first")
        with manifest.open(encoding="utf-8", newline="") as handle:
            self._rows = list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))

    def __len__(self) -> int:
        """The number of utterances."""
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
