"""The two players: a generator that makes sound of spectra, and a discriminator that hears what was made.

Shapes: B segments, S samples, T frames, M mel bands, C channels.
"""

from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

_SLOPE = 0.1


class Generator(nn.Module):
    """Transposed convolutions from frames to samples, as in MelGAN (Kumar et al., 2019) and HiFi-GAN (Kong et al., 2020).

    Args:
        n_mels: Number of mel bands, M.
        channels: Channels of the first layer, C; each step towards the samples halves them.
        steps: By how much each transposed convolution lengthens the sequence; their product is the hop of the mel
            spectra.
    """

    def __init__(self, n_mels: int, channels: int, steps: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = [weight_norm(nn.Conv1d(n_mels, channels, 7, padding=3))]
        for step in steps:
            lengthen = nn.ConvTranspose1d(channels, channels // 2, 2 * step, stride=step, padding=step // 2)
            channels //= 2
            layers += [nn.LeakyReLU(_SLOPE), weight_norm(lengthen)]
            layers += [_Residual(channels, dilation) for dilation in (1, 3, 9)]
        layers += [nn.LeakyReLU(_SLOPE), weight_norm(nn.Conv1d(channels, 1, 7, padding=3)), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, mel: Tensor) -> Tensor:
        """float32[B, M, T] to float32[B, S] within [-1, 1]."""
        return self.layers(mel)[:, 0]


class Discriminator(nn.Module):
    """Says of each stretch of sound whether it was recorded, at full and at half rate.

    Args:
        channels: Channels of the first layer, C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList([_Scale(channels), _Scale(channels)])
        self.halve = nn.AvgPool1d(4, stride=2, padding=1, count_include_pad=False)

    def forward(self, sound: Tensor) -> list[list[Tensor]]:
        """The outputs of all layers at each scale for float32[B, S]; the last one of a scale are its scores."""
        hidden = sound[:, None]
        outputs = []
        for number, scale in enumerate(self.scales):
            hidden = self.halve(hidden) if number else hidden
            outputs.append(scale(hidden))
        return outputs


class _Residual(nn.Module):
    """Two convolutions whose result is added to what went in."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.wide = weight_norm(nn.Conv1d(channels, channels, 3, dilation=dilation, padding=dilation))
        self.near = weight_norm(nn.Conv1d(channels, channels, 1))

    def forward(self, hidden: Tensor) -> Tensor:
        activated = nn.functional.leaky_relu(hidden, _SLOPE)
        return hidden + self.near(nn.functional.leaky_relu(self.wide(activated), _SLOPE))


class _Scale(nn.Module):
    """Strided convolutions at one rate; float32[B, 1, S] to the outputs of all layers."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 4 * channels
        self.layers = nn.ModuleList(
            [
                weight_norm(nn.Conv1d(1, channels, 15, padding=7)),
                weight_norm(nn.Conv1d(channels, 2 * channels, 21, stride=4, padding=10, groups=4)),
                weight_norm(nn.Conv1d(2 * channels, wide, 21, stride=4, padding=10, groups=8)),
                weight_norm(nn.Conv1d(wide, wide, 5, padding=2)),
                weight_norm(nn.Conv1d(wide, 1, 3, padding=1)),
            ]
        )

    def forward(self, hidden: Tensor) -> list[Tensor]:
        outputs = []
        for number, layer in enumerate(self.layers):
            hidden = layer(hidden)
            if number + 1 < len(self.layers):
                hidden = nn.functional.leaky_relu(hidden, _SLOPE)
            outputs.append(hidden)
        return outputs
