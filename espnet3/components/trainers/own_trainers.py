"""Models that are not trained as others are, and who builds their trainers.

Whoever trains a model asks here, so that it gets its trainer wherever the training was started: by a system's stage, or
by `espnet3.systems.base.training.train` in a stage of a recipe's own. A package that has such models announces them in
its `__init__.py`, which is imported before any of its models can be.
"""

from collections.abc import Callable
from typing import Any

_announced: dict[str, tuple[Callable[[Any], bool], Callable[[Any, Any], Any]]] = {}


def announce(name: str, is_one: Callable[[Any], bool], build: Callable[[Any, Any], Any]) -> None:
    """Announce models of a kind.

    Args:
        name: The kind; a later announcement of the same name takes the place of an earlier one.
        is_one: Whether a model is of that kind.
        build: Builds an `ESPnet3LightningTrainer` of the training config and such a model.
    """
    _announced[name] = (is_one, build)


def builder_for(model: Any) -> Callable[[Any, Any], Any] | None:
    """What builds the trainer of a model; None where the usual one trains it."""
    return next((build for is_one, build in _announced.values() if is_one(model)), None)
