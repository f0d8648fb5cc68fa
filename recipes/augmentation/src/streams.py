"""Clips as a stream: read one after another from their list, as from an archive that nobody can jump about in."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch.utils.data import IterableDataset

from dataset.audio import read_wav


class ClipStream(IterableDataset[dict[str, Any]]):
    """The clips of one split, in an order that is shuffled within a buffer.

    It says nothing of ranks and workers: the loader gives each of them its part.

    Args:
        split: `labelled` or `pseudo`.
        buffer: How many rows wait, of which one is drawn.
        recipe_dir: The recipe's folder, which holds `data`.
    """

    def __init__(self, split: str, buffer: int = 64, recipe_dir: str | Path = ".") -> None:
        self.folder = Path(recipe_dir) / "data" / "clips"
        self.split = split
        self.buffer = buffer

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The items: `utt_id`, `speech` (float32[time]), `text`."""
        waiting: list[dict[str, Any]] = []
        with (self.folder / f"{self.split}.jsonl").open(encoding="utf-8") as rows:
            for line in rows:
                waiting.append(json.loads(line))
                if len(waiting) == self.buffer:
                    yield self._item(waiting.pop(random.randrange(len(waiting))))
        random.shuffle(waiting)
        for row in waiting:
            yield self._item(row)

    def _item(self, row: dict[str, Any]) -> dict[str, Any]:
        speech, _ = read_wav(self.folder / row["wav"])
        return {"utt_id": row["utt_id"], "speech": speech, "text": row["text"]}
