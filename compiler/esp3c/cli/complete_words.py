"""What fits at a place of the command line, by the very parsers that read it.

`argparse` has no way to ask which argument a word belongs to, so its lists of actions are gone through here.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from esp3c.cli import complete_recipe as recipe
from esp3c.cli.complete_answer import Answer, paths
from esp3c.cli.main import COMMANDS, parser
from esp3c.record import mutable


def fitting(words: Sequence[str], word: str) -> list[Answer]:
    """What may stand for `word` behind the words before it, the name of the program left out."""
    command = next((each for each in words if not each.startswith("-")), None)
    top = parser(words)
    if command is None:
        if word.startswith("-"):
            return _begun(_options(top, ()), word)
        return _begun([Answer(name, line) for name, line in COMMANDS.items()], word)
    if command not in COMMANDS:
        return []
    place = _Place(_parser_of(top, command))
    for each in words[words.index(command) + 1 :]:
        place.take(each)
    return list(dict.fromkeys(_begun(place.offer(word), word)))


def _begun(answers: Sequence[Answer], word: str) -> list[Answer]:
    return [each for each in answers if each.word.startswith(word)]


def _parser_of(top: argparse.ArgumentParser, command: str) -> argparse.ArgumentParser:
    commands = next(each for each in top._actions if isinstance(each, argparse._SubParsersAction))
    found: argparse.ArgumentParser = commands.choices[command]
    return found


def _options(parser: argparse.ArgumentParser, taken: Sequence[argparse.Action]) -> list[Answer]:
    """The options that may still be given; of one with several names the longest, which says most."""
    found = []
    for action in parser._actions:
        again = isinstance(action, argparse._AppendAction) or action not in taken
        if action.option_strings and action.help is not argparse.SUPPRESS and again:
            name = max((each for each in action.option_strings if "_" not in each), key=len)
            found.append(Answer(name, _help(action)))
    return found


def _help(action: argparse.Action) -> str:
    return str(action.help or "").replace("%%", "%")


_OPEN = ("*", "+")


def _takes(action: argparse.Action) -> tuple[int, bool]:
    """How many words an argument wants at least, and whether it takes more."""
    if isinstance(action.nargs, int):
        return action.nargs, False
    return {None: (1, False), "?": (0, False), "*": (0, True), "+": (1, True)}.get(action.nargs, (0, False))


@mutable
class _Place:
    """Where one is in the words of a command."""

    parser: argparse.ArgumentParser
    option: argparse.Action | None = None
    """The option that takes the words that follow, and how many it has."""
    has: int = 0
    plain: bool = False
    """Behind `--`, where no word is an option."""
    position: int = 0
    given: Any = None
    taken: tuple[argparse.Action, ...] = ()

    def take(self, word: str) -> None:
        """A word that is there already."""
        self.given = self.given or {}
        if not self.plain and word == "--":
            self.plain, self.option = True, None
        elif not self.plain and word.startswith("-") and len(word) > 1:
            self._take_option(word)
        elif self.option is not None:
            self._keep(self.option, word)
            self.has += 1
            least, more = _takes(self.option)
            if self.has >= least and not more:
                self.option = None
        else:
            action = self._positional()
            if action is not None:
                self._keep(action, word)
                if not _takes(action)[1]:
                    self.position += 1

    def _take_option(self, word: str) -> None:
        name, equals, value = word.partition("=")
        action = self._named(name)
        self.option = None
        if action is None:
            return
        self.taken = (*self.taken, action)
        if equals:
            self._keep(action, value)
        elif action.nargs != 0:
            self.option, self.has = action, 0

    def _named(self, name: str) -> argparse.Action | None:
        """The option of this name; argparse takes the beginning of one, where it is the only one."""
        known = {each: action for action in self.parser._actions for each in action.option_strings}
        if name in known:
            return known[name]
        begun = {id(known[each]): known[each] for each in known if name.startswith("--") and each.startswith(name)}
        return next(iter(begun.values())) if len(begun) == 1 else None

    def _keep(self, action: argparse.Action, value: str) -> None:
        self.given.setdefault(action.dest, []).append(value)

    def _positional(self) -> argparse.Action | None:
        positionals = [each for each in self.parser._actions if not each.option_strings]
        return positionals[self.position] if self.position < len(positionals) else None

    def offer(self, word: str) -> list[Answer]:
        """What may stand for the word that is being written."""
        self.given = self.given or {}
        if self.option is not None and self.has < _takes(self.option)[0]:
            return list(self._values(self.option, word))
        if word.startswith("-") and not self.plain:
            name, equals, value = word.partition("=")
            action = self._named(name) if equals else None
            if action is not None and action.nargs != 0:
                return [Answer(f"{name}={each.word}", each.what) for each in self._values(action, value)]
            return _options(self.parser, self.taken)
        action = self.option or self._positional()
        return list(self._values(action, word)) if action is not None else []

    def _values(self, action: argparse.Action, word: str) -> Iterator[Answer]:
        if action.choices is not None:
            yield from (Answer(str(each)) for each in action.choices)
            return
        named = (self.given.get("recipe") or self.given.get("recipes") or ["."])[0]
        match action.dest:
            case "recipe" | "recipes" | "paths":
                there = self.given.get(action.dest, ())
                yield from (each for each in paths(word, (".esp",), "recipe.esp") if each.word not in there)
            case "stages":
                yield from _several(word, recipe.stages(named, self.given.get("stages", ())))
            case "stage":
                yield from recipe.stages(named, ())
            case "on":
                yield from recipe.places(named)
            case "overrides":
                yield from recipe.settings(named, word)
            case "sweep":
                yield from recipe.settings(named, word, several=True)
            case "run_id":
                yield from recipe.runs(named)
            case "code":
                yield from ([] if self.given.get("code") else _codes(word))
            case "select" | "ignore":
                yield from _several(word, [*_families(), *_codes(word.rpartition(",")[2])])
            case "template":
                from esp3c.cli.init_templates import TEMPLATES

                yield from (Answer(each.name, each.line) for each in TEMPLATES)
            case "folder":
                yield from (each for each in paths(word, ()) if each.word.endswith("/"))
            case _ if action.type is Path:
                yield from paths(word, None)


def _several(word: str, answers: Sequence[Answer]) -> Iterator[Answer]:
    """Names with commas between them: what is there stays, and is not offered again."""
    before, comma, _ = word.rpartition(",")
    there = before.split(",")
    yield from (Answer(f"{before}{comma}{each.word}", each.what) for each in answers if each.word not in there)


def _codes(word: str) -> list[Answer]:
    """Codes of diagnostics. Whoever writes them in small letters gets them so."""
    from esp3c.pipeline import codes

    small = word.islower()
    return [Answer(each.id.lower() if small else each.id, each.title) for each in codes().values()]


def _families() -> list[Answer]:
    from esp3c.diagnostics import FAMILIES

    return [Answer(family, f"all codes of the family ESP{number}") for number, family in FAMILIES.items()]
