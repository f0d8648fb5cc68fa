"""The system of speech synthesis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from espnet3.systems.base.system import BaseSystem

if TYPE_CHECKING:
    import torch
    from omegaconf import DictConfig


class TTSSystem(BaseSystem):
    """The base system, whose stage `train` trains GAN models in turns; see `BaseSystem` for its arguments.

    Names and configs of the stages stay as they are. A model that is no GAN is trained as by every other system. The
    stage `collect_stats` needs nothing of its own here: it has no trainer, and asks a GAN model for its features
    (`collect_feats`) as it asks any other.
    """

    def _build_trainer(self, config: DictConfig, model: torch.nn.Module) -> Any:
        """Build the trainer: `GANTTSLightningTrainer` for a GAN model, else the usual one."""
        from espnet3.systems.tts.gan_model import is_gan_model
        from espnet3.systems.tts.gan_trainer import build_gan_trainer

        if is_gan_model(model):
            return build_gan_trainer(config, model)
        return super()._build_trainer(config, model)
