"""What earlier runs left on the disk, told without running anything of a recipe.

Only facts are told: which files are there and what they say of themselves. Whether a stage will keep them is decided by the
stage, which compares its inputs; so no trace says that a stage is done for good.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from esp3c.graph.flow import built_in, configs_of, files_of, products
from esp3c.graph.folders import folder, is_known, path_of
from esp3c.ir import CallNode, Config, DatasetNode, ListNode, MapNode, Node, Recipe, Scalar, Stage, at, strip
from esp3c.record import record
from esp3c.schema import stages as schema

# Larger files are not what a run writes under these names.
_MOST_BYTES = 64_000_000

_MANIFEST = "manifest.json"


@record
class Trace:
    """What is there of a stage. `state`: `nothing`, `begun`, `there`, or `unknown` (nothing that can be looked at).

    `shards`: how many of its shards are done, and how many there are; None where its items were not cut yet.
    """

    state: str
    text: str
    shards: tuple[int, int] | None = None


UNKNOWN = Trace("unknown", "")


def trace(recipe: Recipe, stage: Stage, home: Path) -> Trace:
    """What earlier runs of a stage left under the recipe's folder, `home`."""
    if stage.workload is not None:
        return _of_workload(recipe, stage, home)
    known = built_in(stage)
    look = _LOOKS.get(known.name) if known is not None else None
    return look(recipe, stage, home) if look is not None else UNKNOWN


def absent(recipe: Recipe, stage: Stage, planned: set[str], home: Path) -> Iterator[str]:
    """Files that a stage reads, that are not there, and that no planned stage writes."""
    for product in products(recipe):
        if product.writer in planned or not product.place or not is_known(product.place):
            continue
        for reader in product.readers:
            if reader.stage != stage.name:
                continue
            if reader.files:
                paths = [f"{product.place}/{name}" for name in reader.files]
                missing = [path for path in paths if not (home / path).exists()]
            else:
                there = any(_any(home / product.place, pattern) for pattern in product.names.split("|"))
                missing = [] if there else [product.path]
            for path in missing:
                yield f"{path} is not there, and `{product.writer}`, which writes it, is not in this plan"


# -- one look a stage -----------------------------------------------------------------------------------------------------


def _of_data(recipe: Recipe, stage: Stage, home: Path) -> Trace:
    place = folder(recipe, configs_of(recipe, stage).get("training", "training"), "data_dir")
    if not is_known(place):
        return _open(place)
    # A builder may keep its data elsewhere, and it alone knows when it is complete.
    there = f"{place}/ is there" if (home / place).is_dir() else f"there is no folder {place}/"
    return Trace("unknown", f"{there}; the builder says what is left to do")


def _of_tokenizer(recipe: Recipe, stage: Stage, home: Path) -> Trace:
    place, _ = files_of(recipe, stage, schema.TOKENS)
    if not is_known(place):
        return _open(place)
    config = _config(recipe, stage, "training")
    kind = _scalar(config, "tokenizer", "model_type") or "bpe"
    path = f"{place}/{kind}.model"
    if (home / path).is_file() and (home / place / "tokens.txt").is_file():
        return Trace("there", f"{path} is there; it is kept if its settings and its text are the same")
    return Trace("nothing", f"there is no {path} yet")


def _of_stats(recipe: Recipe, stage: Stage, home: Path) -> Trace:
    place, _ = files_of(recipe, stage, schema.STATS)
    if not is_known(place):
        return _open(place)
    config = _config(recipe, stage, "training")
    splits = [
        split for split in ("train", "valid") if config is not None and at(config.root, ("dataset", split)) is not None
    ]
    return _of_shards([f"{place}/{split}" for split in splits], home)


def _of_training(recipe: Recipe, stage: Stage, home: Path) -> Trace:
    place, _ = files_of(recipe, stage, schema.CHECKPOINTS)
    if not is_known(place):
        return _open(place)
    if not (home / place / "last.ckpt").is_file():
        return Trace("nothing", f"there is no {place}/last.ckpt yet")
    epochs = _last_epoch(home / place / "history.csv")
    wanted = _scalar(_config(recipe, stage, "training"), "trainer", "max_epochs")
    text = f"{place}/last.ckpt of an earlier run is there"
    if epochs is not None:
        of = f" of {wanted}" if isinstance(wanted, int) and wanted >= 0 else ""
        text += f", and history.csv has {epochs}{of} epochs"
    if epochs is not None and isinstance(wanted, int) and 0 <= wanted <= epochs:
        return Trace("there", f"{text}; nothing is left to train if the settings are the same")
    return Trace("begun", f"{text}; the stage goes on from it if the settings are the same")


def _of_outputs(recipe: Recipe, stage: Stage, home: Path) -> Trace:
    place, _ = files_of(recipe, stage, schema.OUTPUTS)
    if not is_known(place):
        return _open(place)
    config = _config(recipe, stage, "inference")
    names = _test_sets(at(config.root, ("dataset", "test")) if config is not None else None)
    return _of_shards([f"{place}/{name}" for name in names], home)


def _of_scores(recipe: Recipe, stage: Stage, home: Path) -> Trace:
    place, names = files_of(recipe, stage, schema.SCORES)
    if not is_known(place):
        return _open(place)
    path = f"{place}/{names}"
    if (home / path).is_file():
        return Trace("there", f"{path} of an earlier run is there; it is written anew")
    return Trace("nothing", f"there is no {path} yet")


def _of_workload(recipe: Recipe, stage: Stage, home: Path) -> Trace:
    """What a runner of the recipe's own left: in its output folder, or in folders of it."""
    runner = stage.workload.get("runner") if stage.workload is not None else None
    made = strip(runner) if runner is not None else None
    node = made.arguments.get("output_dir") if isinstance(made, CallNode) else None
    place = path_of(recipe, stage.over[0], node) if node is not None and stage.over is not None else None
    if place is None:
        return UNKNOWN
    if not is_known(place):
        return _open(place)
    within = sorted(each.parent.name for each in (home / place).glob(f"*/{_MANIFEST}"))
    return _of_shards(
        [place] if (home / place / _MANIFEST).is_file() or not within else [f"{place}/{each}" for each in within], home
    )


_LOOKS: dict[str, Callable[[Recipe, Stage, Path], Trace]] = {
    "create_dataset": _of_data,
    "train_tokenizer": _of_tokenizer,
    "collect_stats": _of_stats,
    "train": _of_training,
    "infer": _of_outputs,
    "measure": _of_scores,
}


# -- files ----------------------------------------------------------------------------------------------------------------


def _of_shards(places: list[str], home: Path) -> Trace:
    """What runners left: each folder has a plan, and a `done` file for each shard that was finished."""
    if not places:
        return UNKNOWN
    texts, states = [], set()
    finished, total = 0, 0
    for place in places:
        plan = _json(home / place / _MANIFEST)
        shards = plan.get("shards") if isinstance(plan, dict) else None
        if not isinstance(plan, dict) or not isinstance(shards, list):
            texts.append(f"nothing in {place} yet")
            states.add("nothing")
            continue
        done = sum((_shard(home / place, number) / "done").is_file() for number in range(len(shards)))
        finished, total = finished + done, total + len(shards)
        if done == len(shards):
            texts.append(f"{plan.get('n_items')} items done in {place}")
            states.add("there")
        else:
            texts.append(f"{done} of {len(shards)} shards are done in {place}")
            states.add("begun")
    state = states.pop() if len(states) == 1 else "begun"
    kept = "" if state == "nothing" else "; they are kept if their inputs are the same"
    return Trace(state, ", ".join(texts) + kept, (finished, total) if total else None)


def _shard(base: Path, number: int) -> Path:
    """The folder of a shard that counts: that of whoever took it over last."""
    turn = _json(base / ".leases" / str(number) / "turn")
    later = isinstance(turn, int) and turn > 0
    return base / (f"split.{number}.{turn}" if later else f"split.{number}")


def _open(place: str) -> Trace:
    return Trace("unknown", f"{place} is known only when the stage runs")


def _any(place: Path, pattern: str) -> bool:
    return place.is_dir() and next(iter(place.rglob(pattern)), None) is not None


def _json(path: Path) -> Any:
    """What a file of JSON holds; None where there is none that can be read."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _last_epoch(path: Path) -> int | None:
    """The number in the column `epoch` of the last row, or None where there is none to be read."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        rows = path.read_text(encoding="utf-8").splitlines()
        return int(rows[-1].split(",")[rows[0].split(",").index("epoch")])
    except (OSError, ValueError, IndexError):
        return None


# -- values ---------------------------------------------------------------------------------------------------------------


def _config(recipe: Recipe, stage: Stage, name: str) -> Config | None:
    return recipe.configs.get(configs_of(recipe, stage).get(name, name))


def _scalar(config: Config | None, *place: str) -> Any:
    node = at(config.root, place) if config is not None else None
    value = strip(node) if node is not None else None
    return value.value if isinstance(value, Scalar) else None


def _test_sets(node: Node | None) -> list[str]:
    """The names of test sets, which their folders are called by; those that cannot be told are left out."""
    value = strip(node) if node is not None else None
    if isinstance(value, MapNode):
        return [entry.name for entry in value.entries]
    items = value.items if isinstance(value, ListNode) else (value,) if isinstance(value, DatasetNode) else ()
    names: list[str] = []
    for each in items:
        item = strip(each)
        given = item.get("name") if isinstance(item, MapNode) else None
        given = item.extra.get("name") if isinstance(item, DatasetNode) else given
        name = strip(given) if given is not None else None
        if isinstance(name, Scalar) and isinstance(name.value, str):
            names.append(name.value)
        elif len(items) == 1:
            names.append("test")
    return names
