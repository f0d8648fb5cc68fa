"""What the expressions of a body give, from what its names hold. See `esp3c.python.bodies` for the statements.

An expression that is not understood gives `UNKNOWN`, and a dict that is handed to code that is not read may have been
changed by it in any way.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from esp3c.python.body_kinds import NUMBER, TEXT, call_kind, dotted, item_kind, method_kind, operator_kind
from esp3c.python.body_values import (
    NONE,
    UNKNOWN,
    Callee,
    Dict,
    Entry,
    Env,
    Leaf,
    Listing,
    Local,
    Scope,
    Several,
    Value,
    join_values,
    leaf,
)  # fmt: skip
from esp3c.record import record

MOST_DEPTH = 4

# What these are given, they leave as it is.
_HARMLESS = frozenset(
    [
        "len",
        "print",
        "isinstance",
        "issubclass",
        "sorted",
        "set",
        "frozenset",
        "list",
        "tuple",
        "bool",
        "str",
        "repr",
        "type",
        "id",
        "iter",
        "any",
        "all",
        "sum",
        "min",
        "max",
        "hash",
        "range",
        "callable",
        "hasattr",
        "getattr",
        "vars",
    ]
)
_COPIES = frozenset({"copy.copy", "copy.deepcopy", "deepcopy", "OrderedDict", "collections.OrderedDict"})


class TooLong(Exception):
    """The body takes more steps than it is worth."""


@record
class Reading:
    """A key that a body surely asks a dict for, which the dict does not have."""

    key: str
    node: ast.expr
    scope: Scope
    origin: frozenset[str]
    known: tuple[str, ...]


class Expressions:
    """Evaluates expressions. `weak`: they may not be reached, so what they change is changed perhaps."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.env: Env | None = {}
        self.weak = False
        self.certain = True
        self.steps = 6000
        self.depth = 0
        self.readings: list[Reading] = []

    def call_function(self, callee: Callee, arguments: dict[str, Value]) -> Value:
        raise NotImplementedError

    def call_local(self, function: Local, arguments: dict[str, Value]) -> Value:
        raise NotImplementedError

    # -- names --------------------------------------------------------------------------------------------------------

    def names(self) -> Env:
        return self.env if self.env is not None else {}

    def bind(self, name: str, value: Value) -> None:
        env = self.names()
        env[name] = join_values(env[name], value) if self.weak and name in env else value

    def unpack(self, target: ast.expr, value: Value) -> None:
        """Binds the names of an assignment's left side."""
        match target:
            case ast.Name(id=name):
                self.bind(name, value)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                items: Iterable[Value] = [UNKNOWN] * len(targets)
                starred = any(isinstance(each, ast.Starred) for each in targets)
                if isinstance(value, Several) and len(value.items) == len(targets) and not starred:
                    items = value.items
                elif isinstance(value, Listing) and not starred:
                    items = [value.item()] * len(targets)
                else:
                    self.escape(value)
                for each, item in zip(targets, items, strict=True):
                    self.unpack(each, item)
            case ast.Starred(value=inner):
                self.unpack(inner, UNKNOWN)
            case ast.Subscript(value=held, slice=index):
                self.put(self.value(held), index, value)
            case ast.Attribute(value=held):
                self.value(held)
                self.share(value)

    def put(self, held: Value, index: ast.expr, value: Value) -> None:
        key = self.key(index)
        if isinstance(held, Dict):
            if key is None:
                held.open()
            else:
                held.put(key, value, weak=self.weak)
        elif isinstance(held, Listing):
            held.whole = False
            self.share(value)
        else:
            self.share(value)

    def key(self, index: ast.expr) -> str | None:
        """The text of a constant key."""
        value = self.value(index)
        return value.constant if isinstance(value, Leaf) and isinstance(value.constant, str) else None

    # -- what others may do -------------------------------------------------------------------------------------------

    def share(self, value: Value) -> None:
        """Others hold it from here on, and may change it whenever other code runs."""
        match value:
            case Dict():
                value.shared = True
            case Several(items) | Listing(parts=items):
                for item in items:
                    self.share(item)
            case _:
                return

    def escape(self, value: Value) -> None:
        """Code that is not read gets it."""
        match value:
            case Dict():
                value.havoc()
            case Several(items):
                for item in items:
                    self.escape(item)
            case Listing(parts=items):
                value.whole = False
                for item in items:
                    self.escape(item)
            case Local(node):
                used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
                for name, held in self.names().items():
                    if name in used and not isinstance(held, Local):
                        self.escape(held)
            case _:
                return

    def others_run(self) -> None:
        for value in self.names().values():
            if isinstance(value, Dict) and value.shared:
                value.havoc()

    # -- expressions --------------------------------------------------------------------------------------------------

    def value(self, node: ast.expr) -> Value:
        self.steps -= 1
        if self.steps < 0:
            raise TooLong
        match node:
            case ast.Constant(value=constant):
                return leaf(constant)
            case ast.Name(id=name):
                return self.names()[name] if name in self.names() else self.outside(node)
            case ast.Dict(keys=keys, values=values):
                return self.dict_display(keys, values)
            case ast.Subscript(value=held, slice=index):
                return self.item(self.value(held), index, node)
            case ast.Call():
                return self.call(node)
            case ast.Attribute(value=held):
                value = self.value(held)
                if isinstance(value, Dict):
                    value.havoc()
                return self.outside(node) if value == UNKNOWN else UNKNOWN
            case ast.BinOp(left=left, op=operator, right=right):
                return self.binary(self.value(left), operator, self.value(right))
            case ast.Tuple(elts=items) if not any(isinstance(each, ast.Starred) for each in items):
                return Several(tuple(self.value(each) for each in items))
            case ast.List(elts=items) | ast.Set(elts=items) if not any(isinstance(e, ast.Starred) for e in items):
                return Listing([self.value(each) for each in items], bool(items))
            case ast.JoinedStr(values=values):
                for each in values:
                    self.value(each)
                return TEXT
            case ast.FormattedValue(value=inner):
                self.value(inner)
                return TEXT
            case ast.IfExp(test=test, body=body, orelse=orelse):
                self.value(test)
                return join_values(self.perhaps(body), self.perhaps(orelse))
            case ast.BoolOp(values=[first, *rest]):
                value = self.value(first)
                for each in rest:
                    value = join_values(value, self.perhaps(each))
                return value
            case ast.Compare(left=left, comparators=others, ops=operators):
                operands = [self.value(left), *(self.value(each) for each in others)]
                plain = all(isinstance(each, Leaf) and each.kind in {NUMBER.kind, TEXT.kind} for each in operands)
                named = all(isinstance(each, ast.In | ast.NotIn | ast.Is | ast.IsNot) for each in operators)
                return NUMBER if plain or named else UNKNOWN
            case ast.UnaryOp(op=operator, operand=operand):
                value = self.value(operand)
                if isinstance(operator, ast.Not):
                    return NUMBER
                return Leaf(value.kind) if isinstance(value, Leaf) else UNKNOWN
            case ast.NamedExpr(target=target, value=inner):
                value = self.value(inner)
                self.unpack(target, value)
                return value
            case ast.ListComp(elt=elt, generators=loops) | ast.GeneratorExp(elt=elt, generators=loops):
                return self.comprehension(elt, loops)
            case ast.DictComp():
                return self.dict_comprehension(node)
            case ast.Lambda():
                return Local(node)
            case ast.Starred(value=inner) | ast.Await(value=inner):
                self.escape(self.value(inner))
                return UNKNOWN
            case _:
                for each in ast.iter_child_nodes(node):
                    if isinstance(each, ast.expr):
                        self.perhaps(each)
                return UNKNOWN

    def outside(self, node: ast.expr) -> Value:
        name = dotted(node)
        constant = self.scope.constant(name) if name is not None else None
        return leaf(constant) if constant is not None else UNKNOWN

    def perhaps(self, node: ast.expr) -> Value:
        """The value of an expression that may not be evaluated at all."""
        weak, certain = self.weak, self.certain
        self.weak, self.certain = True, False
        value = self.value(node)
        self.weak, self.certain = weak, certain
        return value

    def item(self, held: Value, index: ast.expr, node: ast.expr) -> Value:
        key = self.key(index)
        match held:
            case Dict():
                return UNKNOWN if key is None else self.read(held, key, node)
            case Listing():
                return held if isinstance(index, ast.Slice) else held.item()
            case Several(items):
                number = index.value if isinstance(index, ast.Constant) else None
                return items[number] if isinstance(number, int) and -len(items) <= number < len(items) else UNKNOWN
            case _:
                return item_kind(held, index)

    def read(self, held: Dict, key: str, node: ast.expr) -> Value:
        entry = held.fields.get(key)
        if entry is not None:
            return entry.value
        if held.closed and self.certain and not self.weak:
            self.readings.append(Reading(key, node, self.scope, held.origin, tuple(held.fields)))
        return UNKNOWN

    def binary(self, left: Value, operator: ast.operator, right: Value) -> Value:
        if isinstance(operator, ast.BitOr) and (isinstance(left, Dict) or isinstance(right, Dict)):
            out = Dict({})
            for part in (left, right):
                if isinstance(part, Dict):
                    out.absorb(part)
                else:
                    out.open()
            return out
        if isinstance(operator, ast.Add) and isinstance(left, Listing) and isinstance(right, Listing):
            return Listing([*left.parts, *right.parts], left.filled or right.filled, left.whole and right.whole)
        return operator_kind(left, operator, right)

    # -- dicts and comprehensions -------------------------------------------------------------------------------------

    def dict_display(self, keys: list[ast.expr | None], values: list[ast.expr]) -> Dict:
        out = Dict({})
        for key, value in zip(keys, values, strict=True):
            held = self.value(value)
            if key is None:
                if isinstance(held, Dict):
                    out.absorb(held)
                else:
                    out.open()
                continue
            name = self.key(key)
            if name is None:
                out.open()
            else:
                out.put(name, held)
        return out

    def looped(self, value: Value, iterated: ast.expr) -> tuple[Value, bool]:
        """What one turn of a loop gets, and whether there surely is one."""
        match value:
            case Listing():
                return value.item(), value.filled
            case _:
                return UNKNOWN, False

    def enter(self, loops: list[ast.comprehension]) -> bool:
        """Binds the names of a comprehension; whether its element is surely evaluated."""
        sure = True
        for loop in loops:
            item, filled = self.looped(self.value(loop.iter), loop.iter)
            self.unpack(loop.target, item)
            sure = sure and filled and not loop.ifs
            for test in loop.ifs:
                self.perhaps(test)
        return sure

    def comprehension(self, elt: ast.expr, loops: list[ast.comprehension]) -> Listing:
        before = dict(self.names())
        sure = self.enter(loops)
        value = self.value(elt) if sure else self.perhaps(elt)
        self.restore(before, loops)
        return Listing([value], sure)

    def dict_comprehension(self, node: ast.DictComp) -> Dict:
        before = dict(self.names())
        keys = self.keys_of(node.generators)
        sure = self.enter(node.generators)
        value = self.value(node.value) if sure else self.perhaps(node.value)
        self.restore(before, node.generators)
        out = Dict({}, closed=False)
        if keys is not None and isinstance(node.key, ast.Name):
            target = node.generators[0].target
            first = target.elts[0] if isinstance(target, ast.Tuple) and target.elts else target
            if isinstance(first, ast.Name) and first.id == node.key.id:
                filtered = bool(node.generators[0].ifs)
                fields = {key: Entry(UNKNOWN, entry.sure and not filtered) for key, entry in keys.fields.items()}
                return Dict(fields, keys.closed, keys.origin)
        self.share(value)
        return out

    def keys_of(self, loops: list[ast.comprehension]) -> Dict | None:
        """The keys that a comprehension walks over: `x`, `x.items()`, `x.keys()`, or constants."""
        if len(loops) != 1:
            return None
        iterated: ast.expr = loops[0].iter
        match iterated:
            case ast.Call(func=ast.Attribute(value=held, attr="items" | "keys"), args=[]):
                iterated = held
            case ast.Tuple(elts=items) | ast.List(elts=items):
                names = [self.key(each) for each in items]
                if all(name is not None for name in names):
                    return Dict({str(name): Entry(UNKNOWN) for name in names})
                return None
            case _:
                pass
        value = self.value(iterated)
        return value if isinstance(value, Dict) else None

    def restore(self, before: Env, loops: list[ast.comprehension]) -> None:
        """A comprehension's own names end with it."""
        env = self.names()
        for loop in loops:
            for each in ast.walk(loop.target):
                if isinstance(each, ast.Name):
                    env.pop(each.id, None)
                    if each.id in before:
                        env[each.id] = before[each.id]

    # -- calls --------------------------------------------------------------------------------------------------------

    def call(self, node: ast.Call) -> Value:
        callee = self.scope.callee(node.func)
        if callee is not None and not self.hidden(node.func):
            return self.followed(callee, node)
        if isinstance(node.func, ast.Attribute):
            held = self.value(node.func.value)
            if isinstance(held, Dict):
                return self.dict_method(held, node.func.attr, node)
            if isinstance(held, Listing):
                return self.list_method(held, node.func.attr, node)
        elif isinstance(node.func, ast.Name):
            local = self.names().get(node.func.id)
            if isinstance(local, Local):
                return self.followed(local, node)
            if local is not None:
                return self.unread(node)
        else:
            self.value(node.func)
        return self.built_in(node)

    def hidden(self, function: ast.expr) -> bool:
        """Whether the name that is called is one of the function's own."""
        return isinstance(function, ast.Name) and function.id in self.names()

    def arguments(self, node: ast.Call) -> list[Value]:
        first = [self.value(each) for each in node.args]
        # A call among them may have led through branches: names are looked at again.
        again = [self.value(a) if isinstance(a, ast.Name) else v for a, v in zip(node.args, first, strict=True)]
        for keyword in node.keywords:
            self.value(keyword.value)
        return again

    def unread(self, node: ast.Call) -> Value:
        for value in self.arguments(node):
            self.escape(value)
        for keyword in node.keywords:
            self.escape(self.value(keyword.value))
        self.others_run()
        return UNKNOWN

    def followed(self, callee: Callee | Local, node: ast.Call) -> Value:
        plain = not any(isinstance(each, ast.Starred) for each in node.args) and all(each.arg for each in node.keywords)
        names = parameters(callee.node)
        if isinstance(callee, Callee) and callee.bound:
            names = names[1:]
        if not plain or self.depth >= MOST_DEPTH or len(node.args) > len(names):
            return self.unread(node)
        given = dict(zip(names, self.arguments(node), strict=False))
        for keyword in node.keywords:
            given[str(keyword.arg)] = self.value(keyword.value)
        if isinstance(callee, Local):
            return self.call_local(callee, given)
        return self.call_function(callee, given)

    def dict_method(self, held: Dict, name: str, node: ast.Call) -> Value:
        arguments = self.arguments(node)
        key = self.key(node.args[0]) if node.args else None
        match name:
            case "get":
                entry = held.fields.get(key) if key is not None else None
                default = arguments[1] if len(arguments) > 1 else NONE
                if entry is None:
                    return UNKNOWN
                return entry.value if entry.sure else join_values(entry.value, default)
            case "pop":
                if key is None:
                    held.havoc()
                    return UNKNOWN
                value = self.read(held, key, node) if len(arguments) == 1 else UNKNOWN
                entry = held.fields.get(key)
                value = entry.value if entry is not None and entry.sure else value
                held.remove(key, weak=self.weak)
                return value
            case "setdefault":
                if key is None:
                    held.open()
                    return UNKNOWN
                value = arguments[1] if len(arguments) > 1 else NONE
                entry = held.fields.get(key)
                if entry is None or not entry.sure:
                    joined = value if entry is None and held.closed else UNKNOWN
                    held.put(key, joined, weak=self.weak)
                return UNKNOWN
            case "update":
                self.update(held, arguments, node)
                return NONE
            case "copy":
                return held.copy()
            case "clear":
                held.havoc()
                return NONE
            case "keys" | "items" | "values":
                return UNKNOWN
            case _:
                held.havoc()
                return self.unread(node)

    def update(self, held: Dict, arguments: list[Value], node: ast.Call) -> None:
        for argument in arguments:
            if isinstance(argument, Dict):
                held.absorb(argument, weak=self.weak)
            else:
                held.open()
        for keyword in node.keywords:
            value = self.value(keyword.value)
            if keyword.arg is not None:
                held.put(keyword.arg, value, weak=self.weak)
            elif isinstance(value, Dict):
                held.absorb(value, weak=self.weak)
            else:
                held.open()

    def list_method(self, held: Listing, name: str, node: ast.Call) -> Value:
        arguments = self.arguments(node)
        if name == "append" and len(arguments) == 1:
            held.parts = [*held.parts, arguments[0]]
            held.filled = held.filled or not self.weak
            return NONE
        if name == "copy":
            return Listing(list(held.parts), held.filled, held.whole)
        if name not in {"index", "count", "sort", "reverse"}:
            held.whole = False
            for each in arguments:
                self.share(each)
        return UNKNOWN

    def built_in(self, node: ast.Call) -> Value:
        name = dotted(node.func) or ""
        if isinstance(node.func, ast.Attribute) and self.hidden_root(node.func):
            held = self.value(node.func.value)
            self.unread(node)
            return method_kind(held, node.func.attr)
        if name == "dict" or name in _COPIES:
            return self.made_dict(node)
        if name == "zip" and not node.keywords:
            values = self.arguments(node)
            items = [self.looped(value, each) for value, each in zip(values, node.args, strict=True)]
            filled = bool(items) and all(sure for _, sure in items)
            return Listing([Several(tuple(item for item, _ in items))], filled)
        if name == "enumerate" and len(node.args) == 1:
            value = self.value(node.args[0])
            item, sure = self.looped(value, node.args[0])
            return Listing([Several((NUMBER, item))], sure)
        if name in {"list", "tuple", "sorted", "reversed"} and len(node.args) == 1:
            value = self.value(node.args[0])
            if isinstance(value, Listing):
                return Listing(list(value.parts), value.filled, value.whole)
            return UNKNOWN
        if name in _HARMLESS or name.startswith(("logging.", "logger.", "log.", "_LOG.", "LOG.", "warnings.")):
            self.arguments(node)
            return call_kind(name, [], {})
        arguments = self.arguments(node)
        keywords = {each.arg: each.value for each in node.keywords if each.arg is not None}
        kind = call_kind(name, arguments, keywords)
        if isinstance(node.func, ast.Attribute) and kind == UNKNOWN:
            kind = method_kind(self.value(node.func.value), node.func.attr)
        self.unread(node)
        return kind

    def hidden_root(self, node: ast.Attribute) -> bool:
        """Whether `np` in `np.zeros(…)` is a name of the function's own."""
        name = dotted(node)
        return name is not None and name.partition(".")[0] in self.names()

    def made_dict(self, node: ast.Call) -> Value:
        out = Dict({})
        arguments = self.arguments(node)
        if arguments and isinstance(arguments[0], Leaf) and dotted(node.func) != "dict":
            return UNKNOWN
        if arguments and isinstance(arguments[0], Listing) and dotted(node.func) != "dict":
            return UNKNOWN
        self.update(out, arguments, node)
        return out


def parameters(node: ast.FunctionDef | ast.Lambda) -> list[str]:
    """The parameters that may be given by position."""
    return [each.arg for each in (*node.args.posonlyargs, *node.args.args)]
