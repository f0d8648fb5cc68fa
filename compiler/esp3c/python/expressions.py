"""Expressions of a Python function, with the values that are certain; `esp3c.python.refusals` goes through the statements."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import TypeAlias

from esp3c.python import known as k
from esp3c.python.frames import Frame, Instance, Names, Refused, is_dotted, is_own
from esp3c.python.functions import text_of
from esp3c.python.known import Known, Maybe
from esp3c.python.reader import Found, Reader
from esp3c.world import Module

BUILTIN = frozenset({
    "len", "abs", "min", "max", "sum", "int", "float", "bool", "round", "isinstance", "callable", "any", "all",
    "tuple", "list", "set", "frozenset", "super", "range",
})  # fmt: skip
"""Python's own functions that are known here."""

_TENSORS = re.compile(r"torch\.(empty|zeros|ones|rand|randn)")
"""Functions of torch whose positional arguments are sizes."""

LONGEST_WORDS = 160


Follow: TypeAlias = "Callable[[Expressions, ast.Call], tuple[bool, Maybe]]"


class Expressions(Names):
    """Evaluates expressions of one function."""

    def __init__(self, reader: Reader, module: Module, frame: Frame, follow: Follow | None = None) -> None:
        super().__init__(reader, module, frame)
        self.follow = follow
        self.unsure = 0
        """How many expressions stand around this one of which it is not known whether they are evaluated."""

    def text(self, source: str) -> Maybe:
        """The value of an expression that stands outside of functions."""
        try:
            node = ast.parse(source, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        return self.value(node)

    def value(self, node: ast.expr) -> Maybe:
        """The value of an expression, where it is certain. What it changes on the way is forgotten."""
        match node:
            case ast.Constant(value=value):
                return Known(value) if k.plain(value) else None
            case ast.Name(id=name):
                return self.frame.names[name] if name in self.frame.names else self.constant(name)
            case ast.Attribute(value=ast.Name(id=head), attr=attr) if head and head == self.frame.own_name:
                return self.attribute(self.frame.instance, attr)
            case ast.Attribute(value=ast.Name(id=head), attr=attr) if head in self.frame.names:
                return self._of_object(self.frame.names[head], attr)
            case ast.Attribute(value=ast.Attribute() as holder, attr=attr) if is_own(holder, self.frame):
                return self._of_object(self.value(holder), attr)
            case ast.Attribute():
                return self.constant(text_of(node)) if is_dotted(node, self.frame) else self._given_up(node)
            case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
                return self._row(node, parts)
            case ast.Dict(keys=keys, values=values):
                return self._table(keys, values)
            case ast.Compare():
                return self._compare(node)
            case ast.BoolOp():
                return self._both(node)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.value(operand)
                decided = k.truth(inner)
                return Known(not decided, k.names_of(inner)) if decided is not None else None
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return k.computed("Sub", Known(0), self.value(operand))
            case ast.BinOp(left=left, op=op, right=right):
                one, other = self.value(left), self.value(right)
                try:
                    return k.computed(type(op).__name__, one, other)
                except ZeroDivisionError:
                    if self.unsure:
                        return None
                    words = "it is divided by zero"
                    raise Refused(self.module, node, k.names_of(one, other), words, ()) from None
            case ast.Subscript(value=held, slice=key):
                return self._item(node, self.value(held), self.value(key))
            case ast.IfExp(test=test, body=then, orelse=other):
                outcome = self.value(test)
                decided = k.truth(outcome)
                if decided is None:
                    self._unsurely(then)
                    self._unsurely(other)
                    return None
                chosen = self.value(then if decided else other)
                return Known(chosen.value, k.names_of(chosen, outcome)) if chosen is not None else None
            case ast.Call():
                return self._call(node)
            case ast.Lambda():
                return None
            case ast.ListComp(generators=[only], elt=each) if not only.ifs and not only.is_async:
                return self._listed(node, only, each)
            case _:
                return self._given_up(node)

    def _of_object(self, known: Maybe, name: str) -> Maybe:
        """An attribute of an object that the recipe makes, such as a dataclass of settings."""
        if known is None or not isinstance(known.value, Instance):
            return None
        found = self.attribute(known.value, name)
        return Known(found.value, k.names_of(known)) if found is not None else None

    def _item(self, node: ast.Subscript, held: Maybe, key: Maybe) -> Maybe:
        """`held[key]`, which a dict refuses that has no such key."""
        found = k.item_of(held, key)
        table = held.value if held is not None else None
        if found is not None or key is None or not isinstance(table, k.Table) or not table.keys or self.unsure:
            return found
        if isinstance(node.ctx, ast.Load) and k.truth(k.compared("NotIn", key, held)):
            keys = tuple(each.value for each in table.keys)
            raise Refused(self.module, node, k.names_of(key), f"there is no {key.value!r} among them", keys)
        return None

    def _given_up(self, node: ast.expr) -> Maybe:
        self.forget(node)
        return None

    def _unsurely(self, node: ast.expr) -> Maybe:
        """The value of an expression that may not be evaluated at all: nothing in it can refuse."""
        self.unsure += 1
        try:
            return self.value(node)
        finally:
            self.unsure -= 1

    def _row(self, node: ast.expr, parts: list[ast.expr]) -> Maybe:
        if any(isinstance(each, ast.Starred) for each in parts):
            return self._given_up(node)
        kind = {ast.Tuple: "tuple", ast.List: "list"}.get(type(node), "set")
        items = tuple(self.value(each) for each in parts)
        return Known(k.Row(items, kind), k.names_of(*items))

    def _table(self, keys: list[ast.expr | None], values: list[ast.expr]) -> Maybe:
        known = [self.value(each) if each is not None else None for each in keys]
        held = [self.value(each) for each in values]
        pairs = [(key, held[number]) for number, key in enumerate(known) if key is not None and k.plain(key.value)]
        table = k.Table(tuple(key for key, _ in pairs), tuple(each for _, each in pairs), len(pairs) == len(keys))
        return Known(table)

    def _compare(self, node: ast.Compare) -> Maybe:
        left, names = self.value(node.left), k.names_of()
        certain = True
        for op, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.value(comparator) if certain else self._unsurely(comparator)
            outcome = k.compared(type(op).__name__, left, right)
            if outcome is None:
                certain = False
            else:
                if outcome.value is False:
                    # Whatever the others give, the whole is false.
                    return outcome
                names |= outcome.names
            left = right
        return Known(True, names) if certain else None

    def _both(self, node: ast.BoolOp) -> Maybe:
        """`and` and `or`: one part may decide alone, also behind another that is not certain."""
        wanted = isinstance(node.op, ast.Or)
        certain, names = True, k.names_of()
        last: Maybe = None
        for each in node.values:
            last = self.value(each) if certain else self._unsurely(each)
            decided = k.truth(last)
            if decided is wanted:
                # Behind an uncertain part, only how it counts is known.
                return last if certain else Known(wanted, k.names_of(last))
            if decided is None:
                certain = False
            names |= k.names_of(last)
        return Known(last.value, names) if certain and last is not None else None

    # -- calls --------------------------------------------------------------------------------------------------------

    def _call(self, node: ast.Call) -> Maybe:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name and name not in self.frame.names and self._is_builtin(name):
            if name == "isinstance" and len(node.args) == 2:
                return k.is_instance(self.value(node.args[0]), self._types(node.args[1]))
            if name in {"any", "all"} and len(node.args) == 1 and isinstance(node.args[0], ast.GeneratorExp):
                return self._quantified(node.args[0], name == "any")
            if name == "super":
                return None
            if not node.keywords and not any(isinstance(each, ast.Starred) for each in node.args):
                return k.called(name, [self.value(each) for each in node.args])
            self.forget(node)
            return None
        if isinstance(node.func, ast.Attribute) and not node.args and not node.keywords:
            held = node.func.value
            if isinstance(held, ast.Name | ast.Constant) or is_own(held, self.frame):
                known = self.value(held)
                result = k.said(known, node.func.attr) if known is not None else None
                if result is not None:
                    return result
        if self.follow is not None and not self.unsure:
            followed, value = self.follow(self, node)
            if followed:
                return value
        given = [self.value(each.value if isinstance(each, ast.Starred) else each) for each in node.args]
        for keyword in node.keywords:
            self.value(keyword.value)
        if _TENSORS.fullmatch(text_of(node.func)) and not self.unsure:
            sizes = [item for each in given for item in (k.items_of(each) or (each,))]
            for size in sizes:
                if size is not None and type(size.value) is int and size.value < 0:
                    raise Refused(self.module, node, k.names_of(size), "a tensor has no negative size", ())
        self.forget(node)
        return None

    def _is_builtin(self, name: str) -> bool:
        found = self.reader.resolve(self.module, name) if name in BUILTIN else Found("", None, None)
        return name in BUILTIN and found.definition is None and found.module is None

    def _listed(self, node: ast.expr, only: ast.comprehension, each: ast.expr) -> Maybe:
        """`[each for name in known]`: how many there are, and what refuses the first."""
        row = self.value(only.iter)
        items = row.value.items if row is not None and isinstance(row.value, k.Row) else ()
        result: Maybe = None
        if items and row is not None and isinstance(only.target, ast.Name):
            kept = dict(self.frame.names)
            self.frame.names[only.target.id] = items[0]
            self.value(each)
            self.frame.names = kept
            result = Known(k.Row((None,) * len(items), "list"), row.names)
        self.forget(node)
        return result

    def _types(self, node: ast.expr) -> list[str]:
        match node:
            case ast.Tuple(elts=parts):
                return [each for part in parts for each in self._types(part)]
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._types(left) + self._types(right)
            case ast.Name() | ast.Attribute():
                return [text_of(node).rpartition(".")[2]]
            case _:
                return [""]

    def _quantified(self, node: ast.GeneratorExp, some: bool) -> Maybe:
        """`any(… for x in known)` and `all(…)`."""
        only = node.generators[0]
        row = self.value(only.iter)
        simple = len(node.generators) == 1 and not only.ifs and isinstance(only.target, ast.Name)
        if row is None or not isinstance(row.value, k.Row) or not simple or not isinstance(only.target, ast.Name):
            self.forget(node)
            return None
        name, kept = only.target.id, dict(self.frame.names)
        outcomes: list[Maybe] = []
        for each in row.value.items:
            self.frame.names[name] = each
            outcomes.append(self._unsurely(node.elt))
        self.frame.names = kept
        for outcome in outcomes:
            if k.truth(outcome) is some:
                return Known(some, k.names_of(outcome))
        if any(k.truth(outcome) is None for outcome in outcomes):
            return None
        return Known(not some, k.names_of(row, *outcomes))

    # -- words --------------------------------------------------------------------------------------------------------

    def refused(
        self, node: ast.stmt, error: ast.expr | None, names: frozenset[str], test: ast.expr | None, *, negated: bool
    ) -> Refused:
        """The refusal of a `raise` or `assert`, because of the conditions that hold."""
        reasons = [each for each, _ in self.frame.because if each]
        condition = test or (self.frame.because[-1][1] if self.frame.because else None)
        # The innermost condition says it; the outer ones only led there.
        names = names or (reasons[-1] if reasons else self.frame.passed)
        allowed = self._allowed(condition, negated=negated)
        message = error.args[0] if isinstance(error, ast.Call) and error.args else error
        return Refused(self.module, node, names, self._words(message), allowed)

    def _allowed(self, test: ast.expr | None, *, negated: bool) -> tuple[object, ...]:
        wanted = ast.In if negated else ast.NotIn
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            test, wanted = test.operand, ast.NotIn if negated else ast.In
        if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], wanted):
            return ()
        held = self._unsurely(test.comparators[0])
        value = held.value if held is not None else None
        items: tuple[Maybe, ...] = ()
        if isinstance(value, k.Row):
            items = value.items
        elif isinstance(value, k.Table):
            items = value.keys
        return tuple(each.value for each in items if each is not None and k.plain(each.value))

    def _words(self, node: ast.expr | None) -> str:
        said = ""
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        for part in parts:
            match part:
                case ast.Constant(value=str(text)):
                    said += text
                case ast.FormattedValue(value=inner):
                    known = self._unsurely(inner)
                    said += str(known.value) if known is not None and k.plain(known.value) else "…"
        said = " ".join(said.split())
        return said if len(said) <= LONGEST_WORDS else said[: LONGEST_WORDS - 1] + "…"
