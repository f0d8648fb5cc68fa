"""What a GAN model is: two losses from one `forward`, asked for in turns."""

import sys
from abc import ABC, abstractmethod
from typing import Any

import torch

# The turns by the `optim_idx` of their result; each is the name of its optimizer.
TURNS = ("generator", "discriminator")
_ESPNET2 = ("espnet2.train.abs_gan_espnet_model", "AbsGANESPnetModel")


class AbsGANModel(torch.nn.Module, ABC):
    """A model of a generator and a discriminator that learn from each other (Goodfellow et al., 2014).

    ESPnet2's `AbsGANESPnetModel` has the same contract.
    """

    @abstractmethod
    def forward(self, forward_generator: bool = True, **batch: Any) -> dict[str, Any]:
        """Give the loss of one turn.

        Args:
            forward_generator: Whether the generator's loss is asked for, or the discriminator's.
            batch: The fields of the batch. An override may name those that it needs.

        Returns:
            `loss` (a scalar tensor), `stats` (numbers to log, by name), `weight` (how much the batch counts in the
            mean of an epoch, usually its size) and `optim_idx` (0 for the generator, 1 for the discriminator).
        """


def is_gan_model(model: Any) -> bool:
    """Say whether a model is an `AbsGANModel` or an `AbsGANESPnetModel` of ESPnet2.

    ESPnet2 is not imported for it: whoever has made such a model has done that.
    """
    module, name = _ESPNET2
    theirs = getattr(sys.modules.get(module), name, None)
    return isinstance(model, AbsGANModel) or (theirs is not None and isinstance(model, theirs))
