"""A training that is asked to stop, anywhere, is saved at exactly that place and says that it wants to be started again."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from end_state import final_state
from omegaconf import OmegaConf
from same_state import assert_same
from toy_kinds import plain
from toy_training import toy_config

from espnet3.components.trainers.signals import Signals, ended_with_workers
from espnet3.systems.base.training import train
from espnet3.utils import again
from espnet3.utils.again import AGAIN, Stop, Stopped, asked, forget, listening

Run = Callable[..., int | None]

SUPPORT = Path(__file__).parent / "support"


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    numbers = (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    forget()
    for number, handler in before.items():
        signal.signal(number, handler)


def place(exp_dir: Path) -> tuple[int, bool]:
    state = torch.load(exp_dir / "last.ckpt", weights_only=True)["espnet3"]
    return state["steps"], state["inside_epoch"]


@pytest.mark.parametrize(
    ("kind", "what", "count", "where"),
    [
        # There are four batches an epoch, of which the last one is followed by a validation of two, as is the beginning.
        ("epoch_scheduler", "again", 6, (6, True)),
        ("epoch_scheduler", "again", 8, (8, True)),
        ("plateau", "again", 12, (12, True)),
        ("plateau", "again_validation", 4, (4, True)),
        ("plateau", "again_validation", 5, (8, True)),
        ("steps_and_workers", "again", 5, (3, True)),
        ("steps_and_workers", "again_validation", 6, (4, True)),
        ("max_steps", "again", 7, (7, True)),
        ("max_steps", "again_validation", 5, (8, True)),
        ("two_optimizers", "again", 7, (7, True)),
        ("two_optimizers", "again_validation", 8, (12, True)),
        ("stream", "again", 5, (5, True)),
        ("stream", "again_validation", 4, (4, True)),
        ("validation_inside", "again", 2, (2, True)),
        ("validation_inside", "again_validation", 7, (6, True)),
        ("validation_across", "again", 4, (4, False)),
        ("validation_across", "again_validation", 6, (7, True)),
    ],
)
def test_asked_to_stop(
    kind: str,
    what: str,
    count: int,
    where: tuple[int, bool],
    tmp_path: Path,
    in_process: Run,
    undisturbed: Callable[[str], dict[str, Any]],
) -> None:
    """In a batch, before a validation or in it, or between epochs: it goes on from there as if nothing had been."""
    config = plain(tmp_path, kind)

    assert in_process(config, (what, count)) == AGAIN
    assert place(tmp_path) == where
    assert in_process(config) == 0
    assert_same(undisturbed(kind), final_state(tmp_path))


@pytest.mark.parametrize(("what", "count"), [("again", 10), ("again_validation", 7)])
def test_asked_when_the_last_step_is_done(
    what: str, count: int, tmp_path: Path, in_process: Run, undisturbed: Callable[[str], dict[str, Any]]
) -> None:
    """What is left is to validate: a training that is done must not have to be started again."""
    assert in_process(plain(tmp_path, "max_steps"), (what, count)) == 0
    assert_same(undisturbed("max_steps"), final_state(tmp_path))


def test_asked_before_the_first_step(tmp_path: Path, in_process: Run) -> None:
    """Nothing is to be saved yet."""
    assert in_process(plain(tmp_path, "plateau"), ("again_validation", 1)) == AGAIN
    assert not (tmp_path / "last.ckpt").exists()


def test_whoever_has_started_it_learns_of_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once there is more to go on from than at the start."""
    monkeypatch.setenv(again.PROGRESS, str(tmp_path / "first"))
    train(toy_config(tmp_path / "exp", trainer__max_epochs=1))
    assert (tmp_path / "first").exists()

    again._asked = Stop.AGAIN
    monkeypatch.setenv(again.PROGRESS, str(tmp_path / "second"))
    with pytest.raises(SystemExit) as end:
        train(toy_config(tmp_path / "exp", trainer__max_epochs=2))
    assert (end.value.code, asked(), (tmp_path / "second").exists()) == (AGAIN, Stop.NO, False)


def test_a_progress_file_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No training ends for that."""
    monkeypatch.setenv(again.PROGRESS, str(tmp_path / "nowhere" / "file"))
    train(toy_config(tmp_path / "exp", trainer__max_epochs=1))

    assert place(tmp_path / "exp") == (4, False)


def test_terminated_in_a_validation(tmp_path: Path, in_process: Run, undisturbed: Callable[..., Any]) -> None:
    """SIGTERM saves at the same places, and means the end."""
    config = plain(tmp_path, "epoch_scheduler")

    assert in_process(config, ("terminate_validation", 6)) == 143
    assert place(tmp_path) == (8, True)
    assert in_process(config) == 0
    assert_same(undisturbed("epoch_scheduler"), final_state(tmp_path))


def test_a_callback_of_the_recipe_that_acts_inside_a_validation(tmp_path: Path, in_process: Run) -> None:
    """What it has done to the model is not known: the validation is brought to its end."""
    config = plain(tmp_path, "plateau", trainer__callbacks=[{"_target_": "toy_training.ActsInside"}])

    assert in_process(config, ("again_validation", 3)) == AGAIN
    assert place(tmp_path) == (4, False)


def test_without_checkpoints(tmp_path: Path, in_process: Run) -> None:
    """It stops all the same."""
    config = plain(tmp_path, "plateau", trainer__enable_checkpointing=False)

    assert in_process(config, ("again", 6)) == AGAIN
    assert list(tmp_path.glob("*.ckpt")) == []


def test_one_of_two_processes_is_asked(tmp_path: Path) -> None:
    """Both stop behind the same batch; the first says how it ended."""
    config = toy_config(tmp_path / "exp", trainer__devices=2, trainer__strategy="ddp", num_threads=1)
    (tmp_path / "config.json").write_text(json.dumps(OmegaConf.to_container(config, resolve=True)))
    done = subprocess.run(
        [sys.executable, str(SUPPORT / "run_toy.py"), str(tmp_path / "config.json")],
        env={
            **os.environ,
            "PYTHONPATH": str(SUPPORT),
            "GLOO_SOCKET_IFNAME": "lo",
            "TOY_SIGNAL": "again 3",
            "TOY_RANK": "1",
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == AGAIN, done.stdout + done.stderr
    assert "train: stopped by SIGUSR2 after 3 steps; run it again to go on" in done.stdout
    assert place(tmp_path / "exp") == (3, True)


def test_who_listened_before_still_hears() -> None:
    """And alone again afterwards."""
    heard: list[int] = []
    signal.signal(signal.SIGUSR2, lambda number, frame: heard.append(number))
    with listening(signal.SIGUSR2):
        with listening(signal.SIGUSR2):
            os.kill(os.getpid(), signal.SIGUSR2)
            assert asked() is Stop.AGAIN
        os.kill(os.getpid(), signal.SIGUSR2)
    forget()
    os.kill(os.getpid(), signal.SIGUSR2)

    assert (heard, asked()) == ([signal.SIGUSR2] * 3, Stop.NO)


def test_an_end_counts_more_than_a_stop() -> None:
    """In whatever order they come."""
    with listening(signal.SIGUSR2, signal.SIGTERM):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGUSR2)

    assert (asked(), Stopped(asked()).code) == (Stop.END, 143)


def test_a_signal_that_was_held_back_is_heard() -> None:
    """It came while the process was being started, with the signal blocked."""
    code = (
        "import os, signal; from espnet3.utils.again import asked, listening\n"
        "os.kill(os.getpid(), signal.SIGUSR2)\n"
        "with listening(signal.SIGUSR2): print(asked().name)"
    )
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    try:
        told = subprocess.check_output([sys.executable, "-c", code], text=True)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    assert told == "AGAIN\n"


def test_the_same_signal_once_more_does_not_take_the_exit_code() -> None:
    """Whoever stops is on its way out."""
    with pytest.raises(SystemExit), listening(signal.SIGUSR2):
        raise SystemExit(AGAIN)
    os.kill(os.getpid(), signal.SIGUSR2)

    assert signal.getsignal(signal.SIGUSR2) is signal.SIG_IGN


def test_another_thread_sets_no_handlers() -> None:
    """Python would not let it."""
    before = signal.getsignal(signal.SIGUSR2)
    inside: list[Any] = []

    def listen() -> None:
        with listening(signal.SIGUSR2):
            inside.append(signal.getsignal(signal.SIGUSR2))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()

    assert inside == [before]


def test_ctrl_c_works_again_after_a_training() -> None:
    """Lightning switches it off where it was pressed."""
    before = signal.getsignal(signal.SIGINT)
    signals = Signals(SimpleNamespace(state=SimpleNamespace(fn="fit")))
    signals.register_signal_handlers()
    inside = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signals.teardown()

    assert isinstance(inside, again._Handler)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == (before, signal.SIG_DFL)


def test_what_loads_data_may_end_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end is no failure where a signal has asked for it, and one where not."""
    monkeypatch.setattr("espnet3.components.trainers.signals._SECONDS_TO_HEAR", 0.1)
    ended = RuntimeError("DataLoader worker (pid 3) is killed by signal: Terminated. ")

    assert not ended_with_workers(ended)
    with listening(signal.SIGTERM):
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended_with_workers(ended)
    assert not ended_with_workers(RuntimeError("shapes do not fit"))
