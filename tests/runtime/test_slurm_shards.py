"""What a job that does shards says, and when; without SLURM, by the processes alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from esp3rt.slurm.journal import Event, Reader
from esp3rt.slurm.paths import RunPaths, WorkPaths
from esp3rt.slurm.shards import seconds_between_reports
from esp3rt.wire import packed
from esp3rt.work import Job

DEADLINE = 60.0


def _work(folder: Path) -> WorkPaths:
    """Two shards; what all need is built as soon as `go` is there, and a worker ends at the first shard where `die` is."""

    def wait(name: str) -> None:
        while not (folder / name).exists():
            time.sleep(0.02)

    def work(built: None, task: int, moved: Any) -> None:
        if (folder / "die").exists():
            (folder / "go").unlink()
            os._exit(3)
        wait("work")

    about = {
        "kind": "shards",
        "tasks": [0, 1],
        "token": "a1b2",
        "workers": 1,
        "place": {"sys_path": sys.path, "argv": ["x"], "folder": str(folder)},
    }
    paths = RunPaths(folder).new_work("work", about)
    paths.job.write_bytes(packed(Job(setup=lambda: wait("go"), work=work)))
    (paths.send / "1.json").write_text(json.dumps({"first": 0, "of": 1}))
    return paths


def _until(paths: WorkPaths, kind: str) -> Event:
    end = time.monotonic() + DEADLINE
    while True:
        events = [event for event in Reader(paths.journal).read() if event.kind == kind]
        if events:
            return events[-1]
        assert time.monotonic() < end, f"no event {kind!r}: {[*Reader(paths.journal).read()]}"
        time.sleep(0.05)


def _start(paths: WorkPaths) -> subprocess.Popen[bytes]:
    env = {**os.environ, "SLURM_JOB_ID": "7", "SLURMD_NODENAME": "n1"}
    return subprocess.Popen([sys.executable, "-m", "esp3rt.slurm", "work", str(paths.folder), "1"], env=env)


@pytest.mark.parametrize("was_ready", [False, True])
def test_a_job_that_is_told_to_end_while_it_builds(tmp_path: Path, was_ready: bool) -> None:
    """Where it has never been ready it had all its time: that counts, and the message says what helps. Where it builds anew,
    for the worker process before has died, it does not."""
    paths = _work(tmp_path)
    if was_ready:
        (tmp_path / "die").touch()
        (tmp_path / "go").touch()
    process = _start(paths)
    try:
        if was_ready:
            assert _until(paths, "died").data["task"] == 0
            end = time.monotonic() + DEADLINE
            while [event.data["task"] for event in Reader(paths.journal).read() if event.kind == "began"] != [0, 1]:
                assert time.monotonic() < end
                time.sleep(0.05)
        else:
            _until(paths, "began")
        process.send_signal(signal.SIGUSR2)
        code = process.wait(DEADLINE)
    finally:
        process.kill()
        process.wait()
    died = [event.data for event in Reader(paths.journal).read() if event.kind == "died"][-1]

    assert code == 0
    assert (died["task"], died["free"]) == (int(was_ready), was_ready)
    assert ("more `time`" in died["why"]) != was_ready


def test_many_jobs_say_less_often_how_far_they_are() -> None:
    """Few of them say it each second at first, so that whoever looks on sees it; a day of a thousand can still be read."""
    day = 24 * 3600.0
    few = [seconds_between_reports(8, seconds) for seconds in (0.0, 240.0, 3600.0, day)]

    assert few == [1.0, 1.0, 15.0, 30.0]
    assert seconds_between_reports(1000, 0.0) == 50.0
    assert 1000 * day / seconds_between_reports(1000, day) < 2e6
