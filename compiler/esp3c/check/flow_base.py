"""What the parts of the flow have in common: findings, values of settings, and the fields that an item holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from esp3c.check.flow_functions import Target, outcome_of
from esp3c.diagnostics import Label
from esp3c.ir import (
    CallNode,
    Config,
    LinkNode,
    ListNode,
    MapNode,
    Node,
    PythonNode,
    Recipe,
    Scalar,
    Stage,
    Text,
    Use,
    at,
    strip,
)  # fmt: skip
from esp3c.python.bodies import Outcome
from esp3c.python.body_values import Dict, fork
from esp3c.python.reader import Reader
from esp3c.record import field, mutable, record
from esp3c.schema.blocks import DATA_ORGANIZER
from esp3c.schema.stages import HOOKS_OF_STAGES, KNOWN_STAGES, SYSTEMS
from esp3c.schema.types import Block
from esp3c.source import Span
from esp3c.suggest import did_you_mean


@record
class Finding:
    """A link that does not hold. `rule` is the name of the rule that says it."""

    rule: str
    message: str
    primary: Label
    secondary: tuple[Label, ...] = ()
    help: tuple[str, ...] = ()


@record
class Unknown:
    """A link that could not be followed: where, what it is, and the reason."""

    span: Span
    what: str
    why: str


@record
class Items:
    """What an item, a batch or an output holds. `keys` is None where nothing is known, and `why` is the reason.

    `who` begins a sentence (`an item of `digits` holds …`), `labels` show where the keys come from.
    """

    keys: Dict | None
    who: str = ""
    labels: tuple[Label, ...] = ()
    why: str = ""

    def fresh(self) -> Dict | None:
        """The keys, to be changed by somebody."""
        return _copied(self.keys) if self.keys is not None else None

    @property
    def names(self) -> list[str]:
        return list(self.keys.fields) if self.keys is not None else []

    def lacks(self, key: str) -> bool:
        """Whether there surely is no such key."""
        return self.keys is not None and self.keys.closed and key not in self.keys.fields


def _copied(keys: Dict) -> Dict:
    copied = fork({"keys": keys})["keys"]
    assert isinstance(copied, Dict)
    return copied


@mutable
class Flow:
    """The recipe, what reads its Python, and what was found so far: one finding a place and rule."""

    recipe: Recipe
    reader: Reader
    findings: dict[tuple[str, int, int], Finding] = field(default_factory=dict)
    unknown: dict[tuple[int, int, str], Unknown] = field(default_factory=dict)
    proved: int = 0
    outcomes: dict[tuple[str, int], Outcome] = field(default_factory=dict)

    def outcome(self, target: Target) -> Outcome:
        """What a function does when nothing is known of its arguments; read once."""
        place = (target.module.place, target.function.line)
        if place not in self.outcomes:
            self.outcomes[place] = outcome_of(self.reader, target, {})
        return self.outcomes[place]

    def say(
        self, rule: str, message: str, primary: Label, secondary: Iterable[Label] = (), help: Iterable[str] = ()
    ) -> None:
        place = (rule, primary.span.start, primary.span.end)
        self.findings.setdefault(place, Finding(rule, message, primary, _distinct(secondary), tuple(help)))

    def miss(self, span: Span, what: str, why: str) -> None:
        self.unknown.setdefault((span.start, span.end, what), Unknown(span, what, why))


def _distinct(labels: Iterable[Label]) -> tuple[Label, ...]:
    seen: dict[tuple[int, int, int], Label] = {}
    for label in labels:
        seen.setdefault((id(label.span.source), label.span.start, label.span.end), label)
    return tuple(seen.values())


# -- settings -----------------------------------------------------------------------------------------------------------


def follow(config: Config, node: Node | None) -> Node | None:
    """The value that a setting comes to: through names, and links inside its config."""
    for _ in range(20):
        if node is None:
            return None
        node = strip(node)
        if not isinstance(node, LinkNode):
            return node
        node = at(config.root, node.place)
    return None


def text_of(node: Node | None) -> str | None:
    """The text of a setting that is plain text."""
    if isinstance(node, Scalar):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, Text) and all(isinstance(part, str) for part in node.parts):
        return "".join(part for part in node.parts if isinstance(part, str))
    return None


def is_null(node: Node | None) -> bool:
    return isinstance(node, Scalar) and node.value is None


def texts_of(config: Config, node: Node | None) -> list[tuple[str, Span]] | None:
    """The texts of a setting that is one text or a list of them, with their places; None where one is not known."""
    found = follow(config, node)
    if isinstance(found, ListNode):
        texts: list[tuple[str, Span]] = []
        for item in found.items:
            text = text_of(follow(config, item))
            if text is None:
                return None
            texts.append((text, item.span))
        return texts
    text = text_of(found)
    return [(text, node.span)] if text is not None and node is not None else None


def block_in(config: Config, *keys: str) -> MapNode | None:
    """A block of a config, also where it says the `_target_` that goes without saying."""
    node: Node | None = config.root
    for key in keys:
        node = follow(config, node)
        if isinstance(node, CallNode) and node.target.path == DATA_ORGANIZER:
            node = node.arguments
        node = node.get(key) if isinstance(node, MapNode) else None
    node = follow(config, node)
    if isinstance(node, CallNode) and node.target.path == DATA_ORGANIZER:
        node = node.arguments
    return node if isinstance(node, MapNode) else None


def clean(settings: MapNode | None, block: Block) -> bool:
    """Whether all keys of a block are known: one that is not may be a key that seems to be absent."""
    if settings is None:
        return True
    known = {"_target_", "_convert_"}
    return all(entry.name in known or block.key(entry.name) is not None for entry in settings.entries)


def python_path(node: Node | None) -> tuple[str, Span] | None:
    """The dotted path of a setting that names a Python object, also as text."""
    if isinstance(node, PythonNode):
        return node.target.path, node.span
    text = text_of(node)
    if text is not None and node is not None and "." in text and all(part.isidentifier() for part in text.split(".")):
        return text, node.span
    return None


# -- who runs a config -----------------------------------------------------------------------------------------------------


def runs_in(recipe: Recipe, config: Config, stage: str) -> bool:
    """Whether a config is what a stage of espnet3 works with: a line says so, or there is no other use that it may have."""
    used = recipe.once(("used by", stage), lambda: _used_by(recipe, stage))
    return used is None or config.name in used


def _used_by(recipe: Recipe, stage: str) -> frozenset[str] | None:
    """The configs that the lines of a stage name; None where any may be meant."""
    lines = [each for each in recipe.stages if built_in(each) == stage]
    if not lines and all(built_in(each) in KNOWN_STAGES for each in recipe.stages):
        return None
    return frozenset(name for each in lines for name in each.needs)


def built_in(stage: Stage) -> str:
    """The stage of espnet3 that a line runs, or empty."""
    if isinstance(stage.runs, Use):
        return stage.runs.name
    return stage.name if stage.runs is None and stage.workload is None else ""


def stock(flow: Flow, stage: str) -> bool:
    """Whether a stage is espnet3's own in the recipe's system, and not overridden."""
    system = flow.recipe.system
    if system is None or system.path in SYSTEMS:
        return True
    if system.root is None:
        return False
    methods = [flow.reader.method(system.path, each) for each in (stage, *HOOKS_OF_STAGES.get(stage, ()))]
    return all(method is None or method.owner in SYSTEMS for method in methods)


def configs_of(recipe: Recipe, kind: str) -> Iterator[Config]:
    for config in recipe.configs.values():
        if config.kind == kind:
            yield config


# -- words --------------------------------------------------------------------------------------------------------------


def listed(names: Iterable[str]) -> str:
    """`utt_id`, `hyp`, `text`: each in backquotes, without an `and`, as a dict is read."""
    quoted = [f"`{name}`" for name in names]
    return ", ".join(quoted) if quoted else "nothing"


def hint(name: str, names: Iterable[str]) -> str:
    """`; did you mean `text`?`, or nothing."""
    found = did_you_mean(name, names)
    return f"; {found}" if found else ""
