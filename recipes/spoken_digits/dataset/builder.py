"""Builds the spoken digits: plans every utterance, has it spoken, and writes audio and manifests.

Under `<recipe_dir>/data`:

    wav/<split>/<utt_id>-<hash of its parameters>.wav
    <split>/manifest.tsv        one row an utterance: what was said and how it was made
    build.json                  the settings of a finished build, written last

Every file appears whole or not at all, and an utterance depends on its parameters alone. A build that was killed
therefore goes on where it stopped, and ends with the same bytes as one that was not.
"""

import json
from pathlib import Path

from esp3rt.files import remove_partials, write_json, write_text
from esp3rt.progress import Progress
from espnet3.components.data.dataset_builder import DatasetBuilder

from . import espeak
from .plan import RECIPE_VERSION, SPLITS, Utterance, plan_split
from .sound import record, whole_samples, write_wav
from .voices import SEEN_VARIANTS, UNSEEN_VARIANTS

MANIFEST_COLUMNS = ("utt_id", "text", "wav", "voice", "pitch", "speed", "snr", "seed", "samples")

_LOWEST_SAMPLE_RATE = 8_000


class SpokenDigitsBuilder(DatasetBuilder):
    """Strings of digits spoken by eSpeak NG with many voices, pitches, speeds and amounts of noise.

    The splits `train`, `valid` and `test` share their voices; the voices of `test_unseen` are in no other split.

    Every method takes the same settings, and names them so that a misspelt one is refused:

    - `recipe_dir`: the recipe's folder; everything is written under its `data`.
    - `utterances`: the size of the training set; each test set has a tenth of it, `valid` a twentieth.
    - `sample_rate`: of the audio, in Hz.
    - `seed`: the same seed gives the same data.
    """

    def is_source_prepared(  # type: ignore[override]
        self,
        *,
        recipe_dir: str | Path = ".",
        utterances: int = 2000,
        sample_rate: int = 16_000,
        seed: int = 2026,
    ) -> bool:
        """Whether eSpeak NG is installed, or no longer needed because the data is built."""
        return espeak.is_installed() or self.is_built(
            recipe_dir=recipe_dir, utterances=utterances, sample_rate=sample_rate, seed=seed
        )

    def prepare_source(  # type: ignore[override]
        self,
        *,
        recipe_dir: str | Path = ".",
        utterances: int = 2000,
        sample_rate: int = 16_000,
        seed: int = 2026,
    ) -> None:
        """Check that eSpeak NG has every voice that the recipe needs; there is nothing to download.

        Raises:
            SpeechError: eSpeak NG is not installed, or lacks voices.
        """
        espeak.require(SEEN_VARIANTS + UNSEEN_VARIANTS)

    def is_built(  # type: ignore[override]
        self,
        *,
        recipe_dir: str | Path = ".",
        utterances: int = 2000,
        sample_rate: int = 16_000,
        seed: int = 2026,
    ) -> bool:
        """Whether a build with just these settings was finished and its files still have their sizes."""
        data = Path(recipe_dir) / "data"
        try:
            built = json.loads((data / "build.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return False
        if built != _settings(utterances, sample_rate, seed):
            return False
        return all(_is_whole(data, split) for split in SPLITS)

    def build(  # type: ignore[override]
        self,
        *,
        recipe_dir: str | Path = ".",
        utterances: int = 2000,
        sample_rate: int = 16_000,
        seed: int = 2026,
    ) -> None:
        """Make what is missing, and remove the audio of other settings.

        Raises:
            ValueError: `utterances` is less than one, or `sample_rate` too low for speech.
            SpeechError: eSpeak NG is not installed, or lacks a voice.
        """
        if sample_rate < _LOWEST_SAMPLE_RATE:
            raise ValueError(f"sample_rate = {sample_rate}: speech needs at least {_LOWEST_SAMPLE_RATE} Hz")
        plans = {
            split: plan_split(split, utterances=utterances, sample_rate=sample_rate, seed=seed) for split in SPLITS
        }
        espeak.require(SEEN_VARIANTS + UNSEEN_VARIANTS)
        data = Path(recipe_dir) / "data"
        # From here to the end the manifests may be of two builds, which must not pass for a finished one.
        (data / "build.json").unlink(missing_ok=True)
        with Progress("speak digits", sum(map(len, plans.values())), unit="utterances") as progress:
            for split, plan in plans.items():
                rows = []
                for utterance in plan:
                    rows.append(_row(utterance, _make(data, split, utterance), split))
                    progress.advance()
                write_text(data / split / "manifest.tsv", _table(rows))
        for split, plan in plans.items():
            _remove_others(data / "wav" / split, {utterance.file_name for utterance in plan})
            remove_partials(data / split)
        remove_partials(data)
        write_json(data / "build.json", _settings(utterances, sample_rate, seed))


def _settings(utterances: int, sample_rate: int, seed: int) -> dict[str, int]:
    return {"version": RECIPE_VERSION, "utterances": utterances, "sample_rate": sample_rate, "seed": seed}


def _make(data: Path, split: str, utterance: Utterance) -> int:
    """Make the audio of `utterance` unless it is there and whole; return its number of samples."""
    path = data / "wav" / split / utterance.file_name
    samples = whole_samples(path)
    if samples is not None:
        return samples
    speech = espeak.speak(utterance.text, voice=utterance.voice, pitch=utterance.pitch, speed=utterance.speed)
    recording = record(
        speech,
        rate=espeak.SAMPLE_RATE,
        sample_rate=utterance.sample_rate,
        snr=utterance.snr,
        seed=utterance.seed,
    )
    return write_wav(path, recording, utterance.sample_rate)


def _row(utterance: Utterance, samples: int, split: str) -> tuple[str, ...]:
    wav = f"wav/{split}/{utterance.file_name}"
    made = (utterance.pitch, utterance.speed, utterance.snr, utterance.seed, samples)
    return (utterance.utt_id, utterance.text, wav, utterance.voice, *map(str, made))


def _table(rows: list[tuple[str, ...]]) -> str:
    return "".join("\t".join(row) + "\n" for row in (MANIFEST_COLUMNS, *rows))


def _is_whole(data: Path, split: str) -> bool:
    try:
        lines = (data / split / "manifest.tsv").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return False
    wav, samples = MANIFEST_COLUMNS.index("wav"), MANIFEST_COLUMNS.index("samples")
    rows = [line.split("\t") for line in lines[1:]]
    return all(whole_samples(data / row[wav]) == int(row[samples]) for row in rows)


def _remove_others(folder: Path, keep: set[str]) -> None:
    remove_partials(folder)
    for path in folder.glob("*.wav"):
        if path.name not in keep:
            path.unlink()
