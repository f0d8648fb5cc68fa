"""What a job does between two works."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from esp3rt.slurm.paths import RunPaths, WorkPaths
from esp3rt.slurm.placed import Signals
from esp3rt.slurm.staying import next_work, send_on


@pytest.fixture
def works(tmp_path: Path) -> tuple[WorkPaths, WorkPaths]:
    """Two works of a run."""
    run = RunPaths(tmp_path)
    return run.new_work("infer", {"kind": "shards"}), run.new_work("infer", {"kind": "shards"})


@pytest.fixture
def signals() -> Iterator[Signals]:
    """SIGUSR2, as a job hears it."""
    before = signal.getsignal(signal.SIGUSR2)
    yield Signals(signal.SIGUSR2)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGUSR2, before)


def test_it_goes_on_where_it_is_told(works: tuple[WorkPaths, WorkPaths], signals: Signals) -> None:
    """Also where that is written down while it waits."""
    threading.Timer(0.3, send_on, works).start()

    assert works[1] == next_work(works[0], 20.0, signals)


def test_it_ends_where_there_is_nothing_to_come(works: tuple[WorkPaths, WorkPaths], signals: Signals) -> None:
    """At once, and not after the time for which it would wait."""
    works[0].closed.touch()
    began = time.monotonic()

    assert next_work(works[0], 60.0, signals) is None
    assert time.monotonic() - began < 30


def test_it_does_not_wait_for_ever(works: tuple[WorkPaths, WorkPaths], signals: Signals) -> None:
    """Whoever led it may be gone."""
    assert next_work(works[0], 0.3, signals) is None


def test_it_ends_where_slurm_wants_its_place(works: tuple[WorkPaths, WorkPaths], signals: Signals) -> None:
    """It does nothing that would have to be finished."""
    os.kill(os.getpid(), signal.SIGUSR2)
    began = time.monotonic()

    assert next_work(works[0], 60.0, signals) is None
    assert time.monotonic() - began < 30
