"""Pieces of words."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece


def all_texts(commands: Sequence[str]) -> Iterable[str]:
    """The texts that the tokenizer is trained on."""
    return [f"{first} {second}" for first in commands for second in commands]


class Pieces:
    """Replaces `text` by the numbers of its pieces; 0 is the blank."""

    def __init__(self, model: str | Path, lower: bool = False) -> None:
        self.path = Path(model)
        self.lower = lower

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        text = sample["text"].lower() if self.lower else sample["text"]
        processor = sentencepiece.SentencePieceProcessor(model_file=str(self.path))
        return {**sample, "text": np.array(processor.encode(text), dtype=np.int64) + 1}
