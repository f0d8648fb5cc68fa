"""Puts in what is missing: arguments of a call, keys of a block, the `recipe` block."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from esp3c.check import keys, keys_needed, targets
from esp3c.check.calls import Verdict, verdicts
from esp3c.check.values import Comparing, Misfit
from esp3c.diagnostics import Diagnostic, Edit, code_of
from esp3c.ir import Scalar, strip
from esp3c.python.reader import reader
from esp3c.python.signature import Bound
from esp3c.python.types import type_of
from esp3c.query.actions import Action, Kind
from esp3c.query.actions_places import before, into_bracket, line_end, nodes, pair_from
from esp3c.query.actions_values import for_parameter
from esp3c.query.view import View
from esp3c.schema.stages import SYSTEMS
from esp3c.source import Span
from esp3c.suggest import all_of, nearest
from esp3c.syntax import ast

_ARGUMENT, _KEY, _RECIPE = (
    code_of(each).id for each in (targets.missing_argument, keys_needed.needed_key, keys.no_recipe)
)
_COUNTS = {"batch_size": "8", "batch_bins": "1_000_000"}


def missing(view: View, diagnostic: Diagnostic) -> Iterator[Action]:
    """What puts in what a diagnostic says to be missing."""
    match diagnostic.code.id:
        case code if code == _ARGUMENT:
            yield from _arguments(view, diagnostic)
        case code if code == _KEY:
            yield from _key(view, diagnostic)
        case code if code == _RECIPE:
            yield from _recipe(view, diagnostic)


def _arguments(view: View, diagnostic: Diagnostic) -> Iterator[Action]:
    head = diagnostic.primary.span.start
    verdict = next(
        (each for each in verdicts(view.recipe, view.world) if each.missing and each.head.start == head), None
    )
    if verdict is None:
        return
    given = _given(view, verdict)
    if not given:
        return
    edits = _into_call(view, head, [f"{name} = {value}" for name, value in given])
    if edits:
        names = all_of([name for name, _ in given])
        noun = "argument" if len(given) == 1 else "arguments"
        yield Action(f"Add the {noun} {names}", Kind.FIX, edits, diagnostic, sure=False)


def _given(view: View, verdict: Verdict) -> list[tuple[str, str]]:
    """The missing arguments with a value each: the `let` of the same name, or one that its type takes."""
    unknown = [each.name for each in verdict.arguments if each.bound is None]
    found: list[tuple[str, str]] = []
    for bound in verdict.missing:
        if nearest(bound.name, unknown) or bound.parameter.kind not in {"plain", "keyword"}:
            continue
        value = bound.name if _let_fits(view, bound) else for_parameter(reader(view.world), bound)
        if value is not None:
            found.append((bound.name, value))
    return found


def _let_fits(view: View, bound: Bound) -> bool:
    """Whether there is a `let` of a parameter's name whose value it takes."""
    let = view.recipe.lets.get(bound.name)
    if let is None or not isinstance(strip(let[1]), Scalar):
        return False
    reading = reader(view.world)
    wanted = type_of(reading, bound.module, bound.parameter.annotation)
    return not isinstance(Comparing(reading, lambda _: None).compare(let[1], wanted), Misfit)


def _into_call(view: View, head: int, new: Sequence[str]) -> tuple[Edit, ...]:
    """Puts arguments into the call whose path begins at a place, however it is written."""
    for node in nodes(view.file):
        match node:
            case ast.Call(path=path, arguments=arguments) if path.span.start == head:
                bracket = pair_from(view, path.span.end)
                spans = [each.span for each in arguments]
                return into_bracket(view, bracket, spans, new, commas=True) if bracket is not None else ()
            case ast.Block(entries=entries) if _called(node, head):
                bracket = pair_from(view, node.span.start)
                spans = [each.span for each in entries]
                return into_bracket(view, bracket, spans, new, commas=False) if bracket is not None else ()
    for node in nodes(view.file):
        if isinstance(node, ast.Reference) and node.path.span.start == head:
            end = node.path.span.end
            return (Edit(Span(view.source, end, end), f"({', '.join(new)})"),)
    return ()


def _called(block: ast.Block, head: int) -> bool:
    """Whether a block is the call of what is named at a place: by its `_target_`, or as a `text_builder` by its `func`."""
    for entry in block.entries:
        if isinstance(entry, ast.Setting) and entry.key.dotted in {"_target_", "func"}:
            span = entry.value.span
            # A path in quotes begins behind them.
            return span.start in {head, head - 1}
    return False


def _key(view: View, diagnostic: Diagnostic) -> Iterator[Action]:
    """A count of batches. What else a block needs nobody can make up."""
    name = next((each for each in _COUNTS if diagnostic.message.endswith(f"`{each}`")), None)
    place = diagnostic.primary.span
    if name is None or place.text in _COUNTS:
        return
    inner: ast.Block | None = None
    for node in nodes(view.file):
        if isinstance(node, ast.Block) and node.span.start <= place.start <= node.span.end:
            inner = node if inner is None or node.span.start > inner.span.start else inner
    for node in nodes(view.file):
        if isinstance(node, ast.Setting) and node.key.span == place and isinstance(node.value, ast.Block):
            # The key before the block is marked.
            inner = node.value
    bracket = pair_from(view, inner.span.start) if inner is not None else None
    if inner is None or bracket is None:
        return
    edits = into_bracket(
        view, bracket, [each.span for each in inner.entries], [f"{name} = {_COUNTS[name]}"], commas=False
    )
    if edits:
        yield Action(f"Add `{name}`", Kind.FIX, edits, diagnostic, sure=False)


def _recipe(view: View, diagnostic: Diagnostic) -> Iterator[Action]:
    if view.recipe.headers:
        return
    folder = view.source.path.replace("\\", "/").rpartition("/")[0].rpartition("/")[2]
    name = re.sub(r"\W+", "_", folder, flags=re.ASCII).strip("_").lower()
    taken = {*view.recipe.configs, *view.recipe.datasets, *view.recipe.parallels, *view.recipe.lets}
    if not re.fullmatch(r"[a-z]\w*", name, re.ASCII) or name in taken:
        name = "my_recipe"
    break_ = line_end(view.source)
    for system in SYSTEMS:
        if not system.startswith("espnet3.systems.asr."):
            continue
        text = f"recipe {name} {{{break_}  system = {system}{break_}}}"
        declarations = view.file.declarations
        if declarations:
            edit = before(view, declarations[0], text)
        else:
            edit = Edit(Span(view.source, 0, 0), text + break_)
        yield Action("Add a `recipe` block", Kind.FIX, (edit,), diagnostic, sure=False)
