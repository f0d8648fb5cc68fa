"""The melodies as a torch dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import soundfile
from torch.utils.data import Dataset

_SPLITS = ("train", "valid", "test")


class Melodies(Dataset[dict[str, Any]]):
    """One item is `{"utt_id": str, "speech": float32 (time,), "text": str}`.

    Raises:
        ValueError: there is no such split.
        FileNotFoundError: the split is not there; `create_dataset` makes it.
    """

    def __init__(self, split: str, name: str = "melodies", recipe_dir: str = ".") -> None:
        if split not in _SPLITS:
            raise ValueError(f"Melodies has no split {split!r}; it has {', '.join(_SPLITS)}")
        self.data_dir = Path(recipe_dir) / "data" / name
        manifest = self.data_dir / f"{split}.jsonl"
        if not manifest.is_file():
            raise FileNotFoundError(f"{manifest} is not there: run the stage create_dataset first")
        lines = manifest.read_text(encoding="utf-8").splitlines()
        self.rows = [json.loads(line) for line in lines[1:]]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.rows[index]
        speech, _ = soundfile.read(self.data_dir / row["wav"], dtype="float32")
        return {"utt_id": row["utt_id"], "speech": speech, "text": row["text"]}
