"""Words and trees: the lexer, and the automaton that the tables of `tables.py` describe.

The tables are made from `esp.lark` by `grammar/make_tables.py`; at run time nothing of lark is needed. A `Machine` is fed
token by token, may be asked what it would take next, and its stacks may be cut back, which is how `parse.py` recovers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from esp3c.syntax import tables
from esp3c.syntax.tables import FINAL, IGNORED, INITIAL, RULES, TERMINALS

END = "$END"


def _rows(table: str) -> list[list[list[str]]]:
    return [[each.split(":") for each in row.split()] for row in table.split(";")]


def _actions() -> list[dict[str, int]]:
    kinds = [each.split() for each in tables.KINDS.split(";")]
    return [{kind: int(action) for action, group in row for kind in kinds[int(group)]} for row in _rows(tables.ACTIONS)]


def _gotos() -> list[dict[str, int]]:
    rows = [{origin: int(state) for origin, state in row} for row in _rows(tables.ROWS)]
    return [rows[int(index)] for index in tables.GOTOS.split()]


# By state and kind of token: the state to go to, or ~(the number of the rule that is complete).
ACTIONS = _actions()
# By state and origin of a complete rule: the state to go to.
GOTOS = _gotos()


class Token(str):
    """A word of the text: its kind, its text, and where it stands."""

    __slots__ = ("end_pos", "start_pos", "type")

    type: str
    start_pos: int
    end_pos: int

    def __new__(cls, kind: str, text: str, start_pos: int, end_pos: int) -> Token:
        token = str.__new__(cls, text)
        token.type = kind
        token.start_pos = start_pos
        token.end_pos = end_pos
        return token

    def as_kind(self, kind: str) -> Token:
        """The same word, taken for another kind."""
        return Token(kind, str(self), self.start_pos, self.end_pos)


class Tree:
    """What a rule of the grammar, `data`, made of its parts. The signs of the grammar are not among the children."""

    __slots__ = ("children", "data", "end_pos", "start_pos")

    def __init__(self, data: str, children: list[Any], start_pos: int = 0, end_pos: int = 0) -> None:
        self.data = data
        self.children = children
        self.start_pos = start_pos
        self.end_pos = end_pos


class Unexpected(Exception):
    """The machine has no use for the token."""


@lru_cache(maxsize=1)
def _scanner() -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in TERMINALS))


def words(text: str) -> Iterator[Token]:
    """Every word of a text. Each character is in a word or ignored: what means nothing is of the kind `ILLEGAL`."""
    for found in _scanner().finditer(text):
        kind = found.lastgroup
        if kind is not None and kind not in IGNORED:
            yield Token(kind, found.group(), found.start(), found.end())


class Machine:
    """One reading of a text, from the rule `start` on. `states` is always one longer than `values`."""

    def __init__(self, start: str) -> None:
        self.states: list[int] = [INITIAL[start]]
        self.values: list[Any] = []
        self._final = FINAL[start]

    def choices(self) -> dict[str, int]:
        """What the tables have an action for in this state; a kind among them may still not fit in the end."""
        return ACTIONS[self.states[-1]]

    def feed(self, token: Token) -> None:
        """Takes one token.

        Raises:
            Unexpected: the token does not fit. What stood before it may have been put together by then.
        """
        kind, states = token.type, self.states
        while True:
            action = ACTIONS[states[-1]].get(kind)
            if action is None:
                raise Unexpected
            if action >= 0:
                states.append(action)
                self.values.append(token)
                return
            self._reduce(~action)

    def finish(self) -> Tree:
        """The tree of all that was fed.

        Raises:
            Unexpected: something is still missing.
        """
        while True:
            action = ACTIONS[self.states[-1]].get(END)
            if action is None:
                raise Unexpected
            self._reduce(~action)
            if self.states[-1] == self._final:
                tree: Tree = self.values[-1]
                return tree

    def fits(self, kind: str) -> bool:
        """Whether a token of this kind would be taken. Changes nothing."""
        states = self.states.copy()
        while True:
            action = ACTIONS[states[-1]].get(kind)
            if action is None:
                return False
            if action >= 0:
                return True
            origin, size, _, _ = RULES[~action]
            if size:
                del states[-size:]
            states.append(GOTOS[states[-1]][origin])

    def settle(self, kind: str) -> None:
        """Puts together what a token of this kind would put together. The kind has to fit."""
        while (action := ACTIONS[self.states[-1]][kind]) < 0:
            self._reduce(~action)

    def pop(self) -> Any:
        """Forgets the value that was read last."""
        self.states.pop()
        return self.values.pop()

    def _reduce(self, number: int) -> None:
        origin, size, name, keep = RULES[number]
        states, values = self.states, self.values
        if not size:
            states.append(GOTOS[states[-1]][origin])
            values.append(Tree(name, []))
            return
        if name:
            parts = values[-size:]
            first, last = parts[0], parts[-1]
            children: list[Any] = []
            for index, inline in keep:
                if not inline:
                    children.append(parts[index])
                elif children:
                    children += parts[index].children
                else:
                    # A long list grows at its end. Taking over its children keeps that linear.
                    children = parts[index].children
            values[-size:] = [Tree(name, children, first.start_pos, last.end_pos)]
        del states[-size:]
        states.append(GOTOS[states[-1]][origin])
