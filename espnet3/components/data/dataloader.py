"""From the `dataloader` section of a config to a loader for one split."""

import inspect
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from esp3rt.progress import console_line
from espnet3.components.data.batching import BatchRule, Sizes
from espnet3.components.data.callables import make_callable
from espnet3.components.data.collate import takes_pairs
from espnet3.components.data.dataset import do_nothing
from espnet3.components.data.lengths import find_sizes
from espnet3.components.data.sampling import (
    BatchLoader,
    PlannedBatches,
    SeededCollate,
    SeededDataset,
    WorkerSeeds,
)
from espnet3.components.data.streams import CombinedStream, StreamLoader, is_stream
from espnet3.utils.errors import ConfigError, did_you_mean

_LOG = logging.getLogger(__name__)

_OWN_KEYS = (
    "batch_size",
    "batch_bins",
    "shuffle",
    "drop_last",
    "shape_key",
    "shape_files",
    "sort_by_length",
    "iter_factory",
    "total_shards",
    "dist_world_size",
)
_TORCH_KEYS = (
    "num_workers",
    "pin_memory",
    "timeout",
    "prefetch_factor",
    "persistent_workers",
    "multiprocessing_context",
    "pin_memory_device",
    "in_order",
)
_FACTORY_KEYS = (
    "_target_",
    "shuffle",
    "collate_fn",
    "batches",
    "num_workers",
    "pin_memory",
    "num_iters_per_epoch",
)
_BATCHES_KEYS = ("type", "shape_files", "batch_size", "batch_bins", "drop_last", "_target_")


class DataLoaderError(ConfigError):
    """The `dataloader` section cannot be served; the message names the key."""


class DataLoaderBuilder:
    """Builds the loader of a split.

    Args:
        dataset: The split: an object with `__len__` and `__getitem__`, or an `IterableDataset`.
        config: The whole training config; of it are read `dataloader.<mode>`, `stats_dir` and `seed`.
        collate_fn: From a list of samples to a batch; torch's own when `None`.
        num_device: How many processes train together, where torch.distributed does not say it itself.
        epoch: The epoch that the loader begins with.

    Attributes:
        announce: Whether the line about the batches also goes to the console.
        known_sizes: The items' sizes by split and shard, as far as they are known: a shard that comes round again is
            not read again for them.

    `dataloader.<mode>` takes either plain arguments of torch's DataLoader with `batch_size` or
    `batch_bins`, or an `iter_factory` with `batches: {type, batch_size, batch_bins, shape_files}`. In all
    of them the batches are planned here: `espnet3.components.data.batching` says how. A `collate_fn` in there
    goes before the shared one.
    """

    def __init__(
        self, dataset: Any, config: Any, collate_fn: Callable[..., Any] | None, num_device: int, epoch: int
    ) -> None:
        self.dataset = dataset
        self.config = _to_dict(config)
        self.collate_fn = collate_fn
        self.num_device = num_device
        self.epoch = epoch
        self.announce = True
        self.known_sizes: dict[tuple[str, int], Sizes] = {}
        self._shard_number = 0

    def build(self, mode: str) -> DataLoader[Any]:
        """Build the loader for `train` or `valid`.

        Raises:
            DataLoaderError: An unknown key, a value that does not fit, an empty split, a `dist_world_size`
                that differs from the world size.
            ShapeFileError: A file of `shape_files` is missing or does not fit the dataset.
        """
        section = dict((self.config.get("dataloader") or {}).get(mode) or {})
        where = f"dataloader.{mode}"
        options = _unfold_iter_factory(section, where)
        _check_keys(options, (*_OWN_KEYS, *_TORCH_KEYS), where)
        world_size, rank = _world(self.num_device)
        wanted = options.pop("dist_world_size", None)
        if wanted is not None and int(wanted) != world_size:
            raise DataLoaderError(
                f"{where}.dist_world_size is {wanted}, but {world_size} processes train together; set it to "
                f"{world_size} or leave it out"
            )
        dataset = self._shard(options.pop("total_shards", None), where)
        if is_stream(dataset) and not isinstance(dataset, CombinedStream):
            dataset = CombinedStream([dataset], [(do_nothing, do_nothing)])
        torch_options = {key: options.pop(key) for key in _TORCH_KEYS if key in options}
        if not torch_options.get("num_workers"):
            # torch refuses these where there are no workers; a smaller machine should not need another
            # config.
            for key in ("prefetch_factor", "persistent_workers", "timeout", "multiprocessing_context"):
                torch_options.pop(key, None)
        seed = int(self.config.get("seed") or 0)
        collate = self._collate(options.pop("collate_fn", None), dataset, where)
        common: dict[str, Any] = {"worker_init_fn": WorkerSeeds(seed, self.epoch), **torch_options}
        if isinstance(dataset, CombinedStream):
            for key in ("batch_bins", "shuffle", "sort_by_length", "shape_files", "shape_key"):
                if options.get(key):
                    raise DataLoaderError(
                        f"{where}.{key} needs a dataset with __len__ and __getitem__; dataset.{mode} only iterates"
                    )
            dataset.seed, dataset.world_size, dataset.rank = seed, world_size, rank
            dataset.set_epoch(self.epoch)
            if common.pop("persistent_workers", False):
                _LOG.info("%s.persistent_workers is left out: each epoch of a stream has workers of its own", where)
            return StreamLoader(
                dataset,
                batch_size=_whole(options.get("batch_size"), f"{where}.batch_size") or 1,
                drop_last=bool(options.get("drop_last")),
                collate_fn=collate,
                **common,
            )
        if len(dataset) == 0:
            raise DataLoaderError(f"the {mode} split is empty; look at dataset.{mode} and at what create_dataset wrote")
        rule = _rule(options, mode, where)
        sizes = self._sizes(dataset, mode, rule, options) if rule.needs_sizes else None
        sampler = PlannedBatches(
            len(dataset),
            rule,
            sizes=sizes,
            seed=seed,
            epoch=self.epoch,
            world_size=world_size,
            rank=rank,
        )
        _report(sampler, mode, where, self.announce)
        return BatchLoader(SeededDataset(dataset), batch_sampler=sampler, collate_fn=SeededCollate(collate), **common)

    def _collate(self, own: Any, dataset: Any, where: str) -> Callable[..., Any]:
        shared = (self.config.get("dataloader") or {}).get("collate_fn")
        collate = self.collate_fn
        if own is not None and own != shared:
            collate = make_callable(own, f"{where}.collate_fn")
        if takes_pairs(collate):
            dataset.use_espnet_collator = True
        return collate or torch.utils.data.default_collate

    def _shard(self, total_shards: Any, where: str) -> Any:
        if total_shards in (None, 0, 1):
            return self.dataset
        shard = getattr(self.dataset, "shard", None)
        if not callable(shard):
            raise DataLoaderError(
                f"{where}.total_shards needs a dataset with a method shard(idx); {type(self.dataset).__name__} has none"
            )
        number = self._shard_number = self.epoch % int(total_shards)
        _LOG.info("epoch %d takes shard %d of %d", self.epoch, number, int(total_shards))
        return shard(number)

    def _sizes(self, dataset: Any, mode: str, rule: BatchRule, options: Mapping[str, Any]) -> Sizes:
        place = (mode, self._shard_number)
        known = self.known_sizes.get(place)
        if known is not None and len(known) == len(dataset):
            return known
        key = options.get("shape_key")
        self.known_sizes[place] = find_sizes(
            dataset,
            mode=mode,
            stats_dir=self.config.get("stats_dir"),
            keys=() if key is None else [key] if isinstance(key, str) else list(key),
            shape_files=[Path(path) for path in options.get("shape_files") or ()],
            first_dimension=bool(options.get("first_dimension")),
        )
        return self.known_sizes[place]


def log_dataloader(logger: logging.Logger, loader: Any, label: str) -> None:
    """Write to the log what a loader gives: batches, how they are cut, workers."""
    sampler = getattr(loader, "batch_sampler", None)
    if isinstance(sampler, PlannedBatches):
        logger.info("%s: %d batches an epoch, %s", label, len(sampler), sampler.rule)
    logger.info(
        "%s: %s with %d workers, collate %s",
        label,
        type(loader).__name__,
        getattr(loader, "num_workers", 0),
        getattr(getattr(loader, "collate_fn", None), "collate_fn", getattr(loader, "collate_fn", None)),
    )


def _rule(options: Mapping[str, Any], mode: str, where: str) -> BatchRule:
    batch_bins = options.get("batch_bins")
    batch_size = options.get("batch_size")
    if batch_bins is not None and batch_size is not None:
        raise DataLoaderError(f"{where} has both batch_size and batch_bins; give one of them")
    if batch_bins is None and batch_size is None:
        batch_size = 1
    try:
        return BatchRule(
            batch_size=_whole(batch_size, f"{where}.batch_size"),
            batch_bins=_whole(batch_bins, f"{where}.batch_bins"),
            by_length=bool(options.get("sort_by_length")),
            shuffle=bool(options.get("shuffle", False)),
            drop_last=bool(options.get("drop_last", False)),
        )
    except ValueError as error:
        raise DataLoaderError(f"{where}: {error}") from error


def _whole(value: Any, where: str) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise DataLoaderError(f"{where} must be a whole number, not {value!r}")


def _unfold_iter_factory(section: dict[str, Any], where: str) -> dict[str, Any]:
    """Turn ESPnet's `iter_factory` into the plain keys that say the same."""
    factory = section.pop("iter_factory", None)
    if factory is None:
        return section
    where = f"{where}.iter_factory"
    _check_keys(factory, _FACTORY_KEYS, where)
    batches = factory.get("batches")
    if not isinstance(batches, Mapping):
        raise DataLoaderError(f"{where}.batches must say how batches are made: type, batch_size or batch_bins")
    _check_keys(batches, _BATCHES_KEYS, f"{where}.batches")
    if "_target_" in factory:
        _LOG.info("%s: %s is served by the project's own batches", where, factory["_target_"])
    kind = str(batches.get("type", "unsorted"))
    if factory.get("num_iters_per_epoch") is not None:
        raise DataLoaderError(
            f"{where}.num_iters_per_epoch is not served: an epoch is the whole split. For shorter epochs set "
            "trainer.limit_train_batches"
        )
    options = {key: value for key, value in section.items() if value is not None}
    for key in ("shuffle", "num_workers", "pin_memory", "collate_fn"):
        if factory.get(key) is not None:
            options[key] = factory[key]
    if batches.get("drop_last") is not None:
        options["drop_last"] = batches["drop_last"]
    if kind in ("unsorted", "sorted"):
        _need(batches, "batch_size", kind, where)
        options["batch_size"] = batches["batch_size"]
        if kind == "sorted":
            options["sort_by_length"] = True
            options["shape_files"] = batches.get("shape_files")
    elif kind in ("numel", "length"):
        _need(batches, "batch_bins", kind, where)
        options["batch_bins"] = batches["batch_bins"]
        options["shape_files"] = batches.get("shape_files")
        options["first_dimension"] = kind == "length"
    else:
        raise DataLoaderError(f"{where}.batches.type is {kind!r}; there are unsorted, sorted, numel and length")
    return options


def _need(batches: Mapping[str, Any], key: str, kind: str, where: str) -> None:
    if batches.get(key) is None:
        raise DataLoaderError(f"{where}.batches of type {kind} needs {key}")


def _check_keys(options: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    known = (*known, "first_dimension", "collate_fn")
    for key in options:
        if key not in known:
            hint = did_you_mean(str(key), known).removeprefix("; ") or f"it takes {', '.join(known)}"
            if key in inspect.signature(DataLoader).parameters:
                hint = "batches are planned here, so torch's samplers have no place"
            raise DataLoaderError(f"{where} has no key {key!r}; {hint}")


def _world(num_device: int) -> tuple[int, int]:
    """Give how many processes train together and which of them this is."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_world_size(), torch.distributed.get_rank()
    # Outside of a distributed run one process sees all the data, whatever the config asks for.
    if num_device > 1:
        _LOG.info("%d devices are configured, and this process trains alone", num_device)
    return 1, 0


def _report(sampler: PlannedBatches, mode: str, where: str, announce: bool) -> None:
    batches = sampler.batches()
    rule = sampler.rule
    if sampler.repeated:
        _LOG.warning(
            "%s: %d batches do not divide among %d processes; %d batches are given twice",
            mode,
            len(batches) * sampler.world_size - sampler.repeated,
            sampler.world_size,
            sampler.repeated,
        )
    if sampler.sizes is None or rule.batch_bins is None:
        return
    too_long = [int(item) for item in (sampler.sizes.sum(axis=1) > rule.batch_bins).nonzero()[0]]
    if too_long:
        _LOG.warning(
            "%s: %d items are larger than %s.batch_bins (%d) and get a batch of their own: %s%s",
            mode,
            len(too_long),
            where,
            rule.batch_bins,
            ", ".join(f"item {item} with {int(sampler.sizes[item].sum())}" for item in too_long[:5]),
            " …" if len(too_long) > 5 else "",
        )
    line = (
        f"{mode}: {len(batches)} batches an epoch of up to {rule.batch_bins:,} bins, "
        f"{100 * (sampler.waste() or 0.0):.1f}% of them padding"
    )
    _LOG.info(line)
    if announce and sampler.rank == 0:
        console_line(line)


def _to_dict(config: Any) -> dict[str, Any]:
    if config is None:
        return {}
    if OmegaConf.is_config(config):
        # `dataset` and `model` hold interpolations of their own; only what is read here is resolved.
        parts = {
            key: config.get(key)
            for key in ("dataloader", "stats_dir", "seed")
            if key in config and not OmegaConf.is_missing(config, key)
        }
        return {
            key: OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
            for key, value in parts.items()
        }
    return dict(config) if isinstance(config, Mapping) else dict(vars(config))
