"""Calls that the called code itself refuses: it is read with the values of a call, as far as they are certain.

    if nesterov and momentum <= 0:
        raise ValueError("nesterov needs a momentum")

A refusal is a `raise` or a failing `assert` that is reached whatever else may be. Constants, `self.x = x`, and calls of
`super().__init__`, of own methods and of functions of the module are followed; everything else makes what it touches
uncertain. Nothing is imported or run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from esp3c.python import known as k
from esp3c.python.expressions import Expressions
from esp3c.python.fields import fields_of
from esp3c.python.frames import Frame, Instance, Refused
from esp3c.python.known import Known, Maybe, names_of
from esp3c.python.model import Class, Function
from esp3c.python.reader import STOPS, Reader
from esp3c.record import record
from esp3c.world import Module

SAFE = frozenset({"staticmethod", "classmethod", "override", "final", "no_type_check", "abstractmethod"})
"""Decorators, by their last names, that leave alone what a function does."""

MOST_STEPS = 1500
"""Statements of one call."""

MOST_ROUNDS = 3
"""Rounds of a loop that are gone through one by one."""

DEEPEST = 6
"""How many functions deep a call is followed."""


@record
class Refusal:
    """A place in Python that refuses a call: because of these parameters, in these words (empty: it says nothing).

    `allowed` are the values that it would take, where one parameter is compared with them.
    """

    module: Module
    line: int
    column: int
    names: frozenset[str]
    words: str
    allowed: tuple[object, ...] = ()


@record
class Given:
    """The arguments of a call. A value None is not certain; `closed`: nothing else is given."""

    values: Mapping[str, Maybe]
    closed: bool = True


def refusal(reader: Reader, path: str, given: Given) -> Refusal | None:
    """Where the code behind a path refuses the arguments of a call; None where it does not, or that is not certain."""
    found = reader.find(path)
    running = _Running(reader)
    try:
        match found.definition:
            case Class():
                running.made(found.path, given)
            case Function() as function if found.module is not None:
                running.entered(found.module, function, None, 0, given, maker=path.rpartition(".")[0])
    except Refused as refused:
        names = frozenset(each for each in refused.names if each)
        if not names:
            return None
        return Refusal(refused.module, refused.line, refused.column, names, refused.words, refused.allowed)
    except _Enough:
        return None
    return None


def instance(reader: Reader, path: str, given: Given) -> Instance | None:
    """The object that a call of a class makes, as far as its attributes are certain; None where nothing is."""
    found = reader.find(path)
    if not isinstance(found.definition, Class):
        return None
    try:
        return _Running(reader).made(found.path, given)
    except (Refused, _Enough):
        return None


class _Enough(Exception):
    """It has been followed far enough."""


class _Stop(Exception):
    """The function is left: with a value, or (`surely` false) perhaps."""

    def __init__(self, value: Maybe, *, surely: bool) -> None:
        super().__init__()
        self.value = value
        self.surely = surely


class _Running:
    """Goes through the functions of one call."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.steps = 0
        self.depth = 0

    def made(self, path: str, given: Given, positional: list[Maybe] | None = None) -> Instance | None:
        """Makes an object of a class."""
        bases, guarded = self.reader.bases(path), False
        for owner in bases.paths:
            node = self.reader.find(owner).definition if owner not in STOPS else None
            if isinstance(node, Class):
                guarded = guarded or bool(node.defined("__setattr__"))
                if node.defined("__new__"):
                    return None
        instance = Instance(path, bases.paths, opaque=not bases.complete, guarded=guarded)
        method = self.reader.method(path, "__init__")
        found = self.reader.find(path)
        if method is not None:
            if isinstance(found.definition, Class) and found.definition.decorators:
                return None
            number = bases.paths.index(method.owner) if method.owner in bases.paths else 0
            plain = _positional(method.function, own=True)
            if positional and len(positional) > len(plain):
                return None
            ahead = {plain[place]: each for place, each in enumerate(positional or ())}
            self.entered(
                method.module, method.function, instance, number, Given({**ahead, **given.values}, given.closed)
            )
            return instance
        after = self.reader.method(path, "__post_init__")
        fields = None
        if isinstance(found.definition, Class) and found.module is not None and bases.complete:
            fields = fields_of(self.reader, bases.paths, found.definition, found.module)
        if fields is None or fields.why or fields.open or not given.closed or positional:
            return None
        for parameter, module, _ in fields.parameters:
            value = given.values.get(parameter.name)
            if parameter.name not in given.values and parameter.default is not None:
                value = Expressions(self.reader, module, Frame()).text(parameter.default)
                value = Known(value.value, frozenset({parameter.name})) if value is not None else None
            instance.set(parameter.name, value)
        if after is not None:
            self.entered(after.module, after.function, instance, 0, Given({}, closed=False))
        return instance

    def entered(
        self,
        module: Module,
        function: Function,
        instance: Instance | None,
        owner: int,
        given: Given,
        maker: str = "",
    ) -> Maybe:
        """Goes through a function; what it gives back, where that is certain. `maker` is the class of a factory."""
        body = _body(self.reader, module, function) if self.depth < DEEPEST else None
        if body is None:
            if instance is not None:
                instance.forget()
            return None
        parameters = list(function.parameters)
        frame = Frame(instance=instance, owner=owner)
        if parameters and ((instance is not None and not function.static) or "classmethod" in function.decorators):
            frame.own_name = parameters.pop(0).name
            frame.maker = maker if instance is None else ""
        values = Expressions(self.reader, module, frame, self._followed)
        taken: set[str] = set()
        for parameter in parameters:
            name = parameter.name
            taken.add(name)
            if parameter.kind == "args":
                frame.names[name] = Known(k.Row((), "tuple")) if given.closed else None
            elif parameter.kind == "kwargs":
                rest = {key: each for key, each in given.values.items() if key not in taken}
                frame.names[name] = Known(
                    k.Table(tuple(Known(key) for key in rest), tuple(rest.values()), whole=given.closed)
                )
            elif name in given.values:
                frame.names[name] = given.values[name]
            elif given.closed and parameter.default is not None:
                default = Expressions(self.reader, module, Frame()).text(parameter.default)
                # A combination may be refused for what it does not say.
                names = frozenset({name}) if self.depth == 0 else frozenset({""})
                frame.names[name] = Known(default.value, names) if default is not None else None
            else:
                frame.names[name] = None
        self.depth += 1
        try:
            self._block(body.body, values)
        except _Stop as stop:
            if not stop.surely:
                if instance is not None:
                    instance.forget()
                return None
            return stop.value
        finally:
            self.depth -= 1
        return Known(None)

    def _followed(self, values: Expressions, node: ast.Call) -> tuple[bool, Maybe]:
        """Follows a call inside of a function: whether that was possible, and what it gives."""
        target, path = values.target(node), ""
        if target is None:
            path = values.made(node)
            if not path:
                return False, None
        given: dict[str, Maybe] = {}
        closed = True
        positional: list[Maybe] = []
        for each in node.args:
            row = values.value(each.value) if isinstance(each, ast.Starred) else None
            if not isinstance(each, ast.Starred):
                positional.append(values.value(each))
            elif row is not None and isinstance(row.value, k.Row) and row.value.kind != "set":
                positional += row.value.items
            else:
                return False, None
        for keyword in node.keywords:
            value = values.value(keyword.value)
            if keyword.arg is not None:
                given[keyword.arg] = value
            elif value is not None and isinstance(value.value, k.Table):
                table = value.value
                closed = closed and table.whole
                given.update({str(key.value): table.values[number] for number, key in enumerate(table.keys)})
            else:
                closed = False
        if target is None:
            if any(names_of(each) for each in (*positional, *given.values())) and self.depth < DEEPEST:
                self.made(path, Given(given, closed), positional)
            return False, None
        module, function, instance, owner = target
        plain = _positional(function, own=instance is not None)
        if len(positional) > len(plain):
            return False, None
        given.update({plain[number]: each for number, each in enumerate(positional)})
        return True, self.entered(module, function, instance, owner, Given(given, closed))

    # -- statements ---------------------------------------------------------------------------------------------------

    def _block(self, body: list[ast.stmt], values: Expressions) -> None:
        for statement in body:
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise _Enough
            self._statement(statement, values)

    def _statement(self, node: ast.stmt, values: Expressions) -> None:
        match node:
            case ast.Expr(value=value):
                values.value(value)
            case ast.Assign(targets=targets, value=value):
                result = values.value(value)
                for target in targets:
                    self._bind(target, result, values)
            case ast.AnnAssign(target=target, value=value):
                if value is not None:
                    self._bind(target, values.value(value), values)
            case ast.AugAssign(target=target, op=op, value=value):
                old = values.value(target) if isinstance(target, ast.Name | ast.Attribute) else None
                self._bind(target, k.computed(type(op).__name__, old, values.value(value)), values)
            case ast.If(test=test, body=then, orelse=other):
                outcome = values.value(test)
                decided = k.truth(outcome)
                if decided is None:
                    self._perhaps(node, values)
                else:
                    chosen, left = (then, other) if decided else (other, then)
                    if any(isinstance(each, ast.Return) for statement in left for each in ast.walk(statement)):
                        values.frame.passed |= names_of(outcome)
                    values.frame.because.append((names_of(outcome), test if decided else None))
                    self._block(chosen, values)
                    values.frame.because.pop()
            case ast.Assert(test=test, msg=message):
                outcome = values.value(test)
                if k.truth(outcome) is False:
                    raise values.refused(node, message, names_of(outcome), test, negated=True)
            case ast.Raise(exc=error):
                raise values.refused(node, error, frozenset(), None, negated=False)
            case ast.Return(value=value):
                raise _Stop(values.value(value) if value is not None else Known(None), surely=True)
            case ast.For(target=ast.Name() as target, iter=over, body=inner, orelse=[]) if not _jumps(inner):
                row = values.value(over)
                items = row.value.items if row is not None and isinstance(row.value, k.Row) else None
                if items is None:
                    self._perhaps(node, values)
                for each in (items or ())[:MOST_ROUNDS]:
                    self._bind(target, each, values)
                    self._block(inner, values)
                if items is not None and len(items) > MOST_ROUNDS:
                    self._perhaps(node, values)
            case ast.Pass() | ast.Global() | ast.Nonlocal():
                if not isinstance(node, ast.Pass):
                    values.frame.names.update(dict.fromkeys(node.names))
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                for alias in names:
                    values.frame.names[(alias.asname or alias.name).partition(".")[0]] = None
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                values.frame.names[node.name] = None
            case _:
                self._perhaps(node, values)

    def _perhaps(self, node: ast.stmt, values: Expressions) -> None:
        """A statement of which it is not known whether it is reached, or what it does."""
        values.forget(node)
        if any(isinstance(each, ast.Return | ast.Break | ast.Continue) for each in ast.walk(node)):
            raise _Stop(None, surely=False)

    def _bind(self, target: ast.expr, value: Maybe, values: Expressions) -> None:
        match target:
            case ast.Name(id=name):
                values.frame.names[name] = value
            case ast.Attribute(value=ast.Name(id=head), attr=attr) if head == values.frame.own_name:
                if values.frame.instance is not None:
                    values.frame.instance.set(attr, value)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                row = value.value if value is not None else None
                items = row.items if isinstance(row, k.Row) and row.kind != "set" else ()
                fitting = len(items) == len(parts) and not any(isinstance(each, ast.Starred) for each in parts)
                for number, part in enumerate(parts):
                    self._bind(part, items[number] if fitting else None, values)
            case _:
                values.forget(target)


def _positional(function: Function, *, own: bool) -> list[str]:
    """The parameters that are given by position, without the object itself."""
    names = [each.name for each in function.parameters if each.kind in {"plain", "positional"}]
    return names[1:] if own and not function.static else names


def _jumps(body: list[ast.stmt]) -> bool:
    return any(isinstance(each, ast.Break | ast.Continue) for statement in body for each in ast.walk(statement))


_BODIES: WeakKeyDictionary[Reader, dict[tuple[str, int], ast.FunctionDef | None]] = WeakKeyDictionary()


def _body(reader: Reader, module: Module, function: Function) -> ast.FunctionDef | None:
    """The tree of a function of which calling it runs its body, and nothing else."""
    known = _BODIES.setdefault(reader, {})
    key = (module.name, function.line)
    if key not in known:
        body = reader.body(module, function) if followable(function) else None
        plain = isinstance(body, ast.FunctionDef) and not any(
            isinstance(each, ast.Yield | ast.YieldFrom) for each in ast.walk(body)
        )
        known[key] = body if plain and isinstance(body, ast.FunctionDef) else None
    return known[key]


def followable(function: Function) -> bool:
    """Whether the decorators of a function leave alone what it does."""
    return all(re.split(r"[(\[]", each)[0].rpartition(".")[2] in SAFE for each in function.decorators)
