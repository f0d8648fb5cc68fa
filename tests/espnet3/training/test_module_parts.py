"""What a model may return, what a batch may be, means of an epoch, checkpoints on disk."""

from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from two_processes import means_of_what_differs, places

from espnet3.components.modeling.epoch_means import EpochMeans
from espnet3.components.modeling.forward_result import ForwardResultError, read_forward_result
from espnet3.components.modeling.lightning_module import ESPnetLightningModule
from espnet3.components.trainers.checkpoint_io import AtomicCheckpointIO
from espnet3.utils.errors import ConfigError

LOSS = torch.tensor(2.0)


@pytest.mark.parametrize(
    ("value", "stats", "weight"),
    [
        (LOSS, {"loss": 2.0}, 5.0),
        (LOSS.reshape(1), {"loss": 2.0}, 5.0),
        ((LOSS, {"acc": 0.5, "skipped": None, "word": "x"}, torch.tensor(3)), {"loss": 2.0, "acc": 0.5}, 3.0),
        ({"loss": LOSS, "acc": np.float32(0.5), "hidden": torch.ones(3)}, {"loss": 2.0, "acc": 0.5}, 5.0),
        ({"loss": LOSS, "stats": {"cer": 1}, "weight": 7}, {"loss": 2.0, "cer": 1.0}, 7.0),
    ],
)
def test_what_a_model_may_return(value: Any, stats: dict[str, float], weight: float) -> None:
    """Loss, stats and weight come out the same way."""
    result = read_forward_result(value, torch.nn.Identity(), 5)

    assert result.losses.shape == ()  # type: ignore[union-attr]
    assert {name: float(number) for name, number in result.stats.items()} == stats
    assert float(result.weight) == weight


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "NoneType in the place of the loss"),
        (torch.ones(3), r"a tensor of shape \(3,\), not a scalar loss"),
        ({"los": LOSS}, r"a dict without the key 'loss' \(it has los\)"),
        ((LOSS, LOSS), "a tuple of Tensor, Tensor"),
        (2.0, "float in the place of the loss"),
    ],
)
def test_what_a_model_may_not_return(value: Any, message: str) -> None:
    """The message says what came back, and what is wanted."""
    with pytest.raises(ForwardResultError, match=f"Identity.forward returned {message}.*It must return a scalar"):
        read_forward_result(value, torch.nn.Identity(), 5)


class Recorder(torch.nn.Module):
    """Remembers its call."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x + y).sum()


@pytest.mark.parametrize(
    "batch",
    [
        (["a", "b"], {"x": torch.ones(2), "y": torch.ones(2)}),
        {"x": torch.ones(2), "y": torch.ones(2)},
        (torch.ones(2), torch.ones(2)),
        [torch.ones(2), torch.ones(2)],
    ],
)
def test_what_a_batch_may_be(batch: Any) -> None:
    """All of them call the model with x and y, and weigh as much as the batch has items."""
    result = ESPnetLightningModule(Recorder(), {}).call_model(batch)

    assert float(result.total) == 4.0
    assert result.weight == 2.0


def test_a_batch_that_does_not_fit_the_model() -> None:
    """The message shows the signature and the fields."""
    batch = {"x": torch.ones(2), "yy": torch.ones(2)}

    with pytest.raises(ConfigError, match=r"Recorder.forward\(x.*did you mean 'y'.*The batch has x, yy"):
        ESPnetLightningModule(Recorder(), {}).call_model(batch)


def test_weights_with_and_without_the_prefix() -> None:
    """Saved with `model.`, loaded either way, and a misfit is named."""
    module, plain = ESPnetLightningModule(Recorder(), {}), Recorder()
    module.load_state_dict(plain.state_dict())

    assert list(module.state_dict()) == ["model.layer.weight", "model.layer.bias"]
    assert torch.equal(module.model.layer.weight, plain.layer.weight)
    module.load_state_dict(module.state_dict())
    with pytest.raises(ConfigError, match=r"1 missing \(model.layer.bias\); 1 of another shape"):
        module.load_state_dict({"model.layer.weight": torch.ones(2, 2)})


def test_means_are_weighted_and_can_be_put_aside() -> None:
    """A number that is none is left out of its own mean only."""
    means, other = EpochMeans(), EpochMeans()
    means.add({"loss": torch.tensor(1.0), "acc": torch.tensor(float("nan"))}, 1)
    other.load_state_dict(means.state_dict(), torch.device("cpu"))
    other.add({"loss": torch.tensor(4.0), "acc": torch.tensor(3.0)}, torch.tensor(2))

    assert other.compute() == {"loss": 3.0, "acc": 3.0}
    assert other.compute(lambda table: 2 * table) == {"loss": 3.0, "acc": 3.0}
    assert EpochMeans().compute() == {}


def test_means_of_processes_that_name_different_numbers(tmp_path: Path, in_processes: Any) -> None:
    """All processes get the same means, each over those who have the number; one that has none takes part."""
    codes = in_processes(*((means_of_what_differs, place, str(tmp_path)) for place in places()))
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]

    assert codes == [0, 0]
    assert found[0] == found[1]
    assert found[0] == [
        {"clean": 5.0, "loss": pytest.approx(5 / 3), "noisy": 5.0},
        {"loss": 3.0},
        {},
        {"loss": [6.0, 2.0]},
    ]


def test_a_checkpoint_holds_only_what_may_be_loaded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """numpy, paths and configs are made plain; other objects are announced, and refused when read."""
    nested = defaultdict(list, a=[np.float64(1.5), np.arange(2)])
    path = tmp_path / "deep" / "x.ckpt"
    good = {"n": nested, "p": tmp_path, "c": OmegaConf.create({"k": [1]}), "o": OrderedDict(w=torch.ones(1))}
    AtomicCheckpointIO().save_checkpoint(good, path)
    loaded = AtomicCheckpointIO().load_checkpoint(path)

    assert loaded["n"]["a"][0] == 1.5
    assert loaded["n"]["a"][1].tolist() == [0, 1]
    assert (loaded["p"], loaded["c"]) == (str(tmp_path), {"k": [1]})
    AtomicCheckpointIO().save_checkpoint({"x": EpochMeans()}, path)
    assert "EpochMeans" in caplog.text
    with pytest.raises(ConfigError, match=r"EpochMeans that may not be loaded unasked.*add_safe_globals"):
        AtomicCheckpointIO().load_checkpoint(path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ConfigError, match="no checkpoint that can be read"):
        AtomicCheckpointIO().load_checkpoint(path)
    with pytest.raises(ConfigError, match="there is no checkpoint"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "none.ckpt")
