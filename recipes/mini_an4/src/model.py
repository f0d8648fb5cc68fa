"""A small recogniser: log mel spectra, two strided convolutions, a bidirectional GRU, CTC.

Shapes: B utterances, S samples, T frames, F bins of the Fourier transform, M mel bands, H hidden units, L labels,
V symbols with the blank.

The mel scale is O'Shaughnessy's (Speech Communication: Human and Machine, 1987): mel(f) = 2595 log10(1 + f / 700).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

BLANK = 0

_SAMPLE_RATE = 16_000
_WINDOW, _HOP, _N_FFT = 400, 160, 512
_LOWEST_HZ = 20.0
# The power of a rounding error of 16-bit audio: below it there is nothing to hear.
_FLOOR = 1e-6


class CTCRecognizer(nn.Module):
    """Speech to symbols, trained with connectionist temporal classification (Graves et al., 2006).

    What it says of an utterance does not depend on the padding that its batch gives it.

    Args:
        n_mels: Number of mel bands, M.
        hidden_size: Width of the convolutions, H; the GRU has half of it in each direction.
        vocab_size: Number of symbols with the blank, V; the blank is number 0.
    """

    def __init__(self, n_mels: int, hidden_size: int, vocab_size: int) -> None:
        super().__init__()
        if hidden_size % 2:
            raise ValueError(f"hidden_size = {hidden_size}: it is shared by two directions and must be even")
        self.register_buffer("window", torch.hann_window(_WINDOW, periodic=False), persistent=False)
        self.register_buffer("bank", mel_filterbank(n_mels), persistent=False)
        self.window: Tensor
        self.bank: Tensor
        self.first = nn.Conv1d(n_mels, hidden_size, kernel_size=5, stride=2, padding=2)
        self.second = nn.Conv1d(hidden_size, hidden_size, kernel_size=5, stride=2, padding=2)
        self.norm = nn.LayerNorm(hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size // 2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(hidden_size, vocab_size)
        self.ctc = nn.CTCLoss(blank=BLANK, reduction="sum", zero_infinity=True)

    def forward(
        self, speech: Tensor, speech_lengths: Tensor, text: Tensor, text_lengths: Tensor
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """The loss of a batch.

        Args:
            speech: float32[B, S], padded.
            speech_lengths: int64[B], in samples.
            text: int64[B, L], symbols from 1 to V - 1, padded with any numbers.
            text_lengths: int64[B].

        Returns:
            The loss per utterance (a scalar), what to log of it, and the number of utterances.
        """
        valid = torch.arange(text.shape[1], device=text.device) < text_lengths[:, None]
        if bool((text[valid] >= self.head.out_features).any()):
            # CTC would read beyond the end of its scores, and crash the process.
            raise ValueError(
                f"a symbol has number {int(text[valid].max())}, but vocab_size is {self.head.out_features}"
            )
        log_probs, lengths = self.encode(speech, speech_lengths)
        batch = len(speech)
        loss = self.ctc(log_probs.transpose(0, 1), text.clamp(min=BLANK), lengths, text_lengths) / batch
        return loss, {"loss": loss.detach()}, torch.tensor(batch, device=loss.device)

    def encode(self, speech: Tensor, speech_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log probabilities of the symbols, float32[B, T, V], and the frames int64[B].

        Args:
            speech: float32[B, S], padded.
            speech_lengths: int64[B], in samples.
        """
        hidden, lengths = self._log_mel(speech, speech_lengths)
        for convolution in (self.first, self.second):
            hidden = convolution(hidden.transpose(1, 2)).transpose(1, 2).relu()
            lengths = (lengths + 1) // 2
            # The next layer must see zeros behind the end, as it does for an utterance on its own.
            hidden = hidden * _mask(lengths, hidden.shape[1])
        packed = pack_padded_sequence(self.norm(hidden), lengths.cpu(), batch_first=True, enforce_sorted=False)
        hidden, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        return self.head(hidden).log_softmax(-1), lengths

    @torch.no_grad()
    def recognize(self, speech: Tensor, speech_lengths: Tensor) -> list[list[int]]:
        """The symbols of each utterance: the best one of each frame, repeats and blanks removed.

        Args:
            speech: float32[B, S], padded.
            speech_lengths: int64[B], in samples.
        """
        log_probs, lengths = self.encode(speech, speech_lengths)
        best = log_probs.argmax(-1)
        paths = [path[:length].unique_consecutive() for path, length in zip(best, lengths, strict=True)]
        return [path[path != BLANK].tolist() for path in paths]

    def _log_mel(self, speech: Tensor, speech_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """float32[B, S] to float32[B, T, M], each utterance's mean taken away, and the frames int64[B]."""
        lengths = ((speech_lengths - _WINDOW) // _HOP + 1).clamp(min=1)
        samples = int((lengths.max() - 1) * _HOP + _WINDOW)
        speech = nn.functional.pad(speech, (0, max(0, samples - speech.shape[1])))[:, :samples]
        spectrum = torch.fft.rfft(speech.unfold(1, _WINDOW, _HOP) * self.window, n=_N_FFT)
        mel = (spectrum.real.square() + spectrum.imag.square()) @ self.bank
        valid = _mask(lengths, mel.shape[1])
        logs = (mel + _FLOOR).log() * valid
        return (logs - logs.sum(1, keepdim=True) / lengths[:, None, None]) * valid, lengths


def mel_filterbank(n_mels: int) -> Tensor:
    """Triangular filters whose centres lie evenly on the mel scale, float32[F, M], for 16 kHz."""
    lowest, highest = _mel(_LOWEST_HZ), _mel(_SAMPLE_RATE / 2)
    step = (highest - lowest) / (n_mels + 1)
    edges = torch.tensor([_hertz(lowest + step * band) for band in range(n_mels + 2)], dtype=torch.float32)
    bins = torch.arange(_N_FFT // 2 + 1, dtype=torch.float32)[:, None] * _SAMPLE_RATE / _N_FFT
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    return torch.minimum(rising, falling).clamp(min=0.0)


def _mask(lengths: Tensor, frames: int) -> Tensor:
    """bool[B, frames, 1]: which frames lie within each utterance."""
    return (torch.arange(frames, device=lengths.device) < lengths[:, None])[..., None]


def _mel(hertz: float) -> float:
    return 2595.0 * math.log10(1.0 + hertz / 700.0)


def _hertz(mel: float) -> float:
    return 700.0 * (math.pow(10.0, mel / 2595.0) - 1.0)
