"""What the items of a config's splits hold: the dataset's `__getitem__` or `sample`, then transform, then preprocessor."""

from __future__ import annotations

from collections.abc import Iterator

from esp3c.check.flow_base import Flow, Items, block_in, clean, follow, hint, is_null, listed, python_path, text_of
from esp3c.check.flow_functions import Target, label_at, method_of, node_place, outcome_of, place_of
from esp3c.check.flow_made import made_by
from esp3c.check.flow_steps import Step, applied, no_dict, said, step_of
from esp3c.check.sources import DATASET, OWN_MODULE, module_of
from esp3c.diagnostics import Label
from esp3c.ir import CallNode, Config, Dataset, DatasetNode, ListNode, MapNode, Node, SampleField, strip
from esp3c.python.bodies import Outcome
from esp3c.python.body_values import Dict, Entry, Kind, Leaf, join_values
from esp3c.record import record
from esp3c.schema.blocks import ENTRY, INFERENCE_DATASET, TRAINING_DATASET
from esp3c.schema.contracts import UTT_ID
from esp3c.source import Span
from esp3c.syntax.ast import FieldType


@record
class TestSet:
    name: str
    items: Items
    span: Span


class Datasets:
    """The items of the recipe's datasets and of the splits of its configs. Each dataset is read once."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self._known: dict[str, Items] = {}

    # -- datasets -----------------------------------------------------------------------------------------------------

    def items(self, name: str) -> Items:
        """What an item of a declared dataset holds."""
        if name not in self._known:
            dataset = self.flow.recipe.datasets.get(name)
            self._known[name] = self._read(dataset) if dataset is not None else Items(None, why="it is not declared")
        return self._known[name]

    def _read(self, dataset: Dataset) -> Items:
        declared = _declared(dataset)
        found = python_path(_setting(dataset, "class")) or _of_module(_setting(dataset, "source"))
        target = method_of(self.flow.reader, self._class(found[0]), "__getitem__") if found is not None else None
        if target is None or found is None:
            why = "its class is not readable" if found is not None else "it comes from elsewhere"
            return self._only_declared(dataset, declared, why)
        if not self._takes_index(dataset.name, found[1], target):
            return Items(None, why="no item can be taken")
        outcome = outcome_of(self.flow.reader, target, {})
        value = outcome.value
        labels = _returns(self.flow, target, outcome)
        if not isinstance(value, Dict):
            if self._no_dict(dataset.name, found[1], target, outcome):
                return Items(None, why="an item is no dict")
            return self._only_declared(dataset, declared, outcome.why or "what it returns is made when it runs")
        if declared is None:
            return Items(value, f"an item of `{dataset.name}`", labels, "")
        return self._compared(dataset, declared, value, target, labels)

    def _no_dict(self, name: str, span: Span, target: Target, outcome: Outcome) -> bool:
        """Says where items surely are no dicts."""
        if outcome.why or not all(no_dict(each.value) for each in outcome.returned):
            return False
        self.flow.say(
            "item_is_dict",
            f"an item of `{name}` is no dict: `{target.name}` gives {said(outcome.value)}",
            Label(span, "a dataset of ESPnet3 gives a dict for each item"),
            _returns(self.flow, target, outcome),
        )
        return True

    def _written_out(self, config: Config, entry: MapNode) -> Items:
        """What an item of an entry holds that names its module itself, as a YAML of ESPnet3 does."""
        source = entry.get("data_src")
        node = follow(config, source)
        found = (f"{OWN_MODULE}.{DATASET}", entry.span) if node is None or is_null(node) else _of_module(node)
        if found is None:
            return Items(None, why="its module is not known")
        name, span = found[0], source.span if source is not None else entry.span
        target = method_of(self.flow.reader, self._class(name), "__getitem__")
        if target is None:
            return Items(None, why=f"`{name}` is not readable")
        if not self._takes_index(name.removesuffix(".Dataset"), span, target):
            return Items(None, why="no item can be taken")
        outcome = outcome_of(self.flow.reader, target, {})
        if isinstance(outcome.value, Dict):
            labels = _returns(self.flow, target, outcome)
            return Items(outcome.value, f"an item of `{name.removesuffix('.Dataset')}`", labels)
        self._no_dict(name.removesuffix(".Dataset"), span, target, outcome)
        return Items(None, why=outcome.why or "what it returns is made when it runs")

    def _class(self, path: str) -> str:
        """The class itself; where a function stands for it, the class of what it makes."""
        return made_by(self.flow.reader, path) or self.flow.reader.find(path).path

    def _takes_index(self, name: str, span: Span, target: Target) -> bool:
        """Whether `__getitem__` has a parameter for the number of the item; where not, that is said."""
        if target.function.static or target.positional or target.has("args"):
            return True
        takes = listed(each.name for each in target.function.parameters)
        self.flow.say(
            "called_with",
            f"`{target.name}` is called with the number of an item of `{name}`, but it takes {takes}",
            Label(span, "no item can be taken from it"),
            label_at(place_of(self.flow.reader, target), "write `(self, index)`"),
        )
        return False

    def _only_declared(self, dataset: Dataset, declared: Dict | None, why: str) -> Items:
        if declared is None:
            self.flow.miss(dataset.name_span, f"items of `{dataset.name}`", why)
            return Items(None, why=why)
        return Items(declared, f"an item of `{dataset.name}`", self._sample_label(dataset))

    def _sample_label(self, dataset: Dataset) -> tuple[Label, ...]:
        fields = dataset.sample or ()
        return (Label(fields[0].span.to(fields[-1].span), "as its `sample` says"),) if fields else ()

    def _compared(
        self, dataset: Dataset, declared: Dict, read: Dict, target: Target, labels: tuple[Label, ...]
    ) -> Items:
        """The declaration beside the class: both are said of the same items."""
        who = f"an item of `{dataset.name}`"
        doubtful = False
        for each in dataset.sample or ():
            if read.closed and each.name not in read.fields and not each.optional:
                doubtful = True
                others = [name for name in read.fields if name not in declared.fields]
                self.flow.say(
                    "sample_key",
                    f"`sample` says `{each.name}`, but `{target.name}` returns {listed(read.fields)}"
                    + hint(each.name, others or read.fields),
                    Label(each.span, "no item holds this"),
                    labels,
                )
            elif each.name in read.fields:
                doubtful = self._kind(each, read.fields[each.name], target, labels) or doubtful
        if doubtful:
            return Items(None, who, why="`sample` and the class do not agree")
        self.flow.proved += sum(each.name in read.fields for each in dataset.sample or ())
        fields = {name: declared.fields.get(name, entry) for name, entry in read.fields.items()}
        if not read.closed:
            fields = {**fields, **declared.fields}
            return Items(Dict(fields), who, self._sample_label(dataset))
        sure = {name: Entry(entry.value, read.fields[name].sure) for name, entry in fields.items()}
        return Items(Dict(sure), who, labels)

    def _kind(self, said: SampleField, entry: Entry, target: Target, labels: tuple[Label, ...]) -> bool:
        wanted, value = kind_of(said.type), entry.value
        if not (entry.sure and isinstance(value, Leaf)) or value.kind in {Kind.UNKNOWN, wanted}:
            return False
        numeric = {Kind.ARRAY, Kind.TENSOR, Kind.NUMBER}
        crossed = (wanted is Kind.TEXT and value.kind in numeric) or (wanted in numeric and value.kind is Kind.TEXT)
        if not crossed and not (wanted is Kind.ARRAY and value.kind is Kind.NUMBER):
            return False
        self.flow.say(
            "sample_kind",
            f"`sample` says that `{said.name}` is `{said.type.span.text}`, but `{target.name}` gives {value.kind}",
            Label(said.type.span, f"an item holds {value.kind}"),
            labels,
        )
        return True

    # -- splits -------------------------------------------------------------------------------------------------------

    def split(self, config: Config, name: str) -> Items | None:
        """What the items of `dataset.train` or `dataset.valid` hold, as they reach the collate function."""
        settings = block_in(config, "dataset")
        node = follow(config, settings.get(name)) if settings is not None else None
        if settings is None or node is None or is_null(node):
            return None
        entries = [follow(config, each) for each in node.items] if isinstance(node, ListNode) else [node]
        if not entries:
            return None
        preprocessor = self._preprocessor(config, settings, clean(settings, TRAINING_DATASET))
        made = [self._entry(config, entry, preprocessor) for entry in entries]
        joined = made[0]
        for other in made[1:]:
            if joined.keys is None or other.keys is None:
                joined = Items(None, why=joined.why or other.why)
                break
            value = join_values(joined.keys, other.keys)
            labels = (*joined.labels, *other.labels)
            assert isinstance(value, Dict)
            joined = Items(value, f"an item of `{name}`" if other.who != joined.who else joined.who, labels)
        return joined

    def test_sets(self, config: Config) -> Iterator[TestSet]:
        """The named test sets of a config."""
        settings = block_in(config, "dataset")
        node = follow(config, settings.get("test")) if settings is not None else None
        if settings is None:
            return
        preprocessor = self._preprocessor(config, settings, clean(settings, INFERENCE_DATASET))
        for name, entry, span in named_sets(config, node):
            yield TestSet(name, self._entry(config, entry, preprocessor), span)

    def _preprocessor(self, config: Config, settings: MapNode, known: bool) -> Step | None:
        node = follow(config, settings.get("preprocessor"))
        if node is None or is_null(node):
            return None if known else Step("", None, config.name_span, why="a key of its block is unknown")
        return step_of(self.flow, node, "preprocessor", (1, 2))

    def _entry(self, config: Config, node: Node | None, preprocessor: Step | None) -> Items:
        if not isinstance(node, DatasetNode | MapNode):
            return Items(None, why="its dataset is not declared in the recipe")
        extra = node.extra if isinstance(node, DatasetNode) else node
        if not clean(extra, ENTRY):
            return Items(None, why="a key of its block is unknown")
        items = self.items(node.dataset) if isinstance(node, DatasetNode) else self._written_out(config, node)
        transform = follow(config, extra.get("transform"))
        if transform is not None and not is_null(transform):
            items = applied(self.flow, step_of(self.flow, transform, "transform", (1,)), items)
        if preprocessor is None:
            return items
        if preprocessor.takes == 2:
            return _named_again(items, applied(self.flow, preprocessor, _without_id(items)))
        return applied(self.flow, preprocessor, items)


def named_sets(config: Config, node: Node | None) -> Iterator[tuple[str, Node | None, Span]]:
    """The test sets under `dataset.test`: their names, entries and places."""
    match node:
        case MapNode(entries):
            for entry in entries:
                yield entry.name, follow(config, entry.value), entry.key_span
        case ListNode(items):
            for item in items:
                inner = follow(config, item)
                extra = inner.extra if isinstance(inner, DatasetNode) else inner
                written = follow(config, extra.get("name")) if isinstance(extra, MapNode) else None
                name = text_of(written) or ("test" if len(items) == 1 and written is None else "")
                yield name, inner, written.span if written is not None else item.span
        case DatasetNode() as single:
            written = follow(config, single.extra.get("name"))
            yield text_of(written) or "test", single, single.head
        case _:
            return


def kind_of(type: FieldType) -> Kind:
    """What a field of a `sample` holds."""
    if type.dims:
        return Kind.ARRAY
    match type.name.text:
        case "str":
            return Kind.TEXT
        case "int" | "float" | "bool":
            return Kind.NUMBER
        case _:
            return Kind.TENSOR


def _of_module(node: Node | None) -> tuple[str, Span] | None:
    """The class `Dataset` of a dataset module, which a path, a tag or another text names; None for no module."""
    module = module_of(node)
    return (f"{module}.{DATASET}", node.span) if module is not None and node is not None else None


def _declared(dataset: Dataset) -> Dict | None:
    if dataset.sample is None:
        return None
    return Dict({each.name: Entry(Leaf(kind_of(each.type)), not each.optional) for each in dataset.sample})


def _setting(dataset: Dataset, name: str) -> Node | None:
    node = dataset.settings.get(name)
    node = strip(node) if node is not None else None
    return None if isinstance(node, CallNode) else node


def _returns(flow: Flow, target: Target, outcome: Outcome) -> tuple[Label, ...]:
    """Where a function returns, or where it is defined."""
    place = place_of(flow.reader, target)
    if len(outcome.returned) == 1:
        place = node_place(flow.reader, target.module, outcome.returned[0].node) or place
    return label_at(place, "an item is made here")


def _without_id(items: Items) -> Items:
    keys = items.fresh()
    if keys is not None:
        keys.remove(UTT_ID)
    return Items(keys, items.who, items.labels, items.why)


def _named_again(before: Items, after: Items) -> Items:
    """An item gets its name back behind a preprocessor of two parameters."""
    if before.keys is None or after.keys is None:
        return after
    keys = after.fresh()
    entry = before.keys.fields.get(UTT_ID)
    if keys is not None and entry is not None and UTT_ID not in keys.fields:
        keys.fields[UTT_ID] = entry
    return Items(keys, after.who, after.labels, after.why)
