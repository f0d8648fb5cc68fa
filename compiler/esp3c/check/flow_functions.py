"""The recipe's Python functions, as the flow of the data meets them: which parameters they have, what they return.

A function is only taken as known where its text is the one that will run: not where a decorator may have changed it,
a base class is not readable, or a name is bound more than once.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from esp3c.diagnostics import Label
from esp3c.python.bodies import Outcome, interpret
from esp3c.python.body_values import Callee, Value
from esp3c.python.decorators import unwrapped
from esp3c.python.literal import literal
from esp3c.python.model import Class, Function, Imported, Parameter
from esp3c.python.model import Value as Bound
from esp3c.python.reader import Found, Reader
from esp3c.python.stored import named
from esp3c.record import record
from esp3c.source import Span
from esp3c.world import Module


@record
class Target:
    """A function that espnet3 will call. `cls` is the class on whose object or through which it is called.

    `skipped` is 1 where its first parameter is that object; `given` are arguments that the recipe itself gives.
    """

    name: str
    function: Function
    module: Module
    cls: str = ""
    owner: str = ""
    skipped: int = 0
    given: frozenset[str] = frozenset()

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self.function.parameters[self.skipped :]

    @property
    def positional(self) -> list[Parameter]:
        return [each for each in self.parameters if each.kind in {"positional", "plain"}]

    @property
    def named(self) -> dict[str, Parameter]:
        """The parameters that can be given by name."""
        return {each.name: each for each in self.parameters if each.kind in {"plain", "keyword"}}

    @property
    def required(self) -> list[Parameter]:
        kinds = {"positional", "plain", "keyword"}
        return [p for p in self.parameters if p.kind in kinds and p.default is None and p.name not in self.given]

    def has(self, kind: str) -> bool:
        return any(each.kind == kind for each in self.parameters)


@record
class Scope:
    """What the names in a function's body mean. See `esp3c.python.body_values.Scope`."""

    reader: Reader
    module: Module
    cls: str
    owner: str
    receiver: str

    def constant(self, dotted: str) -> str | None:
        found = self.reader.resolve(self.module, dotted)
        if not isinstance(found.definition, Bound) or found.definition.text is None:
            return None
        try:
            value = literal(found.definition.text)
        except ValueError:
            return None
        return value if isinstance(value, str) else None

    def callee(self, function: ast.expr) -> Callee | None:
        match function:
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name == self.receiver and self.cls:
                return self._method(method_of(self.reader, self.cls, attribute), static=False)
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super"), args=[]), attr=attribute) if self.cls:
                return self._method(self._above(attribute), static=False)
            case ast.Name() | ast.Attribute():
                text = ast.unparse(function)
                if not all(part.isidentifier() for part in text.split(".")) or self._leads_away(text):
                    return None
                found = self.reader.resolve(self.module, text)
                if found.owner:
                    return self._method(method_of(self.reader, *found.path.rsplit(".", 1)), static=True)
                return self._method(plain_function(self.reader, found), static=True)
            case _:
                return None

    def _leads_away(self, dotted: str) -> bool:
        """Whether a name is imported from an installed package, whose bodies are not read: no need to find it there."""
        contents = self.reader.contents(self.module)
        bound = named(contents, dotted.partition(".")[0]) if contents is not None else []
        tops = [self.reader.world.module(each.path.partition(".")[0]) for each in bound if isinstance(each, Imported)]
        return bool(bound) and len(tops) == len(bound) and all(top is not None and not top.local for top in tops)

    def made(self, dotted: str, imported: str | None) -> str:
        if imported == "":
            return ""
        found = self.reader.find(imported) if imported is not None else self.reader.resolve(self.module, dotted)
        plain = isinstance(found.definition, Class) and found.module is not None and found.module.local
        return found.path if plain else ""

    def _above(self, name: str) -> Target | None:
        order = self.reader.bases(self.cls)
        if not order.complete or self.owner not in order.paths:
            return None
        for path in order.paths[order.paths.index(self.owner) + 1 :]:
            found = self.reader.find(path)
            if isinstance(found.definition, Class) and found.definition.defined(name):
                return method_of(self.reader, path, name, cls=self.cls)
        return None

    def _method(self, target: Target | None, *, static: bool) -> Callee | None:
        """The body behind a call. `static`: it is reached through its class or module, not through an object."""
        if target is None or not target.module.local or target.function.empty or target.function.abstract:
            return None
        if static and target.owner and not target.function.static:
            return None
        if any(each.partition("(")[0].rpartition(".")[2] in _ANOTHER for each in target.function.decorators):
            return None
        node = self.reader.body(target.module, target.function)
        if not isinstance(node, ast.FunctionDef):
            return None
        return Callee(node, scope_of(self.reader, target), bool(target.skipped))


_ANOTHER = frozenset({"contextmanager", "asynccontextmanager", "jit", "script_method"})
# Decorators that keep the parameters and give something else back.


def scope_of(reader: Reader, target: Target) -> Scope:
    receiver = target.function.parameters[0].name if target.skipped and target.function.parameters else ""
    return Scope(reader, target.module, target.cls, target.owner, receiver)


def plain_function(reader: Reader, found: Found, given: frozenset[str] = frozenset()) -> Target | None:
    """The function that a name stands for, or None where it is none or may be another."""
    function = found.definition
    if not isinstance(function, Function) or found.module is None or found.owner or len(found.overloads) > 1:
        return None
    if unwrapped(reader, found.module, function):
        return None
    return Target(function.name, function, found.module, given=given)


def method_of(reader: Reader, path: str, name: str, *, cls: str = "") -> Target | None:
    """The method that objects of a class have, or None where they have none or it cannot be known."""
    method = reader.method(path, name)
    if method is None or len(method.overloads) > 1 or unwrapped(reader, method.module, method.function):
        return None
    bases = reader.bases(path)
    if not bases.complete and method.owner != bases.paths[0] and not is_plain(reader, path):
        return None
    found = reader.find(path)
    if isinstance(found.definition, Class) and found.definition.keywords:
        return None
    shown = f"{path.rpartition('.')[2]}.{name}"
    return Target(shown, method.function, method.module, cls or path, method.owner, 0 if method.function.static else 1)


def is_plain(reader: Reader, path: str) -> bool:
    """Whether all bases of a class are known, those of Python itself counted."""
    return reader.is_a(path, ("esp3c.nothing",)) is False


def outcome_of(reader: Reader, target: Target, given: Mapping[str, Value]) -> Outcome:
    """What the body does when it is called with these values."""
    # What is given are kinds and keys, nothing of the recipe's places: their text says all.
    made = (target.module.place, target.function.line, target.name, target.cls, target.owner, target.skipped)
    question = ("outcome", *made, repr(sorted(given.items(), key=lambda each: each[0])))
    return reader.once(question, lambda: _outcome_of(reader, target, given))


def _outcome_of(reader: Reader, target: Target, given: Mapping[str, Value]) -> Outcome:
    if target.function.empty or target.function.abstract:
        return Outcome(why=f"`{target.name}` has no body")
    if any(each.partition("(")[0].rpartition(".")[2] in _ANOTHER for each in target.function.decorators):
        return Outcome(why=f"`{target.name}` is decorated")
    node = reader.body(target.module, target.function)
    if node is None:
        return Outcome(why=f"`{target.module.name}` cannot be read")
    return interpret(node, scope_of(reader, target), given)


def place_of(reader: Reader, target: Target) -> Span | None:
    """Where a function is defined: its name."""
    function = target.function
    return reader.span(target.module, function.line, function.column, len(function.name))


def parameter_place(reader: Reader, target: Target, parameter: Parameter) -> Span | None:
    return reader.span(target.module, parameter.line, parameter.column, len(parameter.name))


def node_place(reader: Reader, module: Module, node: ast.AST) -> Span | None:
    """Where a piece of Python stands: all of it if it is on one line, else its first line."""
    line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
    start = reader.span(module, line, column, 0)
    if start is None:
        return None
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return reader.span(module, line, column, 3 + 1 + len(node.name))
    end_line, end_column = getattr(node, "end_lineno", line), getattr(node, "end_col_offset", column)
    end = reader.span(module, end_line, end_column, 0)
    first = start.source.line_start(line)
    last = first + len(start.source.line_text(line))
    return Span(start.source, start.start, min(end.start, last) if end is not None else last)


def label_at(span: Span | None, text: str) -> tuple[Label, ...]:
    return (Label(span, text),) if span is not None else ()
