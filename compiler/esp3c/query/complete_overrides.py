"""Keys of a config that extends another one: what the base has, dotted as well, and what it does not have behind `new`."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.query.complete_keys import APART, COMMON, PLAIN, finished, key_proposal, key_text
from esp3c.query.complete_model import Proposal, Sort
from esp3c.query.complete_place import Here
from esp3c.query.hover_parts import Said, code
from esp3c.query.in_sight import shown
from esp3c.query.signatures import called_path
from esp3c.record import changed
from esp3c.resolve.scopes import walk
from esp3c.resolve.shapes import Kind, Shape, is_hydra_key
from esp3c.schema import types as t
from esp3c.syntax import ast

MOST_DOTTED = 150
DEEPEST = 4


def base_of(here: Here) -> tuple[str, Shape] | None:
    """The base of the config at the place, by name, with what it has there; None where the config extends none."""
    frames = here.context.frames
    words = frames[1].words if len(frames) > 1 else ()
    if len(words) != 4 or words[0] != "config" or words[2] != "extends":
        return None
    owner = here.sight.names.configs.get(words[3])
    shape = walk(owner.root, (*here.standing.place, *here.context.path)) if owner is not None else None
    return (words[3], shape) if shape is not None and shape.kind in {Kind.MAP, Kind.CALL} else None


def overrides(here: Here, base: str, shape: Shape) -> Iterator[Proposal]:
    """The settings that may be written over those of the base."""
    absent = [
        each for each in _further(here, shape) if each.label not in shape.children and each.label not in here.given
    ]
    if here.context.new:
        yield from absent
        for name, child in shape.children.items():
            # The way to a new key leads through those that are there.
            if child.kind in {Kind.MAP, Kind.CALL}:
                yield Proposal(name, Sort.BLOCK, APART, shown(child), leads=True)
        return
    yield from _settings(here, base, shape)
    if here.context.path:
        return
    for each in absent:
        snippet = f"new {each.snippet}" if each.snippet else ""
        yield changed(each, label=f"new {each.label}", rank=APART + 1, snippet=snippet, match=f"{each.label} new")
    yield Proposal("new", Sort.KEYWORD, APART, "a key that the base does not have", snippet="new $1")


def _settings(here: Here, base: str, shape: Shape) -> Iterator[Proposal]:
    """What the base has: its keys, and with a dotted key what is inside of them."""
    block = here.known.block
    for name, child in shape.children.items():
        key = block.key(name) if block is not None else None
        if name not in here.given and not is_hydra_key(name):
            yield _setting(here, base, name, child, key, PLAIN)
    count = 0
    for name, child in _deeper(shape):
        full = ".".join((*here.context.path, name))
        if full not in here.given and count < MOST_DOTTED:
            count += 1
            yield _setting(here, base, name, child, None, COMMON)


def _deeper(shape: Shape, above: str = "", depth: int = 0) -> Iterator[tuple[str, Shape]]:
    for name, child in shape.children.items():
        if is_hydra_key(name) or not name.isidentifier():
            continue
        if above:
            yield f"{above}.{name}", child
        if child.kind in {Kind.MAP, Kind.CALL} and depth < DEEPEST:
            yield from _deeper(child, f"{above}.{name}" if above else name, depth + 1)


def _setting(here: Here, base: str, name: str, child: Shape, key: t.Key | None, rank: int) -> Proposal:
    inner = child.kind is Kind.MAP
    snippet = "" if finished(here) else f"{name} {{ $1 }}" if inner else _with_value(name, child)
    said = f"In `{base}`: {code(shown(child))}"
    doc = (Said(said), *(key_text(here, key) if key is not None else ()))
    match = f"{name.rpartition('.')[2]} {name}" if "." in name else ""
    sort, leads = Sort.BLOCK if inner else Sort.SETTING, child.kind in {Kind.MAP, Kind.CALL}
    return Proposal(name, sort, rank, shown(child), doc, snippet=snippet, match=match, leads=leads)


def _with_value(name: str, child: Shape) -> str:
    """A setting that is overridden begins with the value that it has."""
    if isinstance(child.value, ast.Number | ast.Quantity | ast.Constant):
        return f"{name} = ${{1:{child.value.span.text}}}"
    return f'{name} = "$1"' if isinstance(child.value, ast.Text) else f"{name} = $1"


def _further(here: Here, shape: Shape) -> Iterator[Proposal]:
    """Keys and arguments that may be there and are not."""
    if shape.kind is Kind.CALL and shape.path is not None:
        made = called_path(here.view, shape.path.dotted, None)
        for each in made.parameters:
            more = (made.path, each.name)
            yield Proposal(each.name, Sort.ARGUMENT, PLAIN, each.label, snippet=f"{each.name} = $1", more=more)
        return
    block = here.known.block
    if block is not None:
        yield from (key_proposal(here, block, key) for key in block.keys)
