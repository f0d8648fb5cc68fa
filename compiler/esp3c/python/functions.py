"""From a function's syntax tree to its parameters, and to where its `**kwargs` goes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from esp3c.python.model import Function, Handing, Parameter
from esp3c.record import changed


def text_of(node: ast.expr) -> str:
    """The source text of an expression. The usual ones are spelled here: `ast.unparse` takes its time."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            return f"{text_of(value)}.{attr}"
        case ast.Constant(value=value) if value is None or isinstance(value, bool | int | str):
            return repr(value)
        case ast.Subscript(value=value, slice=inner):
            return f"{text_of(value)}[{_items(inner)}]"
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return f"{text_of(left)} | {text_of(right)}"
        case _:
            return ast.unparse(node)


def _items(node: ast.expr) -> str:
    if isinstance(node, ast.Tuple) and node.elts:
        return ", ".join(map(text_of, node.elts)) + ("," if len(node.elts) == 1 else "")
    return text_of(node)


def function_of(node: ast.FunctionDef | ast.AsyncFunctionDef, *, spreads: bool) -> Function:
    """What is known of a function. `spreads`: it may hand on `**self.name`, which is looked for."""
    kwargs = node.args.kwarg.arg if node.args.kwarg else None
    handings, pops, strict = _where_it_goes(node, kwargs) if kwargs else ((), (), False)
    word = "async def " if isinstance(node, ast.AsyncFunctionDef) else "def "
    return Function(
        node.name,
        node.lineno,
        node.col_offset + len(word),
        node.end_lineno or node.lineno,
        tuple(_parameters(node.args)),
        tuple(text_of(each) for each in node.decorator_list),
        text_of(node.returns) if node.returns is not None else None,
        handings,
        pops,
        strict,
        tuple(_spreads(node)) if spreads else (),
        _is_empty(node.body),
    )


def _parameters(arguments: ast.arguments) -> Iterator[Parameter]:
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [
        *[None] * (len(positional) - len(arguments.defaults)),
        *arguments.defaults,
    ]
    for number, (each, default) in enumerate(zip(positional, defaults, strict=True)):
        kind = "positional" if number < len(arguments.posonlyargs) else "plain"
        yield _parameter(each, kind, default)
    if arguments.vararg is not None:
        yield _parameter(arguments.vararg, "args", None)
    for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _parameter(each, "keyword", default)
    if arguments.kwarg is not None:
        yield _parameter(arguments.kwarg, "kwargs", None)


def _parameter(node: ast.arg, kind: str, default: ast.expr | None) -> Parameter:
    return Parameter(
        node.arg,
        kind,
        text_of(node.annotation) if node.annotation is not None else None,
        text_of(default) if default is not None else None,
        node.lineno,
        node.col_offset,
    )


def _where_it_goes(
    node: ast.FunctionDef | ast.AsyncFunctionDef, kwargs: str
) -> tuple[tuple[Handing, ...], tuple[str, ...], bool]:
    """The calls that get `**kwargs`, the names that are taken out of it, and whether what is left is refused."""
    handings: list[Handing] = []
    pops: list[str] = []
    accounted: set[int] = set()
    unconditional = set(map(id, _always_called(node.body)))
    inside = list(_inside(node, kwargs))
    local = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)} - {"self", "cls"}
    local |= {each.id for each in inside if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    for each in inside:
        match each:
            case ast.Call(keywords=keywords):
                for keyword in keywords:
                    if keyword.arg is None and isinstance(keyword.value, ast.Name) and keyword.value.id == kwargs:
                        accounted.add(id(keyword.value))
                        handed = _handing(each, id(each) in unconditional)
                        # What a name of the function itself stands for is known when it runs.
                        named = handed.callee.partition(".")[0] not in local
                        handings.append(handed if named else changed(handed, callee="", always=False))
                match each.func:
                    case ast.Attribute(value=ast.Name(id=name) as held, attr="pop" | "get" | "setdefault"):
                        if name == kwargs and each.args and isinstance(each.args[0], ast.Constant):
                            accounted.add(id(held))
                            pops.append(str(each.args[0].value))
            case (
                ast.Assign(
                    targets=[ast.Attribute(value=ast.Name(id="self"), attr=attribute)], value=ast.Name(id=name) as held
                )
                | ast.AnnAssign(
                    target=ast.Attribute(value=ast.Name(id="self"), attr=attribute), value=ast.Name(id=name) as held
                )
            ):
                if name == kwargs:
                    accounted.add(id(held))
                    handings.append(Handing(f"=self.{attribute}"))
            case ast.Subscript(value=ast.Name(id=name) as held, slice=ast.Constant(value=str(key))):
                if name == kwargs:
                    accounted.add(id(held))
                    pops.append(key)
            case ast.Compare(left=ast.Constant(value=str(key)), comparators=[ast.Name(id=name) as held]):
                if name == kwargs:
                    accounted.add(id(held))
                    pops.append(key)
            case _:
                continue
    refusals = [each for each in inside if isinstance(each, ast.If) and _refuses(each, kwargs)]
    accounted.update(id(inner) for refusal in refusals for inner in ast.walk(refusal))
    for each in inside:
        if isinstance(each, ast.Name) and each.id == kwargs and id(each) not in accounted:
            handings.append(Handing(""))
            break
    return tuple(dict.fromkeys(handings)), tuple(dict.fromkeys(pops)), bool(refusals)


def _inside(node: ast.FunctionDef | ast.AsyncFunctionDef, kwargs: str) -> Iterator[ast.AST]:
    """Everything in a function but inner functions that have a parameter of that name themselves."""
    found: list[ast.AST] = [node]
    for each in found:
        yield each
        for child in ast.iter_child_nodes(each):
            own = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and any(
                isinstance(inner, ast.arg) and inner.arg == kwargs for inner in ast.walk(child.args)
            )
            if not own:
                found.append(child)


def _spreads(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, Handing]]:
    """The calls in a method that get `**self.name`: keywords that `__init__` has kept."""
    for each in ast.walk(node):
        for keyword in each.keywords if isinstance(each, ast.Call) else ():
            match keyword:
                case ast.keyword(arg=None, value=ast.Attribute(value=ast.Name(id="self"), attr=name)):
                    assert isinstance(each, ast.Call)
                    yield name, _handing(each, False)


def _refuses(node: ast.If, kwargs: str) -> bool:
    """`if kwargs: raise …`, after all known names were taken out."""
    tested = text_of(node.test) in {kwargs, f"len({kwargs}) > 0", f"len({kwargs}) != 0", f"len({kwargs})"}
    return tested and any(isinstance(each, ast.Raise) for each in node.body)


def _always_called(body: list[ast.stmt]) -> Iterator[ast.Call]:
    """The calls of a function's body that are made whatever it is given."""
    for statement in body:
        match statement:
            case ast.Expr(value=ast.Call() as call) | ast.Return(value=ast.Call() as call):
                yield call
            case ast.Assign(value=ast.Call() as call) | ast.AnnAssign(value=ast.Call() as call):
                yield call
        if any(isinstance(each, ast.Return) for each in ast.walk(statement)):
            return


def _handing(call: ast.Call, always: bool) -> Handing:
    callee, arguments = call.func, call.args
    text = text_of(callee)
    if text in {"partial", "functools.partial"} and arguments:
        text, arguments = text_of(arguments[0]), arguments[1:]
        always = False
    starred = any(isinstance(each, ast.Starred) for each in arguments)
    starred = starred or sum(keyword.arg is None for keyword in call.keywords) > 1
    return Handing(
        text,
        tuple(keyword.arg for keyword in call.keywords if keyword.arg),
        sum(not isinstance(each, ast.Starred) for each in arguments),
        always and not starred,
    )


def _is_empty(body: list[ast.stmt]) -> bool:
    """Whether a body only raises NotImplementedError, or does nothing."""
    real = [each for each in body if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))]
    match real:
        case [] | [ast.Pass()]:
            return True
        case [ast.Raise(exc=ast.expr() as raised)]:
            return text_of(raised).startswith("NotImplementedError")
        case _:
            return False
