"""A small recogniser without recurrence: log mel spectra, convolution blocks, CTC.

Shapes: B utterances, S samples, T frames, M mel bands, H hidden units, L labels, V symbols with the blank.
"""

import math

import torch
from torch import Tensor, nn

BLANK = 0

# The power of a rounding error of 16-bit audio: below it there is nothing to hear.
_FLOOR = 1e-6
_FRAMES_A_STEP = 3


class Reader(nn.Module):
    """Speech to symbols, trained with connectionist temporal classification (Graves et al., 2006).

    `encoder` is the backbone, and `head` alone knows the symbols.

    Args:
        n_mels: Number of mel bands, M.
        hidden_size: Width of the backbone, H.
        vocab_size: Number of symbols with the blank, V; the blank is number 0.
        sample_rate: Of the speech, in Hz.
        dropout: Share of hidden values set to zero in training.
    """

    def __init__(
        self, n_mels: int, hidden_size: int, vocab_size: int, sample_rate: int = 16_000, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.features = LogMel(n_mels, sample_rate)
        self.encoder = Encoder(n_mels, hidden_size, dropout)
        self.head = nn.Linear(hidden_size, vocab_size)
        self.ctc = nn.CTCLoss(blank=BLANK, reduction="sum", zero_infinity=True)

    def forward(
        self, speech: Tensor, speech_lengths: Tensor, text: Tensor, text_lengths: Tensor
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """The loss of a batch.

        Args:
            speech: float32[B, S], padded.
            speech_lengths: int64[B], in samples.
            text: int64[B, L], symbols from 1 to V - 1, padded with -1.
            text_lengths: int64[B].

        Returns:
            The loss per utterance (a scalar), what to log of it, and the number of utterances.
        """
        if bool((text >= self.head.out_features).any()):
            # CTC would read beyond the end of its scores, and crash the process.
            raise ValueError(f"a symbol has number {int(text.max())}, but vocab_size is {self.head.out_features}")
        log_probs, lengths = self.encode(speech, speech_lengths)
        loss = self.ctc(log_probs.transpose(0, 1), text.clamp(min=BLANK), lengths, text_lengths) / len(speech)
        return loss, {"loss": loss.detach()}, torch.tensor(len(speech), device=loss.device)

    def encode(self, speech: Tensor, speech_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log probabilities of the symbols, float32[B, T, V], and the frames int64[B]."""
        hidden, lengths = self.encoder(*self.features(speech, speech_lengths))
        return self.head(hidden).log_softmax(-1), lengths


class LogMel(nn.Module):
    """Log mel spectra, each utterance's mean taken away, zero behind its end.

    The mel scale is O'Shaughnessy's (Speech Communication: Human and Machine, 1987).

    Args:
        n_mels: Number of mel bands, M.
        sample_rate: Of the speech, in Hz.
    """

    def __init__(self, n_mels: int, sample_rate: int) -> None:
        super().__init__()
        self.window_length = round(0.025 * sample_rate)
        self.hop = round(0.010 * sample_rate)
        self.n_fft = 1 << (self.window_length - 1).bit_length()
        self.register_buffer("window", torch.hann_window(self.window_length), persistent=False)
        self.register_buffer("filters", _mel_filters(n_mels, self.n_fft, sample_rate), persistent=False)
        self.window: Tensor
        self.filters: Tensor

    def forward(self, speech: Tensor, speech_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """float32[B, S] to float32[B, T, M], and the frames int64[B]."""
        lengths = ((speech_lengths - self.window_length) // self.hop + 1).clamp(min=1)
        speech = nn.functional.pad(speech, (0, max(0, self.window_length - speech.shape[1])))
        frames = speech.unfold(1, self.window_length, self.hop)[:, : int(lengths.max())]
        spectrum = torch.fft.rfft(frames * self.window, n=self.n_fft)
        valid = _mask(lengths, spectrum.shape[1])
        logs = (spectrum.abs().square() @ self.filters + _FLOOR).log() * valid
        mean = logs.sum(1, keepdim=True) / lengths[:, None, None]
        return (logs - mean) * valid, lengths


class Encoder(nn.Module):
    """A convolution that keeps every third frame, and residual blocks.

    Args:
        n_mels: Number of mel bands, M.
        hidden_size: Width, H.
        dropout: Share of hidden values set to zero in training.
        blocks: How many blocks.
    """

    def __init__(self, n_mels: int, hidden_size: int, dropout: float, blocks: int = 3) -> None:
        super().__init__()
        self.entry = nn.Conv1d(n_mels, hidden_size, kernel_size=5, stride=_FRAMES_A_STEP, padding=2)
        self.blocks = nn.ModuleList(Block(hidden_size, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(hidden_size)

    def forward(self, spectra: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """float32[B, T, M], zero behind the ends, to float32[B, ceil(T / 3), H], and its lengths."""
        hidden = self.entry(spectra.transpose(1, 2)).transpose(1, 2)
        lengths = (lengths + _FRAMES_A_STEP - 1) // _FRAMES_A_STEP
        valid = _mask(lengths, hidden.shape[1])
        hidden = hidden * valid
        for block in self.blocks:
            hidden = block(hidden) * valid
        return self.norm(hidden), lengths


class Block(nn.Module):
    """What is near in time is mixed by a convolution of each channel, and the channels by two linear layers.

    It is the block of ConvNeXt (Liu et al., 2022) in one dimension.
    """

    def __init__(self, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.near = nn.Conv1d(hidden_size, hidden_size, kernel_size=9, padding=4, groups=hidden_size)
        self.norm = nn.LayerNorm(hidden_size)
        self.wide = nn.Linear(hidden_size, 2 * hidden_size)
        self.narrow = nn.Linear(2 * hidden_size, hidden_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """float32[B, T, H] to the same shape."""
        mixed = self.norm(self.near(hidden.transpose(1, 2)).transpose(1, 2))
        return hidden + self.dropout(self.narrow(nn.functional.gelu(self.wide(mixed))))


def _mask(lengths: Tensor, frames: int) -> Tensor:
    return (torch.arange(frames, device=lengths.device) < lengths[:, None])[..., None].float()


def _mel_filters(n_mels: int, n_fft: int, sample_rate: int) -> Tensor:
    """Triangular filters whose centres lie evenly on the mel scale, float32[n_fft // 2 + 1, M]."""
    highest = 2595.0 * math.log10(1.0 + sample_rate / 2 / 700.0)
    mels = torch.linspace(0.0, highest, n_mels + 2)
    edges = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    bins = torch.arange(n_fft // 2 + 1)[:, None] * sample_rate / n_fft
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp(min=0.0)
