"""Names that the flow of the data knows: fields of items and outputs, their types, numbers that a training logs."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.check.flow_base import Flow, configs_of
from esp3c.check.flow_inference import inference_flow
from esp3c.check.flow_items import Datasets
from esp3c.check.flow_logged import logged_names
from esp3c.ir import Config
from esp3c.python.body_values import Kind, Leaf
from esp3c.query.complete_model import Proposal, Sort
from esp3c.query.complete_place import Here
from esp3c.record import changed
from esp3c.schema.blocks import SAMPLE_TYPES
from esp3c.syntax import ast


def _flow(here: Here) -> tuple[Flow, Datasets]:
    flow = Flow(here.recipe, here.reader)
    return flow, Datasets(flow)


def fields_of_tests(here: Here, config: Config) -> Iterator[tuple[str, str]]:
    """The fields of the items of a config's test sets, each with where it is from."""
    _, datasets = _flow(here)
    for each in datasets.test_sets(config):
        yield from ((name, f"of the items of `{each.name}`") for name in each.items.names)


def fields_of_training(here: Here, config: Config) -> Iterator[tuple[str, str]]:
    """The fields of the items that a config trains on."""
    _, datasets = _flow(here)
    items = datasets.split(config, "train")
    for name in items.names if items is not None else ():
        yield name, "of the items of `train`"


def fields_written(here: Here, config: Config) -> Iterator[tuple[str, str]]:
    """The fields that an inference may write; for metrics those that all of them do write."""
    flow, datasets = _flow(here)
    for each in inference_flow(flow, datasets):
        if config.kind == "metrics" or each.config is config:
            items = each.fields if config.kind == "metrics" else each.returned
            yield from ((name, f"written by `{each.config.name}`") for name in items.names)


def fields_returned(here: Here) -> list[str]:
    """The fields that the `output_fn` of the config at the place returns."""
    flow, datasets = _flow(here)
    written = inference_flow(flow, datasets)
    return [name for each in written if each.config.name == here.standing.name for name in each.returned.names]


def fields_of_dataset(here: Here) -> Iterator[Proposal]:
    """The fields of a `sample`: what the dataset's `__getitem__` returns, with types that say what is known."""
    dataset = here.recipe.datasets.get(here.standing.name)
    if dataset is None:
        return
    # What the class returns, whatever `sample` says so far.
    bare = changed(dataset, sample=None)
    flow = Flow(changed(here.recipe, datasets={**here.recipe.datasets, dataset.name: bare}), here.reader)
    items = Datasets(flow).items(dataset.name)
    for name in items.names:
        if name in here.given or items.keys is None:
            continue
        value = items.keys.fields[name].value
        type = _type_of_field(value.kind if isinstance(value, Leaf) else Kind.UNKNOWN)
        snippet = "" if here.following in {":", "?"} else f"{name}: {type}"
        yield Proposal(name, Sort.FIELD, 1, "an item holds it", snippet=snippet)
    yield from _fields_elsewhere(here)


def _type_of_field(kind: Kind) -> str:
    match kind:
        case Kind.TEXT:
            return "str"
        case Kind.ARRAY | Kind.TENSOR:
            return "float32[${1:time}]"
        case Kind.NUMBER:
            return "${1:int}"
        case _:
            return "${1:str}"


def _fields_elsewhere(here: Here) -> Iterator[Proposal]:
    for dataset in here.recipe.datasets.values():
        for each in dataset.sample or () if dataset.name != here.standing.name else ():
            type = each.type.span.text
            if each.name not in here.given:
                snippet = "" if here.following in {":", "?"} else f"{each.name}: {type}"
                yield Proposal(each.name, Sort.FIELD, 3, f"{type}, as in `{dataset.name}`", snippet=snippet)


def types(here: Here) -> Iterator[Proposal]:
    """The types of a field."""
    for each in SAMPLE_TYPES:
        plain = each in {"str", "int", "float", "bool"}
        snippet = "" if plain or here.following == "[" else f"{each}[${{1:time}}]"
        yield Proposal(each, Sort.TYPE, 3, "" if plain else "numbers with dimensions", snippet=snippet)


def dimensions(here: Here) -> Iterator[Proposal]:
    """The names of dimensions that the recipe uses."""
    for dataset in here.recipe.datasets.values():
        for each in dataset.sample or ():
            for dim in each.type.dims:
                if isinstance(dim, ast.Name):
                    yield Proposal(dim.text, Sort.WORD, 3, f"as in `{each.name}` of `{dataset.name}`")
    yield Proposal("time", Sort.WORD, 5)


def criterion(here: Here, config: Config) -> Iterator[tuple[str, str]]:
    """What an entry of `best_model_criterion` takes at its positions."""
    position = here.standing.place[-1] if here.standing.place else 0
    if len(here.standing.place) > 2 and position == 0:
        yield from logged(here, config)
    elif len(here.standing.place) > 2 and position == 2:
        yield from (("min", "smaller is better"), ("max", "larger is better"))


def logged(here: Here, config: Config) -> Iterator[tuple[str, str]]:
    """The numbers that a training logs."""
    trained = [config] if config.kind == "training" else list(configs_of(here.recipe, "training"))
    flow = Flow(here.recipe, here.reader)
    for each in trained:
        yield from ((name, f"logged by `{each.name}`") for name in logged_names(flow, each))
