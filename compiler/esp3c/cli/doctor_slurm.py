"""Checks of SLURM: its commands, its controller, its machines, and whether these see what a job needs."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import socket
import sys
from collections import Counter
from collections.abc import Iterator, Mapping

from esp3c.check.limits import Partition, SiteLimits
from esp3c.cli.doctor_disk import LOCAL, Mount, mount_of
from esp3c.cli.doctor_finding import FAIL, OK, WARN, Answer, Finding, Patient, asked, size

NEEDED = ("sbatch", "squeue", "scancel", "scontrol")
USEFUL = {"sacct": "what became of jobs that are over is known from their own files alone", "srun": "a job has one process",
          "sinfo": "the state of the machines is not known"}  # fmt: skip
_NO_CLUSTER = "its commands know no cluster: go to a machine that belongs to one, or name its slurm.conf in SLURM_CONF"
_GONE = re.compile(r"down|drain|fail|maint|unk|no_resp|power", re.IGNORECASE)


def slurm(patient: Patient) -> Iterator[Finding]:
    """All checks of SLURM. Where nothing of it is here, that is all that is said."""
    there = [name for name in (*NEEDED, *USEFUL) if shutil.which(name)]
    if not there:
        if patient.on_slurm:
            todo = (
                "run it where sbatch works, such as a login node; esp3c run --on here keeps its stages on this machine"
            )
            yield Finding(
                "slurm", FAIL, "the recipe sends stages to SLURM, whose commands are not on this machine", todo
            )
        else:
            yield Finding("slurm", OK, "not on this machine")
        return
    wrong = FAIL if patient.on_slurm else WARN
    controller = _controller(wrong) if "scontrol" in there else None
    if controller is not None and controller.result == WARN and controller.todo == _NO_CLUSTER:
        yield Finding("slurm", OK, "its commands are here, and know no cluster; nothing here needs one")
        return
    yield from _commands(there, wrong)
    if controller is None:
        return
    yield controller
    if controller.result != OK:
        return
    limits, why = _limits()
    if limits is None:
        yield Finding("partitions", WARN, why, "scontrol show partition says more")
        return
    machines = asked(["sinfo", "-h", "-N", "-o", "%N %T"]) if "sinfo" in there else None
    # A machine of several partitions is listed for each.
    lines = machines.out.splitlines() if machines is not None and machines.ok else []
    states = dict(line.split(None, 1) for line in lines if " " in line)
    yield from (_partition(each, states) for each in limits.partitions)
    if machines is not None:
        yield _machines(machines, states)
    if "sacct" in there:
        yield _accounting()
    yield from _seen_by_jobs(patient, limits)


def _commands(there: list[str], wrong: str) -> Iterator[Finding]:
    """SLURM's commands are there. `wrong` is what it is if nothing can be sent."""
    missing = [name for name in NEEDED if name not in there]
    if missing:
        todo = "load the site's SLURM module, or install its client commands"
        yield Finding("slurm", wrong, f"{', '.join(missing)} not on PATH", todo)
    for name, what in USEFUL.items():
        if name not in there:
            yield Finding("slurm", WARN, f"{name} is not on PATH: {what}", "install SLURM's client commands completely")


def _controller(wrong: str) -> Finding:
    """The controller answers."""
    answer = asked(["scontrol", "ping"])
    line = " ".join(answer.out.split())
    if not answer.ok or ("DOWN" in line and "UP" not in line):
        todo = "ask the site's administrators whether SLURM is at work; nothing can be sent before it is"
        if "configuration" in answer.why:
            todo = _NO_CLUSTER
        return Finding("slurm", wrong, answer.why or line, todo)
    return Finding("slurm", OK, line or "its controller answers")


def _limits() -> tuple[SiteLimits | None, str]:
    """What the site allows, and why nothing is known of it."""
    from esp3c.cli import site

    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        found = site.limits()
    return found, said.getvalue().strip().removeprefix("esp3c: ") or "it has no partitions"


def _partition(partition: Partition, states: Mapping[str, str]) -> Finding:
    """A partition, with what its machines have. `states` are those of machines, as far as they are known."""
    nodes, name = partition.nodes, f"partition {partition.name}"
    if not partition.up or not nodes:
        found = "takes no jobs" if nodes else "has no machines"
        return Finding(name, WARN, found, "take another partition; sinfo lists them")
    gone = [states[node.name] for node in nodes if _GONE.search(states.get(node.name, ""))]
    if len(gone) == len(nodes):
        counted = ", ".join(f"{count} {state}" for state, count in Counter(gone).most_common())
        return Finding(
            name, WARN, f"no machine of it takes jobs: {counted}", "sinfo -R says why; take another partition"
        )
    gpus = max(node.gpus for node in nodes)
    counts = f"{len(nodes)} {'machine' if len(nodes) == 1 else 'machines'}"
    what = f"up to {max(node.cpus for node in nodes)} cores, {size(max(node.mem for node in nodes))}"
    what += f", {gpus} GPUs" if gpus else ""
    time = f"at most {partition.max_time / 3600:.4g} h" if partition.max_time is not None else "no limit of time"
    return Finding(name, OK, f"{counts}, {what}, {time}" + ("; the default" if partition.default else ""))


def _machines(answer: Answer, by_name: Mapping[str, str]) -> Finding:
    """Some machines are at work."""
    if not answer.ok:
        return Finding("machines", WARN, answer.why, "sinfo says more")
    states = Counter(by_name.values())
    found = ", ".join(f"{count} {state}" for state, count in states.most_common()) or "none"
    if all(map(_GONE.search, states)):
        return Finding("machines", FAIL, found, "no machine takes jobs: sinfo -R says why")
    return Finding("machines", OK, found)


def _accounting() -> Finding:
    """The accounting answers."""
    answer = asked(["sacct", "-n", "-X", "-P", "-S", "now-1minutes", "-o", "JobID"])
    if not answer.ok:
        todo = "nothing has to be done: the queue is asked instead, and jobs write down themselves how they end"
        return Finding("accounting", WARN, answer.why, todo)
    return Finding("accounting", OK, "sacct answers")


def _seen_by_jobs(patient: Patient, limits: SiteLimits) -> Iterator[Finding]:
    """This Python and the recipe's folder are likely to be seen by the machines that run jobs."""
    here = {socket.gethostname(), socket.gethostname().partition(".")[0], "localhost"}
    others = {node.name for each in limits.partitions for node in each.nodes} - here
    if not others:
        return
    places = {"this Python": sys.prefix, "the recipe's folder": os.fspath(patient.folder)}
    for what, place in places.items():
        mount = mount_of(place)
        reason = _own(place, mount)
        if reason:
            todo = "put it on a file system that all machines share, such as a home or project folder"
            yield Finding("jobs see", WARN, f"{what}, {place}, {reason}: other machines may not have it", todo)
        else:
            yield Finding("jobs see", OK, f"{what}, on {mount.kind if mount is not None else 'a file system'}")


def _own(place: str, mount: Mount | None) -> str:
    """Why a place is likely to be of this machine alone; empty where it is not."""
    if re.match(r"/(tmp|var/tmp|dev/shm|run|local|localscratch|scratch/local)(/|$)", os.path.realpath(place)):
        return "is in a folder that each machine has for itself"
    return f"is on a disk of this machine ({mount.kind})" if mount is not None and mount.kind in LOCAL else ""
