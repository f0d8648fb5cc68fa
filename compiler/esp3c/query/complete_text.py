"""Texts that are known: words of keys, splits, fields of items, names inside `${…}`, units behind numbers."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.check.sources import OWN_MODULE
from esp3c.ir import CallNode, DatasetNode, Node, Scalar, all_values
from esp3c.python import types as p
from esp3c.query.complete_fields import criterion, fields_of_tests, fields_of_training, fields_written, logged
from esp3c.query.complete_model import Proposal, Sort
from esp3c.query.complete_place import Here
from esp3c.query.in_sight import shown
from esp3c.query.signatures import options
from esp3c.resolve.shapes import Kind
from esp3c.resolve.values import RESOLVERS
from esp3c.schema import types as t
from esp3c.schema.lightning import STRATEGIES
from esp3c.schema.roles import DIMENSIONS
from esp3c.syntax.literals import UNITS

_FIELDS_OUT = frozenset({"output_keys", "idx_key", "hyp_key", "ref_key", "inputs"})
_LOGGED = frozenset({"scheduler_monitor", "monitor"})


def texts(here: Here) -> Iterator[tuple[str, str]]:
    """The texts that the place takes, each with what it is."""
    wanted = here.wanted
    for option in options(wanted.type):
        if isinstance(option, t.OneOf):
            yield from ((each, "") for each in option.words)
    for each in wanted.python_options:
        if isinstance(each, p.Literals):
            yield from ((value, "") for value in each.values if isinstance(value, str))
    yield from ((value, "taken by the called code") for value in wanted.values if isinstance(value, str))
    key = here.key[-1] if here.key else ""
    if key in {"source", "data_src"} and here.standing.kind in {"dataset", "config"}:
        yield from _sources(here)
    yield from _of_config(here, key)
    if not wanted.values and here.call is not None:
        yield from _as_elsewhere(here, wanted.name)


def _of_config(here: Here, key: str) -> Iterator[tuple[str, str]]:
    config = here.recipe.configs.get(here.standing.name) if here.standing.kind == "config" else None
    if config is None:
        return
    kind = here.config_kind()
    if key == "input_key" and kind == "inference":
        yield from fields_of_tests(here, config)
    elif key == "shape_key":
        yield from fields_of_training(here, config)
    elif kind in {"inference", "metrics"} and (key in _FIELDS_OUT or (kind == "metrics" and key.endswith("_key"))):
        yield from fields_written(here, config)
    elif key == "best_model_criterion":
        yield from criterion(here, config)
    elif key in _LOGGED:
        yield from logged(here, config)
    elif key == "strategy":
        yield from ((each, "") for each in STRATEGIES)
    elif key == "params" and here.key[:1] == ("optimizers",) and len(here.key) > 2:
        yield here.key[-2], "parameters with this in their name"


def _sources(here: Here) -> Iterator[tuple[str, str]]:
    """The dataset modules that a text may name: the recipe's own, and those of neighbouring recipes."""
    if here.world.module(OWN_MODULE) is not None:
        yield OWN_MODULE, "the recipe's own"
    for name in here.world.beside("../_"):
        if name.isidentifier() and here.world.has(f"../{name}/dataset/__init__.py"):
            yield f"{name}/asr", "of a neighbouring recipe"


def _as_elsewhere(here: Here, name: str) -> Iterator[tuple[str, str]]:
    """What the same argument of the same call is elsewhere in the recipe; a split may be that of any dataset."""
    call = here.call
    if call is None:
        return
    split = name == "split" and call.name in here.recipe.datasets
    for config in here.recipe.configs.values():
        for value in all_values(config.root):
            match value:
                case DatasetNode(dataset=other) if other == call.name or split:
                    given = value.arguments.get(name)
                case CallNode() if value.target.path == call.name:
                    given = value.arguments.get(name)
                case _:
                    continue
            if isinstance(given, Scalar) and isinstance(given.value, str) and given.value and not _is_here(here, given):
                yield given.value, f"as in `{config.name}`"


def _is_here(here: Here, node: Node) -> bool:
    return node.span.source is here.view.source and node.span.start <= here.context.start <= node.span.end


# -- inside of text ---------------------------------------------------------------------------------------------------------


def interpolations(here: Here) -> Iterator[Proposal]:
    """The names that may stand in `${…}`."""
    path, close = here.context.path, "" if here.context.closed else "}"
    if path == ("oc",):
        yield from (_resolver(name.removeprefix("oc."), close) for name in RESOLVERS if name.startswith("oc."))
        return
    found = here.sight.behind(path, here.standing) if path else list(here.sight.heads(here.standing))
    for each in found:
        if each.shape is not None and each.shape.kind in {Kind.LIST, Kind.CALL} and not each.holds:
            continue
        rank = 2 if each.kind == "scaffold" else 6 if each.holds else 3
        insert = each.name + ("" if each.holds else close)
        yield Proposal(each.name, Sort.SETTING, rank, shown(each.shape) or each.what, insert=insert, leads=each.holds)
    if not path:
        yield _resolver("oc.env", close)
        yield from (_resolver(name, close) for name in RESOLVERS if name != "oc.env")


def _resolver(name: str, close: str) -> Proposal:
    env = name.endswith("env")
    return Proposal(
        f"{name}:", Sort.FUNCTION, 7 if env else 8, "a variable of the environment" if env else "a resolver of OmegaConf",
        insert=f"{name}:{close}", snippet=f"{name}:${{1:{'HOME' if env else ''}}}{close.replace('}', chr(92) + '}')}",
    )  # fmt: skip


def units(here: Here) -> Iterator[Proposal]:
    """The units that fit, each with what the number comes to."""
    wanted = here.wanted
    dimension = next((each.dimension for each in options(wanted.type) if isinstance(each, t.Measured)), "")
    dimension = dimension or DIMENSIONS.get(wanted.name, "")
    if not dimension and wanted.sure:
        return
    digits = here.context.path[0].replace("_", "")
    base = {"duration": "seconds", "size": "bytes", "frequency": "hertz"}
    for unit, (of, factor) in UNITS.items():
        if dimension and of != dimension:
            continue
        try:
            number = float(digits) * factor
        except ValueError:
            return
        amount = f"{number:,.0f}".replace(",", "_") if number % 1 == 0 else f"{number:g}"
        yield Proposal(unit, Sort.UNIT, 3, f"{digits}{unit} = {amount} {base[str(of)]}")
