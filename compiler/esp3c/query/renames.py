"""Another name for something of the recipe, everywhere where it stands, and nothing else changed.

Before the edits are given, the text is read again with them: every name must mean what it meant before.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from esp3c.check.keys import declaration_name
from esp3c.check.stages import stage_name
from esp3c.diagnostics import Edit
from esp3c.ir import Fact, Misplaced, PythonNode
from esp3c.python.reader import reader
from esp3c.query.described import described
from esp3c.query.occurrences import Index, Occurrence, Role, index, is_own
from esp3c.query.view import View, view
from esp3c.query.ways import DECLARED, Sort, Thing
from esp3c.record import changed, record
from esp3c.resolve.scopes import walk
from esp3c.resolve.shapes import Kind
from esp3c.schema.backends import BACKENDS
from esp3c.schema.blocks import CONFIGS, OWN
from esp3c.schema.stages import KNOWN_STAGES
from esp3c.source import Source, Span
from esp3c.syntax.grammar import CONSTANTS

_NAME = re.compile(r"[^\W\d]\w*")
_NO_NAMES = frozenset({*CONSTANTS, "partial"})


class Refused(Exception):
    """A name that is not changed here. The message says why, to a person."""


@record
class Renamed:
    """What is at a place: the name, and the thing that it names."""

    span: Span
    name: str
    thing: Thing


def prepare(seen: View, offset: int) -> Renamed:
    """The name at an offset, if it can be changed.

    Raises:
        Refused: no name stands there, or one that the recipe did not make.
    """
    known = index(seen)
    found = known.at(offset)
    if found is None:
        raise Refused("there is no name here")
    _may_change(seen, known, found)
    return Renamed(found.span, found.span.text, known.same(found.thing))


def rename(seen: View, offset: int, new: str) -> tuple[Edit, ...]:
    """The edits that give what is named at an offset another name.

    Raises:
        Refused: see `prepare`; or the new name is none, is taken, or would change what something else means.
    """
    renamed = prepare(seen, offset)
    if new == renamed.name:
        return ()
    known = index(seen)
    _may_be_called(seen, known, renamed.thing, renamed.name, new)
    edits = tuple(
        Edit(each.span, new) for each in known.of(renamed.thing) if not each.word and each.span.text == renamed.name
    )
    _same_meaning(seen, known, renamed, new, edits)
    return edits


# -- what may be changed ------------------------------------------------------------------------------------------------


def _may_change(seen: View, known: Index, found: Occurrence) -> None:
    thing, text = known.same(found.thing), found.span.text
    if found.word and thing.sort is not Sort.CONFIG:
        raise Refused(f"`{text}` is a word of the language")
    match thing.sort:
        case Sort.PYTHON:
            raise Refused(f"`{thing.name}` is Python: rename it there, and then its path here")
        case Sort.BACKEND:
            raise Refused(f"`{text}` is a machine backend")
        case Sort.UNKNOWN:
            raise Refused(f"`{text}` is not defined")
        case Sort.COMMON:
            raise Refused(f"`{text}` is a key that every config has")
        case Sort.METHOD:
            raise Refused(f"`{text}` is a stage of the System")
        case Sort.FIELD:
            raise Refused(f"`{text}` is a field of the items that `{thing.owner[1]}` has in Python")
        case Sort.CONFIG if thing.name in CONFIGS:
            raise Refused(f"`{text}` is a config that ESPnet3 has")
        case Sort.CONFIG:
            _not_in_system(seen, thing.name)
        case Sort.STAGE:
            _own_stage(seen, known, thing.name)
        case Sort.VALUE:
            _own_key(seen, known, found, thing)
    if found.span.text not in {each.span.text for each in known.of(thing) if each.role is not Role.USED}:
        raise Refused(f"`{text}` is not declared in this recipe")


def _not_in_system(seen: View, config: str) -> None:
    """Whether the recipe's System has the config in its Python, as `self.NAME_config`."""
    system = seen.recipe.system
    reading = reader(seen.world)
    for path in reading.bases(system.path).paths if system is not None else ():
        module = reading.find(path).module
        source = seen.world.source(module) if module is not None and module.local else None
        if source is not None and re.search(rf"\b{re.escape(config)}_config\b", source.text):
            raise Refused(f"`{path}` reads the config as `{config}_config`: rename it there first")


def _own_stage(seen: View, known: Index, name: str) -> None:
    line = next((each for each in seen.recipe.stages if each.name == name), None)
    if line is None:
        raise Refused(f"`{name}` is no stage of this recipe")
    if name in KNOWN_STAGES:
        raise Refused(f"`{name}` is a stage that ESPnet3 has")
    if not is_own(line):
        raise Refused(f"`{name}` is a method of the recipe's System: rename it there, and then here")
    if isinstance(line.runs, PythonNode) and len(known.of(Thing(Sort.STAGE, name))) > 1:
        module = line.runs.target.module
        source = seen.world.source(module) if module is not None else None
        if source is None or re.search(rf"\b{re.escape(name)}\b", source.text):
            raise Refused(
                f"`{line.runs.target.path}` may read the settings of `{name}` by this name: rename it there first"
            )


def _own_key(seen: View, known: Index, found: Occurrence, thing: Thing) -> None:
    """Only keys that nothing but the recipe reads have a name that it can change."""
    text = found.span.text
    owner = known.owner(thing)
    about = described(known, thing)
    if about.key is not None and about.block is not None:
        raise Refused(f"`{text}` is a key of `{about.block.name}`, as ESPnet3 has it")
    if owner is None or isinstance(thing.place[-1], int):
        raise Refused(f"`{text}` is not a name of its own")
    for depth in range(len(thing.place)):
        above = walk(owner.root, thing.place[:depth])
        if above is not None and above.kind is Kind.CALL:
            path = above.path.dotted if above.path is not None else ""
            raise Refused(f"`{text}` is an argument of `{path}`")
    if about.type is not None or owner.kind not in {"let", "config"}:
        raise Refused(f"`{text}` is read by ESPnet3 under this name")
    if owner.kind == "config":
        heirs = {name for name in seen.recipe.configs if owner.name in _bases(known, name)}
        reading = next((each.name for each in seen.recipe.stages if heirs.intersection(each.needs)), None)
        if reading is not None or known.declarations.kinds.get(owner.name):
            raise Refused(
                f"`{text}` is read in Python, by the stage `{reading}`" if reading else f"`{text}` is read by ESPnet3"
            )
    for each in known.all:
        if each.role is Role.USED and not each.more and _holds(known.same(each.thing), thing):
            raise Refused(f"`{each.thing.name}` is handed on whole, and `{text}` with it")


def _bases(known: Index, config: str) -> list[str]:
    found: list[str] = []
    base: str | None = config
    while base is not None and base not in found:
        found.append(base)
        base = known.base(base)
    return found


def _holds(outer: Thing, inner: Thing) -> bool:
    if outer.sort is Sort.VALUE:
        return (
            outer.owner == inner.owner and outer.place == inner.place[: len(outer.place)] and outer.place != inner.place
        )
    # A config is no value: its name alone stands in clauses.
    return outer.sort is Sort.LET and inner.owner == ("let", outer.name)


# -- the new name -------------------------------------------------------------------------------------------------------


def _may_be_called(seen: View, known: Index, thing: Thing, old: str, new: str) -> None:
    if not _NAME.fullmatch(new):
        raise Refused(f"`{new}` is no name: it has letters, digits and `_`, and begins with no digit")
    if new in _NO_NAMES:
        raise Refused(f"`{new}` is a word of the language")
    if thing.sort in DECLARED and thing.sort is not Sort.RECIPE:
        taken = next((kind for kind, name in known.names.spans if name == new), None)
        if taken is not None:
            raise Refused(f"there is a {taken} `{new}` already")
        if new in CONFIGS:
            raise Refused(f"`{new}` is a config that ESPnet3 has")
        if new in BACKENDS:
            raise Refused(f"`{new}` is a machine backend")
    if thing.sort is Sort.STAGE:
        if any(each.name == new for each in seen.recipe.stages):
            raise Refused(f"there is a stage `{new}` already")
        system = seen.recipe.system
        if new in KNOWN_STAGES or (system is not None and new in (system.stages or ())):
            raise Refused(f"`{new}` is a stage that the System has")
        for config in known.homes(old):
            block = CONFIGS.get(seen.recipe.kind_of(config), OWN)
            if new in known.names.configs[config].root.children or block.key(new) is not None:
                raise Refused(f"`{config}` has a key `{new}`, which would be the settings of the stage")
    if thing.sort is Sort.VALUE:
        owner = known.owner(thing)
        above = walk(owner.root, thing.place[:-1]) if owner is not None else None
        if above is not None and new in above.children:
            raise Refused(f"there is a key `{new}` beside `{old}` already")


# -- what it would mean -------------------------------------------------------------------------------------------------


def applied(text: str, edits: Iterable[Edit]) -> str:
    """A text after edits that do not overlap."""
    for each in sorted(edits, key=lambda each: each.span.start, reverse=True):
        text = text[: each.span.start] + each.text + text[each.span.end :]
    return text


def _same_meaning(seen: View, known: Index, renamed: Renamed, new: str, edits: tuple[Edit, ...]) -> None:
    again = view(Source(seen.source.path, applied(seen.source.text, edits)), seen.world)
    if [each.code.id for each in again.syntactic] != [each.code.id for each in seen.syntactic]:
        raise Refused(f"`{new}` cannot be read as a name everywhere where `{renamed.name}` stands")
    for rule in (declaration_name, stage_name):
        for each in rule(again.recipe, again.world):
            if each.primary.span.text == new:
                raise Refused(f"{each.message}: {each.primary.text}")
    there, of = index(again), (renamed.thing.sort.value, renamed.name)
    for before, after in zip(known.all, there.all, strict=False):
        same = _mapped(known, known.same(before.thing), renamed, new) == there.same(after.thing)
        as_before = (before.role, before.word) == (after.role, after.word)
        if not same or not as_before or _mapped(known, before.thing, renamed, new) != after.thing:
            line, _ = before.span.source.position(before.span.start)
            raise Refused(
                f"`{before.span.text}` in line {line} would mean something else if `{renamed.name}` were `{new}`"
            )
    # What a Python path begins with may be taken for the use of a name as well.
    used = {(kind, new if (kind, name) == of else name) for kind, name in seen.recipe.used}
    facts = Counter(_kinds(seen.recipe.facts)) == Counter(_kinds(again.recipe.facts))
    if len(known.all) != len(there.all) or not facts or used != again.recipe.used:
        raise Refused(f"the recipe would mean something else if `{renamed.name}` were `{new}`")


def _kinds(facts: Iterable[Fact]) -> Iterator[tuple[str, str]]:
    for fact in facts:
        yield type(fact).__name__, fact.kind if isinstance(fact, Misplaced) else ""


def _mapped(known: Index, thing: Thing, renamed: Renamed, new: str) -> Thing:
    """What a thing is called after the renaming."""
    of, old = renamed.thing, renamed.name
    if of.sort is Sort.RECIPE:
        return thing
    if of.sort in DECLARED or of.sort is Sort.STAGE:
        if (thing.sort, thing.name) == (of.sort, old):
            return changed(thing, name=new)
        if thing.owner == (of.sort.value, old):
            thing = changed(thing, owner=(thing.owner[0], new))
    if thing.sort is not Sort.VALUE:
        return thing
    length = len(of.place) if of.sort is Sort.VALUE else 1
    prefix = (
        Thing(Sort.VALUE, str(thing.place[length - 1]), thing.owner, thing.place[:length])
        if len(thing.place) >= length
        else None
    )
    if of.sort not in {Sort.VALUE, Sort.STAGE} or prefix is None or known.same(prefix) != of:
        return thing
    place = (*thing.place[: length - 1], new, *thing.place[length:])
    return Thing(Sort.VALUE, str(place[-1]), thing.owner, place)
