"""From an annotation's text to a type, names looked up in the module that it stands in.

Only what can be compared with a recipe's values is told apart; everything else is `Unknown`, which any value fits.
"""

from __future__ import annotations

import ast
from typing import TypeAlias

from esp3c.python.fields import fields_of
from esp3c.python.literal import literal
from esp3c.python.model import Class, Value
from esp3c.python.reader import Reader
from esp3c.record import record
from esp3c.world import Module

DEEPEST = 12


@record
class Unknown:
    """Any value may fit. `why` is for the list of what could not be checked."""

    why: str


@record
class Basic:
    """`int`, `float`, `complex`, `bool`, `str`, `bytes` or `None`."""

    name: str


@record
class Literals:
    """One of these values: `Literal["min", "max"]`, or the values of an enum of strings."""

    values: tuple[object, ...]
    loose: tuple[object, ...] = ()
    """Values that are taken as well, but are not named in messages."""


@record
class Union:
    options: tuple[Type, ...]


@record
class Items:
    """A list, tuple, set or other run of values of one type."""

    item: Type
    word: str


@record
class Fixed:
    """A tuple of this many values, each of its own type."""

    items: tuple[Type, ...]


@record
class Mapping:
    value: Type


@record
class Keys:
    """A TypedDict: known keys, and whether each must be there."""

    name: str
    fields: tuple[tuple[str, Type, bool], ...]


@record
class Callable:
    """Something to be called."""


@record
class Instance:
    """An object of a class or of one that extends it; `of_type`: the class itself (`type[X]`)."""

    path: str
    of_type: bool = False


Type: TypeAlias = (
    Unknown | Basic | Literals | Union | Items | Fixed | Mapping | Keys | Callable | Instance
)  # fmt: skip

_BASIC = {"int", "float", "complex", "bool", "str", "bytes"}
_ITEMS = {
    "List", "list", "Sequence", "MutableSequence", "Iterable", "Collection", "Set", "set", "FrozenSet", "frozenset",
    "Container", "Reversible", "AbstractSet", "Deque", "deque", "Sized",
}  # fmt: skip
_MAPPINGS = {"Dict", "dict", "Mapping", "MutableMapping", "OrderedDict", "DefaultDict", "defaultdict"}
_WRAPPERS = {"Annotated", "Final", "Required", "NotRequired", "ReadOnly", "ClassVar", "InitVar"}
_HOMES = {"typing", "typing_extensions", "builtins", "collections", "collections.abc", "numbers", "os", "pathlib"}


def type_of(reader: Reader, module: Module, text: str | None) -> Type:
    """The type that an annotation means. Text that cannot be read is `Unknown`."""
    if text is None:
        return Unknown("it has no annotation")
    return reader.once(("type", module.name, text), lambda: _Reading(reader, module).text(text))


class _Reading:
    def __init__(self, reader: Reader, module: Module, depth: int = 0) -> None:
        self.reader = reader
        self.module = module
        self.depth = depth

    def text(self, text: str) -> Type:
        if self.depth > DEEPEST:
            return Unknown("its annotation leads too far")
        try:
            node = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return Unknown(f"its annotation `{text}` is not read")
        return self.node(node)

    def node(self, node: ast.expr) -> Type:
        match node:
            case ast.Constant(value=None):
                return Basic("None")
            case ast.Constant(value=str(text)):
                return _Reading(self.reader, self.module, self.depth + 1).text(text)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return union(self.node(left), self.node(right))
            case ast.Subscript(value=value, slice=inner):
                return self.generic(value, list(inner.elts) if isinstance(inner, ast.Tuple) else [inner])
            case ast.Name() | ast.Attribute():
                return self.named(node)
            case _:
                return Unknown(f"its annotation `{ast.unparse(node)}` is not read")

    def name(self, node: ast.expr) -> str | None:
        """The path that a name in an annotation means: `typing.Optional`, `builtins.int`, `pkg.Class`."""
        text = ast.unparse(node)
        if not all(part.isidentifier() for part in text.split(".")):
            return None
        return self.reader.named(self.module, text)

    def generic(self, head: ast.expr, inner: list[ast.expr]) -> Type:
        path = self.name(head) or ""
        home, _, last = path.rpartition(".")
        if home not in _HOMES:
            return self.named(head)
        if last == "Optional":
            return union(self.node(inner[0]), Basic("None"))
        if last == "Union":
            return union(*map(self.node, inner))
        if last == "Literal":
            return self.literal(inner)
        if last in _WRAPPERS:
            return self.node(inner[0])
        if last in {"Tuple", "tuple"}:
            if len(inner) == 2 and isinstance(inner[1], ast.Constant) and inner[1].value is Ellipsis:
                return Items(self.node(inner[0]), "list")
            if any(isinstance(each, ast.Starred) for each in inner):
                return Items(Unknown("its annotation is not read"), "list")
            return Fixed(tuple(map(self.node, inner)))
        if last in _ITEMS:
            return Items(self.node(inner[0]), _word(last))
        if last in _MAPPINGS:
            return Mapping(self.node(inner[1]) if len(inner) == 2 else Unknown("its annotation is not read"))
        if last == "Callable":
            return Callable()
        if last in {"type", "Type"}:
            made = self.node(inner[0])
            return Instance(made.path, of_type=True) if isinstance(made, Instance) else Unknown("any class fits")
        if last == "PathLike":
            return Instance("pathlib.Path")
        return Unknown(f"`{last}` is not compared")

    def literal(self, inner: list[ast.expr]) -> Type:
        values: list[object] = []
        for each in inner:
            match each:
                case ast.Constant(value=value):
                    values.append(value)
                case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(number))):
                    values.append(-number)
                case ast.Name() | ast.Subscript():
                    made = self.node(each)
                    if not isinstance(made, Literals):
                        return Unknown("its values are not written out")
                    values.extend(made.values)
                case _:
                    return Unknown("its values are not written out")
        return Literals(tuple(values))

    def named(self, node: ast.expr) -> Type:
        path = self.name(node)
        if path is None:
            return Unknown(f"its annotation `{ast.unparse(node)}` is not read")
        home, _, last = path.rpartition(".")
        if home in _HOMES:
            made = _plain(home, last)
            if made is not None:
                return made
        found = self.reader.find(path)
        match found.definition:
            case Value(text=str(text)) as value if found.module is not None:
                return self.alias(value, text, found.module)
            case Class() as node_ if found.module is not None:
                return self.of_class(found.path, node_, found.module)
            case None if path.startswith("builtins."):
                return Unknown(f"`{last}` is not compared")
        return Unknown(found.why or f"`{path}` is not a class that can be read")

    def alias(self, value: Value, text: str, module: Module) -> Type:
        """`_size_2_t = Union[int, Tuple[int, int]]`."""
        made_by = text.partition("(")[0].rpartition(".")[2]
        if made_by == "TypeVar" and (bound := _bound_of(text)) is not None:
            return _Reading(self.reader, module, self.depth + 1).node(bound)
        if made_by in {"TypeVar", "ParamSpec", "NewType"} or text == "...":
            return Unknown(f"`{value.name}` stands for many types")
        if "(" in text.partition("[")[0]:
            return Unknown(f"`{value.name}` is made when it runs")
        return _Reading(self.reader, module, self.depth + 1).text(text)

    def of_class(self, path: str, node: Class, module: Module) -> Type:
        bases = self.reader.bases(path)
        if any(
            base.startswith("enum.") or base == "lightning_utilities.core.enums.StrEnum" for base in bases.paths[1:]
        ):
            return _enum(path, node, bases.paths)
        if any(base in {"typing.TypedDict", "typing_extensions.TypedDict"} for base in bases.paths[1:]):
            made = fields_of(self.reader, bases.paths, node, module)
            if made is None or made.why or not bases.complete:
                return Mapping(Unknown("its keys are not read"))
            total = ("total", "False") not in node.keywords
            return Keys(
                node.name,
                tuple(
                    (
                        each.name,
                        _Reading(self.reader, where, self.depth + 1).text(each.annotation or "object"),
                        total and "NotRequired" not in (each.annotation or ""),
                    )
                    for each, where, _ in made.parameters
                ),
            )
        if any(base == "typing.Protocol" for base in bases.paths):
            return Unknown(f"whether it fits the protocol `{node.name}`")
        return Instance(path)


def _bound_of(text: str) -> ast.expr | None:
    """The type that all types of a `TypeVar("M", bound = Module)` are of."""
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    keywords = node.keywords if isinstance(node, ast.Call) else ()
    return next((each.value for each in keywords if each.arg == "bound"), None)


def _word(name: str) -> str:
    """Text is a sequence and can be gone through; it is no list."""
    return "list" if name.lower() in {"list", "tuple", "set", "frozenset", "deque"} else "sequence"


def union(*options: Type) -> Type:
    flat: list[Type] = []
    for each in options:
        flat.extend(each.options if isinstance(each, Union) else (each,))
    unknown = next((each for each in flat if isinstance(each, Unknown)), None)
    # With one part that takes anything, the whole does.
    return unknown or Union(tuple(dict.fromkeys(flat)))


def _plain(home: str, last: str) -> Type | None:
    if home == "builtins" and last in _BASIC:
        return Basic(last)
    if last in {"Any", "object", "Hashable", "TypeVar", "Self", "Generic"}:
        return Unknown("any value fits")
    if home == "numbers":
        return {"Number": Basic("complex"), "Real": Basic("float"), "Integral": Basic("int")}.get(last)
    if last in {"Tuple", "tuple"} or last in _ITEMS:
        return Items(Unknown("any value fits"), _word(last))
    if last in _MAPPINGS:
        return Mapping(Unknown("any value fits"))
    if last == "Callable":
        return Callable()
    if last in {"Path", "PathLike", "PurePath"} and home in {"pathlib", "os"}:
        return Instance("pathlib.Path")
    if last in {"Text", "AnyStr", "LiteralString"}:
        return Basic("str")
    if last == "NoneType":
        return Basic("None")
    if home in {"typing", "typing_extensions"}:
        return Unknown(f"`{last}` is not compared")
    return None


def _enum(path: str, node: Class, bases: tuple[str, ...]) -> Type:
    """An enum takes its members; text that is a member's name or value is what libraries take as well."""
    names: list[object] = []
    values: list[object] = []
    for each in node.attributes:
        if each.name.startswith("_") or each.value is None:
            continue
        names.append(each.name)
        try:
            values.append(literal(each.value))
        except ValueError:
            values.append(each.name.lower())
    if (
        not names
        or "..." in values
        or any(base not in {path} and "enum" not in base.lower() and base != "builtins.str" for base in bases)
    ):
        return Unknown(f"the members of `{node.name}` are not all known")
    lower = [each.lower() for each in (*names, *values) if isinstance(each, str)]
    upper = [each.upper() for each in (*names, *values) if isinstance(each, str)]
    return Literals(tuple(values), (*names, *lower, *upper, path))


def said(type: Type) -> str:
    """The type as a person says it."""
    match type:
        case Basic("None"):
            return "null"
        case Basic(name):
            words = {
                "int": "an int",
                "float": "a number",
                "complex": "a number",
                "bool": "true or false",
                "str": "text",
            }
            return words.get(name, name)
        case Literals(values):
            shown = [_shown(each) for each in values[:12]]
            return " or ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]
        case Union(options):
            parts = [said(each) for each in options]
            return " or ".join(dict.fromkeys(parts))
        case Items(item):
            return "a list" if isinstance(item, Unknown) else f"a list, each item {said(item)}"
        case Fixed(items):
            return f"a list of {len(items)} values"
        case Mapping():
            return "a map"
        case Keys(name):
            return f"a map with the keys of `{name}`"
        case Callable():
            return "something to be called"
        case Instance(path, of_type):
            return f"{'the class' if of_type else 'a'} `{path.rpartition('.')[2]}`"
        case _:
            return "a value"


def _shown(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case _:
            return str(value)
