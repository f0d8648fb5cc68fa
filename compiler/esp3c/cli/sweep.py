"""`esp3c run --sweep KEY=VALUE,VALUE`: a recipe with each combination of some values.

Everything is compiled and checked before anything is written. What the runtime is to do then stands in a file,
`.esp3c/sweeps/<id>/spec.json`. The id is made of what the points are built of, so the same command finds the same sweep
again, and a recipe that has changed since is another one.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from esp3c.cli.common import Failure, as_typed, fail, printable, recipe_path, renderer, wants_color
from esp3c.cli.places import ON_THIS_MACHINE, move_of, refuse_unknown
from esp3c.cli.sweep_points import Built, Points, own_folders, shared_stages
from esp3c.cli.sweep_spec import Work, write_spec
from esp3c.cli.sweep_values import Axis, axes_of, points_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from esp3c.ir import Recipe, Stage

RUNTIME = [sys.executable, "-P", "-m", "esp3rt.sweep"]


def run(
    args: argparse.Namespace,
    chosen: Callable[[Recipe, list[str]], list[str]],
    refused_by_site: Callable[[Recipe, list[str]], bool],
) -> int:
    """Does what `esp3c run` does, for each point.

    Args:
        args: The arguments of `esp3c run`.
        chosen: Gives the stages of a recipe that were asked for.
        refused_by_site: Says what SLURM refuses of stages, and whether it does.
    """
    from esp3c.cli.child import stream

    try:
        axes = axes_of(args.sweep, args.overrides)
        built = _checked(args, axes, chosen)
        if built is None:
            return 1
        home = recipe_path(args.recipe).resolve().parent
        recipe = built[0].recipe
        stages = chosen(recipe, args.stages)
        shared = shared_stages(built, stages)
        here, jobs = _places(args, recipe, [name for name in stages if name not in shared])
        if args.detach and not jobs:
            raise Failure("--detach leaves points to SLURM, but none of their stages runs there", 2)
        setting = _setting(built, jobs) if jobs else None
        if jobs and refused_by_site(recipe, jobs):
            return 1
        if args.dry_run:
            sys.stdout.write("".join(printable(line) + "\n" for line in _plan(built, shared, here, jobs)))
            return 0
        place = ("--on", args.on) if args.on in ON_THIS_MACHINE else ()
        spec = write_spec(axes, built, home, Work(tuple(shared), tuple(here), tuple(jobs), place, setting))
    except Failure as failure:
        return fail(failure)
    command = [*RUNTIME, os.fspath(spec)]
    command += [] if args.sweep_jobs is None else [f"--jobs={args.sweep_jobs}"]
    command += ["--detach"] if args.detach else []
    return stream(command, "the sweep")


def _checked(
    args: argparse.Namespace, axes: Sequence[Axis], chosen: Callable[[Recipe, list[str]], list[str]]
) -> list[Built] | None:
    """All points, compiled with folders of their own; None where one of them has errors, which are said then."""
    points = Points(args.recipe, points_of(axes), args.overrides, move_of(args.on, args.stages))
    plain = points.compiled()
    if not all(each.result.ok for each in plain):
        _show(plain)
        return None
    recipe = plain[0].recipe
    refuse_unknown(recipe, args.on)
    own = own_folders(plain, points.base(), chosen(recipe, args.stages))
    built = points.compiled(own)
    _show(built)
    return built if all(each.result.ok for each in built) else None


def _show(built: Sequence[Built]) -> None:
    """Prints what was found, each thing once, with the points in which it is so."""
    from esp3c.diagnostics import Severity

    drawing = renderer(wants_color(sys.stderr))
    found: dict[str, list[str]] = {}
    errors = set()
    for each in built:
        for diagnostic in each.result.diagnostics:
            text = drawing.render(as_typed([diagnostic]))
            found.setdefault(text, []).append(each.point.name)
            if diagnostic.severity is Severity.ERROR:
                errors.add(text)
    for text, names in found.items():
        where = f"all {len(built)} points" if len(names) == len(built) > 1 else ", ".join(names)
        sys.stderr.write(f"{text}  = in {printable(where)}\n\n")
    if errors:
        bad = {name for text in errors for name in found[text]}
        what = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        sys.stderr.write(f"{what}, in {len(bad)} of {len(built)} points; nothing was run\n")


# -- where ------------------------------------------------------------------------------------------------------------


def _places(args: argparse.Namespace, recipe: Recipe, stages: Sequence[str]) -> tuple[list[str], list[str]]:
    """The stages that run on this machine, and those from the first one on that is a job."""
    for number, name in enumerate(stages):
        if _on_slurm(args, recipe, [name]):
            return list(stages[:number]), list(stages[number:])
    return list(stages), []


def _on_slurm(args: argparse.Namespace, recipe: Recipe, stages: Sequence[str]) -> bool:
    from esp3c.check.limits import runs_on_slurm

    return args.on not in ON_THIS_MACHINE and runs_on_slurm(recipe, stages)


def _setting(built: Sequence[Built], jobs: Sequence[str]) -> dict[str, Any]:
    """The machine setting of the array: that of the first stage, whose jobs are one process each.

    Raises:
        Failure: It is not the same for all points, or not known, or a point wants several machines.
    """
    from esp3c.check.machines import job_shape, machine_in_force
    from esp3c.cli.job_scripts import Open, setting_of

    settings = []
    for each in built:
        for stage in _stages(each.recipe, jobs):
            machine = machine_in_force(each.recipe, stage)
            if machine is None or machine.backend != "slurm":
                continue
            nodes, tasks = job_shape(each.recipe, stage, machine)
            if nodes is not None and nodes.value > 1:
                raise Failure(
                    f"`{stage.name}` of {each.point.name} wants {nodes.value} machines, and a point of a sweep has one; run such "
                    "points one after the other with --set",
                    2,
                )
            if stage.name == jobs[0]:
                try:
                    settings.append(
                        _one_process(setting_of(each.recipe, stage), tasks.value if tasks is not None else 1)
                    )
                except Open as reason:
                    raise Failure(
                        f"the machine setting of `{stage.name}` is known only when it runs: {reason}", 2
                    ) from None
    if any(setting != settings[0] for setting in settings):
        raise Failure("these values change what is asked of SLURM, but the points are one array with one setting", 2)
    return settings[0]


def _one_process(setting: dict[str, Any], tasks: int) -> dict[str, Any]:
    """A setting in which one process, that starts the others itself, has the cores and the GPUs of all."""
    options = dict(setting.get("options") or {})
    for name in ("nodes", "ntasks_per_node"):
        options.pop(name, None)
    if tasks > 1:
        each = options.pop("gpus_per_task", None)
        if isinstance(options.get("cpus_per_task"), int):
            options["cpus_per_task"] *= tasks
        if isinstance(each, int):
            options.setdefault("gpus_per_node", each * tasks)
        elif each is not None:
            raise Failure("the jobs of a sweep are one process each: ask for its GPUs with `gpus_per_node`", 2)
    return {"env": "slurm", "n_workers": 1, "options": options}


def _stages(recipe: Recipe, names: Sequence[str]) -> Iterable[Stage]:
    return (stage for stage in recipe.stages if stage.name in names)


def _plan(built: Sequence[Built], shared: Sequence[str], here: Sequence[str], jobs: Sequence[str]) -> list[str]:
    count = "1 point" if len(built) == 1 else f"{len(built)} points"
    lines = [f"{count} of `{built[0].recipe.name}`, nothing is run:"]
    lines += [f"  {each.point.name}" for each in built]
    lines += [f"once for all: {', '.join(shared)}"] if shared else []
    lines += [f"for each point here: {', '.join(here)}"] if here else []
    lines += [f"for each point in a job: {', '.join(jobs)}"] if jobs else []
    return lines
