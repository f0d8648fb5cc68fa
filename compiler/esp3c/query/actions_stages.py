"""Puts stages into the order in which they need each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from esp3c.check import stages
from esp3c.diagnostics import Diagnostic, Edit, code_of
from esp3c.ir import Stage, Use
from esp3c.query.actions import Action, Kind
from esp3c.query.view import View
from esp3c.schema.stages import KNOWN_STAGES
from esp3c.source import Span
from esp3c.syntax import ast
from esp3c.syntax.comments import comments

_ORDER = code_of(stages.stage_order).id


def sorted_stages(view: View, diagnostic: Diagnostic) -> Iterator[Action]:
    """Puts the lines of the system's stages into its order; the recipe's own stages stay where they are."""
    if diagnostic.code.id != _ORDER:
        return
    blocks = [each for each in view.file.declarations if isinstance(each, ast.StagesDeclaration)]
    meant = {stage.name_span.start: _built_in(stage) for stage in view.recipe.stages}
    order = {name: number for number, name in enumerate(KNOWN_STAGES)}
    lines = [line for line in blocks[0].stages if meant.get(line.name.span.start) in order] if blocks else []
    better = sorted(lines, key=lambda line: order[meant[line.name.span.start] or ""])
    whole = _alone(view, lines)
    places = [_with_note(view, line) if whole else line.span for line in lines]
    texts = {id(line): place.text for line, place in zip(lines, places, strict=True)}
    edits = tuple(
        Edit(place, texts[id(there)])
        for here, place, there in zip(lines, places, better, strict=True)
        if here is not there
    )
    if edits:
        yield Action("Put the stages into the system's order", Kind.FIX, edits, diagnostic, sure=False)


def _built_in(stage: Stage) -> str | None:
    if isinstance(stage.runs, Use):
        return stage.runs.name
    return stage.name if stage.runs is None and stage.workload is None else None


def _alone(view: View, lines: Sequence[ast.StageLine]) -> bool:
    """Whether each begins its line, so that a comment behind it is about it."""
    source = view.source
    begins = [source.line_start(source.line_of(each.span.start)) for each in lines]
    return all(not source.text[start : each.span.start].strip() for start, each in zip(begins, lines, strict=True))


def _with_note(view: View, line: ast.StageLine) -> Span:
    """A stage line with the comment behind it."""
    span, source = line.span, view.source
    note = next((each for each in comments(source) if each.start >= span.end), None)
    if note is None or source.text[span.end : note.start].strip(" \t"):
        return span
    return Span(source, span.start, note.end)
