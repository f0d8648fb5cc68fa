"""One step of the flow: a transform, a preprocessor or a collate function, and what it makes of what it gets."""

from __future__ import annotations

from esp3c.check.flow_base import Flow, Items, hint, listed, python_path
from esp3c.check.flow_functions import (
    Target,
    is_plain,
    label_at,
    method_of,
    node_place,
    outcome_of,
    parameter_place,
    place_of,
    plain_function,
)  # fmt: skip
from esp3c.check.flow_made import made_by
from esp3c.diagnostics import Label
from esp3c.ir import CallNode, Node
from esp3c.python.bodies import Outcome
from esp3c.python.body_values import Dict, Kind, Leaf, Listing, Several, Value
from esp3c.python.model import Class, Function, Parameter
from esp3c.python.reader import Found, Reader
from esp3c.record import record
from esp3c.source import Span

ORIGIN = frozenset({"item"})
NOT_CALLED = "it cannot be called so"
_DICTS = ("builtins.dict", "collections.OrderedDict", "collections.UserDict", "typing.TypedDict")


@record
class Step:
    """A function that items go through. `takes` is how many values it is called with; `why`: nothing is known of it."""

    name: str
    target: Target | None
    span: Span
    takes: int = 1
    why: str = ""
    role: str = ""


def step_of(flow: Flow, node: Node, role: str, counts: tuple[int, ...]) -> Step:
    """The function behind a setting, called with one of `counts` values. What is wrong with its call is said."""
    reader = flow.reader
    found = python_path(node) if not isinstance(node, CallNode) else (node.target.path, node.head)
    if found is None:
        return Step("", None, node.span, why="it is not a Python path")
    path, span = found
    definition = reader.find(path)
    name = path.rpartition(".")[2]
    target: Target | None = None
    match definition.definition:
        case Class() if isinstance(node, CallNode):
            target = method_of(reader, definition.path, "__call__") if not node.partial else None
        case Class():
            if makes_no_dict(flow, definition.path):
                flow.say(
                    "called_with",
                    f"`{name}` is a class, and as `{role}` the class itself would be called with each item",
                    Label(span, f"make an object of it: `{name}(…)`"),
                    label_at(class_place(flow.reader, definition.path), "the class"),
                )
        case Function():
            target = _function(flow, node, definition)
            made = made_by(reader, path) if target is None and isinstance(node, CallNode) and not node.partial else ""
            target = method_of(reader, made, "__call__") if made else target
        case _:
            target = None
    if target is None:
        return Step(name, None, span, why=definition.why or f"what `{name}` does is not readable", role=role)
    takes = _call(flow, target, role, counts, span, path)
    return Step(name, target if takes else None, span, takes or 1, "" if takes else NOT_CALLED, role)


def _function(flow: Flow, node: Node, found: Found) -> Target | None:
    """The function of a setting; with arguments behind it, what is left of it."""
    if not isinstance(node, CallNode):
        return plain_function(flow.reader, found)
    given = frozenset(entry.name for entry in node.arguments.entries)
    target = plain_function(flow.reader, found, given)
    if target is None or node.positional:
        return None
    # A call that lacks nothing is made at once: what it returns is used.
    waits = node.partial or any(each.kind != "keyword" for each in target.required)
    return target if waits else None


def makes_no_dict(flow: Flow, path: str) -> bool:
    bases = flow.reader.bases(path)
    own = flow.reader.find(path).definition
    odd = isinstance(own, Class) and (own.keywords or own.defined("__new__") or own.decorators)
    return is_plain(flow.reader, path) and not odd and not any(each in _DICTS for each in bases.paths)


def class_place(reader: Reader, path: str) -> Span | None:
    """Where a class is defined: its name."""
    found = reader.find(path)
    if found.module is None or not isinstance(found.definition, Class):
        return None
    return reader.span(found.module, found.definition.line, found.definition.column, len(found.definition.name))


def _call(flow: Flow, target: Target, role: str, counts: tuple[int, ...], span: Span, path: str) -> int:
    """With how many values a function is called; 0 where it cannot be called with any of `counts`."""
    name = path.rpartition(".")[2]
    positional = target.positional
    needed = [each for each in target.required if each.kind != "keyword"]
    keyword = [each for each in target.required if each.kind == "keyword"]
    most = 99 if target.has("args") else len(positional)
    fitting = [count for count in counts if len(needed) <= count <= most]
    taken = next((each.name for each in positional[: min(counts)] if each.name in target.given), None)
    if fitting and not keyword and taken is None:
        return next((count for count in fitting if count == len(needed)), fitting[0])
    what = {"collate_fn": "the list of a batch's items"}.get(role, "the item")
    if taken is not None:
        says, parameter = f"`{taken}` is given here, but that is {what}", target.named.get(taken)
    elif keyword or len(needed) > max(counts):
        also = [each.name for each in (*needed[max(counts) :], *keyword)]
        says, parameter = f"`{target.name}` also needs {listed(also)}", (*needed[max(counts) :], *keyword)[0]
    else:
        says, parameter = f"`{target.name}` takes no argument", None
    place = parameter_place(flow.reader, target, parameter) if parameter is not None else None
    flow.say(
        "called_with",
        f"as `{role}`, `{name}` is called with {what}; {says}",
        Label(span, _advice(target, parameter if taken is None else None, path)),
        label_at(place or place_of(flow.reader, target), "its parameters" if parameter is None else "this one"),
    )
    return 0


def _advice(target: Target, more: Parameter | None, path: str) -> str:
    if more is None:
        return "leave the first parameter free" if target.given else "it must take one argument"
    if target.cls:
        return "take the rest in `__init__`"
    return f"give the rest by name: `partial {path}({more.name} = …)`"


def applied(flow: Flow, step: Step, items: Items) -> Items:
    """What comes out of a transform or preprocessor."""
    target = step.target
    if target is None:
        if step.name and step.why != NOT_CALLED:
            flow.miss(step.span, f"what `{step.name}` makes of an item", step.why)
        return Items(None, why=step.why)
    keys = items.fresh()
    if keys is not None:
        keys.origin = ORIGIN
    free = [each.name for each in target.positional if each.name not in target.given]
    value: Value = keys if keys is not None else Dict({}, closed=False, origin=ORIGIN)
    outcome = outcome_of(flow.reader, target, {free[step.takes - 1]: value} if len(free) >= step.takes else {})
    if outcome.why:
        flow.miss(step.span, f"what `{step.name}` makes of an item", outcome.why)
        return Items(None, why=outcome.why)
    if missing_read(flow, "missing_item_key", step, items, outcome):
        return Items(None, why="it reads a key that is not there")
    made = outcome.value
    if isinstance(made, Dict):
        labels = (*_where_returned(flow, target, outcome), *items.labels)
        return Items(made, f"an item behind `{step.name}`", labels)
    if outcome.returned and all(no_dict(each.value) for each in outcome.returned):
        nothing = all(isinstance(each.value, Leaf) and each.value.kind is Kind.NONE for each in outcome.returned)
        flow.say(
            "item_is_dict",
            f"`{target.name}` returns {said(made)}, but a {step.role} gives back the item",
            Label(step.span, "add `return` and the item" if nothing else "a dict is wanted"),
            label_at(place_of(flow.reader, target), "it has no `return` with a value" if nothing else "defined here"),
        )
        return Items(None, why="it gives back no dict")
    flow.miss(step.span, f"what `{step.name}` makes of an item", "what it returns is made when it runs")
    return Items(None, why="what it returns is made when it runs")


def missing_read(flow: Flow, rule: str, step: Step, items: Items, outcome: Outcome) -> bool:
    """Says the first key that a function surely asks for and that its item does not hold."""
    for reading in outcome.readings:
        if not (reading.origin & ORIGIN) or not items.lacks(reading.key):
            continue
        module = getattr(reading.scope, "module", None)
        place = node_place(flow.reader, module, reading.node) if module is not None else None
        flow.say(
            rule,
            f"`{step.name}` reads `{reading.key}`, but {items.who} holds {listed(items.names)}"
            + hint(reading.key, items.names),
            Label(step.span, f"it reads `{reading.key}`"),
            (*label_at(place, "read here"), *items.labels),
        )
        return True
    flow.proved += 1
    return False


def _where_returned(flow: Flow, target: Target, outcome: Outcome) -> tuple[Label, ...]:
    if len(outcome.returned) == 1:
        return label_at(node_place(flow.reader, target.module, outcome.returned[0].node), "it goes on from here")
    return label_at(place_of(flow.reader, target), "it goes on from here")


def no_dict(value: Value) -> bool:
    """Whether a value surely is no dict."""
    return isinstance(value, Listing | Several) or (isinstance(value, Leaf) and value.kind is not Kind.UNKNOWN)


def said(value: Value) -> str:
    """A value in words: `a tuple`, `nothing`."""
    match value:
        case Several():
            return "a tuple"
        case Listing():
            return "a list"
        case Leaf(Kind.NONE):
            return "nothing"
        case Leaf(kind) if kind is not Kind.UNKNOWN:
            return str(kind)
        case _:
            return "something else"
