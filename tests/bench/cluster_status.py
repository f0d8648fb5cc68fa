"""How long `status` takes for a large run on a cluster, as a cold process.

    python tests/bench/cluster_status.py             a run of 10,000 shards by 64 workers
    python tests/bench/cluster_status.py 100000      of so many

Prints the median, and it as a multiple of `python -c pass` and of reading the journals without understanding them, both in the
same run. Nine tenths of the shards are done, in several thousand lines a worker: began, moved, ended.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from esp3rt.lease import Lease, take  # noqa: E402
from esp3rt.slurm.paths import WorkPaths  # noqa: E402
from support.cluster_runs import START, RunOnDisk  # noqa: E402

SHARDS, WORKERS, RUNS = 10_000, 64, 9
GOAL_SECONDS = 0.3
STATUS = [sys.executable, "-m", "esp3rt.slurm", "status"]
BARE = [sys.executable, "-c", "pass"]


def make(recipe: Path, shards: int) -> RunOnDisk:
    """A run in the middle of a stage."""
    run = RunOnDisk(recipe, ["train", "infer", "measure"])
    run.begin("infer")
    work = run.shards("infer", shards, items=10 * shards)
    work.sent("17", jobs=WORKERS)
    for number in range(WORKERS):
        work.seen(f"17_{number}", "RUNNING", node=f"n{number}")
        _write_journal(work.paths, number, shards)
        work.paths.log_of(f"17_{number}.0.0").write_text("decoding\n" * 1000, encoding="utf-8")
    return run


def _write_journal(paths: WorkPaths, number: int, shards: int) -> None:
    result, digest = base64.b64encode(bytes(150)).decode(), hashlib.sha256(bytes(150)).hexdigest()
    now = START
    events: list[dict[str, object]] = [
        {"e": "worker", "t": now, "job": f"17_{number}", "restarts": 0, "process": 0, "node": f"n{number}", "pid": 1}
    ]
    for shard in range(number, shards, WORKERS):
        events.append({"e": "began", "t": now, "task": shard, "attempt": 1})
        events.append({"e": "moved", "t": now + 1, "n": 10})
        if shard < shards * 9 // 10:
            ended = {"task": shard, "attempt": 1, "token": "word", "sha256": digest, "result": result}
            events.append({"e": "ended", "t": now + 2, **ended})
        else:
            break
        now += 2
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (paths.journal / f"17_{number}.0.0.jsonl").write_text(lines, encoding="utf-8")


def seconds(command: Sequence[str], folder: Path) -> float:
    begun = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def reading(run: RunOnDisk) -> float:
    """How long it takes to read all that is in the journals."""
    begun = time.perf_counter()
    for path in run.paths.folder.rglob("*.jsonl"):
        path.read_bytes()
    return time.perf_counter() - begun


def measure(shards: int = SHARDS, runs: int = RUNS) -> tuple[float, float, float]:
    """The medians of `status`, of a bare Python and of reading; they take turns."""
    with tempfile.TemporaryDirectory(prefix="esp3c-bench-") as folder:
        run = make(Path(folder), shards)
        lease = take(run.paths.lead)
        assert isinstance(lease, Lease)
        with lease:
            shown = subprocess.run(STATUS, cwd=folder, check=True, capture_output=True, text=True).stdout
            assert f"{shards * 9 // 10} of {shards} shards done, {WORKERS} running" in shown, shown
            taken = [(seconds(STATUS, Path(folder)), seconds(BARE, Path(folder)), reading(run)) for _ in range(runs)]
    status, bare, raw = (statistics.median(each) for each in zip(*taken, strict=True))
    return status, bare, raw


def main(words: Sequence[str]) -> int:
    shards = int(words[0]) if words else SHARDS
    status, bare, raw = measure(shards)
    goal = f"   goal {GOAL_SECONDS:.2f} s" if shards == SHARDS else ""
    print(
        f"status of {shards} shards  {status:.3f} s  {status / bare:.1f} x python -c pass  "
        f"{status / raw:.0f} x reading the journals{goal}"
    )
    return 0


if __name__ == "__main__":
    os.environ.pop("ESP3RT_RUN", None)
    sys.exit(main(sys.argv[1:]))
