"""A GAN model as something that Lightning trains: each batch is a turn of the generator and one of the discriminator."""

from typing import Any

from espnet3.components.modeling.forward_result import ForwardResult
from espnet3.components.modeling.lightning_module import ESPnetLightningModule
from espnet3.components.modeling.optimization_spec import OptimizationStep
from espnet3.systems.tts.gan_turns import GANWithData, joined


class GANLightningModule(GANWithData, ESPnetLightningModule):
    """Trains a GAN model with the optimizers `generator` and `discriminator` of the config.

    In each turn the model is called with `forward_generator`, its loss goes back to the parameters of the turn's own
    optimizer, and these move before the next turn. Turns, accumulation, clipping and schedulers of each are those of
    its entries under `optimizers` and `schedulers`. The first turn is the discriminator's, as in ESPnet2, unless
    `generator_first` is true.

    Logged are the stats of both turns, weighted by the generator's `weight`, and `generator_loss`, `discriminator_loss`
    and `loss`, which is the generator's.

    Args:
        model: The GAN model. Its weights are saved under the prefix `model.`.
        config: The training config.

    Raises:
        ConfigError: `optimizers` are not those two, or `generator_first` is not true or false.
    """

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Take both turns on a batch; from a loss that is no finite number on, no weight is moved."""
        assert self._multi is not None
        results: dict[str, ForwardResult] = {}
        sound = learnt = True
        for turn in self.turns:
            # Asked also where nothing is learnt from it: the model may keep something from one turn for the next.
            result = results[turn] = self.take_turn(batch, turn)
            if sound and not self._is_finite(result.total):
                sound = False
                self._count_nan(f"the {turn}'s loss of batch {batch_idx} is {float(result.total)}")
            if sound:
                step = OptimizationStep(result.total, turn)
                learnt = self._multi.learn(self, [step]) and learnt
        self._multi.end_iteration()
        if not sound:
            return
        if learnt:
            self._nan_steps = 0
        both = joined(results)
        self.last_loss = both.stats["loss"]
        self.means["train"].add(both.stats, both.weight)
        self.log_dict({f"step/{key}": value for key, value in both.stats.items()}, on_step=True, on_epoch=False)
