"""Asks SLURM for the limits of the site, where there is one.

Only the commands that are about to run stages call this: `plan` and `run`. Nothing waits for a controller for long, and
a site that does not answer costs the check of its limits and no more.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from esp3c.check.limits import Node, Partition, SiteLimits, over_limits, runs_on_slurm

if TYPE_CHECKING:
    from collections.abc import Collection

    from esp3c.diagnostics import Diagnostic
    from esp3c.ir import Recipe

PATIENCE = 5.0
"""Seconds for each question. A controller that is down lets its commands wait for longer."""

_PAIR = re.compile(r"(\w+)=(\S*)")


def limits() -> SiteLimits | None:
    """The limits of the site; None where there is no SLURM, or it does not answer, which is said on stderr."""
    command = shutil.which("scontrol")
    if command is None:
        _say("there is no scontrol on this machine")
        return None
    answers: list[str] = []
    for question in (("config",), ("partition", "-o"), ("node", "-o")):
        answer = _ask(command, *question)
        if answer is None:
            return None
        answers.append(answer)
    return read(*answers)


def over_site_limits(recipe: Recipe, stages: Collection[str]) -> list[Diagnostic]:
    """What the site refuses of these stages. Nothing is asked where none of them is sent to SLURM."""
    found = limits() if runs_on_slurm(recipe, stages) else None
    return list(over_limits(recipe, found, stages)) if found is not None else []


def _ask(command: str, *question: str) -> str | None:
    try:
        done = subprocess.run(
            [command, "show", *question], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        _say(f"scontrol did not answer within {PATIENCE:g} s")
        return None
    except (OSError, UnicodeDecodeError) as error:
        _say(f"scontrol cannot be used: {error}")
        return None
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        _say(reason.removeprefix("slurm_load_ctl_conf error: "))
        return None
    return done.stdout


def _say(reason: str) -> None:
    from esp3c.cli.common import printable

    print(f"esp3c: the site's limits are not checked: {printable(reason)}", file=sys.stderr)


# -- reading what scontrol prints -------------------------------------------------------------------------------------


def read(config: str, partitions: str, nodes: str) -> SiteLimits:
    """The limits from what `scontrol show config`, `show partition -o` and `show node -o` print."""
    settings = dict(re.findall(r"^(\w+)\s*=\s*(\S.*?)\s*$", config, re.MULTILINE))
    machines = [_node(dict(_PAIR.findall(line))) for line in nodes.splitlines() if line.startswith("NodeName=")]
    return SiteLimits(
        settings.get("ClusterName", "slurm"),
        tuple(
            _partition(dict(_PAIR.findall(line)), machines)
            for line in partitions.splitlines()
            if line.startswith("PartitionName=")
        ),
    )


def _node(fields: dict[str, str]) -> tuple[Node, frozenset[str]]:
    gres = re.sub(r"\([^)]*\)", "", fields.get("Gres", ""))
    gpus = sum(int(count or 1) for count in re.findall(r"(?:^|,)gpu(?::[\w.\-]*[A-Za-z_][\w.\-]*)?(?::(\d+))?", gres))
    node = Node(fields["NodeName"], _number(fields.get("CPUTot")) or 0, _mebibytes(fields.get("RealMemory")) or 0, gpus)
    return node, frozenset(fields.get("Partitions", "").split(","))


def _partition(fields: dict[str, str], machines: list[tuple[Node, frozenset[str]]]) -> Partition:
    name = fields["PartitionName"]
    return Partition(
        name,
        fields.get("Default") == "YES",
        fields.get("State") not in {"DRAIN", "INACTIVE"},
        tuple(node for node, partitions in machines if name in partitions),
        _seconds(fields.get("MaxTime")),
        _number(fields.get("MaxNodes")),
        _number(fields.get("MaxCPUsPerNode")),
        _mebibytes(fields.get("MaxMemPerNode")),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _mebibytes(text: str | None) -> int | None:
    number = _number(text.removesuffix("M") if text is not None else None)
    return number * 2**20 if number is not None else None


def _seconds(text: str | None) -> float | None:
    """`2-00:00:00`, `01:30:00` or `30:00` in seconds; None for `UNLIMITED`."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text or "")
    if match is None:
        return None
    days, hours, minutes, seconds = (int(each or 0) for each in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
