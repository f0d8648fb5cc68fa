"""Text to symbols and back, through a SentencePiece model; and the text to train that model on."""

import csv
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece

from src.model import BLANK


def transcripts(recipe_dir: str | Path = ".") -> Iterator[str]:
    """The training set's texts, one a line: a `text_builder` for the stage train_tokenizer.

    Raises:
        FileNotFoundError: The data has not been built.
    """
    manifest = Path(recipe_dir) / "data" / "an4" / "train" / "manifest.tsv"
    if not manifest.is_file():
        raise FileNotFoundError(f"{manifest} is not there: run the stage create_dataset first")
    with manifest.open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE):
            yield row["text"]


class SentencepieceTokens:
    """Replaces a sample's `text` with the numbers of its pieces: a `preprocessor`.

    Piece number n of the SentencePiece model is symbol n + 1; 0 is the blank of CTC. A model therefore needs
    `vocab_size = pieces + 1`.

    Args:
        model: The file that the stage train_tokenizer wrote. It is read when the first text comes.
    """

    def __init__(self, model: str | Path) -> None:
        self.path = Path(model)

    @property
    def vocab_size(self) -> int:
        """The number of symbols, the blank among them."""
        return int(self._processor.get_piece_size()) + 1

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Return `sample` with `text` as int64[pieces].

        Raises:
            FileNotFoundError: The tokenizer has not been trained.
        """
        pieces = np.array(self._processor.encode(sample["text"]), dtype=np.int64)
        return {**sample, "text": pieces + (BLANK + 1)}

    def decode(self, symbols: Iterable[int]) -> str:
        """The text whose pieces are these symbols.

        Raises:
            FileNotFoundError: The tokenizer has not been trained.
        """
        return str(self._processor.decode([symbol - BLANK - 1 for symbol in symbols]))

    def __getstate__(self) -> dict[str, Any]:
        """The path alone: a worker process reads the model itself."""
        return {"path": self.path}

    @cached_property
    def _processor(self) -> Any:
        if not self.path.is_file():
            raise FileNotFoundError(f"{self.path} is not there: run the stage train_tokenizer first")
        return sentencepiece.SentencePieceProcessor(model_file=str(self.path))
