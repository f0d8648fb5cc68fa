"""What the calls in a body give, and what they do to what they are given.

A function of the recipe is followed into its body; methods of dicts and lists are known; any other code that gets a
dict may have changed it in any way.
"""

from __future__ import annotations

import ast

from esp3c.python.body_comprehensions import Comprehensions
from esp3c.python.body_expressions import looped, text_in
from esp3c.python.body_kinds import NUMBER, call_kind, dotted, method_kind
from esp3c.python.body_values import NONE, UNKNOWN, Callee, Dict, Leaf, Listing, Local, Made, Several, Value
from esp3c.record import record

MOST_DEPTH = 4

# What these are given, they leave as it is.
_HARMLESS = frozenset({
    "len", "print", "isinstance", "issubclass", "set", "frozenset", "bool", "str", "repr", "type", "id", "iter", "any",
    "all", "sum", "min", "max", "hash", "range", "callable", "hasattr", "getattr", "vars", "int", "float", "round",
})  # fmt: skip
_COPIES = frozenset({"dict", "copy.copy", "copy.deepcopy", "deepcopy", "OrderedDict", "collections.OrderedDict"})
_LOGS = frozenset({"debug", "info", "warning", "error", "exception", "critical", "warn"})
# Methods that keep what they are given, and do not change it now.
_KEEPS = frozenset({"append", "add", "insert", "extend", "update", "setdefault", "put", "appendleft"})


@record
class Given:
    """The arguments of a call. `whole` is false where some come out of `*args` or `**kwargs`."""

    values: list[Value]
    named: dict[str, Value]
    rest: list[Value]

    @property
    def whole(self) -> bool:
        return not self.rest

    @property
    def all(self) -> list[Value]:
        return [*self.values, *self.named.values(), *self.rest]


class Calls(Comprehensions):
    def call_function(self, callee: Callee, arguments: dict[str, Value]) -> Value:
        raise NotImplementedError

    def call_local(self, function: Local, arguments: dict[str, Value]) -> Value:
        raise NotImplementedError

    def call(self, node: ast.Call) -> Value:
        hidden = self.hidden(node.func)
        path = dotted(node.func) or ""
        imported = self.imports.get(path.partition(".")[0])
        callee = None if hidden or imported is not None else self.scope.callee(node.func)
        if callee is not None:
            return self.followed(callee, node)
        value = self.called(node, hidden=hidden)
        if value is UNKNOWN and path and not hidden:
            rest = path.partition(".")[2]
            made = self.scope.made(path, ".".join(filter(None, (imported, rest))) if imported is not None else None)
            return Made(made) if made else UNKNOWN
        return value

    def called(self, node: ast.Call, *, hidden: bool) -> Value:
        """The value of a call whose body is not followed."""
        match node.func:
            case ast.Attribute(value=owner, attr=name):
                held = self.value(owner)
                if isinstance(held, Dict):
                    return self.dict_method(held, name, node)
                if isinstance(held, Listing):
                    return self.list_method(held, name, node)
                return self.library_method(held, name, node, hidden=hidden)
            case ast.Name(id=name):
                local = self.names().get(name)
                if isinstance(local, Local):
                    return self.followed(local, node)
                return self.unread(self.given(node)) if hidden else self.named_function(name, node)
            case _:
                self.value(node.func)
                return self.unread(self.given(node))

    def hidden(self, function: ast.expr) -> bool:
        """Whether the name that is called, or that a called method hangs on, is one of the function's own."""
        root = function
        while isinstance(root, ast.Attribute):
            root = root.value
        return isinstance(root, ast.Name) and root.id in self.names() and root.id != self.scope.receiver

    def given(self, node: ast.Call) -> Given:
        """The arguments, each evaluated once."""
        held = [self.value(each.value if isinstance(each, ast.Starred) else each) for each in node.args]
        named = {each.arg: self.value(each.value) for each in node.keywords if each.arg is not None}
        rest = [self.value(each.value) for each in node.keywords if each.arg is None]
        values: list[Value] = []
        for each, value in zip(node.args, held, strict=True):
            if isinstance(each, ast.Starred):
                again = self.value(each.value) if isinstance(each.value, ast.Name) else value
                if isinstance(again, Several):
                    values += again.items
                else:
                    rest.append(again)
            else:
                # A call among them may have led through branches, which make their dicts anew: names are looked at again.
                values.append(self.value(each) if isinstance(each, ast.Name) else value)
        for keyword in node.keywords:
            if keyword.arg is not None and isinstance(keyword.value, ast.Name):
                named[keyword.arg] = self.value(keyword.value)
        return Given(values, named, rest)

    def unread(self, given: Given) -> Value:
        """Code that is not read runs with these arguments."""
        for value in given.all:
            self.escape(value)
        self.others_run()
        return UNKNOWN

    def followed(self, callee: Callee | Local, node: ast.Call) -> Value:
        names = parameters(callee.node)
        if isinstance(callee, Callee) and callee.bound:
            names = names[1:]
        given = self.given(node)
        if not given.whole or self.depth >= MOST_DEPTH or len(given.values) > len(names):
            return self.unread(given)
        arguments = {**dict(zip(names, given.values, strict=False)), **given.named}
        if isinstance(callee, Local):
            return self.call_local(callee, arguments)
        return self.call_function(callee, arguments)

    # -- methods ------------------------------------------------------------------------------------------------------

    def anew(self, function: ast.expr) -> Value:
        """What a method hangs on, after its arguments: a call among them may have made its dicts anew."""
        owner = function.value if isinstance(function, ast.Attribute) else function
        return self.value(owner) if isinstance(owner, ast.Name | ast.Attribute | ast.Subscript) else UNKNOWN

    def dict_method(self, held: Dict, name: str, node: ast.Call) -> Value:
        given = self.given(node)
        again = self.anew(node.func)
        held = again if isinstance(again, Dict) else held
        key = text_in(given.values[0]) if given.values else None
        if name not in {"get", "copy", "keys", "items", "values"}:
            self.before_change(held)
        match name:
            case "get":
                entry = held.fields.get(key) if key is not None else None
                default = given.values[1] if len(given.values) > 1 else NONE
                if entry is None:
                    return UNKNOWN
                return entry.value if entry.sure else self.either(entry.value, default)
            case "pop" if key is not None:
                entry = held.fields.get(key)
                value = self.read(held, key, node) if len(given.values) == 1 and given.whole else UNKNOWN
                held.remove(key, weak=self.weak)
                return entry.value if entry is not None and entry.sure else value
            case "setdefault" if key is not None:
                entry = held.fields.get(key)
                if entry is None or not entry.sure:
                    fresh = entry is None and held.closed and len(given.values) > 1
                    held.put(key, given.values[1] if fresh else UNKNOWN, weak=self.weak)
                return UNKNOWN
            case "update" if not given.rest or all(isinstance(each, Dict) for each in given.rest):
                self.fill(held, given)
                return NONE
            case "copy":
                return held.copy()
            case "keys" | "items" | "values":
                return UNKNOWN
            case _:
                held.havoc()
                return self.unread(given)

    def fill(self, held: Dict, given: Given) -> None:
        for value in (*given.values, *given.rest):
            if isinstance(value, Dict):
                held.absorb(value, weak=self.weak)
            else:
                held.loosen()
        for key, value in given.named.items():
            held.put(key, value, weak=self.weak)

    def list_method(self, held: Listing, name: str, node: ast.Call) -> Value:
        given = self.given(node)
        again = self.anew(node.func)
        held = again if isinstance(again, Listing) else held
        if name == "append" and len(given.values) == 1:
            held.parts = [*held.parts, given.values[0]]
            held.filled = held.filled or not self.weak
            return NONE
        if name == "copy":
            return Listing(list(held.parts), held.filled, held.whole)
        if name not in {"index", "count", "sort", "reverse"}:
            held.whole = False
            for each in given.all:
                self.share(each)
        return UNKNOWN

    def library_method(self, held: Value, name: str, node: ast.Call, *, hidden: bool) -> Value:
        """A method of something that is no dict and no list, or a function of a module."""
        path = dotted(node.func) or ""
        if path in _COPIES and not hidden:
            return self.made_dict(path, node)
        given = self.given(node)
        if name in _LOGS:
            return NONE
        if name in _KEEPS:
            self.others_run()
            for each in given.all:
                self.share(each)
            return UNKNOWN
        kind = UNKNOWN if hidden else call_kind(path, given.values, _keywords(node))
        self.unread(given)
        return method_kind(held, name) if kind is UNKNOWN else kind

    # -- functions ----------------------------------------------------------------------------------------------------

    def named_function(self, name: str, node: ast.Call) -> Value:
        if name in _COPIES:
            return self.made_dict(name, node)
        given = self.given(node)
        if name == "zip" and given.values and given.whole:
            items = [looped(value) for value in given.values]
            pairs = list(zip(items, given.values, strict=True))
            # Lists that go side by side are of one length.
            filled = any(sure for _, sure in items) and all(sure or value is UNKNOWN for (_, sure), value in pairs)
            return Listing([Several(tuple(item for item, _ in items))], filled)
        if name == "enumerate" and given.values:
            item, sure = looped(given.values[0])
            return Listing([Several((NUMBER, item))], sure)
        if name in {"list", "tuple", "sorted", "reversed"}:
            value = given.values[0] if given.values else Listing([])
            return Listing(list(value.parts), value.filled, value.whole) if isinstance(value, Listing) else UNKNOWN
        if name not in _HARMLESS:
            self.unread(given)
        return call_kind(name, given.values, _keywords(node))

    def made_dict(self, name: str, node: ast.Call) -> Value:
        """`dict(x, key = …)` and copies."""
        given = self.given(node)
        if not name.endswith(("dict", "Dict")) and not (given.values and isinstance(given.values[0], Dict)):
            return given.values[0] if given.values and isinstance(given.values[0], Leaf) else UNKNOWN
        out = Dict({})
        self.fill(out, given)
        return out


def parameters(node: ast.FunctionDef | ast.Lambda) -> list[str]:
    """The parameters that may be given by position."""
    return [each.arg for each in (*node.args.posonlyargs, *node.args.args)]


def _keywords(node: ast.Call) -> dict[str, ast.expr]:
    return {each.arg: each.value for each in node.keywords if each.arg is not None}
