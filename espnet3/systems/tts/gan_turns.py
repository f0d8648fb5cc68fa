"""The turns of a GAN model: a batch is asked of the generator and of the discriminator."""

from collections.abc import Mapping
from typing import Any

import torch

from espnet3.components.modeling.forward_result import ForwardResult, ForwardResultError, read_forward_result
from espnet3.components.modeling.model_with_data import ModelWithData
from espnet3.components.modeling.optimization_spec import OptimizationStep
from espnet3.systems.tts.gan_model import TURNS
from espnet3.utils.errors import ConfigError, did_you_mean


class GANWithData(ModelWithData):
    """Calls a GAN model for each turn with its batches.

    Args:
        model: The GAN model.
        config: The training config.

    Attributes:
        turns: `generator` and `discriminator`, in their order.

    Raises:
        ConfigError: `optimizers` are not those two, or `generator_first` is not true or false.
    """

    def __init__(self, model: torch.nn.Module, config: Any) -> None:
        super().__init__(model, config)
        _check_optimizers(self.config)
        first = self.config.get("generator_first") or False
        if not isinstance(first, bool):
            raise ConfigError(f"generator_first must be true or false, not {first!r}")
        self.turns = TURNS if first else TURNS[::-1]

    def call_model(self, batch: Any, **more: Any) -> ForwardResult:
        """Call the model for one turn, or without `forward_generator` for both."""
        if more:
            return super().call_model(batch, **more)
        return joined({turn: self.take_turn(batch, turn) for turn in self.turns})

    def take_turn(self, batch: Any, turn: str) -> ForwardResult:
        """Call the model for the loss of one turn."""
        return super().call_model(batch, forward_generator=turn == TURNS[0])

    def _read_result(self, value: Any, batch_size: int, **more: Any) -> ForwardResult:
        name = f"{type(self.model).__module__}.{type(self.model).__qualname__}.forward"
        if not isinstance(value, Mapping) or "optim_idx" not in value:
            what = f"a dict of {', '.join(map(str, value))}" if isinstance(value, Mapping) else type(value).__name__
            raise ForwardResultError(
                f"{name} returned {what}. A GAN model returns a dict with loss, stats, weight and optim_idx"
            )
        turn = TURNS[0] if more["forward_generator"] else TURNS[1]
        index = int(value["optim_idx"])
        if index != TURNS.index(turn):
            raise ForwardResultError(
                f"{name} returned optim_idx {index} when it was asked for the {turn}'s loss, which is "
                f"{TURNS.index(turn)}; look at what it does with forward_generator"
            )
        result = read_forward_result(
            {key: entry for key, entry in value.items() if key != "optim_idx"}, self.model, batch_size
        )
        if not isinstance(result.losses, torch.Tensor):
            raise ForwardResultError(f"{name} returned several losses; in a turn there is one, the {turn}'s")
        return result


def joined(results: Mapping[str, ForwardResult]) -> ForwardResult:
    """Give the results of both turns as one; a name that both log is kept apart by that of the second turn."""
    stats: dict[str, torch.Tensor] = {}
    for turn in TURNS:
        own = {key: value for key, value in results[turn].stats.items() if key != "loss"}
        stats.update({f"{turn}_{key}" if key in stats else key: value for key, value in own.items()})
    for turn in TURNS:
        stats[f"{turn}_loss"] = results[turn].stats["loss"]
    first = results[TURNS[0]]
    steps = [OptimizationStep(results[turn].total, turn) for turn in TURNS]
    return ForwardResult(steps, {**stats, "loss": first.stats["loss"]}, first.weight)


def _check_optimizers(config: Mapping[str, Any]) -> None:
    named = list(config.get("optimizers") or ())
    if not named:
        raise ConfigError(
            "a GAN model trains with two optimizers by name, optimizers.generator and optimizers.discriminator; "
            f"the config has {'optimizer' if config.get('optimizer') else 'none'}",
            key="optimizer" if config.get("optimizer") else None,
        )
    for name in named:
        if name not in TURNS:
            raise ConfigError(
                f"optimizers.{name}: the optimizers of a GAN model are generator and discriminator"
                f"{did_you_mean(str(name), TURNS)}",
                key=f"optimizers.{name}",
            )
    lacking = [turn for turn in TURNS if turn not in named]
    if lacking:
        raise ConfigError(f"optimizers has no {lacking[0]}; a GAN model needs generator and discriminator")
