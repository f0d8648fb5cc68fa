"""What a rule is: a function from the recipe and the world to diagnostics, with a code and a page.

To add one: write the function in the module of its family, decorate it with `@explained`, add it to `RULES` in
`esp3c.check`, and put a fixture of the function's name into `tests/fixtures/bad/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias, TypeVar

from esp3c.diagnostics import Diagnostic
from esp3c.ir import Recipe
from esp3c.world import World

Rule: TypeAlias = Callable[[Recipe, World], Iterable[Diagnostic]]
AnyRule = TypeVar("AnyRule", bound=Rule)


def needs_whole_file(rule: AnyRule) -> AnyRule:
    """Marks a rule that says something is absent: it is left out where syntax errors hide parts of the file."""
    rule.needs_whole_file = True  # type: ignore[attr-defined]
    return rule
