"""What can be done with the stages of a recipe, at the lines on which they stand."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.query.view import View
from esp3c.record import record
from esp3c.source import Span
from esp3c.syntax import ast


@record
class Lens:
    """An offer above a line: `run` a stage, or show its `plan`. `stage` is None for all of them."""

    span: Span
    does: str
    title: str
    stage: str | None


def lenses(view: View) -> tuple[Lens, ...]:
    """The offers of a recipe, in the order of the text."""
    return tuple(_all(view))


def _all(view: View) -> Iterator[Lens]:
    blocks = [each for each in view.file.declarations if isinstance(each, ast.StagesDeclaration)]
    # A second block is a mistake, and its stages are not there.
    for block in blocks[:1]:
        head = Span(view.source, block.span.start, block.span.start + len("stages"))
        seen: set[str] = set()
        if block.stages:
            yield Lens(head, "run", "run all", None)
            yield Lens(head, "plan", "plan all", None)
        for line in block.stages:
            name = line.name.text
            if name in seen:
                continue
            seen.add(name)
            machine = f" on {line.on[0].text}" if line.on else ""
            yield Lens(line.name.span, "run", f"run {name}{machine}", name)
            yield Lens(line.name.span, "plan", "plan", name)
