"""What stages would send to SLURM: the job scripts, as the runtime makes them, which is asked as a program of its own.

Where it does not answer, a plan lacks them and says why.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from esp3c.check.machines import job_shape, machine_in_force
from esp3c.cli.jobs import RUNTIME
from esp3c.emit.lower import lower
from esp3c.emit.nodes import YList, YMap, YNode, YScalar
from esp3c.record import record

if TYPE_CHECKING:
    from pathlib import Path

    from esp3c.ir import Recipe, Stage

PATIENCE = 60.0
"""Seconds for the answer: the runtime imports submitit for it."""

_NAME = re.compile(r"\$\{(\w+(?:\.\w+)*)\}")
_ENVIRONMENT = re.compile(r"\$\{oc\.env:(\w+)(?:, *([^${}\"']*))?\}")
_DEEPEST = 20


@record
class Script:
    """The job script of a stage, and its jobs: an array each of `arrays`, or a single one. `command` runs in each."""

    text: str
    jobs: int
    arrays: tuple[tuple[int, ...], ...]
    command: str


@record
class Scripts:
    """The job scripts of stages, by name. `missing`: why a stage has none, in words."""

    of: Mapping[str, Script]
    missing: Mapping[str, str]


def scripts_of(recipe: Recipe, stages: Mapping[str, bool], home: Path) -> Scripts:
    """The job scripts of these stages of SLURM.

    Args:
        recipe: The recipe, without errors.
        stages: For each stage whether its items can be shared.
        home: The recipe's folder.
    """
    wanted: list[dict[str, Any]] = []
    missing: dict[str, str] = {}
    for stage in recipe.stages:
        if stage.name not in stages:
            continue
        try:
            setting = setting_of(recipe, stage)
        except Open as reason:
            missing[stage.name] = f"its job script is known only when it runs: {reason}"
            continue
        workers = setting.get("n_workers", 1)
        wanted.append(
            {
                "stage": stage.name,
                "recipe_folder": os.fspath(home),
                "setting": setting,
                "kind": "shards" if stages[stage.name] and workers != 1 else "stage",
                "shape": _shape(recipe, stage),
            }
        )
    found, why = _ask(wanted) if wanted else ({}, "")
    for each in wanted:
        if each["stage"] not in found:
            missing[each["stage"]] = f"its job script is not known: {why}"
    return Scripts(found, missing)


def _shape(recipe: Recipe, stage: Stage) -> dict[str, int]:
    """The machines of a job and its processes on each, as far as they are known."""
    machine = machine_in_force(recipe, stage)
    nodes, tasks = job_shape(recipe, stage, machine) if machine is not None else (None, None)
    amounts = {"nodes": nodes, "ntasks_per_node": tasks}
    return {name: amount.value for name, amount in amounts.items() if amount is not None}


# -- the setting ------------------------------------------------------------------------------------------------------


class Open(Exception):
    """A value is known only when the stage runs."""


def setting_of(recipe: Recipe, stage: Stage) -> dict[str, Any]:
    """The machine setting of a stage as a run reads it from its config.

    Raises:
        Open: a value in it is not known before.
    """
    root = lower(recipe, recipe.configs[stage.needs[0]])
    by_stage = _get(root, ("stage_parallel", stage.name))
    node = by_stage if by_stage is not None else _get(root, ("parallel",))
    setting = _plain(node, root, 0) if node is not None else {}
    assert isinstance(setting, dict)
    return setting


def _get(root: YNode, place: Sequence[str]) -> YNode | None:
    node: YNode | None = root
    for step in place:
        node = dict(node.entries).get(step) if isinstance(node, YMap) else None
    return node


def _plain(node: YNode, root: YMap, depth: int) -> Any:
    match node:
        case YMap(entries):
            return {name: _plain(value, root, depth) for name, value in entries}
        case YList(items):
            return [_plain(item, root, depth) for item in items]
        case YScalar(value):
            return _resolved(value, root, depth) if isinstance(value, str) and "${" in value else value


def _resolved(text: str, root: YMap, depth: int) -> Any:
    """A text with what its references stand for: other keys of the config, and the environment."""
    whole = _NAME.fullmatch(text)
    if whole is not None:
        return _behind(whole[1], root, depth)
    text = _NAME.sub(lambda match: str(_behind(match[1], root, depth)), text)
    text = _ENVIRONMENT.sub(lambda match: _variable(match[1], match[2]), text)
    if "${" in text:
        raise Open(text)
    return text


def _behind(name: str, root: YMap, depth: int) -> Any:
    node = _get(root, name.split("."))
    if node is None or depth > _DEEPEST:
        raise Open(f"${{{name}}}")
    return _plain(node, root, depth + 1)


def _variable(name: str, otherwise: str | None) -> str:
    value = os.environ.get(name, otherwise)
    if value is None:
        raise Open(f"${name} is not set")
    return value


# -- asking -----------------------------------------------------------------------------------------------------------


def _ask(wanted: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Script], str]:
    """The scripts that the runtime makes, and why it makes none."""
    question = json.dumps({"requests": list(wanted)})
    try:
        done = subprocess.run(
            [*RUNTIME, "request"], input=question, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return {}, f"the runtime did not answer within {PATIENCE:g} s"
    except (OSError, UnicodeDecodeError) as error:
        return {}, f"the runtime cannot be asked ({error})"
    if done.returncode != 0:
        return {}, (done.stderr.strip().splitlines() or [f"the runtime ended with exit code {done.returncode}"])[-1]
    try:
        answers = json.loads(done.stdout)["requests"]
        return {each["stage"]: _script(each) for each in answers}, "the runtime said nothing of it"
    except (ValueError, TypeError, KeyError, RecursionError):
        return {}, "the runtime answered in another form than this version knows"


def _script(answer: Mapping[str, Any]) -> Script:
    arrays = tuple(tuple(int(number) for number in each) for each in answer["arrays"])
    return Script(str(answer["text"]), int(answer["jobs"]), arrays, str(answer["command"]))
