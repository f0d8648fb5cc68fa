"""Which place of a generated config a value of the recipe has, and the other way round.

`emit.lower` decides where values are written; this says it of a recipe that need not be without errors.
`tests/query/test_generated.py` holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakKeyDictionary

from esp3c.emit.lower import data_src
from esp3c.ir import (
    CallNode,
    Config,
    Dataset,
    DatasetNode,
    Entry,
    ListNode,
    MapNode,
    Node,
    ParallelNode,
    Place,
    Recipe,
    strip,
)
from esp3c.query.view import View
from esp3c.record import record
from esp3c.schema.backends import IN_YAML
from esp3c.schema.blocks import DATA_ORGANIZER, INFERENCE_DATASET, TRAINING_DATASET
from esp3c.source import Span

Owned = tuple[tuple[str, str], Place]
"""What a value belongs to (kind and name), and its place there."""


@record
class Written:
    """A value of `conf/CONFIG.yaml`: its place there, the value of the recipe that it is, and where that one's key stands."""

    config: str
    yaml: Place
    of: Owned
    span: Span

    @property
    def dotted(self) -> str:
        return dotted(self.yaml)

    @property
    def path(self) -> str:
        return f"conf/{self.config}.yaml"


def dotted(place: Place) -> str:
    """`dataset.test[0].name`, as manifests have it."""
    out = ""
    for step in place:
        out += f"[{step}]" if isinstance(step, int) else f".{step}" if out else step
    return out


class Writings:
    """Everything of a recipe that is written into its configs."""

    def __init__(self, recipe: Recipe) -> None:
        self._of: dict[Owned, list[Written]] = {}
        self._at: dict[str, dict[str, Written]] = {name: {} for name in recipe.configs}
        for config in recipe.configs.values():
            for each in _Config(recipe, config).run():
                self._of.setdefault(each.of, []).append(each)
                self._at[config.name].setdefault(each.dotted, each)

    def of(self, owner: tuple[str, str], place: Place) -> list[Written]:
        """Where a value of the recipe is written."""
        return self._of.get((owner, place), [])

    def places(self, config: str) -> set[str]:
        """The dotted places of a config that have a value of the recipe."""
        return set(self._at.get(config, {}))

    def at(self, config: str, place: Place) -> Written | None:
        """The value of the recipe that stands at a place of a config, or the nearest one that the place is inside of."""
        known = self._at.get(config, {})
        for depth in range(len(place), 0, -1):
            found = known.get(dotted(place[:depth]))
            if found is not None:
                return found
        return None


_WRITINGS: WeakKeyDictionary[View, Writings] = WeakKeyDictionary()


def writings(view: View) -> Writings:
    """What is written of a view's recipe; worked out once."""
    found = _WRITINGS.get(view)
    if found is None:
        found = _WRITINGS[view] = Writings(view.recipe)
    return found


class _Config:
    """Goes through one config as `emit.lower` does."""

    def __init__(self, recipe: Recipe, config: Config) -> None:
        self.recipe = recipe
        self.config = config

    def run(self) -> Iterator[Written]:
        root, name = self.config.root, self.config.name
        for entry in self.recipe.settings.entries:
            # As in `emit.lower`: what is random is in these.
            seeded = entry.name != "seed" or self.config.kind in {"training", "inference", ""}
            if root.get(entry.name) is None and seeded:
                yield from self.inside(entry.value, ("recipe", "recipe"), (entry.name,), (entry.name,), entry.key_span)
        for entry in root.entries:
            yield from self.section(entry)
        if self.config.kind == "training":
            yield from self.create_dataset()
        for stage in self.recipe.stages:
            owner = ("stage", stage.name)
            if stage.workload is not None and stage.over is not None and stage.over[0] == name:
                yield Written(name, (stage.name,), (owner, ()), stage.name_span)
                for entry in stage.workload.entries:
                    yield from self.inside(entry.value, owner, (entry.name,), (stage.name, entry.name), entry.key_span)
                over = stage.over_span or stage.name_span
                yield Written(name, (stage.name, "over"), (owner, ("over",)), over)
            if stage.on is not None and stage.needs[:1] == (name,):
                machine = self.recipe.parallels.get(stage.on.name)
                if machine is not None and isinstance(machine.value, ParallelNode):
                    yaml: Place = ("stage_parallel", stage.name)
                    owner = ("parallel", machine.name)
                    yield Written(name, yaml, (owner, ()), machine.name_span)
                    yield Written(name, (*yaml, "env"), (owner, ()), machine.value.span)
                    yield from self.parallel(machine.value, owner, (), yaml)

    def section(self, entry: Entry) -> Iterator[Written]:
        owner, place, value = ("config", self.config.name), (entry.name,), strip(entry.value)
        known = self.config.kind in {"training", "inference", "metrics"}
        if known and entry.name == "dataset":
            settings = value.arguments if isinstance(value, CallNode) and value.target.path == DATA_ORGANIZER else value
            if isinstance(settings, MapNode):
                yield Written(self.config.name, place, (owner, place), entry.key_span)
                yield from self.dataset(settings, owner)
                return
        if self.config.kind == "metrics" and entry.name == "metrics" and isinstance(value, ListNode):
            yield Written(self.config.name, place, (owner, place), entry.key_span)
            for number, item in enumerate(value.items):
                alone = not isinstance(strip(item), MapNode)
                yaml: Place = ("metrics", number, "metric") if alone else ("metrics", number)
                yield from self.inside(item, owner, ("metrics", number), yaml, item.span)
            return
        yield from self.inside(entry.value, owner, place, place, entry.key_span)

    def dataset(self, node: MapNode, owner: tuple[str, str]) -> Iterator[Written]:
        known = TRAINING_DATASET if self.config.kind == "training" else INFERENCE_DATASET
        for entry in node.entries:
            place: Place = ("dataset", entry.name)
            value = strip(entry.value)
            split = entry.name in {"train", "valid", "test"} and known.key(entry.name) is not None
            if split and isinstance(value, MapNode):
                yield Written(self.config.name, place, (owner, place), entry.key_span)
                for number, each in enumerate(value.entries):
                    mine, yaml = (*place, each.name), (*place, number)
                    yield from self.inside(each.value, owner, mine, yaml, each.key_span)
                    yield Written(self.config.name, (*yaml, "name"), (owner, mine), each.key_span)
            elif split and isinstance(value, DatasetNode):
                yield Written(self.config.name, place, (owner, place), entry.key_span)
                yield from self.inside(entry.value, owner, place, (*place, 0), entry.key_span)
            else:
                yield from self.inside(entry.value, owner, place, place, entry.key_span)

    def create_dataset(self) -> Iterator[Written]:
        """The builders' arguments: at the top for one dataset, under each one's `data_src` for several."""
        given = [(each, found) for each in self.recipe.datasets.values() if (found := _builder(each)) is not None]
        for dataset, (place, arguments) in given:
            yaml: Place = ("create_dataset",) if len(given) == 1 else ("create_dataset", data_src(dataset)[0])
            owner = ("dataset", dataset.name)
            if arguments.entries or len(given) == 1:
                yield Written(self.config.name, yaml, (owner, place), arguments.span)
            for entry in arguments.entries:
                yield from self.inside(entry.value, owner, (*place, entry.name), (*yaml, entry.name), entry.key_span)

    def inside(self, node: Node, owner: tuple[str, str], place: Place, yaml: Place, span: Span) -> Iterator[Written]:
        """A value and all that is written inside it. What a name stands for has no place of its own."""
        yield Written(self.config.name, yaml, (owner, place), span)
        match node:
            case MapNode(entries):
                yield from self._entries(entries, owner, place, yaml)
            case ListNode(items):
                for number, item in enumerate(items):
                    yield from self.inside(item, owner, (*place, number), (*yaml, number), item.span)
            case CallNode():
                yield Written(self.config.name, (*yaml, "_target_"), (owner, place), node.head)
                yield from self._entries((*node.options.entries, *node.arguments.entries), owner, place, yaml)
            case DatasetNode():
                yield Written(self.config.name, (*yaml, "data_src"), (owner, place), node.head)
                yield from self._entries(node.arguments.entries, owner, place, yaml, "data_src_args")
                yield from self._entries(node.extra.entries, owner, place, yaml)
            case ParallelNode():
                yield Written(self.config.name, (*yaml, "env"), (owner, place), node.span)
                if not node.name:
                    yield from self.parallel(node, owner, place, yaml)
            case _:
                return

    def _entries(
        self, entries: tuple[Entry, ...], owner: tuple[str, str], place: Place, yaml: Place, *above: str
    ) -> Iterator[Written]:
        for entry in entries:
            yield from self.inside(
                entry.value, owner, (*place, entry.name), (*yaml, *above, entry.name), entry.key_span
            )

    def parallel(self, node: ParallelNode, owner: tuple[str, str], place: Place, yaml: Place) -> Iterator[Written]:
        for entry in node.settings.entries:
            name = IN_YAML.get(entry.name, entry.name) if node.backend == "slurm" else entry.name
            above: Place = () if entry.name in {"n_workers", "n_shards"} else ("options",)
            yield from self.inside(entry.value, owner, (*place, entry.name), (*yaml, *above, name), entry.key_span)


def _builder(dataset: Dataset) -> tuple[Place, MapNode] | None:
    """The place and the arguments of what prepares a dataset."""
    if dataset.settings.get("source") is not None:
        settings = dataset.settings.get("create_dataset")
        value = strip(settings) if settings is not None else None
        return ("create_dataset",), value if isinstance(value, MapNode) else MapNode((), dataset.name_span)
    if dataset.builder is None:
        return None
    value = strip(dataset.builder)
    return ("builder",), value.arguments if isinstance(value, CallNode) else MapNode((), value.span)


# -- from a generated file back -----------------------------------------------------------------------------------------


@record
class Traced:
    """A value of a generated file as its manifest has it: its dotted place, its line, and its characters in the recipe."""

    at: str
    line: int
    start: int
    end: int


def traced(manifest: object, file: str) -> list[Traced]:
    """What a manifest says of a file; nothing of values that stand in no recipe, and of what is no manifest."""
    files = manifest.get("files") if isinstance(manifest, dict) else None
    found = files.get(file) if isinstance(files, dict) else None
    recipe = manifest.get("recipe") if isinstance(manifest, dict) else None
    if not isinstance(found, dict) or not isinstance(recipe, str):
        return []
    out: list[Traced] = []
    for kind in ("values", "blocks"):
        listed = found.get(kind)
        for each in listed if isinstance(listed, list) else ():
            match each:
                case {"at": str(at), "line": int(line), "recipe": str(where), "start": int(start), "end": int(end)}:
                    if where.startswith(f"{recipe}:"):
                        out.append(Traced(at, line, start, end))
    return out
