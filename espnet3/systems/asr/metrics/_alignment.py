"""Counting errors between references and hypotheses: the part that WER and CER share."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from espnet3.utils.errors import ConfigError, did_you_mean, listed


@dataclass(frozen=True, slots=True)
class Errors:
    """How many units the references have and how many errors of each kind were made."""

    units: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def rate(self) -> float:
        """Errors in percent of the units, to two digits; infinite where there is no unit but an
        insertion."""
        errors = self.substitutions + self.deletions + self.insertions
        if not self.units:
            return float("inf") if errors else 0.0
        return round(100 * errors / self.units, 2)


def count_errors(pairs: list[tuple[str, str]], *, characters: bool) -> Errors:
    """Align each (reference, hypothesis) and add up the errors.

    Args:
        pairs: The texts, one pair an utterance.
        characters: Count characters, blanks included, instead of words.
    """
    import jiwer

    # jiwer takes no empty reference: everything that stands against one was inserted.
    spoken = [(ref, hyp) for ref, hyp in pairs if ref.strip()]
    inserted = sum(len(hyp.strip()) if characters else len(hyp.split()) for ref, hyp in pairs if not ref.strip())
    if not spoken:
        return Errors(0, 0, 0, inserted)
    process = jiwer.process_characters if characters else jiwer.process_words
    found = process([ref for ref, _ in spoken], [hyp for _, hyp in spoken])
    return Errors(
        units=found.hits + found.substitutions + found.deletions,
        substitutions=found.substitutions,
        deletions=found.deletions,
        insertions=found.insertions + inserted,
    )


def cleaner(clean_types: Iterable[str] | None) -> Callable[[str], str]:
    """A function that cleans a text in the ways named, in their order.

    Raises:
        ConfigError: A way is unknown.
    """
    names = [clean_types] if isinstance(clean_types, str) else list(clean_types or ())
    for name in names:
        if name not in _WAYS:
            raise ConfigError(f"clean_types has {name!r}; there are {listed(_WAYS)}{did_you_mean(name, _WAYS)}")

    def clean(text: str) -> str:
        for name in names:
            text = _WAYS[name](text)
        return text

    return clean


def _without_punctuation(text: str) -> str:
    # An apostrophe inside a word belongs to the word.
    kept = re.sub(r"(?<=\w)['’](?=\w)", "\0", text)
    return "".join("'" if char == "\0" else " " if unicodedata.category(char)[0] == "P" else char for char in kept)


_WAYS: dict[str, Callable[[str], str]] = {
    "lower": str.lower,
    "punctuation": _without_punctuation,
    "whitespace": lambda text: " ".join(text.split()),
}
