"""Which kind of value a call of numpy, torch or Python itself gives, as far as that is certain."""

from __future__ import annotations

import ast

from esp3c.python.body_values import UNKNOWN, Kind, Leaf, Listing, Several, Value

# These keep the shape of an array, or at least leave it one.
_SHAPED = frozenset({
    "roll", "flip", "clip", "abs", "sqrt", "exp", "log", "log10", "log1p", "expm1", "square", "sign", "tanh", "round",
    "nan_to_num", "tile", "diff", "cumsum",
})  # fmt: skip
_TORCH = frozenset({
    "tensor", "as_tensor", "from_numpy", "zeros", "ones", "full", "empty", "arange", "linspace", "rand", "randn",
    "randint", "randperm", "stack", "cat", "concatenate", "zeros_like", "ones_like", "full_like", "empty_like",
    "rand_like", "randn_like", "Tensor", "LongTensor", "FloatTensor", "IntTensor", "BoolTensor", "DoubleTensor",
    "clamp", "sigmoid", *_SHAPED,
})  # fmt: skip
_NUMPY = frozenset({
    "zeros", "ones", "full", "empty", "arange", "linspace", "zeros_like", "ones_like", "full_like", "float16",
    "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool_", "fromfile", "frombuffer",
})  # fmt: skip
_NUMPY_OF = frozenset(
    {"array", "asarray", "ascontiguousarray", "atleast_1d", "concatenate", "stack", "pad", "copy", *_SHAPED}
)
_SIZED = frozenset({"zeros", "ones", "full", "empty", "rand", "randn"})
_EXTENDED = frozenset({"arange", "linspace", "fromfile", "frombuffer", "stack", "cat", "concatenate"})
_NUMERIC = frozenset({
    "float16", "float32", "float64", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "long", "float", "int",
    "double", "half", "bool_", "intp",
})  # fmt: skip
_NUMBERS = frozenset({"len", "int", "float", "bool", "round", "hash", "ord"})
_TEXTS = frozenset({"str", "repr", "chr", "format", "ascii"})
_SAME = frozenset({
    "clone", "contiguous", "detach", "cpu", "cuda", "numpy", "float", "double", "half", "long", "int", "clamp",
    "clip", "copy", "abs", "round", "to", "requires_grad_",
})  # fmt: skip
_TEXT_METHODS = frozenset({
    "strip", "lstrip", "rstrip", "lower", "upper", "title", "capitalize", "casefold", "replace", "join", "format",
    "removeprefix", "removesuffix", "zfill", "ljust", "rjust", "center",
})  # fmt: skip
_ELEMENTWISE = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)

TENSOR, NUMBER, TEXT = Leaf(Kind.TENSOR), Leaf(Kind.NUMBER), Leaf(Kind.TEXT)


def dotted(node: ast.expr) -> str | None:
    """`np.zeros` as text, where an expression is a name with names behind it."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return None if before is None else f"{before}.{node.attr}"
    return None


def call_kind(name: str, arguments: list[Value], keywords: dict[str, ast.expr]) -> Value:
    """What calling a function of a library gives."""
    root, _, last = name.rpartition(".")
    first = arguments[0] if arguments else UNKNOWN
    if root in {"np", "numpy"}:
        if last in _NUMPY_OF:
            if isinstance(first, Leaf) and first.kind is Kind.ARRAY:
                return first
            listed = last in {"array", "asarray"} and isinstance(first, Listing)
            if _numeric(keywords.get("dtype")):
                return Leaf(Kind.ARRAY) if listed else TENSOR
            return UNKNOWN
        if last in _NUMPY:
            return Leaf(Kind.ARRAY) if _extended(last, first) else TENSOR
    if root == "torch" and last in _TORCH:
        listed = last in {"tensor", "as_tensor"} and isinstance(first, Listing)
        return Leaf(Kind.ARRAY) if listed or _extended(last, first) else TENSOR
    if not root and last in _NUMBERS:
        return NUMBER
    if not root and last in _TEXTS:
        return TEXT
    return UNKNOWN


def _extended(name: str, first: Value) -> bool:
    """Whether what numpy or torch makes surely has a dimension: of an array, of a number of items, or always."""
    if name in _EXTENDED:
        return True
    if name in _SIZED:
        sized = isinstance(first, Leaf) and first.kind is Kind.NUMBER
        return (
            sized or (isinstance(first, Several) and bool(first.items)) or (isinstance(first, Listing) and first.filled)
        )
    return isinstance(first, Leaf) and first.kind is Kind.ARRAY


def _numeric(dtype: ast.expr | None) -> bool:
    if isinstance(dtype, ast.Constant) and isinstance(dtype.value, str):
        return dtype.value in _NUMERIC
    name = dotted(dtype) if dtype is not None else None
    return name is not None and name.rpartition(".")[2] in _NUMERIC


def method_kind(value: Value, name: str) -> Value:
    """What a method of a number, an array or a text gives."""
    if not isinstance(value, Leaf):
        return UNKNOWN
    if name == "item" and value.kind is not Kind.TEXT:
        return NUMBER
    if value.kind in {Kind.ARRAY, Kind.TENSOR} and name in _SAME:
        return Leaf(value.kind)
    if value.kind is Kind.TEXT and name in _TEXT_METHODS:
        return TEXT
    return UNKNOWN


def operator_kind(left: Value, operator: ast.operator, right: Value) -> Value:
    """What `left + right` gives."""
    if not (isinstance(left, Leaf) and isinstance(right, Leaf) and isinstance(operator, _ELEMENTWISE)):
        return UNKNOWN
    kinds = {left.kind, right.kind}
    if Kind.ARRAY in kinds:
        return Leaf(Kind.ARRAY)
    if Kind.TENSOR in kinds:
        return TENSOR
    if kinds == {Kind.NUMBER}:
        return NUMBER
    if left.kind is Kind.TEXT and (isinstance(operator, ast.Mod) or kinds == {Kind.TEXT}):
        return TEXT
    return UNKNOWN


def item_kind(value: Value, index: ast.expr) -> Value:
    """What `value[index]` gives, where value is an array or a text."""
    if isinstance(value, Leaf) and value.kind in {Kind.ARRAY, Kind.TENSOR, Kind.TEXT} and isinstance(index, ast.Slice):
        return Leaf(value.kind)
    if isinstance(value, Leaf) and value.kind is Kind.TEXT:
        return TEXT
    return UNKNOWN
