"""What may have been meant by a command or an option that there is not."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence

from esp3c.suggest import did_you_mean

_CHOICE = re.compile(r"invalid choice: '(.*?)' \(")


def meant(top: argparse.ArgumentParser, message: str, words: Sequence[str]) -> str | None:
    """`did you mean `init`?` for what `argparse` complains of in these words; None where nothing is near."""
    choice = _CHOICE.search(message)
    if choice is not None:
        return did_you_mean(choice[1], (name for each in _parsers(top) for name in _choices(each)))
    options = {name for each in _parsers(top) for name in each._option_string_actions}
    for word in words:
        name = word.partition("=")[0]
        # The beginning of an option is taken for it.
        if name.startswith("--") and name != "--" and not any(each.startswith(name) for each in options):
            return did_you_mean(name, sorted(options))
    return None


def _parsers(top: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parser, and those of the commands that it knows."""
    yield top
    for each in top._actions:
        if isinstance(each, argparse._SubParsersAction):
            yield from each.choices.values()


def _choices(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield from (str(name) for each in parser._actions for name in each.choices or ())
