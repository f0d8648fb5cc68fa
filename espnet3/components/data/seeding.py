"""Randomness as a function of where a training stands.

Every source of randomness (Python's `random`, numpy, torch) is set from the numbers (seed, epoch, batch), in
the data workers as in the training process. What is drawn for batch 7 of epoch 3 then depends neither on the
number of workers nor on what was drawn before, and a training that is taken up at that batch draws the same.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derive_seed(*parts: int | str) -> int:
    """Mix numbers and words into one seed of 63 bits, the same on every machine."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seed_all(seed: int) -> None:
    """Set the generators of Python, numpy and torch (on every device)."""
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    torch.manual_seed(seed)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block on the CPU's generators set to `seed`, and put back afterwards what was there."""
    python_state, numpy_state, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)
