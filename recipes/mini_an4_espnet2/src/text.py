"""The text that the tokenizer is trained on."""

import csv
from collections.abc import Iterator
from pathlib import Path


def transcripts(data_dir: str | Path) -> Iterator[str]:
    """The training set's texts, one a line: a `text_builder` for the stage train_tokenizer.

    Args:
        data_dir: Where `create_dataset` has written the manifests.

    Raises:
        FileNotFoundError: The data has not been built.
    """
    manifest = Path(data_dir) / "train" / "manifest.tsv"
    if not manifest.is_file():
        raise FileNotFoundError(f"{manifest} is not there: run the stage create_dataset first")
    with manifest.open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE):
            yield row["text"]
