"""What runners cost, each time beside a plain loop that does the same, in the same run.

    python tests/bench/shards.py [--quick]

- overhead: a runner with all its hooks, in one process, against a loop that calls the same function;
- infer: two output fields, against a loop that calls the same dataset, model and `output_fn` and writes the same lines;
- workers: items that only compute, with two local worker processes against one process, beside what two bare processes reach.

Medians of several, and the best beside them: on a busy machine the best says more.
"""

from __future__ import annotations

import argparse
import inspect
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from espnet3.parallel.base_runner import BaseRunner
from espnet3.parallel.env_provider import EnvironmentProvider
from espnet3.parallel.parallel import parallel_in_force
from espnet3.systems.base.inference_runner import InferenceRunner

GOAL_OVERHEAD_US = 1.0
GOAL_INFER_RATIO = 2.0
GOAL_INFER_PER_SECOND = 250_000
GOAL_TWO_WORKERS = 1.9


class Provider(EnvironmentProvider):
    """Gives the environment that it is made with."""

    def __init__(self, env: dict[str, Any]) -> None:
        super().__init__(OmegaConf.create({}))
        self.env = env

    def build_env_local(self) -> dict[str, Any]:
        return dict(self.env)

    def build_worker_setup_fn(self) -> Callable[[], dict[str, Any]]:
        env = self.env
        return lambda: dict(env)


class AllHooks(BaseRunner):
    """Every hook is its own, and does next to nothing."""

    @staticmethod
    def forward(idx: Any, dataset: Any, model: Any, **env: Any) -> Any:
        return model(dataset[idx])

    @staticmethod
    def open_writers(shard_dir: Path | None, **env: Any) -> dict[str, Any]:
        return {"count": 0}

    @staticmethod
    def write_record(writers: dict[str, Any], result: Any, state: dict[str, Any], **env: Any) -> None:
        writers["count"] += 1

    @staticmethod
    def close_writers(writers: dict[str, Any]) -> dict[str, Any] | None:
        return None

    def merge(self, shard_dirs: list[Path]) -> Any:
        return len(shard_dirs)


class Computes(BaseRunner):
    """An item keeps a core busy for a while."""

    @staticmethod
    def forward(idx: Any, rounds: int, **env: Any) -> Any:  # type: ignore[override]
        total = idx
        for number in range(rounds):
            total = (total * 31 + number) % 1_000_003
        return total


class Data:
    """Utterances that cost nothing to read."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, idx: int) -> dict[str, Any]:
        return {"utt_id": f"utt-{idx:07d}", "speech": idx, "text": "one two three"}


def model(speech: Any) -> str:
    """Recognizes nothing, at once."""
    return "one two tree"


def build_output(data: dict[str, Any], model_output: str, idx: int) -> dict[str, Any]:
    """Two fields beside the id."""
    return {"utt_id": data["utt_id"], "hyp": model_output, "ref": data["text"]}


def overhead(n: int, runs: int) -> list[float]:
    """Microseconds an item that the runner adds to the loop."""
    dataset = list(range(n))
    same = abs
    added = []
    for _ in range(runs):
        forward = AllHooks.forward
        begun = time.perf_counter()
        for idx in range(n):
            forward(idx, dataset, same)
        loop = time.perf_counter() - begun
        with tempfile.TemporaryDirectory() as folder:
            runner = AllHooks(Provider({"dataset": dataset, "model": same}), output_dir=folder)
            begun = time.perf_counter()
            runner(range(n))
            added.append((time.perf_counter() - begun - loop) / n * 1e6)
    return added


def infer(n: int, runs: int) -> list[tuple[float, float]]:
    """Seconds of the loop, and of the runner."""
    times = []
    env = {"dataset": Data(n), "model": model, "input_key": "speech", "output_fn": build_output}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            dataset = Data(n)
            with (
                open(f"{folder}/hyp", "w", encoding="utf-8") as hyp,
                open(f"{folder}/ref", "w", encoding="utf-8") as ref,
            ):
                for idx in range(n):
                    sample = dataset[idx]
                    output = build_output(data=sample, model_output=model(speech=sample["speech"]), idx=idx)
                    hyp.write(f"{output['utt_id']} {output['hyp']}\n")
                    ref.write(f"{output['utt_id']} {output['ref']}\n")
            loop = time.perf_counter() - begun
            begun = time.perf_counter()
            paths = InferenceRunner(Provider(env), output_dir=f"{folder}/out")(range(n))
            times.append((loop, time.perf_counter() - begun))
            for field in ("hyp", "ref"):
                assert Path(paths[field]).read_bytes() == Path(folder, field).read_bytes()
    return times


def workers(rounds: int, runs: int) -> list[tuple[float, float]]:
    """How many times as fast as one process two workers are, their start included, and two processes by hand."""
    gains = []
    provider = Provider({"rounds": rounds})
    items = range(64)
    for _ in range(runs):
        begun = time.perf_counter()
        by_hand([list(items)], rounds)
        alone_by_hand = time.perf_counter() - begun
        begun = time.perf_counter()
        by_hand([list(items)[:32], list(items)[32:]], rounds)
        machine = alone_by_hand / (time.perf_counter() - begun)
        begun = time.perf_counter()
        alone = Computes(provider)(items)
        one = time.perf_counter() - begun
        begun = time.perf_counter()
        with parallel_in_force(OmegaConf.create({"env": "local", "n_workers": 2})):
            together = Computes(provider)(items)
        gains.append((one / (time.perf_counter() - begun), machine))
        assert together == alone
    return gains


def by_hand(shares: list[list[int]], rounds: int) -> None:
    """The same work in bare processes, one for each share: what the machine can do."""
    body = textwrap.dedent(inspect.getsource(Computes.forward)).replace("@staticmethod\n", "")
    code = f"from typing import Any\n{body}\nfor idx in {{}}: forward(idx, {rounds})"
    processes = [subprocess.Popen([sys.executable, "-c", code.format(share)]) for share in shares]
    for process in processes:
        assert process.wait() == 0


def main(arguments: list[str] | None = None) -> int:
    """Print all three."""
    parser = argparse.ArgumentParser(description="What runners cost beside plain loops.")
    parser.add_argument("--quick", action="store_true", help="few items and one run: to see that it works")
    quick = parser.parse_args(arguments).quick
    runs = 1 if quick else 5
    scale = 50 if quick else 1
    # numpy's import belongs to no measurement.
    assert np.zeros(1).size == 1

    added = overhead(1_000_000 // scale, runs)
    print(
        f"overhead   {statistics.median(added):.2f} µs an item on top of a loop (best {min(added):.2f}; "
        f"goal: under {GOAL_OVERHEAD_US:g})"
    )
    times = infer(1_000_000 // scale, runs)
    ratios = [runner / loop for loop, runner in times]
    rates = [1_000_000 / scale / runner for _, runner in times]
    print(
        f"infer      {statistics.median(ratios):.2f} x a loop that writes the same lines (best {min(ratios):.2f}; "
        f"goal: {GOAL_INFER_RATIO:g}), {statistics.median(rates):,.0f} items a second (goal: {GOAL_INFER_PER_SECOND:,})"
    )
    gains = workers(2_000_000 // scale, 1 if quick else 3)
    print(
        f"2 workers  {statistics.median(gain for gain, _ in gains):.2f} x one process (best "
        f"{max(gain for gain, _ in gains):.2f}; goal: {GOAL_TWO_WORKERS:g}); two bare processes: "
        f"{statistics.median(machine for _, machine in gains):.2f} x, on {len(os.sched_getaffinity(0))} cores"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
