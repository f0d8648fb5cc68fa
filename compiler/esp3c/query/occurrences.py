"""Every place of a recipe where a name is declared or used, and what it stands for there."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from esp3c.ir import Place, Recipe, Stage
from esp3c.query.occurring import Occurrence, Role, Walk
from esp3c.query.view import View
from esp3c.query.ways import Sort, Thing
from esp3c.resolve.declarations import Declarations, declare
from esp3c.resolve.scopes import Owner, walk
from esp3c.resolve.shapes import Shape
from esp3c.schema.blocks import CONFIGS, OWN
from esp3c.schema.stages import KNOWN_STAGES
from esp3c.source import Span

__all__ = ["Index", "Occurrence", "Role", "index", "is_own"]


class Index:
    """The occurrences of one version of a recipe, in the order of the text; no two of them overlap."""

    def __init__(self, recipe: Recipe, declarations: Declarations, walk: Walk) -> None:
        # A key may be the empty text.
        found = [each for each in walk.file() if each.span.start < each.span.end]
        self.workloads = walk.workloads
        self.strings = tuple(walk.strings)
        self.recipe = recipe
        self.declarations = declarations
        self.names = declarations.names
        self.all = tuple(sorted(found, key=lambda each: each.span.start))
        self._starts = [each.span.start for each in self.all]
        self._same: dict[Thing, list[Occurrence]] | None = None
        self._stage_homes = dict(_homes(recipe))

    def at(self, offset: int) -> Occurrence | None:
        """The name at an offset, also directly behind it."""
        after = bisect_right(self._starts, offset)
        for each in reversed(self.all[max(0, after - 2) : after]):
            if each.span.start <= offset < each.span.end or offset == each.span.end:
                return each
        return None

    def of(self, thing: Thing) -> list[Occurrence]:
        """Every occurrence of what is the same thing."""
        if self._same is None:
            self._same = {}
            for each in self.all:
                self._same.setdefault(self.same(each.thing), []).append(each)
        return self._same.get(self.same(thing), [])

    def same(self, thing: Thing) -> Thing:
        """The thing under its first name: a key that a config takes over is that of its base."""
        if thing.sort is not Sort.VALUE or thing.owner[0] != "config":
            return thing
        config, place = thing.owner[1], thing.place
        while (base := self.base(config)) is not None and self._taken_over(config, base, place):
            config = base
        if len(place) == 1 and config in self._stage_homes.get(str(place[0]), ()):
            return Thing(Sort.STAGE, str(place[0]))
        return Thing(Sort.VALUE, thing.name, ("config", config), place)

    def homes(self, stage: str) -> list[str]:
        """The configs in which the settings of a stage may stand under its name."""
        return [name for name in self._stage_homes.get(stage, ()) if name in self.names.configs]

    def base(self, config: str) -> str | None:
        declaration = self.declarations.configs.get(config)
        base = declaration.extends if declaration is not None else None
        return base.text if base is not None and base.text in self.names.configs else None

    def _taken_over(self, config: str, base: str, place: Place) -> bool:
        """Whether a base has the key at this place too, in a block that was not put in the place of its own."""
        mine: Shape | None = self.names.configs[config].root
        other: Shape | None = self.names.configs[base].root
        for step in place:
            if mine is None or other is None or mine.value is not other.value:
                return False
            mine, other = mine.step(step), other.step(step)
        return mine is not None and other is not None

    def shape(self, thing: Thing) -> Shape | None:
        """The value of a thing, where it is one of the recipe."""
        owner = self.owner(thing)
        return walk(owner.root, thing.place) if owner is not None else None

    def owner(self, thing: Thing) -> Owner | None:
        """What a value belongs to, or what a declaration makes."""
        kind, name = thing.owner
        if thing.sort is not Sort.VALUE:
            kind, name = thing.sort.value, thing.name
        if kind == "recipe":
            return self.names.recipe
        tables = {
            "config": self.names.configs,
            "let": self.names.lets,
            "dataset": self.names.datasets,
            "parallel": self.names.parallels,
            "stage": self.workloads,
        }
        return tables[kind].get(name) if kind in tables else None

    def key_span(self, thing: Thing) -> Span | None:
        """Where the name of a value stands, as the config of this thing has it; of an item of a list, the item."""
        owner = self.owner(thing)
        if owner is None or not thing.place:
            return None
        above = walk(owner.root, thing.place[:-1])
        last = thing.place[-1]
        if above is None:
            return None
        if isinstance(last, int):
            item = above.step(last)
            return item.span if item is not None else None
        return above.keys.get(last)


def is_own(stage: Stage) -> bool:
    """Whether a stage line makes a stage, and does not name one that the system has."""
    return stage.runs is not None or stage.workload is not None


def _homes(recipe: Recipe) -> Iterator[tuple[str, frozenset[str]]]:
    """For each stage of the recipe's own the configs in which its settings may stand under its name."""
    for stage in recipe.stages:
        if stage.name in KNOWN_STAGES:
            continue
        needed = {each for name in stage.needs for each in _chain(recipe, name)}
        needed |= {name for name in recipe.configs if needed.intersection(_chain(recipe, name))}
        blocks = {name: CONFIGS.get(recipe.kind_of(name), OWN) for name in needed}
        yield stage.name, frozenset(name for name, block in blocks.items() if block.key(stage.name) is None)


def _chain(recipe: Recipe, name: str) -> list[str]:
    """A config and those that it extends."""
    found: list[str] = []
    while name not in found:
        found.append(name)
        config = recipe.configs.get(name)
        name = config.extends or name if config is not None else name
    return found


# Kept as long as the view is: every question about a version of the text begins with these.
_INDEXES: WeakKeyDictionary[View, Index] = WeakKeyDictionary()


def index(view: View) -> Index:
    """The occurrences of a view; worked out once."""
    found = _INDEXES.get(view)
    if found is None:
        declarations = declare(view.file, (), [])
        found = _INDEXES[view] = Index(view.recipe, declarations, Walk(view, declarations))
    return found
