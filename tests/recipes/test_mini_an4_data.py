"""The builder and the dataset of recipes/mini_an4, on archives made here and on the real one where it is."""

import csv
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

from espnet3.utils.errors import UserError

Load = Callable[[str], ModuleType]
Tree = Callable[[Path], dict[str, bytes]]

_PLACE = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "mini_an4.tar.gz"
ARCHIVE = Path(os.environ.get("MINI_AN4_ARCHIVE", _PLACE))

needs_archive = pytest.mark.skipif(
    not ARCHIVE.is_file(), reason=f"no AN4 archive at {ARCHIVE}; MINI_AN4_ARCHIVE names one"
)


@pytest.fixture
def load(
    importer_of: Callable[[str], Callable[[str], ModuleType]], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], ModuleType]:
    monkeypatch.delenv("MINI_AN4_ARCHIVE", raising=False)
    return importer_of("mini_an4")


@pytest.fixture
def builder(load: Load) -> Any:
    return load("dataset.builder").MiniAn4Builder()


def samples_of(number: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    return np.random.default_rng(number).integers(-9_000, 9_000, 400 + number).astype(np.int16)


def sphere(number: int, rate: int = 16_000) -> bytes:
    data = io.BytesIO()
    soundfile.write(data, samples_of(number), rate, format="NIST", subtype="PCM_16")
    return data.getvalue()


def an4_files(train: int, test: int, suffix: str) -> dict[str, bytes]:
    """AN4's files: `train` and `test` utterances as SPHERE or as bare big-endian samples."""
    files = {}
    for part, count, folder in (("train", train, "an4_clstk"), ("test", test, "an4test_clstk")):
        stems, lines = [], []
        for index in range(count):
            number = index + (1000 if part == "test" else 0)
            stems.append(f"{folder}/spk{index % 3}/an{number}-spk{index % 3}-b")
            words = "YES" if index % 2 else "ELEVEN SEVENTEEN"
            name = stems[-1].rpartition("/")[2]
            lines.append(f"<s> {words} </s> ({name})" if part == "train" else f"{words} ({name})")
            bare = samples_of(number).astype(">i2").tobytes()
            files[f"wav/{stems[-1]}{suffix}"] = bare if suffix == ".raw" else sphere(number)
        files[f"etc/an4_{part}.fileids"] = "".join(f"{stem}\n" for stem in stems).encode()
        files[f"etc/an4_{part}.transcription"] = "".join(f"{line}\n" for line in lines).encode()
    return files


def pack(path: Path, files: dict[str, bytes], root: str = "an4/") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(root + name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def rows_of(folder: Path, split: str) -> list[dict[str, str]]:
    with (folder / "data" / "an4" / split / "manifest.tsv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def make(builder: Any, **settings: Any) -> None:
    """What the stage create_dataset does."""
    if not builder.is_source_prepared(**settings):
        builder.prepare_source(**settings)
    if not builder.is_built(**settings):
        builder.build(**settings)


@pytest.mark.parametrize("suffix", [".sph", ".raw"])
def test_the_whole_layout_is_built_from_both_kinds_of_audio(
    load: Load, builder: Any, tmp_path: Path, suffix: str
) -> None:
    """A tenth of the training set becomes `valid`; samples and words arrive as they are in the archive."""
    settings = {"recipe_dir": tmp_path / "recipe", "archive": pack(tmp_path / "a.tgz", an4_files(40, 6, suffix))}
    assert not builder.is_source_prepared(**settings)
    assert not builder.is_built(**settings)

    make(builder, **settings)

    assert builder.is_source_prepared(**settings)
    assert builder.is_built(**settings)
    rows = {split: rows_of(tmp_path / "recipe", split) for split in ("train", "valid", "test")}
    assert {split: len(rows[split]) for split in rows} == {"train": 36, "valid": 4, "test": 6}
    names = [row["utt_id"] for split in rows for row in rows[split]]
    assert len(set(names)) == 46
    for row in [row for split in rows for row in rows[split]]:
        number = int(row["utt_id"].split("-")[0].removeprefix("an"))
        audio, rate = soundfile.read(tmp_path / "recipe" / "data" / "an4" / row["wav"], dtype="int16")
        assert rate == 16_000
        assert np.array_equal(audio, samples_of(number))
        assert int(row["samples"]) == len(audio)
        assert row["text"] == ("YES" if number % 2 else "ELEVEN SEVENTEEN")


def test_the_same_utterances_are_held_out_every_time(builder: Any, read_tree: Tree, tmp_path: Path) -> None:
    """Two builds of one archive have the same bytes."""
    archive = pack(tmp_path / "a.tgz", an4_files(12, 2, ".sph"))
    for name in ("one", "two"):
        make(builder, recipe_dir=tmp_path / name, archive=archive)

    assert read_tree(tmp_path / "one") == read_tree(tmp_path / "two")


def test_the_archive_is_found_by_each_of_its_names(
    builder: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The environment, `source/mini_an4.tar.gz` and `downloads.tar.gz` serve as well as the argument."""
    files = an4_files(3, 1, ".sph")
    for place in ("source/mini_an4.tar.gz", "downloads.tar.gz"):
        recipe = tmp_path / place.replace("/", "_")
        pack(recipe / place, files, root="downloads/an4/")
        make(builder, recipe_dir=recipe)
        assert len(rows_of(recipe, "test")) == 1

    monkeypatch.setenv("MINI_AN4_ARCHIVE", str(pack(tmp_path / "named.tgz", files)))
    make(builder, recipe_dir=tmp_path / "environment")
    assert len(rows_of(tmp_path / "environment", "test")) == 1


@pytest.mark.parametrize("archive", [None, "elsewhere.tgz"])
def test_a_missing_archive_says_where_it_comes_from(
    load: Load, builder: Any, tmp_path: Path, archive: str | None
) -> None:
    """The message names the places, the pages and the three ways to name it."""
    assert not builder.is_source_prepared(recipe_dir=tmp_path, archive=archive)
    with pytest.raises(load("dataset.archive").ArchiveError) as error:
        builder.prepare_source(recipe_dir=tmp_path, archive=archive)

    # The stage ends with such an error without a traceback.
    assert isinstance(error.value, UserError)
    message = str(error.value)
    assert (archive or str(tmp_path / "source" / "mini_an4.tar.gz")) in message
    for part in ("www.speech.cs.cmu.edu/databases/an4", "egs2/mini_an4/asr1", "MINI_AN4_ARCHIVE", "archive ="):
        assert part in message


def test_another_archive_is_unpacked_and_built_again(builder: Any, tmp_path: Path) -> None:
    """Utterances of the old archive do not stay behind."""
    recipe = tmp_path / "recipe"
    make(builder, recipe_dir=recipe, archive=pack(tmp_path / "large.tgz", an4_files(8, 3, ".sph")))
    small = pack(tmp_path / "small.tgz", an4_files(4, 1, ".sph"))
    assert not builder.is_source_prepared(recipe_dir=recipe, archive=small)

    make(builder, recipe_dir=recipe, archive=small)

    assert len(list((recipe / "data" / "an4" / "wav").iterdir())) == 5
    assert len(rows_of(recipe, "train")) == 3


def test_built_data_needs_no_archive(builder: Any, tmp_path: Path) -> None:
    """The archive and what was unpacked can be thrown away."""
    archive = pack(tmp_path / "recipe" / "downloads.tar.gz", an4_files(4, 1, ".sph"))
    make(builder, recipe_dir=tmp_path / "recipe")
    archive.unlink()
    assert builder.is_source_prepared(recipe_dir=tmp_path / "recipe")

    (tmp_path / "recipe" / "source" / "prepared.json").unlink()
    assert builder.is_source_prepared(recipe_dir=tmp_path / "recipe")
    assert builder.is_built(recipe_dir=tmp_path / "recipe")


@pytest.mark.parametrize("name", ["wav/../../evil", "wav/../../../../evil", "wav//../../evil"])
def test_a_path_that_leads_out_of_the_folder_is_refused(load: Load, builder: Any, tmp_path: Path, name: str) -> None:
    """Nothing is written outside, and the source does not count as prepared."""
    archive = pack(tmp_path / "a.tgz", {**an4_files(2, 1, ".sph"), name: b"evil"})
    recipe = tmp_path / "deep" / "recipe"

    with pytest.raises(load("dataset.archive").ArchiveError, match="evil"):
        builder.prepare_source(recipe_dir=recipe, archive=archive)

    assert list(tmp_path.rglob("evil*")) == []
    assert not builder.is_source_prepared(recipe_dir=recipe, archive=archive)


def test_a_broken_or_foreign_archive_is_refused(load: Load, builder: Any, tmp_path: Path) -> None:
    """A cut-off download, a file that is no archive, an archive of something else."""
    error = load("dataset.archive").ArchiveError
    whole = pack(tmp_path / "whole.tgz", an4_files(20, 2, ".sph")).read_bytes()
    (tmp_path / "cut.tgz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "page.tgz").write_text("<html>404</html>")
    pack(tmp_path / "other.tgz", {"README": b"hello"})
    for name, message in [("cut", "cannot be unpacked"), ("page", "cannot be unpacked"), ("other", "not AN4")]:
        settings = {"recipe_dir": tmp_path / name, "archive": tmp_path / f"{name}.tgz"}
        with pytest.raises(error, match=message):
            builder.prepare_source(**settings)
        assert not builder.is_source_prepared(**settings)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"etc/an4_train.transcription": b"<s> YES </s>\n"}, "TranscriptError", r"transcription:1: '<s> YES"),
        ({"etc/an4_test.transcription": b"YES (an7-x-b)\n"}, "TranscriptError", r"fileids:1: an1000-spk0-b"),
        ({"wav/an4_clstk/spk0/an0-spk0-b.sph": sphere(0, 8_000)}, "SoundError", "8000 Hz"),
        ({"wav/an4_clstk/spk0/an0-spk0-b.sph": b"NIST_1A\n"}, "SoundError", "cannot be read"),
        ({"wav/an4_clstk/spk0/an0-spk0-b.sph": None}, "SoundError", "not in the archive"),
    ],
)
def test_a_fault_in_the_archive_names_its_place(
    load: Load, builder: Any, tmp_path: Path, change: dict[str, bytes | None], error: str, message: str
) -> None:
    """The list and its line, or the recording."""
    files = {**an4_files(3, 1, ".sph"), **change}
    archive = pack(tmp_path / "a.tgz", {name: data for name, data in files.items() if data is not None})
    kinds = {**vars(load("dataset.transcripts")), **vars(load("dataset.sound"))}

    with pytest.raises(kinds[error], match=message):
        make(builder, recipe_dir=tmp_path / "recipe", archive=archive)

    assert not builder.is_built(recipe_dir=tmp_path / "recipe", archive=archive)


def test_truncated_audio_is_made_again(builder: Any, read_tree: Tree, tmp_path: Path) -> None:
    """A WAV file that is cut short is noticed, and comes back with the same bytes."""
    settings = {"recipe_dir": tmp_path / "recipe", "archive": pack(tmp_path / "a.tgz", an4_files(4, 1, ".sph"))}
    make(builder, **settings)
    whole = read_tree(tmp_path / "recipe")
    victim = tmp_path / "recipe" / "data" / "an4" / rows_of(tmp_path / "recipe", "train")[0]["wav"]
    victim.write_bytes(victim.read_bytes()[:-2])

    assert not builder.is_built(**settings)
    make(builder, **settings)

    assert builder.is_built(**settings)
    assert read_tree(tmp_path / "recipe") == whole


def test_a_killed_build_goes_on_to_the_same_bytes(
    builder: Any, read_tree: Tree, kill_while_running: Callable[..., int], tmp_path: Path
) -> None:
    """SIGKILL while unpacking and while converting, then a build: the tree of a build that was left alone."""
    archive = pack(tmp_path / "a.tgz", an4_files(150, 30, ".sph"))
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    disturbed.mkdir()
    code = (
        "from dataset.builder import MiniAn4Builder\n"
        f"settings = dict(recipe_dir={str(disturbed)!r}, archive={str(archive)!r})\n"
        "builder = MiniAn4Builder()\n"
        "builder.is_source_prepared(**settings) or builder.prepare_source(**settings)\n"
        "builder.build(**settings)\n"
    )
    killed = kill_while_running("mini_an4", code, disturbed, moments=[1, 40, 150, 20], environment={})

    assert killed == 4
    assert not builder.is_built(recipe_dir=disturbed, archive=archive)
    make(builder, recipe_dir=disturbed, archive=archive)
    make(builder, recipe_dir=undisturbed, archive=archive)
    assert read_tree(disturbed) == read_tree(undisturbed)


def test_dataset_items_splits_and_repeats(load: Load, builder: Any, tmp_path: Path) -> None:
    """An item has a name, speech as float32[time] and words; `repeats` makes an epoch longer."""
    dataset = load("dataset.dataset").MiniAn4
    with pytest.raises(FileNotFoundError, match="create_dataset"):
        dataset(split="train", recipe_dir=tmp_path)
    make(builder, recipe_dir=tmp_path, archive=pack(tmp_path / "a.tgz", an4_files(4, 2, ".sph")))

    test = dataset(split="test", recipe_dir=tmp_path)
    assert len(test) == 2
    assert {key: test[0][key] for key in ("utt_id", "text")} == {
        "utt_id": "an1000-spk0-b",
        "text": "ELEVEN SEVENTEEN",
    }
    assert test[0]["speech"].dtype == np.float32
    assert np.array_equal(test[0]["speech"] * 32768, samples_of(1000))

    train = dataset(split="train", recipe_dir=tmp_path, repeats=3)
    assert [train[i]["utt_id"] for i in range(len(train))] == [row["utt_id"] for row in rows_of(tmp_path, "train")] * 3
    with pytest.raises(ValueError, match="'dev'; it has train, valid, test"):
        dataset(split="dev", recipe_dir=tmp_path)
    with pytest.raises(ValueError, match="repeats = 0"):
        dataset(split="train", recipe_dir=tmp_path, repeats=0)


@needs_archive
def test_the_real_archive(load: Load, builder: Any, tmp_path: Path) -> None:
    """The real archive's utterances: 16 kHz speech of a plausible length and level, words in capitals."""
    make(builder, recipe_dir=tmp_path, archive=ARCHIVE)
    dataset = load("dataset.dataset").MiniAn4
    splits = {split: dataset(split=split, recipe_dir=tmp_path) for split in ("train", "valid", "test")}

    assert json.loads((tmp_path / "data" / "an4" / "build.json").read_text())["archive"] == ARCHIVE.name
    listed = (tmp_path / "source" / "an4" / "etc" / "an4_train.fileids").read_text().split()
    assert len(splits["train"]) + len(splits["valid"]) == len(listed)
    items = [data[index] for data in splits.values() for index in range(len(data))]
    assert len({item["utt_id"] for item in items}) == len(items)
    for item in items:
        assert 0.3 < len(item["speech"]) / 16_000 < 30
        assert 0.01 < np.abs(item["speech"]).max() <= 1.0
        assert item["text"] == item["text"].upper().strip() != ""
