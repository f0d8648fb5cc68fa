"""Items that cannot be worked on, where some may be left out (`max_bad_items`).

An item whose hook raises an error is left out at once, unless the machine is to blame, as where the disk is full. One that
kills its process can say nothing any more; so the position of each item is written down before its work begins, and an item
at which two processes in a row were lost is left out by the third. What is left out is written down with the shard, and
reported with the results.
"""

from __future__ import annotations

import errno
import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from esp3rt.files import write_json
from esp3rt.lease import LeaseLost

_DEATHS = 2
_OF_THE_MACHINE = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS)
_OF_A_GPU = ("AcceleratorError",)
_WIDTH = 20


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An item that was left out.

    Attributes:
        position: Its place among all items.
        item: What it is called.
        why: What it did.
    """

    position: int
    item: str
    why: str


class BadItems:
    """The bad items of one shard, as they are known from one attempt to the next.

    Args:
        folder: Where to keep what is known; not the shard's own folder, which each attempt empties.
        allowed: How many may be left out.
    """

    def __init__(self, folder: Path, allowed: int) -> None:
        self._file, self._mark = folder / "bad.json", folder / "at"
        self._allowed = allowed
        self._deaths: dict[int, int] = {}
        self._out: dict[int, LeftOut] = {}
        self._read()
        self._descriptor = os.open(self._mark, os.O_WRONLY | os.O_CREAT, 0o666)

    @property
    def left_out(self) -> list[LeftOut]:
        """What was left out, in the order of the items."""
        return [self._out[position] for position in sorted(self._out)]

    def is_suspect(self, positions: range) -> bool:
        """Whether a process was lost, or an error raised, at one of these items before."""
        return any(position in self._deaths or position in self._out for position in positions)

    def is_out(self, position: int) -> bool:
        """Whether an item is left out."""
        return position in self._out

    def begin(self, position: int, item: object) -> None:
        """Say, for whoever comes after, that work on an item begins."""
        if self._deaths.get(position, 0) >= _DEATHS and position not in self._out:
            self._leave_out(LeftOut(position, str(item), f"{_DEATHS} processes that worked on it were lost"), None)
            return
        os.pwrite(self._descriptor, f"{position:{_WIDTH}d}".encode(), 0)

    def failed(self, position: int, item: object, error: Exception) -> None:
        """Leave an item out.

        Raises:
            Exception: The error, where no more may be left out.
        """
        self._leave_out(LeftOut(position, str(item), f"{type(error).__name__}: {error}"), error)

    def close(self, *, done: bool) -> None:
        """The shard is done, or given up in order: no process was lost at an item."""
        os.close(self._descriptor)
        self._mark.unlink(missing_ok=True)
        if done:
            self._file.unlink(missing_ok=True)

    def _leave_out(self, found: LeftOut, error: Exception | None) -> None:
        if len(self._out) >= self._allowed:
            already = f"{len(self._out)} {'item was' if len(self._out) == 1 else 'items were'} left out before it"
            note = f"{already}, and max_bad_items is {self._allowed}"
            if error is not None:
                error.add_note(note)
                raise error
            raise RuntimeError(f"item {found.item}: {found.why}; {note}")
        self._out[found.position] = found
        self._write()

    def _read(self) -> None:
        try:
            known = json.loads(self._file.read_text(encoding="utf-8"))
            self._deaths = {int(position): count for position, count in known["deaths"].items()}
            self._out = {each["position"]: LeftOut(**each) for each in known["left_out"]}
        except FileNotFoundError:
            pass
        try:
            lost_at = int(self._mark.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return
        self._deaths[lost_at] = self._deaths.get(lost_at, 0) + 1
        self._write()
        self._mark.unlink()

    def _write(self) -> None:
        write_json(self._file, {"deaths": self._deaths, "left_out": [as_json(each) for each in self.left_out]})


def as_json(found: LeftOut) -> dict[str, Any]:
    """What a shard's `done` file holds of it."""
    return {"position": found.position, "item": found.item, "why": found.why}


def go_carefully(
    run: Callable[[Sequence[Any]], None], work: Sequence[Any], first: int, batched: bool, bad: BadItems
) -> Iterator[int]:
    """Work on items one by one, or batch by batch, and leave out what is bad.

    A batch with a bad item is taken apart: its other items are worked on alone.

    Args:
        run: Works on a list of items, or of batches.
        work: Items, or batches of items.
        first: The position of the first item.
        batched: Whether they are batches.
        bad: What is known of bad items.

    Yields:
        After each item or batch, how many items it had.
    """
    for unit in work:
        size = len(unit) if batched else 1
        pieces = deque([(first, unit)])
        if batched and bad.is_suspect(range(first, first + size)):
            pieces = _apart(first, unit)
        while pieces:
            position, piece = pieces.popleft()
            if bad.is_out(position):
                continue
            bad.begin(position, piece)
            if bad.is_out(position):
                continue
            try:
                run([piece])
            except LeaseLost:
                raise
            except Exception as error:
                if is_the_machines_fault(error):
                    raise
                if batched and len(piece) > 1:
                    pieces.extendleft(reversed(_apart(position, piece)))
                else:
                    bad.failed(position, piece[0] if batched else piece, error)
        first += size
        yield size


def is_the_machines_fault(error: BaseException) -> bool:
    """Whether an error, or what it came of, is one that any item would meet here: then it says nothing of the item."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError) and found.errno in _OF_THE_MACHINE:
            return True
        # A GPU that has met an error once answers with it until the process ends. Known without importing torch.
        if isinstance(found, MemoryError) or type(found).__name__ in _OF_A_GPU or "CUDA error" in str(found):
            return True
        found = found.__cause__ or found.__context__
    return False


def _apart(position: int, batch: Sequence[Any]) -> deque[tuple[int, Any]]:
    return deque((position + place, [item]) for place, item in enumerate(batch))
