"""Targets: values that the called code itself refuses, as its own lines say."""

from __future__ import annotations

from collections.abc import Iterable

from esp3c.check.calls import Argument, Verdict, verdicts
from esp3c.check.targets import short
from esp3c.diagnostics import Diagnostic, Edit, Fix, Label, code_of, explained
from esp3c.ir import CallNode, LinkNode, ListNode, Node, Recipe, Scalar, at, strip
from esp3c.python.choices import choices
from esp3c.python.known import Known, Maybe, Row, plain
from esp3c.python.model import Class, Function
from esp3c.python.reader import Reader, reader
from esp3c.python.refusals import Given, Refusal, instance, refusal
from esp3c.suggest import certain, nearest
from esp3c.world import Module, World

MOST_REFUSALS = 4
"""How many refusals of one call are said."""

MOST_LINKS = 20


@explained("ESP0415", "a value that the called code refuses")
def refused_value(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A call has a value, or values together, that the function or class itself refuses.

        train = [digits(split = "trian")]
        optimizer = torch.optim.SGD(lr = 0.1, nesterov = true)

    Its first lines are read with the values of the call: `if split not in SPLITS: raise …`, `if nesterov and momentum <=
    0: raise …`. What is raised whatever else may be is said here, in the words of the code.
    """
    reading = reader(world)
    known: dict[str, dict[str, tuple[object, ...]]] = {}
    for verdict in verdicts(recipe, world):
        said: set[str] = set()
        for argument in verdict.arguments:
            allowed = _choices_of(argument, reading, known)
            value = strip(argument.value)
            if allowed is not None and isinstance(value, Scalar) and value.value not in allowed:
                said.add(argument.name)
                yield _not_among(verdict, argument, value, allowed, reading)
        yield from _refusals(recipe, verdict, said, reading)


def _choices_of(
    argument: Argument, reading: Reader, known: dict[str, dict[str, tuple[object, ...]]]
) -> tuple[object, ...] | None:
    """The values that the owner of a parameter takes for it, where its first lines say so."""
    bound, value = argument.bound, strip(argument.value)
    if bound is None or argument.misfit is not None or not isinstance(value, Scalar) or value.value is None:
        return None
    if not bound.module.local and not bound.module.name.startswith("espnet3."):
        return None
    if bound.owner not in known:
        maker = _maker(reading, bound.owner)
        known[bound.owner] = choices(reading, maker[0], maker[1], bound.owner) if maker is not None else {}
    return known[bound.owner].get(argument.name)


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


def _not_among(
    verdict: Verdict, argument: Argument, value: Scalar, allowed: tuple[object, ...], reading: Reader
) -> Diagnostic:
    words = [each for each in allowed if isinstance(each, str)]
    near = nearest(value.value, words) if isinstance(value.value, str) else []
    shown = ", ".join(f'"{each}"' if isinstance(each, str) else str(each) for each in allowed[:12])
    meant = certain(str(value.value), near)
    bound = argument.bound
    span = (
        reading.span(bound.module, bound.parameter.line, bound.parameter.column, len(bound.parameter.name))
        if bound is not None
        else None
    )
    return Diagnostic(
        code_of(refused_value),
        f"`{short(verdict.path)}` refuses this `{argument.name}`",
        Label(value.span, f'did you mean "{near[0]}"?' if near else f"it takes {shown}"),
        secondary=(Label(span, "checked where this is taken"),) if span is not None else (),
        help=(f"it takes {shown}",) if near else (),
        fix=Fix(f'write "{meant}"', (Edit(value.span, f'"{meant}"'),)) if meant else None,
    )


# -- what is refused by conditions ------------------------------------------------------------------------------------


def _refusals(recipe: Recipe, verdict: Verdict, said: set[str], reading: Reader) -> Iterable[Diagnostic]:
    """What the code refuses of a call, one thing after the other."""
    if verdict.signature.why or verdict.missing:
        # That something is missing is said already.
        return
    call = verdict.call
    closed = call is not None and not call.node.partial and not call.node.positional
    if call is not None and call.node.options.get("_args_") is not None:
        closed = False
    supplied = call.role.supplied if call is not None and call.role is not None else ()
    values: dict[str, Maybe] = dict.fromkeys(supplied)
    if call is not None and call.role is not None and call.role.ahead:
        values.update(dict.fromkeys(each.name for each in verdict.signature.parameters[: call.role.ahead]))
    for argument in verdict.arguments:
        wrong = argument.misfit is not None or argument.name in said
        values[argument.name] = None if wrong else _value(reading, verdict, argument.value, argument.name)
    for _ in range(MOST_REFUSALS):
        given = Given(dict(values), closed)
        question = f"refusal {verdict.path} {closed} {sorted((name, repr(value)) for name, value in values.items())}"
        found = reading.unless_settled(question, lambda given=given: refusal(reading, verdict.path, given))  # type: ignore[misc]
        if found is None:
            return
        yield _refused(verdict, found, reading)
        values.update(dict.fromkeys(found.names))


def _refused(verdict: Verdict, found: Refusal, reading: Reader) -> Diagnostic:
    given = [each for each in verdict.arguments if each.name in found.names]
    if len(found.names) == 1 and len(given) == 1 and found.allowed:
        value = strip(given[0].value)
        if isinstance(value, Scalar):
            return _not_among(verdict, given[0], value, found.allowed, reading)
    named = [f"`{each.name}`" for each in given]
    span = reading.span(found.module, found.line, found.column, len("raise"))
    because = (Label(span, "refused here"),) if span is not None else ()
    others = tuple(Label(each.value.span, f"with this `{each.name}`") for each in given[1:])
    what = "this " + " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named) if named else ""
    return Diagnostic(
        code_of(refused_value),
        f"`{short(verdict.path)}` refuses {what or 'this call'}",
        Label(given[0].value.span if given else verdict.head, found.words or "its own check says no"),
        secondary=(*others, *because),
    )


def _value(reading: Reader, verdict: Verdict, node: Node, name: str, depth: int = 0) -> Maybe:
    """A value of the recipe as Python gets it."""
    value = strip(node)
    config = verdict.call.config if verdict.call is not None else None
    if depth > MOST_LINKS:
        return None
    if isinstance(value, LinkNode):
        target = at(config.root, value.place) if config is not None and not value.scaffold else None
        return _value(reading, verdict, target, name, depth + 1) if target is not None else None
    names = frozenset({name})
    if isinstance(value, Scalar) and plain(value.value):
        return Known(value.value, names)
    if isinstance(value, ListNode):
        items = tuple(_value(reading, verdict, each, name, depth + 1) for each in value.items)
        return Known(Row(items, "recipe"), names)
    if isinstance(value, CallNode) and not value.partial and not value.positional and not value.options.entries:
        given = {each.name: _value(reading, verdict, each.value, name, depth + 1) for each in value.arguments.entries}
        made = instance(reading, value.target.path, Given(given))
        return Known(made, names) if made is not None else None
    return None
