"""The toy recipe can be imported by its name, and trainings run in processes that can be killed."""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SUPPORT = str(Path(__file__).parent / "support")
sys.path.insert(0, SUPPORT)


@pytest.fixture(scope="session")
def in_processes() -> Callable[..., list[int | None]]:
    """Run calls, `(function, *arguments)` of the modules in `support`, side by side in fresh processes.

    Given are their exit codes (-9: killed). The processes come from a fork server that has imported everything: they
    start at once.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["warm_training"])

    def run(*calls: Any) -> list[int | None]:
        processes = [context.Process(target=call[0], args=call[1:]) for call in calls]
        with pytest.MonkeyPatch.context() as patch:
            # The fork server looks for what it shall import only there.
            patch.setenv("PYTHONPATH", os.pathsep.join([SUPPORT, os.environ.get("PYTHONPATH", "")]))
            for process in processes:
                process.start()
        deadline = time.monotonic() + 60
        return [_exit_code(process, deadline) for process in processes]

    return run


@pytest.fixture(scope="session")
def in_process(in_processes: Callable[..., list[int | None]]) -> Callable[..., int | None]:
    """Run `toy_training.run_training` in a fresh process and give its exit code (-9: killed)."""
    import toy_training

    def run(config: dict[str, Any], kill: tuple[str, int] | None = None) -> int | None:
        return in_processes((toy_training.run_training, config, kill))[0]

    return run


@pytest.fixture(scope="session")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, in_process: Callable[..., int | None]
) -> Callable[[str], dict[str, Any]]:
    """Give what a training of a kind ends with when nothing disturbs it."""
    from end_state import final_state
    from toy_kinds import plain

    known: dict[str, dict[str, Any]] = {}

    def run(kind: str) -> dict[str, Any]:
        if kind not in known:
            folder = tmp_path_factory.mktemp(kind)
            assert in_process(plain(folder, kind)) == 0
            known[kind] = final_state(folder)
        return known[kind]

    return run


def _exit_code(process: Any, deadline: float) -> int | None:
    assert process.pid is not None
    while process.exitcode is None and time.monotonic() < deadline:
        process.join(0.05)
        # A data worker that outlives its killed parent for a moment would keep `join` waiting.
        if not Path(f"/proc/{process.pid}").exists():
            # The fork server takes the process away first and says with which code it ended a moment later.
            process.join(10)
            return -9 if process.exitcode is None else process.exitcode
    code: int | None = process.exitcode
    return code
