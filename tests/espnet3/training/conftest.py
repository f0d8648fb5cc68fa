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
def in_process() -> Callable[..., int | None]:
    """Run `toy_training.run_training` in a fresh process and give its exit code (-9: killed).

    The processes come from a fork server that has imported everything: they start at once.
    """
    import toy_training

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["warm_training"])

    def run(config: dict[str, Any], kill: tuple[str, int] | None = None) -> int | None:
        process = context.Process(target=toy_training.run_training, args=(config, kill))
        with pytest.MonkeyPatch.context() as patch:
            # The fork server looks for what it shall import only there.
            patch.setenv("PYTHONPATH", os.pathsep.join([SUPPORT, os.environ.get("PYTHONPATH", "")]))
            process.start()
        assert process.pid is not None
        deadline = time.monotonic() + 60
        while process.exitcode is None and time.monotonic() < deadline:
            process.join(0.05)
            # A data worker that outlives its killed parent for a moment would keep `join` waiting.
            if not Path(f"/proc/{process.pid}").exists():
                return -9 if process.exitcode is None else process.exitcode
        return process.exitcode

    return run
