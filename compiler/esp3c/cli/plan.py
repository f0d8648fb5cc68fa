"""`esp3c plan`: says what a run would do, and does none of it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esp3c.cli.common import Failure, add_recipe, add_set, add_stages, fail, printable, recipe_path, show
from esp3c.cli.places import add_on, move_of, refuse_unknown
from esp3c.record import record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from esp3c.cli.job_scripts import Scripts
    from esp3c.cli.traces import Trace
    from esp3c.cli.where import Where
    from esp3c.cli.writer import Change
    from esp3c.diagnostics import Diagnostic
    from esp3c.ir import Recipe, Stage
    from esp3c.pipeline import Result

EPILOG = """\
examples:
  esp3c plan recipe.esp                             all stages
  esp3c plan recipe.esp --stages infer measure      some of them
  esp3c plan recipe.esp --set training.optimizer.lr=3e-4
  esp3c plan recipe.esp --on here                   as a run with this flag would do it
  esp3c plan recipe.esp --diff                      with the lines of the files that would change
  esp3c plan recipe.esp --format json               for programs

Nothing is run and nothing is written. What is said of earlier results are facts of the disk: which files are there and what
they say of themselves. Whether a stage keeps them is decided by the stage, which compares its inputs.

Where stages are sent to SLURM, their job scripts are shown as they would be sent, and where scontrol is there, the site's
limits are asked. The exit code is 1 where the recipe has errors or asks for more than the site gives, and 0 otherwise, also
where a run could not begin: the last lines then say why it could not.
"""

VERSION = 2


@record
class Step:
    """One stage of the plan."""

    stage: Stage
    runs: str
    where: Where
    trace: Trace
    remarks: tuple[str, ...]


@record
class Plan:
    """Everything that the command has to say. `scripts`: what is sent to SLURM; `over`: what the site refuses of it."""

    path: str
    recipe: Recipe
    steps: tuple[Step, ...]
    folder: Path
    changes: tuple[Change, ...]
    scripts: Scripts
    over: tuple[Diagnostic, ...]

    @property
    def obstacles(self) -> list[str]:
        """Why `esp3c run` would stop before the first stage, or at one."""
        found = [f"{each.path} is in the way: {each.why}" for each in self.changes if each.what == "in the way"]
        return found + [each.message for each in self.over]

    @property
    def gpu_hours(self) -> float | None:
        """The GPU-hours of all stages, or None where the recipe does not say what one of them can use up."""
        known = [step.where.request.gpu_hours for step in self.steps if step.where.request is not None]
        return None if None in known else sum(hours or 0.0 for hours in known)


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "plan",
        description="Says which stages would run, on what, and which files a build would change. Does none of it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_recipe(parser)
    add_stages(parser)
    add_set(parser)
    add_on(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
    parser.add_argument("--diff", action="store_true", help="show the lines of the files that would change")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from esp3c.cli.build import compiled
    from esp3c.cli.job_scripts import scripts_of
    from esp3c.cli.run import chosen, folder_of
    from esp3c.cli.site import over_site_limits
    from esp3c.cli.writer import survey

    home = recipe_path(args.recipe).resolve().parent
    try:
        move = move_of(args.on, args.stages)
        result, folder = compiled(args.recipe, args.overrides, folder_of(args.recipe, args.overrides, move), move)
        if not result.ok:
            return 1
        refuse_unknown(result.recipe, args.on)
        names = chosen(result.recipe, args.stages)
        steps = _steps(result.recipe, names, home, args.on)
        changes = survey(folder, result.files)
    except Failure as failure:
        return fail(failure)
    sent = {step.stage.name: step.where.shares for step in steps if step.where.backend == "slurm"}
    over = over_site_limits(result.recipe, list(sent)) if sent else []
    show(over, sys.stderr)
    scripts = scripts_of(result.recipe, sent, home)
    plan = Plan(args.recipe, result.recipe, tuple(steps), folder, changes, scripts, tuple(over))
    diffs = _diffs(result, folder, changes) if args.diff else {}
    if args.format == "json":
        sys.stdout.write(_json(plan, diffs))
    else:
        sys.stdout.write("".join(_shown(line) + "\n" for line in _text(plan, diffs)))
    return 1 if over else 0


def _steps(recipe: Recipe, names: Sequence[str], home: Path, place: str | None) -> list[Step]:
    from esp3c.cli.traces import absent, trace
    from esp3c.cli.where import where

    steps = []
    for stage in recipe.stages:
        if stage.name not in names:
            continue
        there = where(recipe, stage, place)
        remarks = [there.remark] if there.remark else []
        remarks += absent(recipe, stage, set(names), home)
        steps.append(Step(stage, _runs(stage), there, trace(recipe, stage, home), tuple(remarks)))
    return steps


def _runs(stage: Stage) -> str:
    """What runs the stage, where it is not the system's own method of its name."""
    from esp3c.ir import CallNode, PythonNode, Use, strip

    if isinstance(stage.runs, Use):
        return "" if stage.runs.name == stage.name else stage.runs.name
    if isinstance(stage.runs, PythonNode):
        return stage.runs.target.path
    runner = stage.workload.get("runner") if stage.workload is not None else None
    value = strip(runner) if runner is not None else None
    return value.target.path if isinstance(value, CallNode | PythonNode) else ""


# -- files ----------------------------------------------------------------------------------------------------------------


def _listed(changes: Sequence[Change]) -> list[Change]:
    """Changes to speak of: the manifest follows from the others."""
    from esp3c.emit.files import MANIFEST

    return [each for each in changes if each.path != MANIFEST]


def _diffs(result: Result, folder: Path, changes: Sequence[Change]) -> dict[str, list[str]]:
    """The unified diff of each file that would change, line by line."""
    from difflib import unified_diff

    texts = {each.path: each.text for each in result.files}
    found = {}
    for each in _listed(changes):
        if each.what in {"same", "kept"}:
            continue
        try:
            old = (folder / each.path).read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            old = []
        new = texts[each.path].split("\n") if each.path in texts else []
        names = (each.path if old else "/dev/null", each.path if new else "/dev/null")
        # An end of line is the end of a line, not the beginning of an empty one.
        old, new = (lines[:-1] if lines and not lines[-1] else lines for lines in (old, new))
        found[each.path] = list(unified_diff(old, new, *names, lineterm=""))
    return found


# -- as text --------------------------------------------------------------------------------------------------------------


def _text(plan: Plan, diffs: dict[str, list[str]]) -> list[str]:
    total, chosen = len(plan.recipe.stages), len(plan.steps)
    count = f"{chosen} of {total} stages" if chosen < total else f"{total} stages"
    lines = [f"{plan.path}: {count} of `{plan.recipe.name}`, in this order", "", *_stage_lines(plan.steps)]
    lines += _script_lines(plan)
    lines += ["", *_file_lines(plan.folder, plan.changes)]
    for difference in diffs.values():
        lines += ["", *difference]
    if plan.gpu_hours:
        lines += ["", f"asked of SLURM: {_gpu_hours(plan.gpu_hours)} at most"]
    if plan.obstacles:
        lines += ["", "what esp3c run would stop at:", *(f"  {each}" for each in plan.obstacles)]
    return lines


def _stage_lines(steps: Sequence[Step]) -> list[str]:
    rows = []
    for number, step in enumerate(steps, 1):
        runs = f"runs {step.runs}" if step.runs else ""
        rows.append((f"{number:>3}", step.stage.name, ", ".join(step.stage.needs), step.where.short, runs))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = []
    for step, row in zip(steps, rows, strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
        notes = [step.trace.text, *step.remarks]
        if step.where.request is not None:
            notes.insert(0, f"asks for {step.where.request.text}{_hours_of(step)}")
        lines += [f"       {note}" for note in notes if note]
    machines = dict.fromkeys(step.where.text for step in steps if step.where.text)
    if machines:
        lines += ["", "machines", *(f"  {each}" for each in machines)]
    return lines


def _hours_of(step: Step) -> str:
    total = step.where.request.gpu_hours if step.where.request is not None else None
    return f": {_gpu_hours(total)} at most" if total else ""


def _gpu_hours(number: float) -> str:
    shown = f"{number:.4g}"
    return f"{shown} {'GPU-hour' if shown == '1' else 'GPU-hours'}"


def _script_lines(plan: Plan) -> list[str]:
    """The job scripts. Of one that is nearly like an earlier one, the lines that are others."""
    lines: list[str] = []
    told: dict[str, list[str]] = {}
    for step in plan.steps:
        name = step.stage.name
        script = plan.scripts.of.get(name)
        if script is None:
            if name in plan.scripts.missing:
                lines.append(f"  {name}: {plan.scripts.missing[name]}")
            continue
        text = script.text.rstrip("\n").split("\n")
        like, other = _nearest_script(text, told)
        jobs = "1 job" if script.jobs == 1 else f"{script.jobs} jobs"
        jobs += f" in {len(script.arrays)} arrays" if len(script.arrays) > 1 else ""
        but = "" if not like else f", as that of {like}" + (" but for" if other else "")
        lines += [f"  {name}: {jobs}{but}", *(f"    {line}".rstrip() for line in (other if like else text))]
        told[name] = text
    return ["", "job scripts", *lines] if lines else []


def _nearest_script(text: list[str], told: dict[str, list[str]]) -> tuple[str, list[str]]:
    """The stage whose script is nearly this text, and the lines in which this one is another; no name where none is."""
    found: list[tuple[int, str, list[str]]] = []
    for name, before in told.items():
        other = [line for line, its in zip(text, before, strict=False) if line != its]
        if len(before) == len(text) and 3 * len(other) < len(text):
            found.append((len(other), name, other))
    _, name, other = min(found, default=(0, "", []), key=lambda each: each[0])
    return name, other


def _shown(line: str) -> str:
    """A line as a terminal may have it. Tabs of a job script stay."""
    return "\t".join(printable(part) for part in line.split("\t"))


def _file_lines(folder: Path, changes: Sequence[Change]) -> list[str]:
    listed = _listed(changes)
    where = os.path.relpath(folder)
    shown = [each for each in listed if each.what != "same"]
    same = len(listed) - len(shown)
    if not shown:
        return [f"files in {where}: all {same} are as a build would write them"]
    title = f"files that a build would touch in {where}" + (f" ({same} more stay as they are)" if same else "")
    width = max(len(each.what) for each in shown)
    longest = max(len(each.path) for each in shown)
    rows = (f"  {each.what.ljust(width)}  {each.path.ljust(longest)}  {each.why}" for each in shown)
    return [title, *(row.rstrip() for row in rows)]


# -- as JSON --------------------------------------------------------------------------------------------------------------


def _json(plan: Plan, diffs: dict[str, list[str]]) -> str:
    import json

    from esp3c.render.json import diagnostic_data

    document = {
        "version": VERSION,
        "recipe": plan.path,
        "name": plan.recipe.name,
        "folder": os.path.relpath(plan.folder),
        "stages": [_step_data(step, plan.scripts) for step in plan.steps],
        "files": [
            {"path": each.path, "what": each.what, "why": each.why}
            | ({"diff": "\n".join(diffs[each.path])} if each.path in diffs else {})
            for each in _listed(plan.changes)
        ],
        "gpu_hours": plan.gpu_hours,
        "over_limits": [diagnostic_data(each) for each in plan.over],
        "can_run": not plan.obstacles,
        "obstacles": plan.obstacles,
    }
    # In ASCII, so that the encoding of the standard output cannot spoil it.
    return json.dumps(document, indent=2) + "\n"


def _step_data(step: Step, scripts: Scripts) -> dict[str, Any]:
    request = step.where.request
    script = scripts.of.get(step.stage.name)
    return {
        "name": step.stage.name,
        "runs": step.runs or step.stage.name,
        "configs": list(step.stage.needs),
        "machine": step.where.machine,
        "backend": step.where.backend,
        "where": step.where.text or step.where.short,
        "request": None
        if request is None
        else {
            "jobs": request.jobs,
            "nodes": request.nodes,
            "gpus_per_node": request.gpus_per_node,
            "seconds": request.seconds,
            "gpu_hours": request.gpu_hours,
        },
        "script": None
        if script is None
        else {
            "text": script.text,
            "jobs": script.jobs,
            "arrays": [list(each) for each in script.arrays],
            "command": script.command,
        },
        "no_script": scripts.missing.get(step.stage.name),
        "earlier": {"state": step.trace.state, "text": step.trace.text, "shards": _shards_data(step.trace)},
        "remarks": list(step.remarks),
    }


def _shards_data(trace: Trace) -> dict[str, int] | None:
    return None if trace.shards is None else {"done": trace.shards[0], "of": trace.shards[1]}
