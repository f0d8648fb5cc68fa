"""What the names of a recipe's text mean: each place where one stands, with the value that it was resolved to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias
from weakref import WeakKeyDictionary

from esp3c import ir
from esp3c.query.view import View
from esp3c.record import record
from esp3c.source import Span
from esp3c.syntax import ast

Named: TypeAlias = ir.Node | ir.Resolver


@record
class Meaning:
    """What a name means. `root` is that of the config in which it stands, in which its links lead on."""

    node: Named
    root: ir.MapNode | None


_KNOWN: WeakKeyDictionary[View, dict[int, Meaning]] = WeakKeyDictionary()


def meanings(view: View) -> dict[int, Meaning]:
    """By the place where a name begins: a reference, the head of a call, or the expression of an interpolation.

    What a config takes over from the one that it extends stands for the config in which it is written.
    """
    found = _KNOWN.get(view)
    if found is None:
        found = _KNOWN[view] = {}
        for root, span, config in homes(view):
            for node in values(root):
                place = node.head if isinstance(node, ir.CallNode | ir.DatasetNode) else node.span
                if span.start <= place.start <= span.end and not isinstance(
                    node, ir.Scalar | ir.ListNode | ir.MapNode | ir.Text
                ):
                    found.setdefault(place.start, Meaning(node, config))
    return found


def homes(view: View) -> Iterator[tuple[ir.Node, Span, ir.MapNode | None]]:
    """The value of each declaration, the place of all that is written in it, and the root if it is a config."""
    recipe = view.recipe
    for each in view.file.declarations:
        match each:
            case ast.RecipeDeclaration():
                yield recipe.settings, each.span, None
                if recipe.system is not None:
                    yield ir.PythonNode(recipe.system.target, recipe.system.span), each.span, None
            case ast.ConfigDeclaration(name):
                config = recipe.configs.get(name.text)
                if config is not None:
                    yield config.root, each.span, config.root
            case ast.DatasetDeclaration(name):
                dataset = recipe.datasets.get(name.text)
                if dataset is not None:
                    yield dataset.settings, each.span, None
            case ast.ParallelDeclaration(name):
                parallel = recipe.parallels.get(name.text)
                if parallel is not None:
                    yield parallel.value, each.span, None
            case ast.LetDeclaration(name):
                if name.text in recipe.lets:
                    yield recipe.lets[name.text][1], each.span, None
            case ast.StagesDeclaration():
                for stage in recipe.stages:
                    if isinstance(stage.runs, ir.PythonNode):
                        yield stage.runs, each.span, None
                    if stage.workload is not None:
                        yield stage.workload, each.span, None


def values(node: Named) -> Iterator[Named]:
    """A value and all that is written inside it; not what a name stands for, which is written elsewhere."""
    left: list[Named] = [node]
    while left:
        each = left.pop()
        yield each
        match each:
            case ir.MapNode(entries):
                left.extend(entry.value for entry in entries)
            case ir.ListNode(items):
                left.extend(items)
            case ir.CallNode():
                left.extend((*each.positional, each.arguments, each.options))
            case ir.DatasetNode():
                left.extend((*each.positional, each.arguments, each.extra))
            case ir.ParallelNode(name=""):
                left.append(each.settings)
            case ir.Text(parts):
                left.extend(part for part in parts if not isinstance(part, str))


def value_of(recipe: ir.Recipe, meaning: Meaning) -> ir.Node | None:
    """The value behind a name and all names after it; None where that is not in the recipe, or leads nowhere."""
    node: ir.Node | None = None if isinstance(meaning.node, ir.Resolver) else meaning.node
    for _ in range(50):
        match node:
            case ir.CarriedNode(value=value):
                node = value
            case ir.LinkNode(place=place, scaffold=True):
                node = _common(recipe, place)
            case ir.LinkNode(place=place) if meaning.root is not None:
                node = ir.at(meaning.root, place) if _in_force(recipe, meaning.root, place) else None
            case ir.LinkNode() | ir.BrokenNode():
                return None
            case _:
                return node
    return None


_OF_THE_TRAINING = frozenset({"exp_tag", "exp_dir", "inference_dir"})


def _in_force(recipe: ir.Recipe, root: ir.MapNode, place: ir.Place) -> bool:
    """Whether a key of a config has the value that stands there: when it runs, some of them are those of the training."""
    if len(place) != 1 or place[0] not in _OF_THE_TRAINING:
        return True
    return any(config.root is root and config.kind == "training" for config in recipe.configs.values())


def _common(recipe: ir.Recipe, place: ir.Place) -> ir.Node | None:
    """The value of a key that every config has, where the recipe says one for all of them."""
    name = place[0] if len(place) == 1 else None
    if not isinstance(name, str) or any(config.root.get(name) is not None for config in recipe.configs.values()):
        return None
    return recipe.settings.get(name)
