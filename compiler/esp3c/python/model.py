"""What is known of a Python module, as data: its names, classes, functions and their parameters.

Everything is text and numbers, so that it can be kept on disk and read back without parsing the module again. Lines
are 1-based, columns are 0-based and count bytes of UTF-8, as Python's own trees have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from esp3c.record import record


@record
class Parameter:
    """A parameter. `kind` is `positional` (before `/`), `plain`, `args` (`*args`), `keyword` (behind `*`) or `kwargs`.

    `annotation` and `default` are source text; a parameter without a default is required.
    """

    name: str
    kind: str
    annotation: str | None
    default: str | None
    line: int
    column: int


@record
class Handing:
    """A call in a function that gets the function's `**kwargs`.

    `callee` is source text (`super().__init__`, `Base.__init__`, `make`, `self.run`); `names` are given beside, and
    `positional` values before. `always`: the call stands in the function's body itself, under no condition. An empty
    callee means that the keywords are kept, changed or read in a way that is not followed; `=self.name` that they are
    kept as that attribute.
    """

    callee: str
    names: tuple[str, ...] = ()
    positional: int = 0
    always: bool = False


@record
class Function:
    """A function or method. `decorators` are source text; `end_line` is its last line.

    `handings` says where `**kwargs` goes, `pops` which names are taken out of it by name; `strict`: it raises where
    other names are left. `spreads` are the calls that get `**self.name`, by the name. `empty`: the body does nothing
    but raise NotImplementedError, or nothing at all.
    """

    name: str
    line: int
    column: int
    end_line: int
    parameters: tuple[Parameter, ...]
    decorators: tuple[str, ...] = ()
    returns: str | None = None
    handings: tuple[Handing, ...] = ()
    pops: tuple[str, ...] = ()
    strict: bool = False
    spreads: tuple[tuple[str, Handing], ...] = ()
    empty: bool = False

    @property
    def static(self) -> bool:
        return "staticmethod" in self.decorators

    @property
    def abstract(self) -> bool:
        return any(each.rpartition(".")[2].startswith("abstract") for each in self.decorators)


@record
class Attribute:
    """A name that a class body binds: `lr: float = 1e-3`. `value` is its source text where that is short."""

    name: str
    annotation: str | None
    value: str | None
    line: int
    column: int


@record
class Class:
    """A class. `bases` and `decorators` are source text; `methods` has every definition of a name, overloads first."""

    name: str
    line: int
    column: int
    bases: tuple[str, ...]
    keywords: tuple[tuple[str, str], ...]
    decorators: tuple[str, ...]
    methods: tuple[Function, ...]
    attributes: tuple[Attribute, ...]

    def defined(self, name: str) -> list[Function]:
        return [each for each in self.methods if each.name == name]


@record
class Imported:
    """A name that comes from elsewhere: `path` is absolute. `guarded`: it may be missing (`try`, or for type checkers)."""

    name: str
    path: str
    line: int
    column: int
    guarded: bool = False


@record
class Value:
    """A name bound to a value. `text` is its source where that is short."""

    name: str
    annotation: str | None
    text: str | None
    line: int
    column: int


Definition: TypeAlias = Class | Function | Imported | Value


@record
class Contents:
    """A module: every definition in order (a name may be bound more than once: overloads, `try`/`except`).

    `stars` are the modules of `from x import *`; `lazy`: more names are made at run time. `error` is the line, column
    and reason where the text is not Python.
    """

    definitions: Sequence[Definition]
    stars: tuple[str, ...]
    exported: tuple[str, ...] | None
    lazy: bool
    error: tuple[int, int, str] | None = None
