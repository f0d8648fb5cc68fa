"""Shapes and feature statistics of a split.

Written under `<output_dir>/<mode>/`: for each field that holds an array `<key>_shape` with a line `utt_id
dim[,dim...]` an item, in the order of the dataset; and, for each feature that the model's `collect_feats`
gives, `<feat>_stats.npz` with `count` (frames), `sum` and `sum_square` (a number for each dimension of a
frame).

The model is built only where it has `collect_feats(**batch) -> dict`, which gives a feature of shape
(batch, frames, ...) and its `<feat>_lengths` of shape (batch,).
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from esp3rt.files import replacing
from espnet3.components.data.lengths import item_shapes
from espnet3.components.data.probes import mark_of
from espnet3.components.data.seeding import derive_seed, seeded
from espnet3.components.data.stats_environment import build_env, build_split, to_config
from espnet3.parallel.base_runner import BaseRunner, concatenate_shard_files
from espnet3.parallel.env_provider import EnvironmentProvider
from espnet3.utils.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

_FEATS = "collected_feats"
_ROWS = "_sums.npy"


def collect_stats_batch(
    idxs: list[int],
    model: Any = None,
    dataset: Any = None,
    collate_fn: Callable[..., Any] | None = None,
    device: torch.device | None = None,
    write_collected_feats: bool = False,
    collect_stats_kwargs: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Measure a few items.

    Args:
        idxs: Which items.
        model: The model if it has `collect_feats`, else `None`.
        dataset, collate_fn, device: Where the items come from, how they are padded, where the model is.
        write_collected_feats: Whether the features themselves are given, too.
        collect_stats_kwargs: Further arguments of `collect_feats`.

    Returns:
        `items`: `(index, utt_id, {key: shape})` for each item; `stats`: `{feat: (count, sum, sum_square)}`;
        `feats`: `{feat: [(utt_id, array)]}`.
    """
    samples, items = [], []
    for index in idxs:
        with seeded(derive_seed("measure", index)):
            sample = dataset[index]
        uid, shapes = item_shapes(sample)
        items.append((index, str(index) if uid is None else uid, shapes))
        samples.append(sample)
    result: dict[str, Any] = {"items": items, "stats": {}, "feats": {}}
    if model is None:
        return result
    if collate_fn is None:
        raise ConfigError("collect_feats of the model needs a dataloader.collate_fn")
    collated = collate_fn(samples)
    # Names and fields, as ESPnet's collate functions give them, or the fields alone.
    fields = collated[1] if isinstance(collated, tuple | list) and len(collated) == 2 else collated
    if not isinstance(fields, Mapping):
        raise ConfigError(
            f"dataloader.collate_fn gives {type(collated).__name__}; collect_feats of the model needs a dict of "
            "tensors, or names and such a dict"
        )
    batch = {key: value.to(device) if isinstance(value, torch.Tensor) else value for key, value in fields.items()}
    with torch.no_grad():
        feats = model.collect_feats(**batch, **(collect_stats_kwargs or {}))
    for name, frames in _unpadded(feats, type(model).__qualname__).items():
        joined = np.concatenate([part.reshape(part.shape[0], -1) for part in frames]).astype(np.float64)
        result["stats"][name] = (len(joined), joined.sum(axis=0), np.square(joined).sum(axis=0))
        if write_collected_feats:
            result["feats"][name] = [(uid, part) for (_, uid, _), part in zip(items, frames, strict=True)]
    return result


class CollectStatsInferenceProvider(EnvironmentProvider):
    """Builds the dataset, the collate function and, where it has `collect_feats`, the model.

    Args:
        model_config, dataset_config, dataloader_config: The sections of the training config.
        mode: `train` or `valid`.
        task: The dotted path of an ESPnet2-style task, or empty.
        shard_idx: Which shard of the dataset, or `None` for all of it.
        params: Further entries of the environment.
    """

    def __init__(
        self,
        model_config: Any,
        dataset_config: Any,
        dataloader_config: Any,
        mode: str,
        task: str | None = None,
        shard_idx: int | None = None,
        params: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            to_config(
                {
                    "model": model_config,
                    "dataset": dataset_config,
                    "collate_fn": (dataloader_config or {}).get("collate_fn"),
                    "mode": mode,
                    "task": task,
                    "shard_idx": shard_idx,
                }
            )
        )
        self.params = dict(params or {})
        self._dataset: Any = None

    @property
    def dataset(self) -> Any:
        """The split, built on the first use."""
        if self._dataset is None:
            self._dataset = build_split(self.config)
        return self._dataset

    def build_env_local(self) -> dict[str, Any]:
        """Build the environment in this process."""
        return build_env(self.config, self.params, self.dataset)

    def build_worker_setup_fn(self) -> Callable[[], dict[str, Any]]:
        """Give a function that builds the environment in a worker."""
        config, params = self.config, dict(self.params)

        def setup() -> dict[str, Any]:
            return build_env(config, params)

        return setup


class CollectStatsRunner(BaseRunner):
    """Measures a split, batch by batch, and writes shape files and statistics.

    Args:
        provider: Gives `dataset`, `model`, `collate_fn` and `device`.
        output_dir: The folder above `<mode>/`.
        mode: `train` or `valid`.
        write_collected_feats: Whether the features themselves are written, as
            `collected_feats/<feat>/<n>.npy`.
        kwargs: For `BaseRunner`.
    """

    def __init__(
        self,
        provider: EnvironmentProvider,
        output_dir: str | Path,
        mode: str,
        write_collected_feats: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(provider, output_dir=output_dir, shard_subdir=mode, **kwargs)
        self.mode = mode
        self.write_collected_feats = write_collected_feats
        self.label = f"collect_stats {mode}"

    def options(self) -> dict[str, Any]:
        """Settings that the static hooks take from the environment."""
        assert self.output_dir is not None
        return {
            "write_collected_feats": self.write_collected_feats,
            "stats_dir": str(self.output_dir / self.mode),
        }

    @staticmethod
    def forward(  # type: ignore[override]
        batch_indices: Iterable[int] | int,
        dataset: Any,
        model: Any,
        collate_fn: Any,
        device: Any,
        write_collected_feats: bool = False,
        collect_stats_kwargs: dict[str, Any] | None = None,
        **env: Any,
    ) -> dict[str, Any]:
        """Measure one item or a few."""
        indices = [batch_indices] if isinstance(batch_indices, int) else list(batch_indices)
        return collect_stats_batch(
            indices, model, dataset, collate_fn, device, write_collected_feats, collect_stats_kwargs
        )

    @staticmethod
    def open_writers(
        shard_dir: Path | None, write_collected_feats: bool = False, stats_dir: str = "", **env: Any
    ) -> dict[str, Any]:
        """Begin a shard; `stats_dir` is the folder around the shards as SCP files name it."""
        shown = stats_dir or (shard_dir.parent if shard_dir is not None else "")
        return {
            "shard_dir": shard_dir,
            "shown_dir": str(shown),
            "handles": {},
            "stats": {},
            "fields": None,
            "outputs": [],
        }

    @staticmethod
    def write_record(writers: dict[str, Any], result: Any, state: dict[str, Any], **env: Any) -> None:
        """Write the shapes of a few items and add their statistics up."""
        handles, folder = writers["handles"], writers["shard_dir"]
        for _, uid, shapes in result["items"]:
            if writers["fields"] is None:
                writers["fields"] = set(shapes)
            elif set(shapes) != writers["fields"]:
                raise ConfigError(
                    f"item {uid} has the arrays {', '.join(sorted(shapes))}, others have "
                    f"{', '.join(sorted(writers['fields']))}; all items of a split must have the same fields"
                )
            for key, shape in shapes.items():
                if key not in handles:
                    handles[key] = (folder / f"{key}_shape").open("w", encoding="utf-8")
                handles[key].write(f"{uid} {','.join(map(str, shape))}\n")
        for name, (count, total, square) in result["stats"].items():
            # A row a batch. Added up is at the end, in the order of the batches: a sum of floats depends on its order,
            # and where a shard ends must not be seen in it.
            writers["stats"].setdefault(name, []).append(np.concatenate([[count], total, square]))
        for name, arrays in result["feats"].items():
            # Beside the shards: where a file stands must not tell how the work was cut.
            out = folder.parent / _FEATS / name
            out.mkdir(parents=True, exist_ok=True)
            for (index, uid, _), (_, array) in zip(result["items"], arrays, strict=True):
                np.save(out / f"{index}.npy", array)
                writers["outputs"].append(out / f"{index}.npy")
                scp = f"{_FEATS}/{name}"
                if scp not in handles:
                    handles[scp] = (folder / f"{name}.scp").open("w", encoding="utf-8")
                handles[scp].write(f"{uid} {Path(writers['shown_dir'], _FEATS, name)}/{index}.npy\n")

    @staticmethod
    def close_writers(writers: dict[str, Any]) -> dict[str, Any] | None:
        """Close the shard's files and write its statistics."""
        for handle in writers["handles"].values():
            handle.close()
        for name, rows in writers["stats"].items():
            np.save(writers["shard_dir"] / f"{name}{_ROWS}", np.stack(rows), allow_pickle=False)
        return {"stats": sorted(writers["stats"]), "outputs": writers["outputs"]}

    def merge(self, shard_dirs: list[Path]) -> dict[str, Any]:
        """Join the shards into the files of the split.

        Returns:
            `shapes` and `stats`: the fields and the features that files were written for.
        """
        assert self.output_dir is not None
        folder = self.output_dir / self.mode
        keys = _names(shard_dirs, "*_shape")
        feats = [name.removesuffix(_ROWS) for name in _names(shard_dirs, f"*{_ROWS}")]
        scps = _names(shard_dirs, "*.scp")
        for stale in {path.name for pattern in ("*_shape", "*_stats.npz", "*.scp") for path in folder.glob(pattern)} - {
            *keys,
            *(f"{feat}_stats.npz" for feat in feats),
            *scps,
        }:
            (folder / stale).unlink()
        for name in (*keys, *scps):
            concatenate_shard_files(shard_dirs, name, folder / name)
        for feat in feats:
            _merge_stats(shard_dirs, f"{feat}{_ROWS}", folder / f"{feat}_stats.npz")
        _sweep(folder, scps)
        return {"shapes": [key.removesuffix("_shape") for key in keys], "stats": feats}


def collect_stats(
    model_config: Any,
    dataset_config: Any,
    dataloader_config: Any,
    mode: str,
    output_dir: Path,
    task: str | None = None,
    parallel_config: "DictConfig | None" = None,
    write_collected_feats: bool = False,
    batch_size: int = 4,
) -> dict[str, Any]:
    """Measure one split; what was measured before for the same config and items is kept.

    Args:
        model_config, dataset_config, dataloader_config: The sections of the training config.
        mode: `train` or `valid`.
        output_dir: The folder above `<mode>/`.
        task: The dotted path of an ESPnet2-style task, or empty.
        parallel_config: Where the work is done.
        write_collected_feats: Whether the features themselves are written.
        batch_size: How many items go through the model together.

    Returns:
        `shapes` and `stats`: the fields and the features that files were written for.

    Raises:
        ConfigError: The split has no entries or no items, or its items differ in their fields.
    """
    from espnet3.utils.machine_setting import parallel_in_force

    provider = CollectStatsInferenceProvider(model_config, dataset_config, dataloader_config, mode, task)
    dataset = provider.dataset
    count = len(dataset)
    if count == 0:
        raise ConfigError(f"the {mode} split is empty; look at dataset.{mode} and at what create_dataset wrote")
    with parallel_in_force(parallel_config):
        runner = CollectStatsRunner(provider, output_dir, mode, write_collected_feats, batch_size=batch_size)
        runner.data_mark = mark_of(dataset)
        merged: dict[str, Any] = runner(range(count))
    return merged


def collect_stats_of_config(config: Any) -> None:
    """Measure the splits of a training config, under its `stats_dir`.

    Raises:
        ConfigError: There is no `stats_dir` or no training data.
    """
    stats_dir = config.get("stats_dir")
    if not stats_dir:
        raise ConfigError("the training config has no stats_dir, the folder for shapes and statistics")
    dataset = config.get("dataset") or {}
    if not dataset.get("train"):
        raise ConfigError("dataset.train has no entries; there is nothing to measure")
    for mode in ("train", "valid"):
        if dataset.get(mode):
            collect_stats(
                config.get("model"),
                dataset,
                config.get("dataloader"),
                mode,
                Path(stats_dir),
                task=config.get("task"),
                parallel_config=(config.get("stage_parallel") or {}).get("collect_stats") or config.get("parallel"),
                write_collected_feats=bool(config.get("write_collected_feats", False)),
            )


def _unpadded(feats: Any, model: str) -> dict[str, list[np.ndarray[Any, Any]]]:
    if not isinstance(feats, Mapping):
        raise ConfigError(f"{model}.collect_feats must give a dict of features, not {type(feats).__name__}")
    parts: dict[str, list[np.ndarray[Any, Any]]] = {}
    for name, value in feats.items():
        if name.endswith("_lengths"):
            continue
        if f"{name}_lengths" not in feats:
            raise ConfigError(f"{model}.collect_feats gives {name} without {name}_lengths")
        lengths = feats[f"{name}_lengths"]
        parts[name] = [row[: int(length)].float().cpu().numpy() for row, length in zip(value, lengths, strict=True)]
    return parts


def _names(shard_dirs: list[Path], pattern: str) -> list[str]:
    return sorted({path.name for shard in shard_dirs for path in Path(shard).glob(pattern)})


def _sweep(folder: Path, scps: list[str]) -> None:
    """Take away the features of items and fields that are there no more."""
    named = {
        line.rpartition("/")[2] + "/" + scp
        for scp in scps
        for line in (folder / scp).read_text(encoding="utf-8").split("\n")[:-1]
    }
    for path in (folder / _FEATS).glob("*/*.npy"):
        if f"{path.name}/{path.parent.name}.scp" not in named:
            path.unlink()


def _merge_stats(shard_dirs: list[Path], name: str, out: Path) -> None:
    added: Any = None
    for shard in shard_dirs:
        path = Path(shard) / name
        if path.is_file():
            for row in np.load(path, allow_pickle=False):
                added = row if added is None else added + row
    count, total, square = int(added[0]), *np.split(added[1:], 2)
    with replacing(out, "wb") as handle:
        np.savez(handle, count=count, sum=total, sum_square=square)
