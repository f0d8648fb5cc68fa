"""Lightning's talk goes to the logs, not to the console."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("lightning", "lightning.pytorch", "lightning.fabric", "lightning_fabric", "py.warnings")


@contextmanager
def quiet_console() -> Iterator[None]:
    """Run a block in which Lightning's lines and Python's warnings reach only the root logger's handlers."""
    taken: list[tuple[logging.Logger, list[logging.Handler], bool]] = []
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        taken.append((logger, list(logger.handlers), logger.propagate))
        logger.handlers = [logging.NullHandler()]
        logger.propagate = True
    # `captureWarnings` works by this hook, and a second call of it would do nothing.
    shown = warnings.showwarning
    try:
        with warnings.catch_warnings():
            # Who trains together is decided here, whether there is a SLURM or not.
            warnings.filterwarnings("ignore", message="The `srun` command is available on your system but is not used")
            warnings.showwarning = _to_log
            yield
    finally:
        warnings.showwarning = shown
        for logger, handlers, propagate in taken:
            logger.handlers, logger.propagate = handlers, propagate


def _to_log(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    text = str(message).strip().replace("\n", " ")
    logging.getLogger("py.warnings").warning("%s:%d: %s: %s", filename, lineno, category.__name__, text)
