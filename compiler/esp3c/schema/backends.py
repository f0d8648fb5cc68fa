"""The machine backends of `parallel NAME = backend(…)` and their settings, under the names that submitit has."""

from __future__ import annotations

from esp3c.schema.types import (
    ANY,
    BOOL,
    COUNT,
    DURATION,
    INT,
    NOT_NEGATIVE,
    POSITIVE,
    SIZE,
    STR,
    Block,
    Conflict,
    Key,
    ListOf,
    MapOf,
    either,
)  # fmt: skip

_WORKERS = Key("n_workers", INT, "how many workers share the items", "1", numbers=COUNT)

LOCAL = Block("local", (_WORKERS,))

SLURM = Block(
    "slurm",
    (
        _WORKERS,
        Key("partition", STR, "the partition to ask"),
        Key("nodes", INT, "machines a job", "1", numbers=COUNT),
        Key("gpus_per_node", either(INT, STR), "GPUs a machine", numbers=NOT_NEGATIVE),
        Key("ntasks_per_node", INT, "processes a machine", "1", numbers=COUNT),
        Key("cpus_per_task", INT, "CPU cores a process", numbers=COUNT),
        Key("cpus_per_gpu", INT, "CPU cores a GPU", numbers=COUNT),
        Key("gpus_per_task", either(INT, STR), "GPUs a process", numbers=NOT_NEGATIVE),
        Key("mem", SIZE, "memory a machine", numbers=POSITIVE),
        Key("mem_per_gpu", SIZE, "memory a GPU", numbers=POSITIVE),
        Key("mem_per_cpu", SIZE, "memory a core", numbers=POSITIVE),
        Key("time", DURATION, "the time limit", numbers=POSITIVE),
        Key("account", STR, "the account that pays"),
        Key("qos", STR, "the quality of service"),
        Key("constraint", STR, "features that a machine must have"),
        Key("gres", STR, "generic resources"),
        Key("exclude", STR, "machines to avoid"),
        Key("nodelist", STR, "machines to use"),
        Key("exclusive", either(BOOL, STR), "whether machines are shared"),
        Key("dependency", STR, "jobs to wait for"),
        Key("comment", STR, "a remark for the scheduler"),
        Key("job_name", STR, "the name in the queue"),
        Key("array_parallelism", INT, "the most shards that run at once", "256", numbers=COUNT),
        Key("signal_delay_s", DURATION, "how long before the limit the job is warned", "90s", numbers=NOT_NEGATIVE),
        Key("stderr_to_stdout", BOOL, "one log for both", "false"),
        Key("setup", ListOf(STR), "shell lines before the job"),
        Key("srun_args", ListOf(STR), "arguments of srun"),
        Key("use_srun", BOOL, "whether srun starts the processes", "true"),
        Key("extra", MapOf(ANY), "further lines for sbatch"),
    ),
    conflicts=(
        Conflict("mem", "mem_per_cpu", "sbatch takes one of `mem`, `mem_per_cpu` and `mem_per_gpu`"),
        Conflict("mem", "mem_per_gpu", "sbatch takes one of `mem`, `mem_per_cpu` and `mem_per_gpu`"),
        Conflict("mem_per_cpu", "mem_per_gpu", "sbatch takes one of `mem`, `mem_per_cpu` and `mem_per_gpu`"),
        Conflict("cpus_per_task", "cpus_per_gpu", "sbatch takes one of the two"),
    ),
)

BACKENDS = {"local": LOCAL, "slurm": SLURM}
