"""A small reader of speech: log spectra in bands, strided convolutions, a GRU, CTC.

Shapes: B utterances, S samples, T frames, M bands, H hidden units, L labels, V symbols with the blank.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from src.text import BLANK

_N_FFT, _HOP = 512, 160
_FLOOR = 1e-6


class CTCReader(nn.Module):
    """Speech to symbols, trained with connectionist temporal classification (Graves et al., 2006).

    Args:
        n_bands: Number of frequency bands, M. They are narrow below and wide above, as the ear's are.
        hidden_size: Width of the convolutions, H; the GRU has half of it in each direction.
        vocab_size: Number of symbols with the blank, V; the blank is number 0.
    """

    def __init__(self, n_bands: int, hidden_size: int, vocab_size: int) -> None:
        super().__init__()
        edges = torch.logspace(0.6, 2.4, n_bands + 1).long().clamp(max=_N_FFT // 2)
        bands = torch.zeros(_N_FFT // 2 + 1, n_bands)
        for band, (low, high) in enumerate(pairwise(edges)):
            bands[low : max(high, low + 1), band] = 1.0 / max(high - low, 1)
        self.register_buffer("bands", bands)
        self.register_buffer("window", torch.hann_window(_N_FFT))
        self.first = nn.Conv1d(n_bands, hidden_size, 5, stride=2, padding=2)
        self.second = nn.Conv1d(hidden_size, hidden_size, 5, stride=2, padding=2)
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
            text: int64[B, L], symbols from 1 to V - 1, padded with any number below V.
            text_lengths: int64[B].

        Returns:
            The loss per utterance (a scalar), what to log of it, and the number of utterances.

        Raises:
            ValueError: A symbol is not among the V.
        """
        if int(text.max()) >= self.head.out_features:
            # CTC would read beyond the end of its scores, and go on with what is there.
            raise ValueError(f"a symbol has number {int(text.max())}, but vocab_size is {self.head.out_features}")
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
        spectrum = torch.stft(speech, _N_FFT, _HOP, window=self.window, center=False, return_complex=True)
        power = spectrum.real.square() + spectrum.imag.square()
        hidden = torch.einsum("bft,fm->bmt", power, self.bands).add(_FLOOR).log()
        lengths = (speech_lengths - _N_FFT) // _HOP + 1
        keep = _mask(lengths, hidden)
        mean = (hidden * keep).sum((1, 2), keepdim=True) / (lengths[:, None, None] * hidden.shape[1])
        hidden = (hidden - mean) / 4.0 * keep
        for convolution in (self.first, self.second):
            lengths = (lengths + 1) // 2
            hidden = convolution(hidden).relu()
            hidden = hidden * _mask(lengths, hidden)
        packed = pack_padded_sequence(hidden.transpose(1, 2), lengths.cpu(), batch_first=True, enforce_sorted=False)
        hidden, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        return self.head(hidden).log_softmax(-1), lengths


def _mask(lengths: Tensor, hidden: Tensor) -> Tensor:
    """bool[B, 1, T]: which frames of float32[B, H, T] lie within each utterance."""
    return (torch.arange(hidden.shape[2], device=lengths.device) < lengths[:, None])[:, None]
