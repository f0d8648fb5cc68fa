"""What is known of a Python module, as data: its names, classes, functions and their parameters.

Everything is text and numbers, so that it can be kept on disk and read back without parsing the module again. Lines
are 1-based, columns are 0-based and counted in characters.
"""

from __future__ import annotations

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
class Function:
    """A function or method. `decorators` are source text without their arguments; `raises_only`: it is abstract in effect.

    `hands_on` says where `**kwargs` goes: the text of each callee that gets it, with the names given beside it.
    """

    name: str
    line: int
    column: int
    end_line: int
    parameters: tuple[Parameter, ...]
    decorators: tuple[str, ...]
    returns: str | None
    hands_on: tuple[tuple[str, tuple[str, ...]], ...]
    pops: tuple[str, ...]

    @property
    def static(self) -> bool:
        return "staticmethod" in self.decorators


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
    """A name that comes from elsewhere: `path` is absolute."""

    name: str
    path: str
    line: int
    column: int


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

    definitions: tuple[Definition, ...]
    stars: tuple[str, ...]
    exported: tuple[str, ...] | None
    lazy: bool
    error: tuple[int, int, str] | None = None
