"""Whether models that are built get the weights of earlier trainings.

They do, but where those would be thrown away: when a training is taken up from its own checkpoint, or a model is built
only to be asked something.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_wanted: ContextVar[bool] = ContextVar("pretrained_weights_wanted", default=True)


@contextmanager
def without_loading() -> Iterator[None]:
    """Let `load_pretrained` give models back as they were made, without a look at their checkpoints."""
    token = _wanted.set(False)
    try:
        yield
    finally:
        _wanted.reset(token)


def are_wanted() -> bool:
    """Whether `load_pretrained` shall load."""
    return _wanted.get()
