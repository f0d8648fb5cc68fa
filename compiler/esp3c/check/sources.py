"""Datasets that come from elsewhere: a `source`, and entries written out as in ESPnet3's YAML with their `data_src`.

A tag `recipe/task` is a module of the world like any other, and its name is the tag itself: which folder or package it
stands for is the world's to know.
"""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.check.blocks import all_values, blocks_of
from esp3c.ir import CallNode, Config, Dataset, DatasetNode, MapNode, Node, PythonNode, Recipe, Scalar, strip
from esp3c.python.find import Status
from esp3c.python.model import Class, Function
from esp3c.python.reader import Found, Reader
from esp3c.record import record
from esp3c.schema.blocks import ENTRY
from esp3c.source import Span
from esp3c.world import is_tag

DATASET, BUILDER = "Dataset", "DatasetBuilder"
"""The names that a dataset module has."""

OWN_MODULE = "dataset"
"""The recipe's own module, which an entry without a `data_src` means."""


def written_entries(recipe: Recipe) -> Iterator[tuple[Config, str, Span, MapNode]]:
    """Each entry that names its module itself: config, module, place, arguments."""
    for config in recipe.configs.values():
        uses = {id(value.extra) for value in all_values(config.root) if isinstance(value, DatasetNode)}
        for value, block in blocks_of(config):
            if block is not ENTRY or id(value) in uses or value.get("_target_") is not None:
                continue
            named = value.get("data_src")
            source = strip(named) if named is not None else None
            own = source is None or (isinstance(source, Scalar) and source.value is None)
            module = OWN_MODULE if own else module_of(source)
            given = value.get("data_src_args")
            arguments = strip(given) if given is not None else MapNode((), value.span)
            if module is None or not isinstance(arguments, MapNode):
                continue
            short = tuple(entry for entry in value.entries if entry.name == "split" and arguments.get("split") is None)
            yield config, module, (source or value).span, MapNode((*arguments.entries, *short), arguments.span)


def module_of(node: Node | None) -> str | None:
    """The module that a `source` or a `data_src` means, by its dotted name or its tag; None where it is neither."""
    if isinstance(node, PythonNode):
        return node.target.path
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        return None
    text = node.value.strip()
    return text if is_tag(text) or all(part.isidentifier() for part in text.split(".")) else None


def source_of(dataset: Dataset) -> tuple[str, Span] | None:
    """The module that a dataset takes as its `source`, and where that stands."""
    node = dataset.settings.get("source")
    module = module_of(strip(node)) if node is not None else None
    return (module, node.span) if node is not None and module is not None else None


@record
class Builder:
    """A dataset's builder: where it is named, what it is, and the arguments that it alone gets."""

    head: Span
    found: Found
    arguments: MapNode


def builder_of(dataset: Dataset, reading: Reader) -> Builder | None:
    """The builder that a dataset names, or that its source brings along; None where it is not known."""
    node = dataset.builder
    value = strip(node) if node is not None else None
    if isinstance(value, CallNode | PythonNode):
        if value.target.status is not Status.FOUND or value.target.is_module:
            return None
        found = reading.find(value.target.path)
        call = value if isinstance(value, CallNode) else None
        head, arguments = (call.head, call.arguments) if call is not None else (value.span, MapNode((), value.span))
    else:
        source = source_of(dataset)
        if source is None:
            return None
        found = reading.find(f"{source[0]}.{BUILDER}")
        head, arguments = source[1], source_settings(dataset) or MapNode((), source[1])
    return Builder(head, found, arguments) if isinstance(found.definition, Class | Function) else None


def source_settings(dataset: Dataset) -> MapNode | None:
    """What `create_dataset { … }` of a dataset gives to the builder of its source."""
    node = dataset.settings.get("create_dataset")
    value = strip(node) if node is not None else None
    return value if isinstance(value, MapNode) else None
