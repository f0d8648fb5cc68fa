"""Trainings in SLURM jobs: of every shape, stopped, preempted, killed and doubled, they end with the same weights."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from slurm.cluster import Cluster

pytestmark = [pytest.mark.slurm, pytest.mark.training]

_SUPPORT = Path(__file__).parents[1] / "espnet3" / "training" / "support"
# What the job of a training does: it is put back into the queue where the training asks for that.
_SCRIPT = """#!/bin/bash
{before}
srun --kill-on-bad-exit=1 --output=log --open-mode=append {python} {program} config.json
code=$?
echo $code >> codes
[ $code = 85 ] && scontrol requeue $SLURM_JOB_ID && sleep 60
exit $code
"""


class Training:
    """A toy training of three epochs in a folder of its own, and the job that it runs in."""

    def __init__(self, cluster: Cluster, folder: Path, **changes: Any) -> None:
        sys.path.insert(0, str(_SUPPORT))
        try:
            from omegaconf import OmegaConf
            from toy_training import toy_config
        finally:
            sys.path.remove(str(_SUPPORT))
        self.cluster = cluster
        self.folder = folder
        self.job = ""
        folder.mkdir(parents=True)
        config = toy_config("exp", dataloader__train__batch_bins=350, **changes)
        (folder / "config.json").write_text(json.dumps(OmegaConf.to_container(config, resolve=True)))

    def submit(self, *options: str, before: str = "", seconds: float = 0.0, told: str = "") -> Training:
        """Send the job. Each batch takes `seconds`; `told` is what the first process does to itself."""
        script = self.folder / "job.sh"
        program = _SUPPORT / "run_toy.py"
        script.write_text(_SCRIPT.format(before=before, python=sys.executable, program=program))
        self.job = subprocess.run(
            ["sbatch", "--parsable", "--mem=3000M", "--output=batch", "--open-mode=append", *options, script],
            cwd=self.folder,
            env={**os.environ, **self.variables(seconds, told)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        return self

    def variables(self, seconds: float = 0.0, told: str = "") -> dict[str, str]:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = str(found.getsockname()[1])
        paths = [str(_SUPPORT), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            "PYTHONPATH": os.pathsep.join(paths),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
            "GLOO_SOCKET_IFNAME": "lo",
            "OMP_NUM_THREADS": "1",
            "TOY_STEPS": "steps",
            "TOY_SECONDS": str(seconds),
            "TOY_SIGNAL": told,
        }

    def steps(self) -> list[tuple[int, int, str]]:
        """Rank, process and node of each batch so far."""
        lines = (line.split() for line in self.lines("steps"))
        return [(int(rank), int(pid), node) for rank, pid, node in lines]

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def wait_for_steps(self, count: int) -> list[tuple[int, int, str]]:
        """Wait until there are so many lines; fails where the job ends before."""
        return _until(lambda: found if len(found := self.steps()) >= count else None, self.text)

    def wait(self) -> None:
        """Wait until the job is over."""
        _until(lambda: all(held.job_id != self.job for held in self.cluster.squeue()), self.text)

    def text(self) -> str:
        return "\n".join(self.lines("log") + self.lines("batch"))

    def end(self) -> dict[str, Any]:
        """What it has in the end."""
        sys.path.insert(0, str(_SUPPORT))
        try:
            from end_state import final_state
        finally:
            sys.path.remove(str(_SUPPORT))
        state: dict[str, Any] = final_state(self.folder / "exp")
        return state


def _until(what: Callable[[], Any], text: Callable[[], str], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, f"nothing within {seconds} s:\n{text()}"
        time.sleep(0.05)
    return found


def _same(expected: Training, actual: Training) -> None:
    sys.path.insert(0, str(_SUPPORT))
    try:
        from same_state import assert_same
    finally:
        sys.path.remove(str(_SUPPORT))
    assert_same(expected.end(), actual.end())
