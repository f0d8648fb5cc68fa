"""How large the items of a split are, from the files of `collect_stats` or from the items themselves.

A file `<stats_dir>/<mode>/<key>_shape` has one line an item, in the order of the dataset: the utterance's
name and the shape of its field, as in `utt_17 16000` or `utt_17 213,80`.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from esp3rt.progress import track
from espnet3.components.data.batching import Sizes
from espnet3.components.data.seeding import derive_seed, seeded
from espnet3.utils.errors import ConfigError
from espnet3.utils.ranks import follows

_LOG = logging.getLogger(__name__)
# A measured size may differ from the written one by this much: a random transform changes a length a little.
_TOLERANCE = 0.25


class ShapeFileError(ConfigError):
    """A shape file does not fit; the message names the file and the line."""


def read_shape_file(path: str | Path) -> tuple[list[str], list[tuple[int, ...]]]:
    """Read a shape file.

    Returns:
        The names of the utterances and the shapes, in the order of the file.

    Raises:
        ShapeFileError: A line is not `name dim[,dim...]`.
    """
    names: list[str] = []
    shapes: list[tuple[int, ...]] = []
    # Only "\n" ends a line: a name may hold what `splitlines` takes for the end of one, such as U+2028.
    lines = Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    for number, line in enumerate(lines if lines != [""] else [], start=1):
        name, _, dims = line.rpartition(" ")
        try:
            shape = tuple(int(dim) for dim in dims.split(","))
        except ValueError:
            shape = ()
        if not name or not shape:
            raise ShapeFileError(f"{path}:{number}: expected 'utt_id 16000' or 'utt_id 213,80', found {line!r}")
        names.append(name)
        shapes.append(shape)
    return names, shapes


def item_shapes(sample: Any) -> tuple[str | None, dict[str, tuple[int, ...]]]:
    """Give the name of a sample, if it has one, and the shapes of its arrays."""
    uid: str | None = None
    if isinstance(sample, tuple):
        uid, sample = str(sample[0]), sample[1]
    elif isinstance(sample, Mapping) and sample.get("utt_id") is not None:
        uid = str(sample["utt_id"])
    shapes: dict[str, tuple[int, ...]] = {}
    for key, value in sample.items():
        shape = getattr(value, "shape", None)
        if shape is not None and len(shape) > 0:
            shapes[str(key)] = tuple(int(dim) for dim in shape)
    return uid, shapes


def measured_item(dataset: Any, index: int) -> tuple[str | None, dict[str, tuple[int, ...]]]:
    """Load an item, with randomness that depends on its place only, and give its name and shapes."""
    with seeded(derive_seed("measure", index)):
        return item_shapes(dataset[index])


def longest_field(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """Give the field with the most numbers, the first of equals; it is the one that batches are cut by."""
    return max(shapes, key=lambda key: int(np.prod(shapes[key])), default=None)


def find_sizes(
    dataset: Any,
    *,
    mode: str,
    stats_dir: str | Path | None,
    keys: Sequence[str] = (),
    shape_files: Sequence[str | Path] = (),
    first_dimension: bool = False,
) -> Sizes:
    """Give the sizes of all items, one column for each key.

    Args:
        dataset: The split, with `__len__` and `__getitem__`.
        mode: `train` or `valid`: the sub-folder of `stats_dir`.
        stats_dir: Where `collect_stats` writes, or `None`.
        keys: The fields that count; by default the field that holds the most numbers.
        shape_files: Files to read instead; they must fit the dataset.
        first_dimension: Count only the first dimension, not all numbers of a field.

    Raises:
        ShapeFileError: One of `shape_files` is missing or does not fit the dataset.
        ConfigError: The samples hold no array, or not the wanted field.
    """
    count = len(dataset)
    if shape_files:
        columns = []
        for path in shape_files:
            if not Path(path).is_file():
                raise ShapeFileError(f"the shape file {path} does not exist; the stage collect_stats writes it")
            names, shapes = read_shape_file(path)
            if len(names) != count:
                raise ShapeFileError(
                    f"{path} has {len(names)} items and the {mode} split has {count}; run collect_stats again"
                )
            columns.append(_column(shapes, first_dimension))
        return np.stack(columns, axis=1)
    if count == 0:
        return np.zeros((0, 1), dtype=np.int64)
    if not keys:
        _, shapes_of_first = measured_item(dataset, 0)
        key = longest_field(shapes_of_first)
        if key is None:
            raise ConfigError(
                f"the samples of the {mode} split hold no arrays, so batches cannot be cut by length; use batch_size"
            )
        keys = (key,)
    if stats_dir is not None:
        written = _written_sizes(dataset, Path(stats_dir) / mode, keys, first_dimension)
        if written is not None:
            return written
    return _measured_sizes(dataset, mode, keys, first_dimension)


def _written_sizes(dataset: Any, folder: Path, keys: Sequence[str], first_dimension: bool) -> Sizes | None:
    count = len(dataset)
    columns = []
    probes = {place: measured_item(dataset, place) for place in {0, count // 3, 2 * count // 3, count - 1}}
    for key in keys:
        path = folder / f"{key}_shape"
        if not path.is_file():
            return None
        names, shapes = read_shape_file(path)
        if len(names) != count:
            _LOG.info("%s has %d items, the dataset %d: it is not used", path, len(names), count)
            return None
        column = _column(shapes, first_dimension)
        for place, (uid, measured) in probes.items():
            if uid is not None and uid != names[place]:
                _LOG.info("%s names item %d %s, the dataset %s: it is not used", path, place, names[place], uid)
                return None
            real = _size(measured.get(key, ()), first_dimension)
            if abs(real - int(column[place])) > _TOLERANCE * max(real, 1):
                _LOG.info(
                    "%s gives item %d the size %d, it has %d: it is not used",
                    path,
                    place,
                    column[place],
                    real,
                )
                return None
        columns.append(column)
    _LOG.info("sizes of %d items from %s (%s)", count, folder, ", ".join(keys))
    return np.stack(columns, axis=1)


def _measured_sizes(dataset: Any, mode: str, keys: Sequence[str], first_dimension: bool) -> Sizes:
    count = len(dataset)
    _LOG.info("no stats for the %s split: its %d items are read once for their sizes", mode, count)
    sizes = np.zeros((count, len(keys)), dtype=np.int64)
    places: Iterable[int] = range(count)
    # Processes that train together all read the data; one of them says so.
    if not follows():
        places = track(places, count, label=f"lengths of {mode}", unit="items")
    for place in places:
        uid, shapes = measured_item(dataset, place)
        for column, key in enumerate(keys):
            if key not in shapes:
                raise ConfigError(
                    f"item {uid or place} of the {mode} split has no array {key!r}; it has "
                    f"{', '.join(shapes) or 'none'}. shape_key names the field that batches are cut by"
                )
            sizes[place, column] = _size(shapes[key], first_dimension)
    return sizes


def _column(shapes: Sequence[tuple[int, ...]], first_dimension: bool) -> Any:
    return np.array([_size(shape, first_dimension) for shape in shapes], dtype=np.int64)


def _size(shape: tuple[int, ...], first_dimension: bool) -> int:
    if not shape:
        return 0
    return shape[0] if first_dimension else int(np.prod(shape))
