"""The branches and loops of a body: what holds after any of the ways through them. See `esp3c.python.bodies`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from esp3c.python.body_calls import Calls
from esp3c.python.body_expressions import looped, truthful
from esp3c.python.body_kinds import dotted
from esp3c.python.body_values import (
    UNKNOWN,
    Dict,
    Env,
    Kind,
    Leaf,
    Listing,
    Scope,
    Several,
    Value,
    fork,
    join,
    leaf,
    shape,
)

_MOST_TURNS = 4
# Blocks that let every error of theirs through, under their own names; those of libraries, `np.load`, do so too.
_QUIET = frozenset({
    "open", "no_grad", "inference_mode", "autocast", "nullcontext", "enable_grad", "set_grad_enabled", "ZipFile",
    "SoundFile", "TemporaryDirectory", "NamedTemporaryFile",
})  # fmt: skip
_SWALLOWING = frozenset({"suppress", "raises", "assertRaises", "ExitStack", "ignored"})
_CHANCE = frozenset({"random", "uniform", "rand", "randint", "randrange", "bernoulli", "choice", "binomial"})


class Branches(Calls):
    """The state of one reading. `env` is None where the walk cannot come.

    `left` are the states in which a loop was left or its turn cut short; `exits` counts those and every `return`.
    `root` is the function that is read.
    """

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope)
        self.left: list[Env] = []
        self.exits = 0
        self.root: ast.AST | None = None

    def run(self, body: Sequence[ast.stmt]) -> None:
        raise NotImplementedError

    # -- branches -----------------------------------------------------------------------------------------------------

    def choose(self, truth: bool | None, options: list[Callable[[], None]]) -> None:
        """Goes one of several ways. `truth` is known where the first or the second is certain."""
        if truth is not None:
            options[0 if truth else 1]()
            return
        before, certain, exits = self.env, self.certain, self.exits
        self.certain = False
        states: list[Env] = []
        for option in options:
            self.env = fork(before) if before is not None else None
            option()
            if self.env is not None:
                states.append(self.env)
        self.env = join(states)
        # Behind a branch that may have returned, nothing is certain to be reached.
        self.certain = certain and self.exits == exits

    def choose_by_chance(self, test: ast.expr, options: list[Callable[[], None]]) -> None:
        """As `choose`, where what comes behind is reached sooner or later: the test throws dice."""
        certain, exits = self.certain, self.exits
        self.choose(None, options)
        names = {dotted(each.func) for each in ast.walk(test) if isinstance(each, ast.Call)}
        if any(name is not None and name.rpartition(".")[2] in _CHANCE for name in names):
            self.certain, self.exits = certain, exits

    def run_perhaps(self, body: Sequence[ast.stmt]) -> None:
        if body and self.env is not None:
            self.choose(None, [lambda: self.run(body), lambda: None])

    def case(self, case: ast.match_case) -> None:
        for each in ast.walk(case.pattern):
            name = getattr(each, "name", None) or getattr(each, "rest", None)
            if isinstance(name, str):
                self.bind(name, UNKNOWN)
        if case.guard is not None:
            self.perhaps(case.guard)
        self.run(case.body)

    def truth(self, test: ast.expr) -> bool | None:
        """What a test comes to, where that is certain: `isinstance(x, dict)`, `"key" in x`, `x is None`."""
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                found = self.truth(inner)
                return None if found is None else not found
            case ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id=name), kind]):
                return _is_instance(self.names().get(name, UNKNOWN), kind)
            case ast.Compare(left=left, ops=[ast.In() | ast.NotIn() as operator], comparators=[ast.Name(id=name)]):
                held = self.names().get(name, UNKNOWN)
                key = left.value if isinstance(left, ast.Constant) else None
                if not isinstance(held, Dict) or not isinstance(key, str):
                    return None
                entry = held.fields.get(key)
                inside = True if entry is not None and entry.sure else None
                if entry is None and held.closed:
                    inside = False
                return inside if inside is None or isinstance(operator, ast.In) else not inside
            case ast.Compare(
                left=ast.Name(id=name),
                ops=[ast.Is() | ast.IsNot() as operator],
                comparators=[ast.Constant(value=None)],
            ):
                held = self.names().get(name, UNKNOWN)
                if isinstance(held, Leaf) and held.kind is Kind.NONE:
                    return isinstance(operator, ast.Is)
                if isinstance(held, Dict | Listing | Several):
                    return isinstance(operator, ast.IsNot)
                return None
            case ast.Name(id=name):
                return truthful(self.names().get(name, UNKNOWN))
            case _:
                return None

    # -- loops --------------------------------------------------------------------------------------------------------

    def for_loop(self, target: ast.expr, iterated: ast.expr, body: Sequence[ast.stmt]) -> None:
        constants = _constants(iterated)
        if constants is not None and isinstance(target, ast.Name) and not _jumps(body):
            for constant in constants:
                if self.env is not None:
                    self.bind(target.id, leaf(constant))
                    self.run(body)
            return
        value = self.value(iterated)

        def turn() -> None:
            again = self.value(iterated) if isinstance(iterated, ast.Name) else value
            self.unpack(target, looped(again)[0])
            self.run(body)

        self.loop(turn, sure=looped(value)[1], anew=self.own_names([target, *body]))

    def own_names(self, loop: Sequence[ast.AST]) -> set[str]:
        """The names that are a loop's alone: each turn binds them before it uses them, and nothing else has them."""
        inside = [each.id for part in loop for each in ast.walk(part) if isinstance(each, ast.Name)]
        found = bound_anew(loop) - self.names().keys()
        if not found or self.root is None:
            return set()
        everywhere = [each.id for each in ast.walk(self.root) if isinstance(each, ast.Name)]
        return {name for name in found if inside.count(name) == everywhere.count(name)}

    def loop(self, turn: Callable[[], None], *, sure: bool, anew: set[str]) -> None:
        """Any number of turns: until the state no longer changes, or nothing is known of it.

        `anew` are names that every turn binds for itself, so that what they held before is nobody's business.
        """
        outer, self.left = self.left, []
        certain, exits = self.certain, self.exits
        self.certain = certain and sure
        states: list[Env] = []
        first = True
        for _ in range(_MOST_TURNS):
            before = self.names()
            self.env = fork(before)
            turn()
            states += self.left
            self.left = []
            ended = [self.env] if self.env is not None else []
            self.certain = False
            ends = [*([] if first and sure else [before]), *ended, *map(fork, states)]
            after = join([{name: value for name, value in env.items() if name not in anew} for env in ends])
            if after is None:
                self.env = None
                break
            settled = not first and shape(after) == shape(before)
            self.env, first = after, False
            if settled:
                break
        else:
            for value in self.names().values():
                self.escape(value)
        self.left = outer
        self.certain = certain and self.exits == exits

    # -- blocks -------------------------------------------------------------------------------------------------------

    def with_block(self, items: Sequence[ast.withitem], body: Sequence[ast.stmt]) -> None:
        quiet = True
        for item in items:
            value = self.value(item.context_expr)
            if item.optional_vars is not None:
                self.unpack(item.optional_vars, UNKNOWN)
            self.escape(value)
            called = item.context_expr.func if isinstance(item.context_expr, ast.Call) else item.context_expr
            last = called.attr if isinstance(called, ast.Attribute) else dotted(called)
            library = isinstance(called, ast.Attribute) and dotted(called) is not None
            quiet = quiet and last not in _SWALLOWING and (library or last in _QUIET)
        if quiet:
            self.run(body)
        else:
            # It may swallow an error in its body.
            self.choose(None, [lambda: self.run(body), lambda: self.cut_short(body)])

    def cut_short(self, body: Sequence[ast.stmt]) -> None:
        """A body that may have ended anywhere: what it touches is not known."""
        touched = {each.id for statement in body for each in ast.walk(statement) if isinstance(each, ast.Name)}
        for name in touched & self.names().keys():
            self.escape(self.names()[name])
            if any(_binds(statement, name) for statement in body):
                self.bind(name, UNKNOWN)

    def attempt(self, node: ast.Try | ast.TryStar) -> None:
        if not node.handlers:
            self.run(node.body)
        else:

            def whole() -> None:
                self.run(node.body)
                if self.env is not None:
                    self.run(node.orelse)

            ways: list[Callable[[], None]] = [whole]
            for handler in node.handlers:
                ways.append(later(self.handle, handler, node.body))
            self.choose(None, ways)
        if node.finalbody:
            if self.env is None:
                return
            self.run(node.finalbody)

    def handle(self, handler: ast.ExceptHandler, body: Sequence[ast.stmt]) -> None:
        self.cut_short(body)
        if handler.name is not None:
            self.bind(handler.name, UNKNOWN)
        self.run(handler.body)


def later(function: Callable[..., None], *arguments: object) -> Callable[[], None]:
    return lambda: function(*arguments)


def _binds(statement: ast.stmt, name: str) -> bool:
    return any(
        isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Store)
        for each in ast.walk(statement)
    )


def bound_anew(loop: Sequence[ast.AST]) -> set[str]:
    """The names that the turns of a loop bind before they use them: its target's, and those of plain assignments."""
    used: set[str] = set()
    bound: set[str] = set()
    for part in loop:
        if isinstance(part, ast.expr):
            bound |= {each.id for each in ast.walk(part) if isinstance(each, ast.Name)}
            continue
        value = part.value if isinstance(part, ast.Assign | ast.AnnAssign) else part
        used |= {each.id for each in ast.walk(value) if isinstance(each, ast.Name)} if value is not None else set()
        match part:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if name not in used:
                    bound.add(name)
            case _:
                continue
    return bound


def _jumps(body: Sequence[ast.stmt]) -> bool:
    return any(isinstance(each, ast.Break | ast.Continue) for statement in body for each in ast.walk(statement))


def _constants(node: ast.expr) -> list[str] | None:
    """The texts that a loop over `("speech", "text")` walks over."""
    if not isinstance(node, ast.Tuple | ast.List) or len(node.elts) > 12:
        return None
    found = [each.value for each in node.elts if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return found if len(found) == len(node.elts) else None


def _is_instance(value: Value, kind: ast.expr) -> bool | None:
    names = [dotted(each) for each in (kind.elts if isinstance(kind, ast.Tuple) else [kind])]
    plain = {name.rpartition(".")[2] for name in names if name is not None}
    if None in names:
        return None
    match value:
        case Dict():
            own, others = {"dict", "Mapping", "MutableMapping"}, {"list", "tuple", "str", "int", "Sequence", "float"}
        case Leaf(Kind.NUMBER, int()):
            own, others = {"int"}, {"list", "tuple", "dict", "str", "Mapping", "Sequence", "Iterable", "slice", "set"}
        case Listing():
            own, others = {"list", "Sequence"}, {"dict", "Mapping", "str", "int", "float"}
        case _:
            return None
    if plain & own:
        return True
    return False if plain <= others else None
