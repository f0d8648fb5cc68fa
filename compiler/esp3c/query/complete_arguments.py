"""Arguments of the call at the cursor: what it can be given and is not, what it needs first."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.python import types as p
from esp3c.query.complete_keys import MOST_CHOICES, choice, key_text, snippet_of_key
from esp3c.query.complete_model import Proposal, Sort
from esp3c.query.complete_place import Here
from esp3c.query.signatures import Parameter, literal, written

NEEDED, OPTIONAL = 1, 3


def arguments(here: Here) -> Iterator[Proposal]:
    """The arguments that may be written at the place."""
    call = here.call
    if call is None or here.context.path:
        return
    for each in call.parameters:
        if each.name in here.given:
            continue
        doc = key_text(here, each.key) if each.key is not None else ()
        yield Proposal(
            each.name, Sort.ARGUMENT, NEEDED if each.required else OPTIONAL, _detail(each), doc,
            snippet="" if here.following in {"=", "{"} else _snippet(here, each),
            more=(call.path, each.name) if each.bound is not None else ("", ""),
        )  # fmt: skip


def _detail(each: Parameter) -> str:
    said = " = ".join(part for part in (each.type, each.default) if part)
    return f"{said} (required)".lstrip() if each.required and each.bound is not None else said


def _snippet(here: Here, each: Parameter) -> str:
    if each.key is not None:
        return snippet_of_key(each.name, each.key)
    bound = each.bound
    if bound is not None and here.patient:
        type = p.type_of(here.reader, bound.module, bound.parameter.annotation)
        words = [written(value) for value in type.values] if isinstance(type, p.Literals) else []
        if words and all(words) and len(words) <= MOST_CHOICES:
            return f"{each.name} = {choice(words)}"
        if type == p.Basic("bool"):
            other = "false" if each.default == "True" else "true"
            return f"{each.name} = {choice([other, 'true' if other == 'false' else 'false'])}"
        if type == p.Basic("str") or (isinstance(type, p.Unknown) and literal(each.default).startswith('"')):
            return f'{each.name} = "$1"'
    return f"{each.name} = $1"
