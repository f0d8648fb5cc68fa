"""What a check proved of a recipe's values, and what it could not know."""

from __future__ import annotations

from esp3c.record import record
from esp3c.source import Span


@record
class Unchecked:
    """A value of which nothing could be said: its place, what it is (`argument `lr``), and why."""

    span: Span
    what: str
    why: str


@record
class Account:
    """How many values were compared with what is known of their place, and which could not be.

    `links` are the steps of the data's way that were followed: a field that is read is one that is there.
    """

    proved: int = 0
    unchecked: tuple[Unchecked, ...] = ()
    links: int = 0
