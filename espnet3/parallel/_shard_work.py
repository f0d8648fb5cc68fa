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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from esp3rt.files import replacing
from esp3rt.lease import Lease, LeaseLost, Owner, take
from espnet3.parallel import _shards
from espnet3.parallel._injection import injected
from espnet3.utils.errors import RunnerError

RECORDS = "records.jsonl"
# A subclass of BaseRunner, which is made of what stands here and is therefore not imported.
RunnerClass: TypeAlias = Any
_SECONDS_OF_A_CHUNK = 0.05


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
    """

    cls: RunnerClass
    items: Sequence[Any]
    shards: Sequence[int]
    batch_size: int | None
    output_dir: str = ""
    shard_subdir: str = ""
    mark: str = ""
    starts: list[int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", [sum(self.shards[:number]) for number in range(len(self.shards))])

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
        lease = take(_shards.lease_of(base, number))
        if isinstance(lease, Owner):
            return Busy(str(lease))
        folder = _shards.shard_dir(base, number)
        with lease:
            if self.cls.is_shard_done(folder) and _shards.is_for(folder, self.mark):
                # Done by another process between the look at all shards and this one.
                moved(self.shards[number])
                return None
            try:
                self._to_files(env, number, folder, moved, lease)
            except LeaseLost:
                return Busy("another process")
        return None

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
        state = self._whole(env, number, moved, lease)
        folder.mkdir(parents=True, exist_ok=True)
        _write_records(folder, state.get("records") or [], self.cls)
        written = state.get("written")
        outputs = written.get("outputs", ()) if isinstance(written, dict) else ()
        lease.check(now=True)
        _shards.write_done(folder, self.shards[number], self.mark, outputs)

    def _whole(
        self, env: dict[str, Any], number: int, moved: Callable[[int], None], lease: Lease | None
    ) -> dict[str, Any]:
        cls = self.cls
        settings = {"output_dir": self.output_dir, "shard_subdir": self.shard_subdir}
        with cls.around_work():
            state = call_hook(cls, "init_state", (), number, {**env, **settings})
            finished = False
            try:
                steps = cls.steps(state, env, number, self.batch_size is not None)
                self._go_through(steps, number, moved, lease)
                finished = True
            finally:
                if not finished and state.get("writers"):
                    cls.close_writers(state["writers"])
            return call_hook(cls, "finalize_state", (state,), number, env)

    def _go_through(self, steps: Steps, number: int, moved: Callable[[int], None], lease: Lease | None) -> None:
        work = self.work_of(number)
        start, size, clock = 0, 1, time.perf_counter
        try:
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
                    size *= 2
                elif spent > _SECONDS_OF_A_CHUNK * 2 and size > 1:
                    size //= 2
        except LeaseLost:
            raise
        except Exception as error:
            error.add_note(f"{self.cls.__qualname__} was working on {_name_of(steps.current())}")
            raise


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


def read_records(shard_dirs: Sequence[Path]) -> list[Any]:
    """The results that shards have kept as JSON lines, in the order of the items."""
    paths = [path for folder in shard_dirs if (path := Path(folder) / RECORDS).is_file()]
    return [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").split("\n") if line]


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
