"""A recipe as a graph: nodes and edges, from which every renderer draws.

Each stage, config, dataset and machine of the recipe is one node, and so is what a stage leaves. All names are made
printable here, so that no renderer meets a control character; quoting and escaping are each renderer's own.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from esp3c.graph.flow import Product, datasets_used, products
from esp3c.graph.machines import machine_text
from esp3c.ir import CallNode, Config, Dataset, ParallelNode, PythonNode, Recipe, Scalar, Stage, Use, strip
from esp3c.record import record


class Kind(StrEnum):
    """What a node is."""

    DATASET = "dataset"
    CONFIG = "config"
    STAGE = "stage"
    MACHINE = "machine"
    FILES = "files"


class Relation(StrEnum):
    """What an edge says; it points the way in which things go."""

    USED_BY = "used by"  # dataset → config
    EXTENDED_BY = "extended by"  # config → config
    REQUIRED_BY = "required by"  # config → stage
    NEXT = "next"  # stage → stage
    WRITES = "writes"  # stage → files
    READ_BY = "read by"  # files → stage
    ON = "on"  # stage or config → machine


@record
class Node:
    id: str
    kind: Kind
    name: str
    details: tuple[str, ...] = ()


@record
class Edge:
    source: str
    target: str
    relation: Relation
    label: str = ""


@record
class Graph:
    title: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def of(self, kind: Kind) -> list[Node]:
        return [node for node in self.nodes if node.kind is kind]

    def related(self, relation: Relation) -> list[Edge]:
        return [edge for edge in self.edges if edge.relation is relation]


def printable(text: str) -> str:
    """Text on one line, in which nothing but what is seen."""
    spaced = " ".join(text.split())
    return "".join(char if char.isprintable() else "\ufffd" for char in spaced)


def graph_of(recipe: Recipe, stages: Collection[str] | None = None) -> Graph:
    """The graph of a recipe; with `stages`, of these and what they need, read and leave."""
    shown = [stage for stage in recipe.stages if stages is None or stage.name in stages]
    needed = {name for stage in shown for name in stage.needs}
    configs = [each for each in recipe.configs.values() if stages is None or each.name in needed]
    used = {name for config in configs for name in datasets_used(config)}
    datasets = [each for each in recipe.datasets.values() if stages is None or each.name in used]
    names = {stage.name for stage in shown}
    left = [
        each for each in products(recipe) if each.writer in names or names & {reader.stage for reader in each.readers}
    ]

    edges = [*_about_configs(configs, {each.name for each in datasets}), *_about_stages(recipe, shown)]
    for number, product in enumerate(left):
        edges.extend(_about_product(number, product, names))
    machines = {edge.target for edge in edges if edge.relation is Relation.ON}
    nodes = [
        *(_dataset_node(each) for each in datasets),
        *(_config_node(each) for each in configs),
        *(_stage_node(each) for each in shown),
        *(_files_node(number, each) for number, each in enumerate(left)),
        *(node for node in _machine_nodes(recipe) if stages is None or node.id in machines),
    ]
    return Graph(printable(recipe.name), tuple(nodes), tuple(edges))


# -- nodes --------------------------------------------------------------------------------------------------------------


def _id(kind: Kind, name: str) -> str:
    return f"{kind}:{name}"


def _dataset_node(dataset: Dataset) -> Node:
    details = []
    for key in ("class", "source"):
        node = dataset.settings.get(key)
        value = strip(node) if node is not None else None
        if isinstance(value, PythonNode | CallNode):
            details.append(printable(value.target.path))
        elif isinstance(value, Scalar):
            details.append(printable(str(value.value)))
    shown = tuple(each for each in details if each)
    return Node(_id(Kind.DATASET, dataset.name), Kind.DATASET, printable(dataset.name), shown)


def _config_node(config: Config) -> Node:
    details = (f"extends {printable(config.extends)}",) if config.extends else ()
    return Node(_id(Kind.CONFIG, config.name), Kind.CONFIG, printable(config.name), details)


def _stage_node(stage: Stage) -> Node:
    details: tuple[str, ...] = ()
    if isinstance(stage.runs, Use):
        details = (f"runs {printable(stage.runs.name)}",)
    elif isinstance(stage.runs, PythonNode):
        details = (f"runs {printable(stage.runs.target.path)}",)
    elif stage.workload is not None:
        runner = stage.workload.get("runner")
        value = strip(runner) if runner is not None else None
        if isinstance(value, CallNode | PythonNode):
            details = (f"runs {printable(value.target.path)}",)
    return Node(_id(Kind.STAGE, stage.name), Kind.STAGE, printable(stage.name), details)


def _files_node(number: int, product: Product) -> Node:
    return Node(_id(Kind.FILES, str(number)), Kind.FILES, product.what, (printable(product.path),))


def _machine_nodes(recipe: Recipe) -> list[Node]:
    found = []
    for machine in recipe.parallels.values():
        value = machine.value
        details = (printable(machine_text(value.backend, value.settings)),) if isinstance(value, ParallelNode) else ()
        found.append(Node(_id(Kind.MACHINE, machine.name), Kind.MACHINE, printable(machine.name), details))
    return found


# -- edges --------------------------------------------------------------------------------------------------------------


def _about_configs(configs: list[Config], datasets: set[str]) -> list[Edge]:
    shown = {config.name for config in configs}
    edges = []
    for config in configs:
        here = _id(Kind.CONFIG, config.name)
        for name in datasets_used(config):
            if name in datasets:
                edges.append(Edge(_id(Kind.DATASET, name), here, Relation.USED_BY))
        if config.extends in shown:
            edges.append(Edge(_id(Kind.CONFIG, config.extends or ""), here, Relation.EXTENDED_BY))
        node = config.root.get("parallel")
        value = strip(node) if node is not None else None
        if isinstance(value, ParallelNode) and value.name:
            edges.append(Edge(here, _id(Kind.MACHINE, value.name), Relation.ON))
    return edges


def _about_stages(recipe: Recipe, stages: list[Stage]) -> list[Edge]:
    edges = []
    for stage, following in zip(stages, [*stages[1:], None], strict=False):
        here = _id(Kind.STAGE, stage.name)
        for name in dict.fromkeys(stage.needs):
            if name in recipe.configs:
                edges.append(Edge(_id(Kind.CONFIG, name), here, Relation.REQUIRED_BY))
        if stage.on is not None and stage.on.name in recipe.parallels:
            edges.append(Edge(here, _id(Kind.MACHINE, stage.on.name), Relation.ON))
        if following is not None:
            edges.append(Edge(here, _id(Kind.STAGE, following.name), Relation.NEXT))
    return edges


def _about_product(number: int, product: Product, stages: set[str]) -> list[Edge]:
    here = _id(Kind.FILES, str(number))
    edges = []
    if product.writer in stages:
        edges.append(Edge(_id(Kind.STAGE, product.writer), here, Relation.WRITES))
    for reader in product.readers:
        if reader.stage in stages:
            label = "" if reader.what == product.what else printable(reader.what)
            edges.append(Edge(here, _id(Kind.STAGE, reader.stage), Relation.READ_BY, label))
    return edges
