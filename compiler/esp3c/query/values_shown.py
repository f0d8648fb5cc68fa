"""Values as a person wants to see them: what a name stands for in the end, quantities in base units, texts written out."""

from __future__ import annotations

from esp3c.graph.folders import folder
from esp3c.ir import CarriedNode, LinkNode, Node, Recipe, Resolver, Scalar, Text, at
from esp3c.query.occurrences import Index
from esp3c.query.ways import Sort, Thing, Value, way
from esp3c.record import record
from esp3c.resolve.scopes import MAX_HOPS, Owner
from esp3c.resolve.shapes import Kind, Shape
from esp3c.source import Span
from esp3c.syntax import ast

MOST_LINES = 14

BASE_UNITS = {ast.Dimension.DURATION: "s", ast.Dimension.SIZE: "B", ast.Dimension.FREQUENCY: "Hz"}

_DEEPEST = 20


def amount(value: float, dimension: ast.Dimension | None) -> str:
    """A number in its base unit: `5,400 s`."""
    number = int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
    unit = f" {BASE_UNITS[dimension]}" if dimension is not None else ""
    return f"{number:,}{unit}"


def lines_of(span: Span) -> str:
    """A piece of a recipe with its indentation taken off; the beginning of one that is long."""
    lines = span.text.replace("\r\n", "\n").split("\n")
    margin = min((len(each) - len(each.lstrip()) for each in lines[1:] if each.strip()), default=0)
    shown = [lines[0], *(each[margin:] for each in lines[1:])]
    return "\n".join(shown if len(shown) <= MOST_LINES else [*shown[: MOST_LINES - 1], "…"]).rstrip()


@record
class Followed:
    """What a value is in the end. `by` are the names that led there, in order, and `end` what the last of them means."""

    by: tuple[str, ...]
    end: Value | Thing | None


def followed(index: Index, owner: Owner, place: tuple[str | int, ...], shape: Shape) -> Followed:
    """Follows a value through the names that stand for it."""
    by: list[str] = []
    value = Value(owner, place, shape)
    for _ in range(MAX_HOPS):
        name = _name_in(value.shape)
        if name is None:
            return Followed(tuple(by), value)
        found = way(index.names, tuple(name.split(".")), value.owner, value.place)
        if found is None:
            # A Python path, or a name that is not there.
            return Followed(tuple(by), value)
        by.append(name)
        if found.value is None:
            return Followed(tuple(by), found.things[-1])
        value = found.value
    return Followed(tuple(by), None)


def _name_in(shape: Shape) -> str | None:
    if shape.kind is not Kind.LEAF:
        return None
    match shape.value:
        case ast.Reference(path, None):
            return path.dotted
        case ast.Text(parts=(ast.Interpolation(expression),)) if ":" not in expression:
            return expression
    return None


def measured(shape: Shape) -> str:
    """What a quantity is in its base unit; nothing for other values."""
    value = shape.value
    if shape.kind is Kind.LEAF and isinstance(value, ast.Quantity):
        return amount(value.value, value.dimension)
    return ""


def home_of(index: Index, offset: int) -> str:
    """The config in which a place stands; for what is in none, the config whose experiment all others follow."""
    for name, config in index.declarations.configs.items():
        if config.span.start <= offset < config.span.end:
            return name
    configs = index.declarations.configs
    return "training" if "training" in configs or not configs else next(iter(configs))


def text_of(recipe: Recipe, config: str, node: Node | None, depth: int = 0) -> str | None:
    """The text that a value becomes in a config, as far as the recipe says it: what is open stays `${…}`."""
    if depth > _DEEPEST:
        return None
    match node:
        case Scalar(value=None):
            return "null"
        case Scalar(value=bool() as value):
            return "true" if value else "false"
        case Scalar(value=value):
            return str(value)
        case CarriedNode(value=value):
            return text_of(recipe, config, value, depth + 1)
        case LinkNode(place=place, scaffold=scaffold):
            if scaffold:
                return folder(recipe, config, str(place[0]))
            found = recipe.configs.get(config)
            return text_of(recipe, config, at(found.root, place) if found is not None else None, depth + 1)
        case Text(parts):
            pieces = [_part(recipe, config, part, depth) for part in parts]
            return None if None in pieces else "".join(each or "" for each in pieces)
    return None


def _part(recipe: Recipe, config: str, part: object, depth: int) -> str | None:
    match part:
        case str():
            return part
        case Resolver(expression=expression):
            return "${" + expression + "}"
        case LinkNode() | CarriedNode():
            return text_of(recipe, config, part, depth + 1)
    return None


def name_of(thing: Thing) -> str:
    """A thing as other declarations would name it: `training.model.vocab_size`."""
    if thing.sort is not Sort.VALUE:
        return thing.name
    out = thing.owner[1]
    for step in thing.place:
        out += f"[{step}]" if isinstance(step, int) else f".{step}"
    return out
