"""`esp3c status`: what has become of a run, and what to do next.

It reads the journals. SLURM is asked, once and not for long, only where nobody leads the run: then nobody else does.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from esp3rt.lease import Owner
from esp3rt.progress import on_terminal
from esp3rt.slurm.chosen import (
    VERSION,
    Chosen,
    Failure,
    add_choice,
    brief,
    chosen,
    fail,
    leader_of,
    none_sent,
    recipe_name,
    runs_in,
)
from esp3rt.slurm.ledger import DONE, FAILED, Ledger, Run, Task, read_run
from esp3rt.slurm.news import task_text
from esp3rt.slurm.rows import CANCELLED, Row, failed_tasks, living_jobs, open_works, rows, state_of, works_of
from esp3rt.slurm.tails import last_lines, plain_text
from esp3rt.slurm.view import Live, plain, silences, table

_TASKS_SHOWN = 3
_LINES_SHOWN = 6
_LINES_SEARCHED = 400
_SECONDS_BETWEEN_GLANCES = 2.0
_RUNS_LOOKED_AT = 20

EPILOG = """\
examples:
  esp3c status                       the newest run of the recipe in this folder
  esp3c status digits --watch        the same, again and again until it is over; Ctrl-C ends the view and nothing else
  esp3c status --all                 all runs, a line each
  esp3c status --format json         for programs

exit codes: 0 fine, 1 the run failed, 2 the command line was wrong
"""


def main(words: Sequence[str]) -> int:
    """Do what the words say; the exit code."""
    parser = argparse.ArgumentParser(
        prog="esp3c status",
        description="Says what has become of a run on a cluster.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_choice(parser)
    parser.add_argument("--watch", action="store_true", help="show it until it is over")
    parser.add_argument("--format", choices=["text", "json"], default="text", help="for people, or for programs")
    parser.add_argument("--all", action="store_true", help="all runs of the recipe, a line each")
    args = parser.parse_args(words)
    if args.watch and (args.all or args.format == "json"):
        parser.error("--watch shows one run, for people")
    try:
        if args.all:
            return _list(args.recipe, args.format)
        if not runs_in(args.recipe):
            print(json.dumps({"version": VERSION, "run": None}) if args.format == "json" else none_sent(args.recipe))
            return 0
        return _show(chosen(args.recipe, args.run), args.format, args.watch)
    except Failure as failure:
        return fail(failure)


def _show(choice: Chosen, form: str, watch: bool) -> int:
    run = read_run(choice.paths)
    owner = leader_of(choice.paths)
    if watch:
        owner = _watch(run, owner)
    elif owner is None and not run.over:
        _ask(run)
    now = time.time()
    found = rows(run, now, leads=owner is not None)
    advice = [*_advice(choice, run, owner), *_others(choice, run)]
    if form == "json":
        print(json.dumps(_as_json(choice, run, owner, found, advice, now), indent=2, ensure_ascii=False))
        return _code(run)
    _print(run, owner, now)
    if advice:
        print("\n" + "\n".join(map(plain_text, advice)))
    return _code(run)


def _print(run: Run, owner: Owner | None, now: float) -> None:
    print(plain_text(f"run {run.paths.name} of {recipe_name(run.about)}, {_state(run, owner)}"))
    if on_terminal() and not os.environ.get("NO_COLOR"):
        from rich.console import Console

        Console().print(table(run, now, leads=owner is not None))
    else:
        print("\n".join(plain(run, now, leads=owner is not None)), flush=True)


def _watch(run: Run, owner: Owner | None) -> Owner | None:
    """Show a run until it is over, or nothing of it is left, or Ctrl-C; who leads it then."""
    asker = None
    next_glance = 0.0
    try:
        if not on_terminal() and not run.over:
            # Without a table it is said once how it stands; then what changes.
            _print(run, owner, time.time())
        with Live(run, watching=True, leads=owner is not None) as live:
            while not run.over:
                if time.monotonic() >= next_glance:
                    next_glance = time.monotonic() + _SECONDS_BETWEEN_GLANCES
                    owner = leader_of(run.paths)
                    live.leads = owner is not None
                    if owner is None:
                        asker = asker or _asker(run)
                        asker.ask()
                        run.refresh()
                        if not run.over and not asker.silent and not _jobs_left(run):
                            break
                live.tick()
                time.sleep(0.1)
    except KeyboardInterrupt:
        # Only the view ends.
        print()
    return leader_of(run.paths)


def _asker(run: Run) -> Any:
    # Most of the time SLURM is not asked, and what asks it not imported.
    from esp3rt.slurm.asked import Asker

    return Asker(run)


def _ask(run: Run) -> None:
    if _jobs_left(run):
        _asker(run).ask()


def _jobs_left(run: Run) -> bool:
    return any(living_jobs(ledger) for ledger in open_works(run))


def _code(run: Run) -> int:
    return 1 if run.over == FAILED or any(state_of(run, stage) == FAILED for stage in run.stages.values()) else 0


def _state(run: Run, owner: Owner | None) -> str:
    begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.about["created"]))
    if run.over:
        return f"begun {begun}, {run.over}"
    return f"begun {begun}, " + (f"led by {owner}" if owner is not None else "led by nobody")


# -- what to do next ---------------------------------------------------------------------------------------------------


def _advice(choice: Chosen, run: Run, owner: Owner | None) -> list[str]:
    lines = []
    for stage in run.stages.values():
        if state_of(run, stage, owner is not None) == FAILED and (stage.began or stage.works):
            lines.append(f"{stage.name} failed" + (f": {stage.why}" if stage.why else ""))
            for ledger in works_of(stage)[-1:]:
                lines += _failed(choice, ledger)
    resume = f"`{choice.command('resume')}`"
    if run.over == FAILED or (lines and owner is None):
        return [*lines, f"when the cause is mended, {resume} goes on where it stopped"]
    if run.over == CANCELLED:
        return [f"it was cancelled; {resume} goes on where it stopped"]
    if run.over or owner is not None:
        return lines
    if not _jobs_left(run):
        return [f"nobody leads it, and no job of it is left: {resume} goes on where it stopped"]
    if run.about.get("detached"):
        return [f"nobody leads it now: its jobs go on by themselves, as it was detached; {resume} takes the lead"]
    return [f"nobody leads it: its jobs run on; {resume} takes the lead"]


def _failed(choice: Chosen, ledger: Ledger) -> Iterator[str]:
    """Which tasks of a work failed, why, and what their logs say."""
    failed = failed_tasks(ledger, over=True)
    for task in failed[:_TASKS_SHOWN]:
        tries = f", attempt {task.attempt}" if task.attempt > 1 else ""
        yield f"  {task_text(ledger, task.number)}{tries}: {task.why or 'nobody knows why'}"
        log = ledger.paths.log_of(task.worker) if task.worker else None
        if log is not None and log.exists():
            yield from _log(log, task)
    if len(failed) > _TASKS_SHOWN:
        yield f"  and {len(failed) - _TASKS_SHOWN} more: `{choice.command('status')} --format json` lists them"
    if not failed and ledger.jobs:
        log = _log_of_job(ledger)
        if log is not None:
            yield from _log(log, None)


def _log_of_job(ledger: Ledger) -> Path | None:
    """The log of the last job, which may have ended before there was a worker."""
    logs = [ledger.paths.logs / f"{job}_0_log.out" for job in ledger.jobs]
    return next((log for log in reversed(logs) if log.exists()), None)


def _log(log: Path, task: Task | None) -> Iterator[str]:
    yield f"  its log: {log}"
    lines = [line for line in last_lines(log, _LINES_SEARCHED) if line]
    # Its worker may have gone on with other shards.
    ends = [number for number, line in enumerate(lines) if task is not None and task.why and task.why in line]
    end = ends[-1] + 1 if ends else len(lines)
    yield from (f"    | {line}" for line in lines[max(0, end - _LINES_SHOWN) : end])


def _others(choice: Chosen, run: Run) -> list[str]:
    """Where a run is over or has none, other runs of the recipe that are not."""
    if not run.over:
        return []
    found = []
    for paths in reversed(runs_in(choice.recipe)[-_RUNS_LOOKED_AT:]):
        if paths != choice.paths and not brief(paths).over:
            found.append(Chosen(paths, choice.recipe, False).command("status"))
    return [f"another run is not over: `{command}`" for command in found[:1]]


# -- other forms -------------------------------------------------------------------------------------------------------


def _list(recipe: str, form: str) -> int:
    found = []
    runs = runs_in(recipe)
    for paths in reversed(runs):
        one = brief(paths)
        state = one.over
        if not state:
            state = "led" if leader_of(paths) is not None else "led by nobody"
        found.append((one, state))
    if form == "json":
        listed = [
            {"run": one.paths.name, "state": state, "created": one.about["created"], "stages": one.about["stages"]}
            for one, state in found
        ]
        print(json.dumps({"version": VERSION, "runs": listed}, indent=2, ensure_ascii=False))
        return 0
    if not found:
        print(none_sent(recipe))
    width = max((len(state) for _, state in found), default=0)
    for one, state in found:
        last = f", in {one.stage}" if one.stage and state != DONE else ""
        print(plain_text(f"{one.paths.name}  {state:<{width}}  {' '.join(one.about['stages'])}{last}"))
    return 0


def _as_json(
    choice: Chosen, run: Run, owner: Owner | None, found: Sequence[Row], advice: Sequence[str], now: float
) -> dict[str, Any]:
    return {
        "version": VERSION,
        "run": choice.paths.name,
        "folder": str(choice.paths.folder),
        "name": recipe_name(run.about),
        "recipe": run.about.get("recipe", ""),
        "command": run.about["command"],
        "created": run.about["created"],
        "detached": bool(run.about.get("detached")),
        "over": run.over or None,
        "leader": None if owner is None else {"host": owner.host, "pid": owner.pid},
        "time": round(now, 3),
        "silent": silences(found)[0] if silences(found) else None,
        "stages": [_row_as_json(run, row) for row in found],
        "next": list(advice),
    }


def _row_as_json(run: Run, row: Row) -> dict[str, Any]:
    stage = run.stages[row.stage]
    works = works_of(stage)
    failed = [(ledger, task) for ledger in works for task in failed_tasks(ledger, row.state == FAILED)]
    return {
        "stage": row.stage,
        "state": row.state,
        "where": row.where,
        "unit": row.unit or None,
        "tasks": {
            "total": row.total,
            "done": row.done,
            "running": row.running,
            "queued": row.queued,
            "failed": row.failed,
        },
        "items": {"total": sum(ledger.items for ledger in works), "done": sum(ledger.moved for ledger in works)},
        "jobs": [
            {
                "job": job.id,
                "state": job.state or None,
                "alive": job.alive,
                "reason": job.reason,
                "node": job.node,
                "restarts": job.restarts,
            }
            for job in row.jobs
        ],
        "reason": row.reason,
        "nodes": list(row.nodes),
        "began": stage.began or None,
        "ended": stage.ended or None,
        "elapsed_seconds": None if row.elapsed is None else round(row.elapsed, 3),
        "left_seconds": None if row.left is None else round(row.left, 3),
        "log": None if row.log is None else str(row.log),
        "why": row.why,
        "works": [str(ledger.paths.folder) for ledger in works],
        "failures": [
            {
                "task": task.number,
                "name": task_text(ledger, task.number),
                "attempts": task.attempt,
                "why": task.why,
                "log": str(ledger.paths.log_of(task.worker)) if task.worker else None,
            }
            for ledger, task in failed
        ],
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
