"""What a shard's work is wrapped in when it is sent to another process, and when it is done in this one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from espnet3.parallel._shard_work import ShardWork
from espnet3.utils.config_errors import keep_origin


@contextmanager
def back_here() -> Iterator[None]:
    """Come back to this folder: `forward` may go somewhere else."""
    here = os.getcwd()
    try:
        yield
    finally:
        os.chdir(here)


class WorkerEnvironment:
    """Builds the environment in a worker: what the provider's function gives, and the runner's options."""

    def __init__(self, setup: Callable[[], dict[str, Any]], options: dict[str, Any]) -> None:
        self._setup = setup
        self._options = options

    def __call__(self) -> dict[str, Any]:
        return {**self._setup(), **self._options}


class Elsewhere:
    """Does shards where no error is seen with its frames but here."""

    def __init__(self, work: ShardWork, config: Any) -> None:
        self._work = work
        self._config = config

    def __call__(self, env: dict[str, Any], number: int, moved: Callable[[int], None]) -> Any:
        try:
            return self._work(env, number, moved)
        except Exception as error:
            if self._config is not None:
                keep_origin(error, self._config)
            raise
