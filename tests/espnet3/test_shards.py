"""Shards: however the work is cut, shared out, killed and taken up, the same bytes come out."""

import json
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
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from espnet3.parallel import _shards
from espnet3.parallel._shard_work import RECORDS
from espnet3.parallel.base_runner import BaseRunner, concatenate_shard_files
from espnet3.parallel.env_provider import EnvironmentProvider
from espnet3.parallel.executions import execution_of
from espnet3.parallel.parallel import parallel_in_force
from espnet3.systems.base.inference_runner import InferenceRunner
from espnet3.utils.errors import ConfigError, OutputError, RunnerError


class Provider(EnvironmentProvider):
    """`dataset[i]` is i; further entries as given."""

    def __init__(self, config: Any = None, **env: Any) -> None:
        super().__init__(OmegaConf.create(config or {}))
        self.env = env

    def build_env_local(self) -> dict[str, Any]:
        return self.build_worker_setup_fn()()

    def build_worker_setup_fn(self) -> Callable[[], dict[str, Any]]:
        env = {"dataset": range(10_000), "model": lambda value: value * value, **self.env}
        return lambda: env


class Squares(BaseRunner):
    @staticmethod
    def forward(idx: Any, dataset: Any, model: Any, **env: Any) -> Any:
        return [model(dataset[i]) for i in (idx if isinstance(idx, list) else [idx])]


class Text(Squares):
    """Writes a line an item, and joins them with `sorted`, as people do."""

    @staticmethod
    def open_writers(shard_dir: Path | None, **env: Any) -> dict[str, Any]:
        assert shard_dir is not None
        return {"text": (shard_dir / "text").open("w", encoding="utf-8")}

    @staticmethod
    def write_record(writers: dict[str, Any], result: Any, state: dict[str, Any], **env: Any) -> None:
        writers["text"].write("".join(f"{value}\n" for value in result))

    @staticmethod
    def close_writers(writers: dict[str, Any]) -> None:
        writers["text"].close()

    def merge(self, shard_dirs: list[Path]) -> Any:
        assert self.output_dir is not None
        concatenate_shard_files(sorted(shard_dirs), "text", self.output_dir / "text")
        return (self.output_dir / "text").read_text()


class Records(BaseRunner):
    @staticmethod
    def forward(idx: Any, dataset: Any, model: Any, **env: Any) -> Any:
        return {"idx": idx, "score": model(idx)}


def _echo(speech: Any) -> Any:
    return speech


def in_force(**setting: Any) -> Any:
    """A machine setting for a `with` block."""
    return parallel_in_force(OmegaConf.create({"env": "local", **setting}))


@given(
    n=st.integers(0, 60),
    batch_size=st.sampled_from([None, 1, 3]),
    shards=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    spoilt=st.lists(st.integers(0, 39), max_size=4),
)
@settings(max_examples=25, deadline=None)
def test_any_cut_and_any_loss_gives_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, n: int, batch_size: int | None, shards: list[int], spoilt: list[int]
) -> None:
    """Shards that are lost are done again, under the cut that was made first; those that are whole are kept."""
    out = tmp_path_factory.mktemp("out")
    wanted = "".join(f"{value * value}\n" for value in range(n))

    for n_shards in shards:
        with in_force(n_shards=n_shards):
            assert Text(Provider(), batch_size, out)(range(n)) == wanted
        for number in spoilt:
            (out / f"split.{number}" / "text").unlink(missing_ok=True)
    with in_force(n_shards=7):
        assert Text(Provider(), batch_size, out)(range(n)) == wanted
    assert len(list(out.glob("split.*"))) == max(1, min(shards[0], -(-n // (batch_size or 1))))


@given(n=st.integers(0, 300), n_shards=st.integers(1, 50), batch_size=st.sampled_from([None, 1, 4, 7]))
def test_a_cut_is_whole_batches(n: int, n_shards: int, batch_size: int | None) -> None:
    """Nothing is lost, no shard but the last ends within a batch, and none is much larger than another."""
    cut = _shards.cut(n, n_shards, batch_size)

    assert sum(cut) == n
    assert all(count % (batch_size or 1) == 0 for count in cut[:-1])
    assert max(cut) - min(cut[:-1] or cut) <= 2 * (batch_size or 1)


DRIVER = """
import os, signal, sys
from pathlib import Path
from omegaconf import OmegaConf
from espnet3.parallel.base_runner import BaseRunner, concatenate_shard_files
from espnet3.parallel.env_provider import EnvironmentProvider
from espnet3.parallel.parallel import set_parallel
from espnet3.systems.base.inference_runner import InferenceRunner

out, n, workers, driver = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), os.getpid()

class Data:
    def __getitem__(self, idx):
        return {"utt_id": f"utt-{idx:03d}", "speech": idx}

def model(speech):
    # Each mark on the way kills once: the worker, or the driver.
    for who, pid in (("worker", os.getpid()), ("driver", driver)):
        mark = out.parent / f"{who}.{speech}"
        if mark.exists():
            mark.unlink()
            os.kill(pid, signal.SIGKILL)
    return speech * speech

def build_output(data, model_output, idx):
    return {"utt_id": data["utt_id"], "hyp": f"it is {model_output}", "ref": str(idx), "info": {"n": idx}}

class Provider(EnvironmentProvider):
    def build_env_local(self):
        return self.build_worker_setup_fn()()
    def build_worker_setup_fn(self):
        env = {"dataset": Data(), "model": model, "input_key": "speech", "output_fn": build_output}
        return lambda: env

set_parallel(OmegaConf.create({"env": "local", "n_workers": workers, "n_shards": int(sys.argv[4])}))
runner = InferenceRunner(Provider(OmegaConf.create({})), output_dir=out, shard_subdir="seen")
runner(range(n))
"""


@pytest.mark.parametrize(
    ("kills", "workers", "n_shards"),
    [
        (["worker.7", "worker.8", "driver.20", "worker.33"], (2, 1), (5, 9)),
        (["driver.0", "driver.13", "driver.39"], (1, 2), (40, 1)),
        (["worker.1", "worker.39", "driver.38"], (3, 2), (12, 3)),
    ],
)
def test_killed_anywhere_the_merged_files_are_the_same(
    tmp_path: Path, kills: list[str], workers: tuple[int, int], n_shards: tuple[int, int]
) -> None:
    """Workers and drivers are killed in the middle of their work; in the end not a byte differs."""
    script = tmp_path / "drive.py"
    script.write_text(DRIVER)
    plain, out = tmp_path / "plain" / "out", tmp_path / "killed" / "out"

    def drive(out: Path, turn: int) -> int:
        out.parent.mkdir(exist_ok=True)
        arguments = [str(out), "40", str(workers[turn % 2]), str(n_shards[turn % 2])]
        return subprocess.run([sys.executable, script, *arguments], cwd=tmp_path, check=False).returncode

    assert subprocess.run([sys.executable, script, plain, "40", "1", "1"], cwd=tmp_path, check=False).returncode == 0
    (tmp_path / "killed").mkdir()
    for kill in kills:
        (tmp_path / "killed" / kill).touch()
    codes = [drive(out, 0)]
    while codes[-1] != 0:
        assert codes[-1] == -signal.SIGKILL
        codes.append(drive(out, len(codes)))

    # Where there is one worker, it is the driver.
    assert len(codes) >= 1 + sum(kill.startswith("driver") for kill in kills)
    merged = {path.name: path.read_bytes() for path in (out / "seen").glob("*.scp")}
    expected = {path.name: path.read_bytes() for path in (plain / "seen").glob("*.scp")}
    assert {name: text.replace(b"/killed/", b"/plain/") for name, text in merged.items()} == expected
    assert sorted(merged) == ["hyp.scp", "info.scp", "ref.scp"]
    assert json.loads((out / "seen" / "info" / "utt-007.json").read_text()) == {"n": 7}


def test_without_an_output_folder_workers_give_the_same_list() -> None:
    """In the order of the items, batches as they are, and nothing where there is nothing."""
    with in_force(n_workers=2):
        assert Squares(Provider())(range(50, 0, -1)) == [[n * n] for n in range(50, 0, -1)]
        assert Squares(Provider(), batch_size=20)(range(50))[2] == [n * n for n in range(40, 50)]
        assert Squares(Provider())([]) == []


def test_an_environment_is_built_once_here_and_once_in_each_worker(tmp_path: Path) -> None:
    """And on the driver not at all, where workers do the work."""

    class Counting(Provider):
        def build_env_local(self) -> dict[str, Any]:
            (tmp_path / f"local.{os.getpid()}").touch(exist_ok=False)
            return {"dataset": range(20), "model": abs}

        def build_worker_setup_fn(self) -> Callable[[], dict[str, Any]]:
            def setup() -> dict[str, Any]:
                (tmp_path / f"worker.{os.getpid()}").touch(exist_ok=False)
                time.sleep(0.2)
                return {"dataset": range(20), "model": abs}

            return setup

    with in_force(n_workers=2):
        Text(Counting(), output_dir=tmp_path / "two")(range(20))
    assert [path.name.split(".")[0] for path in tmp_path.glob("*.*")] == ["worker"] * 2
    Text(Counting(), output_dir=tmp_path / "one")(range(20))
    assert (tmp_path / f"local.{os.getpid()}").exists()


def test_results_that_no_writer_takes_are_kept_as_lines(tmp_path: Path) -> None:
    """And joined in order; what JSON cannot hold is refused in words."""
    with in_force(n_shards=4):
        assert Records(Provider(), output_dir=tmp_path / "a")(range(9)) is None
    Records(Provider(), output_dir=tmp_path / "b")(range(9))

    lines = (tmp_path / "a" / RECORDS).read_text()
    assert lines == "".join(f'{{"idx": {n}, "score": {n * n}}}\n' for n in range(9))
    assert (tmp_path / "b" / RECORDS).read_text() == lines
    with pytest.raises(RunnerError, match=r"Records.forward gives what JSON cannot hold .*complex.* open_writers"):
        Records(Provider(model=complex), output_dir=tmp_path / "c")(range(2))


def test_what_has_changed_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Work that is thrown away for another config, list of items or class is a surprise without a reason."""

    class Other(Text):
        pass

    def run(runner: type[BaseRunner] = Text, n: int = 3, **config: Any) -> str:
        runner(Provider(config), output_dir=tmp_path)(range(n))
        return capsys.readouterr().out.splitlines()[0]

    run(beam=1)
    assert run(beam=1) == "Text: 3 items were done before and are kept"
    assert run(beam=2) == "Text: what was done before is not kept: the setting beam is not what it was"
    assert run(n=4, beam=2) == "Text: what was done before is not kept: the items are not what they were"
    assert run(Other, 4, beam=2).startswith("Other: what was done before is not kept: the runner is not what it was")


def test_two_at_once_share_the_work(tmp_path: Path) -> None:
    """Each shard is done by one of them, and both return the whole."""
    done: list[int] = []

    class Slow(Text):
        @staticmethod
        def forward(idx: Any, dataset: Any, model: Any, **env: Any) -> Any:
            time.sleep(0.01)
            done.append(idx)
            return [model(idx)]

    results: list[str] = []

    def work() -> None:
        results.append(Slow(Provider(), output_dir=tmp_path)(range(40)))

    with in_force(n_shards=8):
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    assert results == ["".join(f"{n * n}\n" for n in range(40))] * 2
    assert sorted(done) == list(range(40))


def test_other_work_does_not_push_aside_what_lives(tmp_path: Path) -> None:
    """A second run with other inputs is refused while the first is at it."""
    started, go_on = threading.Event(), threading.Event()

    class Waits(Text):
        @staticmethod
        def forward(idx: Any, dataset: Any, model: Any, **env: Any) -> Any:
            started.set()
            assert go_on.wait(30)
            return [model(idx)]

    thread = threading.Thread(target=lambda: Waits(Provider({"beam": 1}), output_dir=tmp_path)(range(2)))
    thread.start()
    assert started.wait(30)
    with pytest.raises(RunnerError, match=r"process \d+ on .* is working in .*with other inputs"):
        Text(Provider({"beam": 2}), output_dir=tmp_path)(range(2))
    go_on.set()
    thread.join(30)

    assert (tmp_path / "text").read_text() == "0\n1\n"


def test_ids_are_told_apart_across_shards(tmp_path: Path) -> None:
    """Though each shard by itself has no id twice; the same for fields that differ."""

    def run(build: Callable[..., dict[str, Any]], out: str) -> Any:
        env = {"dataset": [{"speech": n} for n in range(8)], "input_key": "speech", "output_fn": build, "model": _echo}
        provider = Provider(**env)
        with in_force(n_shards=4):
            return InferenceRunner(provider, output_dir=tmp_path / out)(range(8))

    with pytest.raises(OutputError, match=r"utt_id 'u1' came before"):
        run(lambda data, model_output, idx: {"utt_id": f"u{idx % 7 + idx // 7}", "hyp": ""}, "ids")
    with pytest.raises(OutputError, match=r"the outputs of split.2 have the fields 'hyp', 'n', those before it had"):
        run(lambda data, model_output, idx: {"utt_id": idx, "hyp": 1, **({"n": 1} if idx > 3 else {})}, "fields")
    assert sorted(run(lambda data, model_output, idx: {"utt_id": idx, "hyp": ""}, "good")) == ["hyp"]


def test_files_of_utterances_that_are_gone_are_gone(tmp_path: Path) -> None:
    """Outputs that are files stand beside the shards, under the same path however the work is cut."""

    def run(n: int) -> list[str]:
        build = lambda data, model_output, idx: {"utt_id": f"u{idx}", "info": [idx]}  # noqa: E731
        provider = Provider(dataset=[{"speech": k} for k in range(n)], input_key="speech", output_fn=build, model=_echo)
        InferenceRunner(provider, output_dir=tmp_path, shard_subdir="t")(range(n))
        return sorted(path.name for path in (tmp_path / "t" / "info").iterdir())

    assert run(3) == ["u0.json", "u1.json", "u2.json"]
    assert run(2) == ["u0.json", "u1.json"]
    assert (tmp_path / "t" / "info.scp").read_text().splitlines()[1] == f"u1 {tmp_path / 't' / 'info' / 'u1.json'}"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"env": "slrum"}, r"parallel.env: there is no 'slrum'"),
        ({"env": "local", "n_workers": 0}, r"parallel.n_workers must be a positive whole number, not 0"),
        ({"env": "local", "n_workers": "two"}, r"parallel.n_workers must be a positive whole number, not 'two'"),
    ],
)
def test_settings_that_do_not_fit(setting: dict[str, Any], message: str) -> None:
    """The key is named."""
    with pytest.raises(ConfigError, match=message):
        execution_of(OmegaConf.create(setting))
    with in_force(n_shards=0), pytest.raises(ConfigError, match=r"parallel.n_shards must be a positive"):
        Text(Provider())(range(3))


def test_shards_sort_by_their_number(tmp_path: Path) -> None:
    """As a merge that sorts them expects."""
    folders = [_shards.shard_dir(tmp_path, number) for number in (10, 9, 2)]

    assert [folder.name for folder in sorted(folders)] == ["split.2", "split.9", "split.10"]
    assert sorted(folders, reverse=True)[0] == tmp_path / "split.10"
    assert (folders[0] / "text").parent.name == "split.10"


def test_the_guides_state_hooks_see_their_shard(tmp_path: Path) -> None:
    """`init_state`, `reduce_state` and `finalize_state` get the shard's number and the environment."""

    class Sums(BaseRunner):
        @staticmethod
        def forward(idx: Any, dataset: Any, **env: Any) -> Any:  # type: ignore[override]
            return dataset[idx]

        @classmethod
        def init_state(cls, shard_id: int = 0, output_dir: str = "", shard_subdir: str = "", **env: Any) -> Any:
            state = super().init_state(shard_id=shard_id, output_dir=output_dir, shard_subdir=shard_subdir, **env)
            return {**state, "sum": 0}

        @classmethod
        def reduce_state(cls, state: dict[str, Any], result: Any, **env: Any) -> dict[str, Any]:
            return {**state, "sum": state["sum"] + result * env["scale"]}

        @classmethod
        def finalize_state(cls, state: dict[str, Any], **env: Any) -> dict[str, Any]:
            (state["shard_dir"] / "sum").write_text(f"{env['shard_id']} {state['sum']}")
            return super().finalize_state(state, **env)

        def merge(self, shard_dirs: list[Path]) -> Any:
            return [(folder / "sum").read_text() for folder in shard_dirs]

    with in_force(n_shards=3):
        assert Sums(Provider(scale=10), output_dir=tmp_path)(range(6)) == ["0 10", "1 50", "2 90"]
