"""What the call around a place calls, and what it may be given: a Python object, a dataset, a builder, a machine."""

from __future__ import annotations

import ast

from esp3c.check.sources import DATASET, builder_of, source_of
from esp3c.ir import Dataset, PythonNode, at, strip
from esp3c.python.contents import overloaded
from esp3c.python.find import Status
from esp3c.python.model import Class, Function
from esp3c.python.reader import Reader, reader
from esp3c.python.signature import Bound, Signature, signature
from esp3c.query.context import Context, context
from esp3c.query.context_reading import ARGUMENT_ROLES, CALLED, DECLARED, KEYED, LISTED, USED, Frame, What
from esp3c.query.docstrings import docstring_of
from esp3c.query.known import known
from esp3c.query.signatures_docs import Described, described, read
from esp3c.query.view import View
from esp3c.record import record
from esp3c.schema import types as t
from esp3c.schema.backends import BACKENDS
from esp3c.schema.roles import LIFECYCLE, ROLES, Role

SUPPLIED_TO_BUILDERS = frozenset({"recipe_dir"})
"""Arguments of lifecycle methods that ESPnet3 hands over itself."""


@record
class Parameter:
    """Something that a call may be given by name. `type` and `default` are texts; `bound` or `key` is where it is from."""

    name: str
    required: bool
    type: str = ""
    default: str = ""
    bound: Bound | None = None
    key: t.Key | None = None

    @property
    def label(self) -> str:
        """As a signature has it: `lr: float = 1e-3`."""
        typed = f"{self.name}: {self.type}" if self.type else self.name
        if not self.default:
            return typed
        return f"{typed} = {self.default}" if self.type else f"{typed}={self.default}"


@record
class Called:
    """A call. `name` is how it is written, `path` the Python that it comes to (empty: none).

    `parameters` leaves out what ESPnet3 hands over itself, which is in `supplied`. `open`: it may take others as well.
    """

    name: str
    path: str = ""
    parameters: tuple[Parameter, ...] = ()
    supplied: tuple[str, ...] = ()
    role: Role | None = None
    open: bool = False

    def get(self, name: str) -> Parameter | None:
        return next((each for each in self.parameters if each.name == name), None)


# -- which call ---------------------------------------------------------------------------------------------------------


def called(view: View, frames: tuple[Frame, ...]) -> Called | None:
    """The call whose arguments stand directly in the innermost of these brackets; None where that is none."""
    frame, recipe = frames[-1], view.recipe
    if frame.role not in ARGUMENT_ROLES:
        return _called_by_block(view, frames)
    head = ".".join(frame.words)
    if frame.role == USED and head in recipe.datasets:
        return None
    if frame.role == CALLED and head in BACKENDS:
        return _of_block(head, BACKENDS[head])
    if head in recipe.datasets:
        return of_dataset(view, head)
    return called_path(view, head, role_at(view, frames[:-1]))


def _called_by_block(view: View, frames: tuple[Frame, ...]) -> Called | None:
    """Blocks whose keys are arguments: `text_builder { func = … }`, and what a source's builder is given."""
    if frames[-1].role != KEYED or len(frames) < 3 or frames[1].role != DECLARED:
        return None
    kind, name = frames[1].words[0], frames[1].words[-1]
    match frames[-1].words:
        case ("text_builder",):
            config = view.recipe.configs.get(frames[1].words[1] if kind == "config" else kind)
            node = at(config.root, ("tokenizer", "text_builder", "func")) if config is not None else None
            function = strip(node) if node is not None else None
            if isinstance(function, PythonNode) and function.target.status is Status.FOUND:
                return called_path(view, function.target.path, None)
        case ("create_dataset",) if kind == "dataset":
            dataset = view.recipe.datasets.get(name)
            found = builder_of(dataset, reader(view.world)) if dataset is not None else None
            if found is not None:
                return _of_builder(view, found.found.path, found.found.path)
    return None


def role_at(view: View, frames: tuple[Frame, ...]) -> Role | None:
    """What the place inside these brackets wants a call to make."""
    type = known(view.recipe, frames).type
    makes = next((each.makes for each in options(type) if isinstance(each, t.Target)), "")
    if makes:
        return ROLES.get(makes)
    # A scheduler of schedulers: what its list holds gets the same.
    if len(frames) > 2 and frames[-1].role == LISTED and frames[-2].role == CALLED:
        outer = role_at(view, frames[:-2])
        inner = dict(outer.inner) if outer is not None else {}
        return ROLES.get(inner.get(".".join(frames[-2].key), ""))
    return None


def options(type: t.Type | None) -> tuple[t.Type, ...]:
    """The types of which a value may have any."""
    return type.options if isinstance(type, t.Either) else (type,) if type is not None else ()


# -- what it takes ------------------------------------------------------------------------------------------------------


def called_path(view: View, path: str, role: Role | None) -> Called:
    """The call of a Python object where a role is wanted."""
    reading = reader(view.world)
    if role is not None and role.what == "a DatasetBuilder":
        return _of_builder(view, path, path)
    made = signature(reading, path)
    supplied = list(role.supplied) if role is not None else []
    if role is not None and role.ahead:
        supplied += [each.name for each in made.parameters[: role.ahead]]
    if role is not None and role.waits and isinstance(reading.find(path).definition, Function):
        # It is called later, with the item.
        supplied += [each.name for each in made.parameters[:1]]
    return _made(path, made, tuple(supplied), role)


def _made(name: str, made: Signature, supplied: tuple[str, ...], role: Role | None) -> Called:
    parameters = tuple(map(_of_bound, (each for each in made.named if each.name not in supplied)))
    ordered = tuple(sorted(parameters, key=lambda each: not each.required))
    return Called(name, made.path, ordered, supplied, role, bool(made.open or made.why))


def _of_bound(bound: Bound) -> Parameter:
    default = bound.parameter.default if bound.parameter.default not in {None, "..."} else ""
    return Parameter(bound.name, bound.required, bound.parameter.annotation or "", default or "", bound)


def of_dataset(view: View, name: str) -> Called | None:
    """A use of a declared dataset: the arguments of its class."""
    dataset = view.recipe.datasets.get(name)
    path = class_of(dataset) if dataset is not None else ""
    made = signature(reader(view.world), path) if path else Signature(why="its class is not known")
    return _made(name, made, (), None)


def parameter_of(reading: Reader, path: str, name: str) -> Bound | None:
    """A parameter of a Python object; of a builder, one of its lifecycle methods."""
    found = signature(reading, path).get(name)
    if found is not None:
        return found
    return next((each for each in _lifecycle(reading, path) if each.name == name), None)


def class_of(dataset: Dataset) -> str:
    """The path of a dataset's class; empty where it is not known."""
    node = dataset.settings.get("class")
    target = strip(node) if node is not None else None
    if isinstance(target, PythonNode) and target.target.status is Status.FOUND and not target.target.is_module:
        return target.target.path
    source = source_of(dataset)
    return f"{source[0]}.{DATASET}" if source is not None and target is None else ""


def _of_builder(view: View, name: str, path: str) -> Called:
    """A builder's arguments are those of its lifecycle methods."""
    made = Signature(tuple(_lifecycle(reader(view.world), path)), path=path)
    return _made(name, made, tuple(SUPPLIED_TO_BUILDERS), ROLES["a DatasetBuilder"])


def _lifecycle(reading: Reader, path: str) -> list[Bound]:
    taken: dict[str, Bound] = {}
    for each in LIFECYCLE:
        method = reading.method(path, each)
        for parameter in method.function.parameters[1:] if method is not None else ():
            if method is not None and parameter.kind in {"plain", "keyword"}:
                bound = Bound(parameter, method.module, f"{method.owner}.{each}", parameter.default is None)
                taken.setdefault(parameter.name, bound)
    return list(taken.values())


def _of_block(name: str, block: t.Block) -> Called:
    keys = (Parameter(key.name, False, t.words(key.type), key.default or "", None, key) for key in block.keys)
    return Called(name, "", tuple(keys))


def maker(reading: Reader, owner: str) -> Function | None:
    """The function whose parameters an owner's are: itself, or the `__init__` of the class."""
    match reading.find(owner).definition:
        case Function() as function:
            return function
        case Class() as node:
            return next(iter(reversed(node.defined("__init__") or node.defined("__new__"))), None)
    return None


def literal(text: str) -> str:
    """A default of Python as a recipe writes it; empty for what it cannot write."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ""
    return written(value, text)


def written(value: object, text: str = "") -> str:
    """A plain value of Python as a recipe writes it. `text`: how the number was written."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            shown = text or repr(value)
            return shown if value == value and abs(value) != float("inf") and shown.lstrip("-")[:1].isdigit() else ""
        case str():
            return quoted(value)
        case list() | tuple():
            items = [written(each) for each in value]
            return f"[{', '.join(items)}]" if all(items) else ""
        case _:
            return ""


def quoted(text: str) -> str:
    """A text in quotes, with the escapes that it needs."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(char, char) for char in text).replace("${", "$${") + '"'


# -- signature help -------------------------------------------------------------------------------------------------------


@record
class Way:
    """One way to call something: the signature as text, and in it each parameter with its place and its text."""

    label: str
    parameters: tuple[tuple[int, int, str], ...]
    names: tuple[str, ...]


@record
class Help:
    """The ways to call what is being called. `parameter` is the name of the one that is being written, if it is known."""

    ways: tuple[Way, ...]
    active: int
    parameter: str
    summary: str


def signature_help(view: View, offset: int) -> Help | None:
    """The signatures of the innermost call around an offset; None where there is none, or nothing is known of it."""
    place = context(view, offset)
    if place.what is What.COMMENT:
        return None
    frames = place.frames
    depth = next((number for number in range(len(frames) - 1, 0, -1) if frames[number].role == CALLED), 0)
    if not depth or any(frame.role in {KEYED, USED} for frame in frames[depth + 1 :]):
        # In a block inside the call one writes something else.
        return None
    call = called(view, frames[: depth + 1])
    if call is None or (not call.parameters and not call.path):
        return None
    reading = reader(view.world)
    said = _described(reading, call.path)
    variants = _overloads(reading, call) or [call.parameters]
    if not any(variants) and call.open:
        return None
    ways = tuple(_way(call, each, said) for each in variants)
    given = set(frames[depth].given)
    active = next((number for number, way in enumerate(ways) if given <= set(way.names)), 0)
    return Help(ways, active, _active(place, frames[depth], ways[active], depth), said.summary)


def _described(reading: Reader, path: str) -> Described:
    """What the docstrings say; also one that is given to a class behind its body."""
    said = described(reading, path) if path else Described()
    return said if said.summary or not path else read(docstring_of(reading, path))


def _active(place: Context, frame: Frame, way: Way, depth: int) -> str:
    """The parameter at the cursor: by its name, or the first that is not given yet."""
    inside = frame.key and (len(place.frames) > depth + 1 or place.what is not What.ARGUMENT)
    if inside:
        return ".".join(frame.key)
    near = [name for name in way.names if place.word and name.startswith(place.word) and name not in frame.given]
    free = [name for name in way.names if name not in frame.given]
    return next(iter(near or free), "")


def _way(call: Called, parameters: tuple[Parameter, ...], said: Described) -> Way:
    label = f"{call.name.rpartition('.')[2]}("
    places: list[tuple[int, int, str]] = []
    for number, each in enumerate(parameters):
        label += ", " if number else ""
        start = len(label)
        label += each.label
        told = each.key.doc if each.key is not None else said.parameters.get(each.name, "")
        places.append((start, len(label), told))
    label += (", …" if parameters else "…") if call.open and call.path else ""
    return Way(label + ")", tuple(places), tuple(each.name for each in parameters))


def _overloads(reading: Reader, call: Called) -> list[tuple[Parameter, ...]]:
    """The ways to call something that says several; none where it has one."""
    found = reading.find(call.path) if call.path else None
    if found is None or found.module is None or (call.role is not None and call.role.what == "a DatasetBuilder"):
        return []
    match found.definition:
        case Class():
            method = reading.method(found.path, "__init__")
            functions, module, owner, bound = (
                (method.overloads, method.module, method.owner, True) if method is not None else ((), None, "", True)
            )
        case Function():
            functions, module, owner, bound = found.overloads, found.module, found.path, bool(found.owner)
        case _:
            return []
    ways = [each for each in functions if overloaded(each)]
    if len(ways) < 2 or module is None:
        return []
    made = []
    for each in ways:
        skipped = 1 if bound and not each.static else 0
        inner = [
            Bound(parameter, module, owner, parameter.default is None)
            for parameter in each.parameters[skipped:]
            if parameter.kind in {"plain", "keyword"} and parameter.name not in call.supplied
        ]
        made.append(tuple(map(_of_bound, inner)))
    return made
