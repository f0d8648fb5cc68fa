"""What is done with one shard, in whatever process it is done.

One shard runs like this, where each hook is the runner's and the environment reaches it by name:

```
state = init_state(shard_id=…)             the folder, emptied; open_writers
for item in items:
    result = forward(item)
    state = reduce_state(state, result)    write_record
finalize_state(state)                      close_writers
the `done` file
```

Which entries of the environment a hook takes is settled once a shard, not once an item; and items are worked on in
chunks of about a twentieth of a second, between which progress is told and the lease looked at. So a hook that is left
as it is costs an item nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeAlias

from esp3rt.files import replacing
from esp3rt.lease import Lease, LeaseLost, Owner, holder, take
from espnet3.parallel import _shards
from espnet3.parallel._bad_items import BadItems, as_json, go_carefully
from espnet3.parallel._injection import injected
from espnet3.utils.errors import RunnerError

RECORDS = "records.jsonl"
# A subclass of BaseRunner, which is made of what stands here and is therefore not imported.
RunnerClass: TypeAlias = Any
_SECONDS_OF_A_CHUNK = 0.05
_SECONDS_BETWEEN_LOOKS = 0.5
# Items that are suddenly slow must not be a long silence.
_LONGEST_CHUNK = 1024


@dataclass(frozen=True, slots=True)
class Busy:
    """A shard was left alone, since another process works on it."""

    owner: str


@dataclass(frozen=True, slots=True)
class Steps:
    """How a shard's items are worked on.

    Attributes:
        run: Works on a chunk of items, in order.
        current: The item that `run` was working on, for a message.
    """

    run: Callable[[Sequence[Any]], None]
    current: Callable[[], Any]


@dataclass(frozen=True, kw_only=True)
class ShardWork:
    """Does shards: `work(env, number, moved)`, as `esp3rt.work.Job` wants it.

    Attributes:
        cls: The runner's class. Its hooks are static or class methods, so no runner is needed.
        items: All items, in order.
        shards: The number of items of each shard.
        batch_size: As the runner's.
        output_dir, shard_subdir: As the runner's; no `output_dir` keeps the results in memory.
        mark: The mark of the plan, for the `done` file.
        bad_items: How many items may be left out.
        patience: For how many seconds to wait for another process that seems to work on the shard.
    """

    cls: RunnerClass
    items: Sequence[Any]
    shards: Sequence[int]
    batch_size: int | None
    output_dir: str = ""
    shard_subdir: str = ""
    mark: str = ""
    bad_items: int = 0
    patience: float = 0.0
    starts: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", tuple(accumulate(self.shards, initial=0)))

    def __call__(self, env: dict[str, Any], number: int, moved: Callable[[int], None]) -> Any:
        """Do shard `number`.

        Returns:
            The list of results, where they are kept in memory; else None, or `Busy` where another process has it.

        Raises:
            RunnerError: The environment does not fit the parameters of a hook.
        """
        if not self.output_dir:
            return self._in_memory(env, number, moved)
        base = Path(self.output_dir) / self.shard_subdir
        lease = self._take(_shards.lease_of(base, number))
        if isinstance(lease, Owner):
            return Busy(str(lease))
        with lease:
            plan = _shards.read_plan(base)
            if plan is None or plan.mark != self.mark:
                raise RunnerError(f"another run has begun other work in {base}; this one has no place there any more")
            folder = _shards.current_dir(base, number)
            if self.is_done(folder, number):
                # Done by another process between the look at all shards and this one.
                moved(self.shards[number])
                return None
            if not lease.certain:
                # The owner before may wake up and write: not here.
                folder = _shards.begin_turn(base, number, lease.number)
            told = _Told(moved)
            try:
                self._to_files(env, number, folder, told, lease)
            except LeaseLost:
                told(-told.count)
                return Busy(str(holder(_shards.lease_of(base, number)) or "another process"))
        return None

    def _take(self, folder: Path) -> Lease | Owner:
        """Take the shard's lease; its owner may be on a machine that is gone, and seem to live for a while."""
        deadline = time.monotonic() + self.patience
        while isinstance(lease := take(folder), Owner) and time.monotonic() < deadline:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        return lease

    def is_done(self, folder: Path, number: int) -> bool:
        """Whether shard `number` is done in `folder`, and its files are as they were then."""
        done: bool = self.cls.is_shard_done(folder)
        if not (done and _shards.is_for(folder, self.mark, self.shards[number])):
            return False
        return len(_shards.left_out_of(folder)) <= self.bad_items

    def work_of(self, number: int) -> Sequence[Any]:
        """What `forward` is called with for the items of a shard: items, or lists of them."""
        start = self.starts[number]
        items = self.items[start : start + self.shards[number]]
        if self.batch_size is None:
            return items
        size = self.batch_size
        return [list(items[first : first + size]) for first in range(0, len(items), size)]

    def _in_memory(self, env: dict[str, Any], number: int, moved: Callable[[int], None]) -> list[Any]:
        if not any(is_overridden(self.cls, name) for name in STATE_HOOKS):
            results: list[Any] = []
            keep, forward = results.append, bound_forward(self.cls, env)
            item: Any = None

            def run(chunk: Sequence[Any]) -> None:
                nonlocal item
                for item in chunk:
                    keep(forward(item))

            with self.cls.around_work():
                self._go_through(Steps(run, lambda: item), number, moved, None)
            return results
        return list(self._whole(env, number, moved, None).get("records", []))

    def _to_files(
        self, env: dict[str, Any], number: int, folder: Path, moved: Callable[[int], None], lease: Lease
    ) -> None:
        bad = BadItems(lease.file.parent, self.bad_items) if self.bad_items else None
        done = False
        try:
            state = self._whole(env, number, moved, lease, folder, bad)
            done = True
        finally:
            if bad is not None:
                bad.close(done=done)
        folder.mkdir(parents=True, exist_ok=True)
        if not is_overridden(self.cls, "finalize_state"):
            _write_records(folder, state.get("records") or [], self.cls)
        written = state.get("written")
        outputs = written.get("outputs", ()) if isinstance(written, dict) else ()
        lease.check(now=True)
        left_out = [as_json(each) for each in bad.left_out] if bad is not None else []
        _shards.write_done(folder, self.shards[number], self.mark, outputs, left_out)

    def _whole(
        self,
        env: dict[str, Any],
        number: int,
        moved: Callable[[int], None],
        lease: Lease | None,
        folder: Path | None = None,
        bad: BadItems | None = None,
    ) -> dict[str, Any]:
        cls = self.cls
        settings = {"output_dir": self.output_dir, "shard_subdir": self.shard_subdir}
        taken = [name for name in settings if name in env]
        if taken and self.output_dir:
            raise RunnerError(f"the provider's environment has the key {taken[0]!r}, which init_state is given itself")
        with cls.around_work(), _shard_dir_is(folder):
            state = call_hook(cls, "init_state", (), number, {**env, **settings})
            try:
                steps = cls.steps(state, env, number, self.batch_size is not None)
                self._go_through(steps, number, moved, lease, bad)
                if lease is not None:
                    lease.check(now=True)
            except LeaseLost:
                # What the hook would write at the end belongs to another process by now.
                raise
            except BaseException:
                _close(cls, state)
                raise
            state = call_hook(cls, "finalize_state", (state,), number, env)
            if state.get("shard_dir") is not None and "written" not in state:
                # A hook of its own that does not call the one it replaces.
                _close(cls, state)
            return state

    def _go_through(
        self,
        steps: Steps,
        number: int,
        moved: Callable[[int], None],
        lease: Lease | None,
        bad: BadItems | None = None,
    ) -> None:
        work = self.work_of(number)
        start, size, clock = 0, 1, time.perf_counter
        try:
            if bad is not None:
                for done in go_carefully(steps.run, work, self.starts[number], self.batch_size is not None, bad):
                    moved(done)
                    if lease is not None:
                        lease.check()
                return
            while start < len(work):
                chunk = work[start : start + size]
                began = clock()
                steps.run(chunk)
                spent = clock() - began
                start += len(chunk)
                moved(len(chunk) if self.batch_size is None else sum(map(len, chunk)))
                if lease is not None:
                    lease.check()
                if spent < _SECONDS_OF_A_CHUNK / 2:
                    size = min(2 * size, _LONGEST_CHUNK)
                elif spent > _SECONDS_OF_A_CHUNK * 2 and size > 1:
                    size //= 2
        except LeaseLost:
            raise
        except Exception as error:
            error.add_note(f"{self.cls.__qualname__} was working on {_name_of(steps.current())}")
            raise


class _Told:
    """Passes counts on, and knows their sum, so that it can be taken back."""

    def __init__(self, moved: Callable[[int], None]) -> None:
        self._moved = moved
        self.count = 0

    def __call__(self, n: int) -> None:
        self.count += n
        self._moved(n)


# The folder of the shard that this thread is working on; `init_state` makes it, and hooks of a recipe call that by
# themselves with what the guide says it takes.
_folder: ContextVar[Path | None] = ContextVar("shard_dir", default=None)


@contextmanager
def _shard_dir_is(folder: Path | None) -> Iterator[None]:
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def shard_dir_in_work(output_dir: str, shard_subdir: str, shard_id: int) -> Path:
    """The folder that `init_state` is to make: that of the shard, or of the turn at it that is being worked on."""
    return _folder.get() or _shards.shard_dir(Path(output_dir) / shard_subdir, shard_id)


def _close(cls: RunnerClass, state: dict[str, Any]) -> None:
    writers = state.get("writers")
    if writers is not None and state.get("shard_dir") is not None:
        state["written"] = cls.close_writers(writers)


STATE_HOOKS = ("init_state", "reduce_state", "finalize_state")


def usual_steps(cls: RunnerClass, state: dict[str, Any], env: dict[str, Any], number: int) -> Steps:
    """`forward`, then `reduce_state`, for each item; where `reduce_state` is the usual one, what it comes to."""
    forward = bound_forward(cls, env)
    item: Any = None
    if is_overridden(cls, "reduce_state"):
        extra = injected(cls.reduce_state, 2, {**env, "shard_id": number}, f"{cls.__qualname__}.reduce_state")
        reduce, held = cls.reduce_state, state

        def run(chunk: Sequence[Any]) -> None:
            nonlocal item, held
            for item in chunk:
                held = reduce(held, forward(item), **extra)
            if held is not state:
                # What a hook gives in the place of the state is the state from then on.
                kept = dict(held)
                state.clear()
                state.update(kept)
                held = state

        return Steps(run, lambda: item)
    if state.get("shard_dir") is None or not is_overridden(cls, "write_record"):
        keep = state["records"].append

        def run_and_keep(chunk: Sequence[Any]) -> None:
            nonlocal item
            for item in chunk:
                keep(forward(item))

        return Steps(run_and_keep, lambda: item)
    write, writers = bound_write(cls, env), state["writers"]

    def run_and_write(chunk: Sequence[Any]) -> None:
        nonlocal item
        for item in chunk:
            write(writers, forward(item), state)

    return Steps(run_and_write, lambda: item)


def bound_forward(cls: RunnerClass, env: dict[str, Any]) -> Callable[[Any], Any]:
    """`forward` with its entries of the environment."""
    return partial(cls.forward, **injected(cls.forward, 1, env, f"{cls.__qualname__}.forward"))


def bound_write(cls: RunnerClass, env: dict[str, Any]) -> Callable[[dict[str, Any], Any, dict[str, Any]], None]:
    """`write_record` with its entries of the environment."""
    hook: Callable[..., None] = cls.write_record
    return partial(hook, **injected(hook, 3, env, f"{cls.__qualname__}.write_record"))


def call_hook(
    cls: RunnerClass, name: str, given: tuple[Any, ...], shard_id: int, env: dict[str, Any]
) -> dict[str, Any]:
    """Call a state hook with what it takes from the environment and from `shard_id`."""
    hook = getattr(cls, name)
    state: dict[str, Any] = hook(
        *given, **injected(hook, len(given), {**env, "shard_id": shard_id}, f"{cls.__qualname__}.{name}")
    )
    return state


def is_overridden(cls: RunnerClass, name: str) -> bool:
    """Whether a runner's class has a hook of its own."""
    owner = next(base for base in cls.__mro__ if name in vars(base))
    return not vars(owner).get("has_usual_hooks", False)


def _write_records(folder: Path, records: Sequence[Any], cls: RunnerClass) -> None:
    if not records:
        return
    with replacing(folder / RECORDS) as handle:
        for record in records:
            try:
                handle.write(json.dumps(record, ensure_ascii=False) + "\n")
            except TypeError as error:
                raise RunnerError(
                    f"{cls.__qualname__}.forward gives what JSON cannot hold ({error}), so it cannot be kept in "
                    f"{RECORDS}: give plain values, or write files in open_writers, write_record and close_writers"
                ) from error


def _name_of(item: Any) -> str:
    if isinstance(item, list):
        return f"the batch of items {item[0]} to {item[-1]}" if item else "an empty batch"
    return f"item {item}"
