"""The metric that WER and CER are, up to what they count."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from espnet3.components.metrics.base_metric import BaseMetric
from espnet3.systems.asr.metrics._alignment import cleaner, count_errors


class ErrorRate(BaseMetric):
    """Errors (substitutions, deletions, insertions) in percent of the references' units.

    Args:
        ref_key: The field of the references.
        hyp_key: The field of the hypotheses.
        clean_types: How both are cleaned first, in this order: "lower", "punctuation" (becomes blanks),
            "whitespace" (runs of it become one blank).

    Raises:
        ConfigError: A way to clean is unknown.
    """

    rate_name: ClassVar[str]
    units_name: ClassVar[str]
    characters: ClassVar[bool]

    def __init__(self, ref_key: str = "ref", hyp_key: str = "hyp", clean_types: Iterable[str] | None = None) -> None:
        self.ref_key = ref_key
        self.hyp_key = hyp_key
        self._clean = cleaner(clean_types)

    def __call__(self, data: dict[str, Path], test_name: str, inference_dir: Path) -> dict[str, float]:
        """Measure one test set: the rate in percent, and the counts that it is made of."""
        pairs = [
            (self._clean(row[self.ref_key]), self._clean(row[self.hyp_key]))
            for _, row in self.iter_inputs(data, self.ref_key, self.hyp_key)
        ]
        errors = count_errors(pairs, characters=self.characters)
        return {
            self.rate_name: errors.rate,
            self.units_name: errors.units,
            "substitutions": errors.substitutions,
            "deletions": errors.deletions,
            "insertions": errors.insertions,
        }
