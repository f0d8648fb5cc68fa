"""Which names of the recipe can be written at a place, and what stands behind the parts of a dotted one.

The same look-up that decides what a name means (`esp3c.resolve.scopes`), asked for everything that it would find.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from esp3c.ir import Place
from esp3c.query.context_reading import DECLARED, LISTED, STAGE, Frame
from esp3c.query.view import View
from esp3c.record import record
from esp3c.resolve.declarations import Declarations, declare
from esp3c.resolve.scopes import Declared, Owner, Target, walk
from esp3c.resolve.shapes import Kind, Shape, is_hydra_key
from esp3c.schema.blocks import CONFIGS, SCAFFOLD
from esp3c.syntax import ast

LONGEST = 60
"""How many characters of a value are shown beside its name."""

MOST_HOPS = 20


@record
class Standing:
    """The place where one is writing, as names see it: what it belongs to, and the keys, positions and arguments on the way."""

    kind: str
    name: str
    place: Place


@record
class Named:
    """A name that can be written. `what` says where it comes from; `shape` is its value, where the recipe has it."""

    name: str
    what: str
    shape: Shape | None = None
    kind: str = ""

    @property
    def holds(self) -> bool:
        """Whether a further name may stand behind it."""
        if self.kind in {"config", "recipe"}:
            return True
        return self.shape is not None and self.shape.kind in {Kind.MAP, Kind.CALL} and bool(self.shape.children)


def standing(frames: Sequence[Frame]) -> Standing:
    """Where the innermost of these brackets is."""
    file = frames[0]
    kind, name = file.words[:2] if len(file.words) == 2 and file.words[0] in {"let", "parallel"} else ("", "")
    place: list[str | int] = []
    for frame in frames:
        if frame.role == DECLARED:
            kind, name = _declared(frame.words)
        elif frame.role == STAGE:
            kind, name = "stage", frame.words[0] if frame.words else ""
        if not frame.opener:
            continue
        if frame.role == LISTED:
            place.append(frame.index)
        else:
            place.extend(frame.key)
    return Standing(kind, name, tuple(place))


def _declared(words: tuple[str, ...]) -> tuple[str, str]:
    match words:
        case ("recipe", *_):
            return "recipe", "recipe"
        case ("config" | "dataset" as kind, name, *_):
            return kind, name
        case (name,) if name in CONFIGS:
            return "config", name
        case _:
            return "", ""


class Sight:
    """The names of one version of a recipe."""

    def __init__(self, view: View) -> None:
        span = view.file.span
        self._nothing = Shape(Kind.MAP, span, ast.Block((), span))
        self.declared: Declarations = declare(view.file, (), [])
        self.names = self.declared.names

    def owner(self, here: Standing) -> Owner | None:
        """What a place belongs to; None where its declaration cannot be read just now."""
        match here.kind:
            case "config":
                return self.names.configs.get(here.name)
            case "let":
                return self.names.lets.get(here.name)
            case "dataset":
                return self.names.datasets.get(here.name)
            case "parallel":
                return self.names.parallels.get(here.name)
            case "recipe":
                return self.names.recipe
        return None

    def heads(self, here: Standing) -> Iterator[Named]:
        """The names that a value at this place may begin with, the nearest first, each once."""
        seen: set[str] = set()
        owner = self.owner(here)
        if owner is not None:
            for each in self._around(owner, here.place):
                if each.name not in seen:
                    seen.add(each.name)
                    yield each
        for each in self._outside(here):
            if each.name not in seen:
                seen.add(each.name)
                yield each

    def _around(self, owner: Owner, place: Place) -> Iterator[Named]:
        for depth in range(len(place) - 1, -1, -1):
            block = walk(owner.root, place[:depth])
            if block is None or block.kind not in {Kind.MAP, Kind.CALL}:
                continue
            for name, child in block.children.items():
                # A value does not mean itself, nor what it stands in.
                if name != place[depth] and not is_hydra_key(name):
                    yield Named(name, _where(owner, place[:depth]), child)

    def _outside(self, here: Standing) -> Iterator[Named]:
        names = self.names
        for name, let in names.lets.items():
            if (here.kind, here.name) != ("let", name):
                yield Named(name, "let", let.root, "let")
        recipe = names.recipe.root.children if names.recipe is not None else {}
        for name in sorted(names.common()):
            yield Named(name, "every config has it", recipe.get(name), "scaffold")
        for name, config in names.configs.items():
            yield Named(name, self.declared.kinds.get(name) or "config", config.root, "config")
        if names.recipe is not None:
            yield Named("recipe", "recipe", names.recipe.root, "recipe")

    def behind(self, path: Sequence[str], here: Standing) -> list[Named]:
        """The names that may stand behind a dotted one; none where it is no name of the recipe."""
        if list(path) == ["recipe"] and self.names.recipe is not None:
            return _children(self.names.recipe.root, "recipe")
        shape, owner, place = self._shape(tuple(path), here)
        hops = 0
        while shape is not None and owner is not None and hops < MOST_HOPS:
            if shape.kind is not Kind.LEAF or not isinstance(shape.value, ast.Reference):
                break
            hops += 1
            parts = tuple(each.text for each in shape.value.path.parts)
            meant = self.names.look_up(parts, owner, place)
            if not isinstance(meant, Target):
                return []
            shape, owner, place = meant.shape, meant.owner, meant.place
        if shape is None:
            return []
        found = _children(shape, ".".join(path))
        if owner is not None and not place and owner.is_config:
            there = {each.name for each in found}
            found += [Named(key.name, key.doc, None, "scaffold") for key in SCAFFOLD if key.name not in there]
        return found

    def _shape(self, path: tuple[str, ...], here: Standing) -> tuple[Shape | None, Owner | None, Place]:
        if not path:
            return None, None, ()
        owner = self.owner(here) or Owner(here.kind, here.name, self._nothing)
        meant = self.names.look_up(path, owner, here.place)
        if isinstance(meant, Target):
            return meant.shape, meant.owner, meant.place
        if isinstance(meant, Declared) and meant.kind == "config":
            config = self.names.configs[meant.name]
            return config.root, config, ()
        return None, None, ()

    def called_alike(self, name: str, here: Standing) -> Iterator[tuple[str, Shape]]:
        """Settings of other configs and calls that have this very name, in full: `training.model.vocab_size`."""
        for config, owner in self.names.configs.items():
            for place, shape in _all(owner.root):
                same = (here.kind, here.name) == ("config", config)
                if place and place[-1] == name and not (same and place == here.place[: len(place)]):
                    dotted = ".".join(place if same else (config, *place))
                    if not same or len(place) > 1:
                        yield dotted, shape


def _where(owner: Owner, place: Place) -> str:
    parts = [owner.name, *(str(each) for each in place if isinstance(each, str))]
    return ".".join(parts)


def _children(shape: Shape, where: str) -> list[Named]:
    if shape.kind not in {Kind.MAP, Kind.CALL}:
        return []
    return [Named(name, where, child) for name, child in shape.children.items() if not is_hydra_key(name)]


def _all(root: Shape, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Shape]]:
    for name, child in root.children.items():
        yield (*above, name), child
        if child.kind in {Kind.MAP, Kind.CALL} and len(above) < MOST_HOPS:
            yield from _all(child, (*above, name))


def shown(shape: Shape | None) -> str:
    """A value on one line; the beginning of one that is long."""
    if shape is None:
        return ""
    match shape.value:
        case ast.Block():
            return "{ … }"
        case ast.Call(path):
            return f"{path.dotted}(…)"
        case ast.Missing():
            return ""
    text = " ".join(shape.span.text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
