"""Whether data are the same as before, told by a few of their samples.

A config names the data but does not hold them: what `create_dataset` has built anew may have the same name and
the same number of samples.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from espnet3.components.data.seeding import derive_seed, seeded


def mark_of(dataset: Any) -> str:
    """Give a hash of the number of samples and of the content of four of them.

    They are loaded with randomness that depends on their place only.

    Args:
        dataset: Anything with `__len__`; of one that is not read by number, only the length counts.
    """
    count = len(dataset)
    digest = hashlib.sha256(str(count).encode())
    by_number = hasattr(dataset, "__getitem__") and not isinstance(dataset, Mapping)
    for place in sorted({0, count // 3, 2 * count // 3, count - 1}) if count and by_number else ():
        try:
            with seeded(derive_seed("measure", place)):
                sample = dataset[place]
        except Exception as error:
            error.add_note(f"item {place} of {count} could not be loaded")
            raise
        _add(digest, sample)
    return digest.hexdigest()


def _add(digest: Any, value: Any) -> None:
    if isinstance(value, Mapping):
        for key, entry in value.items():
            digest.update(repr(key).encode())
            _add(digest, entry)
        return
    if isinstance(value, list | tuple):
        for entry in value:
            _add(digest, entry)
        return
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        # numpy has no bfloat16.
        value = (value.double() if value.is_floating_point() else value).numpy()
    if isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"{value.dtype} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, str | bytes | int | float | np.generic | None):
        digest.update(repr(value).encode())
    else:
        # Never `repr`: it may hold an address.
        digest.update(type(value).__qualname__.encode())
