"""The points of a sweep, compiled: each in folders of its own, and what of the stages is the same for all of them.

Points must not write into each other's folders, and none may read what another has made of other values. So:

- where the values change a training, its `exp_tag` gets the name of the point behind it, in each point another;
- where they change inferences alone, these write into an `inference_dir` of the point, and the training is the same one;
- what `collect_stats` measures is kept in the experiment where points would measure different things;
- a folder that two points would fill all the same is an error.

A stage that does the same for all points is done once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from esp3c.cli.common import Failure, override_sources, read, recipe_path, world_of
from esp3c.cli.sweep_values import Point
from esp3c.emit.files import Layout
from esp3c.emit.lower import MODULES
from esp3c.graph.flow import built_in, configs_of, files_of
from esp3c.graph.folders import folder, is_known
from esp3c.record import record
from esp3c.source import Source

if TYPE_CHECKING:
    from esp3c.ir import Recipe, Stage
    from esp3c.pipeline import Result
    from esp3c.resolve.moved import Move

SET = Path(".esp3c") / "set"
_BETWEEN = "../../.."
# What neither the data nor their statistics depend on.
_OF_TRAINING = frozenset(
    {
        "exp_tag", "exp_dir", "seed", "optimizer", "optimizers", "scheduler", "schedulers", "scheduler_interval",
        "scheduler_monitor", "trainer", "best_model_criterion", "parallel", "stage_parallel", "fit", "init", "num_threads",
        "num_device", "num_nodes", "checkpoint_every", "max_nan_steps", "generator_first", "inference_dir",
    }
)  # fmt: skip
_OF_MODEL = frozenset({"model", "task", "dataset", "dataloader", "stats_dir", "write_collected_feats"})
_OF_DATA = ("create_dataset", "data_dir", "dataset_dir")
# Where nothing else is written, these folders are called after it.
_NAMED_BY_TAG = ("exp_dir", "inference_dir")
_UPLOADS = ("upload_model", "upload_demo")


@record
class Built:
    """A point, compiled: `overrides` are all that made it."""

    point: Point
    result: Result
    overrides: tuple[str, ...]

    @property
    def recipe(self) -> Recipe:
        return self.result.recipe

    def text(self, config: str) -> str:
        """The YAML of a config."""
        return next((each.text for each in self.result.files if each.path == f"conf/{config}.yaml"), "")

    def sections(self, config: str) -> dict[str, str]:
        """The YAML of a config by its top-level keys."""
        found: dict[str, str] = {}
        key = ""
        for line in self.text(config).splitlines():
            match = re.match(r"([^\s#:-][^:]*):", line)
            key = match[1] if match is not None else key
            found[key] = found.get(key, "") + line + "\n"
        return found

    @property
    def modules(self) -> tuple[str, ...]:
        """The Python of the datasets."""
        return tuple(each.text for each in self.result.files if each.path.startswith(f"{MODULES}/"))


class Points:
    """The points of a recipe: compiled, and compiled again with folders of their own.

    Args:
        argument: What names the recipe.
        points: The points.
        overrides: What stands behind each `--set`.
        move: Where stages are taken.
    """

    def __init__(self, argument: str, points: Sequence[Point], overrides: Sequence[str], move: Move | None) -> None:
        self._points = points
        self._overrides = tuple(overrides)
        self._move = move
        self._source, self._home = read(argument)
        self._layout = Layout(recipe_path(argument).name, _BETWEEN)
        self._world = world_of(self._home)

    def base(self) -> Built:
        """The recipe without the values of any point."""
        return self._compiled(Point((), (), "", ""), ())

    def compiled(self, own: Mapping[str, Sequence[str]] | None = None) -> list[Built]:
        """Each point, compiled; `own` are further overrides by the name of a point."""
        return [self._compiled(point, tuple((own or {}).get(point.name, ()))) for point in self._points]

    def _compiled(self, point: Point, own: tuple[str, ...]) -> Built:
        from esp3c.pipeline import compile

        settings = override_sources(self._overrides)
        settings += [Source(f"--sweep {each}", each) for each in point.overrides]
        settings += [Source(f"--set {each}", each) for each in own]
        result = compile(self._source, self._world, settings, self._layout, self._move)
        return Built(point, result, (*self._overrides, *point.overrides, *own))


# -- folders of their own ---------------------------------------------------------------------------------------------


def own_folders(points: Sequence[Built], base: Built, stages: Sequence[str]) -> dict[str, list[str]]:
    """The overrides, by the name of a point, that give each point folders of its own.

    Args:
        points: The points as they are without.
        base: The recipe without the values of any point.
        stages: The stages that are to run.

    Raises:
        Failure: They would share them in any case.
    """
    own: dict[str, list[str]] = {each.point.name: [] for each in points}
    recipe = points[0].recipe
    every = [*points, base] if base.result.ok else points
    kinds = {kind: [c.name for c in recipe.configs.values() if c.kind == kind] for kind in ("training", "inference")}
    trainings = [name for name in kinds["training"] if _changes(every, name)]
    inferences = [name for name in kinds["inference"] if _changes(every, name)]
    if trainings or not (kinds["training"] or inferences):
        for config in trainings or list(recipe.configs)[:1]:
            if not _are_apart(points, base, config, "exp_dir"):
                _add(own, points, _experiment, config)
        _keep_statistics(every, points, own, stages)
    elif inferences:
        for config in inferences:
            if not _are_apart(points, base, config, "inference_dir"):
                _add(own, points, _outputs, config)
    else:
        place = folder(recipe, kinds["training"][0], "exp_dir")
        raise Failure(
            f"these values change neither a training nor an inference, so that all points would write to {place}; run them "
            "one after the other with --set",
            2,
        )
    return own


def _are_apart(points: Sequence[Built], base: Built, config: str, key: str) -> bool:
    """Whether the values themselves make a folder of a config another one in each point."""
    places = {folder(each.recipe, config, key) for each in points}
    return len(places) == len(points) and (len(points) > 1 or folder(base.recipe, config, key) not in places)


def _add(
    own: dict[str, list[str]], points: Sequence[Built], override: Callable[[Built, str], str], config: str
) -> None:
    for each in points:
        text = override(each, config)
        if text not in own[each.point.name]:
            own[each.point.name].append(text)


def _experiment(built: Built, config: str) -> str:
    recipe = built.recipe
    written = recipe.configs[config].root.get("exp_tag") is not None
    common = recipe.settings.get("exp_tag") is not None
    trains = recipe.configs[config].kind == "training"
    tag = folder(recipe, config, "exp_tag") if written or common or trains else recipe.name
    if not is_known(tag):
        raise Failure(
            f"the `exp_tag` of `{config}` is known only when it runs, so that points cannot be named after it", 2
        )
    owner = config if written else "recipe" if common or not trains else f"new {config}"
    return f"{owner}.exp_tag={_quoted(f'{tag}-{built.point.suffix}')}"


def _outputs(built: Built, config: str) -> str:
    place = folder(built.recipe, config, "inference_dir")
    if not is_known(place):
        raise Failure(
            f"the `inference_dir` of `{config}` is known only when it runs, so that points cannot have their own", 2
        )
    place = place if place.startswith("/") else "${recipe_dir}/" + place
    new = "" if built.recipe.configs[config].root.get("inference_dir") is not None else "new "
    return f"{new}{config}.inference_dir={_quoted(f'{place}-{built.point.suffix}')}"


def _keep_statistics(
    every: Sequence[Built], points: Sequence[Built], own: dict[str, list[str]], stages: Sequence[str]
) -> None:
    """Where points measure different things, they keep what they find in their experiments."""
    for stage in _chosen(points[0].recipe, stages):
        known = built_in(stage)
        if known is None or known.name != "collect_stats":
            continue
        config = configs_of(points[0].recipe, stage).get("training", "training")
        places = {folder(each.recipe, config, "stats_dir") for each in every}
        if not _equal(every, config, but=_OF_TRAINING) and len(places) < len(every):
            _add(own, points, _statistics, config)


def _statistics(built: Built, config: str) -> str:
    owner = config
    if built.recipe.configs[config].root.get("stats_dir") is None:
        owner = "recipe" if built.recipe.settings.get("stats_dir") is not None else "new recipe"
    return f'{owner}.stats_dir="${{exp_dir}}/stats"'


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# -- what is the same -------------------------------------------------------------------------------------------------


def shared_stages(points: Sequence[Built], stages: Sequence[str]) -> list[str]:
    """The stages at the beginning that do the same for all points.

    Raises:
        Failure: All of them do, or points would fill one folder with different things.
    """
    if len(points) == 1:
        return []
    chosen = _chosen(points[0].recipe, stages)
    shared: list[str] = []
    for stage in chosen:
        if not _is_shared(points, stage):
            break
        shared.append(stage.name)
    if len(shared) == len(chosen):
        names = ", ".join(shared)
        raise Failure(f"nothing that {names} {'does' if len(chosen) == 1 else 'do'} depends on these values", 2)
    for stage in chosen[len(shared) :]:
        _refuse_shared(points, stage)
    return shared


def _is_shared(points: Sequence[Built], stage: Stage) -> bool:
    known = built_in(stage)
    name = known.name if known is not None else ""
    if len({_places(each, stage) for each in points}) > 1 or len({each.modules for each in points}) > 1:
        return False
    config = configs_of(points[0].recipe, stage).get("training", "training")
    if name == "create_dataset":
        return _equal(points, config, only=_OF_DATA) and len({_sources(each, config) for each in points}) == 1
    if name == "collect_stats":
        return _equal(points, config, but=_OF_TRAINING)
    if name == "train_tokenizer":
        return _equal(points, config, but=_OF_TRAINING | _OF_MODEL)
    return not any(_changes(points, each) for each in stage.needs)


def _refuse_shared(points: Sequence[Built], stage: Stage) -> None:
    """See that a stage of each point writes to a place of its own.

    Raises:
        Failure: It does not.
    """
    known = built_in(stage)
    if known is None:
        return
    if known.name in _UPLOADS:
        raise Failure(
            f"`{stage.name}` is no stage for a sweep: each point would replace what the one before has sent", 2
        )
    if known.name == "create_dataset":
        config = configs_of(points[0].recipe, stage).get("training", "training")
        places = {_places(each, stage) for each in points}
        if len(places) < len(points) and not _equal(points, config, only=_OF_DATA[:1]):
            what = " and ".join(sorted({place for each in places for place in each}))
            raise Failure(
                f"these values change what `{stage.name}` makes in {what}, which all points share; sweep the folder as well, "
                "or run the points one after the other with --set",
                2,
            )
        return
    for files in known.writes:
        places = {files_of(each.recipe, stage, files) for each in points}
        if len(places) < len(points):
            where = " and ".join(sorted({place for place, _ in places}))
            slot, _, key = files.folder.partition(".")
            config = configs_of(points[0].recipe, stage).get(slot, slot)
            raise Failure(
                f"`{stage.name}` of several points would write to {where}; write `${{exp_tag}}` into `{config}.{key}`, or leave "
                "the stage out with --stages",
                2,
            )


def _places(built: Built, stage: Stage) -> tuple[str, ...]:
    """Where a stage writes, as far as it is known."""
    known = built_in(stage)
    if known is None:
        return ()
    if known.name == "create_dataset":
        config = configs_of(built.recipe, stage).get("training", "training")
        return (folder(built.recipe, config, "data_dir"),)
    return tuple(files_of(built.recipe, stage, files)[0] for files in known.writes)


def _sources(built: Built, config: str) -> tuple[str, ...]:
    """The datasets that a config names."""
    return tuple(re.findall(r"^\s*(?:- )?data_src: .*$", built.text(config), re.MULTILINE))


def _chosen(recipe: Recipe, stages: Sequence[str]) -> list[Stage]:
    return [stage for stage in recipe.stages if stage.name in stages]


def _changes(points: Sequence[Built], config: str) -> bool:
    """Whether a config is not the same in all points."""
    return len({(each.text(config), each.modules) for each in points}) > 1


def _equal(
    points: Sequence[Built], config: str, *, only: Sequence[str] | None = None, but: frozenset[str] = frozenset()
) -> bool:
    """Whether some sections of a config are the same in all points."""
    return len({tuple(sorted(_some(each.sections(config), only, but))) for each in points}) == 1


def _some(sections: Mapping[str, str], only: Sequence[str] | None, but: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Some sections, and those that they refer to."""
    waiting = [key for key in sections if (only is None or key in only) and key not in but]
    taken: set[str] = set()
    while waiting:
        key = waiting.pop()
        if key in _NAMED_BY_TAG and key not in sections:
            key = "exp_tag"
        if key in sections and key not in taken:
            taken.add(key)
            waiting += re.findall(r"\$\{(\w+)", sections[key])
            yield key, sections[key]
