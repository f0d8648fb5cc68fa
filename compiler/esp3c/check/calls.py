"""The calls of a recipe, and for each argument whether it is proved, wrong or unchecked.

Rules of the family `targets` say what is wrong; the account of a check counts the rest. Both read the verdicts here, so
that nothing is called proved which was not compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakKeyDictionary

from esp3c.check.blocks import all_values, walk_blocks
from esp3c.check.sources import DATASET, builder_of, source_of, written_entries
from esp3c.check.values import Comparing, Doubt, Misfit
from esp3c.ir import (
    CallNode,
    Config,
    Dataset,
    DatasetNode,
    LinkNode,
    ListNode,
    MapNode,
    Node,
    PythonNode,
    Recipe,
    Scalar,
    at,
    strip,
)
from esp3c.python import types as p
from esp3c.python.find import Status
from esp3c.python.literal import literal
from esp3c.python.model import Class, Function
from esp3c.python.reader import Found, Reader, reader
from esp3c.python.signature import Bound, Signature, signature
from esp3c.record import changed, record
from esp3c.schema import types as t
from esp3c.schema.roles import LIFECYCLE, MODULE, ROLES, Role
from esp3c.source import Span
from esp3c.world import World


@record
class Call:
    """A call in a recipe: what it makes an object for, and the config that it stands in (None: outside of configs)."""

    node: CallNode
    role: Role | None
    config: Config | None


@record
class Argument:
    """One argument of a call: the parameter that takes it, if there is one, and what came of comparing its value."""

    name: str
    key_span: Span
    value: Node
    bound: Bound | None
    misfit: Misfit | None = None
    doubt: str = ""
    by_default: bool = False
    """The value was compared with the parameter's default, as it has no annotation."""


@record
class Verdict:
    """What is known of one call: its head, its signature, its arguments, and the names that it lacks."""

    head: Span
    path: str
    signature: Signature
    arguments: tuple[Argument, ...]
    missing: tuple[Bound, ...]
    call: Call | None = None


_KNOWN: WeakKeyDictionary[World, dict[int, tuple[Recipe, tuple[Verdict, ...]]]] = WeakKeyDictionary()


def verdicts(recipe: Recipe, world: World) -> tuple[Verdict, ...]:
    """The verdicts of all calls and dataset uses of a recipe. Several rules ask; they are made once."""
    kept = _KNOWN.setdefault(world, {})
    known = kept.get(id(recipe))
    if known is None or known[0] is not recipe:
        kept.clear()
        known = kept[id(recipe)] = (recipe, tuple(_judged(recipe, reader(world))))
    return known[1]


def _judged(recipe: Recipe, reading: Reader) -> Iterator[Verdict]:
    for call in calls(recipe):
        if call.role is not None and call.role.what == "a DatasetBuilder":
            # Its arguments are those of its methods.
            continue
        if call.config is not None and _by_task(call.config, call.node):
            # It is never made, and what stands in it is meant for the task.
            continue
        yield _call_verdict(call, reading)
    for config, use in dataset_uses(recipe):
        verdict = _dataset_verdict(recipe, config, use, reading)
        if verdict is not None:
            yield verdict
    for config, module, span, arguments in written_entries(recipe):
        if isinstance(reading.find(f"{module}.{DATASET}").definition, Class):
            yield _class_verdict(f"{module}.{DATASET}", span, arguments, config, reading)
    for dataset in recipe.datasets.values():
        verdict = _builder_verdict(dataset, reading)
        if verdict is not None:
            yield verdict
    for config in recipe.configs.values():
        verdict = _text_builder_verdict(config, reading)
        if verdict is not None:
            yield verdict


def _by_task(config: Config, node: CallNode) -> bool:
    """Whether a call stands where a task wants the settings of its model."""
    model, task = config.root.get("model"), config.root.get("task")
    if model is None or task is None or strip(model) is not node:
        return False
    value = strip(task)
    return not (isinstance(value, Scalar) and value.value is None)


def calls(recipe: Recipe) -> Iterator[Call]:
    """Every call of a recipe once, with what its place wants."""
    seen: set[int] = set()
    # A call that a `let` holds is judged where it is used: its place knows what is handed over.
    placed: set[int] = set()
    owners = [(config, config.root) for config in recipe.configs.values()]
    homes: dict[int, Config] = {}
    for config, root in owners:
        for value in all_values(root):
            if isinstance(value, CallNode):
                homes.setdefault(id(value), config)
    for node, block in walk_blocks(recipe):
        for entry in node.entries:
            key = block.key(entry.name)
            for made, role in _with_roles(strip(entry.value), key.type if key is not None else t.ANY):
                if id(made) not in seen:
                    seen.add(id(made))
                    placed.add(made.head.start)
                    yield Call(made, role, homes.get(id(made)))
    loose: list[tuple[Config | None, Node]] = [*owners, *((None, each) for _, each in recipe.lets.values())]
    loose += [(None, dataset.settings) for dataset in recipe.datasets.values()]
    loose += [(None, stage.workload) for stage in recipe.stages if stage.workload is not None]
    for owner, root_node in loose:
        for value in all_values(root_node):
            if isinstance(value, CallNode) and id(value) not in seen and (owner or value.head.start not in placed):
                seen.add(id(value))
                yield Call(value, None, owner)


def _with_roles(node: Node, type: t.Type) -> Iterator[tuple[CallNode, Role | None]]:
    """The calls directly at a place, with the role that its type gives them."""
    options = type.options if isinstance(type, t.Either) else (type,)
    if isinstance(node, CallNode):
        if any(isinstance(option, t.Inside) and option.block.target == node.target.path for option in options):
            return
        makes = next((option.makes for option in options if isinstance(option, t.Target)), "")
        yield from _with_inner(node, ROLES.get(makes))
    elif isinstance(node, ListNode):
        item = next((option.item for option in options if isinstance(option, t.ListOf)), None)
        if item is not None:
            for each in node.items:
                yield from _with_roles(strip(each), item)


def _with_inner(node: CallNode, role: Role | None) -> Iterator[tuple[CallNode, Role | None]]:
    yield node, role
    for name, what in role.inner if role is not None else ():
        inner = node.arguments.get(name)
        held = strip(inner) if inner is not None else None
        for each in held.items if isinstance(held, ListNode) else ():
            part = strip(each)
            if isinstance(part, CallNode):
                yield from _with_inner(part, ROLES[what])


def dataset_uses(recipe: Recipe) -> Iterator[tuple[Config, DatasetNode]]:
    """Every use of a declared dataset in a config."""
    for config in recipe.configs.values():
        for value in all_values(config.root):
            if isinstance(value, DatasetNode):
                yield config, value


def _call_verdict(call: Call, reading: Reader) -> Verdict:
    node = call.node
    if node.target.status is Status.ABSENT or node.target.is_module:
        return Verdict(node.head, node.target.path, Signature(why="it is not there"), (), (), call)
    made = signature(reading, node.target.path)
    comparing = Comparing(reading, _follow(call.config))
    supplied = set(call.role.supplied) if call.role is not None else set()
    arguments = tuple(
        _argument(entry.name, entry.key_span, entry.value, made, comparing) for entry in node.arguments.entries
    )
    given = {entry.name for entry in node.arguments.entries}
    positional = _positional(node)
    if positional is not None and call.role is not None:
        positional += call.role.ahead
    missing: list[Bound] = []
    for number, bound in enumerate(made.parameters):
        if not bound.required or bound.name in given or bound.name in supplied:
            continue
        if positional is None or (number < positional and bound.parameter.kind in {"plain", "positional"}):
            continue
        missing.append(bound)
    # How a function is called that waits for its item, the flow of the data knows.
    waits = (
        call.role is not None and call.role.waits and isinstance(reading.find(node.target.path).definition, Function)
    )
    waits = waits and any(bound.parameter.kind in {"plain", "positional"} for bound in missing)
    absent = () if node.partial or made.why or waits else tuple(missing)
    return Verdict(node.head, node.target.path, made, arguments, absent, call)


def _positional(node: CallNode) -> int | None:
    """How many values are given by position; None where that is not known."""
    given = node.options.get("_args_")
    if given is None:
        return len(node.positional)
    value = strip(given)
    return len(value.items) if isinstance(value, ListNode) else None


def _dataset_verdict(recipe: Recipe, config: Config, use: DatasetNode, reading: Reader) -> Verdict | None:
    """The arguments of a dataset are those of its class."""
    dataset = recipe.datasets.get(use.dataset)
    path = _class_path(dataset) if dataset is not None else None
    if path is None or not isinstance(reading.find(path).definition, Class | Function):
        return None
    verdict = _class_verdict(path, use.head, use.arguments, config, reading)
    return changed(verdict, missing=()) if use.positional else verdict


def _class_path(dataset: Dataset) -> str | None:
    node = dataset.settings.get("class")
    if node is None:
        source = source_of(dataset)
        return f"{source[0]}.{DATASET}" if source is not None else None
    target = strip(node)
    if not isinstance(target, PythonNode) or target.target.status is Status.ABSENT or target.target.is_module:
        return None
    return target.target.path


def _class_verdict(path: str, head: Span, given: MapNode, config: Config, reading: Reader) -> Verdict:
    """Arguments that reach a dataset's class as they stand in the YAML."""
    made = signature(reading, path)
    comparing = Comparing(reading, _follow(config), paths_are_text=True)
    arguments = tuple(_argument(entry.name, entry.key_span, entry.value, made, comparing) for entry in given.entries)
    names = {entry.name for entry in given.entries}
    missing = tuple(bound for bound in made.parameters if bound.required and bound.name not in names and not made.why)
    return Verdict(head, path, made, arguments, missing)


def of_wrong_kind(reading: Reader, verdict: Verdict) -> bool:
    """Whether a call makes an object that its place has no use for."""
    role = verdict.call.role if verdict.call is not None else None
    if role is None or not role.kinds or verdict.call is None or verdict.call.node.partial:
        return False
    found = reading.find(verdict.path)
    if not isinstance(found.definition, Class) or reading.is_a(found.path, role.kinds) is not False:
        return False
    return not makes_another(reading, found) and not _looks_like(reading, found, role.kinds)


def makes_another(reading: Reader, found: Found) -> bool:
    """Whether calling a class may make an object of another one: it has a `__new__` of its own."""
    made = reading.method(found.path, "__new__")
    return made is not None and made.module.local


def _looks_like(reading: Reader, found: Found, kinds: tuple[str, ...]) -> bool:
    """Whether an object would do without being of the class: metrics and optimizers are known by what they have."""
    if MODULE in kinds:
        return False
    members = set(reading.members(found.path))
    if any(kind.startswith("espnet3.") for kind in kinds):
        return "__call__" in members
    if any(kind.startswith("lightning.") for kind in kinds):
        # Lightning is installed under two names, and extensions bring protocols of their own.
        paths = reading.bases(found.path).paths
        ends = {kind.rpartition(".")[2] for kind in kinds}
        return any(path.rpartition(".")[2] in ends for path in paths)
    return {"step", "zero_grad"} <= members or ("step" in members and "get_last_lr" in members)


def _follow(config: Config | None) -> _Follow:
    return _Follow(config)


def _builder_verdict(dataset: Dataset, reading: Reader) -> Verdict | None:
    """The arguments of a builder are those of its four methods; each is compared where it is first taken."""
    builder = builder_of(dataset, reading)
    if builder is None or not isinstance(builder.found.definition, Class):
        return None
    path = builder.found.path
    taken: dict[str, Bound] = {}
    for name in LIFECYCLE:
        method = reading.method(path, name)
        for each in method.function.parameters if method is not None else ():
            if method is not None and each.kind in {"plain", "keyword"} and each.name != "self":
                taken.setdefault(each.name, Bound(each, method.module, method.owner, False))
    made = Signature(tuple(taken.values()), "its methods are asked one by one", path=path)
    comparing = Comparing(reading, _follow(None))
    arguments = tuple(
        _argument(entry.name, entry.key_span, entry.value, made, comparing) for entry in builder.arguments.entries
    )
    return Verdict(builder.head, path, made, arguments, ())


def _text_builder_verdict(config: Config, reading: Reader) -> Verdict | None:
    """`text_builder = { func = …, … }` is a call of `func` with the other keys."""
    place = at(config.root, ("tokenizer", "text_builder")) if config.kind == "training" else None
    block = strip(place) if place is not None else None
    if not isinstance(block, MapNode):
        return None
    named = block.get("func")
    function = strip(named) if named is not None else None
    if not isinstance(function, PythonNode) or function.target.status is Status.ABSENT or function.target.is_module:
        return None
    made = signature(reading, function.target.path)
    comparing = Comparing(reading, _follow(config), paths_are_text=True)
    given = [entry for entry in block.entries if entry.name != "func"]
    arguments = tuple(_argument(each.name, each.key_span, each.value, made, comparing) for each in given)
    names = {each.name for each in given}
    missing = tuple(each for each in made.parameters if each.required and each.name not in names and not made.why)
    return Verdict(function.span, function.target.path, made, arguments, missing)


class _Follow:
    def __init__(self, config: Config | None) -> None:
        self.config = config

    def __call__(self, link: LinkNode) -> Node | None:
        return at(self.config.root, link.place) if self.config is not None and not link.scaffold else None


def _argument(name: str, key_span: Span, value: Node, made: Signature, comparing: Comparing) -> Argument:
    bound = made.get(name)
    if made.why:
        return Argument(name, key_span, value, None, doubt=made.why)
    if bound is None:
        return Argument(name, key_span, value, None, doubt=made.open)
    annotation, default = bound.parameter.annotation, bound.parameter.default
    if annotation is None:
        wanted = _of_default(default)
        by_default = True
    else:
        wanted = p.type_of(comparing.reader, bound.module, annotation)
        by_default = False
        wanted = _with_default(wanted, default, key_span, comparing)
    outcome = comparing.compare(value, wanted)
    if isinstance(outcome, Misfit):
        return Argument(name, key_span, value, bound, misfit=outcome, by_default=by_default)
    doubt = outcome.why if isinstance(outcome, Doubt) else ""
    return Argument(name, key_span, value, bound, doubt=doubt, by_default=by_default)


def _with_default(wanted: p.Type, text: str | None, span: Span, comparing: Comparing) -> p.Type:
    """`mode: str = None`: a default is always taken, whatever the annotation forgot."""
    own = _of_default(text, exactly=True)
    if isinstance(wanted, p.Unknown) or isinstance(own, p.Unknown) or text is None:
        return wanted
    forgotten = isinstance(comparing.compare(Scalar(literal(text), span), wanted), Misfit)
    return p.union(wanted, own) if forgotten else wanted


def _of_default(text: str | None, *, exactly: bool = False) -> p.Type:
    """The type that a default speaks for. A None, a list or a call says nothing of what else is taken.

    `exactly`: the type of the default itself; otherwise what a person would give in its place.
    """
    unsaid = p.Unknown("it has neither annotation nor a default that tells")
    if text is None:
        return unsaid
    try:
        value = literal(text)
    except ValueError:
        return unsaid
    none = p.Basic("None")
    match value:
        case None:
            return none if exactly else unsaid
        case bool():
            return p.Basic("bool") if exactly else p.union(p.Basic("bool"), none)
        case int() | float():
            if exactly:
                return p.Basic("int" if isinstance(value, int) else "float")
            numbers = p.union(p.Basic("float"), none)
            # `kernel = 3` may be `[3, 5]` as well.
            return p.union(numbers, p.Fixed((p.Basic("float"),) * 2), p.Fixed((p.Basic("float"),) * 3))
        case str():
            return p.Basic("str") if exactly else p.union(p.Basic("str"), none, p.Callable())
        case _:
            return unsaid
