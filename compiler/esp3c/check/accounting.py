"""Counts what a check proved, and lists what it could not know.

A value counts as proved where it was compared with what its place takes: a key's type, a parameter's annotation or
default, a definition that is really there. What is wrong counts as neither; it has a diagnostic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from esp3c.check.account import Account, Unchecked
from esp3c.check.blocks import all_values, rooted_blocks
from esp3c.check.calls import Verdict, verdicts
from esp3c.check.fits import fits, is_made_at_run_time
from esp3c.check.flow import proved_links, unchecked_links
from esp3c.check.linked import linked
from esp3c.check.targets import short
from esp3c.ir import (
    BrokenNode,
    CallNode,
    DatasetNode,
    LinkNode,
    MapNode,
    Node,
    PythonNode,
    Recipe,
    strip,
)  # fmt: skip
from esp3c.python.find import Status
from esp3c.schema import types as t
from esp3c.source import Span
from esp3c.world import World

_RESOLVED = frozenset({"over", "sample"})
"""Keys of any type whose values are names that were looked up."""


def account(recipe: Recipe, world: World, wrong: Iterable[Span] = ()) -> Account:
    """What is proved of a recipe's values, and what is not. `wrong` are the places of errors."""
    proved: set[tuple[int, int, int]] = set()
    unchecked: dict[tuple[int, int, int], Unchecked] = {}
    for span, what, why in (*_calls(recipe, world), *_settings(recipe)):
        place = (id(span.source), span.start, span.end)
        if why:
            unchecked.setdefault(place, Unchecked(span, what, why))
        else:
            proved.add(place)
    proved -= {(id(span.source), span.start, span.end) for span in wrong}
    listed = [each for place, each in unchecked.items() if place not in proved]
    listed += unchecked_links(recipe, world)
    in_order = tuple(sorted(listed, key=lambda each: (each.span.source.path, each.span.start)))
    return Account(len(proved), in_order, proved_links(recipe, world))


def _settings(recipe: Recipe) -> Iterator[tuple[Span, str, str]]:
    """The values of keys, against the types of the keys."""
    for root, node, block in rooted_blocks(recipe):
        for entry in node.entries:
            key = block.key(entry.name)
            if key is None:
                if block.open:
                    yield from _leaves(
                        entry.value, f"`{entry.name}`", "a key of the recipe's own: nothing says what it takes"
                    )
            elif isinstance(key.type, t.Anything) and entry.name not in _RESOLVED:
                yield from _leaves(entry.value, f"`{entry.name}`", "any value may stand here")
            elif (
                isinstance(key.type, t.Either) and t.ANY in key.type.options and isinstance(strip(entry.value), MapNode)
            ):
                yield from _leaves(entry.value, f"a setting in `{entry.name}`", "what takes it is known when it runs")
            else:
                value = strip(linked(recipe, root, entry.value))
                yield from _compared(value, key.type, entry.value.span, f"`{entry.name}`")


def _compared(node: Node, type: t.Type, span: Span, what: str) -> Iterator[tuple[Span, str, str]]:
    if isinstance(node, PythonNode):
        known = node.target.status is Status.FOUND
        yield span, f"`{node.target.path}`", "" if known else node.target.why or "it is not read"
    elif isinstance(node, LinkNode):
        yield span, what, "what the other key holds is not known"
    elif is_made_at_run_time(node):
        yield span, what, "its value is known when it runs"
    elif not isinstance(node, CallNode | MapNode | DatasetNode | BrokenNode) and fits(node, type):
        yield span, "", ""


def _leaves(node: Node, what: str, why: str) -> Iterator[tuple[Span, str, str]]:
    """Each value at such a place; calls in it speak for themselves."""
    left = [strip(node)]
    while left:
        each = left.pop()
        if isinstance(each, MapNode):
            left.extend(strip(entry.value) for entry in each.entries)
        elif not isinstance(each, CallNode | DatasetNode):
            yield each.span, what, why


def _calls(recipe: Recipe, world: World) -> Iterator[tuple[Span, str, str]]:
    for verdict in verdicts(recipe, world):
        yield verdict.head, f"`{verdict.path}`", verdict.signature.why
        yield from _arguments(verdict)
    for dataset in recipe.datasets.values():
        for value in all_values(dataset.settings):
            if isinstance(value, CallNode) and value.target.status is Status.UNKNOWN:
                yield value.head, f"`{value.target.path}`", value.target.why


def _arguments(verdict: Verdict) -> Iterator[tuple[Span, str, str]]:
    for argument in verdict.arguments:
        value = strip(argument.value)
        if (
            argument.misfit is not None
            or isinstance(value, CallNode)
            or (argument.bound is None and not argument.doubt)
        ):
            continue
        yield argument.value.span, f"`{argument.name}` of `{short(verdict.path)}`", argument.doubt
