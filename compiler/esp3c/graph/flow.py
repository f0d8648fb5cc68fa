"""What flows between the stages of a recipe: data and files that one leaves and a later one reads.

A stage reads files where ESPnet3's stage of that name does (`esp3c.schema.stages`), or where a config that it works with
names such a file: `checkpoint = "${exp_dir}/last.ckpt"`. What a function of the recipe reads and writes on its own account
is not known, and not guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from esp3c.graph.folders import folder, path_of
from esp3c.ir import (
    Config,
    DatasetNode,
    MapNode,
    Node,
    PythonNode,
    Recipe,
    Scalar,
    Stage,
    Use,
    all_values,
    at,
    strip,
)
from esp3c.record import record
from esp3c.schema import stages as schema
from esp3c.schema.stages import KNOWN_STAGES


@record
class Reader:
    """A stage that reads files of another: those that its configs name, or else what ESPnet3's stage of that name reads."""

    stage: str
    what: str
    files: tuple[str, ...] = ()


@record
class Product:
    """What a stage leaves: `what` (`checkpoints`), the folder and the names in it, and who reads which part of it.

    Of `data` no folder is known; `names` are those of its datasets.
    """

    writer: str
    what: str
    place: str
    names: str
    readers: tuple[Reader, ...]

    @property
    def path(self) -> str:
        """Folder and names as one: `exp/ctc/*.ckpt`."""
        first = self.names.split("|")[0]
        return first if self.place in {"", "."} else f"{self.place}/{first}"


def built_in(stage: Stage) -> schema.Stage | None:
    """The stage of ESPnet3 that a line runs, under its own name or through `runs`."""
    if isinstance(stage.runs, Use):
        return KNOWN_STAGES.get(stage.runs.name)
    return KNOWN_STAGES.get(stage.name) if stage.runs is None and stage.workload is None else None


def configs_of(recipe: Recipe, stage: Stage) -> dict[str, str]:
    """For each config of the stage that a line runs, the one that stands in its place: `training` → `training_easy`."""
    known = built_in(stage)
    return recipe.stands_for(stage, known) if known is not None else {}


def files_of(recipe: Recipe, stage: Stage, files: schema.Files) -> tuple[str, str]:
    """The folder and the names of files of a built-in stage."""
    config, _, key = files.folder.partition(".")
    return folder(recipe, configs_of(recipe, stage).get(config, config), key), files.names


def products(recipe: Recipe) -> tuple[Product, ...]:
    """What each stage leaves, in the order of the stages."""
    found: list[Product] = []
    for number, stage in enumerate(recipe.stages):
        known = built_in(stage)
        if known is None:
            continue
        later = recipe.stages[number + 1 :]
        data = _data(recipe, stage, known.makes_data)
        if data:
            readers = tuple(Reader(each.name, "data") for each in later if data & _read_data(recipe, each))
            found.append(Product(stage.name, "data", "", ", ".join(sorted(data)), readers))
        for files in known.writes:
            found.append(_product(recipe, stage, files, later))
    return tuple(found)


def _product(recipe: Recipe, stage: Stage, files: schema.Files, later: tuple[Stage, ...]) -> Product:
    place, names = files_of(recipe, stage, files)
    readers: list[Reader] = []
    for each in later:
        reader = _reader(recipe, each, place, names)
        if reader is not None:
            readers.append(reader)
        if _writes(recipe, each, place, names):
            # From here on they are this stage's files.
            break
    return Product(stage.name, files.what, place, names, tuple(readers))


def _writes(recipe: Recipe, stage: Stage, place: str, names: str) -> bool:
    known = built_in(stage)
    return known is not None and any(files_of(recipe, stage, files) == (place, names) for files in known.writes)


def _reader(recipe: Recipe, stage: Stage, place: str, names: str) -> Reader | None:
    """How a stage reads these files, if it does."""
    named = tuple(dict.fromkeys(_named(recipe, stage, place, names)))
    if named:
        return Reader(stage.name, ", ".join(named), named)
    known = built_in(stage)
    for files in known.reads_files if known is not None else ():
        if files_of(recipe, stage, files) == (place, names) and _applies(recipe, stage, files):
            return Reader(stage.name, files.what)
    return None


def _applies(recipe: Recipe, stage: Stage, files: schema.Files) -> bool:
    return not files.when or any(_is_set(recipe, stage, place) for place in files.when)


def _is_set(recipe: Recipe, stage: Stage, dotted: str) -> bool:
    node = _at(recipe, stage, dotted)
    value = strip(node) if node is not None else None
    return value is not None and not (isinstance(value, Scalar) and value.value in (None, False))


def _at(recipe: Recipe, stage: Stage, dotted: str) -> Node | None:
    config, *place = dotted.split(".")
    found = recipe.configs.get(configs_of(recipe, stage).get(config, config))
    return at(found.root, tuple(place)) if found is not None else None


def _named(recipe: Recipe, stage: Stage, place: str, names: str) -> Iterator[str]:
    """The files under a folder that configs of the stage name."""
    patterns = names.split("|")
    prefix = "" if place == "." else f"{place}/"
    for config in stage.needs:
        for path in _paths(recipe, config):
            rest = path[len(prefix) :]
            if path.startswith(prefix) and rest and any(fnmatchcase(rest, each) for each in patterns):
                yield rest


def _paths(recipe: Recipe, config: str) -> Iterator[str]:
    root = recipe.configs[config].root if config in recipe.configs else None
    for node in all_values(root) if root is not None else ():
        path = path_of(recipe, config, node)
        if path is not None and "/" in path:
            yield path


# -- data ---------------------------------------------------------------------------------------------------------------


def datasets_used(config: Config) -> tuple[str, ...]:
    """The declared datasets that a config uses, each once."""
    used = [node.dataset for node in all_values(config.root) if isinstance(node, DatasetNode)]
    return tuple(dict.fromkeys(used))


def _read_data(recipe: Recipe, stage: Stage) -> set[str]:
    if stage.workload is not None and stage.over is not None:
        config = recipe.configs.get(stage.over[0])
        return _sources(at(config.root, stage.over[1])) if config is not None else set()
    known = built_in(stage)
    return _data(recipe, stage, known.reads_data) if known is not None else set()


def _data(recipe: Recipe, stage: Stage, places: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    for place in places:
        found |= _sources(_at(recipe, stage, place))
    return found


def _sources(node: Node | None) -> set[str]:
    """The datasets under a place: declared ones by their name, others by the `data_src` of their entry."""
    found: set[str] = set()
    for each in all_values(node) if node is not None else ():
        if isinstance(each, DatasetNode):
            found.add(each.dataset)
        elif isinstance(each, MapNode) and each.get("data_src") is not None:
            source = strip(each.get("data_src") or each)
            if isinstance(source, PythonNode):
                found.add(source.target.path)
            elif isinstance(source, Scalar) and isinstance(source.value, str):
                found.add(source.value)
    return found
