"""Runs a function over many items.

A runner takes the environment from its provider, calls `forward` for each item (or batch of items) and does
one of two things with what comes back:

- without an `output_dir` it returns the results as a list, in the order of the items;
- with one, it hands each result to the writer hooks, which write the files of a shard, and returns what `merge`
  makes of the shards. Work that is found done there, for the same inputs, is not done again.

The items are cut into shards: runs of whole batches, in order. Where the shards are done is the machine setting's to
say (`espnet3.parallel.parallel`, `executions`); what comes out is the same everywhere, byte for byte, as long as
`forward` gives the same for the same item.
"""

from __future__ import annotations

import inspect
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from esp3rt.files import replacing, write_text
from esp3rt.lease import holder
from esp3rt.work import Execution, Job
from espnet3.parallel import _shards
from espnet3.parallel._injection import injected
from espnet3.parallel._inputs import changes, inputs
from espnet3.parallel._places import Elsewhere, WorkerEnvironment, back_here
from espnet3.parallel._shard_work import (
    RECORDS,
    Busy,
    ShardWork,
    Steps,
    bound_write,
    is_overridden,
    shard_dir_in_work,
    usual_steps,
)
from espnet3.parallel.env_provider import checked_env, worker_setup
from espnet3.parallel.executions import bad_items_allowed, execution_in_force, shards_wanted
from espnet3.utils.errors import RunnerError
from espnet3.utils.targets import allowed_elsewhere

if TYPE_CHECKING:
    from espnet3.parallel.env_provider import EnvironmentProvider

_WRITER_HOOKS = ("open_writers", "write_record", "close_writers")
LEFT_OUT = "left_out.jsonl"
_SECONDS_BETWEEN_LOOKS = 1.0
# Attributes of a runner that say where and how the work is done, or that are told by themselves.
_NO_INPUTS = ("provider", "batch_size", "output_dir", "shard_subdir", "resume", "label", "unit", "data_mark")


def concatenate_shard_files(shard_dirs: Sequence[Path], relative_name: str, out_path: Path) -> bool:
    """Join the files `relative_name` of the shards, in the order given, into `out_path`.

    Shards without such a file are passed over. `out_path` appears whole.

    Returns:
        Whether any shard had the file; if none had, nothing is written.
    """
    parts = [path for folder in shard_dirs if (path := Path(folder) / relative_name).is_file()]
    if not parts:
        return False
    with replacing(out_path, "wb") as joined:
        for part in parts:
            with part.open("rb") as handle:
                while block := handle.read(1 << 20):
                    joined.write(block)
    return True


class BaseRunner(ABC):
    """Runs `forward` over items; see the module's text.

    Args:
        provider: Builds the environment, whose entries reach `forward` and the writer hooks by name.
        batch_size: Hand lists of so many items to `forward`; None hands it one item at a time.
        output_dir: The folder for shards and merged files.
        shard_subdir: The folder under `output_dir` in which this work stands.
        resume: Keep a shard that is done, if its inputs are the same and its files are unchanged.

    Attributes:
        data_mark: A hash of the data, for inputs that the provider's config does not tell; a shard that was done
            for another one is done again.

    Raises:
        RunnerError: `forward` is no static method, or `batch_size` no positive number.
    """

    # In the class that has the hooks as they are when nobody changes them; not asked for where it is inherited.
    has_usual_hooks: ClassVar[bool] = True
    # Set where a list of results is a use of its own, although the class has writer hooks.
    results_without_output_dir: ClassVar[bool] = False

    def __init__(
        self,
        provider: EnvironmentProvider,
        batch_size: int | None = None,
        output_dir: str | Path | None = None,
        shard_subdir: str = "",
        resume: bool = True,
    ) -> None:
        _check_forward(type(self))
        if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
            raise RunnerError(f"batch_size must be a positive number or None, not {batch_size!r}")
        self.provider = provider
        self.batch_size = batch_size
        self.output_dir = None if output_dir is None else Path(output_dir)
        self.shard_subdir = shard_subdir
        self.resume = resume
        self.label = type(self).__name__
        self.unit = "items"
        self.data_mark = ""
        self._env: dict[str, Any] | None = None

    @staticmethod
    @abstractmethod
    def forward(idx: int | Iterable[int], dataset: Any, model: Any, **env: Any) -> Any:
        """Work on one item, or on a list of items where the runner has a `batch_size`.

        A static method: it may run where the runner does not exist. Its further parameters are entries of
        the environment, by name.
        """

    @staticmethod
    def open_writers(shard_dir: Path | None, **env: Any) -> dict[str, Any]:
        """Open what the results of a shard are written to; by default, nothing."""
        return {}

    @staticmethod
    def write_record(writers: dict[str, Any], result: Any, state: dict[str, Any], **env: Any) -> None:
        """Write one result; by default, keep it in `state["records"]`."""
        state["records"].append(result)

    @staticmethod
    def close_writers(writers: dict[str, Any]) -> dict[str, Any] | None:
        """Close what `open_writers` opened; also called when the work has failed."""
        return None

    def merge(self, shard_dirs: list[Path]) -> Any:
        """Make the final outputs from the shards, whose folders come in the order of the items.

        What it returns is what calling the runner returns. By default it joins what the shards keep of the results
        (`records.jsonl`, where `write_record` is left as it is) and returns None.
        """
        if self.output_dir is not None:
            joined = self.output_dir / self.shard_subdir / RECORDS
            if not concatenate_shard_files(shard_dirs, RECORDS, joined):
                joined.unlink(missing_ok=True)
        return None

    @classmethod
    def is_shard_done(cls, shard_dir: Path) -> bool:
        """Whether the shard in `shard_dir` was finished and its files are as they were then."""
        return _shards.read_done(Path(shard_dir)) is not None

    @classmethod
    def init_state(cls, shard_id: int = 0, output_dir: str = "", shard_subdir: str = "", **env: Any) -> dict[str, Any]:
        """Make the state of a shard: its folder, emptied, and its writers."""
        state: dict[str, Any] = {"shard_id": shard_id, "shard_dir": None, "records": [], "writers": {}}
        if output_dir:
            folder = shard_dir_in_work(output_dir, shard_subdir, shard_id)
            _shards.clear_shard(folder)
            folder.mkdir(parents=True, exist_ok=True)
            state["shard_dir"] = folder
            name = f"{cls.__qualname__}.open_writers"
            state["writers"] = cls.open_writers(folder, **injected(cls.open_writers, 1, env, name))
        return state

    @classmethod
    def reduce_state(cls, state: dict[str, Any], result: Any, **env: Any) -> dict[str, Any]:
        """Take one result: to the writers, or to the list of records where nothing is written."""
        if state.get("shard_dir") is None:
            state["records"].append(result)
        else:
            if "write" not in state:
                state["write"] = bound_write(cls, env)
            state["write"](state["writers"], result, state)
        return state

    @classmethod
    def finalize_state(cls, state: dict[str, Any], **env: Any) -> dict[str, Any]:
        """End a shard: close its writers and keep what they say."""
        if state.get("shard_dir") is not None:
            state["written"] = cls.close_writers(state["writers"])
        return state

    def environment(self) -> dict[str, Any]:
        """The environment, built by the provider on the first call."""
        if self._env is None:
            source = f"{type(self.provider).__qualname__}.build_env_local()"
            self._env = {**checked_env(self.provider.build_env_local(), source), **self.options()}
        return self._env

    def options(self) -> dict[str, Any]:
        """Settings of this runner that its static hooks take from the environment; by default, none."""
        return {}

    @classmethod
    def around_work(cls) -> AbstractContextManager[Any]:
        """What the loop over the items runs inside of, in whatever process; by default, nothing."""
        return nullcontext()

    @classmethod
    def steps(cls, state: dict[str, Any], env: dict[str, Any], shard_id: int, batched: bool) -> Steps:
        """How the items of a shard are worked on; a class that knows its own hooks may do it faster."""
        return usual_steps(cls, state, env, shard_id)

    def __call__(self, indices: Iterable[int]) -> Any:
        """Run over `indices` in their order.

        Returns:
            Without an `output_dir`, the list of results (one for each item, or for each batch); with one,
            what `merge` returns.

        Raises:
            RunnerError: The environment does not fit the parameters of `forward` or of a writer hook.
        """
        items = indices if isinstance(indices, range) else list(indices)
        execution = execution_in_force()
        n_batches = -(-len(items) // (self.batch_size or 1))
        shards = _shards.cut(len(items), shards_wanted(execution, n_batches), self.batch_size)
        if self.output_dir is None:
            with back_here():
                return self._run_in_memory(items, shards, execution)
        return self._run_to_files(items, shards, execution, (self.output_dir / self.shard_subdir).absolute())

    def report_kept(self, n_items: int) -> None:
        """Say that the results of an earlier run are kept."""
        from esp3rt.progress import console_line

        console_line(f"{self.label}: {n_items} {self.unit} were done before and are kept")

    def _run_in_memory(self, items: Sequence[Any], shards: tuple[int, ...], execution: Execution) -> list[Any]:
        cls = type(self)
        writers = [name for name in _WRITER_HOOKS if is_overridden(cls, name)]
        if writers and not self.results_without_output_dir:
            raise RunnerError(
                f"{cls.__qualname__} has the writer hook {writers[0]}() but no output_dir: give it one, "
                "or leave the hook out to get the results as a list"
            )
        if execution.in_process:
            # Nothing is kept on the way, so there is nothing to cut.
            shards = (len(items),)
        work = ShardWork(cls=cls, items=items, shards=shards, batch_size=self.batch_size)
        results: dict[int, list[Any]] = {}
        tasks = range(len(shards)) if len(items) else range(0)
        for outcome in execution.run(self._job(work, execution), tasks, lambda n: None):
            results[outcome.task] = outcome.result
        return [result for number in tasks for result in results[number]]

    def _run_to_files(self, items: Sequence[Any], shards: tuple[int, ...], execution: Execution, base: Path) -> Any:
        cls = type(self)
        wanted = _shards.Plan(
            runner=f"{cls.__module__}.{cls.__qualname__}",
            inputs=self._inputs(items),
            n_items=len(items),
            shards=shards,
        )
        plan, cleared, run = _shards.enter_plan(base, wanted, self.resume, self.label)
        try:
            if cleared is not None and self.resume:
                from esp3rt.progress import console_line

                why = changes(cleared.inputs, plan.inputs) or "another runner made it"
                console_line(f"{self.label}: what was done before is not kept: {why}")
            work = ShardWork(
                cls=cls,
                items=items,
                shards=plan.shards,
                batch_size=self.batch_size,
                output_dir=str(Path(self.output_dir or "").absolute()),
                shard_subdir=self.shard_subdir,
                mark=plan.mark,
                bad_items=bad_items_allowed(),
                patience=execution.patience,
            )
            numbers = range(len(plan.shards))
            with back_here():
                self._do_shards(work, base, execution)
            with _shards.wait_for(base, "merge", self.label):
                folders = [_shards.current_dir(base, number) for number in numbers]
                for folder, count in zip(folders, plan.shards, strict=True):
                    if not (_shards.is_for(folder, plan.mark, count) and _shards.is_untouched(folder)):
                        raise RunnerError(f"{folder} was changed by somebody else; run it again")
                self._report_left_out(base, folders, work.bad_items)
                return self.merge(list(folders))
        finally:
            _shards.leave_plan(run)

    def _report_left_out(self, base: Path, folders: Sequence[Path], allowed: int) -> None:
        """Write down which items were left out, and say so.

        Raises:
            RunnerError: They are more than may be.
        """
        found = [each for folder in folders for each in _shards.left_out_of(folder)]
        path = base / LEFT_OUT
        if not found:
            path.unlink(missing_ok=True)
            return
        write_text(path, "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in found))
        shown = "; ".join(f"{each['item']} ({each['why']})" for each in found[:3])
        what = f"{len(found)} {'item was' if len(found) == 1 else 'items were'} left out, {path}: {shown}"
        if len(found) > allowed:
            raise RunnerError(f"{self.label}: {what}; max_bad_items is {allowed}")
        from esp3rt.progress import console_line

        console_line(f"warning: {self.label}: {what}")

    def _do_shards(self, work: ShardWork, base: Path, execution: Execution) -> None:
        """Do the shards that are not done, wherever; when this returns, all are."""
        from esp3rt.progress import Progress

        left = self._not_done(work, base, range(len(work.shards)))
        n_kept = sum(work.shards) - sum(work.shards[number] for number in left)
        if n_kept or not left:
            self.report_kept(n_kept)
        if not left:
            return
        total = sum(work.shards) - n_kept
        with Progress(self.label, total, unit=self.unit, shown=not execution.shows_progress) as progress:
            while left:
                busy = {}
                for outcome in execution.run(self._job(work, execution), left, progress.advance):
                    if isinstance(outcome.result, Busy):
                        busy[outcome.task] = outcome.result.owner
                others = self._wait_for_others(base, busy)
                left = self._not_done(work, base, others)
                progress.advance(sum(work.shards[number] for number in others if number not in left))

    def _wait_for_others(self, base: Path, busy: dict[int, str]) -> list[int]:
        """Wait until no shard is in another process's hands; those that were."""
        from esp3rt.progress import console_line

        if busy:
            owners = " and ".join(sorted(set(busy.values())))
            shards = "a shard" if len(busy) == 1 else f"{len(busy)} shards"
            console_line(f"{self.label}: waits for {shards} that {owners} {'has' if len(busy) == 1 else 'have'}")
        while any(holder(_shards.lease_of(base, number)) is not None for number in busy):
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        return list(busy)

    def _not_done(self, work: ShardWork, base: Path, numbers: Iterable[int]) -> list[int]:
        return [number for number in numbers if not work.is_done(_shards.current_dir(base, number), number)]

    def _inputs(self, items: Sequence[Any]) -> dict[str, str]:
        return inputs(
            items,
            getattr(self.provider, "config", None),
            {
                "the runner": type(self),
                "the provider": type(self.provider),
                "what the provider was given": _told(self.provider, ("config",)),
                "what the runner was given": {**_told(self, _NO_INPUTS), **self.options()},
                "the batch size": self.batch_size,
                "the data": self.data_mark,
            },
        )

    def _job(self, work: ShardWork, execution: Execution) -> Job:
        if execution.in_process:
            return Job(setup=self.environment, work=work)
        return Job(
            setup=WorkerEnvironment(worker_setup(self.provider), self.options()),
            work=Elsewhere(work, getattr(self.provider, "config", None)),
            prepare=allowed_elsewhere(),
            name_of="shard {}".format,
            mark=work.mark,
            items=sum(work.shards),
        )


def _told(thing: object, without: Sequence[str]) -> dict[str, Any]:
    """The attributes of a provider or runner by which its results can be told."""
    return {name: value for name, value in vars(thing).items() if not name.startswith("_") and name not in without}


def _check_forward(cls: type[BaseRunner]) -> None:
    forward = inspect.getattr_static(cls, "forward")
    where = f"{cls.__qualname__}.forward"
    if not isinstance(forward, staticmethod):
        raise RunnerError(
            f"{where} must be a @staticmethod: it runs where this object does not exist. Write @staticmethod "
            "above it, drop `self`, and take what it needs from the provider's environment by name"
        )
    first = next(iter(inspect.signature(forward.__func__).parameters), None)
    if first in ("self", "cls"):
        raise RunnerError(f"the first parameter of {where} is the item to work on; here it is {first!r}")
