"""Shards on SLURM against submitit alone and dask-jobqueue: `python tests/bench/cluster.py`.

The same work each time: 1,000 items that take 10 ms each, of which a job that does nothing else can do no more than a
hundred a second; on a cluster of this machine with twelve places. Every way begins with nothing and ends with all results in
the hands of the process that asked:

- `esp3c`: a runner with 100 shards, whose jobs claim one after the other;
- `submitit`: an array of as many jobs, each with its twelfth of the items;
- `dask`: a cold `SLURMCluster` with as many workers, and the items as 100 tasks.

Printed are seconds to all results, the processor seconds of the process that asked (with those of `sbatch` and its like), and
how often sbatch was called; as ratios to submitit, medians of several rounds that take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests")]

ITEMS, SHARDS, PLACES, SECONDS_AN_ITEM = 1000, 100, 12, 0.01
OPTIONS = {"partition": "cpu", "time": 10, "mem": "300M", "cpus_per_task": 1}

_ITEM = """
import time
def item(k):
    time.sleep({seconds})
    return k * k
"""

_ESP3C = """
import sys
from pathlib import Path
from espnet3.parallel.base_runner import BaseRunner
from espnet3.parallel.env_provider import EnvironmentProvider
from espnet3.parallel.parallel import set_parallel
from items import item

class Provider(EnvironmentProvider):
    def build_env_local(self):
        return {{}}
    def build_worker_setup_fn(self):
        return dict

class Runner(BaseRunner):
    @staticmethod
    def forward(idx, **env):
        return item(idx)

if __name__ == "__main__":
    set_parallel({{"env": "slurm", "n_workers": {places}, "n_shards": {shards}, "options": {options}}})
    runner = Runner(Provider(None), output_dir="out")
    runner(range({items}))
    found = [int(line) for line in Path("out/records.jsonl").read_text().splitlines()]
    assert found == [k * k for k in range({items})]
"""

_SUBMITIT = """
import submitit
from items import item

def part(numbers):
    return [item(k) for k in numbers]

if __name__ == "__main__":
    executor = submitit.SlurmExecutor("logs")
    executor.update_parameters(**{options}, array_parallelism={places})
    parts = [list(range({items} * k // {places}, {items} * (k + 1) // {places})) for k in range({places})]
    jobs = executor.map_array(part, parts)
    found = [value for job in jobs for value in job.result()]
    assert found == [k * k for k in range({items})]
"""

_DASK = """
from dask_jobqueue import SLURMCluster
from distributed import Client
from items import item

def part(numbers):
    return [item(k) for k in numbers]

if __name__ == "__main__":
    with SLURMCluster(
        queue="cpu", cores=1, processes=1, memory="300MB", walltime="00:10:00", local_directory="work", log_directory="logs",
        scheduler_options={{"dashboard": False}}, worker_extra_args=["--no-dashboard"],
    ) as cluster, Client(cluster) as client:
        cluster.scale({places})
        parts = [list(range({items} * k // {shards}, {items} * (k + 1) // {shards})) for k in range({shards})]
        found = [value for values in client.gather(client.map(part, parts)) for value in values]
    assert found == [k * k for k in range({items})]
"""

WAYS = {"esp3c": _ESP3C, "submitit": _SUBMITIT, "dask": _DASK}


def once(way: str, variables: dict[str, str], folder: Path) -> dict[str, float]:
    """Do the work once, and measure."""
    folder.mkdir()
    values = {"items": ITEMS, "shards": SHARDS, "places": PLACES, "options": OPTIONS, "seconds": SECONDS_AN_ITEM}
    (folder / "items.py").write_text(_ITEM.format(**values))
    (folder / "go.py").write_text(WAYS[way].format(**values))
    calls = folder / "calls"
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    real = shutil.which("sbatch")
    (bin_folder / "sbatch").write_text(f'#!/bin/sh\necho >> "{calls}"\nexec {real} "$@"\n')
    (bin_folder / "sbatch").chmod(0o755)
    path = os.pathsep.join([str(bin_folder), os.environ["PATH"]])
    env = {**os.environ, **variables, "PYTHONPATH": str(folder), "PATH": path}
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "go.py"], cwd=folder, env=env, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    if status:
        raise SystemExit(f"{way} failed")
    sent = len(calls.read_text().splitlines())
    return {
        "seconds": seconds,
        "cpu": usage.ru_utime + usage.ru_stime,
        "sbatch": sent,
        "megabytes": usage.ru_maxrss / 1024,
    }


def measure(rounds: int, ways: list[str]) -> dict[str, dict[str, float]]:
    """The median of each figure of each way."""
    from slurm.cluster import Cluster

    found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    with Cluster() as cluster, tempfile.TemporaryDirectory() as root:
        for number in range(rounds):
            for way in ways:
                found[way].append(once(way, cluster.env, Path(root) / f"{way}-{number}"))
                # dask's workers end when they notice that nobody is there.
                cluster.cancel_all(at_once=True)
    return {
        way: {name: statistics.median(each[name] for each in measured) for name in measured[0]}
        for way, measured in found.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = measure(args.rounds, args.ways)
    if args.json:
        print(json.dumps(found))
        return
    reference = found.get("submitit", next(iter(found.values())))["seconds"]
    print(f"{ITEMS} items of {SECONDS_AN_ITEM * 1000:.0f} ms, {PLACES} places; medians of {args.rounds}")
    for way, figures in found.items():
        print(
            f"  {way:<9} {figures['seconds']:6.2f} s to all results ({figures['seconds'] / reference:.2f} x submitit)   "
            f"{figures['cpu']:5.2f} s of processor in the driver   {figures['sbatch']:3.0f} x sbatch   "
            f"{figures['megabytes']:4.0f} MB"
        )


if __name__ == "__main__":
    main()
