"""Classes whose `__init__` is made from their fields: dataclasses, attrs, NamedTuple, TypedDict, pydantic models."""

from __future__ import annotations

import ast
from typing import TypeAlias

from esp3c.python.model import Attribute, Class, Parameter
from esp3c.python.reader import STOPS, Reader
from esp3c.python.stored import named
from esp3c.record import record
from esp3c.world import Module

_DATACLASS = {"dataclasses.dataclass", "torch.utils._pytree.dataclass"}
_ATTRS = {
    "attrs.define", "attrs.frozen", "attrs.mutable", "attr.s", "attr.attrs", "attr.attrib", "attr.define", "attr.frozen",
    "attr.dataclass", "attr.mutable", "attr.attributes",
}  # fmt: skip
_NAMED_TUPLE = {"typing.NamedTuple", "typing_extensions.NamedTuple"}
_TYPED_DICT = {"typing.TypedDict", "typing_extensions.TypedDict"}
PYDANTIC = {"pydantic.BaseModel", "pydantic.main.BaseModel", "pydantic_settings.main.BaseSettings"}

_TRANSFORM = "dataclass_transform"

Field: TypeAlias = tuple[Parameter, Module, str]


@record
class Made:
    """The parameters that fields make: each with the module and the class that it stands in."""

    parameters: tuple[Field, ...] = ()
    open: str = ""
    why: str = ""


def fields_of(reader: Reader, order: tuple[str, ...], node: Class, module: Module) -> Made | None:
    """The parameters of a class that is made from fields; None for any other class."""
    kind, decorator = kind_of(reader, order, node, module)
    if kind is None:
        return None
    found: dict[str, Field] = {}
    behind: dict[str, Field] = {}
    opened = ""
    for path in reversed(order):
        base = reader.find(path)
        if not isinstance(base.definition, Class) or base.module is None:
            continue
        own_kind, own_decorator = kind_of(reader, reader.bases(path).paths, base.definition, base.module)
        if own_kind != kind:
            continue
        names_only = "kw_only=True" in own_decorator.replace(" ", "")
        for each in base.definition.attributes:
            if _is_marker(each):
                names_only = True
                continue
            parameter = _parameter(each, kind, names_only, own_decorator)
            if parameter is None:
                found.pop(each.name, None)
                continue
            if parameter.kind == "keyword":
                behind[parameter.name] = (parameter, base.module, path)
            else:
                found[parameter.name] = (parameter, base.module, path)
        if kind == "pydantic" and "alias" in str([each.value for each in base.definition.attributes]):
            opened = "it has fields with other names outside"
        if kind == "pydantic" and "extra" in str([each.value for each in base.definition.attributes]):
            opened = "its configuration may allow more fields"
    if "init=False" in decorator.replace(" ", ""):
        return None
    if decorator.startswith(_TRANSFORM):
        opened = "the base that makes its fields may take more"
    if kind == "pydantic":
        opened = opened or "a pydantic model leaves out what it does not know"
    return Made((*found.values(), *behind.values()), opened)


def kind_of(reader: Reader, order: tuple[str, ...], node: Class, module: Module) -> tuple[str | None, str]:
    """What makes a class's `__init__` from its fields, and the decorator's text."""
    for text in node.decorators:
        head = text.partition("(")[0]
        path = _path(reader, module, head)
        if path in _DATACLASS or head.rpartition(".")[2] == "dataclass":
            return "dataclass", text
        if path in _ATTRS or path.startswith(("attr.", "attrs.", "attr._make", "attr._next_gen")):
            return "attrs", text
    for path in order[1:]:
        transform = _transform(reader, path)
        if transform is not None:
            return "dataclass", transform
        if path in _NAMED_TUPLE:
            return "namedtuple", ""
        if path in _TYPED_DICT:
            return "typeddict", ""
        if path in PYDANTIC:
            return "pydantic", ""
    return None, ""


def _transform(reader: Reader, path: str) -> str | None:
    """The decorator of a base that makes dataclasses of all that extend it (PEP 681), as a dataclass's own."""
    base = reader.find(path) if path not in STOPS else None
    text = transforms(base.definition) if base is not None and isinstance(base.definition, Class) else ""
    return f"{_TRANSFORM}(kw_only={'kw_only_default=True' in text.replace(' ', '')})" if text else None


def transforms(node: Class) -> str:
    """The decorator by which a class says that its heirs are dataclasses, or nothing."""
    return next((text for text in node.decorators if text.partition("(")[0].rpartition(".")[2] == _TRANSFORM), "")


def _path(reader: Reader, module: Module, head: str) -> str:
    contents = reader.contents(module)
    first, _, rest = head.partition(".")
    for each in named(contents, first) if contents is not None else ():
        if hasattr(each, "path"):
            return ".".join(part for part in (each.path, rest) if part)
    return head


def _is_marker(attribute: Attribute) -> bool:
    return (attribute.annotation or "").rpartition(".")[2] == "KW_ONLY"


def _parameter(attribute: Attribute, kind: str, names_only: bool, decorator: str) -> Parameter | None:
    """The parameter that a field makes, or None for what is no field of `__init__`."""
    annotation, value = attribute.annotation, attribute.value
    plain_attrs = (
        kind == "attrs"
        and value is not None
        and value.partition("(")[0].rpartition(".")[2] in {"ib", "attrib", "field"}
    )
    if annotation is None and not plain_attrs:
        return None
    if annotation is not None and annotation.partition("[")[0].rpartition(".")[2] == "ClassVar":
        return None
    if annotation is not None and annotation.partition("[")[0].rpartition(".")[2] == "InitVar":
        annotation = annotation.partition("[")[2].removesuffix("]") or None
    name = attribute.name
    if kind == "attrs":
        name = name.lstrip("_")
    if name.startswith("_") and kind == "pydantic":
        return None
    default = value
    call = _call(value)
    if call is not None and call[0].rpartition(".")[2] in {"field", "ib", "attrib", "Field", "dc_field"}:
        named = call[1]
        if named.get("init") == "False":
            return None
        if "alias" in named and kind == "attrs":
            name = named["alias"].strip("'\"")
        names_only = named.get("kw_only", str(names_only)) == "True"
        default = named.get("default")
        if default == "..." and kind == "pydantic":
            default = None
        if default is None and any(each in named for each in ("default_factory", "factory")):
            default = "..."
        if kind == "pydantic" and default is None and call[2] and call[2][0] != "...":
            default = call[2][0]
    if kind == "pydantic":
        # A model makes of a value what the field wants: of the text "1" the number.
        annotation, default = None, default and "..."
    return Parameter(
        name,
        "keyword" if names_only or kind in {"pydantic", "typeddict"} else "plain",
        annotation,
        default,
        attribute.line,
        attribute.column,
    )


def _call(text: str | None) -> tuple[str, dict[str, str], list[str]] | None:
    """The callee, the keywords and the positional values of a call that is written as text."""
    if text is None or "(" not in text:
        return None
    try:
        node = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return None
    if not isinstance(node, ast.Call):
        return None
    named = {each.arg: ast.unparse(each.value) for each in node.keywords if each.arg}
    return ast.unparse(node.func), named, [ast.unparse(each) for each in node.args]
