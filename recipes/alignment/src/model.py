"""A small model that says of each frame which half of which digit it is: log mel spectra and dilated convolutions.

Every digit has two states, its first and its second half, so that a digit said twice is two passes through them
(hidden Markov models, Rabiner, 1989); one more state is the pause. All of it is convolutions, matrices and ReLU, so
that every runtime of ONNX has what it takes.

Shapes: B utterances, S samples, T frames, M mel bands, H hidden units, C states.
"""

import math

import torch
from torch import Tensor, nn

from src.frames import frame_sizes
from src.labels import STATES

_LOWEST_HZ = 20.0
_FLOOR = 1e-6
# Log energies of speech between -1 and 1 lie about here.
_CENTRE, _SPREAD = -4.0, 4.0


class FrameReader(nn.Module):
    """Speech to the states of its frames, trained with cross entropy on an alignment.

    What it says of an utterance does not depend on the padding that its batch gives it.

    Args:
        n_mels: Number of mel bands, M.
        hidden_size: Width of the convolutions, H.
        sample_rate: Of the speech, in Hz.
        layers: Number of convolutions; each looks twice as far as the one before.
        dropout: Share of hidden values set to zero in training.
    """

    def __init__(
        self, n_mels: int, hidden_size: int, sample_rate: int = 16_000, layers: int = 4, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.window, self.hop = frame_sizes(sample_rate)
        self.spectrum = _Spectrum(self.window, self.hop)
        self.register_buffer("mel", _mel_bank(n_mels, self.window // 2 + 1, sample_rate))
        self.entry = nn.Conv1d(n_mels, hidden_size, kernel_size=1)
        self.convolutions = nn.ModuleList(
            [nn.Conv1d(hidden_size, hidden_size, 5, padding=2 * 2**step, dilation=2**step) for step in range(layers)]
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv1d(hidden_size, STATES, kernel_size=1)
        self.loss = nn.CrossEntropyLoss(ignore_index=-1)

    def forward(
        self, speech: Tensor, speech_lengths: Tensor, labels: Tensor, labels_lengths: Tensor
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """The loss of a batch.

        Args:
            speech: float32[B, S], padded.
            speech_lengths: int64[B], in samples.
            labels: int64[B, T], the state of each frame, padded with -1.
            labels_lengths: int64[B], in frames.

        Returns:
            The mean loss of a frame, what to log of it, and the number of frames.
        """
        scores = self.scores(speech, (speech_lengths - self.window) // self.hop + 1)
        loss = self.loss(scores.transpose(1, 2), labels)
        known = labels >= 0
        accuracy = (scores.argmax(-1) == labels)[known].float().mean()
        return loss, {"loss": loss.detach(), "accuracy": accuracy.detach()}, labels_lengths.sum()

    def scores(self, speech: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log probabilities of the states, float32[B, T, C].

        Args:
            speech: float32[B, S].
            lengths: int64[B], the frames of each utterance in a padded batch; all where absent.
        """
        mel = torch.einsum("bft,fm->bmt", self.spectrum(speech), self.mel)
        hidden = self.entry(((mel + _FLOOR).log() - _CENTRE) / _SPREAD).relu()
        # A convolution must see zeros behind an utterance's end, as it does for one on its own.
        keep = None if lengths is None else (torch.arange(hidden.shape[2], device=speech.device) < lengths[:, None])
        for convolution in self.convolutions:
            if keep is not None:
                hidden = hidden * keep[:, None]
            hidden = hidden + self.dropout(convolution(hidden).relu())
        return self.head(hidden).transpose(1, 2).log_softmax(-1)


class _Spectrum(nn.Module):
    """The power spectrum of each frame as two convolutions with the Fourier basis: any runtime has those."""

    def __init__(self, window: int, hop: int) -> None:
        super().__init__()
        self.hop = hop
        time = torch.arange(window, dtype=torch.float64)
        angle = 2.0 * math.pi * torch.arange(window // 2 + 1, dtype=torch.float64)[:, None] * time / window
        hann = torch.hann_window(window, dtype=torch.float64)
        self.register_buffer("cosine", (angle.cos() * hann)[:, None].float())
        self.register_buffer("sine", (angle.sin() * hann)[:, None].float())

    def forward(self, speech: Tensor) -> Tensor:
        """float32[B, S] to float32[B, window // 2 + 1, T]."""
        real = nn.functional.conv1d(speech[:, None], self.cosine, stride=self.hop)
        imaginary = nn.functional.conv1d(speech[:, None], self.sine, stride=self.hop)
        return real.square() + imaginary.square()


def _mel_bank(n_mels: int, bins: int, sample_rate: int) -> Tensor:
    """Triangular filters that lie evenly on the mel scale (O'Shaughnessy, 1987), float32[bins, M]."""
    lowest, highest = (2595.0 * math.log10(1.0 + hertz / 700.0) for hertz in (_LOWEST_HZ, sample_rate / 2))
    mels = torch.linspace(lowest, highest, n_mels + 2, dtype=torch.float64)
    edges = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    frequencies = torch.linspace(0.0, sample_rate / 2, bins, dtype=torch.float64)[:, None]
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp(min=0.0).float()
