"""The processes of one job: how they reach the first of them, and how that one knows that all are done."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from esp3rt.files import write_json
from esp3rt.slurm.paths import WorkPaths
from esp3rt.slurm.placed import Process

_SECONDS_TO_MEET = 120.0

_open: list[socket.socket] = []


def meeting_place(paths: WorkPaths, me: Process) -> dict[str, str]:
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


def say_done(paths: WorkPaths, me: Process) -> None:
    """Say that this process has done its part."""
    _done(paths, me, me.rank).touch()


def are_others_done(paths: WorkPaths, me: Process) -> bool:
    """Whether each other process of the job has done its part."""
    return all(_done(paths, me, rank).exists() for rank in range(me.world) if rank != me.rank)


def _done(paths: WorkPaths, me: Process, rank: int) -> Path:
    return paths.ranks / f"{me.job}.{me.restarts}.{rank}.done"


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
        # A machine without a route to others.
        found += []
    launched = os.environ.get("SLURM_LAUNCH_NODE_IPADDR", "")
    ordered = [address for address in found if not address.startswith("127.")]
    ordered += [launched] if launched else []
    ordered += [address for address in found if address.startswith("127.")]
    return list(dict.fromkeys([*ordered, "127.0.0.1"]))
