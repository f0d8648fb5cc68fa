"""Amounts of a machine setting, as the programs count them that hand them to a scheduler."""

from __future__ import annotations

import math

_SIZES = {
    "TiB": 2**40, "TB": 10**12, "GiB": 2**30, "GB": 10**9, "MiB": 2**20, "MB": 10**6, "KiB": 2**10, "KB": 10**3
}  # fmt: skip


def for_submitit(name: str, value: float) -> int | str | None:
    """SLURM counts time in minutes, memory in mebibytes and its warning in seconds, all of them whole; None: as it is."""
    if name == "time":
        return max(1, math.ceil(value / 60))
    if name == "signal_delay_s":
        return math.ceil(value)
    if name.startswith("mem"):
        return f"{max(1, math.ceil(value / 2**20))}M"
    return None


def for_dask_jobqueue(backend: str, name: str, value: float) -> str | None:
    """Memory with its unit, and a time by the clock, of which LSF knows no seconds; None: as it is."""
    if name in {"memory", "disk"}:
        return size(math.ceil(value))
    if name == "walltime":
        if backend == "lsf":
            minutes = max(1, math.ceil(value / 60))
            return f"{minutes // 60:02}:{minutes % 60:02}"
        seconds = max(1, math.ceil(value))
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return None


def size(n_bytes: int) -> str:
    """`16GB`: a number of bytes in the largest unit in which it is whole."""
    for unit, factor in _SIZES.items():
        if n_bytes % factor == 0:
            return f"{n_bytes // factor}{unit}"
    return f"{n_bytes}B"
