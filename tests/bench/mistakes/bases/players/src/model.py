"""The generator, the discriminator, and their game."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from espnet3.components.modeling.optimization_spec import OptimizationStep


class Generator(nn.Module):
    """Mel spectra to speech, 160 samples a frame."""

    def __init__(self, bands: int, channels: Sequence[int]) -> None:
        super().__init__()
        widths = [bands, *channels]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.head = nn.Linear(widths[-1], 160)

    def forward(self, mel: Tensor) -> Tensor:
        for layer in self.layers:
            mel = layer(mel).relu()
        return self.head(mel).flatten(1)


class Discriminator(nn.Module):
    """Speech to scores, at several scales."""

    def __init__(self, scales: int = 1, kernel_size: int = 15) -> None:
        super().__init__()
        self.scales = nn.ModuleList(nn.Conv1d(1, 1, kernel_size, stride=scale + 1) for scale in range(scales))

    def forward(self, speech: Tensor) -> list[Tensor]:
        return [scale(speech[:, None]) for scale in self.scales]


class Players(nn.Module):
    """Both networks; `weights` are those of the generator's losses."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.weights = dict(weights)

    def forward(
        self, mel: Tensor, mel_lengths: Tensor, speech: Tensor, speech_lengths: Tensor
    ) -> tuple[list[OptimizationStep], dict[str, Tensor], Tensor]:
        made = self.generator(mel)[:, : speech.shape[1]]
        fooled = sum(((1 - score) ** 2).mean() for score in self.discriminator(made))
        matched = (made - speech[:, : made.shape[1]]).abs().mean()
        playing = self.weights["adversarial"] * fooled + self.weights["matching"] * matched
        judging = sum(
            ((1 - real) ** 2).mean() + (fake**2).mean()
            for real, fake in zip(self.discriminator(speech), self.discriminator(made.detach()), strict=True)
        )
        steps = [OptimizationStep(playing, "generator"), OptimizationStep(judging, "discriminator")]
        return steps, {"loss": playing.detach(), "judging": judging.detach()}, torch.tensor(len(mel))
