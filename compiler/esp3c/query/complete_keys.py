"""Keys of a block that the schema knows: those that are not given yet, what the place needs first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from esp3c.check.flow_base import built_in
from esp3c.query.complete_model import Proposal, Sort
from esp3c.query.complete_place import Here
from esp3c.query.context_reading import STAGE
from esp3c.query.hover_parts import Part, Said, code
from esp3c.query.hover_values import schema_key
from esp3c.query.signatures import options
from esp3c.schema import types as t
from esp3c.schema.backends import IN_YAML
from esp3c.schema.blocks import DATASET, RECIPE, SCAFFOLD_NAMES, WORKLOAD
from esp3c.schema.stages import KNOWN_STAGES

NEEDED, PLAIN, COMMON, APART = 1, 3, 5, 7
"""Ranks: what the place needs, its own keys, those that every config has, and what excludes something that is there."""

MOST_CHOICES = 12
"""How many words a snippet offers by itself."""

_ALWAYS = {id(RECIPE): {"system"}, id(DATASET): {"class", "source"}, id(WORKLOAD): {"runner", "provider", "over"}}
_BLOCKS_OF_ANYTHING = frozenset({"sample", "create_dataset", "fit", "data_src_args", "inputs", "text_builder"})
"""Keys that take anything to the schema, and a block in practice."""


def keys(here: Here, block: t.Block) -> Iterator[Proposal]:
    """The keys of a block that may be written at the place."""
    needed = _needed(here, block)
    for key in block.keys:
        if key.name not in here.given:
            yield key_proposal(here, block, key, needed)


def key_proposal(here: Here, block: t.Block, key: t.Key, needed: frozenset[str] = frozenset()) -> Proposal:
    """A key, with a place for its value where none stands behind it."""
    apart = _excluded_by(here, block, key.name)
    common = key.name in SCAFFOLD_NAMES and block is not RECIPE
    rank = APART if apart else NEEDED if key.name in needed else COMMON if common else PLAIN
    detail = f"not beside `{apart}`" if apart else t.words(key.type)
    snippet = "" if finished(here) else snippet_of_key(key.name, key)
    sort = Sort.BLOCK if is_block(key) else Sort.KEY
    return Proposal(key.name, sort, rank, detail, key_text(here, key), snippet=snippet)


def finished(here: Here) -> bool:
    """Whether a value stands behind the word already."""
    return here.following in {"=", "{", ":", "?"}


def _needed(here: Here, block: t.Block) -> frozenset[str]:
    """The keys without which a stage of the recipe cannot run, or a declaration says nothing."""
    found = set(_ALWAYS.get(id(block), ()))
    if here.given & {"class", "source"}:
        found -= {"class", "source"}
    kind, place = here.config_kind(), (*here.key, *here.context.path)
    if not kind or here.context.frame.role == STAGE:
        return frozenset(found)
    lines = {built_in(each) for each in here.recipe.stages}
    for stage in KNOWN_STAGES.values():
        for reads in stage.reads if not lines or stage.name in lines else ():
            ways = [tuple(each.split(".")) for each in reads.split("|")]
            inside = [way[1:] for way in ways if way[0] == kind and way[1 : 1 + len(place)] == place]
            names = {way[len(place)] for way in inside if len(way) > len(place)}
            # Of several that will do, one is enough.
            found |= names if not names & here.given else set()
    return frozenset(found)


def _excluded_by(here: Here, block: t.Block, name: str) -> str:
    """A key that is given and never stands beside this one."""
    for each in block.conflicts:
        other = each.other if each.one == name else each.one if each.other == name else ""
        if other in here.given:
            return other
    return ""


def is_block(key: t.Key) -> bool:
    """Whether a key is most often followed by braces."""
    if isinstance(key.type, t.Anything):
        return key.name in _BLOCKS_OF_ANYTHING
    first = next((each for each in options(key.type) if each != t.NULL), None)
    return isinstance(first, t.Inside | t.MapOf)


def snippet_of_key(name: str, key: t.Key) -> str:
    """A key with a place for its value."""
    if is_block(key):
        return braces(name)
    first = next((each for each in options(key.type) if each != t.NULL), None)
    words = [f'"{each}"' for option in options(key.type) if isinstance(option, t.OneOf) for each in option.words]
    match first:
        case t.OneOf() if len(words) <= MOST_CHOICES:
            return f"{name} = {choice(words)}"
        case t.Plain("bool") if len(options(key.type)) <= 2:
            return f"{name} = {choice(('true', 'false') if key.default == 'false' else ('false', 'true'))}"
        case t.Plain("str"):
            return f'{name} = "$1"'
        case t.ListOf():
            return f"{name} = [$1]"
        case _:
            return f"{name} = $1"


def braces(name: str) -> str:
    """A key with a block to be filled in."""
    return f"{name} {{\n  $0\n}}"


def choice(words: Iterable[str], number: int = 1) -> str:
    """A place of a snippet where one of these words stands."""
    escaped = (each.replace("\\", "\\\\").replace(",", "\\,").replace("|", "\\|") for each in words)
    return f"${{{number}|{','.join(escaped)}|}}"


def key_text(here: Here, key: t.Key) -> tuple[Part, ...]:
    """What there is to say about a key."""
    parts = schema_key(key)
    machine = here.known.use == "parallel"
    name = IN_YAML.get(key.name, key.name) if machine else key.name
    if here.standing.kind == "config" and not machine:
        dotted = ".".join((*here.key, *here.context.path, name))
        parts.append(Said(f"In {code(f'conf/{here.standing.name}.yaml')}: {code(dotted)}"))
    elif name != key.name:
        parts.append(Said(f"In the YAML: `{name}`"))
    return tuple(parts)
