"""Values: words and constants of a closed set, names in sight, uses of declarations, Python objects."""

from __future__ import annotations

import re
from collections.abc import Iterator

from esp3c.python import types as p
from esp3c.query.complete_keys import choice
from esp3c.query.complete_model import Proposal, Sort
from esp3c.query.complete_place import Here, Wanted
from esp3c.query.complete_python import heads, members, whole
from esp3c.query.complete_text import texts
from esp3c.query.context_reading import STAGE
from esp3c.query.in_sight import Named, shown
from esp3c.query.signatures import Parameter, literal, of_dataset, options, quoted, written
from esp3c.resolve.shapes import Kind, Shape
from esp3c.schema import types as t
from esp3c.schema.backends import BACKENDS
from esp3c.schema.roles import ROLES
from esp3c.syntax import ast

WORDS, USES, DEFAULT, NAMES, FAR = 0, 1, 2, 4, 7
"""Ranks: words of a closed set, uses of declarations, the default, names in sight, those of another kind."""

_PLAIN_DEFAULT = re.compile(r'-?\d[\w.]*|true|false|"[^"]*"')


def values(here: Here) -> Iterator[Proposal]:
    """What may be written as a value at the place."""
    wanted = here.wanted
    if here.context.path:
        found = here.sight.behind(here.context.path, here.standing)
        yield from (_named(here, wanted, each) for each in found)
        if not found:
            yield from members(here, wanted)
        return
    if here.context.partial:
        yield from whole(here, wanted)
        yield from heads(here)
        return
    yield from _constants(wanted)
    known = [(quoted(text), text, what) for text, what in texts(here)]
    yield from (Proposal(label, Sort.WORD, WORDS, what, match=f"{text} {label}") for label, text, what in known)
    yield from _uses(here, wanted)
    yield from _defaults(here, wanted)
    yield from whole(here, wanted)
    yield from _names(here, wanted)
    if _may_be_python(wanted) and (wanted.sure or not known):
        yield from heads(here)
        role = ROLES.get(wanted.makes())
        if role.called if role is not None else not wanted.sure:
            yield Proposal("partial", Sort.KEYWORD, FAR, "a call that lacks arguments yet", snippet="partial $1")


def _may_be_python(wanted: Wanted) -> bool:
    if wanted.type is not None:
        found = (t.Target, t.PythonName, t.Anything, t.Inside, t.MapOf, t.ListOf)
        return any(isinstance(each, found) for each in options(wanted.type))
    kinds = wanted.python_options
    return not kinds or any(isinstance(each, p.Unknown | p.Instance | p.Callable | p.Items) for each in kinds)


# -- constants ----------------------------------------------------------------------------------------------------------------


def _constants(wanted: Wanted) -> Iterator[Proposal]:
    """true, false and null, and numbers of a closed set."""
    found = wanted.python_options
    plain = {each.kind for each in options(wanted.type) if isinstance(each, t.Plain)}
    basic = {each.name for each in found if isinstance(each, p.Basic)}
    shown_default = literal(wanted.default)
    if "bool" in plain or "bool" in basic or shown_default in {"true", "false"}:
        for word in ("true", "false"):
            yield Proposal(word, Sort.CONSTANT, WORDS, "the default" if shown_default == word else "")
    if "null" in plain or "None" in basic or shown_default == "null":
        yield Proposal("null", Sort.CONSTANT, NAMES + 1, "the default" if shown_default == "null" else "nothing")
    for each in found:
        for value in each.values if isinstance(each, p.Literals) else ():
            if not isinstance(value, str) and written(value):
                yield Proposal(written(value), Sort.CONSTANT, WORDS)
    if not wanted.sure and shown_default not in {"true", "false"}:
        yield from (Proposal(word, Sort.CONSTANT, FAR) for word in ("true", "false", "null"))
    for value in wanted.values:
        if not isinstance(value, str) and written(value):
            yield Proposal(written(value), Sort.CONSTANT, WORDS, "taken by the called code")


def _defaults(here: Here, wanted: Wanted) -> Iterator[Proposal]:
    """The default, to begin with."""
    default = literal(wanted.default) if wanted.default else ""
    block, name = here.known.block, wanted.name
    key = block.key(name) if block is not None and not wanted.default else None
    if key is not None and key.default and _PLAIN_DEFAULT.fullmatch(key.default):
        default = key.default
    if default and default not in {"null", "true", "false"}:
        yield Proposal(default, Sort.CONSTANT, DEFAULT, "the default")
    if name == "best_model_criterion" and here.standing.place[-1:] == (name,):
        text = '[["valid/loss", 1, "min"]]'
        yield Proposal(
            text, Sort.SNIPPET, DEFAULT, "the metric, how many to keep, and which is best", snippet=_CRITERION
        )


_CRITERION = '[["${1:valid/loss}", ${2:1}, "${3|min,max|}"]]'


# -- uses of declarations -----------------------------------------------------------------------------------------------------


def _uses(here: Here, wanted: Wanted) -> Iterator[Proposal]:
    if wanted.takes_dataset():
        yield from (_use(here, name) for name in here.recipe.datasets)
    if wanted.takes_parallel():
        own = here.sight.names.parallels if here.standing.kind != "parallel" else {}
        yield from (Proposal(name, Sort.PARALLEL, USES, shown(each.root)) for name, each in own.items())
        for name in BACKENDS:
            rank = USES if name in {"local", "slurm"} else USES + 1
            snippet = "" if here.following == "(" else f"{name}($1)"
            yield Proposal(name, Sort.FUNCTION, rank, "a machine backend", snippet=snippet)
    if here.context.frame.role == STAGE and wanted.name == "over":
        for config in here.recipe.configs:
            for each in here.sight.behind((config, "dataset"), here.standing):
                if each.name in {"train", "valid", "test"}:
                    yield Proposal(f"{config}.dataset.{each.name}", Sort.SETTING, USES, shown(each.shape))


def _use(here: Here, name: str) -> Proposal:
    """A dataset with the arguments that its class needs, and its split."""
    call = of_dataset(here.view, name)
    path = call.path if call is not None else ""
    if here.following == "(":
        return Proposal(name, Sort.DATASET, USES, "a dataset of this recipe", more=(path, ""))
    parts: list[str] = []
    for each in call.parameters if call is not None else ():
        if each.required or each.name == "split":
            parts.append(f"{each.name} = {_place(here, each, len(parts) + 1)}")
    snippet = f"{name}({', '.join(parts) or '$1'})"
    return Proposal(name, Sort.DATASET, USES, "a dataset of this recipe", snippet=snippet, more=(path, ""))


def _place(here: Here, parameter: Parameter, number: int) -> str:
    """Where an argument of a dataset is filled in: among the words that its class takes, that of the place's name first."""
    words = [each for each in here.taken(parameter) if isinstance(each, str)]
    near = here.key[-1] if here.key else ""
    if words:
        return choice((quoted(each) for each in sorted(words, key=lambda each: each != near)), number)
    return f'"${number}"' if parameter.name == "split" else f"${number}"


# -- names --------------------------------------------------------------------------------------------------------------------


def _names(here: Here, wanted: Wanted) -> Iterator[Proposal]:
    alike = wanted.name and not wanted.takes_dataset()
    for dotted, shape in here.sight.called_alike(wanted.name, here.standing) if alike else ():
        if "." in dotted and _kind_fits(shape, wanted) is not False:
            yield Proposal(
                dotted,
                Sort.SETTING,
                NAMES - 1,
                shown(shape),
                match=f"{dotted.rpartition('.')[2]} {dotted}",
                more=("", ""),
            )
    for each in here.sight.heads(here.standing):
        yield _named(here, wanted, each)


_SORTS = {"let": Sort.LET, "config": Sort.CONFIG, "recipe": Sort.CONFIG}


def _named(here: Here, wanted: Wanted, each: Named) -> Proposal:
    fits = _kind_fits(each.shape, wanted) if each.shape is not None and not each.holds else None
    rank = NAMES if each.name == wanted.name and fits is not False else NAMES + 1 if fits else NAMES + 2
    if each.kind in {"config", "recipe", "scaffold"} or fits is False:
        rank = FAR
    value = shown(each.shape)
    detail = f"{value} ({each.what})" if value and value != "{ … }" else each.what
    return Proposal(each.name, _SORTS.get(each.kind, Sort.SETTING), rank, detail, leads=each.holds)


def _kind_fits(shape: Shape | None, wanted: Wanted) -> bool | None:
    """Whether a value, as it is written, has a kind that is wanted; None where that cannot be seen."""
    kind = _kind_of(shape)
    taken = _taken(wanted)
    if not kind or not taken:
        return None
    return kind in taken or (kind == "int" and "float" in taken)


def _kind_of(shape: Shape | None) -> str:
    if shape is None:
        return ""
    if shape.kind is not Kind.LEAF:
        return {Kind.LIST: "list", Kind.MAP: "map", Kind.CALL: "call"}[shape.kind]
    match shape.value:
        case ast.Text():
            return "str"
        case ast.Number(value):
            return "int" if isinstance(value, int) else "float"
        case ast.Quantity():
            return "quantity"
        case ast.Constant(value):
            return "null" if value is None else "bool"
        case _:
            return ""


def _taken(wanted: Wanted) -> frozenset[str]:
    """The kinds of values that are wanted; none where anything is."""
    kinds: set[str] = set()
    for each in options(wanted.type):
        match each:
            case t.Plain(kind):
                kinds.add(kind)
            case t.OneOf():
                kinds.add("str")
            case t.Measured():
                kinds |= {"quantity", "float"}
            case t.ListOf():
                kinds.add("list")
            case t.MapOf() | t.Inside():
                kinds.add("map")
            case t.Target():
                kinds.add("call")
            case t.Anything():
                return frozenset()
    for one in wanted.python_options:
        match one:
            case p.Basic(name):
                kinds |= {"null"} if name == "None" else {name, "quantity"} if name in {"int", "float"} else {name}
            case p.Literals():
                kinds.add("str")
            case p.Items() | p.Fixed():
                kinds.add("list")
            case p.Mapping() | p.Keys():
                kinds.add("map")
            case p.Instance() | p.Callable():
                kinds.add("call")
            case _:
                return _of_default(wanted.default)
    return frozenset(kinds)


def _of_default(default: str) -> frozenset[str]:
    """What a default without an annotation tells of the kind."""
    text = literal(default) if default else ""
    if text in {"", "null"}:
        return frozenset()
    if text in {"true", "false"}:
        return frozenset({"bool"})
    if text.startswith(('"', "[")):
        return frozenset({"str"} if text.startswith('"') else {"list"})
    return frozenset({"int", "float", "quantity"})
