"""Builds AN4: unpacks the archive, converts its audio to WAV, and writes the manifests of three splits.

Under `<recipe_dir>`:

    source/an4/...                  what was unpacked; source/prepared.json is written last
    data/an4/wav/<utt_id>.wav
    data/an4/<split>/manifest.tsv   utt_id, text, wav, samples
    data/an4/build.json             which archive it was built from, written last

Every file appears whole or not at all, and a killed build goes on where it stopped.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from esp3rt.files import remove_partials, write_json, write_text
from esp3rt.progress import Progress
from espnet3.components.data.dataset_builder import DatasetBuilder

from .archive import archive_facts, find_archive, require_archive, unpack
from .sound import convert, count_samples, find_recording, whole_samples
from .transcripts import Recording, read_recordings

SPLITS = ("train", "valid", "test")
MANIFEST_COLUMNS = ("utt_id", "text", "wav", "samples")

_TRAIN_PER_VALID = 10


class MiniAn4Builder(DatasetBuilder):
    """AN4 from its archive: the whole of it, or the few utterances of `mini_an4`.

    `test` is AN4's own test set. A tenth of AN4's training set, but at least one utterance, becomes `valid`; which
    ones is settled by their names.

    Every method takes the same settings, and names them so that a misspelt one is refused:

    - `recipe_dir`: the recipe's folder; everything is written under its `source` and `data`.
    - `archive`: the archive. Without it, the environment's `MINI_AN4_ARCHIVE` is taken, or else
      `<recipe_dir>/source/mini_an4.tar.gz` or `<recipe_dir>/downloads.tar.gz`.
    """

    def is_source_prepared(  # type: ignore[override]
        self, *, recipe_dir: str | Path = ".", archive: str | Path | None = None
    ) -> bool:
        """Whether this archive was unpacked; without an archive, whether any was, or the data is built."""
        prepared: object = _read_json(Path(recipe_dir) / "source" / "prepared.json")
        found = find_archive(Path(recipe_dir), archive)
        if found is not None:
            return prepared == archive_facts(found)
        return archive is None and (prepared is not None or self.is_built(recipe_dir=recipe_dir))

    def prepare_source(  # type: ignore[override]
        self, *, recipe_dir: str | Path = ".", archive: str | Path | None = None
    ) -> None:
        """Unpack the archive into `source`.

        Raises:
            ArchiveError: There is no archive, or it is not AN4's.
        """
        unpack(require_archive(Path(recipe_dir), archive), Path(recipe_dir) / "source")

    def is_built(  # type: ignore[override]
        self, *, recipe_dir: str | Path = ".", archive: str | Path | None = None
    ) -> bool:
        """Whether a build of what is unpacked was finished and its audio still has its size."""
        data = Path(recipe_dir) / "data" / "an4"
        built = _read_json(data / "build.json")
        prepared: object = _read_json(Path(recipe_dir) / "source" / "prepared.json")
        if built is None or (prepared is not None and built != prepared):
            return False
        return all(_is_whole(data, split) for split in SPLITS)

    def build(  # type: ignore[override]
        self, *, recipe_dir: str | Path = ".", archive: str | Path | None = None
    ) -> None:
        """Convert the audio that is missing, and write the manifests.

        Raises:
            ArchiveError: The archive is not unpacked and not there either.
            TranscriptError: A list of AN4 cannot be read.
            SoundError: A recording is missing or cannot be read.
        """
        source, data = Path(recipe_dir) / "source", Path(recipe_dir) / "data" / "an4"
        if not self.is_source_prepared(recipe_dir=recipe_dir, archive=archive):
            self.prepare_source(recipe_dir=recipe_dir, archive=archive)
        splits = _split(source / "an4")
        # From here to the end the manifests may be of two builds, which must not pass for a finished one.
        (data / "build.json").unlink(missing_ok=True)
        with Progress("convert AN4", sum(map(len, splits.values())), unit="utterances") as progress:
            for split, recordings in splits.items():
                rows = [MANIFEST_COLUMNS]
                for recording in recordings:
                    wav = f"wav/{recording.utt_id}.wav"
                    samples = _make(find_recording(source / "an4", recording.stem), data / wav)
                    rows.append((recording.utt_id, recording.text, wav, str(samples)))
                    progress.advance()
                write_text(data / split / "manifest.tsv", "".join("\t".join(row) + "\n" for row in rows))
                remove_partials(data / split)
        _remove_others(data / "wav", {f"{r.utt_id}.wav" for part in splits.values() for r in part})
        remove_partials(data)
        write_json(data / "build.json", _read_json(source / "prepared.json"))


def _split(an4: Path) -> dict[str, list[Recording]]:
    train = read_recordings(an4, "train")
    by_hash = sorted(train, key=lambda recording: hashlib.sha256(recording.utt_id.encode()).digest())
    held_out = {recording.utt_id for recording in by_hash[: max(1, len(train) // _TRAIN_PER_VALID)]}
    return {
        "train": [recording for recording in train if recording.utt_id not in held_out],
        "valid": [recording for recording in train if recording.utt_id in held_out],
        "test": read_recordings(an4, "test"),
    }


def _make(recording: Path, wav: Path) -> int:
    """Convert `recording` unless `wav` is there and whole; return its number of samples."""
    samples = whole_samples(wav)
    if samples is not None and samples == count_samples(recording):
        return samples
    return convert(recording, wav)


def _is_whole(data: Path, split: str) -> bool:
    try:
        lines = (data / split / "manifest.tsv").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    rows = [dict(zip(MANIFEST_COLUMNS, line.split("\t"), strict=True)) for line in lines[1:]]
    return all(whole_samples(data / row["wav"]) == int(row["samples"]) for row in rows)


def _remove_others(folder: Path, keep: set[str]) -> None:
    remove_partials(folder)
    for path in folder.glob("*.wav"):
        if path.name not in keep:
            path.unlink()


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
