"""The machine backends of `parallel NAME = backend(…)` and their settings.

They have the names that submitit has for `slurm`, and dask_jobqueue for the other queueing systems.
"""

from __future__ import annotations

from esp3c.schema.types import (
    ANY,
    BOOL,
    COUNT,
    DURATION,
    FLOAT,
    INT,
    NOT_NEGATIVE,
    POSITIVE,
    SIZE,
    STR,
    Block,
    Conflict,
    Form,
    Key,
    ListOf,
    MapOf,
    OneOf,
    Range,
    either,
)  # fmt: skip

_WORKERS = Key("n_workers", INT, "how many workers share the items", "1", numbers=COUNT)

_SHARDS = Key("n_shards", INT, "how many shards the items are cut into", "a few for each worker", numbers=COUNT)

LOCAL = Block("local", (_WORKERS, _SHARDS))

LOCAL_GPU = Block("local_gpu", (_WORKERS, _SHARDS))

_MAIL = "NONE|BEGIN|END|FAIL|REQUEUE|ALL|INVALID_DEPEND|STAGE_OUT|TIME_LIMIT|TIME_LIMIT_90|TIME_LIMIT_80|TIME_LIMIT_50|ARRAY_TASKS"
_MAIL_TYPES = Form(
    rf"(?i:(?:{_MAIL})(?:,(?:{_MAIL}))*)", 'SLURM\'s events with commas between them, such as `"END,FAIL"`'
)

SLURM = Block(
    "slurm",
    (
        _WORKERS,
        _SHARDS,
        Key("attempts", INT, "how often a shard or job is tried", "3", numbers=COUNT),
        Key(
            "max_bad_items",
            INT,
            "how many items may be left out because they fail or kill their process",
            "0",
            numbers=NOT_NEGATIVE,
        ),
        Key("partition", STR, "the partition to ask, or several with commas between them"),
        Key("nodes", INT, "machines of a training's job", "`trainer.num_nodes`", numbers=COUNT),
        Key("gpus_per_node", either(INT, STR), 'GPUs a machine, such as `4` or `"a100:4"`', numbers=NOT_NEGATIVE),
        Key("ntasks_per_node", INT, "processes of a training on each machine", "`trainer.devices`", numbers=COUNT),
        Key("cpus_per_task", INT, "CPU cores a process", numbers=COUNT),
        Key("cpus_per_gpu", INT, "CPU cores a GPU", numbers=COUNT),
        Key("gpus_per_task", either(INT, STR), "GPUs a process", numbers=NOT_NEGATIVE),
        Key("mem", SIZE, "memory a machine", numbers=POSITIVE),
        Key("mem_per_gpu", SIZE, "memory a GPU", numbers=POSITIVE),
        Key("mem_per_cpu", SIZE, "memory a core", numbers=POSITIVE),
        Key("time", DURATION, "the time limit of a job", "5min", numbers=POSITIVE),
        Key("account", STR, "the account that pays"),
        Key("qos", STR, "the quality of service"),
        Key("wckey", STR, "the key under which a project is counted", "submitit"),
        Key("constraint", STR, "features that a machine must have"),
        Key("gres", STR, "generic resources, such as `gpu:a100:2`"),
        Key("exclude", STR, "machines to avoid"),
        Key("nodelist", STR, "machines to use"),
        Key("exclusive", either(BOOL, OneOf(("user", "mcs", "topo"))), "whether machines are a job's alone", "false"),
        Key("dependency", STR, "jobs to wait for, such as `afterok:123`"),
        Key("comment", STR, "a remark for the scheduler"),
        Key("job_name", STR, "the name in the queue", "that of the stage"),
        Key("mail_type", STR, "what mail is sent about", text=_MAIL_TYPES),
        Key("mail_user", STR, "who gets the mail", "whoever sends the job"),
        Key("array_parallelism", INT, "how many jobs of an array run at once", "all", numbers=COUNT),
        Key(
            "signal_delay_s",
            DURATION,
            "how long before its time limit a job is told to save what it has",
            "90s",
            numbers=Range(0, 65_535),
        ),
        Key("stderr_to_stdout", BOOL, "one log for both", "true"),
        Key("setup", ListOf(STR), "shell lines before the job, one a text"),
        Key("teardown", ListOf(STR), "shell lines after the job, one a text"),
        Key("python", STR, "the Python of the jobs", "that of this run"),
        Key("srun_args", ListOf(STR), "arguments of srun, each with its value: `--mpi=none`"),
        Key("use_srun", BOOL, "whether srun starts the processes", "true"),
        Key("extra", MapOf(either(STR, INT, FLOAT, BOOL)), 'further options of sbatch: `{ reservation = "night" }`'),
    ),
    conflicts=(
        Conflict("mem", "mem_per_cpu", "sbatch takes one of `mem`, `mem_per_cpu` and `mem_per_gpu`"),
        Conflict("mem", "mem_per_gpu", "sbatch takes one of `mem`, `mem_per_cpu` and `mem_per_gpu`"),
        Conflict("mem_per_cpu", "mem_per_gpu", "sbatch takes one of `mem`, `mem_per_cpu` and `mem_per_gpu`"),
        Conflict("cpus_per_task", "cpus_per_gpu", "sbatch takes one of the two"),
    ),
)

IN_YAML = {"extra": "additional_parameters"}
"""What a setting of `slurm` is called in the YAML, where that is another name: submitit's."""

SIGNAL_DELAY = 90.0
"""Seconds before the time limit at which a job is told, where `signal_delay_s` does not say it."""

TIME = 300.0
"""Seconds that submitit asks for where `time` does not say it."""

DASK = Block(
    "dask",
    (
        _WORKERS,
        _SHARDS,
        Key("address", STR, "where the scheduler of a running cluster listens", "a cluster on this machine"),
        Key("scheduler_file", STR, "the file in which the scheduler has left its address"),
        Key("timeout", DURATION, "how long the scheduler may take to answer", "30s", numbers=POSITIVE),
    ),
    conflicts=(Conflict("address", "scheduler_file", "a scheduler is named by one of the two"),),
)

_JOB = (
    _WORKERS,
    _SHARDS,
    Key("cores", INT, "CPU cores a job", numbers=COUNT),
    Key("processes", INT, "worker processes a job", numbers=COUNT),
    Key("memory", SIZE, "memory a job", numbers=POSITIVE),
    Key("job_name", STR, "the name in the queue"),
    Key("job_script_prologue", ListOf(STR), "shell lines before the workers"),
    Key("job_directives_skip", ListOf(STR), "lines of the job script to leave out: those that contain one of these"),
    Key("worker_command", STR, "the module that a worker runs", "distributed.cli.dask_worker"),
    Key("worker_extra_args", ListOf(STR), "further arguments of a worker"),
    Key("python", STR, "the Python of the workers", "that of this run"),
    Key("shebang", STR, "the first line of the job script"),
    Key("nanny", BOOL, "whether workers that die are started again in their job", "true"),
    Key("interface", STR, "the network interface, such as `ib0`"),
    Key("protocol", STR, "how the workers are spoken with", "tcp"),
    Key("death_timeout", DURATION, "how long a worker waits for the scheduler", "60s", numbers=POSITIVE),
    Key("local_directory", STR, "a folder of each machine for what does not fit into memory"),
    Key("shared_temp_directory", STR, "a folder of all machines for files of the cluster"),
    Key("log_directory", STR, "the folder for the logs of the jobs"),
    Key("scheduler_options", MapOf(ANY), "arguments of the scheduler"),
)
_DIRECTIVES = Key("job_extra_directives", ListOf(STR), "further directives of the job script")
_WALLTIME = Key("walltime", DURATION, "the time limit of a job", "30min", numbers=POSITIVE)
_QUEUE = (
    Key("queue", STR, "the queue to ask"),
    Key("project", STR, "the project that pays"),
    _WALLTIME,
    _DIRECTIVES,
)
_ACCOUNT = Key("account", STR, "the account that pays")
_RESOURCES = Key("resource_spec", STR, "the resources to ask for, as the queueing system writes them")

JOB_QUEUES = {
    "pbs": Block("pbs", (*_JOB, *_QUEUE, _ACCOUNT, _RESOURCES)),
    "moab": Block("moab", (*_JOB, *_QUEUE, _ACCOUNT, _RESOURCES)),
    "sge": Block("sge", (*_JOB, *_QUEUE, _RESOURCES)),
    "oar": Block(
        "oar",
        (
            *_JOB,
            *_QUEUE,
            _RESOURCES,
            Key("memory_per_core_property_name", STR, "the site's name for the memory of a core"),
        ),
    ),
    "lsf": Block(
        "lsf",
        (
            *_JOB,
            *_QUEUE,
            Key("ncpus", INT, "CPU cores to ask for", "`cores`", numbers=COUNT),
            Key("mem", SIZE, "memory to ask for", "`memory`", numbers=POSITIVE),
            Key("lsf_units", STR, "the unit in which the site counts memory"),
            Key("use_stdin", BOOL, "whether bsub reads the job script from its input"),
        ),
    ),
    "htcondor": Block(
        "htcondor",
        (
            *_JOB,
            Key("disk", SIZE, "disk a job", numbers=POSITIVE),
            Key("job_extra_directives", MapOf(ANY), "further lines of the submit description"),
            Key("submit_command_extra", ListOf(STR), "further arguments of condor_submit"),
            Key("cancel_command_extra", ListOf(STR), "further arguments of condor_rm"),
        ),
    ),
}
"""Queueing systems whose jobs are workers of a Dask cluster."""

BACKENDS = {"local": LOCAL, "local_gpu": LOCAL_GPU, "slurm": SLURM, "dask": DASK, **JOB_QUEUES}

ON_THIS_MACHINE = ("local", "local_gpu")
"""Whose workers are processes of the machine that the run is started on."""

OVER_DASK = ("dask", *JOB_QUEUES)
"""Whose workers are those of a Dask cluster: they get shards of items, while the stage itself stays where it is started."""
