"""The vocoder as a GAN model: the losses of its two turns.

Shapes: B segments, S samples.
"""

from typing import Any

import torch
from torch import Tensor

from espnet3.systems.tts.gan_model import AbsGANModel

from src.mel import LogMel
from src.networks import Discriminator, Generator

# One frame of the spectra for so many samples: the product of the generator's steps.
_STEPS = (8, 8)
_HOP = 64


class DigitsVocoder(AbsGANModel):
    """A small vocoder with the losses of HiFi-GAN (Kong et al., 2020): least squares, mel spectra, feature matching.

    Args:
        sample_rate: Of the speech, in Hz.
        n_mels: Number of mel bands.
        channels: Channels of the generator's first layer.
        mel_weight: How much the distance of the spectra counts in the generator's loss.
        feature_weight: How much the distance of the discriminator's layers counts in it.
    """

    def __init__(
        self,
        sample_rate: int,
        n_mels: int,
        channels: int,
        mel_weight: float = 45.0,
        feature_weight: float = 2.0,
    ) -> None:
        super().__init__()
        self.mel = LogMel(sample_rate, n_mels, _HOP)
        self.generator = Generator(n_mels, channels, _STEPS)
        self.discriminator = Discriminator(channels=16)
        self.mel_weight = mel_weight
        self.feature_weight = feature_weight

    def forward(self, forward_generator: bool = True, *, speech: Tensor, **batch: Any) -> dict[str, Any]:
        """The loss of one turn.

        Args:
            forward_generator: Whether the generator's loss is asked for, or the discriminator's.
            speech: float32[B, S]; S is a multiple of 64.
            batch: What else the batch holds, which is not used.
        """
        if forward_generator:
            loss, stats = self._generator_loss(speech)
        else:
            loss, stats = self._discriminator_loss(speech)
        return {"loss": loss, "stats": stats, "weight": len(speech), "optim_idx": 0 if forward_generator else 1}

    @torch.no_grad()
    def synthesize(self, speech: Tensor) -> Tensor:
        """Sound made of the spectra of float32[B, S]; as many samples as fill whole frames."""
        return self.generator(self.mel(speech))

    def _generator_loss(self, speech: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        target = self.mel(speech)
        made = self.generator(target)
        fake = self.discriminator(made)
        with torch.no_grad():
            real = self.discriminator(speech)
        adversarial = torch.stack([(1 - layers[-1]).square().mean() for layers in fake]).sum()
        features = torch.stack(
            [
                (ours - theirs).abs().mean()
                for layers, others in zip(fake, real, strict=True)
                for ours, theirs in zip(layers[:-1], others[:-1], strict=True)
            ]
        ).sum()
        distance = (self.mel(made) - target).abs().mean()
        loss = adversarial + self.feature_weight * features + self.mel_weight * distance
        stats = {"mel_loss": distance, "adversarial_loss": adversarial, "feature_loss": features}
        return loss, {name: value.detach() for name, value in stats.items()}

    def _discriminator_loss(self, speech: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        made = self.synthesize(speech)
        real = torch.stack([(1 - layers[-1]).square().mean() for layers in self.discriminator(speech)]).sum()
        fake = torch.stack([layers[-1].square().mean() for layers in self.discriminator(made)]).sum()
        return real + fake, {"real_loss": real.detach(), "fake_loss": fake.detach()}
