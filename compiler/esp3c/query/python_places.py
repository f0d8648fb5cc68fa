"""Where the Python that a recipe names stands: modules, classes, functions and their parameters."""

from __future__ import annotations

from esp3c.check.sources import BUILDER, DATASET, source_of
from esp3c.ir import CallNode, Dataset, PythonNode, Recipe, strip
from esp3c.python.model import Class, Function, Value
from esp3c.python.reader import Found, Reader, reader
from esp3c.python.signature import Bound, signature
from esp3c.schema.roles import LIFECYCLE
from esp3c.source import Span
from esp3c.world import Module, World

CALLED_BY_KEYS = {
    "trainer": "lightning.pytorch.trainer.trainer.Trainer",
    "dataloader": "torch.utils.data.dataloader.DataLoader",
}
"""What gets the settings of a block as arguments, by the name of the block in the schema."""


def definition_of(world: World, path: str) -> Span | None:
    """The name of what a dotted path leads to, where it is defined; of a module, its beginning. None where it has no text."""
    reading = reader(world)
    found = reading.find(path)
    if found.module is None:
        return None
    match found.definition:
        case Class() | Function() | Value() as definition:
            return named_at(reading, found.module, definition.line, definition.column, definition.name)
    if found.module.name != found.path or found.why:
        return None
    return _beginning(world, found.module)


def _beginning(world: World, module: Module) -> Span | None:
    source = world.source(module)
    return Span(source, 0, 0) if source is not None else None


def named_at(reading: Reader, module: Module, line: int, column: int, name: str) -> Span | None:
    """A name in a module, or in the stub beside it where the module makes its names when it runs."""
    span = reading.span(module, line, column, len(name))
    if span is not None and span.text == name:
        return span
    stub = reading.world.stub(module)
    described = reading.span(stub, line, column, len(name)) if stub is not None else None
    return described if described is not None and described.text == name else span


def parameter_of(world: World, path: str, name: str) -> Bound | None:
    """The parameter that an argument of a call is given to, through bases and handed-on keywords."""
    return signature(reader(world), path).get(name)


def plain_parameter(world: World, path: str, name: str) -> Bound | None:
    """A parameter of `__init__` as it is written in the class itself, whatever its decorators do."""
    reading = reader(world)
    method = reading.method(path, "__init__")
    for each in method.function.parameters if method is not None else ():
        if each.name == name and method is not None:
            return Bound(each, method.module, method.owner, each.default is None)
    return None


def parameter_place(world: World, bound: Bound) -> Span | None:
    parameter = bound.parameter
    return named_at(reader(world), bound.module, parameter.line, parameter.column, parameter.name)


def annotated(world: World, bound: Bound) -> Found | None:
    """The class that a parameter is annotated with, where it is a plain name: `Tokenizer`, `Tokenizer | None`."""
    text = bound.parameter.annotation or ""
    options = [each.strip() for each in text.removeprefix("Optional[").removesuffix("]").split("|")]
    for option in options:
        if option and all(part.isidentifier() for part in option.split(".")) and option != "None":
            found = reader(world).resolve(bound.module, option)
            return found if found.definition is not None else None
    return None


def class_of(dataset: Dataset) -> str:
    """The dotted path of the class behind a dataset, or of the `Dataset` that its source brings; nothing where there is none."""
    node = dataset.settings.get("class")
    value = strip(node) if node is not None else None
    if isinstance(value, PythonNode | CallNode):
        return value.target.path
    source = source_of(dataset)
    return f"{source[0]}.{DATASET}" if source is not None else ""


def builder_path(dataset: Dataset) -> str:
    """The dotted path of what prepares a dataset, or of the builder that its source may bring."""
    value = strip(dataset.builder) if dataset.builder is not None else None
    if isinstance(value, PythonNode | CallNode):
        return value.target.path
    source = source_of(dataset)
    return f"{source[0]}.{BUILDER}" if source is not None else ""


def builder_parameter(world: World, path: str, name: str) -> Bound | None:
    """The parameter of a builder's method that a setting is given to, or that of its class."""
    reading = reader(world)
    for each in reversed(LIFECYCLE):
        method = reading.method(path, each)
        for parameter in method.function.parameters if method is not None else ():
            if parameter.name == name and method is not None and parameter.kind in {"plain", "keyword"}:
                return Bound(parameter, method.module, method.owner, parameter.default is None)
    return parameter_of(world, path, name)


def method_of_system(recipe: Recipe, world: World, stage: str) -> Found | None:
    """The method of the recipe's System that a stage is."""
    if recipe.system is None:
        return None
    reading = reader(world)
    method = reading.method(recipe.system.path, stage)
    if method is None:
        return None
    path = f"{method.owner}.{stage}"
    return Found(path, method.module, method.function, method.owner, overloads=method.overloads)


def place_of(world: World, found: Found) -> Span | None:
    """The name of a definition that was found."""
    definition = found.definition
    if definition is None or found.module is None:
        return None
    return named_at(reader(world), found.module, definition.line, definition.column, definition.name)
