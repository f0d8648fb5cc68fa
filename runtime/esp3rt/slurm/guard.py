"""What a leader says is said only while it leads.

A process that does not move for a while, on a machine that was put to sleep say, is taken for dead, and another leads in its
place. When it wakes up it must not say a word that decides anything: the other has decided otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from esp3rt.slurm.journal import Journal

# What SLURM says is true whoever writes it down; that a job was taken must not be lost in any case.
_TRUE_ANYHOW, _HINTS = ("sent",), ("seen", "silent")


class Check(Protocol):
    """Raises an error where this process does not lead any more; without `now` it may trust a look of a second ago."""

    def __call__(self, *, now: bool = False) -> None: ...


def nobody_else_can(*, now: bool = False) -> None:
    """The check of a process that nobody can follow."""


class GuardedJournal(Journal):
    """A leader's journal.

    Args:
        folder: The folder of the journals.
        writer: The leader's name.
        check: See `Check`.
    """

    def __init__(self, folder: Path, writer: str, check: Check) -> None:
        super().__init__(folder, writer)
        self._check = check

    def write(self, kind: str, *, sure: bool = False, **data: Any) -> None:
        """Add an event; see `Journal.write`.

        Raises:
            LeadLost: Another process leads; nothing is written.
        """
        if kind not in _TRUE_ANYHOW:
            self._check(now=kind not in _HINTS)
        super().write(kind, sure=sure, **data)
