"""Makes the melodies: strings of tones with a little noise, as 16-bit WAV files and a manifest a split."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from esp3rt.files import replacing, write_text
from esp3rt.progress import track
from espnet3.components.data.dataset_builder import DatasetBuilder

PARTS = {"train": 0.8, "valid": 0.1, "test": 0.1}


class MelodiesBuilder(DatasetBuilder):
    """Writes `data/<name>/<split>.jsonl` and `data/<name>/wav/<split>/*.wav` under the recipe's folder.

    `name` keeps two datasets of this kind apart; `dataset.dataset.Melodies` takes the same one.
    """

    def is_source_prepared(self, **kwargs: Any) -> bool:
        """The source is a random generator: nothing has to be fetched."""
        return True

    def prepare_source(self, **kwargs: Any) -> None:
        """Has nothing to do."""

    def is_built(
        self,
        recipe_dir: str | Path,
        melodies: int,
        sample_rate: int,
        notes: str,
        name: str = "melodies",
        **kwargs: Any,
    ) -> bool:
        """Whether the manifests are those of these settings. A manifest is written after all its audio."""
        settings = _settings(melodies, sample_rate, notes)
        return all(_head(Path(recipe_dir) / "data" / name / f"{split}.jsonl") == settings for split in PARTS)

    def build(
        self,
        recipe_dir: str | Path,
        melodies: int,
        sample_rate: int,
        notes: str,
        name: str = "melodies",
        **kwargs: Any,
    ) -> None:
        """Writes what is missing."""
        data_dir = Path(recipe_dir) / "data" / name
        settings = _settings(melodies, sample_rate, notes)
        names = notes.split()
        for split, part in PARTS.items():
            rows: list[str] = [settings]
            for index in track(range(round(melodies * part)), label=f"melodies for {split}", unit="files"):
                rng = random.Random(f"{split}/{index}")
                words = [rng.choice(names) for _ in range(rng.randint(3, 6))]
                path = data_dir / "wav" / split / f"{split}-{index:04d}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                with replacing(path, mode="wb") as handle:
                    wave = melody([names.index(word) for word in words], sample_rate, rng)
                    soundfile.write(handle, wave, sample_rate, format="WAV", subtype="PCM_16")
                row = {
                    "utt_id": path.stem,
                    "text": " ".join(words),
                    "wav": path.relative_to(data_dir).as_posix(),
                }
                rows.append(json.dumps(row))
            write_text(data_dir / f"{split}.jsonl", "\n".join(rows) + "\n")


def melody(steps: list[int], sample_rate: int, rng: random.Random) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The tones of a major scale, one after the other, each of another length and tuning, with noise.

    Returns:
        float32 samples between -1 and 1, shape (time,).
    """
    scale = [0, 2, 4, 5, 7, 9, 11]
    pieces = []
    for step in steps:
        seconds = rng.uniform(0.12, 0.25)
        frequency = 440.0 * 2 ** ((scale[step % 7] + 12 * (step // 7) + rng.uniform(-0.15, 0.15)) / 12)
        time = np.arange(int(seconds * sample_rate)) / sample_rate
        pieces.append(np.sin(2 * np.pi * frequency * time) * np.hanning(len(time)))
        pieces.append(np.zeros(int(rng.uniform(0.03, 0.08) * sample_rate)))
    wave = np.concatenate(pieces)
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, 0.05, len(wave))
    return (0.7 * wave + noise).clip(-1, 1).astype(np.float32)


def _settings(melodies: int, sample_rate: int, notes: str) -> str:
    return json.dumps({"melodies": melodies, "sample_rate": sample_rate, "notes": notes})


def _head(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open(encoding="utf-8") as handle:
        return handle.readline().rstrip("\n")
