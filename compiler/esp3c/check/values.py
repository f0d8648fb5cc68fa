"""Whether a value of the recipe fits the type of a Python parameter.

The answer is one of three: it fits (None), it does not (`Misfit`, with the innermost value at fault), or it cannot be
known (`Doubt`, with the reason). A value is looked at as Hydra will hand it over: a list stays a list, a map stays a map,
a call is an object of its class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from esp3c.ir import (
    BrokenNode,
    CallNode,
    DatasetNode,
    LinkNode,
    ListNode,
    MapNode,
    Node,
    ParallelNode,
    PythonNode,
    Resolver,
    Scalar,
    Text,
    strip,
)  # fmt: skip
from esp3c.python import types as p
from esp3c.python.model import Class, Function, Value
from esp3c.python.reader import Reader
from esp3c.record import record
from esp3c.schema.blocks import SCAFFOLD_TEXTS

Follow: TypeAlias = Callable[[LinkNode], Node | None]
"""What a link to another value of the same config leads to."""


@record
class Misfit:
    """`node` is the innermost value that does not fit, `wanted` what would."""

    node: Node
    wanted: p.Type
    help: str = ""


@record
class Doubt:
    why: str


Outcome: TypeAlias = Misfit | Doubt | None


class Comparing:
    """Compares values with types, in one config."""

    def __init__(self, reader: Reader, follow: Follow, *, paths_are_text: bool = False) -> None:
        self.reader = reader
        self.follow = follow
        self.paths_are_text = paths_are_text

    def compare(self, node: Node, wanted: p.Type, depth: int = 0) -> Outcome:
        node = strip(node)
        if isinstance(wanted, p.Unknown):
            return Doubt(wanted.why)
        if isinstance(node, LinkNode) and node.scaffold:
            if not SCAFFOLD_TEXTS.issuperset(node.place):
                return Doubt("it is a value of `recipe`, or of ESPnet3's defaults")
            return self.compare(Text((), node.span), wanted, depth + 1)
        if isinstance(node, LinkNode):
            target = self.follow(node) if depth < 20 else None
            if target is None:
                return Doubt("it is a value of ESPnet3's defaults")
            outcome = self.compare(target, wanted, depth + 1)
            # The link is what is wrong here; what it leads to may be right where it stands.
            return Misfit(node, outcome.wanted, outcome.help) if isinstance(outcome, Misfit) else outcome
        if isinstance(node, BrokenNode):
            return Doubt("it is broken")
        if isinstance(node, Text) and len(node.parts) == 1 and isinstance(node.parts[0], Resolver):
            return Doubt("its value is known when it runs")
        if isinstance(wanted, p.Union):
            return self.any_of(node, wanted, depth)
        match node:
            case Scalar(value=value):
                return self.scalar(node, value, wanted)
            case Text():
                return self.scalar(node, "\0", wanted)
            case ListNode(items):
                return self.items(node, items, wanted, depth)
            case MapNode():
                return self.map(node, wanted, depth)
            case CallNode():
                return self.call(node, wanted)
            case PythonNode():
                return self.object(node, wanted)
            case DatasetNode() | ParallelNode():
                return Doubt("it is a map when it runs")
            case _:
                return Doubt("it is not compared")

    def any_of(self, node: Node, wanted: p.Union, depth: int) -> Outcome:
        outcomes = [self.compare(node, option, depth) for option in wanted.options]
        if any(outcome is None for outcome in outcomes):
            return None
        doubt = next((each for each in outcomes if isinstance(each, Doubt)), None)
        if doubt is not None:
            return doubt
        inner = [each for each in outcomes if isinstance(each, Misfit) and each.node is not node]
        # `[1, "2"]` for a list of numbers or a number: the item is what is wrong.
        if len(inner) == 1 and sum(_shaped_like(node, option) for option in wanted.options) == 1:
            return inner[0]
        hints = [each.help for each in outcomes if isinstance(each, Misfit) and each.help]
        return Misfit(node, wanted, hints[0] if hints else "")

    # -- by what the value is -------------------------------------------------------------------------------------------

    def scalar(self, node: Node, value: object, wanted: p.Type) -> Outcome:
        text = isinstance(value, str)
        match wanted:
            case p.Basic(name):
                return None if _basic_fits(value, name) else Misfit(node, wanted)
            case p.Literals(values, loose):
                if value == "\0":
                    return Doubt("its text is known when it runs")
                same = any(value == each and type(value) is type(each) for each in (*values, *loose))
                return None if same else Misfit(node, wanted)
            case p.Items(word=word):
                if text and word == "sequence":
                    return Doubt("text is a sequence as well")
                return Misfit(node, wanted)
            case p.Fixed() | p.Mapping() | p.Keys() | p.Callable():
                return Misfit(node, wanted)
            case p.Instance(path, of_type):
                return self.scalar_as_object(node, value, wanted, path, of_type)
        return Doubt("it is not compared")

    def scalar_as_object(self, node: Node, value: object, wanted: p.Type, path: str, of_type: bool) -> Outcome:
        text = isinstance(value, str)
        if path == "pathlib.Path":
            return None if text else Misfit(node, wanted)
        if value is None:
            return Misfit(node, wanted)
        if path == "datetime.timedelta":
            return Misfit(node, wanted, "write `datetime.timedelta(minutes = 30)`")
        last = path.rpartition(".")[2]
        if last in {"device", "dtype", "_device", "Device", "Generator"} and (text or isinstance(value, int)):
            return Doubt(f"`{last}` may be made of it")
        if last in {"Tensor", "ndarray", "number", "Number", "generic"} and not text and not isinstance(value, bool):
            return Doubt("numbers and arrays mix")
        if of_type:
            return Misfit(node, wanted)
        bases = self.reader.bases(path)
        if not bases.complete or any(
            base.startswith("builtins.") and base != "builtins.object" for base in bases.paths
        ):
            return Doubt(f"`{last}` extends something that is not read")
        return Misfit(node, wanted)

    def items(self, node: ListNode, items: tuple[Node, ...], wanted: p.Type, depth: int) -> Outcome:
        match wanted:
            case p.Items(item):
                return self.all_of([self.compare(each, item, depth) for each in items])
            case p.Fixed(kinds):
                if len(items) != len(kinds):
                    return Misfit(node, wanted)
                return self.all_of([self.compare(each, kind, depth) for each, kind in zip(items, kinds, strict=True)])
            case p.Basic() | p.Literals() | p.Mapping() | p.Keys() | p.Callable():
                return Misfit(node, wanted)
        return Doubt("whether a list will do is not known")

    def map(self, node: MapNode, wanted: p.Type, depth: int) -> Outcome:
        match wanted:
            case p.Mapping(value):
                return self.all_of([self.compare(entry.value, value, depth) for entry in node.entries])
            case p.Keys(name, fields):
                known = {key: kind for key, kind, _ in fields}
                for entry in node.entries:
                    if entry.name not in known:
                        return Misfit(Scalar(entry.name, entry.key_span), wanted, f"`{name}` has no key `{entry.name}`")
                given = {entry.name for entry in node.entries}
                absent = [key for key, _, needed in fields if needed and key not in given]
                if absent:
                    return Misfit(node, wanted, f"the key `{absent[0]}` is missing")
                return self.all_of([self.compare(each.value, known[each.name], depth) for each in node.entries])
            case p.Basic() | p.Literals() | p.Items() | p.Fixed() | p.Callable():
                return Misfit(node, wanted)
        return Doubt("whether a map will do is not known")

    def call(self, node: CallNode, wanted: p.Type) -> Outcome:
        if node.partial:
            match wanted:
                case p.Callable():
                    return None
                case p.Basic() | p.Literals() | p.Fixed() | p.Mapping() | p.Keys():
                    return Misfit(node, wanted, "`partial` makes a function that is called later")
            return Doubt("it is a function that is called later")
        found = self.reader.find(node.target.path)
        if isinstance(found.definition, Function):
            return Doubt(f"what `{found.definition.name}` returns is not known")
        if not isinstance(found.definition, Class):
            return Doubt(found.why or "what it makes is not known")
        return self.instance(node, found.path, wanted)

    def instance(self, node: Node, path: str, wanted: p.Type) -> Outcome:
        """An object of a class that is known."""
        bases = self.reader.bases(path)
        plain = bases.complete and not any(
            base.startswith("builtins.") and base != "builtins.object" for base in bases.paths
        )
        match wanted:
            case p.Instance(root, of_type):
                if of_type:
                    return Misfit(node, wanted, "the class itself is wanted, not an object of it")
                is_one = self.reader.is_a(path, (root,))
                if is_one:
                    return None
                return (
                    Misfit(node, wanted) if is_one is False else Doubt(f"`{path}` extends something that is not read")
                )
            case p.Callable():
                if self.reader.method(path, "__call__") is not None:
                    return None
                module = self.reader.is_a(path, ("torch.nn.Module",))
                if module or self.reader.method(path, "forward") is not None:
                    return None
                return (
                    Misfit(node, wanted)
                    if plain and module is False
                    else Doubt("whether it can be called is not known")
                )
            case p.Basic("None") | p.Literals():
                return Misfit(node, wanted) if plain else Doubt("it is not compared")
            case p.Basic():
                numeric = {"__int__", "__float__", "__index__"}.intersection(self.reader.members(path))
                return Misfit(node, wanted) if plain and not numeric else Doubt("it is not compared")
        return Doubt("whether such an object will do is not known")

    def object(self, node: PythonNode, wanted: p.Type) -> Outcome:
        """A Python object by its path: a class, a function or a value itself."""
        if self.paths_are_text:
            return self.scalar(node, node.target.path, wanted)
        found = self.reader.find(node.target.path)
        match found.definition:
            case Class() | Function() as definition:
                match wanted:
                    case p.Callable():
                        return None
                    case p.Basic() | p.Literals() | p.Fixed() | p.Mapping() | p.Keys() | p.Items():
                        return Misfit(node, wanted)
                    case p.Instance(root, True) if isinstance(definition, Class):
                        is_one = self.reader.is_a(found.path, (root,))
                        return (
                            Misfit(node, wanted)
                            if is_one is False
                            else None
                            if is_one
                            else Doubt("its bases are not read")
                        )
                    case p.Instance(root, False) if isinstance(definition, Class):
                        meta = self.reader.is_a(found.path, (root,))
                        if meta:
                            return Misfit(node, wanted, "an object is wanted, not the class: add `()`")
            case Value():
                return Doubt("what the name stands for is decided when it runs")
        return Doubt(found.why or "whether it will do is not known")

    @staticmethod
    def all_of(outcomes: list[Outcome]) -> Outcome:
        misfit = next((each for each in outcomes if isinstance(each, Misfit)), None)
        return misfit or next((each for each in outcomes if each is not None), None)


def _basic_fits(value: object, name: str) -> bool:
    match name:
        case "None":
            return value is None
        case "bool":
            return isinstance(value, bool)
        case "str":
            return isinstance(value, str)
        case "bytes":
            return False
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool)


def _shaped_like(node: Node, option: p.Type) -> bool:
    if isinstance(node, ListNode):
        return isinstance(option, p.Items | p.Fixed)
    if isinstance(node, MapNode):
        return isinstance(option, p.Mapping | p.Keys)
    return False
