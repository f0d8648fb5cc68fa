"""Providers and runners: the environment by name, order, batches, shards, resuming."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from espnet3.parallel.base_runner import BaseRunner, concatenate_shard_files
from espnet3.parallel.env_provider import EnvironmentProvider
from espnet3.parallel.inference_provider import InferenceProvider
from espnet3.parallel.parallel import get_parallel_config, set_parallel
from espnet3.utils.errors import RunnerError


class Provider(EnvironmentProvider):
    """Squares: `dataset[i]` is i, `model(x)` is x * x."""

    def __init__(self, config: Any = None, **env: Any) -> None:
        super().__init__(OmegaConf.create(config or {}))
        self.env = {"dataset": range(1000), "model": lambda value: value * value, **env}
        self.built = 0

    def build_env_local(self) -> dict[str, Any]:
        self.built += 1
        return dict(self.env)

    def build_worker_setup_fn(self) -> Callable[[], dict[str, Any]]:
        return self.build_env_local


class Square(BaseRunner):
    @staticmethod
    def forward(idx: Any, dataset: Any, model: Any, **env: Any) -> Any:
        if isinstance(idx, int):
            return model(dataset[idx])
        return [model(dataset[index]) for index in idx]


class SquareText(BaseRunner):
    """The guide's file-writing runner."""

    calls: ClassVar[list[int]] = []

    @staticmethod
    def forward(idx: Any, dataset: Any, model: Any, **env: Any) -> Any:
        SquareText.calls.append(idx)
        return {"utt_id": f"u{dataset[idx]}", "text": model(dataset[idx])}

    @staticmethod
    def open_writers(shard_dir: Path | None, **env: Any) -> dict[str, Any]:
        assert shard_dir is not None
        return {"text": (shard_dir / "text").open("w", encoding="utf-8")}

    @staticmethod
    def write_record(writers: dict[str, Any], result: Any, state: dict[str, Any], **env: Any) -> None:
        writers["text"].write(f"{result['utt_id']} {result['text']}\n")

    @staticmethod
    def close_writers(writers: dict[str, Any]) -> None:
        for handle in writers.values():
            handle.close()

    def merge(self, shard_dirs: list[Path]) -> Any:
        assert self.output_dir is not None
        concatenate_shard_files(shard_dirs, "text", self.output_dir / self.shard_subdir / "text")
        return (self.output_dir / self.shard_subdir / "text").read_text()


@pytest.fixture(autouse=True)
def no_calls() -> None:
    SquareText.calls = []


def test_results_come_in_the_order_of_the_items() -> None:
    """Without an output folder the results are a list; the environment is built once."""
    provider = Provider()
    runner = Square(provider)

    assert runner([3, 1, 2]) == [9, 1, 4]
    assert runner([]) == []
    assert provider.built == 1


def test_with_a_batch_size_forward_takes_lists() -> None:
    """The last batch may be short."""
    assert Square(Provider(), batch_size=2)(range(5)) == [[0, 1], [4, 9], [16]]
    with pytest.raises(RunnerError, match="batch_size must be a positive number or None, not 0"):
        Square(Provider(), batch_size=0)


def test_a_parameter_without_an_entry_is_named_with_the_nearest() -> None:
    """Before the first item, and only where there is no default."""

    class Named(BaseRunner):
        @staticmethod
        def forward(idx: Any, dataset: Any, modle: Any, beam: int = 3) -> Any:  # type: ignore[override]
            return beam

    class Some(BaseRunner):
        @staticmethod
        def forward(idx: Any, beam: int = 3) -> Any:  # type: ignore[override]
            return beam

    with pytest.raises(RunnerError, match=r"Named.forward has a parameter 'modle'.*did you mean 'model'"):
        Named(Provider())([0])
    assert Some(Provider())([0]) == [3]
    assert Some(Provider(beam=5))([0]) == [5]


def test_forward_must_be_static() -> None:
    """A method that captures the runner is refused when the runner is made."""

    class Bad(BaseRunner):
        def forward(self, idx: Any) -> Any:  # type: ignore[override]
            return idx

    class AlsoBad(BaseRunner):
        @staticmethod
        def forward(self: Any, idx: Any) -> Any:  # type: ignore[override]
            return idx

    with pytest.raises(RunnerError, match=r"Bad.forward must be a @staticmethod.*drop `self`"):
        Bad(Provider())
    with pytest.raises(RunnerError, match=r"the first parameter of .*AlsoBad.forward is the item"):
        AlsoBad(Provider())


def test_an_environment_must_be_a_dict() -> None:
    """What a provider returns is checked, and a setup function must be one."""

    class Returns(Provider):
        def build_env_local(self) -> Any:
            return ["dataset"]

    class NoFunction(InferenceProvider):
        @staticmethod
        def build_dataset(config: DictConfig) -> Any:
            return range(3)

        @staticmethod
        def build_model(config: DictConfig) -> Any:
            return abs

        def build_worker_setup_fn(self) -> Any:
            return {"dataset": range(3)}

    with pytest.raises(RunnerError, match="must give a dict of names and objects, not a list"):
        Square(Returns())([0])
    with pytest.raises(RunnerError, match="returned a dict; it must return a function"):
        NoFunction(OmegaConf.create({}))


def test_an_inference_provider_builds_once() -> None:
    """Dataset and model are built with the provider, by the function that a worker would call."""
    built: list[str] = []

    class Counting(InferenceProvider):
        @staticmethod
        def build_dataset(config: DictConfig) -> Any:
            built.append("dataset")
            return range(config.n)

        @staticmethod
        def build_model(config: DictConfig) -> Any:
            built.append("model")
            return lambda value: value + 1

    provider = Counting(OmegaConf.create({"n": 4}), params={"beam": 2})

    assert Square(provider)(range(4)) == [1, 2, 3, 4]
    assert Square(provider)(range(4)) == [1, 2, 3, 4]
    assert provider.build_env_local()["beam"] == 2
    assert built == ["dataset", "model"]


def test_an_error_names_the_item() -> None:
    """The error is the user's own, with a note."""

    class Fails(BaseRunner):
        @staticmethod
        def forward(idx: Any, **env: Any) -> Any:  # type: ignore[override]
            return 1 / (idx - 2)

    with pytest.raises(ZeroDivisionError) as caught:
        Fails(Provider())(range(5))

    assert caught.value.__notes__ == [f"{Fails.__qualname__} was working on item 2"]


def test_writer_hooks_need_an_output_folder() -> None:
    """The mistake is told, not passed over."""
    with pytest.raises(RunnerError, match=r"SquareText has the writer hook open_writers\(\) but no output_dir"):
        SquareText(Provider())([0])


def test_files_are_written_and_merged(tmp_path: Path) -> None:
    """The folder has a manifest, a shard with its files and its done mark, and the merged file."""
    runner = SquareText(Provider(), output_dir=tmp_path, shard_subdir="sub")

    assert runner(range(3)) == "u0 0\nu1 1\nu2 4\n"
    base = tmp_path / "sub"
    files = (path.relative_to(base).as_posix() for path in base.rglob("*") if path.is_file())
    assert sorted(path for path in files if not path.startswith(".leases/")) == [
        "manifest.json",
        "split.0/done",
        "split.0/text",
        "text",
    ]
    done = json.loads((base / "split.0" / "done").read_text())
    assert done["count"] == 3
    assert done["files"]["text"]["bytes"] == 15
    assert SquareText.is_shard_done(base / "split.0")


def test_done_work_is_kept_and_changed_work_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same inputs are not worked on again; more items or another config are."""

    def run(n: int, config: Any = None, **kwargs: Any) -> int:
        SquareText.calls = []
        SquareText(Provider(config), output_dir=tmp_path, **kwargs)(range(n))
        return len(SquareText.calls)

    assert run(3) == 3
    assert run(3) == 0
    assert "SquareText: 3 items were done before and are kept" in capsys.readouterr().out
    assert run(5) == 5
    assert (tmp_path / "text").read_text().count("\n") == 5
    assert run(5, {"beam": 2}) == 5
    assert run(5, {"beam": 2, "parallel": {"n_workers": 4}}) == 0
    assert run(5, {"beam": 2}, resume=False) == 5


def test_a_changed_file_behind_a_path_in_the_config_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint with other content, or the recipe's own source, makes the work new."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "last.ckpt").write_bytes(b"one")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "inference.py").write_text("def build_output(): ...\n")
    config = {"model": {"checkpoint": "last.ckpt"}, "output_fn": "src.inference.build_output"}

    def run() -> int:
        SquareText.calls = []
        SquareText(Provider(config), output_dir="out")(range(3))
        return len(SquareText.calls)

    assert (run(), run()) == (3, 0)
    (tmp_path / "last.ckpt").write_bytes(b"two")
    assert (run(), run()) == (3, 0)
    (tmp_path / "src" / "inference.py").write_text("def build_output(): return 1\n")
    assert (run(), run()) == (3, 0)


@pytest.mark.parametrize("spoil", ["truncate", "remove", "done", "version"])
def test_a_shard_that_cannot_be_verified_is_done_again(tmp_path: Path, spoil: str) -> None:
    """Files that changed after the done mark, or a done mark that cannot be read, are not trusted."""
    runner = SquareText(Provider(), output_dir=tmp_path)
    runner(range(3))
    shard = tmp_path / "split.0"
    if spoil == "truncate":
        (shard / "text").write_text("u0 0\n")
    elif spoil == "remove":
        (shard / "text").unlink()
    elif spoil == "done":
        (shard / "done").write_text("")
    else:
        (shard / "done").write_text('{"version": 99}')
    SquareText.calls = []

    assert not SquareText.is_shard_done(shard)
    assert runner(range(3)) == "u0 0\nu1 1\nu2 4\n"
    assert SquareText.calls == [0, 1, 2]


def test_shards_of_another_plan_are_cleared(tmp_path: Path) -> None:
    """What an earlier plan left does not reach the merged file."""
    stale = tmp_path / "split.1" / "deep"
    stale.mkdir(parents=True)
    (stale / "text").write_text("stale")
    SquareText(Provider(), output_dir=tmp_path)(range(2))

    assert [path.name for path in tmp_path.glob("split.*")] == ["split.0"]


def test_writers_are_closed_when_the_work_fails(tmp_path: Path) -> None:
    """And the shard is not done."""
    handles = []

    class Fails(SquareText):
        @staticmethod
        def write_record(writers: dict[str, Any], result: Any, state: dict[str, Any], **env: Any) -> None:
            handles.append(writers["text"])
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Fails(Provider(), output_dir=tmp_path)(range(2))

    assert handles[0].closed
    assert not (tmp_path / "split.0" / "done").exists()


def test_hooks_take_the_environment_by_name(tmp_path: Path) -> None:
    """A writer hook without `**env` gets what it names; the default record list serves the state hooks."""

    class Summing(BaseRunner):
        @staticmethod
        def forward(idx: Any, **env: Any) -> Any:  # type: ignore[override]
            return idx

        @classmethod
        def reduce_state(cls, state: dict[str, Any], result: Any, scale: int, **env: Any) -> dict[str, Any]:
            state["records"] = [sum(state["records"]) + scale * result]
            return state

    class Hook(SquareText):
        @staticmethod
        def open_writers(shard_dir: Path | None, suffix: str) -> dict[str, Any]:  # type: ignore[override]
            assert shard_dir is not None
            return {"text": (shard_dir / f"text{suffix}").open("w")}

        def merge(self, shard_dirs: list[Path]) -> Any:
            return [path.name for path in shard_dirs[0].iterdir() if path.name != "done"]

    assert Summing(Provider(scale=10))(range(4)) == [60]
    assert Hook(Provider(suffix=".txt"), output_dir=tmp_path)(range(2)) == ["text.txt"]
    with pytest.raises(RunnerError, match=r"Hook.open_writers has a parameter 'suffix'.*did you mean 'sufix'"):
        Hook(Provider(sufix=".txt"), output_dir=tmp_path / "other")(range(2))


def test_joining_keeps_bytes_and_order(tmp_path: Path) -> None:
    """Shards without the file are passed over; without any, nothing is written."""
    for number in (2, 10, 0):
        folder = tmp_path / f"split.{number}"
        folder.mkdir()
        if number != 10:
            (folder / "x.scp").write_bytes(f"{number}\n".encode())
    folders = [tmp_path / f"split.{number}" for number in (0, 2, 10)]

    assert concatenate_shard_files(folders, "x.scp", tmp_path / "x.scp")
    assert (tmp_path / "x.scp").read_bytes() == b"0\n2\n"
    assert not concatenate_shard_files(folders, "y.scp", tmp_path / "y.scp")
    assert not (tmp_path / "y.scp").exists()


_KILLED = """
import sys, time
from pathlib import Path
from espnet3.parallel.base_runner import BaseRunner, concatenate_shard_files
from espnet3.parallel.env_provider import EnvironmentProvider

class P(EnvironmentProvider):
    def build_env_local(self):
        return {}
    def build_worker_setup_fn(self):
        return self.build_env_local

class R(BaseRunner):
    @staticmethod
    def forward(idx, **env):
        time.sleep(0.0005)
        return idx
    @staticmethod
    def open_writers(shard_dir, **env):
        return {"h": open(shard_dir / "x", "w")}
    @staticmethod
    def write_record(writers, result, state, **env):
        writers["h"].write(f"{result}\\n")
    @staticmethod
    def close_writers(writers):
        writers["h"].close()
    def merge(self, shard_dirs):
        concatenate_shard_files(shard_dirs, "x", self.output_dir / "x")

print("ready", flush=True)
R(P(None), output_dir=sys.argv[1])(range(300))
"""


def test_killed_at_any_time_a_second_run_is_right(tmp_path: Path) -> None:
    """The merged file is absent or whole after SIGKILL, and right after running again."""
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(_KILLED))
    whole = "".join(f"{number}\n" for number in range(300))
    for round_number in range(5):
        out = tmp_path / f"out{round_number}"
        command = [sys.executable, str(script), str(out)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.05 * round_number)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        assert not (out / "x").exists() or (out / "x").read_text() == whole
        subprocess.run(command, check=True, capture_output=True)

        assert (out / "x").read_text() == whole


@settings(max_examples=40, deadline=None)
@given(n=st.integers(0, 40), batch_size=st.none() | st.integers(1, 50))
def test_any_batch_size_gives_the_same_results(n: int, batch_size: int | None) -> None:
    """Batches are cut without losing, doubling or moving an item."""
    results = Square(Provider(), batch_size=batch_size)(range(n))
    flat = results if batch_size is None else [value for batch in results for value in batch]

    assert flat == [value * value for value in range(n)]


def test_the_setting_in_force() -> None:
    """What is set is what is read."""
    setting = OmegaConf.create({"env": "local"})
    set_parallel(setting)
    try:
        assert get_parallel_config() is setting
    finally:
        set_parallel(None)
    assert get_parallel_config() is None
