"""Targets: parts of a model, by the names that its class gives them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from esp3c.check.calls import Call, verdicts
from esp3c.check.flow_base import follow
from esp3c.check.flow_given import behind
from esp3c.check.module_calls import stored_otherwise
from esp3c.check.targets import short
from esp3c.check.targets_objects import definition_label
from esp3c.diagnostics import Diagnostic, Label, code_of, explained
from esp3c.ir import CallNode, ListNode, Node, Recipe, Scalar, strip
from esp3c.python.model import Class
from esp3c.python.reader import STOPS, Reader, reader
from esp3c.schema.contracts import MODULE, PARTS
from esp3c.source import Span
from esp3c.suggest import all_of, did_you_mean
from esp3c.world import Module, World


@explained("ESP0422", "a part that the model does not have")
def unknown_part(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A model's weights are to be loaded or frozen under a name that its class gives to nothing.

        model = espnet3.components.modeling.pretrained.load_pretrained(
          model = src.model.Reader(hidden_size = 96), checkpoint = "exp/base/last.ckpt", only = ["encodr"])

    Parts are called as the model calls them: `encoder` for what is stored as `self.encoder`, and `encoder.norm` for what is
    inside. Only classes are looked at that are written in the recipe's own Python as a whole and store their parts by
    `self.name = …`: not those that are decorated, hand themselves to another function or name parts in text.
    """
    reading = reader(world)
    told: set[tuple[int, int, int]] = set()
    for verdict in verdicts(recipe, world):
        call = verdict.call
        if call is None or call.node.partial:
            continue
        for argument in PARTS.get(reading.find(verdict.path).path, ()):
            made = _model(reading, call)
            known = _parts(reading, made.target.path) if made is not None else None
            if made is None or known is None:
                continue
            for name, span in _named(call, argument):
                place = (id(span.source), span.start, span.end)
                fault = _not_there(reading, made.target.path, name)
                if fault is None or place in told:
                    continue
                told.add(place)
                path, word = fault
                found, stored = reading.find(path), _parts(reading, path) or []
                yield Diagnostic(
                    code_of(unknown_part),
                    f"`{short(reading.find(made.target.path).path)}` has no part `{name}`",
                    Label(span, did_you_mean(word, stored) or f"`{short(path)}` stores {all_of(stored)}"),
                    secondary=definition_label(reading, found, "this class"),
                )


@explained("ESP0423", "an argument that chooses nothing")
def refused_choice(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """What is to be loaded or frozen is written in a way that `load_pretrained` and `freeze` refuse.

        model = espnet3.components.modeling.pretrained.load_pretrained(
          model = src.model.Reader(), checkpoint = "exp/base/last.ckpt", skip = "head")

    `only` and `skip` are lists of parts, `["head"]`, that name something and not the same; `rename` has pairs, `[["enc",
    "encoder"]]`; `model` is a model and not a function that would make one. Each is refused when the stage begins.
    """
    reading = reader(world)
    told: set[tuple[int, int, int]] = set()
    for verdict in verdicts(recipe, world):
        call = verdict.call
        arguments = PARTS.get(reading.find(verdict.path).path)
        if call is None or call.node.partial or arguments is None:
            continue
        for message, label, *because in _refused(call, arguments):
            place = (id(label.span.source), label.span.start, label.span.end)
            if place not in told:
                told.add(place)
                function = short(reading.find(verdict.path).path)
                yield Diagnostic(
                    code_of(refused_choice), f"{message}, which `{function}` refuses", label, tuple(because)
                )


def _refused(call: Call, arguments: tuple[str, ...]) -> Iterator[tuple[str, Label, *tuple[Label, ...]]]:
    """What is wrong with the arguments of one call: a message, the place, and other places."""
    model = call.node.arguments.get("model")
    made = _value(call, model)
    if model is not None and isinstance(made, CallNode) and made.partial:
        yield "`model` is a function and no model", Label(model.span, "write the call without `partial`")
    for name in arguments:
        node = call.node.arguments.get(name)
        value = _value(call, node)
        if node is not None and isinstance(value, Scalar) and isinstance(value.value, str):
            yield f"`{name}` is text and no list", Label(node.span, f'write a list: `["{value.value}"]`')
        elif node is not None and isinstance(value, ListNode) and not value.items:
            yield f"`{name}` is empty", Label(node.span, "leave it out, or name a part of the model")
    only, skip = (_named(call, name) for name in arguments)
    chosen, left = {name.rstrip(".") for name, _ in only}, {name.rstrip(".") for name, _ in skip}
    whole = _value(call, call.node.arguments.get("only"))
    if chosen and chosen <= left and isinstance(whole, ListNode) and len(whole.items) == len(only):
        yield (
            "`skip` leaves out all that `only` names",
            Label(skip[0][1], "nothing is left"),
            Label(only[0][1], "named here"),
        )
    rename = call.node.arguments.get("rename")
    pairs = _value(call, rename)
    flat = isinstance(pairs, ListNode) and any(isinstance(_value(call, each), Scalar) for each in pairs.items)
    if rename is not None and flat:
        yield "`rename` is a list of names and not of pairs", Label(rename.span, 'write pairs: `[["old", "new"]]`')


def _not_there(reading: Reader, path: str, name: str) -> tuple[str, str] | None:
    """The class that surely lacks a word of a part's name, and that word; None where all may be there."""
    inner: str | None = path
    for word in name.rstrip(".").split("."):
        known = _parts(reading, inner) if inner else None
        if inner is None or known is None:
            return None
        if word not in known:
            return inner, word
        inner = _inside(reading, inner, word)
    return None


def _inside(reading: Reader, path: str, name: str) -> str | None:
    """The class of what a module stores as `self.name = Class(…)`, once, and does nothing with but use it."""
    found: list[str | None] = []
    for owner in reading.bases(reading.find(path).path).paths:
        each = reading.find(owner) if owner != MODULE and owner not in STOPS else None
        if each is None or not isinstance(each.definition, Class) or each.module is None:
            continue
        for method in each.definition.methods:
            body = reading.body(each.module, method)
            if not isinstance(body, ast.FunctionDef):
                return None
            made = _made(body, name)
            if made is None:
                return None
            found += [_class_of(reading, each.module, dotted, body) for dotted in made]
    return found[0] if len(found) == 1 else None


def _made(body: ast.FunctionDef, name: str) -> list[str] | None:
    """What a method stores under a name, as the calls that make it; None where more than that may happen to it."""
    calls: dict[int, str] = {}
    used: set[int] = set()
    for each in ast.walk(body):
        match each:
            case ast.Assign(targets=[ast.Attribute() as place], value=ast.Call(func=function)):
                calls[id(place)] = ast.unparse(function)
            case ast.AnnAssign(target=ast.Attribute() as place, value=ast.Call(func=function)):
                calls[id(place)] = ast.unparse(function)
            case ast.Call(func=ast.Attribute() as called):
                used.add(id(called))
            case ast.Attribute(value=ast.Attribute() as owner, ctx=ast.Load()):
                used.add(id(owner))
    places = [each for each in ast.walk(body) if isinstance(each, ast.Attribute) and each.attr == name]
    if any(id(each) not in (calls if isinstance(each.ctx, ast.Store) else used) for each in places):
        return None
    return [calls[id(each)] for each in places if id(each) in calls]


def _class_of(reading: Reader, module: Module, dotted: str, body: ast.FunctionDef) -> str | None:
    bound = {each.arg for each in ast.walk(body.args) if isinstance(each, ast.arg)}
    bound |= {each.id for each in ast.walk(body) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    bound |= {each.asname or each.name for each in ast.walk(body) if isinstance(each, ast.alias)}
    if not all(part.isidentifier() for part in dotted.split(".")) or dotted.partition(".")[0] in bound:
        return None
    found = reading.resolve(module, dotted)
    return found.path if isinstance(found.definition, Class) else None


def _model(reading: Reader, call: Call) -> CallNode | None:
    node = _value(call, call.node.arguments.get("model"))
    if not isinstance(node, CallNode) or node.partial:
        return None
    return behind(reading, call.config, node) if call.config is not None else node


def _value(call: Call, node: Node | None) -> Node | None:
    if node is None or call.config is None:
        return strip(node) if node is not None else None
    return follow(call.config, node)


def _named(call: Call, argument: str) -> list[tuple[str, Span]]:
    """The texts of a list."""
    node = _value(call, call.node.arguments.get(argument))
    items = [(_value(call, item), item.span) for item in node.items] if isinstance(node, ListNode) else []
    return [(each.value, span) for each, span in items if isinstance(each, Scalar) and isinstance(each.value, str)]


def _parts(reading: Reader, path: str) -> list[str] | None:
    """What the methods of a module store in it; None where it may have parts under other names."""
    found = reading.find(path)
    if not isinstance(found.definition, Class) or reading.is_a(found.path, (MODULE,)) is not True:
        return None
    if stored_otherwise(reading, found.path):
        return None
    names: dict[str, None] = {}
    for owner in reading.bases(found.path).paths:
        if owner == MODULE or owner in STOPS:
            continue
        each = reading.find(owner)
        if not isinstance(each.definition, Class) or each.module is None or not each.module.local:
            return None
        for method in each.definition.methods:
            body = reading.body(each.module, method)
            if body is None:
                return None
            names.update(dict.fromkeys(_stored(body)))
        names.update(dict.fromkeys(attribute.name for attribute in each.definition.attributes))
    return list(names) or None


def _stored(method: ast.AST) -> list[str]:
    return [
        each.attr
        for each in ast.walk(method)
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store) and isinstance(each.value, ast.Name)
    ]
