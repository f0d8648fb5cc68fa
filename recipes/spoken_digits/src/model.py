"""A small recogniser: log mel spectra, strided convolutions, a bidirectional GRU, CTC.

Shapes: B utterances, S samples, T frames, M mel bands, H hidden units, L labels, V symbols with the blank.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from src.features import LogMel, frame_mask

BLANK = 0

# How far the mel axis is stretched in training; 1 is the speaker as recorded.
_STRETCHES = (0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15)


class CTCRecognizer(nn.Module):
    """Speech to symbols, trained with connectionist temporal classification (Graves et al., 2006).

    What it says of an utterance does not depend on the padding that its batch gives it.

    Args:
        n_mels: Number of mel bands, M.
        hidden_size: Width of the convolutions, H; the GRU has half of it in each direction.
        vocab_size: Number of symbols with the blank, V; the blank is number 0.
        sample_rate: Of the speech, in Hz.
        dropout: Share of hidden values set to zero in training.
        masked_mels: The most neighbouring mel bands hidden in training (two such bands an utterance).
        masked_frames: The most neighbouring frames hidden in training (two such spans an utterance).
    """

    def __init__(
        self,
        n_mels: int,
        hidden_size: int,
        vocab_size: int,
        sample_rate: int = 16_000,
        dropout: float = 0.1,
        masked_mels: int = 12,
        masked_frames: int = 6,
    ) -> None:
        super().__init__()
        if hidden_size % 2:
            raise ValueError(f"hidden_size = {hidden_size}: it is shared by two directions and must be even")
        self.features = LogMel(n_mels, sample_rate, _STRETCHES)
        self.masked_mels = masked_mels
        self.masked_frames = masked_frames
        self.convolutions = nn.ModuleList(
            [_Halving(n_mels, hidden_size, dropout), _Halving(hidden_size, hidden_size, dropout)]
        )
        self.gru = nn.GRU(hidden_size, hidden_size // 2, bidirectional=True, batch_first=True)
        self.dropout = nn.Dropout(dropout)
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
        labels = text.clamp(min=BLANK)
        batch = len(speech)
        loss = self.ctc(log_probs.transpose(0, 1), labels, lengths, text_lengths) / batch
        return loss, {"loss": loss.detach()}, torch.tensor(batch, device=loss.device)

    def encode(self, speech: Tensor, speech_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log probabilities of the symbols, float32[B, T, V], and the frames int64[B].

        Args:
            speech: float32[B, S], padded.
            speech_lengths: int64[B], in samples.
        """
        hidden, lengths = self.features(speech, speech_lengths)
        if self.training:
            hidden = _hide_spans(hidden, self.masked_frames, dim=1)
            hidden = _hide_spans(hidden, self.masked_mels, dim=2)
        for halving in self.convolutions:
            hidden, lengths = halving(hidden, lengths)
        packed = pack_padded_sequence(hidden, lengths.cpu(), batch_first=True, enforce_sorted=False)
        packed, _ = self.gru(packed)
        hidden, _ = pad_packed_sequence(packed, batch_first=True)
        return self.head(self.dropout(hidden)).log_softmax(-1), lengths

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


class _Halving(nn.Module):
    """A convolution over time that keeps every other frame, layer norm, ReLU and dropout."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(inputs, outputs, kernel_size=5, stride=2, padding=2)
        self.norm = nn.LayerNorm(outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """float32[B, T, inputs], zero behind the ends, to float32[B, ceil(T / 2), outputs], and its lengths."""
        hidden = self.convolution(hidden.transpose(1, 2)).transpose(1, 2)
        lengths = (lengths + 1) // 2
        hidden = self.dropout(self.norm(hidden).relu())
        # The next convolution must see zeros behind the end, as it does for an utterance on its own.
        return hidden * frame_mask(lengths, hidden.shape[1])[..., None], lengths


def _hide_spans(spectra: Tensor, longest: int, dim: int) -> Tensor:
    """Set two random spans along `dim` of float32[B, T, M] to zero, which is the utterance's mean.

    It is the masking of SpecAugment (Park et al., 2019).
    """
    size = spectra.shape[dim]
    place = torch.arange(size, device=spectra.device)
    keep = torch.ones(len(spectra), size, dtype=torch.bool, device=spectra.device)
    for _ in range(2):
        length = torch.randint(0, longest + 1, (len(spectra), 1), device=spectra.device)
        start = torch.randint(0, size, (len(spectra), 1), device=spectra.device)
        keep &= (place < start) | (place >= start + length)
    return spectra * (keep[:, :, None] if dim == 1 else keep[:, None, :])
