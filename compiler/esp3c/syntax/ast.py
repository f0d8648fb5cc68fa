"""The syntax tree: what stands in the file, in the order in which it stands there, each node with its span.

Nothing is looked up here. A `Reference` may be a name of the recipe or a Python path; a `Call` may be a Python target, a
declared dataset or a machine backend. `esp3c.resolve` decides.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from esp3c.record import record
from esp3c.source import Span


class Dimension(StrEnum):
    """What a quantity measures, with the unit in which it is kept."""

    DURATION = "duration"  # seconds
    SIZE = "size"  # bytes
    FREQUENCY = "frequency"  # hertz


@record
class Name:
    text: str
    span: Span


@record
class Path:
    """A dotted name, `torch.optim.AdamW` or `optimizer.lr`."""

    parts: tuple[Name, ...]
    span: Span

    @property
    def dotted(self) -> str:
        return ".".join(part.text for part in self.parts)


@record
class Interpolation:
    """`${expression}` inside a string; `span` covers the expression alone."""

    expression: str
    span: Span


@record
class Text:
    """A string. Plain parts are decoded; `parts` is empty for the empty string."""

    parts: tuple[str | Interpolation, ...]
    span: Span

    @property
    def plain(self) -> str | None:
        """The text, or None where it holds an interpolation."""
        if any(isinstance(part, Interpolation) for part in self.parts):
            return None
        return "".join(part for part in self.parts if isinstance(part, str))


@record
class Number:
    value: int | float
    span: Span


@record
class Quantity:
    """A number with a unit. `value` is in the base unit of its dimension: seconds, bytes or hertz."""

    value: int | float
    dimension: Dimension
    span: Span


@record
class Constant:
    value: bool | None
    span: Span


@record
class Missing:
    """Where a value should stand and none does; the syntax error is reported already."""

    span: Span


@record
class ListValue:
    items: tuple[Value, ...]
    span: Span


@record
class Argument:
    """`name = value` in a call; `name` is None for a value that stands alone."""

    name: Name | None
    value: Value
    span: Span


@record
class Reference:
    path: Path
    block: Block | None
    span: Span


@record
class Call:
    path: Path
    arguments: tuple[Argument, ...]
    partial: bool
    block: Block | None
    span: Span


@record
class Key:
    """The left side of a setting; more than one part in `trainer.max_epochs = 2`."""

    parts: tuple[Name, ...]
    span: Span

    @property
    def dotted(self) -> str:
        return ".".join(part.text for part in self.parts)


@record
class Setting:
    """`key = value`, or `key { … }` with a `Block` as its value."""

    key: Key
    value: Value
    new: bool
    span: Span


@record
class FieldType:
    """`float32[time, 80]`: the name of a type and its dimensions, named or fixed."""

    name: Name
    dims: tuple[Name | Number, ...]
    span: Span


@record
class Field:
    """`speech: float32[time]` in a `sample` block."""

    key: Key
    type: FieldType
    optional: bool
    span: Span


@record
class Block:
    entries: tuple[Setting | Field, ...]
    span: Span


Value: TypeAlias = Text | Number | Quantity | Constant | Missing | ListValue | Reference | Call | Block


@record
class RecipeDeclaration:
    name: Name
    block: Block
    span: Span


@record
class DatasetDeclaration:
    name: Name
    block: Block
    span: Span


@record
class ConfigDeclaration:
    """`training { … }` and its like (`well_known`), or `config NAME [extends BASE] { … }`."""

    name: Name
    well_known: bool
    extends: Name | None
    block: Block
    span: Span


@record
class ParallelDeclaration:
    name: Name
    value: Value
    span: Span


@record
class LetDeclaration:
    name: Name
    value: Value
    span: Span


@record
class StageLine:
    """One line of `stages`. A clause that stands twice is kept twice."""

    name: Name
    requires: tuple[tuple[Name, ...], ...]
    runs: tuple[Path, ...]
    on: tuple[Name, ...]
    block: Block | None
    span: Span


@record
class StagesDeclaration:
    stages: tuple[StageLine, ...]
    span: Span


Declaration: TypeAlias = (
    RecipeDeclaration
    | DatasetDeclaration
    | ConfigDeclaration
    | ParallelDeclaration
    | LetDeclaration
    | StagesDeclaration
)


@record
class File:
    declarations: tuple[Declaration, ...]
    span: Span
