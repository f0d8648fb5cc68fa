"""Runs a function over many items.

A runner takes the environment from its provider, calls `forward` for each item (or batch of items) and does
one of two things with what comes back:

- without an `output_dir` it returns the results as a list, in the order of the items;
- with one, it hands each result to the writer hooks, which write the shard's files, and returns what `merge`
  makes of the shards. Work that is found done there, for the same inputs, is not done again.

In this version there is one shard, worked on by this process.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from esp3rt.files import replacing
from espnet3.parallel import _shards
from espnet3.parallel._fingerprint import fingerprint
from espnet3.parallel._injection import injected
from espnet3.parallel.env_provider import checked_env
from espnet3.utils.errors import RunnerError

if TYPE_CHECKING:
    from espnet3.parallel.env_provider import EnvironmentProvider

_STATE_HOOKS = ("init_state", "reduce_state", "finalize_state")
_WRITER_HOOKS = ("open_writers", "write_record", "close_writers")


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

        What it returns is what calling the runner returns. By default it makes nothing.
        """
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
            folder = _shards.shard_dir(Path(output_dir) / shard_subdir, shard_id)
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
            write = state.get("write")
            if write is None:
                # Which entries a hook takes is settled once a shard, not once an item.
                name = f"{cls.__qualname__}.write_record"
                hook: Callable[..., None] = cls.write_record
                write = partial(hook, **injected(hook, 3, env, name))
                state["write"] = write
            write(state["writers"], result, state)
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

    def around_work(self) -> AbstractContextManager[Any]:
        """What the loop over the items runs inside of; by default, nothing."""
        return nullcontext()

    def __call__(self, indices: Iterable[int]) -> Any:
        """Run over `indices` in their order.

        Returns:
            Without an `output_dir`, the list of results (one for each item, or for each batch); with one,
            what `merge` returns.

        Raises:
            RunnerError: The environment does not fit the parameters of `forward` or of a writer hook.
        """
        work = _batches(indices, self.batch_size)
        if self.output_dir is None:
            return self._run_in_memory(work)
        return self._run_to_files(work, self.output_dir / self.shard_subdir)

    def _run_in_memory(self, work: list[Any]) -> list[Any]:
        cls = type(self)
        writers = [name for name in _WRITER_HOOKS if _is_overridden(cls, name)]
        if writers and not self.results_without_output_dir:
            raise RunnerError(
                f"{cls.__qualname__} has the writer hook {writers[0]}() but no output_dir: give it one, "
                "or leave the hook out to get the results as a list"
            )
        env = self.environment()
        with self.around_work():
            if not any(_is_overridden(cls, name) for name in _STATE_HOOKS):
                results: list[Any] = []
                _run(self._bound_forward(env), work, results.append, cls)
                return results
            return list(self._run_shard(work, env).get("records", []))

    def _run_to_files(self, work: list[Any], base: Path) -> Any:
        cls = type(self)
        n_items = len(work) if self.batch_size is None else sum(len(batch) for batch in work)
        mark = fingerprint(
            work,
            getattr(self.provider, "config", None),
            {
                "runner": cls,
                "provider": type(self.provider),
                "params": getattr(self.provider, "params", None),
                "options": self.options(),
                "data": self.data_mark,
            },
        )
        name = f"{cls.__module__}.{cls.__qualname__}"
        plan = _shards.Plan(runner=name, fingerprint=mark, n_items=n_items, shards=(n_items,))
        _shards.enter_plan(base, plan, self.resume)
        folder = _shards.shard_dir(base, 0)
        if not (self.resume and cls.is_shard_done(folder) and _is_current(folder, mark)):
            env = self.environment()
            with self.around_work():
                self._run_shard(work, env)
            folder.mkdir(parents=True, exist_ok=True)
            _shards.write_done(folder, n_items, mark)
        else:
            self.report_kept(n_items)
        return self.merge([folder])

    def report_kept(self, n_items: int) -> None:
        """Say that the results of an earlier run are kept."""
        from esp3rt.progress import console_line

        console_line(f"{self.label}: {n_items} {self.unit} were done before and are kept")

    def _run_shard(self, work: list[Any], env: dict[str, Any]) -> dict[str, Any]:
        from esp3rt.progress import Progress

        cls = type(self)
        output_dir = "" if self.output_dir is None else str(self.output_dir)
        forward = self._bound_forward(env)
        state = _call_hook(cls, "init_state", (), {"output_dir": output_dir, "shard_subdir": self.shard_subdir}, env)
        extra = injected(cls.reduce_state, 2, {**env, "shard_id": 0}, f"{cls.__qualname__}.reduce_state")
        reduce = cls.reduce_state
        n_items = len(work) if self.batch_size is None else sum(len(batch) for batch in work)
        batched = self.batch_size is not None
        finished = False
        try:
            with Progress(self.label, n_items, unit=self.unit) as progress:

                def take(result: Any) -> None:
                    nonlocal state
                    state = reduce(state, result, **extra)

                def count(item: Any) -> None:
                    progress.advance(len(item) if batched else 1)

                _run(forward, work, take, cls, count)
            finished = True
        finally:
            if not finished and state.get("writers"):
                cls.close_writers(state["writers"])
        return _call_hook(cls, "finalize_state", (state,), {}, env)

    def _bound_forward(self, env: dict[str, Any]) -> Callable[[Any], Any]:
        cls = type(self)
        extra = injected(cls.forward, 1, env, f"{cls.__qualname__}.forward")
        return partial(cls.forward, **extra)


def _run(
    forward: Callable[[Any], Any],
    work: list[Any],
    take: Callable[[Any], None],
    cls: type[BaseRunner],
    count: Callable[[Any], None] | None = None,
) -> None:
    item: Any = None
    try:
        if count is None:
            for item in work:
                take(forward(item))
        else:
            for item in work:
                take(forward(item))
                count(item)
    except Exception as error:
        error.add_note(f"{cls.__qualname__} was working on {_name_of(item)}")
        raise


def _name_of(item: Any) -> str:
    if isinstance(item, list):
        return f"the batch of items {item[0]} to {item[-1]}" if item else "an empty batch"
    return f"item {item}"


def _call_hook(
    cls: type[BaseRunner], name: str, given: tuple[Any, ...], settings: dict[str, Any], env: dict[str, Any]
) -> dict[str, Any]:
    hook = getattr(cls, name)
    label = f"{cls.__qualname__}.{name}"
    extra = injected(hook, len(given), {**env, "shard_id": 0, **settings}, label)
    state: dict[str, Any] = hook(*given, **extra)
    return state


def _batches(indices: Iterable[int], batch_size: int | None) -> list[Any]:
    items = list(indices)
    if batch_size is None:
        return items
    return [items[start : start + batch_size] for start in range(0, len(items), batch_size)]


def _is_overridden(cls: type[BaseRunner], name: str) -> bool:
    ours = inspect.getattr_static(BaseRunner, name)
    return inspect.getattr_static(cls, name) is not ours


def _is_current(folder: Path, mark: str) -> bool:
    done = _shards.read_json(folder / _shards.DONE)
    # A class with an `is_shard_done` of its own may write a `done` of its own.
    return not isinstance(done, dict) or done.get("fingerprint") == mark


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
