"""Targets: values that the called code itself refuses, as its first lines say."""

from __future__ import annotations

from collections.abc import Iterable

from esp3c.check.calls import verdicts
from esp3c.check.targets import short
from esp3c.diagnostics import Diagnostic, Edit, Fix, Label, code_of, explained
from esp3c.ir import Recipe, Scalar, strip
from esp3c.python.choices import choices
from esp3c.python.model import Class, Function
from esp3c.python.reader import Reader, reader
from esp3c.suggest import certain, nearest
from esp3c.world import Module, World


@explained("ESP0415", "a value that the called code refuses")
def refused_value(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """An argument has a value that is not among those that the function or class says it takes.

        train = [digits(split = "trian")]

    Read from the first lines of the function, where they are of the form `if split not in SPLITS: raise …`.
    """
    reading = reader(world)
    known: dict[str, dict[str, tuple[object, ...]]] = {}
    for verdict in verdicts(recipe, world):
        for argument in verdict.arguments:
            bound, value = argument.bound, strip(argument.value)
            if bound is None or argument.misfit is not None or not isinstance(value, Scalar) or value.value is None:
                continue
            if not bound.module.local and not bound.module.name.startswith("espnet3."):
                continue
            if bound.owner not in known:
                maker = _maker(reading, bound.owner)
                known[bound.owner] = choices(reading, maker[0], maker[1], bound.owner) if maker is not None else {}
            allowed = known[bound.owner].get(argument.name)
            if allowed is None or value.value in allowed:
                continue
            words = [each for each in allowed if isinstance(each, str)]
            near = nearest(value.value, words) if isinstance(value.value, str) else []
            shown = ", ".join(f'"{each}"' if isinstance(each, str) else str(each) for each in allowed[:12])
            meant = certain(str(value.value), near)
            parameter = bound.parameter
            span = reading.span(bound.module, parameter.line, parameter.column, len(parameter.name))
            yield Diagnostic(
                code_of(refused_value),
                f"`{short(verdict.path)}` refuses this `{argument.name}`",
                Label(value.span, f'did you mean "{near[0]}"?' if near else f"it takes {shown}"),
                secondary=(Label(span, "checked where this is taken"),) if span is not None else (),
                help=(f"it takes {shown}",) if near else (),
                fix=Fix(f'write "{meant}"', (Edit(value.span, f'"{meant}"'),)) if meant else None,
            )


def _maker(reading: Reader, owner: str) -> tuple[Module, Function] | None:
    """The function whose parameters an owner's are: itself, or the `__init__` of the class."""
    found = reading.find(owner)
    if found.module is None:
        return None
    match found.definition:
        case Function() as function:
            return found.module, function
        case Class() as node:
            makers = node.defined("__init__") or node.defined("__new__")
            return (found.module, makers[-1]) if makers else None
    return None
