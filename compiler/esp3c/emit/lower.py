"""A config of the recipe as the tree of its YAML file: calls become `_target_` maps, links become interpolations.

A value may stand in another place in the YAML than in the recipe (`digits(split = …)` has its arguments under
`data_src_args`), so links are written in a second step, when the place of every value is known.
"""

from __future__ import annotations

from typing import TypeAlias

from esp3c.emit.machines import for_dask_jobqueue, for_submitit
from esp3c.emit.nodes import YList, YMap, YNode, YScalar, escape
from esp3c.ir import (
    BrokenNode,
    CallNode,
    CarriedNode,
    Config,
    Dataset,
    DatasetNode,
    Entry,
    LinkNode,
    ListNode,
    MapNode,
    Node,
    ParallelNode,
    Place,
    PythonNode,
    Recipe,
    Resolver,
    Scalar,
    Step,
    Text,
    strip,
)  # fmt: skip
from esp3c.record import record
from esp3c.schema.backends import IN_YAML, JOB_QUEUES
from esp3c.schema.blocks import DATA_ORGANIZER, INFERENCE_DATASET, OBJECTS, TRAINING_DATASET
from esp3c.schema.lightning import TIMEDELTAS
from esp3c.source import Span
from esp3c.syntax.ast import Dimension

MODULES = "recipe_data"


_Part: TypeAlias = str | LinkNode | Resolver


@record
class _Pending:
    """A scalar that holds links, to be written when all places are known."""

    parts: tuple[_Part, ...]
    span: Span


@record
class _Map:
    entries: dict[str, _Low]
    span: Span


@record
class _List:
    items: list[_Low]
    span: Span


_Low: TypeAlias = YScalar | _Pending | _Map | _List


@record
class _Place:
    """Where a value stands in the recipe's config and in the YAML, and whether Hydra will instantiate it."""

    recipe: Place
    yaml: Place
    instantiated: bool = False

    def into(self, step: Step, *yaml: Step, instantiated: bool | None = None) -> _Place:
        inside = (self.instantiated or step in OBJECTS) if instantiated is None else instantiated
        return _Place((*self.recipe, step), (*self.yaml, *(yaml or (step,))), inside)


def lower(recipe: Recipe, config: Config) -> YMap:
    """The YAML tree of one config, with what all configs have in common and what its stages need."""
    lowering = _Lowering(recipe, config)
    return lowering.run()


def data_src(dataset: Dataset) -> tuple[str, Span]:
    """What stands as `data_src` in the YAML: a tag, a module of one's own, or the generated module."""
    source = dataset.settings.get("source")
    value = strip(source) if source is not None else None
    if isinstance(value, Scalar):
        return str(value.value), value.span
    if isinstance(value, PythonNode):
        return value.target.path, value.span
    return f"{MODULES}.{dataset.name}", dataset.name_span


def _builder_arguments(dataset: Dataset) -> MapNode | None:
    """What a dataset's builder gets, or the builder that its source may bring along."""
    if dataset.settings.get("source") is not None:
        settings = dataset.settings.get("create_dataset")
        value = strip(settings) if settings is not None else None
        return value if isinstance(value, MapNode) else MapNode((), dataset.name_span)
    value = strip(dataset.builder) if dataset.builder is not None else None
    if value is None:
        return None
    return value.arguments if isinstance(value, CallNode) else MapNode((), value.span)


class _Lowering:
    def __init__(self, recipe: Recipe, config: Config) -> None:
        self.recipe = recipe
        self.config = config
        self.places: dict[Place, Place] = {}

    def run(self) -> YMap:
        root = self.config.root
        span = self.config.name_span
        entries: dict[str, YNode] = {}
        if root.get("recipe_dir") is None and self.recipe.settings.get("recipe_dir") is None:
            entries["recipe_dir"] = YScalar(".", span)
        for entry in self.recipe.settings.entries:
            if root.get(entry.name) is None and not (entry.name == "seed" and not self.has_seed()):
                entries[entry.name] = self.finish(self.node(entry.value, _Place((entry.name,), (entry.name,))))
        raw: dict[str, _Low] = {}
        for entry in root.entries:
            place = _Place((entry.name,), (entry.name,))
            raw[entry.name] = self.section(entry, place)
        builders = self.create_dataset(raw.get("create_dataset"))
        if builders is not None:
            raw.pop("create_dataset", None)
            raw = {"create_dataset": builders, **raw}
        self.workloads(raw)
        by_stage = self.stage_parallel()
        if by_stage is not None:
            raw["stage_parallel"] = by_stage
        entries.update((name, self.finish(value)) for name, value in raw.items())
        return YMap(tuple(entries.items()), span)

    def has_seed(self) -> bool:
        return self.config.kind in {"training", "inference", ""}

    # -- blocks with a form of their own --------------------------------------------------------------------------------

    def section(self, entry: Entry, place: _Place) -> _Low:
        value = entry.value
        known = self.config.kind in {"training", "inference", "metrics"}
        if known and entry.name == "dataset":
            settings = strip(value)
            if isinstance(settings, CallNode) and settings.target.path == DATA_ORGANIZER:
                settings = settings.arguments
            if isinstance(settings, MapNode):
                return self.dataset(settings, place)
        if self.config.kind == "metrics" and entry.name == "metrics" and isinstance(strip(value), ListNode):
            return self.metrics(strip(value), place)
        return self.node(value, place)

    def dataset(self, node: MapNode, place: _Place) -> _Low:
        out: dict[str, _Low] = {"_target_": YScalar(DATA_ORGANIZER, node.span)}
        if node.get("recipe_dir") is None:
            out["recipe_dir"] = _Pending((LinkNode(("recipe_dir",), node.span, scaffold=True),), node.span)
        known = TRAINING_DATASET if self.config.kind == "training" else INFERENCE_DATASET
        for entry in node.entries:
            here = place.into(entry.name)
            value = strip(entry.value)
            splits = entry.name in {"train", "valid", "test"} and known.key(entry.name) is not None
            if splits and isinstance(value, MapNode):
                out[entry.name] = self.named_sets(value, here)
            elif splits and isinstance(value, DatasetNode):
                inner = _Place(here.recipe, (*here.yaml, 0))
                out[entry.name] = _List([self.node(entry.value, inner)], value.span)
            else:
                out[entry.name] = self.node(entry.value, here)
        return _Map(out, node.span)

    def named_sets(self, node: MapNode, place: _Place) -> _Low:
        items: list[_Low] = []
        for number, entry in enumerate(node.entries):
            here = place.into(entry.name, number)
            lowered = self.node(entry.value, here)
            name: dict[str, _Low] = {"name": YScalar(escape(entry.name), entry.key_span)}
            if isinstance(lowered, _Map):
                rest = {key: value for key, value in lowered.entries.items() if key != "name"}
                lowered = _Map({**name, **rest}, lowered.span)
            items.append(lowered)
        return _List(items, node.span)

    def metrics(self, node: Node, place: _Place) -> _Low:
        assert isinstance(node, ListNode)
        items: list[_Low] = []
        for number, item in enumerate(node.items):
            if isinstance(strip(item), MapNode):
                items.append(self.node(item, place.into(number)))
            else:
                here = place.into(number, number, "metric")
                items.append(_Map({"metric": self.node(item, here)}, item.span))
        return _List(items, node.span)

    def create_dataset(self, written: _Low | None) -> _Map | None:
        """The builders' arguments: at the top for one dataset, under each one's `data_src` for several.

        `written` is what the config itself says, which all builders get.
        """
        if self.config.kind != "training" or not (written is None or isinstance(written, _Map)):
            return None
        with_arguments: list[tuple[Dataset, MapNode]] = []
        for dataset in self.recipe.datasets.values():
            arguments = _builder_arguments(dataset)
            if arguments is not None:
                with_arguments.append((dataset, arguments))
        if not with_arguments:
            return None
        span = with_arguments[0][1].span
        out: dict[str, _Low] = {"recipe_dir": _Pending((LinkNode(("recipe_dir",), span, scaffold=True),), span)}
        out.update(written.entries if written is not None else {})
        nowhere = _Place(("\0builder",), ("create_dataset",), True)
        for dataset, arguments in with_arguments:
            own: dict[str, _Low] = {entry.name: self.node(entry.value, nowhere) for entry in arguments.entries}
            if len(with_arguments) == 1:
                out.update(own)
            elif own:
                out[data_src(dataset)[0]] = _Map(own, arguments.span)
        return _Map(out, span)

    def workloads(self, raw: dict[str, _Low]) -> None:
        for stage in self.recipe.stages:
            if stage.workload is None or stage.over is None or stage.over[0] != self.config.name:
                continue
            nowhere = _Place(("\0workload",), (stage.name,))
            block: dict[str, _Low] = {entry.name: self.node(entry.value, nowhere) for entry in stage.workload.entries}
            over = ".".join(str(step) for step in stage.over[1])
            block["over"] = YScalar(over, stage.name_span)
            raw[stage.name] = _Map(block, stage.span)

    def stage_parallel(self) -> _Map | None:
        out: dict[str, _Low] = {}
        first: Span | None = None
        for stage in self.recipe.stages:
            if stage.on is None or stage.needs[:1] != (self.config.name,):
                continue
            machine = self.recipe.parallels[stage.on.name]
            if isinstance(machine.value, ParallelNode):
                first = first or stage.on.span
                out[stage.name] = self.parallel(machine.value, _Place(("\0parallel",), ()))
        return _Map(out, first) if first is not None else None

    # -- values ---------------------------------------------------------------------------------------------------------

    def node(self, node: Node, place: _Place) -> _Low:
        self.places.setdefault(place.recipe, place.yaml)
        match node:
            case Scalar(value, span, Dimension.DURATION) if (
                place.yaml[:1] == ("trainer",) and place.yaml[-1] in TIMEDELTAS
            ):
                return _Map({"seconds": YScalar(value, span)}, span)
            case Scalar(value, span):
                return YScalar(escape(value) if isinstance(value, str) else value, span)
            case Text():
                return self.text(node)
            case LinkNode():
                return _Pending((node,), node.span)
            case CarriedNode(value=value):
                return self.node(value, place)
            case ListNode(items, span):
                return _List([self.node(item, place.into(number)) for number, item in enumerate(items)], span)
            case MapNode(entries, span):
                return _Map({entry.name: self.node(entry.value, place.into(entry.name)) for entry in entries}, span)
            case CallNode():
                return self.call(node, place)
            case PythonNode(target, span):
                if place.instantiated:
                    return _Map(
                        {
                            "_target_": YScalar("hydra.utils.get_object", span),
                            "path": YScalar(target.path, span),
                        },
                        span,
                    )
                return YScalar(target.path, span)
            case DatasetNode():
                return self.entry(node, place)
            case ParallelNode():
                return self.parallel(node, place)
            case BrokenNode():
                raise AssertionError("a recipe with errors is never lowered")

    def text(self, node: Text) -> _Pending | YScalar:
        parts: list[_Part] = []
        for part in node.parts:
            match part:
                case str() | LinkNode() | Resolver():
                    parts.append(part)
                case CarriedNode():
                    value = strip(part)
                    if isinstance(value, Text):
                        inner = self.text(value)
                        parts.extend(inner.parts if isinstance(inner, _Pending) else (str(inner.value),))
                    elif isinstance(value, LinkNode):
                        parts.append(value)
                    elif isinstance(value, Scalar):
                        parts.append(shown(value.value))
                case _:
                    raise AssertionError("a recipe with errors is never lowered")
        return _Pending(tuple(parts), node.span)

    def call(self, node: CallNode, place: _Place) -> _Low:
        out: dict[str, _Low] = {"_target_": YScalar(node.target.path, node.head)}
        if node.partial:
            out["_partial_"] = YScalar(True, node.head)
        for entry in node.options.entries:
            out[entry.name] = self.node(entry.value, place.into(entry.name, instantiated=entry.name == "_args_"))
        for entry in node.arguments.entries:
            out[entry.name] = self.node(entry.value, place.into(entry.name, instantiated=True))
        return _Map(out, node.span)

    def entry(self, node: DatasetNode, place: _Place) -> _Low:
        source, span = data_src(self.recipe.datasets[node.dataset])
        out: dict[str, _Low] = {"data_src": YScalar(escape(source), span)}
        arguments = {
            entry.name: self.node(entry.value, place.into(entry.name, "data_src_args", entry.name))
            for entry in node.arguments.entries
        }
        if arguments:
            out["data_src_args"] = _Map(arguments, node.arguments.span)
        for entry in node.extra.entries:
            out[entry.name] = self.node(entry.value, place.into(entry.name))
        return _Map(out, node.span)

    def parallel(self, node: ParallelNode, place: _Place) -> _Low:
        out: dict[str, _Low] = {"env": YScalar(node.backend, node.span)}
        options: dict[str, _Low] = {}
        for entry in node.settings.entries:
            if entry.name in {"n_workers", "n_shards"}:
                out[entry.name] = self.node(entry.value, place.into(entry.name))
            else:
                name = IN_YAML.get(entry.name, entry.name) if node.backend == "slurm" else entry.name
                options[name] = self.machine_setting(node.backend, entry, name, place)
        if options:
            out["options"] = _Map(options, node.settings.span)
        return _Map(out, node.span)

    def machine_setting(self, backend: str, entry: Entry, name: str, place: _Place) -> _Low:
        value = strip(entry.value)
        if isinstance(value, Scalar) and isinstance(value.value, int | float) and not isinstance(value.value, bool):
            written: int | str | None
            if backend in JOB_QUEUES:
                written = for_dask_jobqueue(backend, entry.name, value.value)
            else:
                written = for_submitit(entry.name, value.value)
            if written is not None:
                return YScalar(written, value.span)
        return self.node(entry.value, place.into(entry.name, "options", name))

    # -- the second step --------------------------------------------------------------------------------------------------

    def finish(self, low: _Low) -> YNode:
        match low:
            case YScalar():
                return low
            case _Pending(parts, span):
                return self.written(parts, span)
            case _Map(entries, span):
                return YMap(tuple((key, self.finish(value)) for key, value in entries.items()), span)
            case _List(items, span):
                return YList(tuple(self.finish(item) for item in items), span)

    def written(self, parts: tuple[_Part, ...], span: Span) -> YNode:
        out: list[str] = []
        for part, following in zip(parts, (*parts[1:], None), strict=True):
            match part:
                case LinkNode():
                    out.append("${" + self.reference(part) + "}")
                case Resolver(expression):
                    out.append("${" + expression + "}")
                case str():
                    out.append(escape(part, before_interpolation=isinstance(following, LinkNode | Resolver)))
        return YScalar("".join(out), span)

    def yaml_place(self, link: LinkNode) -> Place:
        return self.places.get(link.place, link.place)

    def reference(self, link: LinkNode) -> str:
        out = ""
        for step in self.yaml_place(link):
            out += f"[{step}]" if isinstance(step, int) else f".{step}" if out else step
        return out


def shown(value: bool | int | float | str | None) -> str:
    """A scalar inside text, as OmegaConf writes it."""
    if isinstance(value, str):
        return value
    return str(value)
