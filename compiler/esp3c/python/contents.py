"""From the text of a module to what is known of it (`esp3c.python.model`). Nothing is imported or run.

Statements of a module are taken as they stand, also inside `if`, `try` and `with`: what a module binds under
`try: … except ImportError: …` are several definitions of one name, the preferred one first. Where it depends on the
machine which of two different definitions is in force, the name is a value of which nothing is known.
"""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence

from esp3c.python.functions import function_of, text_of
from esp3c.python.model import Attribute, Class, Contents, Definition, Function, Imported, Value
from esp3c.record import changed

MOST_CHARACTERS = 600_000
"""Longer modules are not read: it would take about half a second, and nothing interrupts Python's parser.

The longest modules that hold targets have a third of it; what is longer is made by a program, or is a test.
"""

MOST_COMMAS = 60_000
"""A table of as many values takes as long as a module of this many characters."""

TOO_LONG = "it is longer than is read while checking"

TOO_DEEP = "it is nested deeper than is read while checking"

NOT_READ = frozenset({TOO_LONG, TOO_DEEP})
"""Reasons of `Contents.error` that say nothing against the module."""

_SHORT = 2_000


def contents_of(name: str, text: str, *, package: bool, own: bool = False) -> Contents:
    """What the module `name` holds. `package`: its text is that of an `__init__.py`.

    `own`: the recipe's own module, of which it is also known whether Python takes it: `def f(a, a)` can be read, and
    is refused.
    """
    if len(text) > MOST_CHARACTERS or text.count(",") > MOST_COMMAS:
        return Contents((), (), None, True, (1, 0, TOO_LONG))
    try:
        contents = _contents_of(name, text, package)
        refused = _refused(text) if own and contents.error is None else None
        return contents if refused is None else changed(contents, error=refused)
    except RecursionError:
        return Contents((), (), None, True, (1, 0, TOO_DEEP))


def _contents_of(name: str, text: str, package: bool) -> Contents:
    tree = parse(text)
    if isinstance(tree, tuple):
        return Contents((), (), None, True, tree)
    # Whole functions are only gone through for what the text holds at all.
    reading = _Reading(name, package, spreads="**self." in text)
    reading.body(tree.body)
    for bound, line in _bound(tree.body, declared="global " in text):
        # What a loop, a match or a function with `global` binds is there, and no more is known of it.
        if bound not in reading.bound and bound != "*":
            reading.bound[bound] = [Value(bound, None, None, line, 0)]
    return Contents(
        tuple(each for bound in reading.bound.values() for each in bound),
        tuple(dict.fromkeys(reading.stars)),
        reading.exported,
        reading.lazy,
    )


def _refused(text: str) -> tuple[int, int, str] | None:
    """Why Python would not take a module that can be read: compiled, and never run."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "<module>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return error.lineno or 1, max(0, (error.offset or 1) - 1), error.msg
    except (ValueError, RecursionError, MemoryError):
        return None
    return None


def comes_with_python(module: str) -> bool:
    """Whether a module is of Python's own library: its names are seldom misspelt, and it takes time to read."""
    return module.partition(".")[0] in sys.stdlib_module_names


def parse(text: str) -> ast.Module | tuple[int, int, str]:
    """The syntax tree of a module; or the line, the column and the reason where it is not Python (of this version)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        return error.lineno or 1, max(0, (error.offset or 1) - 1), error.msg
    except (RecursionError, MemoryError):
        return 1, 0, TOO_DEEP
    except ValueError as error:
        return 1, 0, str(error)


class _Reading:
    """Reads the statements of one module."""

    def __init__(self, name: str, package: bool, spreads: bool) -> None:
        self.spreads = spreads
        self.name = name
        self.package = package
        self.bound: dict[str, list[Definition]] = {}
        self.stars: list[str] = []
        self.exported: tuple[str, ...] | None = None
        self.lazy = False

    def body(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            found: dict[str, list[Definition]] = {}
            for each in self.definitions([statement]):
                if each not in found.setdefault(each.name, []):
                    found[each.name].append(each)
            for name, definitions in found.items():
                self.bind(name, definitions, always=not _may_be_passed_over(statement))

    def bind(self, name: str, found: list[Definition], always: bool) -> None:
        """Takes over what a statement binds a name to. `always`: it does so whatever happens."""
        self.lazy = self.lazy or name == "__getattr__"
        before, last = self.bound.get(name, []), found[-1]
        declared = isinstance(last, Value) and last.text is None and last.annotation is not None
        submodule = isinstance(last, Imported) and last.path == f"{self.name}.{name}"
        if not before or any(map(overloaded, before)):
            self.bound[name] = [*before, *found]
        elif all(isinstance(each, Value) for each in before):
            self.bound[name] = [*before, *found] if isinstance(last, Value) or not always else found
        elif declared or submodule or all(any(_same(each, other) for other in before) for each in found):
            return
        else:
            # `Model = register(Model)`, or another one under a condition: what it is now, only running it would tell.
            self.bound[name] = found if always else [Value(name, None, None, last.line, last.column)]

    def definitions(self, statements: list[ast.stmt]) -> Iterator[Definition]:
        for node in statements:
            match node:
                case ast.If():
                    yield from self.either(node)
                case ast.Try():
                    yield from self.attempt(node)
                case ast.With() | ast.For() | ast.While():
                    yield from self.definitions(node.body)
                case ast.ImportFrom():
                    yield from self.imported_from(node)
                case ast.Import():
                    for alias in node.names:
                        path = alias.name if alias.asname else alias.name.partition(".")[0]
                        yield Imported(alias.asname or path, path, node.lineno, node.col_offset)
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    yield function_of(node, spreads=self.spreads)
                case ast.ClassDef():
                    yield class_of(node, spreads=self.spreads)
                case _:
                    self.exports(node)
                    yield from values_of(node)

    def either(self, node: ast.If) -> Iterator[Definition]:
        known = _known_condition(node.test)
        if known is not None:
            chosen = self.definitions(node.body if known else node.orelse)
            yield from (_guarded(chosen) if _is_type_checking(node.test) else chosen)
            if _is_type_checking(node.test):
                # At run time the other branch holds; its names are made there, and described here.
                described = {each.name for each in self.definitions(node.body)}
                yield from (each for each in self.definitions(node.orelse) if each.name not in described)
            return
        first = list(_guarded(self.definitions(node.body)))
        second = list(_guarded(self.definitions(node.orelse)))
        others = {each.name: each for each in second}
        for each in first:
            other = others.pop(each.name, None)
            if other is None or _same(each, other):
                yield each
            else:
                yield Value(each.name, None, None, each.line, each.column)
        yield from others.values()

    def attempt(self, node: ast.Try) -> Iterator[Definition]:
        yield from _guarded(self.definitions(node.body))
        yield from self.definitions(node.orelse)
        for handler in node.handlers:
            for each in self.definitions(handler.body):
                # `except ImportError: Foo = None` says that it is missing, not what it is.
                if not (isinstance(each, Value) and each.text in {"None", "object", "False"}):
                    yield each
        yield from self.definitions(node.finalbody)

    def imported_from(self, node: ast.ImportFrom) -> Iterator[Definition]:
        origin = self.origin(node)
        for alias in node.names:
            if alias.name == "*":
                self.stars.append(origin)
            else:
                path = f"{origin}.{alias.name}" if origin else alias.name
                yield Imported(alias.asname or alias.name, path, node.lineno, node.col_offset)

    def origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        keep = len(parts) - node.level + (1 if self.package else 0)
        return ".".join([*parts[: max(keep, 0)], *([node.module] if node.module else [])])

    def exports(self, node: ast.stmt) -> None:
        """`__all__` where it is written out; a list that is put together at run time is not known."""
        match node:
            case (
                ast.Assign(targets=[ast.Name(id="__all__")], value=value)
                | ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.expr() as value)
            ):
                names = _words(value)
                self.exported = names
            case ast.AugAssign(target=ast.Name(id="__all__"), value=value):
                more = _words(value)
                known = self.exported is not None and more is not None
                self.exported = (*self.exported, *more) if known and self.exported is not None and more else None
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="__all__")))):
                self.exported = None
            case _:
                return


def _may_be_passed_over(statement: ast.stmt) -> bool:
    """Whether it depends on the machine what a statement binds."""
    match statement:
        case ast.If(test=test):
            return _known_condition(test) is None
        case ast.Try() | ast.For() | ast.While():
            return True
        case _:
            return False


def _guarded(definitions: Iterable[Definition]) -> Iterator[Definition]:
    """Definitions whose imports may fail, or are not made at all, and the module goes on."""
    for each in definitions:
        yield changed(each, guarded=True) if isinstance(each, Imported) else each


def overloaded(definition: Definition) -> bool:
    """Whether this is one of several ways to call a function, given for type checkers."""
    return isinstance(definition, Function) and any(
        each.rpartition(".")[2] == "overload" for each in definition.decorators
    )


def class_of(node: ast.ClassDef, *, spreads: bool) -> Class:
    reading = _Reading("", package=False, spreads=spreads)
    methods: list[Function] = []
    attributes: list[Attribute] = []
    for each in reading.definitions(node.body):
        if isinstance(each, Function):
            methods.append(each)
        elif isinstance(each, Value):
            attributes.append(Attribute(each.name, each.annotation, each.text, each.line, each.column))
        elif isinstance(each, Imported):
            attributes.append(Attribute(each.name, None, None, each.line, each.column))
        else:
            attributes.append(Attribute(each.name, "type", None, each.line, each.column))
    return Class(
        node.name,
        node.lineno,
        node.col_offset + len("class "),
        tuple(text_of(base) for base in node.bases),
        tuple((each.arg, text_of(each.value)) for each in node.keywords if each.arg),
        tuple(text_of(each) for each in node.decorator_list),
        tuple(methods),
        tuple(attributes),
    )


def values_of(node: ast.stmt) -> Iterator[Value]:
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Name):
                    yield Value(target.id, None, _short(value), node.lineno, node.col_offset)
                else:
                    yield from _unknown(target)
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=assigned):
            text = _short(assigned) if assigned is not None else None
            yield Value(name, text_of(annotation), text, node.lineno, node.col_offset)
        case ast.FunctionDef() | ast.ClassDef() | ast.AsyncFunctionDef():
            return
        case _:
            yield from _unknown(node)


def _unknown(node: ast.AST) -> Iterator[Value]:
    """Every name that something binds in another way: a loop, an unpacking, a match."""
    for name, line in _bound([node], declared=False):
        yield Value(name, None, None, line, 0)


def _short(node: ast.expr) -> str | None:
    """The source of a value, unless it is long: nobody asks for the text of a table."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set) and len(node.elts) > 50:
        return "..."
    if isinstance(node, ast.Dict) and len(node.keys) > 50:
        return "..."
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and len(node.value) > _SHORT:
        return "..."
    try:
        text = text_of(node)
    except RecursionError:
        # A sum of hundreds of texts.
        return "..."
    return text if len(text) <= _SHORT else "..."


def _words(node: ast.expr) -> tuple[str, ...] | None:
    if not isinstance(node, ast.List | ast.Tuple):
        return None
    words = [each.value for each in node.elts if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return tuple(words) if len(words) == len(node.elts) else None


def _is_type_checking(test: ast.expr) -> bool:
    return text_of(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING", "t.TYPE_CHECKING"}


def _known_condition(test: ast.expr) -> bool | None:
    """Conditions whose answer is known without running: the type checker's, and the version of this Python."""
    if _is_type_checking(test):
        return True
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            known = _known_condition(inner)
            return None if known is None else not known
        case ast.Compare(left=left, ops=[op], comparators=[ast.Tuple(elts=elements)]) if text_of(left) == (
            "sys.version_info"
        ):
            wanted = tuple(each.value for each in elements if isinstance(each, ast.Constant))
            if len(wanted) != len(elements) or not all(isinstance(each, int) for each in wanted):
                return None
            return _compared(op, sys.version_info[: len(wanted)], wanted)
        case _:
            return None


def _compared(op: ast.cmpop, left: tuple[object, ...], right: tuple[object, ...]) -> bool | None:
    match op:
        case ast.GtE():
            return left >= right
        case ast.Lt():
            return left < right
        case _:
            return None


def _same(one: Definition, other: Definition) -> bool:
    """Whether two definitions of a name are the same to who calls them."""
    match one, other:
        case Function(parameters=a), Function(parameters=b):
            return [(each.name, each.kind) for each in a] == [(each.name, each.kind) for each in b]
        case Imported(path=a), Imported(path=b):
            return a == b
        case Value(text=str(a)), Value(text=str(b)):
            return a == b
        case _:
            return False


def names_of(contents: Contents) -> Iterable[str]:
    """The names that a module binds by itself."""
    return dict.fromkeys(each.name for each in contents.definitions)


def _bound(body: Sequence[ast.AST], *, declared: bool) -> Iterator[tuple[str, int]]:
    """What the statements of a module or class bind, whatever they stand in: `if`, `try`, `with`, `for`, `match` …

    `declared`: a function may say `global`, and so bind for its module.
    """
    left: list[ast.AST] = list(reversed(body))
    while left:
        node = left.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node.lineno
                yield from (
                    (name, each.lineno)
                    for each in (ast.walk(node) if declared else ())
                    if isinstance(each, ast.Global)
                    for name in each.names
                )
            case ast.Import():
                yield from ((alias.asname or alias.name.split(".")[0], node.lineno) for alias in node.names)
            case ast.ImportFrom():
                yield from ((alias.asname or alias.name, node.lineno) for alias in node.names)
            case ast.Name(ctx=ast.Store()):
                yield node.id, node.lineno
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                yield name, node.lineno
                left.extend(ast.iter_child_nodes(node))
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                continue
            case _:
                left.extend(reversed(list(ast.iter_child_nodes(node))))
