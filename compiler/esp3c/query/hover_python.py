"""What is shown of Python: signatures, docstrings, parameters, and where they stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from esp3c.python.find import Status, look_up
from esp3c.python.model import Class, Function, Parameter, Value
from esp3c.python.reader import Found, Reader, reader
from esp3c.python.signature import Bound, signature
from esp3c.query.docstrings import docstring_of, shown
from esp3c.query.hover_parts import Code, Part, Place, Said, code
from esp3c.query.python_places import definition_of, parameter_place
from esp3c.query.signatures_docs import described
from esp3c.source import Span
from esp3c.world import ModuleKind, World

LONGEST_LINE = 88
LONGEST_DEFAULT = 60
MOST_PARAMETERS = 40


def python(world: World, path: str) -> list[Part]:
    """A module, class or function by its dotted path; why nothing is known of it, where that is so."""
    reading = reader(world)
    found = reading.find(path)
    match found.definition:
        case Class() | Function():
            return [*_called(reading, path, found), *shown(docstring_of(reading, path)), *_defined(world, path)]
        case Value(name, annotation, text):
            typed = f": {annotation}" if annotation else ""
            return [Code(f"{name}{typed} = {text or '…'}", "python"), *_defined(world, path)]
    if found.module is not None and found.module.name == found.path and not found.why:
        return _module(world, reading, path, found)
    return _unknown(world, path, found)


def _module(world: World, reading: Reader, path: str, found: Found) -> list[Part]:
    module = found.module
    assert module is not None
    what = {ModuleKind.NAMESPACE: "folder of modules", ModuleKind.OPAQUE: "compiled module"}.get(module.kind, "module")
    where = [Said(f"in {code(module.place)}")] if module.kind is not ModuleKind.SOURCE else _defined(world, path)
    return [Code(f"import {path}", "python"), Said(f"a {what}"), *shown(docstring_of(reading, path)), *where]


def _unknown(world: World, path: str, found: Found) -> list[Part]:
    looked = look_up(world, path)
    if looked.status is Status.UNKNOWN:
        return [Said(f"{code(path)}: {looked.why or found.why}")]
    if looked.status is Status.FOUND:
        return [Said(code(path))]
    missing = f"there is no `{looked.missing}`" + (f" in `{looked.module.name}`" if looked.module is not None else "")
    return [Said(f"{code(path)}: {missing}")]


def _called(reading: Reader, path: str, found: Found) -> Iterator[Part]:
    made = signature(reading, path)
    name = found.path.rpartition(".")[2]
    if isinstance(found.definition, Class):
        head, returns = f"class {name}", ""
    else:
        head = f"def {name}"
        returns = (
            f" -> {found.definition.returns}"
            if isinstance(found.definition, Function) and found.definition.returns
            else ""
        )
    if made.why:
        yield Code(f"{head}(…)", "python")
        yield Said(f"Its arguments are not known: {made.why}.")
        return
    yield Code(written(head, [each.parameter for each in made.parameters], returns, bool(made.open)), "python")
    if made.open:
        yield Said(f"It may take other arguments as well: {made.open}.")


def written(head: str, parameters: Sequence[Parameter], returns: str = "", open: bool = False) -> str:
    """A signature, on one line if it is short."""
    texts: list[str] = []
    behind_star = False
    for number, each in enumerate(parameters[:MOST_PARAMETERS]):
        if each.kind in {"args", "kwargs"}:
            behind_star = behind_star or each.kind == "args"
            texts.append(("*" if each.kind == "args" else "**") + parameter_text(each))
            continue
        if each.kind == "keyword" and not behind_star:
            behind_star = True
            texts.append("*")
        texts.append(parameter_text(each))
        following = parameters[number + 1].kind if number + 1 < len(parameters) else ""
        if each.kind == "positional" and following != "positional":
            texts.append("/")
    if open or len(parameters) > MOST_PARAMETERS:
        texts.append("…")
    line = f"{head}({', '.join(texts)}){returns}"
    if len(line) <= LONGEST_LINE:
        return line
    return f"{head}(\n" + "".join(f"    {each},\n" for each in texts) + f"){returns}"


def parameter_text(parameter: Parameter) -> str:
    """`lr: float = 1e-3`."""
    typed = f": {parameter.annotation}" if parameter.annotation else ""
    default = parameter.default
    if default is None:
        return parameter.name + typed
    default = default if len(default) <= LONGEST_DEFAULT else "…"
    default = "…" if default == "..." else default
    return f"{parameter.name}{typed} = {default}" if typed else f"{parameter.name}={default}"


def parameter(world: World, bound: Bound, path: str) -> list[Part]:
    """A parameter with its type, its default and what the docstring of `path` says of it."""
    parts: list[Part] = [Code(parameter_text(bound.parameter), "python")]
    needed = ", which is needed" if bound.required else ""
    parts.append(Said(f"parameter of {code(path)}{needed}"))
    told = described(reader(world), path).parameters.get(bound.name) or described(
        reader(world), bound.owner
    ).parameters.get(bound.name)
    if told:
        parts.append(Said(told))
    place = parameter_place(world, bound)
    return [*parts, *_in(place)]


def _defined(world: World, path: str) -> list[Part]:
    return _in(definition_of(world, path))


def _in(place: Span | None) -> list[Part]:
    if place is None:
        return []
    line, _ = place.source.position(place.start)
    return [Place(place.source.path, line)]
