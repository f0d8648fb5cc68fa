"""A recipe whose stages run somewhere else than their lines say: `run --on NAME`."""

from __future__ import annotations

from collections.abc import Collection

from esp3c.ir import Recipe, Stage, Use
from esp3c.record import changed, record

ALL = "all"


@record
class Move:
    """Takes stages to a declared `parallel`: those named, or `all`."""

    parallel: str
    stages: Collection[str]


def moved(recipe: Recipe, move: Move) -> Recipe:
    """The recipe with these stages on that machine setting; as it was where it declares none of that name."""
    if move.parallel not in recipe.parallels:
        return recipe
    stages = tuple(_on(stage, move.parallel) if _asked(stage, move) else stage for stage in recipe.stages)
    return changed(recipe, stages=stages, used=recipe.used | {("parallel", move.parallel)})


def _asked(stage: Stage, move: Move) -> bool:
    return ALL in move.stages or stage.name in move.stages


def _on(stage: Stage, parallel: str) -> Stage:
    # What is wrong with it is shown at the stage: the command line has no place in the recipe.
    return changed(stage, on=Use(parallel, stage.name_span))
