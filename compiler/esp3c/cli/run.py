"""`esp3c run`: builds what is stale and runs the generated `run.py`."""

from __future__ import annotations

import argparse
import hashlib
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esp3c.cli.common import Failure, add_recipe, add_set, add_stages, fail, recipe_path

if TYPE_CHECKING:
    from esp3c.ir import Recipe

EPILOG = """\
examples:
  esp3c run recipe.esp                                    all stages
  esp3c run recipe.esp --stages infer measure             some of them
  esp3c run recipe.esp --set training.optimizer.lr=3e-4 --set 'recipe.exp_tag="lr3e-4"'
                                                          with a value changed, in an experiment of its own
  esp3c run recipe.esp --dry-run                          check configs and stages, run nothing

A value that is set for one run is checked like the recipe itself. It does not change the files beside the recipe: they
are built into .esp3c/set/ and run from there. A training that is already there under the same exp_tag is not taken up with
other values; give the run a tag of its own, as above. A run that was interrupted goes on when it is started again.
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
    parser.add_argument("--dry-run", "--dry_run", action="store_true", help="check configs and stages, and run nothing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from esp3c.cli.build import compiled
    from esp3c.cli.writer import write_files

    try:
        output = folder_of(args.recipe, args.overrides)
        result, folder = compiled(args.recipe, args.overrides, output)
        if not result.ok:
            return 1
        stages = chosen(result.recipe, args.stages)
        refuse_unsent(result.recipe, stages)
        if refused_by_site(result.recipe, stages):
            return 1
        write_files(folder, result.files)
    except Failure as failure:
        return fail(failure)
    command = [sys.executable, str(folder / "run.py"), "--stages", *stages]
    for name in result.recipe.configs:
        command += [f"--{name}_config", str(folder / "conf" / f"{name}.yaml")]
    if args.dry_run:
        command.append("--dry_run")
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


def refuse_unsent(recipe: Recipe, stages: list[str]) -> None:
    """Sees that each of the stages can run where it is to run, before anything is written.

    Raises:
        Failure: this version cannot send one there.
    """
    from esp3c.cli.where import where

    places = {each.name: where(recipe, each) for each in recipe.stages if each.name in stages}
    unsent: dict[str, list[str]] = {}
    for name, place in places.items():
        if place.elsewhere:
            unsent.setdefault(place.backend, []).append(name)
    if unsent:
        listed = "; ".join(f"{', '.join(names)} cannot be sent to {backend}" for backend, names in unsent.items())
        them = "it" if sum(map(len, unsent.values())) == 1 else "them"
        raise Failure(f"{listed} by this version, so nothing was built; run {them} on another `parallel`")


_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def folder_of(recipe: str, overrides: list[str]) -> Path | None:
    """Beside the recipe; or, for a run with overrides, a folder of its own that the same overrides find again."""
    if not overrides:
        return None
    digest = hashlib.sha256("\n".join(overrides).encode()).hexdigest()[:12]
    return recipe_path(recipe).resolve().parent / ".esp3c" / "set" / digest


def chosen(recipe: Recipe, asked: list[str]) -> list[str]:
    """The stages asked for, in the order of the recipe. `a,b` means `a b`.

    Raises:
        Failure: a name is no stage of the recipe.
    """
    from esp3c.suggest import did_you_mean

    names = [stage.name for stage in recipe.stages]
    wanted = [name for each in asked for name in each.split(",") if name]
    for name in wanted:
        if name != "all" and name not in names:
            hint = did_you_mean(name, names) or "the stages are " + ", ".join(names)
            raise Failure(f"--stages {name}: the recipe has no such stage; {hint}", 2)
    found = [name for name in names if name in wanted or "all" in wanted]
    if not found:
        raise Failure("the recipe has no stages to run", 1)
    return found


def end_with_parent() -> None:
    """Asks Linux to end this process when `esp3c` is killed, so that no run goes on that nobody sees."""
    import ctypes

    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


def stream(command: list[str]) -> int:
    """Runs a command on this terminal and returns 0, 1 or, where it was interrupted, 130."""
    process = subprocess.Popen(command, preexec_fn=end_with_parent if sys.platform == "linux" else None)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        # The terminal sent the signal to the command as well: it is given the time to leave things clean.
        try:
            code = process.wait(timeout=30)
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            process.kill()
            process.wait()
        return 130
    if code in {130, -signal.SIGINT}:
        return 130
    if code < 0:
        name = signal.Signals(-code).name
        # A process that was ended from outside goes on when it is started again; one that crashed crashes again.
        advice = (
            "start it again to go on" if -code in _FROM_OUTSIDE else "a library crashed; the stage's log may say where"
        )
        print(f"esp3c: run.py was ended by {name}; {advice}", file=sys.stderr)
    return 0 if code == 0 else 1
