"""The same setting in the words of other libraries, older versions and everyday speech, for hints."""

from __future__ import annotations

from collections.abc import Collection

from esp3c.suggest import nearest

ALIASES: dict[str, tuple[str, ...]] = {
    # splits
    "val": ("valid",),
    "validation": ("valid",),
    "dev": ("valid",),
    "training": ("train",),
    # Lightning's Trainer
    "epochs": ("max_epochs",),
    "num_epochs": ("max_epochs",),
    "n_epochs": ("max_epochs",),
    "num_train_epochs": ("max_epochs",),
    "steps": ("max_steps",),
    "num_steps": ("max_steps",),
    "max_iters": ("max_steps",),
    "max_iterations": ("max_steps",),
    "gpus": ("devices", "gpus_per_node"),
    "num_gpus": ("devices", "gpus_per_node"),
    "n_gpus": ("devices", "gpus_per_node"),
    "ngpu": ("devices", "gpus_per_node"),
    "num_devices": ("devices", "num_device"),
    "nodes": ("num_nodes",),
    "grad_clip": ("gradient_clip_val",),
    "clip_grad": ("gradient_clip_val",),
    "clip_grad_norm": ("gradient_clip_val",),
    "max_grad_norm": ("gradient_clip_val", "max_norm"),
    "accum_grad": ("accumulate_grad_batches", "accum_grad_steps"),
    "gradient_accumulation_steps": ("accumulate_grad_batches", "accum_grad_steps"),
    "fp16": ("precision",),
    "amp": ("precision",),
    "resume": ("ckpt_path",),
    "resume_from_checkpoint": ("ckpt_path",),
    # loaders
    "bs": ("batch_size",),
    "train_batch_size": ("batch_size",),
    "batch_tokens": ("batch_bins",),
    "max_tokens": ("batch_bins",),
    "workers": ("num_workers", "n_workers"),
    "n_jobs": ("n_workers", "num_workers"),
    "num_workers": ("n_workers",),
    "n_workers": ("num_workers",),
    # a training
    "lr_scheduler": ("scheduler",),
    "lr_schedule": ("scheduler",),
    "network": ("model",),
    "net": ("model",),
    "random_seed": ("seed",),
    "manual_seed": ("seed",),
    "experiment_name": ("exp_tag",),
    "exp_name": ("exp_tag",),
    "output_dir": ("exp_dir", "out_dir"),
    # machines
    "cpus": ("cpus_per_task", "cores", "ncpus"),
    "cores": ("cpus_per_task",),
    "processes": ("n_workers",),
    "project": ("account",),
    "job_script_prologue": ("setup",),
    "job_script_epilogue": ("teardown",),
    "job_extra_directives": ("extra",),
    "job_extra": ("extra",),
    "additional_parameters": ("extra",),
    "tasks_per_node": ("ntasks_per_node",),
    "timeout_min": ("time",),
    "mem_gb": ("mem",),
    "retries": ("attempts",),
    "max_retries": ("attempts",),
    "email": ("mail_user",),
    "gpus_per_job": ("gpus_per_node",),
    "memory": ("mem",),
    "mem": ("memory",),
    "walltime": ("time",),
    "time": ("walltime",),
    "time_limit": ("time", "walltime"),
    "queue": ("partition",),
    "partition": ("queue",),
    # arguments of torch's classes and those like them
    "learning_rate": ("lr",),
    "wd": ("weight_decay",),
    "l2": ("weight_decay",),
    "warmup": ("warmup_steps",),
    "num_warmup_steps": ("warmup_steps",),
    "num_training_steps": ("total_steps",),
    "num_heads": ("nhead", "n_heads", "attention_heads"),
    "n_heads": ("nhead", "num_heads", "attention_heads"),
    "n_layers": ("num_layers",),
    "hidden_dim": ("hidden_size",),
    "input_dim": ("input_size",),
    "in_dim": ("in_features",),
    "out_dim": ("out_features",),
    "p": ("dropout",),
    "dropout_rate": ("dropout",),
    "vocabulary_size": ("vocab_size",),
    "n_vocab": ("vocab_size",),
    "patience_epochs": ("patience",),
}
"""For each word the names that it may stand for, the likelier first; a hint names the first that the place has."""

SAME = frozenset(
    {
        ("val", "valid"), ("validation", "valid"),
        # dask_jobqueue's and submitit's words, in `slurm`
        ("queue", "partition"), ("walltime", "time"), ("memory", "mem"), ("project", "account"),
        ("job_script_prologue", "setup"), ("job_script_epilogue", "teardown"), ("additional_parameters", "extra"),
        ("tasks_per_node", "ntasks_per_node"),
    }
)  # fmt: skip
"""Words that mean nothing else among the keys of a block, so that they can be changed without asking.

The value stays: there is no such change where it would not fit.
"""

OF_THE_OPTIMIZER = frozenset({"lr", "weight_decay", "betas", "momentum"})
"""What people write beside an optimizer, and what is an argument of it."""


def meant_by(name: str, names: Collection[str], *, misspelt: bool = False) -> str:
    """The one of `names` that a word of another place stands for, or nothing. `misspelt`: also where it has a slip."""
    words = [name.casefold()]
    if misspelt and words[0] not in ALIASES and len(name) > 4:
        words = nearest(words[0], ALIASES)[:1]
    return next((each for word in words for each in ALIASES.get(word, ()) if each in names), "")
