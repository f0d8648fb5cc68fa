"""A recipe whose stages are a few lines each, and cost nothing: what becomes of a stage on a cluster, without a training.

    toy = Toy(tmp_path / "toy", {"one": "mark()", "two": "mark(); sys.exit(3)"}, jobs={"two": {"time": 5}})
    with toy.start() as driver:
        assert driver.wait() == 1

The body of a stage is Python. It may use `mark(...)`, which writes down that it was here (`toy.marks()`), `wait_for("name")`,
which waits until the test says `toy.let("name")`, `share(count)`, which goes through so many items with a runner and marks each
as `item`, and the modules ctypes, os, signal, socket, subprocess, sys and time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from esp3rt.slurm.ledger import Run, read_run
from esp3rt.slurm.paths import RunPaths, runs_of
from slurm.cluster import Cluster, QueuedJob

DEADLINE = 60.0

_RUN = '''\
"""Runs the stages of this recipe."""

import argparse

from espnet3.utils.stages_utils import add_place_arguments, parse_cli_and_stage_args, report_user_errors, run_stages
from stages import Toy

parser = argparse.ArgumentParser()
parser.add_argument("--stages", nargs="+", default=["all"])
parser.add_argument("--word", default="")
add_place_arguments(parser)
args, stages = parse_cli_and_stage_args(parser, Toy.STAGES)
with report_user_errors(status=1):
    run_stages(Toy(), stages, args)
'''

_STAGES = """\
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from omegaconf import OmegaConf

HERE = Path(__file__).resolve().parent
PATIENCE = {patience}


def mark(stage=None, **more):
    env = os.environ
    about = {{
        "stage": stage or sys._getframe(1).f_code.co_name,
        "job": env.get("SLURM_JOB_ID"),
        "restarts": int(env.get("SLURM_RESTART_COUNT", 0)),
        "rank": int(env.get("SLURM_PROCID", 0)) if "SLURM_JOB_ID" in env else 0,
        "node": env.get("SLURMD_NODENAME"),
        "pid": os.getpid(),
        **more,
    }}
    with open(HERE / "marks.jsonl", "a") as handle:
        handle.write(json.dumps(about) + "\\n")


def wait_for(name):
    end = time.monotonic() + PATIENCE
    while not (HERE / name).exists():
        if time.monotonic() > end:
            raise TimeoutError(name)
        time.sleep(0.02)


def share(count):
    from items import Items, Numbers

    Items(Numbers(OmegaConf.create({{}})), output_dir=HERE / "shared")(range(count))


class Toy:
    STAGES = {stages}

    def __init__(self):
        self.exp_dir = HERE
        self.stage_log_dirs = {{stage: HERE / "logs" for stage in self.STAGES}}
        for name, config in json.loads((HERE / "configs.json").read_text()).items():
            setattr(self, name, OmegaConf.create(config))

"""

_ITEMS = """\
from espnet3.parallel.base_runner import BaseRunner
from espnet3.parallel.env_provider import EnvironmentProvider
from stages import HERE, mark, wait_for


class Numbers(EnvironmentProvider):
    def build_env_local(self):
        return self.build_worker_setup_fn()()

    def build_worker_setup_fn(self):
        return lambda: {"dataset": range(1000), "model": None}


class Items(BaseRunner):
    @staticmethod
    def forward(idx, dataset, model):
        mark("item", number=dataset[idx])
        if (HERE / "hold").exists():
            wait_for("go")
        return {"idx": idx, "number": dataset[idx]}
"""


class Toy:
    """The recipe.

    Args:
        folder: Where it is made.
        stages: The body of each stage.
        jobs: The options of those that are jobs.
        workers: Of the stages whose items are done by jobs, how many jobs; they need options too.
        trainer: The `trainer` section of the training config, of which the stage `train` takes the shape of its job.
    """

    def __init__(
        self,
        folder: Path,
        stages: Mapping[str, str],
        jobs: Mapping[str, Mapping[str, Any]],
        workers: Mapping[str, int] | None = None,
        trainer: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        (folder / "run.py").write_text(_RUN)
        text = _STAGES.format(stages=list(stages), patience=DEADLINE)
        for name, body in stages.items():
            text += f"    def {name}(self):\n{textwrap.indent(textwrap.dedent(body).strip(), ' ' * 8)}\n\n"
        (folder / "stages.py").write_text(text)
        (folder / "items.py").write_text(_ITEMS)
        self.set(jobs, workers, trainer)

    def set(
        self,
        jobs: Mapping[str, Mapping[str, Any]],
        workers: Mapping[str, int] | None = None,
        trainer: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the configs; see the class."""
        settings = {
            name: {
                "env": "slurm",
                "n_workers": (workers or {}).get(name, 1),
                "options": {"mem": "100M", "time": 10, **options},
            }
            for name, options in jobs.items()
        }
        config: dict[str, Any] = {"stage_parallel": settings}
        if trainer is not None:
            config["trainer"] = trainer
        (self.folder / "configs.json").write_text(json.dumps({"training_config": config}))

    def start(self, *words: str, folder: Path | None = None, env: Mapping[str, str] | None = None) -> Driver:
        """Call `run.py`."""
        return Driver([str(self.folder / "run.py"), *words], folder or self.folder, env or {})

    def marks(self, stage: str | None = None) -> list[dict[str, Any]]:
        """What stages have written down, in order."""
        path = self.folder / "marks.jsonl"
        found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [mark for mark in found if stage in (None, mark["stage"])]

    def order(self) -> list[str]:
        """The stages that were here, in order."""
        return [mark["stage"] for mark in self.marks()]

    def await_marks(self, stage: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until a stage was here so often."""
        until(lambda: len(self.marks(stage)) >= count, lambda: f"{stage} was here {len(self.marks(stage))} times")
        return self.marks(stage)

    def let(self, name: str) -> None:
        """Let stages go on that wait for this."""
        (self.folder / name).touch()

    def runs(self) -> list[RunPaths]:
        """Its runs."""
        return runs_of(self.folder)

    def run(self) -> Run:
        """What is known of the last run."""
        return read_run(self.runs()[-1])

    def jobs(self, cluster: Cluster, stage: str) -> list[QueuedJob]:
        """The jobs of a stage that SLURM knows, those that are over too, in the order in which they were sent."""
        tokens = {json.loads(work.description.read_text())["token"][:6] for run in self.runs() for work in run.works()}
        names = tuple(f"{stage}.{token}." for token in tokens)
        found = [job for job in cluster.squeue(ended=True) if tokens and job.name.startswith(names)]
        return sorted(found, key=lambda job: int(job.job_id.partition("_")[0]))

    def states(self, cluster: Cluster, stage: str) -> list[str]:
        """How these are."""
        return [job.state for job in self.jobs(cluster, stage)]

    def log(self, stage: str) -> str:
        """The log of a stage."""
        return (self.folder / "logs" / f"{stage}.log").read_text()

    def job_logs(self, stage: str) -> dict[str, str]:
        """What jobs of a stage have printed: by file."""
        works = [work for run in self.runs() for work in run.works() if work.name == stage]
        return {log.name: log.read_text() for work in works for log in sorted(work.logs.iterdir())}


class Driver:
    """A process that runs stages; killed at the end of the `with` block."""

    def __init__(self, words: list[str], folder: Path, env: Mapping[str, str]) -> None:
        self._output = folder / f"output-{time.monotonic_ns()}.txt"
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, *words],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env},
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def out(self) -> str:
        """What it has printed."""
        return self._output.read_text(errors="replace")

    def wait(self) -> int:
        """Its exit code."""
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it goes on and on:\n{self.out}") from None

    def await_line(self, text: str) -> None:
        """Wait until it has printed something."""
        until(lambda: text in self.out or self.process.poll() is not None, lambda: f"no {text!r} in\n{self.out}")
        assert text in self.out, self.out

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()


def until(what: Callable[[], Any], told: Callable[[], str] = lambda: "") -> Any:
    """Wait for something; what it gives."""
    end = time.monotonic() + DEADLINE
    while not (found := what()):
        assert time.monotonic() < end, f"not within {DEADLINE:.0f} s: {told()}"
        time.sleep(0.05)
    return found
