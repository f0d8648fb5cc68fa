"""What the values of a SLURM job may be made of, and what else sbatch would take from a recipe.

A value reaches a line of a batch script or of a shell: as what stands in the recipe, and as nothing besides. The runtime
holds values against the same tables when it makes a request, since an environment variable has its value only then.
"""

from __future__ import annotations

_NAME = "_.-+@:=/%"
_ANY = _NAME + ",*()[]{}|&?!~^<># "

CHARACTERS = {
    "account": _NAME + ",",
    "comment": _NAME + ",*()[]?! ",
    "constraint": _NAME + ",*()[]|&!",
    "dependency": _NAME + ",?",
    "exclude": _NAME + ",[]",
    "exclusive": "",
    "gpus_per_node": "_.-+:,",
    "gpus_per_task": "_.-+:,",
    "gres": _NAME + ",*",
    "job_name": "_.-+@:",
    "mail_type": "_,",
    "mail_user": "_.-+@%=,",
    "mem": ".",
    "mem_per_cpu": ".",
    "mem_per_gpu": ".",
    "nodelist": _NAME + ",[]",
    "partition": _NAME + ",",
    "python": _NAME + ",",
    "qos": _NAME + ",",
    "srun_args": _ANY,
    "time": "-:.",
    "wckey": _NAME + ",*",
    "extra": _ANY,
}
"""The characters that the text of an option may hold besides ASCII letters and digits.

`extra` is about each value in it, `srun_args` about each argument. No quotes, `$`, backquotes, `;` and `\\` anywhere: inside
single quotes a shell takes a backslash as it is, and sbatch does not.
"""

ANY_LETTERS = frozenset({"comment"})
"""Options for people: letters and digits of all scripts."""

HASH = r"(?:.* )?#.*"
"""A value in which sbatch would take what comes behind a `#` for a comment, were its quotes lost."""

SHELL = frozenset({"setup", "teardown"})
"""Options that are lines of shell: a tab, and what is printed. No more than a line each."""

DIRECTIVE = r"\s*#(?:SBATCH|PBS|BSUB)\b.*"
"""A line in front of the first command that sbatch reads as options."""

EXTRA_NAME = r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*"
"""A name in `extra`: a long option of sbatch without its dashes. `_` stands for `-`."""

SRUN_ARGUMENT = r"--[a-z][a-z0-9]*(?:-[a-z0-9]+)*(?:=.*)?|-[A-Za-z].*"
"""An item of `srun_args`: an option, and its value in the same item. Anything else would be the program to run."""

RESERVED = {
    "array": "`n_workers` says how many jobs share the items",
    "error": "a run finds the logs of its jobs by their names",
    "help": "it is no option of a job",
    "input": "jobs read nothing from there",
    "no-requeue": "a job that is told to end saves what it has and is queued again",
    "ntasks": "`nodes` and `ntasks_per_node` say how many",
    "open-mode": "a job that is queued again goes on in its log",
    "output": "a run finds the logs of its jobs by their names",
    "parsable": "a run reads the number of its job from what sbatch prints",
    "quiet": "a run reads the number of its job from what sbatch prints",
    "signal": "`signal_delay_s` says when",
    "test-only": "nothing would be sent",
    "usage": "it is no option of a job",
    "version": "it is no option of a job",
    "wait": "a run waits by itself",
    "wrap": "the job is the stage",
}
"""Options of sbatch that a run sets itself, or that have no place in a recipe, and why."""

LONG_OPTIONS = (
    "account", "acctg-freq", "array", "batch", "bb", "bbf", "begin", "chdir", "cluster-constraint", "clusters", "comment",
    "consolidate-segments", "constraint", "container", "container-id", "contiguous", "core-spec", "cores-per-socket",
    "cpu-freq", "cpus-per-gpu", "cpus-per-task", "deadline", "delay-boot", "dependency", "distribution", "error", "exclude",
    "exclusive", "export", "export-file", "extra", "extra-node-info", "get-user-env", "gid", "gpu-bind", "gpu-freq", "gpus",
    "gpus-per-node", "gpus-per-socket", "gpus-per-task", "gres", "gres-flags", "help", "hint", "hold", "ignore-pbs", "input",
    "job-name", "kill-on-invalid-dep", "licenses", "mail-type", "mail-user", "mcs-label", "mem", "mem-bind", "mem-per-cpu",
    "mem-per-gpu", "mincpus", "network", "nice", "no-kill", "no-requeue", "nodefile", "nodelist", "nodes", "ntasks",
    "ntasks-per-core", "ntasks-per-gpu", "ntasks-per-node", "ntasks-per-socket", "oom-kill-step", "open-mode", "output",
    "overcommit", "oversubscribe", "parsable", "partition", "power", "prefer", "priority", "profile", "propagate", "qos",
    "quiet", "reboot", "requeue", "reservation", "resv-ports", "segment", "signal", "sockets-per-node", "spread-job",
    "spread-segments", "stepmgr", "switches", "test-only", "thread-spec", "threads-per-core", "time", "time-min", "tmp",
    "tres-bind", "tres-per-task", "uid", "usage", "use-min-nodes", "verbose", "version", "wait", "wait-all-nodes", "wckey",
    "wrap",
)  # fmt: skip
"""The long options of sbatch, of SLURM 22.05 and later. Sites add some of their own (SPANK), so another name may be fine."""
