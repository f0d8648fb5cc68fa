"""Targets: what the named objects are, against what their places want."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from esp3c.check.calls import makes_another, of_wrong_kind, verdicts
from esp3c.check.targets import short
from esp3c.diagnostics import Diagnostic, Edit, Fix, Label, code_of, explained
from esp3c.ir import Dataset, PythonNode, Recipe, strip
from esp3c.python import types as p
from esp3c.python.find import Status
from esp3c.python.model import Class, Function, Value
from esp3c.python.reader import STOPS, Found, Reader, reader
from esp3c.schema.roles import METRIC, MODULE
from esp3c.source import Span
from esp3c.suggest import all_of
from esp3c.world import World

_DATASETS = ("torch.utils.data.dataset.Dataset", "torch.utils.data.dataset.IterableDataset")


def definition_label(reading: Reader, found: Found, text: str) -> tuple[Label, ...]:
    definition = found.definition
    if definition is None or found.module is None:
        return ()
    span = reading.span(found.module, definition.line, definition.column, len(definition.name))
    return (Label(span, text),) if span is not None else ()


@explained("ESP0406", "an abstract class")
def abstract_class(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A call makes an object of a class that leaves methods to those that extend it.

        metrics = [espnet3.components.metrics.base_metric.BaseMetric()]

    Python refuses to make it. Name a class that has all the methods.
    """
    reading = reader(world)
    for verdict in verdicts(recipe, world):
        if verdict.call is None or verdict.call.node.partial:
            continue
        missing = abstract_methods(reading, verdict.path)
        if missing:
            found = reading.find(verdict.path)
            yield Diagnostic(
                code_of(abstract_class),
                f"`{short(verdict.path)}` is abstract: it has no {all_of(missing)} of its own",
                Label(verdict.head, "no object can be made of it"),
                secondary=definition_label(reading, found, "this class"),
            )


def abstract_methods(reading: Reader, path: str) -> list[str]:
    """The abstract methods that a class has not filled in. Empty where not all its bases are known."""
    found = reading.find(path)
    if not isinstance(found.definition, Class):
        return []
    bases = reading.bases(path)
    if not bases.complete:
        return []
    guarded = "abc.ABC" in bases.paths
    done: set[str] = set()
    missing: list[str] = []
    for owner in bases.paths:
        each = reading.find(owner) if owner not in STOPS else None
        if each is None or not isinstance(each.definition, Class):
            continue
        guarded = guarded or any("ABCMeta" in text for _, text in each.definition.keywords)
        for method in each.definition.methods:
            if method.name not in done:
                done.add(method.name)
                if method.abstract:
                    missing.append(method.name)
        # `name: int` alone says of what type it is, and leaves it unbound.
        bare = [other.name for other in each.definition.attributes if other.annotation and other.value is None]
        done.update(other.name for other in each.definition.attributes if other.name not in bare)
    return missing if guarded else []


@explained("ESP0407", "something that cannot be called")
def not_callable(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A call names a value or a property instead of a class or a function.

        model = src.model.HIDDEN_SIZE()

    Its value is used by its path, without brackets.
    """
    reading = reader(world)
    for verdict in verdicts(recipe, world):
        found = reading.find(verdict.path)
        if verdict.call is None or not isinstance(found.definition, Value) or found.definition.text is None:
            continue
        text = found.definition.text
        if is_plain_value(text):
            yield Diagnostic(
                code_of(not_callable),
                f"`{short(verdict.path)}` is a value, not a class or a function",
                Label(verdict.head, f"it is {text if len(text) < 40 else text[:37] + '...'}"),
                secondary=definition_label(reading, found, "defined here"),
            )


def is_plain_value(text: str) -> bool:
    return text[:1].isdigit() or text[:1] in {"'", '"', "[", "{", "-"} or text in {"True", "False", "None"}


@explained("ESP0408", "an object of the wrong kind")
def wrong_kind(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A place wants one kind of object and is given another.

        optimizer = torch.optim.lr_scheduler.OneCycleLR(max_lr = 0.1, total_steps = 800)
        dataset digits { class = dataset.dataset }                   # a module

    Bases are followed through source files. A class with a base that cannot be read is counted as unchecked.
    """
    reading = reader(world)
    for verdict in verdicts(recipe, world):
        call = verdict.call
        if call is None or call.role is None or call.node.partial:
            continue
        found = reading.find(verdict.path)
        role = call.role
        returned = _returned(reading, found) if MODULE in role.kinds else ""
        if returned:
            yield Diagnostic(
                code_of(wrong_kind),
                f"`{short(verdict.path)}` returns {returned}",
                Label(verdict.head, f"{role.what} is wanted here"),
                secondary=definition_label(reading, found, "its annotation says so"),
            )
        if not isinstance(found.definition, Class):
            continue
        if of_wrong_kind(reading, verdict):
            yield _wrong(reading, found, verdict.head, role.what, verdict.path)
        elif MODULE in role.kinds and not makes_another(reading, found) and _has_no_forward(reading, found.path):
            yield Diagnostic(
                code_of(wrong_kind),
                f"`{short(verdict.path)}` has no `forward`",
                Label(verdict.head, "a model is called with each batch"),
                secondary=definition_label(reading, found, "this class"),
            )
        elif role.called and _cannot_be_called(reading, found.path):
            yield Diagnostic(
                code_of(wrong_kind),
                f"an object of `{short(verdict.path)}` cannot be called",
                Label(verdict.head, f"{role.what} is called: it needs `__call__`"),
                secondary=definition_label(reading, found, "this class"),
            )
    for dataset in recipe.datasets.values():
        yield from _dataset_kinds(reading, dataset)


def _returned(reading: Reader, found: Found) -> str:
    """What a function says that it returns, in words, where that is surely no torch module."""
    function, module = found.definition, found.module
    if not isinstance(function, Function) or module is None or function.decorators or len(found.overloads) > 1:
        return ""
    made = p.type_of(reading, module, function.returns)
    if isinstance(made, p.Instance):
        return p.said(made) if not made.of_type and reading.is_a(made.path, (MODULE,)) is False else ""
    plain = isinstance(made, p.Basic | p.Literals | p.Items | p.Fixed | p.Mapping | p.Keys)
    return p.said(made) if plain else ""


def _wrong(reading: Reader, found: Found, span: Span, what: str, path: str) -> Diagnostic:
    return Diagnostic(
        code_of(wrong_kind),
        f"`{short(path)}` is not {what}",
        Label(span, f"{what} is wanted here"),
        secondary=definition_label(reading, found, "defined here"),
    )


def _has_no_forward(reading: Reader, path: str) -> bool:
    """Whether a torch.nn.Module leaves `forward` to classes that extend it."""
    bases = reading.bases(path)
    members = set(reading.members(path))
    return bases.complete and not {"forward", "__call__", "__getattr__", "_call_impl", "__new__"} & members


def _cannot_be_called(reading: Reader, path: str) -> bool:
    bases = reading.bases(path)
    if not bases.complete or reading.is_a(path, (MODULE,)) is not False:
        return False
    return "__call__" not in reading.members(path)


def _dataset_kinds(reading: Reader, dataset: Dataset) -> Iterator[Diagnostic]:
    node = dataset.settings.get("class")
    value = strip(node) if node is not None else None
    if isinstance(value, PythonNode) and value.target.is_module:
        yield Diagnostic(
            code_of(wrong_kind),
            f"`{value.target.path}` is a module, and a class is wanted",
            Label(value.span, "name the class in it"),
        )
    elif isinstance(value, PythonNode) and value.target.status is Status.FOUND:
        found = reading.find(value.target.path)
        # A function may stand here as well: it is called in the place of the class, and gives the dataset.
        if isinstance(found.definition, Class):
            yield from _dataset_class(reading, found, value.span)


def _dataset_class(reading: Reader, found: Found, span: Span) -> Iterator[Diagnostic]:
    """A dataset has `__getitem__` and `__len__`, or is an IterableDataset."""
    bases = reading.bases(found.path)
    if not bases.complete or _DATASETS[1] in bases.paths:
        return
    if any(base.startswith("builtins.") and base != "builtins.object" for base in bases.paths):
        return
    members = set(reading.members(found.path))
    if "__getattr__" in members or "__iter__" in members:
        return
    absent = [name for name in ("__getitem__", "__len__") if name not in members]
    if absent:
        yield Diagnostic(
            code_of(wrong_kind),
            f"`{short(found.path)}` is no dataset: it has no {all_of(absent)}",
            Label(span, "a torch.utils.data.Dataset is wanted here"),
            secondary=definition_label(reading, found, "this class"),
        )


@explained("ESP0409", "`partial` where the object itself is wanted")
def needless_partial(recipe: Recipe, world: World) -> Iterable[Diagnostic]:
    """A call is written with `partial` (Hydra's `_partial_`) where nothing calls it later.

        model = partial src.model.CTCRecognizer(n_mels = 80)

    ESPnet3 would get a function instead of the model. Leave `partial` out. An optimizer and a scheduler need none
    either: what is not known before the run, ESPnet3 hands over itself.
    """
    reading = reader(world)
    for verdict in verdicts(recipe, world):
        call = verdict.call
        if call is None or call.role is None or not call.node.partial:
            continue
        if call.role.called and not isinstance(reader(world).find(verdict.path).definition, Class):
            continue
        node = call.node
        if METRIC in call.role.kinds and isinstance(reading.find(node.target.path).definition, Function):
            # A metric is called, and so is what is made of a function.
            continue
        text = node.span.text
        fix = None
        if text.startswith("partial "):
            start = node.span.start
            fix = Fix("leave out `partial`", (Edit(Span(node.span.source, start, start + len("partial ")), ""),))
        yield Diagnostic(
            code_of(needless_partial),
            f"{call.role.what} is wanted here, and `partial` makes a function"
            + (f" that makes a `{short(verdict.path)}`" if call.role.called else ""),
            Label(
                verdict.head, "nothing calls it later" if not call.role.called else "an object of the class is called"
            ),
            fix=fix,
        )
