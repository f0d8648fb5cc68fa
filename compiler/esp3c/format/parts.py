"""What is printed: items with brackets in them, and the comments between items. Neither syntax tree nor lines yet."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from esp3c.record import mutable, record


class Form(Enum):
    """How the inside of a bracket stands: on one line if it fits, one item a line, or a sole tall item held tight."""

    FREE = "free"
    BROKEN = "broken"
    TIGHT = "tight"


@record
class Bracket:
    """A kind of bracket. `comma` separates its items; `roomy` puts a space inside it; `filled` breaks between words."""

    opens: str
    closes: str
    comma: str
    between: str
    room: str
    filled: bool = False


BLOCK = Bracket("{", "}", "", "  ", " ")
LIST = Bracket("[", "]", ",", ", ", "")
NUMBERS = Bracket("[", "]", ",", ", ", "", filled=True)
CALL = Bracket("(", ")", ",", ", ", "")


@record
class Comment:
    """A comment on a line of its own; `blank` where an empty line stands before it."""

    text: str
    blank: bool


@record
class Group:
    """A bracket with what is in it. `header` is the comment behind the opening bracket."""

    bracket: Bracket
    entries: tuple[Comment | Item, ...]
    header: str
    form: Form
    start: int
    end: int

    @property
    def empty(self) -> bool:
        return not self.entries and not self.header


Part: TypeAlias = str | Group


@mutable
class Item:
    """A declaration, an entry, an argument, a stage …: `head` and `parts` on one line, but for the brackets in `parts`.

    Heads of one `kind` that stand under each other are padded to one width. `start` and `end` are where the item stands
    in the source; `behind` is the comment at the end of its last line. One that is `flat` stays on one line, however long.
    """

    head: str
    kind: str
    parts: tuple[Part, ...]
    start: int
    end: int
    blank: bool = False
    behind: str = ""
    flat: bool = False

    @property
    def groups(self) -> list[Group]:
        return [part for part in self.parts if isinstance(part, Group)]

    @property
    def tall(self) -> bool:
        """Whether it cannot stand on one line, however wide that is."""
        return any(part.form is not Form.FREE if isinstance(part, Group) else "\n" in part for part in self.parts)
