"""Several processes on one folder: who may work there, what happens when one is stopped, and whose files count."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from esp3rt.lease import take
from espnet3.parallel import _shards
from espnet3.parallel.base_runner import BaseRunner, concatenate_shard_files
from espnet3.parallel.env_provider import EnvironmentProvider
from espnet3.utils.errors import RunnerError
from espnet3.utils.machine_setting import parallel_in_force


class Provider(EnvironmentProvider):
    """Nothing but the config, whose `beam` makes other work of it."""

    def __init__(self, beam: int = 1) -> None:
        super().__init__(OmegaConf.create({"beam": beam}))

    def build_env_local(self) -> dict[str, Any]:
        return {"beam": self.config.beam}

    def build_worker_setup_fn(self) -> Callable[[], dict[str, Any]]:
        return self.build_env_local


class Lines(BaseRunner):
    """Writes lines, and joins what there is, as the guide does."""

    @staticmethod
    def forward(idx: Any, beam: int, **env: Any) -> Any:  # type: ignore[override]
        return f"{beam} {idx}"

    @staticmethod
    def open_writers(shard_dir: Path | None, **env: Any) -> dict[str, Any]:
        assert shard_dir is not None
        return {"lines": (shard_dir / "lines").open("w"), "dir": shard_dir}

    @staticmethod
    def write_record(writers: dict[str, Any], result: Any, state: dict[str, Any], **env: Any) -> None:
        writers["lines"].write(f"{result}\n")

    @staticmethod
    def close_writers(writers: dict[str, Any]) -> None:
        writers["lines"].close()
        (writers["dir"] / "closed").write_text("by its owner")

    def merge(self, shard_dirs: list[Path]) -> str:
        assert self.output_dir is not None
        concatenate_shard_files(sorted(shard_dirs), "lines", self.output_dir / "lines")
        return (self.output_dir / "lines").read_text()


def expected(n: int, beam: int = 1) -> str:
    return "".join(f"{beam} {idx}\n" for idx in range(n))


@pytest.mark.parametrize("during", ["setup", "merge"])
def test_a_run_is_company_from_its_plan_to_its_merge(tmp_path: Path, during: str) -> None:
    """Also while it holds no shard; another run of the same work may join, one that would begin again may not."""
    inside, go_on = threading.Event(), threading.Event()
    results: list[str] = []

    class Slow(Provider):
        def build_env_local(self) -> dict[str, Any]:
            if during == "setup":
                inside.set()
                assert go_on.wait(30)
            return super().build_env_local()

    class SlowMerge(Lines):
        def merge(self, shard_dirs: list[Path]) -> str:
            if during == "merge":
                inside.set()
                assert go_on.wait(30)
            return super().merge(shard_dirs)

    runner = SlowMerge(Slow(), output_dir=tmp_path)
    thread = threading.Thread(target=lambda: results.append(runner(range(20))))
    thread.start()
    assert inside.wait(30)
    with pytest.raises(RunnerError, match=r"is working in .*with other inputs than this run's; wait"):
        SlowMerge(Provider(beam=2), output_dir=tmp_path)(range(20))
    with pytest.raises(RunnerError, match=r"which this run would throw away \(resume is off\)"):
        SlowMerge(Slow(), output_dir=tmp_path, resume=False)(range(20))
    go_on.set()
    thread.join(30)

    assert results == [expected(20)]
    assert Lines(Provider(beam=2), output_dir=tmp_path)(range(3)) == expected(3, 2)
    assert not list((tmp_path / ".leases").glob("run-*"))


def test_a_run_that_was_killed_is_no_company(tmp_path: Path) -> None:
    """Its lease is not given back, and holds nobody up."""
    base = tmp_path / "out"
    plan = _shards.Plan(runner="r", inputs={}, n_items=1, shards=(1,))
    code = f"""
import os, signal
from pathlib import Path
from espnet3.parallel import _shards
_shards.enter_plan(Path({str(base)!r}), _shards.Plan(runner="r", inputs={{}}, n_items=1, shards=(1,)), True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert _shards.read_plan(base) == plan
    assert Lines(Provider(), output_dir=base)(range(4)) == expected(4)


DRIVER = """
import os, signal, sys
from pathlib import Path
import esp3rt.lease
from omegaconf import OmegaConf
from espnet3.parallel.base_runner import BaseRunner, concatenate_shard_files
from espnet3.parallel.env_provider import EnvironmentProvider

esp3rt.lease.SECONDS_TO_DEATH = 0.5
HERE = Path(__file__).parent

def stop(place):
    mark = HERE / f"stop.{place}"
    if mark.exists():
        mark.unlink()
        (HERE / "stopped").touch()
        os.kill(os.getpid(), signal.SIGSTOP)

class Provider(EnvironmentProvider):
    def build_env_local(self): return {}
    def build_worker_setup_fn(self): return dict

class Lines(BaseRunner):
    @staticmethod
    def forward(idx, **env):
        stop(idx)
        return idx
    @staticmethod
    def open_writers(shard_dir, **env):
        stop("open")
        return {"lines": (shard_dir / "lines").open("w"), "dir": shard_dir}
    @staticmethod
    def write_record(writers, result, state, **env):
        writers["lines"].write(f"{result}\\n")
    @staticmethod
    def close_writers(writers):
        writers["lines"].close()
        (writers["dir"] / "closed").write_text("by its owner")
    def merge(self, shard_dirs):
        concatenate_shard_files(shard_dirs, "lines", self.output_dir / "lines")
        return (self.output_dir / "lines").read_text()

whole = "".join(f"{idx}\\n" for idx in range(40))
print(Lines(Provider(OmegaConf.create({})), output_dir=HERE / "out")(range(40)) == whole, flush=True)
"""


@pytest.mark.parametrize("place", ["open", "0", "11", "39"])
def test_a_run_that_was_stopped_writes_where_nobody_reads(tmp_path: Path, place: str) -> None:
    """Stopped within a shard for longer than the living are, it wakes up after another has done that shard."""
    (tmp_path / "drive.py").write_text(DRIVER)
    (tmp_path / f"stop.{place}").touch()
    command = [sys.executable, str(tmp_path / "drive.py")]
    stopped = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not (tmp_path / "stopped").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.7)
    other = subprocess.run(command, capture_output=True, text=True, check=True)
    (turn,) = (tmp_path / "out").glob("split.*.*")
    before = {path.name: path.read_bytes() for path in turn.iterdir()}
    stopped.send_signal(signal.SIGCONT)
    assert stopped.stdout is not None
    woken = stopped.stdout.read()

    assert stopped.wait(30) == 0
    assert [other.stdout.splitlines()[-1], woken.splitlines()[-1]] == ["True", "True"]
    assert {path.name: path.read_bytes() for path in turn.iterdir()} == before
    assert _shards.current_dir(tmp_path / "out", int(turn.name.split(".")[1])) == turn
    assert (tmp_path / "out" / "lines").read_text() == "".join(f"{idx}\n" for idx in range(40))


def test_a_shard_is_not_worked_on_under_another_plan(tmp_path: Path) -> None:
    """Where a worker comes too late, it says so and touches nothing."""
    from espnet3.parallel._shard_work import ShardWork

    Lines(Provider(beam=2), output_dir=tmp_path)(range(2))
    late = ShardWork(cls=Lines, items=range(2), shards=(2,), batch_size=None, output_dir=str(tmp_path), mark="other")

    with pytest.raises(RunnerError, match="another run has begun other work"):
        late({"beam": 1}, 0, lambda n: None)
    assert (tmp_path / "lines").read_text() == expected(2, 2)


def test_a_shard_that_changes_before_the_merge_is_noticed(tmp_path: Path) -> None:
    """Nobody merges what is not what was written."""

    class Spoils(Lines):
        @staticmethod
        def close_writers(writers: dict[str, Any]) -> None:
            Lines.close_writers(writers)
            if writers["dir"].name == "split.1":
                (writers["dir"].parent / "split.0" / "lines").write_text("spoilt\n")

    with (
        parallel_in_force(OmegaConf.create({"n_shards": 2})),
        pytest.raises(RunnerError, match=r"split.0 was changed by"),
    ):
        Spoils(Provider(), output_dir=tmp_path)(range(4))


def test_shared_work_is_told_as_a_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What another process has done counts; nobody says that a run stopped which did not."""
    with parallel_in_force(OmegaConf.create({"n_shards": 2})):
        Lines(Provider(), output_dir=tmp_path)(range(6))
        (tmp_path / "split.0" / "done").unlink()
        (tmp_path / "split.1" / "lines").unlink()
        capsys.readouterr()
        held = take(_shards.lease_of(tmp_path, 1))

        def give_back() -> None:
            time.sleep(0.5)
            held.release()  # type: ignore[union-attr]

        thread = threading.Thread(target=give_back)
        thread.start()
        assert Lines(Provider(), output_dir=tmp_path)(range(6)) == expected(6)
        thread.join()

    said = capsys.readouterr().out
    assert f"Lines: waits for a shard that process {os.getpid()} on " in said
    assert "Lines: 6 items in" in said
    assert "stopped" not in said
