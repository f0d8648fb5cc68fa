"""Speech synthesis: the system and the training of GAN models."""

from typing import Any

from espnet3.components.trainers.own_trainers import announce


def _is_gan(model: Any) -> bool:
    from espnet3.systems.tts.gan_model import is_gan_model

    return is_gan_model(model)


def _build(config: Any, model: Any) -> Any:
    from espnet3.systems.tts.gan_trainer import build_gan_trainer

    return build_gan_trainer(config, model)


announce("gan", _is_gan, _build)
