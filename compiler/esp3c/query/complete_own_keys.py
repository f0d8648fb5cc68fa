"""Keys of one's own: what stages read, what other configs have at the same place, fields that become files."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.check.stages_functions import keys_read
from esp3c.query.complete_fields import fields_returned
from esp3c.query.complete_keys import NEEDED, PLAIN, braces, finished
from esp3c.query.complete_model import Proposal, Sort
from esp3c.query.complete_place import Here
from esp3c.query.signatures import options
from esp3c.resolve.scopes import walk
from esp3c.resolve.shapes import Kind, Shape
from esp3c.schema import types as t

_TWINS = {"schedulers": "optimizers", "optimizers": "schedulers"}
"""Blocks whose entries have the same names."""


def own_keys(here: Here) -> Iterator[Proposal]:
    """Keys that the schema does not have, and that are known all the same."""
    if here.standing.kind != "config":
        return
    if not here.context.path:
        yield from _read_by_stages(here)
        if here.key == ("output_artifacts",):
            for name in fields_returned(here):
                if name not in here.given:
                    yield _key(here, name, Sort.FIELD, PLAIN, "returned by `output_fn`", block=True)
    yield from _as_elsewhere(here)


def _key(here: Here, name: str, sort: Sort, rank: int, detail: str, *, block: bool) -> Proposal:
    snippet = "" if finished(here) else braces(name) if block else f"{name} = $1"
    return Proposal(name, sort, rank, detail, snippet=snippet)


def _read_by_stages(here: Here) -> Iterator[Proposal]:
    """Keys that the recipe's functions and methods ask a config for."""
    found: dict[str, bool] = {}
    place = here.key
    for keys in keys_read(here.recipe, here.world, here.standing.name):
        if keys[: len(place)] == place and len(keys) > len(place):
            name = keys[len(place)]
            found[name] = found.get(name, False) or len(keys) > len(place) + 1
    block = here.known.block
    for name, deeper in found.items():
        if name not in here.given and (block is None or block.key(name) is None):
            sort = Sort.BLOCK if deeper else Sort.KEY
            yield _key(here, name, sort, NEEDED, "read by a stage", block=deeper)


def _as_elsewhere(here: Here) -> Iterator[Proposal]:
    """Keys that stand at the same place of other configs, or beside it under another name."""
    block, place = here.known.block, (*here.standing.place, *here.context.path)
    if block is not None and not block.open:
        return
    kinds, own = here.sight.declared.kinds, here.config_kind()
    found: dict[str, tuple[str, Shape]] = {}
    for config, owner in here.sight.names.configs.items():
        if config == here.standing.name:
            if place and place[-1] in _TWINS:
                _put(found, config, walk(owner.root, (*place[:-1], _TWINS[str(place[-1])])))
        elif block is None or kinds.get(config) == own:
            _put(found, config, walk(owner.root, place))
    values = next((each.value for each in options(here.known.type) if isinstance(each, t.MapOf)), None)
    for name, (config, child) in found.items():
        if name in here.given or (block is not None and block.key(name) is not None) or not name.isidentifier():
            continue
        deeper = isinstance(values, t.Inside) or (values is None and child.kind is Kind.MAP)
        yield _key(here, name, Sort.BLOCK if deeper else Sort.KEY, PLAIN, f"as in `{config}`", block=deeper)


def _put(found: dict[str, tuple[str, Shape]], config: str, shape: Shape | None) -> None:
    if shape is not None and shape.kind is Kind.MAP:
        for name, child in shape.children.items():
            found.setdefault(name, (config, child))
