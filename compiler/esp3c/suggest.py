"""The nearest names, silent when none is near.

The distance is Damerau's restricted edit distance (insert, delete, replace, swap of neighbours), on case-folded text
with a small charge for a difference of case alone. A name is near when at most about a third of its letters differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice

MOST_CANDIDATES = 1000
"""With how many names one is compared, so that many mistakes among many names take no square of time."""


def distance(left: str, right: str, limit: int) -> int:
    """The edit distance, or `limit + 1` as soon as it is known to be more than `limit`."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        older, before, row = before, row, [i]
        for j, b in enumerate(right, 1):
            cost = before[j - 1] + (a != b)
            cost = min(cost, before[j] + 1, row[j - 1] + 1)
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
    return row[-1]


def nearest(name: str, candidates: Iterable[str], most: int = 3) -> list[str]:
    """Up to `most` candidates near enough to `name` to have been meant, the nearest first.

    Longer names may differ more: one edit up to five letters, then a third of the length. A
    candidate that `name` is a whole word of (`learning_rate` and `rate`) does not count: too many such names exist.
    """
    limit = max(1, min(len(name) // 3, 5))
    folded = name.casefold()
    found: list[tuple[int, int, str]] = []
    for order, candidate in enumerate(dict.fromkeys(islice(candidates, MOST_CANDIDATES))):
        if candidate == name:
            continue
        away = distance(folded, candidate.casefold(), limit)
        if away <= limit and away < max(len(name), len(candidate)):
            found.append((away, order, candidate))
    found.sort()
    # Next to a name that is one edit away, others are not what was meant.
    best = found[0][0] if found else 0
    return [candidate for away, _, candidate in found[:most] if away <= best + (best > 1)]


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """`did you mean `x`?` for the nearest candidates, or None."""
    near = nearest(name, candidates)
    return f"did you mean {one_of(near)}?" if near else None


def one_of(names: Iterable[str]) -> str:
    """`a`, `b` or `c`, each in backquotes."""
    quoted = [f"`{name}`" for name in names]
    if len(quoted) <= 1:
        return "".join(quoted)
    return ", ".join(quoted[:-1]) + " or " + quoted[-1]


def all_of(names: Iterable[str]) -> str:
    """`a`, `b` and `c`, each in backquotes."""
    quoted = [f"`{name}`" for name in names]
    if len(quoted) <= 1:
        return "".join(quoted)
    return ", ".join(quoted[:-1]) + " and " + quoted[-1]


def certain(name: str, near: Sequence[str], *, closed: bool = False) -> str | None:
    """The one name that was meant beyond doubt, or None. `near` are all the names that look like `name`.

    Beyond doubt means: there is one of them, it differs by case and `_` alone, or by one slip of the hand inside a word
    that is long enough not to be another word (two slips in a word of eight letters). `layer1` is never a slip for
    `layer2`, nor `test` for `text`. Where the names are `closed`, a vocabulary to which nobody adds, shorter words do.
    """
    if len(near) != 1:
        return None
    meant = near[0]
    if _letters(name) == _letters(meant):
        return meant
    left, right = _WORDS.findall(name), _WORDS.findall(meant)
    if len(left) != len(right) or _DIGITS.findall(name) != _DIGITS.findall(meant):
        return None
    slips = [(a, b) for a, b in zip(left, right, strict=True) if a != b]
    return meant if len(slips) == 1 and _slip(*slips[0], closed and len(name) >= 5) else None


_WORDS = re.compile(r"[^\W_]+|[\W_]+")
_DIGITS = re.compile(r"\d+")


def _letters(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")


def _slip(written: str, meant: str, closed: bool) -> bool:
    a, b = written.casefold(), meant.casefold()
    if distance(a, b, 2) > (2 if min(len(a), len(b)) >= 8 else 1):
        return False
    longer = max(len(a), len(b))
    if len(a) != len(b):
        return longer >= 4
    # Neighbours that changed places. Short words that differ in one letter are often two words.
    swapped = sorted(a) == sorted(b)
    return longer >= (3 if swapped or closed else 5)
