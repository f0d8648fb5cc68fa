"""Reads the body of one function: what it returns and which keys it asks its arguments for, without running it.

`interpret` walks the statements once (loops a few times), with the values of `esp3c.python.body_values` in the place of
real ones. It errs to the side of not knowing: where a step is not understood, a dict is open and its keys are not sure,
and a key that may be asked for only under a condition is not reported.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import lru_cache

from esp3c.python.body_branches import Branches, later
from esp3c.python.body_calls import parameters
from esp3c.python.body_expressions import Reading, TooLong, text_in
from esp3c.python.body_kinds import operator_kind
from esp3c.python.body_values import (
    NONE,
    UNKNOWN,
    Callee,
    Dict,
    Env,
    Listing,
    Local,
    Scope,
    Value,
    fork,
    join,
    join_values,
)  # fmt: skip
from esp3c.record import record

_RESULT = "\0result"
# Names of a caller stand in the state of the function that it calls, under a name that Python cannot have.
_CALLER = "\0{}\0"


@record
class Returned:
    """One `return`, or the end of the body (`node` is then the function). `env`: what its names hold there."""

    value: Value
    node: ast.stmt
    env: Env


@record
class Outcome:
    """What a body does. `why` is non-empty where nothing is known, and says the reason."""

    returned: tuple[Returned, ...] = ()
    readings: tuple[Reading, ...] = ()
    why: str = ""

    @property
    def value(self) -> Value:
        """What any of its returns gives."""
        if self.why or not self.returned:
            return UNKNOWN
        value = self.returned[0].value
        for each in self.returned[1:]:
            value = join_values(value, each.value)
        return value


def interpret(node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope, given: Mapping[str, Value]) -> Outcome:
    """Reads the body of a function that is called with these values; parameters that are not given can be anything."""
    if isinstance(node, ast.AsyncFunctionDef):
        return Outcome(why="it is a coroutine")
    if _yields(node):
        return Outcome(why="it is a generator")
    return _read(node, scope, {**_opened(node), **given})


def interpret_local(returned: Returned, scope: Scope) -> Outcome:
    """Reads the body of a function that was made inside another one and returned by it; called without arguments."""
    assert isinstance(returned.value, Local)
    node = returned.value.node
    if isinstance(node, ast.Lambda):
        reading = _Body(scope)
        reading.env = {**returned.env, **_opened(node)}
        try:
            value = reading.value(node.body)
        except (TooLong, RecursionError):
            return Outcome(why="it is too long to follow")
        return Outcome((Returned(value, ast.copy_location(ast.Return(node.body), node), {}),))
    if _yields(node):
        return Outcome(why="it is a generator")
    return _read(node, scope, {**returned.env, **_opened(node)})


def _read(node: ast.FunctionDef, scope: Scope, env: Env) -> Outcome:
    reading = _Body(scope)
    reading.env, reading.root = env, node
    try:
        reading.run(node.body)
    except (TooLong, RecursionError):
        return Outcome(why="it is too long to follow")
    ends = list(reading.ends)
    if reading.env is not None:
        ends.append((reading.env, NONE, node))
    seen: dict[tuple[int, str], Reading] = {}
    for each in reading.readings:
        seen.setdefault((id(each.node), each.key), each)
    return Outcome(tuple(Returned(value, end, env) for env, value, end in ends), tuple(seen.values()))


class _Body(Branches):
    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self.ends: list[tuple[Env, Value, ast.stmt]] = []

    # -- functions ----------------------------------------------------------------------------------------------------

    def call_function(self, callee: Callee, arguments: dict[str, Value]) -> Value:
        if _yields(callee.node):
            for value in arguments.values():
                self.escape(value)
            return UNKNOWN
        scope, self.scope = self.scope, callee.scope
        imports, self.imports = self.imports, {}
        value = self.inside(callee.node, {**_opened(callee.node), **arguments}, alone=True)
        self.scope, self.imports = scope, imports
        return value

    def call_local(self, function: Local, arguments: dict[str, Value]) -> Value:
        node = function.node
        if isinstance(node, ast.FunctionDef) and _yields(node):
            for value in arguments.values():
                self.escape(value)
            self.escape(function)
            return UNKNOWN
        return self.inside(node, {**_opened(node), **arguments}, alone=False)

    def inside(self, node: ast.FunctionDef | ast.Lambda, own: Env, *, alone: bool) -> Value:
        """The value of a call. `alone`: its body does not see the names of this one."""
        outer = self.names()
        mark = _CALLER.format(self.depth)
        kept = {mark + name: value for name, value in outer.items()}
        ends, left, exits, certain = self.ends, self.left, self.exits, self.certain
        root, self.root = self.root, node
        self.ends, self.left = [], []
        self.env = {**kept, **({} if alone else outer), **own}
        self.depth += 1
        if isinstance(node, ast.Lambda):
            value = self.value(node.body)
            states: list[Env] = [{**self.names(), _RESULT: value}]
        else:
            self.run(node.body)
            states = [{**env, _RESULT: value} for env, value, _ in self.ends]
            if self.env is not None:
                states.append({**self.env, _RESULT: NONE})
        self.depth -= 1
        self.root = root
        self.ends, self.left, self.exits, self.certain = ends, left, exits, certain
        after = join(states)
        if after is None:
            # Every way through it raises.
            self.env = outer
            return UNKNOWN
        own_names = {name.removeprefix(mark): value for name, value in after.items() if name.startswith(mark)}
        self.env = {name: own_names.get(name, UNKNOWN) for name in outer}
        return after.get(_RESULT, UNKNOWN)

    # -- statements ---------------------------------------------------------------------------------------------------

    def run(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            if self.env is None:
                return
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise TooLong
        match node:
            case ast.Assign(targets=targets, value=value):
                held = self.value(value)
                for target in targets:
                    self.unpack(target, held)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self.unpack(target, self.value(value))
            case ast.AugAssign():
                self.augmented(node)
            case ast.Expr(value=value):
                self.value(value)
            case ast.Return(value=value):
                held = self.value(value) if value is not None else NONE
                env = fork({**self.names(), _RESULT: held})
                self.ends.append((env, env.pop(_RESULT), node))
                self.leave()
            case ast.If(test=test, body=body, orelse=orelse):
                self.value(test)
                truth, ways = self.truth(test), [lambda: self.run(body), lambda: self.run(orelse)]
                if truth is None:
                    self.choose_by_chance(test, ways)
                else:
                    self.choose(truth, ways)
            case ast.For(target=target, iter=iterated, body=body, orelse=orelse):
                self.for_loop(target, iterated, body)
                self.run_perhaps(orelse)
            case ast.While(test=test, body=body, orelse=orelse):
                self.perhaps(test)
                self.loop(lambda: self.run(body), sure=False, anew=self.own_names(body))
                self.run_perhaps(orelse)
            case ast.With(items=items, body=body):
                self.with_block(items, body)
            case ast.Try() | ast.TryStar():
                self.attempt(node)
            case ast.Match(subject=subject, cases=cases):
                self.escape(self.value(subject))
                self.choose(None, [*(later(self.case, each) for each in cases), lambda: None])
            case ast.Raise():
                if node.exc is not None:
                    self.value(node.exc)
                self.env = None
            case ast.Assert(test=test):
                self.value(test)
            case ast.Break() | ast.Continue():
                self.left.append(self.names())
                self.leave()
            case ast.Delete(targets=targets):
                for target in targets:
                    self.delete(target)
            case _:
                self.definition(node)

    def leave(self) -> None:
        self.exits += 1
        self.env = None

    def definition(self, node: ast.stmt) -> None:
        match node:
            case ast.FunctionDef(name=name, decorator_list=decorators):
                self.bind(name, UNKNOWN if decorators else Local(node))
            case ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                self.bind(name, UNKNOWN)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                for alias in names:
                    name = (alias.asname or alias.name).partition(".")[0]
                    self.names().pop(name, None)
                    self.imports[name] = _meant(node, alias)
            case ast.Nonlocal(names=names) | ast.Global(names=names):
                for each in names:
                    self.bind(each, UNKNOWN)
            case _:
                for inner in ast.walk(node):
                    if isinstance(inner, ast.Name):
                        self.escape(self.names().get(inner.id, UNKNOWN))

    def augmented(self, node: ast.AugAssign) -> None:
        value = self.value(node.value)
        match node.target:
            case ast.Name(id=name):
                held = self.names().get(name, UNKNOWN)
                if isinstance(held, Dict):
                    self.before_change(held)
                if isinstance(held, Dict) and isinstance(value, Dict):
                    held.absorb(value, weak=self.weak)
                elif isinstance(held, Dict):
                    held.havoc()
                elif isinstance(held, Listing):
                    held.whole = False
                    self.share(value)
                else:
                    if isinstance(value, Dict) or held is UNKNOWN:
                        self.others_run()
                    self.bind(name, operator_kind(held, node.op, value))
            case ast.Subscript(value=owner, slice=index):
                held = self.value(owner)
                key = text_in(self.value(index))
                if isinstance(held, Dict):
                    self.before_change(held)
                if isinstance(held, Dict) and key is not None:
                    before = self.read(held, key, node.target)
                    held.put(key, operator_kind(before, node.op, value), weak=self.weak)
                elif isinstance(held, Dict):
                    held.loosen()
                else:
                    self.others_run()
            case _:
                self.share(value)

    def delete(self, target: ast.expr) -> None:
        match target:
            case ast.Subscript(value=owner, slice=index):
                held = self.value(owner)
                key = text_in(self.value(index))
                if isinstance(held, Dict):
                    self.before_change(held)
                if isinstance(held, Dict) and key is not None:
                    self.read(held, key, target)
                    held.remove(key, weak=self.weak)
                elif isinstance(held, Dict):
                    held.havoc()
                elif isinstance(held, Listing):
                    held.whole = False
                else:
                    self.others_run()
            case ast.Name(id=name):
                self.bind(name, UNKNOWN)
            case _:
                return


def _meant(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    """The path that an import binds its name to; empty for one that begins with dots."""
    if isinstance(node, ast.Import):
        return alias.name if alias.asname else alias.name.partition(".")[0]
    return f"{node.module}.{alias.name}" if node.module and not node.level else ""


def _opened(node: ast.FunctionDef | ast.Lambda) -> Env:
    """The parameters of a function, each of which may be anything."""
    env: Env = dict.fromkeys(parameters(node), UNKNOWN)
    env.update((each.arg, UNKNOWN) for each in node.args.kwonlyargs)
    for each in (node.args.vararg, node.args.kwarg):
        if each is not None:
            env[each.arg] = UNKNOWN
    return env


@lru_cache(maxsize=4096)
def _yields(node: ast.FunctionDef) -> bool:
    left: list[ast.AST] = list(node.body)
    while left:
        each = left.pop()
        if isinstance(each, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            left.extend(ast.iter_child_nodes(each))
    return False
