"""The loudness of utterances: results that need no writers, and results that only a stage's code needs."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from espnet3.parallel.base_runner import BaseRunner

from src.spectra import SpectraProvider


class LoudnessRunner(BaseRunner):
    """The mean level of an utterance, in decibels below full scale.

    It leaves all writer hooks as they are: its results are kept as lines of `records.jsonl`.
    """

    @staticmethod
    def forward(idx: int | Iterable[int], dataset: Any, **env: Any) -> Any:  # type: ignore[override]
        """The level of one utterance."""
        sample = dataset[idx]
        power = float(np.mean(np.square(sample["speech"], dtype=np.float64)))
        return {"utt_id": sample["utt_id"], "level_db": round(10 * float(np.log10(power + 1e-12)), 3)}


def print_loudest(config: Any) -> None:
    """A stage of the recipe: the loudest and the quietest utterance. Without an `output_dir` the results are a list."""
    provider = SpectraProvider(config)
    runner = LoudnessRunner(provider)
    levels = runner(range(len(runner.environment()["dataset"])))
    levels.sort(key=lambda level: (level["level_db"], level["utt_id"]))
    for name, level in (("quietest", levels[0]), ("loudest", levels[-1])):
        print(f"{name}: {level['utt_id']}, {level['level_db']} dB")
