"""Code that was written for ESPnet3 finds its modules, names and parameters here: `api_names.txt` lists them.

Ours may take more: further parameters that need not be given, behind the listed ones or by keyword. What is listed must
be there by its name, in its order, and with its default.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

TABLE = Path(__file__).with_name("api_names.txt")

# Modules that cannot be imported without a package that is an extra, and that package.
EXTRAS = {
    "espnet3.parallel.parallel": "distributed",
    "espnet3.systems.asr.task": "espnet2",
    "espnet3.systems.asr.transducer_task": "espnet2",
}


class Name(NamedTuple):
    """One line of the table."""

    module: str
    path: str
    parameters: str | None
    kind: str


def listed() -> Iterator[Name]:
    module = ""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            module = line.strip("[]")
            continue
        text, _, kind = line.partition("  ")
        path, bracket, rest = text.partition("(")
        yield Name(module, path, rest.removesuffix(")") if bracket else None, kind)


NAMES = list(listed())
MODULES = list(dict.fromkeys(name.module for name in NAMES))


@pytest.mark.parametrize("module", MODULES)
def test_names_and_signatures_are_those_of_espnet3(module: str) -> None:
    """Every difference of a module is told."""
    if module in EXTRAS:
        pytest.importorskip(EXTRAS[module])
    imported = importlib.import_module(module)

    differences = [said for name in NAMES if name.module == module for said in differs(imported, name)]

    assert differences == []


def differs(module: Any, name: Name) -> Iterator[str]:
    owner: Any = module
    *classes, last = name.path.split(".")
    for each in classes:
        owner = getattr(owner, each, None)
    found = _static(owner, last)
    if name.kind == "field":
        if not _has_field(owner, last):
            yield f"{name.path}: no such field"
        return
    if found is None:
        yield f"{name.path}: not there"
        return
    if name.kind.startswith("property"):
        if not isinstance(found, property) or ("setter" in name.kind and found.fset is None):
            yield f"{name.path}: is no {name.kind}"
        return
    if name.kind == "static" and not isinstance(found, staticmethod):
        yield f"{name.path}: is not static"
    if name.kind == "class" and not isinstance(found, classmethod):
        yield f"{name.path}: is no classmethod"
    if name.parameters is not None:
        actual = getattr(owner, last)
        yield from (f"{name.path}: {each}" for each in _signature_differs(_parameters(actual, found, classes), name))


def _static(owner: Any, name: str) -> Any:
    """An attribute as it is written, or what a module makes of the name when it is asked for it."""
    if inspect.ismodule(owner):
        return getattr(owner, name, None)
    return None if owner is None else inspect.getattr_static(owner, name, None)


def _has_field(owner: Any, name: str) -> bool:
    return hasattr(owner, name) or any(name in vars(each).get("__annotations__", {}) for each in owner.__mro__)


def _parameters(actual: Any, found: Any, classes: list[str]) -> list[inspect.Parameter]:
    if isinstance(actual, type):
        return list(inspect.signature(actual.__init__).parameters.values())[1:]  # type: ignore[misc]
    parameters = list(inspect.signature(actual).parameters.values())
    bound = not classes or isinstance(found, staticmethod | classmethod)
    return parameters if bound else parameters[1:]


def _signature_differs(ours: list[inspect.Parameter], name: Name) -> Iterator[str]:
    node = ast.parse(f"def call({name.parameters}): ...").body[0]
    assert isinstance(node, ast.FunctionDef)
    plain = [*node.args.posonlyargs, *node.args.args]
    positional = [each for each in ours if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    wanted = [each.arg for each in plain]
    if [each.name for each in positional[: len(wanted)]] != wanted:
        yield f"takes {', '.join(each.name for each in positional)}; listed are {', '.join(wanted)}"
        return
    defaults: dict[str, ast.expr] = dict(
        zip(wanted[len(wanted) - len(node.args.defaults) :], node.args.defaults, strict=True)
    )
    by_name = {each.name: each for each in ours}
    for each, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if each.arg not in by_name or by_name[each.arg].kind is inspect.Parameter.POSITIONAL_ONLY:
            yield f"does not take {each.arg} by keyword"
        elif default is not None:
            defaults[each.arg] = default
    for parameter, default in defaults.items():
        expected, actual = ast.literal_eval(default), by_name[parameter].default
        if _plain(actual) != _plain(expected):
            yield f"{parameter} is {actual!r} by default; listed is {expected!r}"
    known = {*wanted, *(each.arg for each in node.args.kwonlyargs)}
    kinds = {each.kind for each in ours}
    stars = (
        ("*", node.args.vararg, inspect.Parameter.VAR_POSITIONAL),
        ("**", node.args.kwarg, inspect.Parameter.VAR_KEYWORD),
    )
    for sign, star, kind in stars:
        if star is not None and kind not in kinds:
            yield f"takes no {sign}{star.arg}"
    for extra in ours:
        star_like = extra.kind in (extra.VAR_POSITIONAL, extra.VAR_KEYWORD)
        if extra.name not in known and not star_like and extra.default is extra.empty:
            yield f"needs {extra.name}, which is not listed"


def _plain(value: Any) -> Any:
    """Sequences alike: a list that nobody may change is a tuple here."""
    return tuple(_plain(each) for each in value) if isinstance(value, list | tuple) else value


def test_the_table_is_read_as_a_whole() -> None:
    """No line is passed over, and a difference is seen."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    entries = [line for line in lines if line and line[0] not in "#["]

    assert len(NAMES) == len(entries) > 200
    assert all(re.fullmatch(r"[\w.]+", name.path) for name in NAMES)
    own = importlib.import_module(__name__)
    for path, parameters, kind, told in (
        ("_Example.call", "a, b=2, *c", "", []),
        ("_Example.call", "b, a=2", "", ["takes a, b; listed are b, a"]),
        ("_Example.call", "a, b=3", "", ["b is 2 by default; listed is 3"]),
        ("_Example.call", "", "", ["needs a, which is not listed"]),
        ("_Example.call", "a, **e", "static", ["is not static", "takes no **e"]),
        ("_Example.called", "a", "", ["not there"]),
    ):
        assert list(differs(own, Name(__name__, path, parameters, kind))) == [f"{path}: {each}" for each in told]


class _Example:
    def call(self, a: int, b: int = 2, *c: int, d: int = 4) -> None: ...
