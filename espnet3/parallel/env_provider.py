"""What a runner needs, built where it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from espnet3.utils.errors import RunnerError

if TYPE_CHECKING:
    from omegaconf import DictConfig


class EnvironmentProvider(ABC):
    """Builds the environment of a runner: a dict of names and objects, handed to `forward` by name.

    Objects are built once, never per item: `build_env_local` builds them in the process that drives the
    work, the function that `build_worker_setup_fn` returns builds them once in each worker.
    """

    def __init__(self, config: DictConfig) -> None:
        self.config = config

    @abstractmethod
    def build_env_local(self) -> dict[str, Any]:
        """Build the environment in this process and return it."""

    @abstractmethod
    def build_worker_setup_fn(self) -> Callable[[], dict[str, Any]]:
        """Return a function without arguments that builds the environment in a worker."""


class _Setup:
    """What `build_worker_setup_fn` returned, and a look at what it gives."""

    def __init__(self, setup: Callable[[], Any], source: str) -> None:
        self._setup = setup
        self._source = source

    def __call__(self) -> dict[str, Any]:
        return checked_env(self._setup(), self._source)


def worker_setup(provider: EnvironmentProvider) -> Callable[[], dict[str, Any]]:
    """The function that builds the environment in a worker of `provider`.

    Raises:
        RunnerError: `build_worker_setup_fn` did not return a function; when it is called: that function returned no
            dict.
    """
    name = type(provider).__qualname__
    setup = provider.build_worker_setup_fn()
    if not callable(setup):
        raise RunnerError(
            f"{name}.build_worker_setup_fn() returned a {type(setup).__name__}; it must return a function "
            "without arguments that builds the environment (def setup(): return {...}; return setup)"
        )
    return _Setup(setup, f"the function that {name}.build_worker_setup_fn() returned")


def checked_env(env: object, source: str) -> dict[str, Any]:
    """`env` itself if it can be an environment.

    Raises:
        RunnerError: It is no dict of names; `source` says whose it is.
    """
    if not isinstance(env, dict) or not all(isinstance(key, str) for key in env):
        raise RunnerError(f"{source} must give a dict of names and objects, not a {type(env).__name__}")
    return env
