"""The files of a small SLURM: slurm.conf, gres.conf, slurmdbd.conf, as text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Timing:
    """How fast things happen, in whole seconds; SLURM's own defaults are for clusters, not for tests."""

    slurmd_timeout: int = 6
    """Without an answer for so long a node is down (SLURM: 300), and it takes some seconds more until that is noticed."""
    message_timeout: int = 5
    """A node or controller that does not answer is waited for (SLURM: 10)."""
    cred_expire: int = 5
    """A requeued job waits for so long before it starts again (SLURM: 120; not below 5)."""
    kill_wait: int = 1
    """Between SIGTERM and SIGKILL (SLURM: 30)."""
    grace: int = 2
    """Between the notice of a preemption and its kill, and up to five seconds more (`Cluster.set_grace(0)`: none)."""


@dataclass(frozen=True)
class Shape:
    """What a cluster is made of. Neither CPUs nor memory have to exist."""

    nodes: tuple[str, ...] = ("n1", "n2", "n3")
    cpus: int = 4
    memory: int = 8000
    """Of a node, in mebibytes."""
    gpus: int = 2
    accounting: bool = True
    preempt_signal: bool = True
    """Whether a preempted job gets the signal that it asked for (`sbatch --signal`); SLURM's default is no."""
    max_array_size: int = 1001
    timing: Timing = Timing()


@dataclass(frozen=True)
class Place:
    """Where a cluster lives."""

    folder: Path
    user: str
    host: str
    address: str
    bound: bool
    """Whether the daemons can listen on `address` alone: SLURM listens where the host's own name leads to."""
    ports: tuple[int, ...]
    """Of slurmctld, of slurmdbd, and of each node."""

    @property
    def munge_socket(self) -> Path:
        return self.folder / "munge.socket"

    @property
    def database_socket(self) -> Path:
        return self.folder / "db.socket"


def slurm_conf(shape: Shape, place: Place) -> str:
    folder, timing = place.folder, shape.timing
    names = ",".join(shape.nodes)
    lines = [
        "ClusterName=tests",
        f"SlurmctldHost={place.host}({place.address})",
        f"SlurmctldPort={place.ports[0]}",
        f"SlurmUser={place.user}",
        f"SlurmdUser={place.user}",
        *_listening(place),
        "AuthType=auth/munge",
        f"AuthInfo=socket={place.munge_socket},cred_expire={timing.cred_expire}",
        "CredType=cred/munge",
        f"StateSaveLocation={folder}/state",
        f"SlurmdSpoolDir={folder}/spool/%n",
        f"SlurmctldPidFile={folder}/slurmctld.pid",
        f"SlurmdPidFile={folder}/slurmd-%n.pid",
        f"SlurmctldLogFile={folder}/log/slurmctld.log",
        f"SlurmdLogFile={folder}/log/slurmd-%n.log",
        "MailProg=/bin/true",
        "MpiDefault=none",
        "SwitchType=switch/none",
        # Neither cgroups nor binding: this runs in any container, and without root.
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "PropagateResourceLimits=NONE",
        "JobAcctGatherType=jobacct_gather/linux",
        "JobAcctGatherFrequency=task=2",
        "JobAcctGatherParams=OverMemoryKill",
        "SlurmdParameters=config_overrides",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_CPU_Memory",
        f"DefMemPerCPU={shape.memory // shape.cpus}",
        "SchedulerType=sched/backfill",
        "SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0,sched_min_interval=0",
        "PriorityType=priority/basic",
        "PreemptType=preempt/partition_prio",
        "PreemptMode=REQUEUE",
        *(["SlurmctldParameters=preempt_send_user_signal"] if shape.preempt_signal else []),
        "JobRequeue=1",
        "ReturnToService=2",
        f"KillWait={timing.kill_wait}",
        f"SlurmdTimeout={timing.slurmd_timeout}",
        "SlurmctldTimeout=30",
        "BatchStartTimeout=15",
        f"MessageTimeout={timing.message_timeout}",
        "InactiveLimit=0",
        "MinJobAge=3600",
        f"MaxArraySize={shape.max_array_size}",
        *_accounting(shape, place),
        *(["GresTypes=gpu"] if shape.gpus else []),
        *(_node(shape, place, number) for number in range(len(shape.nodes))),
        f"PartitionName=cpu Nodes={names} Default=YES PriorityTier=10 PreemptMode=OFF DefaultTime=60 State=UP",
        f"PartitionName=gpu Nodes={names} PriorityTier=10 PreemptMode=OFF DefaultTime=60 State=UP",
        *(
            f"PartitionName={name} Nodes={names} PriorityTier=1 PreemptMode={mode} GraceTime={timing.grace} DefaultTime=60 State=UP"
            for name, mode in (("preempt", "REQUEUE"), ("preempt_cancel", "CANCEL"))
        ),
    ]
    return "\n".join(lines) + "\n"


def _listening(place: Place) -> list[str]:
    return ["CommunicationParameters=NoCtldInAddrAny,NoInAddrAny"] if place.bound else []


def _accounting(shape: Shape, place: Place) -> list[str]:
    if not shape.accounting:
        return ["AccountingStorageType=accounting_storage/none"]
    return [
        "AccountingStorageType=accounting_storage/slurmdbd",
        f"AccountingStorageHost={place.address}",
        f"AccountingStoragePort={place.ports[1]}",
        f"AccountingStoragePass={place.munge_socket}",
        *(["AccountingStorageTRES=gres/gpu"] if shape.gpus else []),
    ]


def _node(shape: Shape, place: Place, number: int) -> str:
    # A host name of each node's own, so that builds without --enable-multiple-slurmd take several on one host.
    name = shape.nodes[number]
    gpus = f" Gres=gpu:fake:{shape.gpus}" if shape.gpus else ""
    return (
        f"NodeName={name} NodeHostName={name} NodeAddr={place.address} Port={place.ports[2 + number]} "
        f"CPUs={shape.cpus} Sockets=1 CoresPerSocket={shape.cpus} ThreadsPerCore=1 RealMemory={shape.memory}{gpus}"
    )


def gres_conf(shape: Shape, place: Place) -> str:
    """Each GPU a file of its own; the number at the end of its name becomes CUDA_VISIBLE_DEVICES."""
    return "".join(
        f"NodeName={node} Name=gpu Type=fake File={place.folder}/gpu/gpu{number}\n"
        for node in shape.nodes
        for number in range(shape.gpus)
    )


def slurmdbd_conf(place: Place) -> str:
    lines = [
        "AuthType=auth/munge",
        f"AuthInfo=socket={place.munge_socket}",
        "DbdHost=localhost",
        f"DbdAddr={place.address}",
        f"DbdPort={place.ports[1]}",
        *_listening(place),
        f"SlurmUser={place.user}",
        f"PidFile={place.folder}/slurmdbd.pid",
        f"LogFile={place.folder}/log/slurmdbd.log",
        "StorageType=accounting_storage/mysql",
        "StorageHost=localhost",
        "StorageUser=slurm",
        "StoragePass=slurm",
        "StorageLoc=slurm_acct_db",
        "CommitDelay=1",
    ]
    return "\n".join(lines) + "\n"
