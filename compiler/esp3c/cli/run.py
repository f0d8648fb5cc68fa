"""`esp3c run`: builds what is stale and runs the generated `run.py`."""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esp3c.cli.common import Failure, add_recipe, add_set, add_stages, fail, recipe_path
from esp3c.cli.places import ON_THIS_MACHINE, add_on, move_of, names_of, refuse_unknown
from esp3c.cli.sweep_values import add_sweep

if TYPE_CHECKING:
    from esp3c.ir import Recipe
    from esp3c.resolve.moved import Move

EPILOG = """\
examples:
  esp3c run recipe.esp                                    all stages
  esp3c run recipe.esp --stages infer measure             some of them
  esp3c run recipe.esp --set training.optimizer.lr=3e-4 --set 'recipe.exp_tag="lr3e-4"'
                                                          with a value changed, in an experiment of its own
  esp3c run recipe.esp --on here                          on this machine, what the recipe sends to a cluster
  esp3c run recipe.esp --stages infer --on debug          in one process, where a debugger can look
  esp3c run recipe.esp --stages infer --on big            on another `parallel` of the recipe
  esp3c run recipe.esp --detach                           send the stages to SLURM, and do not wait for them
  esp3c run recipe.esp --dry-run                          check configs and stages, run nothing
  esp3c run recipe.esp --sweep training.optimizer.lr=1e-3,3e-4 --sweep recipe.seed=1,2
                                                          with each combination, four experiments of their own
  esp3c run recipe.esp --sweep training.optimizer.lr=1e-3,3e-4 --sweep-jobs 2
                                                          two of them at once

Where a stage is on `slurm`, its jobs are sent, and a table shows what becomes of them. Ctrl-C ends the looking: the jobs go
on, and `esp3c status`, `logs`, `cancel` and `resume` work from any shell.

A value that is set for one run is checked like the recipe itself. It does not change the files beside the recipe: they
are built into .esp3c/set/ and run from there, as they are with --on and a `parallel` of the recipe. A training that is
already there under the same exp_tag is not taken up with other values; give the run a tag of its own, as above. A run that
was interrupted goes on when it is started again.

The points of a sweep are all checked before anything runs. Where a stage is on `slurm`, they are one array, with a job for each
point from that stage on; else they run here. One that fails leaves the others alone. At the end a table shows the values with
what came of them, the best first; it is in .esp3c/sweeps/ as well. The same command runs the points that are left.
"""


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "run",
        description="Builds what is stale, and runs the generated run.py.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_recipe(parser)
    add_stages(parser)
    add_set(parser)
    add_on(parser)
    add_sweep(parser)
    parser.add_argument("--detach", action="store_true", help="send the stages to SLURM, and do not wait for them")
    parser.add_argument("--dry-run", "--dry_run", action="store_true", help="check configs and stages, and run nothing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from esp3c.cli.build import compiled
    from esp3c.cli.child import stream
    from esp3c.cli.writer import write_files

    try:
        if args.detach and args.on in ON_THIS_MACHINE:
            raise Failure(f"--detach leaves the stages to SLURM, and --on {args.on} keeps them on this machine", 2)
        if args.sweep:
            from esp3c.cli.sweep import run as run_sweep

            return run_sweep(args, chosen, refused_by_site)
        move = move_of(args.on, args.stages)
        result, folder = compiled(args.recipe, args.overrides, folder_of(args.recipe, args.overrides, move), move)
        if not result.ok:
            return 1
        refuse_unknown(result.recipe, args.on)
        stages = chosen(result.recipe, args.stages)
        if args.on not in ON_THIS_MACHINE and refused_by_site(result.recipe, stages):
            return 1
        write_files(folder, result.files)
    except Failure as failure:
        return fail(failure)
    command = [sys.executable, str(folder / "run.py"), "--stages", *stages]
    for name in result.recipe.configs:
        command += [f"--{name}_config", str(folder / "conf" / f"{name}.yaml")]
    command += ["--on", args.on] if args.on in ON_THIS_MACHINE else []
    command += ["--detach"] if args.detach else []
    command += ["--dry_run"] if args.dry_run else []
    return stream(command)


def refused_by_site(recipe: Recipe, stages: list[str]) -> bool:
    """Whether SLURM has a limit that these stages are over; what it is is said. Asks nothing where none needs SLURM."""
    from esp3c.check.limits import runs_on_slurm
    from esp3c.cli.common import show

    if not runs_on_slurm(recipe, stages):
        return False
    from esp3c.cli.site import over_site_limits

    found = over_site_limits(recipe, stages)
    show(found, sys.stderr)
    return bool(found)


def folder_of(recipe: str, overrides: list[str], move: Move | None = None) -> Path | None:
    """Beside the recipe; or, for a run with overrides, a folder of its own that the same overrides find again."""
    words = list(overrides)
    if move is not None:
        words.append(f"--on {move.parallel} --stages {' '.join(move.stages)}")
    if not words:
        return None
    digest = hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]
    return recipe_path(recipe).resolve().parent / ".esp3c" / "set" / digest


def chosen(recipe: Recipe, asked: list[str]) -> list[str]:
    """The stages asked for, in the order of the recipe. `a,b` means `a b`.

    Raises:
        Failure: a name is no stage of the recipe.
    """
    from esp3c.suggest import did_you_mean

    names = [stage.name for stage in recipe.stages]
    wanted = names_of(asked)
    for name in wanted:
        if name != "all" and name not in names:
            hint = did_you_mean(name, names) or "the stages are " + ", ".join(names)
            raise Failure(f"--stages {name}: the recipe has no such stage; {hint}", 2)
    found = [name for name in names if name in wanted or "all" in wanted]
    if not found:
        raise Failure("the recipe has no stages to run", 1)
    return found
