"""Which name is meant. The owners of values (configs, `let`s, datasets …) and the look-up of dotted names in them.

A name is looked up in the block in which it stands, the blocks around it, and then among the file's declarations;
always whole, so that `dataset.transforms.Gain` is the recipe's Python although a config has a key `dataset`.
"""

from __future__ import annotations

from esp3c.ir import Place
from esp3c.record import field, mutable, record
from esp3c.resolve.shapes import Kind, Shape
from esp3c.schema.blocks import CONFIGS, SCAFFOLD_NAMES
from esp3c.source import Span
from esp3c.suggest import nearest
from esp3c.syntax import ast

MAX_HOPS = 50
"""Through how many names a name is followed; more are only found where something went wrong."""


@record
class Owner:
    """What a value belongs to: `kind` is `config`, `let`, `recipe`, `dataset`, `parallel` or `stage`."""

    kind: str
    name: str
    root: Shape

    @property
    def is_config(self) -> bool:
        return self.kind == "config"


@record
class Target:
    """A value of the recipe that a name means."""

    owner: Owner
    place: Place
    shape: Shape
    shadowed: Span | None = None


@record
class Scaffold:
    """A key that every config has."""

    name: str


@record
class Declared:
    """The name of a dataset, a `parallel` or a config, meant as such."""

    kind: str
    name: str


@record
class Elsewhere:
    """A folder of another experiment: it has no place in the recipe, and `${exp_dir}` would mean one's own."""

    config: str
    key: str


Meaning = Target | Scaffold | Declared | Elsewhere | None

_OF_AN_EXPERIMENT = {
    "exp_tag": frozenset({"exp_tag"}),
    "exp_dir": frozenset({"exp_tag", "exp_dir"}),
    "inference_dir": frozenset({"exp_tag", "exp_dir", "inference_dir"}),
}
"""Keys that differ between experiments, each with those that it follows."""


@mutable
class Names:
    """All declarations of the file, by kind and name."""

    configs: dict[str, Owner] = field(default_factory=dict)
    lets: dict[str, Owner] = field(default_factory=dict)
    datasets: dict[str, Owner] = field(default_factory=dict)
    parallels: dict[str, Owner] = field(default_factory=dict)
    recipe: Owner | None = None
    spans: dict[tuple[str, str], Span] = field(default_factory=dict)
    used: set[tuple[str, str]] = field(default_factory=set)

    def common(self) -> frozenset[str]:
        """The keys that every config has: the scaffold, and what the `recipe` block sets."""
        own = set(self.recipe.root.children) - {"system"} if self.recipe else set()
        return SCAFFOLD_NAMES | own

    # -- looking up -------------------------------------------------------------------------------------------------

    def look_up(self, parts: tuple[str, ...], owner: Owner, place: Place) -> Meaning:
        """What a dotted name means to the value at `place` of `owner`."""
        return self._look_up(parts, owner, place, frozenset())

    def _look_up(
        self, parts: tuple[str, ...], owner: Owner, place: Place, busy: frozenset[tuple[str, str, Place]]
    ) -> Meaning:
        for depth in range(len(place) - 1, -1, -1):
            block = walk(owner.root, place[:depth])
            if block is None or block.kind not in {Kind.MAP, Kind.CALL}:
                continue
            found = self._descend(owner, place[:depth], block, parts, place, busy)
            if found is not None:
                hidden = self.lets.get(parts[0])
                span = self.spans.get(("let", parts[0])) if hidden is not None else None
                return Target(found.owner, found.place, found.shape, span)
        return self._declared(parts, owner, busy)

    def _declared(self, parts: tuple[str, ...], owner: Owner, busy: frozenset[tuple[str, str, Place]]) -> Meaning:
        head, rest = parts[0], parts[1:]
        if head in self.lets:
            self.used.add(("let", head))
            return self._descend(self.lets[head], (), self.lets[head].root, rest, None, busy)
        if not rest and head in self.common():
            return Scaffold(head)
        if head in self.configs:
            self.used.add(("config", head))
            root = self.configs[head]
            if not rest:
                return Declared("config", head)
            found = self._descend(root, (), root.root, rest, None, busy)
            if found is not None or len(rest) != 1 or rest[0] not in self.common():
                return found
            own = _OF_AN_EXPERIMENT.get(rest[0], frozenset())
            same = not own or self._experiment(head, own) == self._experiment(owner.name, own)
            return Scaffold(rest[0]) if same else Elsewhere(head, rest[0])
        if head == "recipe" and self.recipe is not None and rest:
            return self._descend(self.recipe, (), self.recipe.root, rest, None, busy)
        if not rest and head in self.datasets:
            self.used.add(("dataset", head))
            return Declared("dataset", head)
        if not rest and head in self.parallels:
            self.used.add(("parallel", head))
            return Declared("parallel", head)
        return None

    def _experiment(self, name: str, keys: frozenset[str]) -> str:
        """The config whose experiment a config belongs to: its own, or that of `training`, which ESPnet3 hands on.

        `keys` are those by which it would have one of its own.
        """
        config = self.configs.get(name)
        if config is None or name == "training":
            return "training"
        tagged = self.recipe is not None and "exp_tag" in self.recipe.root.children
        follows = name in CONFIGS or tagged
        return name if config.root.children.keys() & keys or not follows else "training"

    def _descend(
        self,
        owner: Owner,
        place: Place,
        shape: Shape,
        parts: tuple[str, ...],
        asking: Place | None,
        busy: frozenset[tuple[str, str, Place]],
    ) -> Target | None:
        here, node = place, shape
        for position, part in enumerate(parts):
            if node.kind is Kind.LEAF and isinstance(node.value, ast.Reference):
                # The name of another value: go on inside that one.
                key = (owner.kind, owner.name, here)
                if key in busy or len(busy) >= MAX_HOPS:
                    return None
                names = tuple(each.text for each in node.value.path.parts)
                meant = self._look_up(names, owner, here, busy | {key})
                if not isinstance(meant, Target):
                    return None
                return self._descend(meant.owner, meant.place, meant.shape, parts[position:], None, busy | {key})
            step: str | int = int(part) if node.kind is Kind.LIST and part.isdecimal() else part
            deeper = node.step(step)
            if deeper is None:
                return None
            here, node = (*here, step), deeper
        # A value does not mean itself, nor what it stands in: `vocab_size = vocab_size` looks further out.
        if asking is not None and here == asking[: len(here)]:
            return None
        return Target(owner, here, node)

    # -- what is near -----------------------------------------------------------------------------------------------

    def near(self, parts: tuple[str, ...], owner: Owner, place: Place) -> tuple[str, ...]:
        """Names in sight that look like the one that was not found, whole."""
        heads: list[str] = []
        for depth in range(len(place) - 1, -1, -1):
            block = walk(owner.root, place[:depth])
            if block is None or block.kind not in {Kind.MAP, Kind.CALL}:
                continue
            heads.extend(block.children)
            tails = self._near_tail(owner, place[:depth], block, parts)
            if tails:
                return tails
        for table in (self.lets, self.configs):
            if parts[0] in table and len(parts) > 1:
                root = table[parts[0]]
                tails = self._near_tail(root, (), root.root, parts[1:])
                if tails:
                    return tuple(f"{parts[0]}.{tail}" for tail in tails)
        heads.extend((*self.lets, *self.configs, *self.datasets, *self.parallels, *sorted(self.common())))
        near = nearest(parts[0], heads)
        full = [".".join((head, *parts[1:])) for head in near]
        if len(parts) == 1:
            return tuple(full)
        return tuple(name for name in full if isinstance(self.look_up(tuple(name.split(".")), owner, place), Target))

    def _near_tail(self, owner: Owner, place: Place, shape: Shape, parts: tuple[str, ...]) -> tuple[str, ...]:
        node, good = shape, 0
        for part in parts:
            deeper = node.step(part)
            if deeper is None:
                break
            node, good = deeper, good + 1
        if not good or good == len(parts):
            return ()
        prefix = ".".join(parts[:good])
        return tuple(f"{prefix}.{near}" for near in nearest(parts[good], node.children))


def walk(root: Shape, place: Place) -> Shape | None:
    node: Shape | None = root
    for step in place:
        node = node.step(step) if node is not None else None
    return node
