"""The names of a function that is read: what they hold, what they lead to, and when that is not certain any more."""

from __future__ import annotations

import ast
import re

from esp3c.python import known as k
from esp3c.python.contents import overloaded
from esp3c.python.functions import text_of
from esp3c.python.known import Known, Maybe
from esp3c.python.model import Class, Function, Imported, Value
from esp3c.python.reader import STOPS, Reader
from esp3c.python.stored import named
from esp3c.world import Module

_FILLED = r"\b{0}\s*(\[[^\]]*\]\s*=[^=]|\.(add|append|extend|insert|pop|remove|setdefault|update)\b|[|+]=)|\bglobal\b[^\n]*\b{0}\b"
"""Where values are put into a collection, or a name is bound anew, behind the line in which it is written."""


class Refused(Exception):
    """The code refuses what it was given. `names` are the parameters that matter; "" is a default of an inner call."""

    def __init__(
        self, module: Module, node: ast.AST, names: frozenset[str], words: str, allowed: tuple[object, ...]
    ) -> None:
        super().__init__(words)
        self.module = module
        self.line = getattr(node, "lineno", 1)
        self.column = getattr(node, "col_offset", 0)
        self.names = names
        self.words = words
        self.allowed = allowed


class Instance:
    """The object that is being made. `opaque`: what is not in `attributes` may have been set by code that was not followed.

    `guarded`: its class looks at what is set, and may keep something else.
    """

    def __init__(self, path: str, order: tuple[str, ...], *, opaque: bool = False, guarded: bool = False) -> None:
        self.path = path
        self.order = order
        self.opaque = opaque
        self.guarded = guarded
        self.attributes: dict[str, Maybe] = {}

    def set(self, name: str, value: Maybe) -> None:
        self.attributes[name] = None if self.guarded else value

    def forget(self) -> None:
        self.opaque = True
        self.attributes.clear()


class Frame:
    """The names of one function. `because` are the conditions that hold, outermost first; `own_name` is `self` or `cls`.

    `passed`: what kept it from returning before. `maker` is the class that a class method makes an object of.
    """

    def __init__(self, instance: Instance | None = None, owner: int = 0) -> None:
        self.names: dict[str, Maybe] = {}
        self.instance = instance
        self.owner = owner
        self.own_name = ""
        self.maker = ""
        self.because: list[tuple[frozenset[str], ast.expr | None]] = []
        self.passed: frozenset[str] = frozenset()


class Names:
    """The names of one function in one module."""

    def __init__(self, reader: Reader, module: Module, frame: Frame) -> None:
        self.reader = reader
        self.module = module
        self.frame = frame

    def constant(self, text: str) -> Maybe:
        """A constant of this or another module: a number, a text, or a collection that nothing is put into."""
        if not self._near(text):
            return None
        found = self.reader.resolve(self.module, text)
        definition = found.definition
        if not isinstance(definition, Value) or definition.text is None or found.module is None or found.owner:
            return None
        source = self.reader.world.source(found.module)
        if source is None or re.search(_FILLED.format(re.escape(definition.name)), source.text):
            return None
        value = _literal(definition.text)
        # Switches are set by the code around them.
        return value if value is not None and not isinstance(value.value, bool | None) else None

    def _near(self, text: str) -> bool:
        """Whether a name is one of this module's own, or of a module of the recipe: the others are many and long."""
        contents = self.reader.contents(self.module)
        bound = named(contents, text.partition(".")[0]) if contents is not None else []
        for each in bound:
            if not isinstance(each, Imported):
                return True
            top = self.reader.world.module(each.path.partition(".")[0])
            if top is not None and top.local:
                return True
        return False

    def attribute(self, instance: Instance | None, name: str) -> Maybe:
        """An attribute of an object."""
        if instance is None or self.reader.method(instance.path, name) is not None:
            return None
        if name in instance.attributes:
            return instance.attributes[name]
        if instance.opaque:
            return None
        for owner in instance.order:
            found = self.reader.find(owner) if owner not in STOPS else None
            for each in found.definition.attributes if found and isinstance(found.definition, Class) else ():
                if each.name == name:
                    return _literal(each.value) if each.value is not None else None
        return None

    # -- what a call leads to ------------------------------------------------------------------------------------------

    def target(self, node: ast.Call) -> tuple[Module, Function, Instance | None, int] | None:
        """The function that a call runs: its module, itself, the object it belongs to, and the place of its class among
        the bases of that."""
        frame, instance = self.frame, self.frame.instance
        match node.func:
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super"), args=args), attr=attr) if instance is not None:
                first = self._behind(args)
                return self._method(attr, first) if first is not None else None
            case ast.Attribute(value=ast.Name(id=head), attr=attr) if head == frame.own_name and instance is not None:
                return self._method(attr, 0) if attr not in instance.attributes else None
            case ast.Name(id=name) if name not in frame.names:
                found = self.reader.resolve(self.module, name)
                if isinstance(found.definition, Function) and found.module is not None and len(found.overloads) == 1:
                    return found.module, found.definition, None, 0
        return None

    def made(self, node: ast.Call) -> str:
        """The class that a call makes an object of; empty where it is no class, or not known."""
        func, frame = node.func, self.frame
        if isinstance(func, ast.Name) and func.id == frame.own_name:
            return frame.maker
        if not is_dotted(func, frame):
            return ""
        found = self.reader.resolve(self.module, text_of(func))
        return found.path if isinstance(found.definition, Class) else ""

    def _behind(self, args: list[ast.expr]) -> int | None:
        """The place among the bases from which `super()` or `super(Class, self)` goes on."""
        instance = self.frame.instance
        if not args or instance is None:
            return self.frame.owner + 1
        path = self.reader.resolve(self.module, text_of(args[0])).path if len(args) == 2 else ""
        return instance.order.index(path) + 1 if path in instance.order else None

    def _method(self, name: str, first: int) -> tuple[Module, Function, Instance, int] | None:
        instance = self.frame.instance
        assert instance is not None
        for number in range(first, len(instance.order)):
            owner = instance.order[number]
            if owner in STOPS:
                # What these do themselves sets nothing that is asked for here.
                return None
            found = self.reader.find(owner)
            if not isinstance(found.definition, Class) or found.module is None:
                return None
            defined = [each for each in found.definition.defined(name) if not overloaded(each)]
            if defined:
                if len(defined) > 1 or "classmethod" in defined[0].decorators:
                    return None
                return found.module, defined[0], instance, number
        return None

    # -- what is no longer certain -----------------------------------------------------------------------------------

    def forget(self, node: ast.AST) -> None:
        """Whatever this code binds or changes is not certain any more."""
        frame, instance = self.frame, self.frame.instance
        for each in _changing(node):
            match each:
                case ast.Name(id=name):
                    frame.names[name] = None
                case ast.Attribute(value=ast.Name(id=head), attr=attr):
                    if head == frame.own_name and instance is not None:
                        instance.set(attr, None)
                case ast.Call():
                    self._touched(each)

    def _touched(self, node: ast.Call) -> None:
        """What a call that is not followed may change: the object itself, and lists and dicts that it gets."""
        frame, instance = self.frame, self.frame.instance
        names, attributes = _named_in(node)
        if instance is not None and not self._harmless(node):
            kept = {id(each.value): each.attr for each in attributes if each is not node.func}
            if any(id(each) not in kept for each in names if each.id == frame.own_name) or _is_super(node.func):
                instance.forget()
            for attr in kept.values():
                held = instance.attributes.get(attr)
                if held is None or not k.plain(held.value):
                    instance.attributes[attr] = None
        for each in names:
            held = frame.names.get(each.id)
            if held is not None and not k.plain(held.value):
                frame.names[each.id] = None

    def _harmless(self, node: ast.Call) -> bool:
        """Whether it is the `__init__` of `object`, of a class that is known by name, or of none that there is."""
        instance = self.frame.instance
        if instance is None or instance.opaque or not _is_super(node.func):
            return False
        rest = instance.order[self.frame.owner + 1 :]
        own = [each for each in rest if each not in STOPS]
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        return all(
            isinstance(found := self.reader.find(each).definition, Class) and not found.defined(name) for each in own
        )


def _changing(node: ast.AST) -> list[ast.AST]:
    """What binds or may change something in a piece of code; kept with it, as a body is gone through for many calls."""
    found: list[ast.AST] | None = getattr(node, "_esp3c_changing", None)
    if found is None:
        found = [
            each
            for each in ast.walk(node)
            if isinstance(each, ast.Call)
            or (isinstance(each, ast.Name | ast.Attribute) and isinstance(each.ctx, ast.Store | ast.Del))
        ]
        node._esp3c_changing = found  # type: ignore[attr-defined]
    return found


def _named_in(node: ast.Call) -> tuple[list[ast.Name], list[ast.Attribute]]:
    """The names in a call, and the attributes of names; kept with it."""
    found: tuple[list[ast.Name], list[ast.Attribute]] | None = getattr(node, "_esp3c_named", None)
    if found is None:
        inner = list(ast.walk(node))
        names = [each for each in inner if isinstance(each, ast.Name)]
        found = names, [each for each in inner if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name)]
        node._esp3c_named = found  # type: ignore[attr-defined]
    return found


def _literal(text: str) -> Maybe:
    """The value of a constant, as it is written where the constant stands."""
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if isinstance(node, ast.Call) and not node.keywords and len(node.args) == 1:
        if text_of(node.func) not in {"frozenset", "set", "tuple", "list"}:
            return None
        node = node.args[0]
    match node:
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            kind = {ast.Tuple: "tuple", ast.List: "list"}.get(type(node), "set")
            return Known(k.Row(tuple(_single(each) for each in parts), kind))
        case ast.Dict(keys=keys, values=values):
            known = [_single(each) if each is not None else None for each in keys]
            pairs = [(key, _single(values[number])) for number, key in enumerate(known) if key is not None]
            return Known(
                k.Table(tuple(key for key, _ in pairs), tuple(each for _, each in pairs), len(pairs) == len(keys))
            )
        case _:
            return _single(node)


def _single(node: ast.expr) -> Maybe:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return k.computed("Sub", Known(0), _single(node.operand))
    return Known(node.value) if isinstance(node, ast.Constant) and k.plain(node.value) else None


def is_dotted(node: ast.expr, frame: Frame) -> bool:
    """Whether an attribute is one of a module, as far as its text tells."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id not in frame.names and node.id != frame.own_name


def is_own(node: ast.expr, frame: Frame) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == frame.own_name


def _is_super(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == "super"
    )
