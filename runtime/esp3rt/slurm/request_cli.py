"""`python -m esp3rt.slurm request`: what would be asked of SLURM for stages, as text; nothing is sent.

On stdin `{"requests": [{"stage", "setting", "kind": "stage" | "shards", "recipe_folder", "shape": {"nodes",
"ntasks_per_node"}}]}`, on stdout `{"requests": [{"stage", "text", "jobs", "arrays": [[first, last]], "command"}]}`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from esp3rt.slurm.paths import RUNS
from esp3rt.slurm.request import COMMANDS, SHARDS, Shape, Wanted, requests
from esp3rt.slurm.settings import SettingError, read_settings


def main(words: list[str]) -> int:
    """Read requests, print their texts; 1 where a setting does not fit."""
    try:
        made = [_text_of(each) for each in json.load(sys.stdin)["requests"]]
    except SettingError as error:
        print(error, file=sys.stderr)
        return 1
    json.dump({"requests": made}, sys.stdout, indent=1)
    print()
    return 0


def _text_of(given: dict[str, Any]) -> dict[str, Any]:
    settings = read_settings(given["setting"])
    shards = given["kind"] == "shards"
    shape = given.get("shape") or {}
    # The parts of names that are not known before are written as `…`.
    work = Path(given["recipe_folder"]) / RUNS / "…" / "works" / f"…-{given['stage']}"
    wanted = Wanted(
        kind=SHARDS if shards else COMMANDS,
        name=given["stage"],
        jobs=settings.workers if shards else 1,
        shape=Shape() if shards else Shape(nodes=shape.get("nodes", 1), tasks=shape.get("ntasks_per_node", 1)),
        folder=given["recipe_folder"],
        arguments=("work", str(work), "1"),
    )
    made = requests(settings, wanted, given.get("max_array_size"))
    arrays = []
    first = 0
    for request in made:
        arrays.append([first, first + request.jobs - 1])
        first += request.jobs
    return {
        "stage": given["stage"],
        "text": made[0].text(work / "logs"),
        "jobs": first,
        "arrays": arrays,
        "command": made[0].command,
    }
