"""DataLoaderBuilder and collect_stats over real datasets."""

import logging
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from espnet3.components.data.collate import CommonCollateFn
from espnet3.components.data.collect_stats import CollectStatsInferenceProvider, CollectStatsRunner, collect_stats
from espnet3.components.data.dataloader import DataLoaderBuilder, DataLoaderError, log_dataloader
from espnet3.components.data.dataset import ShardedDataset
from espnet3.components.data.lengths import ShapeFileError, find_sizes, read_shape_file
from espnet3.components.modeling.lightning_module import ESPnetLightningModule


class Noise(torch.utils.data.Dataset[Any]):
    """Items of differing lengths that draw from all three generators, and count how often they are read."""

    def __init__(self, size: int = 30) -> None:
        self.size = size
        self.reads = 0

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> dict[str, Any]:
        self.reads += 1
        length = 5 + (index * 37) % 50
        drawn = random.random() + np.random.random() + float(torch.rand(()))
        return {"utt_id": f"u{index}", "speech": np.full(length, drawn, np.float32), "index": index}


class WithFeatures(torch.nn.Module):
    """A model that gives features."""

    def collect_feats(self, speech: torch.Tensor, speech_lengths: torch.Tensor, **batch: Any) -> Any:
        return {"feats": torch.stack([speech, 2 * speech], dim=-1), "feats_lengths": speech_lengths}


def build(dataset: Any, epoch: int = 0, mode: str = "train", **options: Any) -> Any:
    config = {"dataloader": {mode: options}, "seed": 5}
    return DataLoaderBuilder(dataset, config, CommonCollateFn(), num_device=1, epoch=epoch).build(mode)


class Sharded(ShardedDataset):
    """Two shards of noise, of differing sizes."""

    def __init__(self) -> None:
        self.shards = [Noise(20), Noise(30)]

    def shard(self, idx: int) -> Noise:
        return self.shards[idx]


def contents(loader: Any) -> list[tuple[list[str], list[float]]]:
    return [(names, batch["speech"].max(dim=1).values.tolist()) for names, batch in loader]


def test_a_shard_is_measured_once() -> None:
    """When it comes round again, its lengths are known, and its batches are cut as before."""
    data = Sharded()
    module = ESPnetLightningModule(
        torch.nn.Linear(1, 1),
        {"dataloader": {"train": {"batch_bins": 300, "total_shards": 2}, "collate_fn": None}, "trainer": {}},
    )
    module._organizer = SimpleNamespace(train=data)  # type: ignore[assignment]
    batches, reads = [], []
    for epoch in range(4):
        module._trainer = SimpleNamespace(world_size=1, current_epoch=epoch)  # type: ignore[assignment]
        batches.append([list(batch) for batch in module.train_dataloader().batch_sampler])
        reads.append([shard.reads for shard in data.shards])

    assert batches[2:] == batches[:2]
    assert sorted(place for batch in batches[1] for place in batch) == list(range(30))
    assert reads[2:] == [reads[1], reads[1]]


def test_workers_do_not_change_what_is_drawn() -> None:
    """Augmentation depends on (seed, epoch, batch), not on the workers, and leaves the caller's randomness."""
    options = {"batch_bins": 300, "shuffle": True}
    random.seed(0)
    expected_draw = random.random()
    random.seed(0)
    alone = contents(build(Noise(), **options))
    undisturbed_draw = random.random()
    together = contents(build(Noise(), **options, num_workers=2, persistent_workers=True))
    later = contents(build(Noise(), epoch=1, **options))

    assert alone == together
    assert alone != later
    assert undisturbed_draw == expected_draw


def test_a_loader_goes_on_behind_the_batches_that_are_done() -> None:
    """What is left of an epoch is the same as if it had run through."""
    options = {"batch_size": 4, "shuffle": True}
    whole = contents(build(Noise(), **options))
    first = build(Noise(), **options)
    iterator = iter(first)
    next(iterator), next(iterator)
    state = first.state_dict()
    second = build(Noise(), **options)
    second.load_state_dict(state)

    assert state == {"batches": 2}
    assert contents(second) == whole[2:]
    assert contents(second) == whole


def test_lengths_from_stats_spare_the_pass_over_the_data(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Shape files that fit are used; those of other data are not."""
    fitting, shorter = Noise(), Noise(29)
    folder = tmp_path / "train"
    folder.mkdir()
    lines = [f"u{index} {5 + (index * 37) % 50}\n" for index in range(30)]
    (folder / "speech_shape").write_text("".join(lines))

    sizes = find_sizes(fitting, mode="train", stats_dir=tmp_path)
    reads_with_stats = fitting.reads
    with caplog.at_level(logging.INFO):
        find_sizes(shorter, mode="train", stats_dir=tmp_path)
    lines[10] = "u10 999\n"
    (folder / "speech_shape").write_text("".join(lines))
    stale = Noise()
    find_sizes(stale, mode="train", stats_dir=tmp_path)

    assert sizes[:3, 0].tolist() == [5, 42, 29]
    assert reads_with_stats <= 5
    assert shorter.reads >= 29
    assert "has 30 items, the dataset 29" in caplog.text
    assert stale.reads >= 30


def test_iter_factory_is_served(tmp_path: Path) -> None:
    """ESPnet's own words for batches."""
    shapes = tmp_path / "speech_shape"
    shapes.write_text("".join(f"u{index} {5 + (index * 37) % 50}\n" for index in range(30)))
    numel = {"type": "numel", "batch_bins": 300, "shape_files": [str(shapes)]}
    target = "espnet2.iterators.sequence_iter_factory.SequenceIterFactory"
    by_bins = build(Noise(), iter_factory={"_target_": target, "shuffle": False, "batches": numel})
    unsorted = build(Noise(), iter_factory={"batches": {"type": "unsorted", "batch_size": 7}})
    in_order = build(Noise(), iter_factory={"batches": {"type": "sorted", "batch_size": 7}}, num_workers=0)

    assert max(batch["speech"].numel() for _, batch in by_bins) <= 300
    assert [names[0] for names, _ in unsorted] == ["u0", "u7", "u14", "u21", "u28"]
    lengths = [int(length) for _, batch in in_order for length in batch["speech_lengths"]]
    assert lengths == sorted(lengths, reverse=True)
    shapes.write_text("u0 5\n")
    with pytest.raises(ShapeFileError, match="has 1 items and the train split has 30"):
        build(Noise(), iter_factory={"batches": numel})


@pytest.mark.parametrize("in_factory", [False, True])
def test_a_split_may_have_a_collate_function_of_its_own(in_factory: bool) -> None:
    """It goes before the shared one."""
    own = {"_target_": "espnet3.components.data.collate.CommonCollateFn", "not_sequence": ["speech"]}
    batches = {"type": "unsorted", "batch_size": 7}
    options = {"iter_factory": {"collate_fn": own, "batches": batches}} if in_factory else {"collate_fn": own}

    assert all("speech_lengths" in batch for _, batch in build(Noise(), batch_size=7))
    assert not any("speech_lengths" in batch for _, batch in build(Noise(), **options))


def test_an_item_that_is_too_long_comes_alone(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is trained on, and the log names it; the padding is said once."""
    with caplog.at_level(logging.INFO):
        loader = build(Noise(), batch_bins=50, shuffle=True)
    log_dataloader(logging.getLogger("x"), loader, "train")

    assert all(batch["speech"].numel() <= 50 or len(names) == 1 for names, batch in loader)
    assert "larger than dataloader.train.batch_bins (50)" in caplog.text
    assert capsys.readouterr().out.count("of them padding") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_siz": 3}, "dataloader.train has no key 'batch_siz'; did you mean 'batch_size'"),
        ({"batch_size": 3, "batch_bins": 3}, "both batch_size and batch_bins"),
        ({"batch_size": 0}, "batch_size must be a positive whole number"),
        ({"batch_size": "many"}, "dataloader.train.batch_size must be a whole number"),
        ({"sampler": 1}, "torch's samplers have no place"),
        ({"dist_world_size": 4}, "dist_world_size is 4, but 1 processes"),
        ({"iter_factory": {"batches": {"type": "folded"}}}, "there are unsorted, sorted, numel and length"),
        ({"iter_factory": {"batches": {"type": "numel"}}}, "of type numel needs batch_bins"),
        (
            {"iter_factory": {"num_iters_per_epoch": 9, "batches": {"type": "unsorted", "batch_size": 2}}},
            "num_iters_per_epoch is not served.*trainer.limit_train_batches",
        ),
        ({"batch_bins": 10, "shape_key": "text"}, "has no array 'text'; it has speech"),
        ({"total_shards": 2}, "needs a dataset with a method shard"),
    ],
)
def test_what_a_loader_refuses(options: dict[str, Any], message: str) -> None:
    """The message names the key."""
    with pytest.raises(ValueError, match=message):
        build(Noise(), **options)


def test_an_empty_split_is_refused() -> None:
    """Not a training of zero batches."""
    with pytest.raises(DataLoaderError, match="the train split is empty"):
        build(Noise(0), batch_size=2)


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> str:
    """This module under a name that a config can say."""
    import sys

    monkeypatch.setitem(sys.modules, "noise_recipe", sys.modules[__name__])
    return "noise_recipe"


def test_collect_stats(tmp_path: Path, importable: str) -> None:
    """Shapes in the order of the dataset, statistics of the features; a second run keeps them."""
    dataset = {"train": [{"_target_": f"{importable}.Noise", "size": 10}]}
    loader = {"collate_fn": {"_target_": "espnet3.components.data.collate.CommonCollateFn"}}
    model = {"_target_": f"{importable}.WithFeatures"}

    merged = collect_stats(model, dataset, loader, "train", tmp_path)
    names, shapes = read_shape_file(tmp_path / "train" / "speech_shape")
    stats = np.load(tmp_path / "train" / "feats_stats.npz")
    written = (tmp_path / "train" / "split.0" / "done").stat().st_mtime_ns
    collect_stats(model, dataset, loader, "train", tmp_path)

    assert merged == {"shapes": ["speech"], "stats": ["feats"]}
    assert names == [f"u{index}" for index in range(10)]
    assert shapes == [(5 + (index * 37) % 50,) for index in range(10)]
    assert int(stats["count"]) == sum(shape[0] for shape in shapes)
    np.testing.assert_allclose(stats["sum"][1], 2 * stats["sum"][0])
    np.testing.assert_allclose(stats["sum_square"][1], 4 * stats["sum_square"][0])
    assert (tmp_path / "train" / "split.0" / "done").stat().st_mtime_ns == written
    dataset["train"][0]["size"] = 11
    collect_stats(model, dataset, loader, "train", tmp_path)
    assert len(read_shape_file(tmp_path / "train" / "speech_shape")[0]) == 11


def fields_only(samples: Any) -> Any:
    """A collate function that gives no names."""
    return CommonCollateFn()(samples)[1]


def test_collect_stats_takes_the_fields_alone(tmp_path: Path, importable: str) -> None:
    """As a training does."""
    dataset = {"train": [{"_target_": f"{importable}.Noise", "size": 10}]}
    loader = {"collate_fn": {"_target_": f"{importable}.fields_only", "_partial_": True}}
    merged = collect_stats({"_target_": f"{importable}.WithFeatures"}, dataset, loader, "train", tmp_path)

    assert merged == {"shapes": ["speech"], "stats": ["feats"]}


def test_collect_stats_writes_features_when_asked(tmp_path: Path, importable: str) -> None:
    """One file an item, listed in the order of the dataset."""
    provider = CollectStatsInferenceProvider(
        {"_target_": f"{importable}.WithFeatures"},
        {"train": [{"_target_": f"{importable}.Noise", "size": 4}]},
        {"collate_fn": {"_target_": "espnet3.components.data.collate.CommonCollateFn"}},
        "train",
    )

    CollectStatsRunner(provider, tmp_path, "train", write_collected_feats=True, batch_size=3)(range(4))
    lines = (tmp_path / "train" / "feats.scp").read_text().splitlines()

    assert [line.split()[0] for line in lines] == ["u0", "u1", "u2", "u3"]
    assert [np.load(line.split()[1]).shape for line in lines] == [(5, 2), (42, 2), (29, 2), (16, 2)]
    assert provider.build_worker_setup_fn()().keys() == provider.build_env_local().keys()


def test_a_model_without_features_is_not_built(tmp_path: Path, importable: str) -> None:
    """Shapes need no model: one that could not be built does no harm."""
    dataset = {"valid": [{"_target_": f"{importable}.Noise", "size": 3}]}

    merged = collect_stats({"_target_": "torch.nn.Linear"}, dataset, None, "valid", tmp_path)

    assert merged == {"shapes": ["speech"], "stats": []}


def test_a_shape_file_that_is_none(tmp_path: Path) -> None:
    """The message names the line."""
    (tmp_path / "speech_shape").write_text("u0 5\nu1 five\n")

    with pytest.raises(ShapeFileError, match="speech_shape:2: expected"):
        read_shape_file(tmp_path / "speech_shape")
