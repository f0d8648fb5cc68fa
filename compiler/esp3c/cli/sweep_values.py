"""The values that `--sweep` goes through, and what their points are called.

`training.optimizer.lr=1e-3,3e-4` is an axis. The points are the product of all axes, in the order in which they are written.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from esp3c.cli.common import Failure, printable
from esp3c.record import record

EXAMPLE = "--sweep training.optimizer.lr=1e-3,3e-4"
_LONGEST_VALUE, _LONGEST_NAME = 24, 100
_CLOSES = {"(": ")", "[": "]", "{": "}"}
_TAG = "exp_tag"


@record
class Axis:
    """A key with its values, as texts of the recipe's language.

    `label` is the end of the key, `parts` is what each value adds to the name of a point.
    """

    key: str
    label: str
    values: tuple[str, ...]
    parts: tuple[str, ...]

    @property
    def names_experiments(self) -> bool:
        """Whether its values are names of experiments themselves."""
        return self.key.rpartition(".")[2] == _TAG


@record
class Point:
    """One value of each axis.

    `name` is a file's name that no other point has; `suffix` is what stands in it of the axes that name no experiments.
    """

    values: tuple[str, ...]
    overrides: tuple[str, ...]
    name: str
    suffix: str


def add_sweep(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sweep",
        metavar="KEY=VALUE,VALUE",
        action="append",
        default=[],
        help=f"run the recipe with each of these values, in an experiment of its own ({EXAMPLE}); given again with another "
        "key, with each combination",
    )
    parser.add_argument(
        "--sweep-jobs",
        type=_count,
        metavar="N",
        help="how many points run at once (default: all of them on SLURM, one on this machine)",
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a positive whole number, not {text!r}")
    return int(text)


def axes_of(asked: Sequence[str], overrides: Sequence[str]) -> tuple[Axis, ...]:
    """The axes that were asked for.

    Args:
        asked: What stands behind each `--sweep`.
        overrides: What stands behind each `--set`.

    Raises:
        Failure: One cannot be read, or a key is there twice.
    """
    read = [_read(each) for each in asked]
    taken = [_key_of(each.partition("=")[0]) for each in overrides]
    for number, (key, _) in enumerate(read):
        if _key_of(key) in taken:
            raise Failure(f"--sweep {printable(key)}: --set gives it a value as well; leave one of them out", 2)
        if _key_of(key) in [_key_of(each) for each, _ in read[:number]]:
            raise Failure(f"--sweep {printable(key)}: it is there twice; write all its values behind one", 2)
    labels = _labels([_key_of(key) for key, _ in read])
    return tuple(
        Axis(key, label, values, tuple(_parts(label, values)))
        for (key, values), label in zip(read, labels, strict=True)
    )


def points_of(axes: Sequence[Axis]) -> tuple[Point, ...]:
    """The product of the axes; the last one changes fastest."""
    drafts = []
    for numbers in itertools.product(*(range(len(axis.values)) for axis in axes)):
        chosen = list(zip(axes, numbers, strict=True))
        values = tuple(axis.values[number] for axis, number in chosen)
        name = "-".join(axis.parts[number] for axis, number in chosen)
        suffix = "-".join(axis.parts[number] for axis, number in chosen if not axis.names_experiments)
        overrides = tuple(f"{axis.key}={axis.values[number]}" for axis, number in chosen)
        drafts.append((values, overrides, name, suffix))
    counts = Counter(name.casefold() for _, _, name, _ in drafts)
    return tuple(
        Point(
            values,
            overrides,
            _short(name, values, _LONGEST_NAME, counts[name.casefold()] > 1).lstrip("."),
            _short(suffix, values, _LONGEST_NAME, counts[name.casefold()] > 1),
        )
        for values, overrides, name, suffix in drafts
    )


def split(text: str) -> list[str]:
    """The parts of a text between its commas, but for those inside of brackets and quotes.

    Raises:
        ValueError: A bracket or a quote is not closed, or closed without being open.
    """
    parts, start, at = [], 0, 0
    awaited: list[str] = []
    while at < len(text):
        char = text[at]
        if char == '"':
            at = _behind_quote(text, at)
            continue
        if char in _CLOSES:
            awaited.append(_CLOSES[char])
        elif char in _CLOSES.values():
            if not awaited or awaited.pop() != char:
                raise ValueError(f"`{char}` closes nothing")
        elif char == "," and not awaited:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    if awaited:
        raise ValueError(f"`{awaited[-1]}` is missing")
    return [part.strip() for part in (*parts, text[start:])]


def _behind_quote(text: str, at: int) -> int:
    quote = '"""' if text.startswith('"""', at) else '"'
    end = at + len(quote)
    while end < len(text) and not text.startswith(quote, end):
        end += 2 if text[end] == "\\" else 1
    if end >= len(text):
        raise ValueError(f"a quote is not closed: {text[at:]}")
    return end + len(quote)


def _read(asked: str) -> tuple[str, tuple[str, ...]]:
    shown = printable(asked)
    key, equals, rest = asked.partition("=")
    if not equals or not key.strip():
        raise Failure(f"--sweep {shown}: expected KEY=VALUE,VALUE, for example {EXAMPLE}", 2)
    try:
        asked.encode("utf-8")
        values = split(rest)
    except UnicodeEncodeError:
        raise Failure(f"--sweep {shown}: this is not UTF-8 text", 2) from None
    except ValueError as error:
        raise Failure(f"--sweep {shown}: {printable(str(error))}", 2) from None
    if "" in values:
        raise Failure(f"--sweep {shown}: a value is missing; an empty text is written with quotes", 2)
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise Failure(f"--sweep {shown}: {printable(twice[0])} is there twice", 2)
    return key.strip(), tuple(values)


def _key_of(text: str) -> str:
    """A key without the word `new`."""
    return re.sub(r"\s+", "", re.sub(r"^\s*new\s+", "", text))


def _labels(keys: Sequence[str]) -> list[str]:
    """Of each key so many of its last parts as tell it from the others."""
    found = []
    for key in keys:
        parts = key.split(".")
        sizes = range(1, len(parts) + 1)
        ends = (".".join(parts[-size:]) for size in sizes)
        alone = (end for end in ends if not any(other != key and f".{other}".endswith(f".{end}") for other in keys))
        found.append(next(alone, key))
    return found


def _parts(label: str, values: Sequence[str]) -> Iterator[str]:
    """What each value adds to the name of a point."""
    shorts = [_spelt(value) for value in values]
    counts = Counter(short.casefold() for short in shorts)
    for value, short in zip(values, shorts, strict=True):
        part = _short(short, (value,), _LONGEST_VALUE, counts[short.casefold()] > 1 or not short)
        yield part if label.rpartition(".")[2] == _TAG else f"{label}={part}"


def _spelt(value: str) -> str:
    """A value in characters that every file system takes."""
    text = re.sub(r"[^A-Za-z0-9_.+-]+", "-", value.strip('"')).rstrip("-.")
    return text if re.match(r"-[\d.]", value) else text.lstrip("-")


def _short(text: str, values: Sequence[str], longest: int, ambiguous: bool) -> str:
    """A text that is not too long. What is left out, or would not tell it from others, is in its last six characters."""
    if len(text) <= longest and not ambiguous:
        return text
    digest = hashlib.sha256("\0".join(values).encode()).hexdigest()[:6]
    return "-".join(part for part in (text[: longest - 7].rstrip("-."), digest) if part)
