"""The trainer of GAN models."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from espnet3.components.modeling.lightning_module import ESPnetLightningModule
from espnet3.components.modeling.model_with_data import exp_dir_of
from espnet3.components.trainers.trainer import ESPnet3LightningTrainer
from espnet3.systems.tts.gan_module import GANLightningModule
from espnet3.utils.errors import ConfigError


class GANTTSLightningTrainer(ESPnet3LightningTrainer):
    """Trains a GAN model in turns of generator and discriminator, in an experiment's folder.

    Checkpoints, resuming, logs and curves are those of `ESPnet3LightningTrainer`.

    Args:
        model: A `GANLightningModule`, which takes the turns.
        exp_dir, config, best_model_criterion: As in `ESPnet3LightningTrainer`.

    Raises:
        ConfigError: The module is none for GAN models, or a key of the config does not fit.
    """

    def __init__(
        self,
        model: ESPnetLightningModule | None = None,
        exp_dir: str | Path | None = None,
        config: DictConfig | Namespace | dict[str, Any] | None = None,
        best_model_criterion: Sequence[Sequence[Any]] | None = None,
    ) -> None:
        if not isinstance(model, GANLightningModule):
            raise ConfigError(
                f"the GAN trainer needs a GANLightningModule(model, config), not {type(model).__qualname__}"
            )
        super().__init__(model, exp_dir, config, best_model_criterion)


def build_gan_trainer(config: DictConfig, model: torch.nn.Module) -> GANTTSLightningTrainer:
    """Build the trainer of a GAN model.

    Args:
        config: The training config; `optimizers` has a `generator` and a `discriminator`.
        model: The GAN model.

    Raises:
        ConfigError: A key of the config does not fit.
    """
    return GANTTSLightningTrainer(GANLightningModule(model, config), exp_dir_of(config), config)
