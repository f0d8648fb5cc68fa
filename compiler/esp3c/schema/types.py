"""The types that a setting's value can have, and the blocks that settings stand in.

A type is data: it says which values fit (`esp3c.check.keys` compares) and how it is called in a message.
"""

from __future__ import annotations

from typing import TypeAlias

from esp3c.record import field, record


@record
class Anything:
    """Any value at all; what is inside is not looked at."""


@record
class Plain:
    """`int`, `float`, `bool`, `str`, or `null`. An int fits where a float is wanted, a bool does not fit an int."""

    kind: str


@record
class Measured:
    """A quantity of this dimension, or a plain number in its base unit (seconds, bytes, hertz)."""

    dimension: str


@record
class OneOf:
    """One of these words, written as text."""

    words: tuple[str, ...]


@record
class ListOf:
    item: Type


@record
class MapOf:
    """Names of a person's own, each with a value of one type."""

    value: Type


@record
class Target:
    """A call that makes an object: `torch.optim.AdamW(lr = 1e-3)`. `makes` says what, in words."""

    makes: str


@record
class PythonName:
    """The dotted path of a Python object, handed on as it is written."""

    names: str


@record
class DatasetUse:
    """A declared dataset: `digits(split = "train")`."""


@record
class ParallelUse:
    """The name of a declared `parallel`, or a backend call."""


@record
class Inside:
    """A block with known keys."""

    block: Block


@record
class Either:
    options: tuple[Type, ...]


Type: TypeAlias = (
    Anything
    | Plain
    | Measured
    | OneOf
    | ListOf
    | MapOf
    | Target
    | PythonName
    | DatasetUse
    | ParallelUse
    | Inside
    | Either
)


@record
class Range:
    """Which numbers a setting takes. Nothing is said of what is no number.

    `above`: `least` itself is not in it. `also` are further numbers, each with its meaning in words. `parts`: a number
    that is not whole is a part of something, at most 1. `among`: only these.
    """

    least: float = 0
    most: float | None = None
    above: bool = False
    also: tuple[tuple[float, str], ...] = ()
    parts: bool = False
    among: tuple[float, ...] = ()

    def holds(self, value: float) -> bool:
        if any(value == each for each, _ in self.also):
            return True
        if self.among:
            return value in self.among
        if self.parts and value > 1 and value % 1:
            return False
        low = value > self.least if self.above else value >= self.least
        return low and (self.most is None or value <= self.most)

    @property
    def words(self) -> str:
        """The range as a person says it: `a number of at least 1, or -1 for all of them`."""
        if self.among:
            said = ", ".join(map(_plainly, self.among[:-1])) + f" or {_plainly(self.among[-1])}"
        elif self.parts:
            said = "a part between 0 and 1, or a whole number"
        else:
            least = f"{'more than' if self.above else 'at least'} {_plainly(self.least)}"
            most = f" and at most {_plainly(self.most)}" if self.most is not None else ""
            said = ("a number " if self.above else "a number of ") + least + most
        return ", or ".join([said, *(f"{_plainly(each)} {meaning}" for each, meaning in self.also)])

    def wrong(self, value: float) -> str:
        """What is wrong with a number that the range does not hold."""
        if self.most is not None and value > self.most:
            return "too large"
        return "too small" if value <= self.least else "not one of these"


def _plainly(number: float) -> str:
    return str(int(number)) if number % 1 == 0 else str(number)


@record
class Form:
    """How the text of a setting is written: the whole of it matches `pattern`; `words` says so to a person."""

    pattern: str
    words: str


@record
class Key:
    """One setting: its name as in ESPnet3's YAML, its type, what it does, and the default in words.

    `numbers` and `text` say more of those values that are numbers or text.
    """

    name: str
    type: Type
    doc: str
    default: str | None = None
    numbers: Range | None = None
    text: Form | None = None


@record
class Conflict:
    """Two keys of a block that are never both set, and why in words."""

    one: str
    other: str
    why: str


@record
class Block:
    """A place with known keys.

    `open`: further keys are the person's own business. `target`: the `_target_` that goes without saying; a block that
    says it all the same is the same block. `conflicts`: keys that exclude each other.
    """

    name: str
    keys: tuple[Key, ...]
    open: bool = False
    target: str = ""
    conflicts: tuple[Conflict, ...] = ()
    _index: dict[str, Key] = field(default_factory=dict, compare=False)

    def key(self, name: str) -> Key | None:
        if not self._index:
            self._index.update((key.name, key) for key in self.keys)
        return self._index.get(name)

    @property
    def names(self) -> list[str]:
        return [key.name for key in self.keys]


ANY = Anything()
INT, FLOAT, BOOL, STR = Plain("int"), Plain("float"), Plain("bool"), Plain("str")
DURATION, SIZE, FREQUENCY = Measured("duration"), Measured("size"), Measured("frequency")
NULL = Plain("null")
COUNT, NOT_NEGATIVE, POSITIVE = Range(1), Range(0), Range(0, above=True)


def either(*options: Type) -> Either:
    return Either(options)


def words(type: Type) -> str:
    """The type as a person says it: `an int`, `one of "step" or "epoch"`."""
    match type:
        case Anything():
            return "a value"
        case Plain(kind):
            return {
                "int": "an int",
                "float": "a number",
                "bool": "true or false",
                "str": "text",
                "null": "null",
            }[kind]
        case Measured(dimension):
            example = {"duration": "90min", "size": "32GB", "frequency": "16kHz"}[dimension]
            return f"a {dimension} such as `{example}`"
        case OneOf(names):
            quoted = [f'"{name}"' for name in names]
            return " or ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else quoted[0]
        case ListOf(item):
            return "a list, each item " + words(item)
        case MapOf(value):
            return "a block of named entries, each " + words(value)
        case Target(makes):
            return f"a call that makes {makes}"
        case PythonName(names):
            return f"the dotted path of {names}"
        case DatasetUse():
            return 'a declared dataset such as `digits(split = "train")`'
        case ParallelUse():
            return "the name of a declared `parallel`"
        case Inside(block):
            return f"a `{block.name}` block"
        case Either(options):
            # That a dataset may also be written out, and that null takes a value away, goes without saying.
            said = [each for each in options if each != NULL and not isinstance(each, Anything)]
            if any(isinstance(each, DatasetUse) for each in said):
                said = [each for each in said if isinstance(each, DatasetUse)]
            return " or ".join(words(option) for option in said or options)
