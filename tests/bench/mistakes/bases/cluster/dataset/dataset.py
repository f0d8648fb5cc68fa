"""Reads the shards that `dataset.builder` has written."""

import json
from pathlib import Path
from typing import Any, Literal

import soundfile
from torch.utils.data import Dataset

Split = Literal["train_clean", "train_other", "valid", "test_clean", "test_other"]


class Corpus(Dataset[dict[str, Any]]):
    """One split: `utt_id`, `speech` as float32[time], and `text`."""

    def __init__(self, split: Split, recipe_dir: str | Path = ".") -> None:
        self._data = Path(recipe_dir) / "data" / split
        self._rows = [json.loads(line) for line in (self._data / "items.jsonl").read_text().splitlines()]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self._rows[index]
        speech, _ = soundfile.read(self._data / row["wav"], dtype="float32")
        return {"utt_id": row["utt_id"], "speech": speech, "text": row["text"]}
