"""Functions of a config that wait for their sample, wherever the config is made into objects."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from espnet3.components.data.callables import make_callable
from espnet3.components.data.dataloader import DataLoaderBuilder
from espnet3.components.data.stats_environment import build_env, to_config
from espnet3.utils.errors import ConfigError
from espnet3.utils.instantiation import instantiate


class Numbers:
    """A dataset of three."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"utt_id": f"u{index}", "value": index}


def numbers() -> Numbers:
    return Numbers()


def add(sample: dict[str, Any], by: int) -> dict[str, Any]:
    return {**sample, "value": sample["value"] + by}


def adder(by: int = 1) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda sample: add(sample, by)


class Add:
    def __init__(self, by: int) -> None:
        self.by = by

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        return add(sample, self.by)


def together(samples: list[dict[str, Any]], start: int) -> dict[str, torch.Tensor]:
    return {"value": torch.tensor([start, *(sample["value"] for sample in samples)])}


def target(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"{__name__}.{name}", **arguments}


@pytest.mark.parametrize(
    "value",
    [
        target("add", by=2),
        target("adder", by=2),
        target("Add", by=2),
        OmegaConf.create({**target("add", by=2), "_partial_": True}),
        Add(2),
    ],
)
def test_a_sample_goes_through_whatever_stands_there(value: Any) -> None:
    """A function that lacks its sample, one that makes a callable, a class, an object."""
    assert make_callable(value, "dataset.preprocessor")({"value": 3}) == {"value": 5}


def test_a_path_alone_is_a_target() -> None:
    """With nothing left to give."""
    assert make_callable(f"{__name__}.adder", "x")({"value": 3}) == {"value": 4}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (target("numbers"), "here must be callable; Numbers is not"),
        (target("add", bye=2), "here.bye: .*add takes no argument 'bye'; did you mean 'by'"),
        (target("absent"), "here: .*absent cannot be imported"),
        (3, "here must be callable; int is not"),
    ],
)
def test_what_cannot_be_called_is_refused(value: Any, message: str) -> None:
    """With the key of the config."""
    with pytest.raises(ConfigError, match=message):
        make_callable(value, "here")


def test_training_and_inference_make_the_same_of_a_config() -> None:
    """Of transform, preprocessor and collate function; Hydra alone would call a function without its sample."""
    section = {
        "_target_": "espnet3.components.data.data_organizer.DataOrganizer",
        "train": [{**target("Numbers"), "transform": target("add", by=10)}],
        "test": [{**target("numbers"), "name": "all", "transform": target("add", by=20)}],
        "preprocessor": target("add", by=1),
    }
    organizer = instantiate(OmegaConf.create(section), "dataset")
    parts = {"dataset": section, "mode": "train", "shard_idx": None, "model": None, "task": None}
    env = build_env(to_config({**parts, "collate_fn": target("together", start=-1)}), {})
    config = {"dataloader": {"train": {"batch_size": 2, "collate_fn": target("together", start=-2)}}}
    (first, _) = DataLoaderBuilder(organizer.train, config, None, num_device=1, epoch=0).build("train")

    assert [sample["value"] for sample in organizer.train] == [11, 12, 13]
    assert organizer.test["all"][0]["value"] == 21
    assert env["collate_fn"]([env["dataset"][0]])["value"].tolist() == [-1, 11]
    assert first["value"].tolist() == [-2, 11, 12]
