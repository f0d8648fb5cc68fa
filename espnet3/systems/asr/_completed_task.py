"""What ESPnet2's recognition tasks have in common here: settings are completed before they are used."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from espnet3.utils.task_utils import complete


class CompletedTask:
    """A task of ESPnet2 for settings as they stand in a training config; stands before ESPnet2's class among the bases.

    Settings that are left out have the defaults of ESPnet2's command line; `token_list` may be a list or a file with a
    token a line.
    """

    num_optimizers: int = 1

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Tell a parser the task's settings: those of the model and of the preprocessor."""
        # ESPnet2 adds to a list that its own parser brings.
        if parser.get_default("required") is None:
            parser.set_defaults(required=[])
        super().add_task_arguments(parser)  # type: ignore[misc]

    @classmethod
    def build_collate_fn(cls, args: argparse.Namespace, train: bool) -> Callable[..., Any]:
        """Make the function from samples `(uid, dict)` to `(uids, batch)`; labels are padded with -1."""
        return super().build_collate_fn(args, train)  # type: ignore[misc, no-any-return]

    @classmethod
    def build_preprocess_fn(cls, args: argparse.Namespace, train: bool) -> Callable[..., Any] | None:
        """Make the function `(uid, dict) -> dict` that turns texts into numbers of tokens.

        Args:
            args: Settings; those left out are added.
            train: Whether speech is augmented as in training.

        Returns:
            The preprocessor; None where `use_preprocessor` is false.

        Raises:
            ConfigError: A setting does not fit.
        """
        return super().build_preprocess_fn(complete(cls, args), train)  # type: ignore[misc, no-any-return]

    @classmethod
    def required_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        """The fields that every sample has: `speech`, and unless for inference `text`."""
        return tuple(super().required_data_names(train, inference))  # type: ignore[misc]

    @classmethod
    def optional_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        """The fields that a sample may have besides."""
        return tuple(super().optional_data_names(train, inference))  # type: ignore[misc]

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> Any:
        """Build the model.

        Args:
            args: Settings; those left out are added, and `token_list` becomes a list.

        Raises:
            ConfigError: A setting is misspelt or names a class that is not there.
        """
        return super().build_model(complete(cls, args))  # type: ignore[misc]
