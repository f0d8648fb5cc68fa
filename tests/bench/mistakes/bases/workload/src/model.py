"""A small network over spectra."""

import torch
from torch import Tensor, nn


class Tagger(nn.Module):
    """Spectra to tags."""

    def __init__(self, n_tags: int, width: int = 32, bands: int = 64) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(bands, width), nn.ReLU())
        self.head = nn.Linear(width, n_tags)

    def forward(self, spectrum: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        loss = nn.functional.cross_entropy(self.head(self.body(spectrum)), label)
        return loss, {"loss": loss.detach()}, torch.tensor(len(spectrum))
