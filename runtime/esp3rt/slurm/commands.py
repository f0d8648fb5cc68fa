"""A job that runs a command, such as `run.py --stages train`: in each of its processes, with SLURM's signals handed on.

The command learns by SIGUSR2 that its time is nearly over, or its place needed. It then writes down how far it is and ends
with `AGAIN`, and the job is put back into the queue, from where it goes on. A command that does not end in time, being busy
in code that lets no handler run, is cut off shortly before SLURM would do it, and goes on from what it wrote last.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from esp3rt.files import write_json
from esp3rt.slurm.client import Refused, Unreachable, requeue
from esp3rt.slurm.placed import AGAIN, Process, Signals
from esp3rt.slurm.journal import Journal
from esp3rt.slurm.paths import WorkPaths
from esp3rt.worker_process import cause_of

PROGRESS = "ESP3RT_PROGRESS"
# SLURM sends the warning up to a minute early and needs a moment for the rest.
_SECONDS_BEFORE_THE_END = 10.0
_SECONDS_TO_END = 5.0
_SECONDS_TO_MEET = 120.0
_LONGEST_TEXT = 4000


def obey(paths: WorkPaths, number: int, me: Process, journal: Journal, about: dict[str, Any]) -> int:
    """Run the command of this job; see the module's text.

    Args:
        paths: The files of the work.
        number: Which call of sbatch has sent the job.
        me: This process.
        journal: Where to say what happens.
        about: The content of work.json.

    Returns:
        The exit code.
    """
    sent = json.loads((paths.send / f"{number}.json").read_text(encoding="utf-8"))
    task = sent["tasks"][me.index]
    command = about["commands"][str(task)]
    attempt = sent["attempts"][str(task)]
    signals = Signals(signal.SIGTERM, signal.SIGUSR2, signal.SIGINT, signal.SIGUSR1)
    progress = paths.ranks / f"{me.job}.{me.restarts}.progress"
    variables = {**os.environ, **about.get("variables", {}), PROGRESS: str(progress), **_meeting_place(paths, me)}
    if me.rank == 0:
        journal.write("began", task=task, attempt=attempt)
    process = subprocess.Popen(
        command, cwd=about["place"]["folder"], env=variables, stdin=subprocess.DEVNULL, process_group=0
    )
    code = _Watched(process, signals, journal, about.get("signal_delay", 90.0)).wait()
    if code == 0:
        if me.rank == 0:
            journal.write("ended", sure=True, task=task, attempt=attempt, token=about["token"])
    elif code == AGAIN:
        return _again(me, journal, task, attempt)
    else:
        why = cause_of(code)
        kind = "failed" if code > 0 and code not in (128 + signal.SIGTERM, 128 + signal.SIGINT) else "died"
        journal.write(kind, sure=True, task=task, attempt=attempt, why=why, text=why, progress=progress.exists())
        print(f"the command {why}", flush=True)
    journal.write("left", code=code)
    return code if code >= 0 else 128 - code


class _Watched:
    def __init__(self, process: subprocess.Popen[bytes], signals: Signals, journal: Journal, delay: float) -> None:
        self._process = process
        self._signals = signals
        self._journal = journal
        self._delay = delay

    def wait(self) -> int:
        """Wait for the command's end, hand signals on; its exit code, `AGAIN` where it had to be cut off."""
        life = os.pidfd_open(self._process.pid)
        deadline = None
        with selectors.DefaultSelector() as selector:
            selector.register(life, selectors.EVENT_READ)
            selector.register(self._signals, selectors.EVENT_READ)
            while True:
                wait = None if deadline is None else max(0.0, deadline - time.monotonic())
                ready = {key.fileobj for key, _ in selector.select(wait)}
                if life in ready:
                    break
                for number in self._signals.heard():
                    if number == signal.SIGUSR2 and deadline is None:
                        self._journal.write("stopping", why="the time limit is near, or another job needs the place")
                        deadline = time.monotonic() + max(_SECONDS_TO_END, self._delay - _SECONDS_BEFORE_THE_END)
                        self._process.send_signal(signal.SIGUSR2)
                    elif number in (signal.SIGTERM, signal.SIGINT):
                        self._journal.write("stopping", why="SLURM ends the job")
                        self._signal(signal.SIGTERM)
                if deadline is not None and time.monotonic() >= deadline:
                    print("the command does not end in time: it is cut off, and goes on from what it wrote last", flush=True)
                    self._signal(signal.SIGKILL)
                    self._process.wait()
                    os.close(life)
                    return AGAIN
        os.close(life)
        code = self._process.wait()
        # What it has started does not outlive it.
        self._signal(signal.SIGKILL)
        return code

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return


def _again(me: Process, journal: Journal, task: int, attempt: int) -> int:
    """Have SLURM start the job again; only the first process asks for that, the others wait for the end."""
    if me.rank != 0:
        time.sleep(_SECONDS_TO_MEET)
        return AGAIN
    print("the command goes on when SLURM starts the job again", flush=True)
    try:
        journal.write("requeued", sure=True, task=task, attempt=attempt)
        requeue(me.job)
    except (Refused, Unreachable) as error:
        # Whoever leads sends another job.
        journal.write("died", sure=True, task=task, attempt=attempt, why=f"SLURM does not requeue it: {error}", progress=True)
        journal.write("left", code=AGAIN)
        return AGAIN
    # SLURM takes the job away; it must not have ended by itself before.
    time.sleep(_SECONDS_TO_MEET)
    return AGAIN


def _meeting_place(paths: WorkPaths, me: Process) -> dict[str, str]:
    """MASTER_ADDR and MASTER_PORT: where the job's first process can be reached from each other one.

    The names of a job's nodes need not resolve. So the first process writes down what it could be reached by, and the
    others take what they can connect to.

    Raises:
        TimeoutError: It cannot be reached by anything.
    """
    if me.world == 1:
        return {}
    file = paths.ranks / f"{me.job}.{me.restarts}.json"
    if me.rank == 0:
        with socket.create_server(("", 0)) as found:
            port = found.getsockname()[1]
        addresses = ["127.0.0.1"] if me.nodes == 1 else _addresses()
        probe = socket.create_server(("", 0), backlog=1024)
        write_json(file, {"addresses": addresses, "port": port, "probe": probe.getsockname()[1]})
        # Kept open until this process ends: a connection that is made is all that others want of it.
        _open.append(probe)
        return {"MASTER_ADDR": addresses[0], "MASTER_PORT": str(port)}
    deadline = time.monotonic() + _SECONDS_TO_MEET
    while time.monotonic() < deadline:
        found_there = _read(file)
        for address in found_there.get("addresses", ()):
            try:
                socket.create_connection((address, found_there["probe"]), timeout=3).close()
            except OSError:
                continue
            return {"MASTER_ADDR": address, "MASTER_PORT": str(found_there["port"])}
        time.sleep(0.1)
    raise TimeoutError(f"the job's first process cannot be reached from {me.node}, by {_read(file).get('addresses')}")


_open: list[socket.socket] = []


def _read(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found


def _addresses() -> list[str]:
    """What this machine may be reached by from others, the likeliest first."""
    found = []
    for name in (socket.gethostname(), socket.getfqdn()):
        try:
            found += [str(info[4][0]) for info in socket.getaddrinfo(name, None, socket.AF_INET)]
        except OSError:
            continue
    try:
        # No packet is sent: this only asks which of the machine's addresses would be used.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))
            found.append(probe.getsockname()[0])
    except OSError:
        pass
    launched = os.environ.get("SLURM_LAUNCH_NODE_IPADDR", "")
    ordered = [address for address in found if not address.startswith("127.")]
    ordered += [launched] if launched else []
    ordered += [address for address in found if address.startswith("127.")]
    return list(dict.fromkeys([*ordered, "127.0.0.1"]))
