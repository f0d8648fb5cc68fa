"""What the expressions of a body give, from what its names hold. See `esp3c.python.bodies` for the statements.

An expression that is not understood gives `UNKNOWN`, and a dict that is handed to code that is not read may have been
changed by it in any way.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from esp3c.python.body_kinds import NUMBER, TEXT, dotted, item_kind, operator_kind
from esp3c.python.body_values import (
    UNKNOWN,
    Dict,
    Env,
    Kind,
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

MOST_STEPS = 6000


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
        self.steps = MOST_STEPS
        self.depth = 0
        self.readings: list[Reading] = []
        # What imports inside the function bind; empty text where the path is not known.
        self.imports: dict[str, str] = {}

    def call(self, node: ast.Call) -> Value:
        raise NotImplementedError

    def comprehension(self, elt: ast.expr, loops: list[ast.comprehension]) -> Value:
        raise NotImplementedError

    def dict_comprehension(self, node: ast.DictComp) -> Value:
        raise NotImplementedError

    def truth(self, test: ast.expr) -> bool | None:
        raise NotImplementedError

    # -- names --------------------------------------------------------------------------------------------------------

    def names(self) -> Env:
        return self.env if self.env is not None else {}

    def bind(self, name: str, value: Value) -> None:
        env = self.names()
        env[name] = self.either(env[name], value) if self.weak and name in env else value

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
        key = text_in(self.value(index))
        if isinstance(held, Dict):
            self.before_change(held)
            if key is None:
                held.loosen()
            else:
                held.put(key, value, weak=self.weak)
        elif isinstance(held, Listing):
            held.whole = False
            self.share(value)
        else:
            self.others_run()
            self.share(value)

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
        """Code that is not read gets it, and may keep it."""
        match value:
            case Dict():
                value.havoc()
                value.shared = True
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
                for each in ast.walk(node):
                    if isinstance(each, ast.Nonlocal):
                        self.names().update(dict.fromkeys(each.names, UNKNOWN))
            case _:
                return

    def before_change(self, held: Dict) -> None:
        """A dict is about to be changed, and with it perhaps others."""
        if held.shared:
            self.others_run()

    def others_run(self) -> None:
        """Something that is not known is changed, which may be what others hold too."""
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
                return self.outside(node) if value is UNKNOWN else UNKNOWN
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
                truth = self.truth(test)
                if truth is not None:
                    return self.value(body if truth else orelse)
                return self.either(self.perhaps(body), self.perhaps(orelse))
            case ast.BoolOp(op=operator, values=[first, *rest]):
                value = self.value(first)
                for number, each in enumerate(rest):
                    truth = truthful(value)
                    if truth is not None and truth == isinstance(operator, ast.Or):
                        return value
                    sure = truth is not None and number == 0
                    value = self.value(each) if sure else self.either(value, self.perhaps(each))
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
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.perhaps(child)
                return UNKNOWN

    def outside(self, node: ast.expr) -> Value:
        name = dotted(node)
        if name is None or name.partition(".")[0] in self.names():
            return UNKNOWN
        constant = self.scope.constant(name)
        return leaf(constant) if constant is not None else UNKNOWN

    def perhaps(self, node: ast.expr) -> Value:
        """The value of an expression that may not be evaluated at all."""
        weak, certain = self.weak, self.certain
        self.weak, self.certain = True, False
        value = self.value(node)
        self.weak, self.certain = weak, certain
        return value

    def either(self, left: Value, right: Value) -> Value:
        """One of two values. What is done to it later is not seen in the two, so nothing is known of them any more."""
        joined = join_values(left, right)
        held = any(value is each for value in self.names().values() for each in (left, right))
        for each in (left, right):
            if each is not joined:
                self.escape(each)
        if held and joined is not left:
            # Nor is what is done to the two seen in this one.
            self.escape(joined)
        return joined

    def item(self, held: Value, index: ast.expr, node: ast.expr) -> Value:
        key = text_in(self.value(index)) if not isinstance(index, ast.Slice) else None
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
                    out.loosen()
            return out
        if isinstance(operator, ast.Add) and isinstance(left, Listing) and isinstance(right, Listing):
            return Listing([*left.parts, *right.parts], left.filled or right.filled, left.whole and right.whole)
        return operator_kind(left, operator, right)

    # -- dicts -------------------------------------------------------------------------------------

    def dict_display(self, keys: list[ast.expr | None], values: list[ast.expr]) -> Dict:
        out = Dict({})
        for key, value in zip(keys, values, strict=True):
            held = self.value(value)
            if key is None:
                if isinstance(held, Dict):
                    out.absorb(held)
                else:
                    out.loosen()
                continue
            name = text_in(self.value(key))
            if name is None:
                out.loosen()
            else:
                out.put(name, held)
        return out


def text_in(value: Value) -> str | None:
    """The text that a value is known to be."""
    return value.constant if isinstance(value, Leaf) and isinstance(value.constant, str) else None


def truthful(value: Value) -> bool | None:
    """Whether a value counts as true, where that is certain: not for numbers and texts, of which only the kind is sure."""
    match value:
        case Leaf(Kind.NONE):
            return False
        case Dict(fields=fields) if any(each.sure for each in fields.values()):
            return True
        case Dict(fields=fields, closed=True) if not fields:
            return False
        case _:
            return None


def looped(value: Value) -> tuple[Value, bool]:
    """What one turn of a loop gets, and whether there surely is one."""
    return (value.item(), value.filled) if isinstance(value, Listing) else (UNKNOWN, False)
