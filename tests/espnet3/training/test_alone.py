"""One training at a time in a folder, also where the one before is a start of the same SLURM job that may still live."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from esp3rt import lease
from esp3rt.lease import Lease, take
from espnet3.components.trainers import alone
from espnet3.components.trainers.alone import Hold
from espnet3.utils.again import Stop, Stopped
from espnet3.utils.errors import StageError


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hearts beat and machines die in tenths of a second."""
    monkeypatch.setattr(lease, "SECONDS_TO_DEATH", 0.6)
    monkeypatch.setattr(alone, "SECONDS_TO_DEATH", 0.6)
    monkeypatch.setattr(alone, "SECONDS_BETWEEN_BEATS", 0.1)
    monkeypatch.setattr(alone, "_SECONDS_BETWEEN_LOOKS", 0.02)


def of_another_machine(folder: Path, monkeypatch: pytest.MonkeyPatch, pid: int = 4711) -> Lease:
    """A lease that a process of another machine holds; its heart does not beat."""
    with monkeypatch.context() as there:
        there.setattr(lease, "_machine", lambda: "another")
        there.setattr(os, "getpid", lambda: pid)
        held = take(folder / ".leases" / "train", beat=3600.0)
    assert isinstance(held, Lease)
    return held


def start_of_job(monkeypatch: pytest.MonkeyPatch, job: str, restarts: int) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", job)
    monkeypatch.setenv("SLURM_RESTART_COUNT", str(restarts))


def test_outside_of_a_job_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has started a second training by mistake wants to know now."""
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    of_another_machine(tmp_path, monkeypatch)

    with pytest.raises(StageError, match=f"process 4711 on .* is training in {tmp_path}; wait until it is done"):
        Hold(tmp_path).take()


@pytest.mark.usefixtures("quick")
def test_a_job_waits_for_the_end_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its heart has beaten a moment ago, and beats no more."""
    start_of_job(monkeypatch, "18", 0)
    before = of_another_machine(tmp_path, monkeypatch)
    hold = Hold(tmp_path)
    hold.take()

    assert "train: process 4711 on " in capsys.readouterr().out
    assert not hold.is_lost(now=True)
    with pytest.raises(lease.LeaseLost):
        before.check(now=True)


@pytest.mark.usefixtures("quick")
def test_a_job_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that lives is left alone."""
    start_of_job(monkeypatch, "18", 0)
    with take(tmp_path / ".leases" / "train") as living:
        assert isinstance(living, Lease)
        with pytest.raises(StageError, match="wait until it is done"):
            Hold(tmp_path).take()
        living.check(now=True)


def note(folder: Path, job: str, restarts: int, pid: int) -> None:
    about = {"job": job, "restarts": restarts, "host": socket.gethostname(), "pid": pid}
    (folder / ".leases" / "train.job").write_text(json.dumps(about))


def test_a_job_that_starts_again_does_not_wait_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SLURM says that its earlier start is over; if it lives all the same, it finds out before it writes again."""
    start_of_job(monkeypatch, "17", 1)
    before = of_another_machine(tmp_path, monkeypatch)
    note(tmp_path, "17", 0, 4711)
    earlier = Hold(tmp_path)
    earlier._lease = before
    hold = Hold(tmp_path)
    hold.take()
    said = capsys.readouterr().out

    assert "train: takes over from process 4711 on " in said
    assert "waiting" not in said
    assert json.loads((tmp_path / ".leases" / "train.job").read_text())["restarts"] == 1
    with pytest.raises(Stopped) as stopped:
        earlier.see_it_is_kept()
    assert stopped.value.why is Stop.LOST
    hold.see_it_is_kept()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("job", "restarts", "pid"), [("16", 0, 4711), ("17", 1, 4711), ("17", 2, 4711), ("17", 0, 4712)]
)
def test_who_is_no_earlier_start_of_this_job_is_waited_for(
    job: str,
    restarts: int,
    pid: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Another job, this start or a later one, or a note that is another process's."""
    start_of_job(monkeypatch, "17", 1)
    of_another_machine(tmp_path, monkeypatch)
    note(tmp_path, job, restarts, pid)
    Hold(tmp_path).take()

    assert "waiting for its end" in capsys.readouterr().out


def test_a_file_system_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training does not end for that."""
    hold = Hold(tmp_path)
    hold.take()

    def fail(**_: Any) -> None:
        raise OSError("stale file handle")

    monkeypatch.setattr(hold._lease, "check", fail)

    assert not hold.is_lost(now=True)
