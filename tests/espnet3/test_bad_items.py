"""Items that cannot be worked on, where the setting allows that some are left out."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from espnet3.parallel._bad_items import BadItems, go_carefully, is_the_machines_fault
from espnet3.parallel.base_runner import LEFT_OUT, BaseRunner, concatenate_shard_files
from espnet3.parallel.env_provider import EnvironmentProvider
from espnet3.parallel.parallel import parallel_in_force
from espnet3.utils.errors import ConfigError, RunnerError


class Nothing(EnvironmentProvider):
    """The environment has the items that fail, and those that kill."""

    def __init__(self, fails: tuple[int, ...] = (), kills: tuple[int, ...] = ()) -> None:
        super().__init__(OmegaConf.create({}))
        self.fails, self.kills = fails, kills

    def build_env_local(self) -> dict[str, Any]:
        return self.build_worker_setup_fn()()

    def build_worker_setup_fn(self) -> Callable[[], dict[str, Any]]:
        env = {"fails": self.fails, "kills": self.kills}
        return lambda: env


class Lines(BaseRunner):
    """A line for each item."""

    @staticmethod
    def forward(idx: Any, fails: tuple[int, ...], kills: tuple[int, ...], **env: Any) -> Any:
        numbers = idx if isinstance(idx, list) else [idx]
        for number in numbers:
            if number in kills:
                os.kill(os.getpid(), signal.SIGKILL)
            if number in fails:
                raise ValueError(f"{number} cannot be read")
        return "".join(f"{number}\n" for number in numbers)

    @staticmethod
    def open_writers(shard_dir: Path | None, **env: Any) -> dict[str, Any]:
        assert shard_dir is not None
        return {"text": (shard_dir / "text").open("w", encoding="utf-8")}

    @staticmethod
    def write_record(writers: dict[str, Any], result: Any, state: dict[str, Any], **env: Any) -> None:
        writers["text"].write(result)

    @staticmethod
    def close_writers(writers: dict[str, Any]) -> None:
        writers["text"].close()

    def merge(self, shard_dirs: list[Path]) -> list[int]:
        assert self.output_dir is not None
        concatenate_shard_files(shard_dirs, "text", self.output_dir / "text")
        return [int(line) for line in (self.output_dir / "text").read_text().split()]


def run(tmp_path: Path, provider: Nothing, allowed: int, workers: int = 1, batch_size: int | None = None) -> Any:
    """Run over 40 items in 4 shards, where so many may be left out."""
    setting = {"env": "local", "n_workers": workers, "n_shards": 4, "options": {"max_bad_items": allowed}}
    runner = Lines(provider, batch_size=batch_size, output_dir=tmp_path)
    with parallel_in_force(OmegaConf.create(setting)):
        return runner(range(40))


def left_out(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / LEFT_OUT).read_text().splitlines()]


@pytest.mark.parametrize("batch_size", [None, 4])
def test_items_that_fail_are_left_out(
    tmp_path: Path, batch_size: int | None, capfd: pytest.CaptureFixture[str]
) -> None:
    """They alone are missing, also where they stand in a batch, and it is written down what they did."""
    found = run(tmp_path, Nothing(fails=(7, 8, 33)), 3, batch_size=batch_size)

    assert [number for number in range(40) if number not in (7, 8, 33)] == found
    assert [
        {"position": number, "item": str(number), "why": f"ValueError: {number} cannot be read"}
        for number in (7, 8, 33)
    ] == left_out(tmp_path)
    assert "warning: Lines: 3 items were left out" in capfd.readouterr().out


@pytest.mark.parametrize("batch_size", [None, 5])
def test_an_item_that_kills_its_process_is_left_out(tmp_path: Path, batch_size: int | None) -> None:
    """It is found although no process that met it can say so; a second one in the same shard too."""
    found = run(tmp_path, Nothing(kills=(12, 18)), 2, workers=2, batch_size=batch_size)

    assert [number for number in range(40) if number not in (12, 18)] == found
    assert [each["position"] for each in left_out(tmp_path)] == [12, 18]
    assert {"2 processes that worked on it were lost"} == {each["why"] for each in left_out(tmp_path)}


def test_one_more_than_allowed_in_a_shard(tmp_path: Path) -> None:
    """The error is that of the item."""
    with pytest.raises(ValueError, match="8 cannot be read") as caught:
        run(tmp_path, Nothing(fails=(7, 8)), 1)

    assert "1 item was left out before it, and max_bad_items is 1" in caught.value.__notes__


def test_one_more_than_allowed_in_all(tmp_path: Path) -> None:
    """Each shard has few enough, all together have not."""
    with pytest.raises(RunnerError, match=r"2 items were left out.*max_bad_items is 1"):
        run(tmp_path, Nothing(fails=(7, 27)), 1)


def test_what_was_left_out_is_done_again_where_nothing_may_be(tmp_path: Path) -> None:
    """Results without some items are not taken for whole ones; mended, they are."""
    run(tmp_path, Nothing(fails=(7,)), 1)
    with pytest.raises(ValueError, match="7 cannot be read"):
        run(tmp_path, Nothing(fails=(7,)), 0)

    assert list(range(40)) == run(tmp_path, Nothing(), 0)
    assert not (tmp_path / LEFT_OUT).exists()


def test_an_error_of_an_item_is_no_death_of_a_process(tmp_path: Path) -> None:
    """A run that failed at an item twice has lost no process there."""
    for _ in range(3):
        with pytest.raises(ValueError, match="8 cannot be read"):
            run(tmp_path, Nothing(fails=(7, 8)), 1)

    found = run(tmp_path, Nothing(fails=(7,)), 1)
    assert [number for number in range(40) if number != 7] == found


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "no space"), MemoryError(), RuntimeError("CUDA error: an illegal memory access")],
    ids=["disk", "memory", "gpu"],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_what_is_not_the_fault_of_an_item(tmp_path: Path, error: Exception, wrapped: bool) -> None:
    """It is raised, and no item is left out for it; any other error is the item's."""

    def run(items: Sequence[Any]) -> None:
        if wrapped:
            raise ValueError("cannot be read") from error
        raise error

    bad = BadItems(tmp_path, allowed=9)
    with pytest.raises(ValueError if wrapped else type(error)):
        list(go_carefully(run, ["a", "b"], 0, False, bad))

    assert bad.left_out == []
    assert not is_the_machines_fault(OSError(errno.ENOENT, "no such file"))


def test_how_many_is_a_number(tmp_path: Path) -> None:
    """Anything else is said to be none."""
    with pytest.raises(ConfigError, match=r"parallel\.options\.max_bad_items must be 0 or more, not -1"):
        run(tmp_path, Nothing(), -1)
