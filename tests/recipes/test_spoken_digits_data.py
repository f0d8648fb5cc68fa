"""The builder and the dataset of recipes/spoken_digits."""

import csv
import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None,
    reason="espeakng-loader is not installed (pip install 'esp3c[espeak]')",
)

SETTINGS: dict[str, Any] = {"utterances": 12, "sample_rate": 16_000, "seed": 5}


@pytest.fixture
def load(importer_of: Callable[[str], Callable[[str], ModuleType]]) -> Callable[[str], ModuleType]:
    return importer_of("spoken_digits")


@pytest.fixture
def builder(load: Callable[[str], ModuleType]) -> Any:
    return load("dataset.builder").SpokenDigitsBuilder()


def rows_of(folder: Path, split: str) -> list[dict[str, str]]:
    with (folder / "data" / split / "manifest.tsv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def test_plan_has_enough_words_and_strangers_in_test_unseen(load: Callable[[str], ModuleType]) -> None:
    """With the default size each test set has 500 words or more, and test_unseen has voices of its own."""
    plan = load("dataset.plan")
    splits = {split: plan.plan_split(split, utterances=2000, sample_rate=16_000, seed=2026) for split in plan.SPLITS}

    words = {split: sum(len(u.text.split()) for u in splits[split]) for split in ("test", "test_unseen")}
    assert min(words.values()) >= 500

    variants = {split: {u.voice.partition("+")[2] for u in splits[split]} for split in plan.SPLITS}
    assert not variants["test_unseen"] & (variants["train"] | variants["valid"] | variants["test"])
    assert variants["test"] <= variants["train"]


def test_plan_of_an_utterance_depends_on_seed_split_and_index_alone(load: Callable[[str], ModuleType]) -> None:
    """A larger data set holds the smaller one; another seed gives another one."""
    plan = load("dataset.plan")
    small = plan.plan_split("train", utterances=5, sample_rate=16_000, seed=1)
    large = plan.plan_split("train", utterances=9, sample_rate=16_000, seed=1)
    other = plan.plan_split("train", utterances=5, sample_rate=16_000, seed=2)

    assert large[:5] == small
    assert [u.text for u in other] != [u.text for u in small]
    assert len({u.file_name for u in [*large, *other]}) == 14


def test_plan_refuses_an_empty_training_set(load: Callable[[str], ModuleType]) -> None:
    """The message names the setting and its value."""
    with pytest.raises(ValueError, match="utterances = 0"):
        load("dataset.plan").split_sizes(0)


@pytest.mark.parametrize("new_rate", [8_000, 16_000, 44_100])
def test_resample_keeps_a_tone_and_removes_what_the_new_rate_cannot_hold(
    load: Callable[[str], ModuleType], new_rate: int
) -> None:
    """1 kHz comes out as it went in; 9 kHz is gone from 8 and 16 kHz audio."""
    sound = load("dataset.sound")
    times = np.arange(20_011) / 22_050
    new_times = np.arange(int(20_011 * new_rate / 22_050)) / new_rate
    fade, new_fade = np.sin(np.pi * times / times[-1]) ** 2, np.sin(np.pi * new_times / times[-1]) ** 2

    low = sound.resample(np.sin(2 * np.pi * 1_000 * times) * fade, 22_050, new_rate)
    high = sound.resample(np.sin(2 * np.pi * 9_000 * times) * fade, 22_050, new_rate)

    expected = np.sin(2 * np.pi * 1_000 * new_times) * new_fade
    assert np.abs(low[: len(expected)] - expected).max() < 1e-3
    loudest = np.abs(high).max()
    assert loudest > 0.9 if new_rate > 18_000 else loudest < 1e-3


@pytest.mark.parametrize("snr", [0.0, 10.0, 30.0])
def test_record_adds_noise_at_the_wanted_level(load: Callable[[str], ModuleType], snr: float) -> None:
    """The noise's power is `snr` dB below the speech's, and the peak stays the same."""
    sound = load("dataset.sound")
    speech = (10_000 * np.sin(np.arange(30_000) / 10)).astype(np.int16)
    make = {"rate": 22_050, "sample_rate": 16_000, "seed": 3}
    clean = sound.record(speech, snr=200.0, **make)
    noisy = sound.record(speech, snr=snr, **make)

    # Both are scaled to the same peak: the noise is what is left of `noisy` without its part along `clean`.
    along = clean * (noisy @ clean) / (clean @ clean)
    measured = 10 * np.log10(np.mean(along**2) / np.mean((noisy - along) ** 2))
    assert measured == pytest.approx(snr, abs=0.5)
    assert np.abs(noisy).max() == pytest.approx(0.5)


@needs_espeak
def test_speak_says_the_same_whatever_was_said_before(load: Callable[[str], ModuleType]) -> None:
    """eSpeak NG keeps state between utterances; none of it may reach the samples."""
    espeak = load("dataset.espeak")
    voices = ["en-us+caleb", "en-gb-scotland+klatt4", "en+announcer", "en-us+f3"]

    def say(voice: str) -> bytes:
        return bytes(espeak.speak("3 1 4", voice=voice, pitch=50, speed=170).tobytes())

    first = [say(voice) for voice in voices]
    again = [say(voice) for voice in reversed(voices)][::-1]

    assert again == first
    assert len(set(first)) == 4


@needs_espeak
@pytest.mark.parametrize(("voice", "message"), [("en-us+nobody", "variant nobody"), ("xx+f3", "accent 'xx'")])
def test_speak_refuses_a_voice_that_is_not_there(load: Callable[[str], ModuleType], voice: str, message: str) -> None:
    """eSpeak NG itself would take another voice for an unknown variant."""
    espeak = load("dataset.espeak")

    with pytest.raises(espeak.SpeechError, match=message):
        espeak.speak("1 2", voice=voice, pitch=50, speed=170)


def test_missing_espeak_says_what_to_install_and_why(
    load: Callable[[str], ModuleType], builder: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before the data is built, eSpeak NG is needed."""
    espeak = load("dataset.espeak")
    monkeypatch.setattr(espeak.importlib.util, "find_spec", lambda name: None)

    assert not builder.is_source_prepared(recipe_dir=tmp_path, **SETTINGS)
    with pytest.raises(espeak.SpeechError, match=r"GPL.*pip install 'esp3c\[espeak\]'"):
        builder.prepare_source(recipe_dir=tmp_path, **SETTINGS)


@needs_espeak
def test_built_data_needs_no_espeak(
    load: Callable[[str], ModuleType], builder: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Data that was built elsewhere can be used where eSpeak NG is not installed."""
    builder.build(recipe_dir=tmp_path, **SETTINGS)
    monkeypatch.setattr(load("dataset.espeak").importlib.util, "find_spec", lambda name: None)

    assert builder.is_source_prepared(recipe_dir=tmp_path, **SETTINGS)


@needs_espeak
def test_build_writes_manifests_that_say_how_each_utterance_was_made(
    load: Callable[[str], ModuleType], builder: Any, tmp_path: Path
) -> None:
    """Every row has the plan's parameters, and the audio is there with as many samples as the row says."""
    soundfile = pytest.importorskip("soundfile")
    plan = load("dataset.plan")
    assert builder.is_source_prepared(recipe_dir=tmp_path, **SETTINGS)
    assert not builder.is_built(recipe_dir=tmp_path, **SETTINGS)

    builder.build(recipe_dir=tmp_path, **SETTINGS)

    assert builder.is_built(recipe_dir=tmp_path, **SETTINGS)
    for split in plan.SPLITS:
        planned = plan.plan_split(split, **SETTINGS)
        rows = rows_of(tmp_path, split)
        assert [(row["utt_id"], row["text"], row["voice"]) for row in rows] == [
            (u.utt_id, u.text, u.voice) for u in planned
        ]
        assert [(int(r["pitch"]), int(r["speed"]), float(r["snr"]), int(r["seed"])) for r in rows] == [
            (u.pitch, u.speed, u.snr, u.seed) for u in planned
        ]
        for row in rows:
            info = soundfile.info(tmp_path / "data" / row["wav"])
            assert (info.samplerate, info.subtype, info.frames) == (16_000, "PCM_16", int(row["samples"]))


@needs_espeak
def test_other_settings_are_another_build(
    builder: Any, read_tree: Callable[[Path], dict[str, bytes]], tmp_path: Path
) -> None:
    """A larger data set keeps the audio it has; another seed or sample rate leaves nothing of the old."""
    small, fresh = tmp_path / "small", tmp_path / "fresh"
    builder.build(recipe_dir=small, **SETTINGS)
    audio = {path: path.stat().st_mtime_ns for path in small.rglob("*.wav")}
    changes = [{"utterances": 14}, {"utterances": 14, "seed": 6}, {"utterances": 12, "sample_rate": 8_000}]
    for step, change in enumerate(changes):
        settings = {**SETTINGS, **change}
        assert not builder.is_built(recipe_dir=small, **settings)
        builder.build(recipe_dir=small, **settings)
        assert builder.is_built(recipe_dir=small, **settings)
        if step == 0:
            assert {path: path.stat().st_mtime_ns for path in audio} == audio

        builder.build(recipe_dir=fresh / str(step), **settings)
        assert read_tree(small) == read_tree(fresh / str(step))


@needs_espeak
def test_a_build_of_an_older_plan_is_no_build(
    load: Callable[[str], ModuleType], builder: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same settings may stand for other samples in a later version of the recipe."""
    builder.build(recipe_dir=tmp_path, **SETTINGS)
    monkeypatch.setattr(load("dataset.builder"), "RECIPE_VERSION", 2)

    assert not builder.is_built(recipe_dir=tmp_path, **SETTINGS)


@needs_espeak
def test_half_of_another_build_does_not_pass_for_the_old_one(
    load: Callable[[str], ModuleType], builder: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Once a build with other settings has begun, the old settings' data is no longer whole."""
    builder.build(recipe_dir=tmp_path, **SETTINGS)
    espeak = load("dataset.espeak")
    speak, said = espeak.speak, []

    def speak_until_the_valid_split(*args: Any, **kwargs: Any) -> Any:
        said.append(args)
        if len(said) > 12:
            raise KeyboardInterrupt
        return speak(*args, **kwargs)

    monkeypatch.setattr(espeak, "speak", speak_until_the_valid_split)
    with pytest.raises(KeyboardInterrupt):
        builder.build(recipe_dir=tmp_path, **{**SETTINGS, "seed": 6})

    assert rows_of(tmp_path, "train")[0]["seed"] != rows_of(tmp_path, "valid")[0]["seed"]
    assert not builder.is_built(recipe_dir=tmp_path, **SETTINGS)
    assert not builder.is_built(recipe_dir=tmp_path, **{**SETTINGS, "seed": 6})


@needs_espeak
@pytest.mark.parametrize("damage", ["truncated", "gone", "manifest gone"])
def test_damaged_data_is_made_again(
    builder: Any, read_tree: Callable[[Path], dict[str, bytes]], tmp_path: Path, damage: str
) -> None:
    """What is missing or cut short is noticed, and made again with the same bytes."""
    builder.build(recipe_dir=tmp_path, **SETTINGS)
    whole = read_tree(tmp_path)
    victim = tmp_path / "data" / rows_of(tmp_path, "train")[3]["wav"]
    if damage == "truncated":
        victim.write_bytes(victim.read_bytes()[:-1000])
    elif damage == "gone":
        victim.unlink()
    else:
        (tmp_path / "data" / "valid" / "manifest.tsv").unlink()

    assert not builder.is_built(recipe_dir=tmp_path, **SETTINGS)
    builder.build(recipe_dir=tmp_path, **SETTINGS)

    assert builder.is_built(recipe_dir=tmp_path, **SETTINGS)
    assert read_tree(tmp_path) == whole


@needs_espeak
def test_a_killed_build_goes_on_to_the_same_bytes(
    builder: Any,
    read_tree: Callable[[Path], dict[str, bytes]],
    kill_while_running: Callable[..., int],
    tmp_path: Path,
) -> None:
    """SIGKILL at several moments, then a build: the tree is that of a build that was left alone."""
    settings = {**SETTINGS, "utterances": 60}
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    disturbed.mkdir()
    code = (
        "from dataset.builder import SpokenDigitsBuilder\n"
        f"SpokenDigitsBuilder().build(recipe_dir={str(disturbed)!r}, **{settings!r})\n"
    )
    killed = kill_while_running("spoken_digits", code, disturbed, moments=[1, 9, 2, 23], environment={})

    assert killed == 4
    assert not builder.is_built(recipe_dir=disturbed, **settings)
    builder.build(recipe_dir=disturbed, **settings)
    builder.build(recipe_dir=undisturbed, **settings)
    assert builder.is_built(recipe_dir=disturbed, **settings)
    assert read_tree(disturbed) == read_tree(undisturbed)


@needs_espeak
def test_items_hold_what_the_model_needs(load: Callable[[str], ModuleType], builder: Any, tmp_path: Path) -> None:
    """An item has a name, speech as float32[time], and the digits that are spoken."""
    builder.build(recipe_dir=tmp_path, **SETTINGS)
    data = load("dataset.dataset").SpokenDigits(split="train", recipe_dir=tmp_path)
    rows = rows_of(tmp_path, "train")

    assert len(data) == 12
    for item, row in zip((data[index] for index in range(12)), rows, strict=True):
        assert set(item) == {"utt_id", "speech", "text"}
        assert (item["utt_id"], item["text"]) == (row["utt_id"], row["text"])
        assert item["speech"].dtype == np.float32
        assert item["speech"].shape == (int(row["samples"]),)
        assert np.abs(item["speech"]).max() == pytest.approx(0.5, abs=0.01)
    with pytest.raises(IndexError):
        data[12]


def test_dataset_names_its_splits_and_the_missing_stage(load: Callable[[str], ModuleType], tmp_path: Path) -> None:
    """An unknown split and data that is not built are told apart."""
    dataset = load("dataset.dataset").SpokenDigits

    with pytest.raises(ValueError, match="'tset'; it has train, valid, test, test_unseen"):
        dataset(split="tset", recipe_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match="create_dataset"):
        dataset(split="test", recipe_dir=tmp_path)
