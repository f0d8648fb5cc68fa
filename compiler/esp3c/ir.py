"""The resolved recipe: names are looked up, bases are merged, calls are calls. A type of its own, not the syntax tree.

Values
    Scalar, Text, ListNode, MapNode, CallNode      what stands in the recipe
    PythonNode                                     a Python object by its dotted path
    LinkNode                                       another value of the same config: `${…}` in its YAML
    CarriedNode                                    a value that stands elsewhere in the recipe, carried over
    DatasetNode, ParallelNode                      uses of declarations
    BrokenNode                                     what could not be resolved; the reason is a fact of the recipe

What is wrong is kept as facts (`Undefined`, `Repeated`, …) without prose; `esp3c.check` says it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any, TypeAlias, TypeVar

from esp3c.python.find import Lookup
from esp3c.record import field, record
from esp3c.schema.stages import Stage as BuiltIn
from esp3c.source import Span
from esp3c.syntax.ast import Dimension, FieldType

Step: TypeAlias = str | int
Place: TypeAlias = tuple[Step, ...]
"""The way from a config's root to a value: keys and list positions."""


@record
class Scalar:
    value: bool | int | float | str | None
    span: Span
    dimension: Dimension | None = None


@record
class Resolver:
    """`${oc.env:HOME}`: left to OmegaConf as it stands."""

    expression: str
    span: Span


@record
class Text:
    """Text with interpolations. A part is plain text, a link, a carried value, or a resolver's expression."""

    parts: tuple[str | LinkNode | CarriedNode | Resolver | BrokenNode, ...]
    span: Span


@record
class ListNode:
    items: tuple[Node, ...]
    span: Span


@record
class Entry:
    name: str
    key_span: Span
    value: Node


@record
class MapNode:
    entries: tuple[Entry, ...]
    span: Span
    walked: list[Node] = field(default_factory=list, compare=False)
    """What `all_values` found inside: many rules go through a config."""

    def get(self, name: str) -> Node | None:
        return next((entry.value for entry in self.entries if entry.name == name), None)


@record
class CallNode:
    """A Python target with its arguments. `head` is the dotted path where it stands; hydra keys are in `options`."""

    target: Lookup
    head: Span
    arguments: MapNode
    positional: tuple[Node, ...]
    partial: bool
    options: MapNode
    span: Span


@record
class PythonNode:
    target: Lookup
    span: Span


@record
class LinkNode:
    """Another value of the same config, at `place`. `scaffold`: a key that ESPnet3's defaults bring."""

    place: Place
    span: Span
    scaffold: bool = False


@record
class CarriedNode:
    """A value from elsewhere in the recipe, under the name by which it was asked for."""

    name: str
    value: Node
    span: Span


@record
class DatasetNode:
    """A use of a declared dataset: constructor arguments, and the block behind it (`transform`, …)."""

    dataset: str
    head: Span
    arguments: MapNode
    positional: tuple[Node, ...]
    extra: MapNode
    span: Span


@record
class ParallelNode:
    """A use of a declared `parallel` (`name`), or a backend call on the spot (`name` is empty)."""

    name: str
    backend: str
    settings: MapNode
    span: Span


@record
class BrokenNode:
    span: Span


Node: TypeAlias = (
    Scalar | Text | ListNode | MapNode | CallNode | PythonNode | LinkNode | CarriedNode | DatasetNode | ParallelNode
    | BrokenNode
)  # fmt: skip


@record
class Config:
    """One config. `kind` is the well-known block that its keys follow (`training` …), or empty for one's own."""

    name: str
    kind: str
    name_span: Span
    root: MapNode
    extends: str | None
    well_known: bool


@record
class SampleField:
    name: str
    type: FieldType
    optional: bool
    span: Span


@record
class Dataset:
    name: str
    name_span: Span
    settings: MapNode
    sample: tuple[SampleField, ...] | None
    span: Span

    @property
    def builder(self) -> Node | None:
        return self.settings.get("builder")


@record
class Parallel:
    name: str
    name_span: Span
    value: ParallelNode | BrokenNode


@record
class Use:
    """A name as it stands in a stage line."""

    name: str
    span: Span


@record
class Stage:
    """A stage line. `runs` is None, the name of a stage that the system has, or a Python function.

    `needs` are the configs that the stage works with, in order: written ones, or the known ones of its system stage.
    """

    name: str
    name_span: Span
    requires: tuple[Use, ...]
    runs: Use | PythonNode | None
    on: Use | None
    workload: MapNode | None
    over: tuple[str, Place] | None
    needs: tuple[str, ...]
    span: Span
    over_span: Span | None = None


@record
class System:
    """The system class, and what is known of the stages that it has (None: it could not be read).

    `takes` are the arguments that a class of the recipe's own names.
    """

    path: str
    span: Span
    stages: tuple[str, ...] | None
    root: str | None
    target: Lookup
    takes: frozenset[str] = frozenset()


@record
class Undefined:
    """A name that is neither in the recipe nor Python. `lookup` is the reading as a Python path, if it can be one."""

    name: str
    span: Span
    near: tuple[str, ...]
    lookup: Lookup | None
    what: str = "name"


@record
class Repeated:
    name: str
    first: Span
    again: Span
    what: str


@record
class Cycle:
    """Values or configs that need each other: the chain of names, and where each asks for the next."""

    names: tuple[str, ...]
    spans: tuple[Span, ...]
    what: str


@record
class Shadowed:
    """A name that means a nearer thing than a declaration of the same name."""

    name: str
    use: Span
    near: Span
    far: Span


@record
class BadOverride:
    """A key in a config that extends another: not there (without `new`), or there already (with `new`)."""

    key: str
    span: Span
    new: bool
    base: str
    near: tuple[str, ...]


@record
class Misplaced:
    """Something that the grammar takes and the language has no place for here. `kind` selects the message."""

    kind: str
    span: Span
    detail: str = ""


@record
class NotText:
    """A value inside a string that has no text: a list, a block, a call."""

    name: str
    span: Span
    value: Span


Fact: TypeAlias = Undefined | Repeated | Cycle | Shadowed | BadOverride | Misplaced | NotText
AnyFact = TypeVar("AnyFact", bound=Fact)


Answer = TypeVar("Answer")


@record
class Recipe:
    """The whole recipe. `declared` are the places of all top-level names, `used` the names that something refers to."""

    name: str
    span: Span
    settings: MapNode
    system: System | None
    configs: Mapping[str, Config]
    datasets: Mapping[str, Dataset]
    parallels: Mapping[str, Parallel]
    stages: tuple[Stage, ...]
    lets: Mapping[str, tuple[Span, Node]]
    facts: tuple[Fact, ...]
    used: frozenset[tuple[str, str]]
    headers: tuple[Span, ...] = field(default=())
    """Where `recipe` declarations begin: one, in a recipe that is whole."""
    answers: dict[Hashable, Any] = field(default_factory=dict, compare=False)

    def once(self, question: Hashable, ask: Callable[[], Answer]) -> Answer:
        """What comes of a question about the recipe that several rules ask. The answer must not refer to the recipe."""
        if question not in self.answers:
            self.answers[question] = ask()
        answer: Answer = self.answers[question]
        return answer

    def stands_for(self, line: Stage, stage: BuiltIn) -> dict[str, str]:
        """The configs that a line gives to a stage of the system, by the ones in whose place they stand.

        Empty where they do not fit.
        """
        kinds = [self.kind_of(name) for name in line.needs]
        slots = stage.slots(kinds)
        fits = all(slot and kind in ("", slot) for slot, kind in zip(slots, kinds, strict=True))
        return dict(zip(slots, line.needs, strict=True)) if fits else {}

    def kind_of(self, config: str) -> str:
        """What a config is, by its own declaration; its name where there is none."""
        found = self.configs.get(config)
        return found.kind if found is not None else config

    def of(self, kind: type[AnyFact]) -> Iterator[AnyFact]:
        for fact in self.facts:
            if isinstance(fact, kind):
                yield fact


def strip(node: Node) -> Node:
    """The value behind names: what a carried value is."""
    while isinstance(node, CarriedNode):
        node = node.value
    return node


def at(root: MapNode, place: Place) -> Node | None:
    """The value at a place of a config, through maps, lists and arguments of calls."""
    node: Node | None = root
    for step in place:
        node = None if node is None else child(strip(node), step)
    return node


def child(node: Node, step: Step) -> Node | None:
    """The value directly inside a value, by key or position."""
    if isinstance(step, int):
        return node.items[step] if isinstance(node, ListNode) and step < len(node.items) else None
    match node:
        case MapNode():
            return node.get(step)
        case CallNode():
            return node.arguments.get(step)
        case DatasetNode():
            return node.arguments.get(step) or node.extra.get(step)
        case ParallelNode():
            return node.settings.get(step)
        case _:
            return None


def all_values(node: Node) -> Iterable[Node]:
    """A value and all values inside it, in order; what a name stands for is inside it too."""
    if not isinstance(node, MapNode):
        return _walk(node)
    if not node.walked:
        # Not the block itself, which would then refer to itself.
        node.walked.extend(islice(_walk(node), 1, None))
    return chain((node,), node.walked)


def _walk(node: Node) -> Iterator[Node]:
    # Names that stand for names may be long chains: no recursion.
    left: list[Node] = [node]
    while left:
        each = left.pop()
        yield each
        match each:
            case MapNode(entries):
                left.extend(entry.value for entry in reversed(entries))
            case ListNode(items):
                left.extend(reversed(items))
            case CallNode():
                left.extend(reversed(each.positional))
                left.append(each.arguments)
            case DatasetNode():
                left.extend(reversed(each.positional))
                left.extend((each.extra, each.arguments))
            case CarriedNode():
                left.append(each.value)
            case _:
                continue
