"""A real SLURM on this machine, for tests: controller, nodes, accounting, each a tree of processes that can be broken.

    with Cluster() as cluster:
        os.environ.update(cluster.env)          # sbatch, squeue, submitit now talk to it
        cluster.crash("n2")                     # the machine is gone, with its jobs
        cluster.restore()                       # everything runs, no job is left

Everything is in one folder of its own, on ports of its own, on the loopback interface, as the user who runs the tests; so
several clusters can live side by side. Nothing of it outlives the process that made it, however that ends (`keeper.py`).
Daemons are always stopped with SIGKILL: what stands in the folder is thrown away.

Where the host's own name does not lead to a loopback address SLURM can only listen on all of them; munge guards it. Names of
nodes do not resolve: /etc/hosts is left alone.
"""

from __future__ import annotations

import getpass
import os
import random
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import psutil

from slurm.install import PATH, missing
from slurm.keeper import Keeper
from slurm.settings import Place, Shape, gres_conf, slurm_conf, slurmdbd_conf

# Below the ports that the kernel gives to connections: a port must still be free when a killed daemon is started again.
_PORTS = range(12_000, 32_000)

_DEADLINE = 60.0


class ClusterError(Exception):
    """SLURM did not do what it was started for; says which log to read."""


class QueuedJob(NamedTuple):
    """A line of squeue. `job_id` is `7` or, in an array, `7_2`."""

    job_id: str
    state: str
    partition: str
    nodes: str
    reason: str
    name: str


class AccountedJob(NamedTuple):
    """A line of sacct: a job or, with a dot in `job_id`, one of its steps."""

    job_id: str
    state: str
    exit_code: str
    nodes: str


class Cluster:
    """A SLURM that is started by `with`, or by `start_all()` and `stop()`."""

    def __init__(self, shape: Shape | None = None, *, accounting: bool | None = None) -> None:
        shape = shape or Shape()
        self.shape = shape if accounting is None else replace(shape, accounting=accounting)
        if packages := missing(self.shape.accounting):
            raise ClusterError(f"not installed: {', '.join(packages)}; `make slurm` installs them")
        # Short: the path of a socket may have 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        self.place = _place(self.folder, 2 + len(self.shape.nodes))
        self._services = Keeper(self.folder)
        self._nodes = {node: Keeper() for node in self.shape.nodes}
        self._pids: dict[str, int] = {}
        self._grace = self.shape.timing.grace

    def __enter__(self) -> Cluster:
        try:
            self.start_all()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def env(self) -> dict[str, str]:
        """What a client of this cluster needs in its environment."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    @property
    def nodes(self) -> tuple[str, ...]:
        return self.shape.nodes

    # -- up and down ---------------------------------------------------------------------------------------------------

    def start_all(self) -> None:
        """Write the files, start every daemon, wait until the nodes take work."""
        self._write_files()
        self._start("munged", self._services, *self._munged())
        if self.shape.accounting:
            self._make_database()
            self._await("munged", self.place.munge_socket.exists)
            self.start_dbd()
        self._await("munged", self.place.munge_socket.exists)
        self._restart_all()
        self.wait_until_ready()

    def stop(self) -> None:
        """Kill all that was started, jobs too, and remove the folder."""
        for keeper in self._nodes.values():
            keeper.let_go()
        for keeper in (*self._nodes.values(), self._services):
            keeper.close()

    def restore(self) -> None:
        """What tests broke is started again; no job is left behind, and every node takes work."""
        if self.shape.accounting:
            self.start_dbd()
        if not self._runs("slurmctld"):
            # It may give numbers a second time, which nodes that have seen them refuse.
            for node in self.nodes:
                self.lose(node)
                for file in (self.folder / "spool" / node).glob("cred_state*"):
                    file.unlink()
        self._restart_all()
        self._await("slurmctld", self._answers)
        self.cancel_all(at_once=True)
        self.set_grace(self.shape.timing.grace)
        self._await("slurmctld", self._mended)

    def _restart_all(self) -> None:
        self.start_controller()
        for node in self.nodes:
            self.start(node)

    def wait_until_ready(self, deadline: float = _DEADLINE) -> None:
        """Wait until the controller answers and each node is idle or at work."""
        self._await("slurmctld", self._all_nodes_work, deadline)

    def node_states(self) -> dict[str, str]:
        """What sinfo says of each node; nothing where the controller does not answer."""
        states = self._ask("sinfo", "-h", "-N", "-p", "cpu", "-o", "%N %T") if self._answers() else None
        return dict(line.split() for line in (states or "").splitlines())

    def _all_nodes_work(self) -> bool:
        states = self.node_states()
        if "unknown" in states.values():
            # A new controller asks its nodes four seconds after its start; this makes it ask at once.
            self._ask("scontrol", "reconfigure")
        return len(states) == len(self.nodes) and set(states.values()) <= {"idle", "mixed", "allocated"}

    def _mended(self) -> bool:
        for node, state in self.node_states().items():
            if state.startswith("drain"):
                self._ask("scontrol", "update", f"nodename={node}", "state=resume")
        return self._all_nodes_work()

    # -- what can break ------------------------------------------------------------------------------------------------

    def crash(self, node: str, noticed: bool = False) -> None:
        """The machine dies: its slurmd, and whatever runs of jobs there, all at once.

        The controller finds out by itself, which takes ten seconds or more; where `noticed`, it is told.
        """
        self._nodes[node].kill_all()
        self._pids.pop(node, None)
        if noticed:
            self.run("scontrol", "update", f"nodename={node}", "state=down", "reason=crash")

    def lose(self, node: str) -> None:
        """Only its slurmd dies, or the network: the jobs live on, and nobody hears of them."""
        self._end(node, self._nodes[node])

    def start(self, node: str) -> None:
        """Start the slurmd of a node, unless it runs."""
        self._start(node, self._nodes[node], "slurmd", "-D", "-N", node)

    def kill_controller(self) -> None:
        """It is gone at once. What it wrote down is up to five seconds old: when it is back, it may not know the last jobs."""
        self._end("slurmctld", self._services)

    def stop_controller(self) -> None:
        """It goes in order: when it is back, it knows every job."""
        self._end("slurmctld", self._services, signal.SIGTERM)

    def start_controller(self) -> None:
        """Start slurmctld, unless it runs; does not wait for it (`wait_until_ready` does)."""
        self._start("slurmctld", self._services, "slurmctld", "-D")

    def kill_dbd(self) -> None:
        """Accounting is gone; the database behind it stays."""
        self._end("slurmdbd", self._services)

    def start_dbd(self) -> None:
        """Start slurmdbd, unless it runs, and wait until it answers and knows the cluster."""
        if self._runs("slurmdbd"):
            return
        self._start("slurmdbd", self._services, "slurmdbd", "-D")
        self._await("slurmdbd", self._is_accounted)

    def _is_accounted(self) -> bool:
        known = self._ask("sacctmgr", "-n", "-P", "show", "cluster", "format=cluster")
        if known is not None and not known:
            self._ask("sacctmgr", "-n", "-i", "-Q", "add", "cluster", "tests")
        return bool(known)

    def set_grace(self, seconds: int) -> None:
        """How long a preempted job keeps its place. SLURM looks every five seconds, unless it is 0."""
        if seconds != self._grace:
            for partition in ("preempt", "preempt_cancel"):
                self.run("scontrol", "update", f"partitionname={partition}", f"gracetime={seconds}")
            self._grace = seconds

    # -- jobs ----------------------------------------------------------------------------------------------------------

    def squeue(self, ended: bool = False) -> list[QueuedJob]:
        """The jobs of the queue, array tasks one by one; with `ended` also those that are over."""
        states = ["-t", "all"] if ended else []
        text = self.run("squeue", "-h", "-a", "-r", *states, "-o", "%i|%T|%P|%N|%r|%j")
        return [QueuedJob(*line.split("|", 5)) for line in text.splitlines()]

    def sacct(self, job_id: str | None = None, incarnations: bool = False) -> list[AccountedJob]:
        """What the accounting holds; it lags by seconds. With `incarnations` a requeued job has a line for each."""
        options = [*(["-j", job_id] if job_id else []), *(["-D"] if incarnations else [])]
        text = self.run("sacct", "-a", "-n", "-P", "-S", "now-1days", *options, "-o", "JobID,State,ExitCode,NodeList")
        return [AccountedJob(*line.split("|")) for line in text.splitlines()]

    def cancel_all(self, at_once: bool = False, deadline: float = _DEADLINE) -> None:
        """Cancel every job, and wait until none is left.

        SLURM gives jobs five seconds to end, and knows nothing of processes that left their job, where there are no cgroups;
        `at_once` leaves nothing on the nodes but their slurmd.
        """
        asked = -1.0
        started = time.monotonic()
        while jobs := {job.job_id.partition("_")[0] for job in self.squeue()}:
            if time.monotonic() - started > deadline:
                raise ClusterError(f"jobs that do not end: {', '.join(sorted(jobs))}; {self._log_of('slurmctld')}")
            if time.monotonic() - asked > 2:
                self._ask("scancel", *sorted(jobs))
                asked = time.monotonic()
            if at_once:
                self._clear_nodes()
            time.sleep(0.02)
        if at_once:
            self._clear_nodes()

    def _clear_nodes(self) -> None:
        for node, keeper in self._nodes.items():
            keeper.kill_all(but=[self._pids[node]] if node in self._pids else [])

    def run(self, *command: str) -> str:
        """What a client prints. Raises CalledProcessError where it fails."""
        return subprocess.run(
            command, env={**os.environ, **self.env}, check=True, capture_output=True, text=True, timeout=_DEADLINE
        ).stdout

    def _ask(self, *command: str) -> str | None:
        """What a client prints, None where it fails."""
        try:
            return self.run(*command)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return None

    def _answers(self) -> bool:
        """Whether the controller takes connections; a client would wait seconds for one that does not."""
        with socket.socket() as probe:
            return probe.connect_ex((self.place.address, self.place.ports[0])) == 0

    # -- daemons -------------------------------------------------------------------------------------------------------

    def _write_files(self) -> None:
        for name in ("log", "state", "gpu", "db", *(f"spool/{node}" for node in self.nodes)):
            (self.folder / name).mkdir(parents=True)
        self.folder.chmod(0o755)  # munge's clients go through it
        for number in range(self.shape.gpus):
            # It has to be a device: with an ordinary file SLURM counts, but sets no CUDA_VISIBLE_DEVICES.
            (self.folder / "gpu" / f"gpu{number}").symlink_to(os.devnull)
        self._write("munge.key", os.urandom(128))
        self._write("slurm.conf", slurm_conf(self.shape, self.place).encode(), 0o644)
        self._write("gres.conf", gres_conf(self.shape, self.place).encode(), 0o644)
        self._write("slurmdbd.conf", slurmdbd_conf(self.place).encode())

    def _write(self, name: str, data: bytes, mode: int = 0o600) -> None:
        path = self.folder / name
        path.touch(mode)
        path.write_bytes(data)
        path.chmod(mode)

    def _munged(self) -> list[str]:
        files = {
            "key-file": "munge.key",
            "seed-file": "munge.seed",
            "log-file": "log/munged.log",
            "pid-file": "munged.pid",
            "socket": self.place.munge_socket.name,
        }
        options = [f"--{option}={self.folder / file}" for option, file in files.items()]
        return ["munged", "--foreground", "--force", *options]

    def _make_database(self) -> None:
        common = ["--no-defaults", f"--datadir={self.folder}/db", f"--user={self.place.user}"]
        # Nothing of it has to survive, so nothing waits for the disk: it starts seven times as fast.
        common += ["--debug-no-sync", "--innodb-log-file-size=8M"]
        own = [f"--socket={self.place.database_socket}", f"--pid-file={self.folder}/mariadb.pid", "--skip-networking"]
        own += ["--skip-log-bin", "--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900"]
        only_root = ["--skip-test-db", "--skip-name-resolve", "--auth-root-authentication-method=normal"]
        self.run("mariadb-install-db", *common, *only_root)
        self._start("mariadbd", self._services, "mariadbd", *common, *own)
        make = (
            "create database slurm_acct_db; create user slurm@localhost identified by 'slurm';"
            "grant all on slurm_acct_db.* to slurm@localhost;"
        )
        client = ["mariadb", "--no-defaults", f"--socket={self.place.database_socket}", "-u", "root", "-e"]
        self._await("mariadbd", lambda: self._ask(*client, "select 1") is not None)
        self.run(*client, make)

    def _start(self, name: str, keeper: Keeper, *command: str) -> None:
        if not self._runs(name):
            env = {**os.environ, **self.env, "PATH": PATH, "MYSQL_UNIX_PORT": str(self.place.database_socket)}
            self._pids[name] = keeper.start(command, self.folder / "log" / f"{name}.out", env)

    def _end(self, name: str, keeper: Keeper, number: signal.Signals = signal.SIGKILL) -> None:
        """Nothing happens where it has ended already."""
        if name in self._pids:
            keeper.end(self._pids.pop(name), number)

    def _runs(self, name: str) -> bool:
        return name in self._pids and psutil.pid_exists(self._pids[name])

    def _await(self, name: str, what: Callable[[], bool], deadline: float = _DEADLINE) -> None:
        started = time.monotonic()
        while not what():
            if not self._runs(name):
                raise ClusterError(f"{name} has ended; {self._log_of(name)}")
            if time.monotonic() - started > deadline:
                raise ClusterError(f"{name} is not ready after {deadline:.0f} s; {self._log_of(name)}")
            time.sleep(0.02)

    def _log_of(self, name: str) -> str:
        logs = sorted(self.folder.glob(f"log/*{name}*"))
        tails = [f"{log.name}:\n" + "\n".join(log.read_text(errors="replace").splitlines()[-8:]) for log in logs]
        return "its logs end with\n" + "\n".join(tails)


def _place(folder: Path, ports: int) -> Place:
    host = socket.gethostname().partition(".")[0]
    try:
        address = socket.gethostbyname(host)
    except OSError:
        address = ""
    bound = address.startswith("127.")
    return Place(folder, getpass.getuser(), host, address if bound else "127.0.0.1", bound, _free_ports(ports))


def _free_ports(count: int) -> tuple[int, ...]:
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return tuple(found)
    raise ClusterError(f"no {count} free ports between {_PORTS.start} and {_PORTS.stop}")
