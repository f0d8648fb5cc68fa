"""Runners as people write them: odd hooks, odd items, odd folders, and inputs that no config holds."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from espnet3.parallel.base_runner import BaseRunner, concatenate_shard_files
from espnet3.parallel.env_provider import EnvironmentProvider
from espnet3.systems.base.inference_runner import InferenceRunner
from espnet3.utils.errors import RunnerError
from espnet3.utils.machine_setting import parallel_in_force


class Provider(EnvironmentProvider):
    """Its attributes are its environment."""

    def __init__(self, **env: Any) -> None:
        super().__init__(OmegaConf.create({}))
        self.env = env

    def build_env_local(self) -> dict[str, Any]:
        return dict(self.env)

    def build_worker_setup_fn(self) -> Callable[[], dict[str, Any]]:
        env = self.env
        return lambda: dict(env)


class Records(BaseRunner):
    @staticmethod
    def forward(idx: Any, model: Any = str, **env: Any) -> Any:  # type: ignore[override]
        return model(idx)


class Lines(BaseRunner):
    @staticmethod
    def forward(idx: Any, model: Any = str, **env: Any) -> Any:  # type: ignore[override]
        return model(idx)

    @staticmethod
    def open_writers(shard_dir: Path | None, **env: Any) -> dict[str, Any]:
        assert shard_dir is not None
        return {"lines": (shard_dir / "lines").open("w")}

    @staticmethod
    def write_record(writers: dict[str, Any], result: Any, state: dict[str, Any], **env: Any) -> None:
        writers["lines"].write(f"{result}\n")

    @staticmethod
    def close_writers(writers: dict[str, Any]) -> None:
        writers["lines"].close()

    def merge(self, shard_dirs: list[Path]) -> str:
        assert self.output_dir is not None
        concatenate_shard_files(shard_dirs, "lines", self.output_dir / "lines")
        return (self.output_dir / "lines").read_text()


class Scale:
    """A model with a setting that only its attributes tell."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, value: int) -> float:
        return value * self.factor


def times(factor: int) -> Callable[[int], int]:
    return lambda value: value * factor


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"model": Scale(2)}, {"model": Scale(3)}),
        ({"model": times(2)}, {"model": times(3)}),
        ({"model": lambda value: value + 1}, {"model": lambda value: value + 2}),
        ({"model": str, "table": np.arange(3)}, {"model": str, "table": np.arange(1, 4)}),
    ],
)
def test_what_no_config_holds_is_an_input_too(tmp_path: Path, one: dict[str, Any], other: dict[str, Any]) -> None:
    """Objects, functions that were made in functions, arrays: the same again are the same, others are others."""

    def run(env: dict[str, Any]) -> tuple[str, float]:
        found = Lines(Provider(**env), output_dir=tmp_path)(range(4))
        return found, (tmp_path / "split.0" / "done").stat().st_mtime_ns

    first, again, different = run(one), run(one), run(other)
    assert first == again
    assert first[1] != different[1]
    assert different[0] == "".join(f"{other['model'](idx)}\n" for idx in range(4))


def test_the_code_of_a_runner_is_an_input_wherever_it_stands(tmp_path: Path) -> None:
    """In a script that is started from elsewhere, in a function of a module beside it, and in what that imports."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "factor.py").write_text("FACTOR = 2\n")
    (code / "made.py").write_text(
        textwrap.dedent(
            """
            from factor import FACTOR
            from espnet3.parallel.base_runner import BaseRunner

            def make():
                class Made(BaseRunner):
                    @staticmethod
                    def forward(idx, **env):
                        return idx * FACTOR
                return Made
            """
        )
    )
    (code / "run.py").write_text(
        textwrap.dedent(
            """
            import sys
            from pathlib import Path
            from omegaconf import OmegaConf
            from espnet3.parallel.env_provider import EnvironmentProvider
            from factor import FACTOR
            from made import make

            class Provider(EnvironmentProvider):
                def build_env_local(self): return {}
                def build_worker_setup_fn(self): return dict

            class Own(make()):
                @staticmethod
                def forward(idx, **env): return idx * FACTOR

            for cls, out in ((make(), "made"), (Own, "own")):
                cls(Provider(OmegaConf.create({})), output_dir=Path(sys.argv[1], out))(range(3))
                print(Path(sys.argv[1], out, "records.jsonl").read_text().split())
            """
        )
    )

    def run() -> list[str]:
        command = [sys.executable, str(code / "run.py"), str(tmp_path / "out")]
        return subprocess.run(command, cwd="/", capture_output=True, text=True, check=True).stdout.splitlines()

    first, again = run(), run()
    assert [line for line in first if line.startswith("[")] == ["['0', '2', '4']"] * 2
    assert sum("were done before and are kept" in line for line in again) == 2
    # Of another length: bytecode of the same second and length would be taken for current.
    (code / "factor.py").write_text("FACTOR = 11\n")
    third = run()
    assert [line for line in third if line.startswith("[")] == ["['0', '11', '22']"] * 2
    assert sum("factor.py is not what it was" in line for line in third) == 2


def test_what_is_left_over_goes_and_what_is_somebody_elses_stays(tmp_path: Path) -> None:
    """A merged file that nobody wrote this time; folders that are called almost like shards."""
    for name in ("split.train", "split.0x"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "precious").touch()
    (tmp_path / "split.json").write_text("{}")
    Records(Provider(), output_dir=tmp_path)(range(3))
    assert (tmp_path / "records.jsonl").exists()
    Records(Provider(), output_dir=tmp_path)([])

    assert not (tmp_path / "records.jsonl").exists()
    assert (tmp_path / "split.train" / "precious").exists()
    assert (tmp_path / "split.0x" / "precious").exists()
    assert (tmp_path / "split.json").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_forward_that_goes_elsewhere_takes_nothing_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """A relative output folder is meant from where the run began."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    elsewhere = str(tmp_path / "elsewhere")

    def wander(idx: int) -> int:
        os.chdir(elsewhere)
        return idx

    with parallel_in_force(OmegaConf.create({"env": "local", "n_workers": workers})):
        assert Lines(Provider(model=wander), output_dir="out")(range(20)) == "".join(f"{n}\n" for n in range(20))
    assert Path.cwd() == tmp_path
    assert os.listdir(elsewhere) == []


def test_a_state_hook_may_write_by_itself(tmp_path: Path) -> None:
    """Then nothing is kept of the records, which JSON may not even hold; what it leaves open is closed."""

    class Arrays(BaseRunner):
        @staticmethod
        def forward(idx: Any, **env: Any) -> Any:  # type: ignore[override]
            return np.full(2, idx)

        @classmethod
        def finalize_state(cls, state: dict[str, Any], **env: Any) -> dict[str, Any]:
            np.save(state["shard_dir"] / "all.npy", np.stack(state["records"]))
            return state

        def merge(self, shard_dirs: list[Path]) -> Any:
            return np.concatenate([np.load(folder / "all.npy") for folder in shard_dirs]).tolist()

    class NoSuper(Lines):
        @classmethod
        def finalize_state(cls, state: dict[str, Any], **env: Any) -> dict[str, Any]:
            return state

    assert Arrays(Provider(), output_dir=tmp_path / "a")(range(3)) == [[0, 0], [1, 1], [2, 2]]
    assert NoSuper(Provider(), output_dir=tmp_path / "b")(range(3)) == "0\n1\n2\n"
    assert NoSuper.is_shard_done(tmp_path / "b" / "split.0")


def test_close_writers_is_called_after_an_error_whatever_was_opened(tmp_path: Path) -> None:
    """Also where there is nothing to close by name."""
    closed: list[dict[str, Any]] = []

    class Fails(BaseRunner):
        @staticmethod
        def forward(idx: Any, **env: Any) -> Any:  # type: ignore[override]
            raise ValueError("no")

        @staticmethod
        def close_writers(writers: dict[str, Any]) -> None:
            closed.append(writers)

    with pytest.raises(ValueError, match="no"):
        Fails(Provider(), output_dir=tmp_path)([0])
    assert closed == [{}]


def test_a_key_that_the_runner_gives_itself_is_refused(tmp_path: Path) -> None:
    """As Python would refuse it, but in words."""
    with pytest.raises(RunnerError, match="environment has the key 'output_dir', which init_state is given itself"):
        Lines(Provider(output_dir="x"), output_dir=tmp_path)([0])
    assert Records(Provider(output_dir="x"))([0]) == ["0"]


def test_items_may_be_more_than_numbers(tmp_path: Path) -> None:
    """Texts, tuples, numpy's numbers, objects; they are known again."""

    class Item:
        def __init__(self, name: str) -> None:
            self.name = name

    def run(name: str) -> int:
        Lines(Provider(model=lambda item: item.name), output_dir=tmp_path)([Item("a"), Item(name)])
        return (tmp_path / "split.0" / "done").stat().st_mtime_ns

    first = run("b")
    assert run("b") == first
    assert run("c") != first
    assert Lines(Provider(), output_dir=tmp_path / "t")([("a", 1), "b"]) == "('a', 1)\nb\n"


@pytest.mark.parametrize("items", [[np.int64(0), np.int64(2)], ["0", "2"]])
def test_inference_takes_items_that_are_no_plain_numbers(tmp_path: Path, items: list[Any]) -> None:
    """A text is one item and no batch of letters."""

    class Model(torch.nn.Module):
        def forward(self, speech: torch.Tensor) -> torch.Tensor:
            return speech * 2

    class Data:
        def __getitem__(self, idx: Any) -> dict[str, Any]:
            return {"utt_id": f"u{idx}", "speech": torch.tensor(float(idx))}

    def build_output(data: Any, model_output: Any, idx: Any) -> dict[str, Any]:
        return {"utt_id": data["utt_id"], "hyp": float(model_output)}

    env = {"dataset": Data(), "model": Model(), "input_key": "speech", "output_fn": build_output}
    paths = InferenceRunner(Provider(**env), output_dir=tmp_path)(items)
    assert paths["hyp"].read_text() == "u0 0.0\nu2 4.0\n"
