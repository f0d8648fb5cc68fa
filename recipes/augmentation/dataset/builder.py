"""Builds the clips: speaks its source, makes clips at several speeds, and has a part of them labelled by a machine.

Under `<recipe_dir>`:

    source/data/…               spoken digits of this recipe's own, by the builder of the recipe spoken_digits
    data/clips/wav/*.wav        the first word of each, at another sample rate and speed
    data/clips/<split>.jsonl    one row a clip: its name, its label, its audio
    data/clips/build.json       the settings of a finished build, and how good the machine's labels are; written last
"""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from esp3rt.files import write_json, write_text
from esp3rt.progress import console_line
from espnet3.components.data.dataset_builder import DatasetBuilder
from espnet3.components.data.dataset_module import load_dataset_module

from .audio import read_wav
from .perturbing import ClipsProvider, ClipsRunner, Row
from .pseudo import pseudo_labels, spectrogram

SPLITS = ("labelled", "pseudo", "valid", "fast")

_SOURCE = "spoken_digits/asr"
_FAST = 1.1


class ClipsBuilder(DatasetBuilder):
    """Clips of the first words of spoken digit strings; the label of a clip is its digit.

    Of the source's training set, one half keeps its labels and comes at each of `speeds`. Of the other half the labels
    are put aside: a part of it is labelled by a machine that learnt from the first half.

    Every method takes the same settings:

    - `recipe_dir`: the recipe's folder.
    - `utterances`: the size of the source's training set.
    - `speeds`: how fast the labelled half comes, each a factor.
    - `keep`: which part of the unlabelled half gets a label.
    - `sample_rate`: of the clips, in Hz.
    - `seconds`: of a clip.
    - `seed`: of the source.
    """

    def is_source_prepared(  # type: ignore[override]
        self, *, recipe_dir: str | Path = ".", utterances: int = 300, seed: int = 7, **others: Any
    ) -> bool:
        """Whether the source was spoken, with these settings."""
        builder, settings = _source(recipe_dir, utterances, seed)
        return bool(builder.is_built(**settings))

    def prepare_source(  # type: ignore[override]
        self, *, recipe_dir: str | Path = ".", utterances: int = 300, seed: int = 7, **others: Any
    ) -> None:
        """Have the source spoken by the builder of the recipe spoken_digits."""
        builder, settings = _source(recipe_dir, utterances, seed)
        builder.prepare_source(**settings)
        builder.build(**settings)

    def is_built(  # type: ignore[override]
        self,
        *,
        recipe_dir: str | Path = ".",
        utterances: int = 300,
        speeds: tuple[float, ...] = (0.9, 1.0, 1.1),
        keep: float = 0.6,
        sample_rate: int = 8_000,
        seconds: float = 0.6,
        seed: int = 7,
    ) -> bool:
        """Whether a build with just these settings was finished and its audio is there."""
        folder = _folder(recipe_dir)
        try:
            built = json.loads((folder / "build.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return False
        if built["settings"] != _settings(utterances, speeds, keep, sample_rate, seconds, seed):
            return False
        return all((folder / row["wav"]).is_file() for split in SPLITS for row in read_rows(folder, split))

    def build(  # type: ignore[override]
        self,
        *,
        recipe_dir: str | Path = ".",
        utterances: int = 300,
        speeds: tuple[float, ...] = (0.9, 1.0, 1.1),
        keep: float = 0.6,
        sample_rate: int = 8_000,
        seconds: float = 0.6,
        seed: int = 7,
    ) -> None:
        """Make clips, have them labelled, and write the splits.

        Raises:
            ValueError: `utterances` is too small for every digit to begin a labelled one.
        """
        folder, source = _folder(recipe_dir), Path(recipe_dir) / "source" / "data"
        jobs = _jobs(source, speeds)
        seen = {job["text"] for split, job in jobs if split == "labelled"}
        if len(seen) < 10:
            raise ValueError(f"utterances = {utterances}: only {len(seen)} of ten digits begin one; take more of them")
        (folder / "build.json").unlink(missing_ok=True)
        config = {
            "source": str(source),
            "out": str(folder),
            "jobs": [job for _, job in jobs],
            "sample_rate": sample_rate,
            "seconds": seconds,
        }
        rows = ClipsRunner(ClipsProvider(config), output_dir=folder)(range(len(jobs)))
        splits: dict[str, list[Row]] = {name: [] for name in (*SPLITS, "unlabelled")}
        for (split, _), row in zip(jobs, rows, strict=True):
            splits[split].append(row)
        splits["pseudo"] = _labelled_by_machine(folder, splits["labelled"], splits["unlabelled"], keep)
        truth = {row["utt_id"]: row["text"] for row in splits["unlabelled"]}
        right = sum(row["text"] == truth[row["utt_id"]] for row in splits["pseudo"])
        console_line(
            f"pseudo labels: {len(splits['pseudo'])} of {len(truth)} clips, {right} of them as they were spoken"
        )
        for name in SPLITS:
            write_text(
                folder / f"{name}.jsonl", "".join(json.dumps(row, sort_keys=True) + "\n" for row in splits[name])
            )
        settings = _settings(utterances, speeds, keep, sample_rate, seconds, seed)
        write_json(folder / "build.json", {"settings": settings, "pseudo": len(splits["pseudo"]), "right": right})


def read_rows(folder: Path, split: str) -> list[Row]:
    """The rows of a split.

    Raises:
        FileNotFoundError: The clips have not been built.
    """
    path = folder / f"{split}.jsonl"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: run the stage create_dataset first")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def _folder(recipe_dir: str | Path) -> Path:
    return Path(recipe_dir) / "data" / "clips"


def _source(recipe_dir: str | Path, utterances: int, seed: int) -> tuple[Any, dict[str, Any]]:
    builder = load_dataset_module(_SOURCE, recipe_dir).DatasetBuilder()
    folder = Path(recipe_dir) / "source"
    return builder, {"recipe_dir": folder, "utterances": utterances, "sample_rate": 16_000, "seed": seed}


def _settings(
    utterances: int, speeds: tuple[float, ...], keep: float, sample_rate: int, seconds: float, seed: int
) -> Mapping[str, Any]:
    return {
        "utterances": utterances,
        "speeds": list(speeds),
        "keep": keep,
        "sample_rate": sample_rate,
        "seconds": seconds,
        "seed": seed,
    }


def _jobs(source: Path, speeds: tuple[float, ...]) -> list[tuple[str, Row]]:
    """What is made of the source: the split that it goes into, and the recording with its first digit and a speed."""
    train, valid, test = (_recordings(source, split) for split in ("train", "valid", "test"))
    half = len(train) // 2
    return [
        *(("labelled", {**row, "speed": speed}) for row in train[:half] for speed in speeds),
        *(("unlabelled", {**row, "speed": 1.0}) for row in train[half:]),
        *(("valid", {**row, "speed": 1.0}) for row in valid),
        *(("fast", {**row, "speed": _FAST}) for row in test),
    ]


def _recordings(source: Path, split: str) -> list[Row]:
    with (source / split / "manifest.tsv").open(encoding="utf-8", newline="") as handle:
        rows = csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [{"utt_id": row["utt_id"], "text": row["text"].split()[0], "wav": row["wav"]} for row in rows]


def _labelled_by_machine(folder: Path, labelled: list[Row], unlabelled: list[Row], keep: float) -> list[Row]:
    def features(rows: list[Row]) -> Any:
        return np.stack([spectrogram(read_wav(folder / row["wav"])[0]) for row in rows])

    found = pseudo_labels(features(labelled), [row["text"] for row in labelled], features(unlabelled), keep)
    return [{**unlabelled[place], "text": label, "clearness": round(clear, 4)} for place, label, clear in found]
