"""The errors that tell a user what to change.

```
ValueError
├── UserError             something that the user wrote does not fit
│   ├── ConfigError       a config file, a key or a value in it
│   ├── MissingConfigError  a stage was asked for without a config that it needs
│   ├── StageError        a stage name, or where a stage is to run
│   ├── RunnerError       a provider or a runner breaks its contract
│   └── OutputError       what inference gave, or what a metric was to read
```
"""

from collections.abc import Iterable
from typing import Any


class UserError(ValueError):
    """Something that the user wrote does not fit; the message says what, where and what to do.

    Attributes:
        key: The key of the config at fault ("trainer.max_epochs"), where it is known. Without one, a key with which
            the message begins is taken.
        config: The whole config that has the key, where it is not the one that the stage works with.
    """

    def __init__(self, message: str = "", *, key: str | None = None, config: Any = None) -> None:
        super().__init__(message)
        self.key = key
        self.config = config


class ConfigError(UserError):
    """A config file, a key or a value in it is wrong."""


class MissingConfigError(UserError):
    """A stage was asked for without a config that it needs."""


class StageError(UserError):
    """A stage name is unknown, or a stage is to run where this version cannot send it."""


class RunnerError(UserError):
    """A provider or a runner breaks its contract."""


class OutputError(UserError):
    """An output of inference cannot be written, or a metric finds no input that fits."""


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """The words "; did you mean 'x'?" for the choice nearest to `name`, or "" when none is near."""
    from difflib import get_close_matches

    there = list(choices)
    near = get_close_matches(name, there, n=1, cutoff=0.6)
    if not near and len(name) >= 3:
        # A short name for a long one ("ref" for "reference") is near, although few letters agree.
        near = [other for other in there if len(other) >= 3 and (other in name or name in other)]
    return f"; did you mean {near[0]!r}?" if near else ""


def listed(names: Iterable[object]) -> str:
    """`names` in quotes and separated by commas, or "none"."""
    return ", ".join(repr(str(name)) for name in names) or "none"
