"""Logs of a run: where they go and what stands at their head.

Logs go to files. The console belongs to `esp3rt.progress`.
"""

from __future__ import annotations

import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

_CLUSTER_PREFIXES = ("SLURM_", "PBS_", "SGE_", "LSB_")
_RUNTIME_PREFIXES = ("CUDA_", "NCCL_", "OMP_", "MKL_", "TORCH_", "HYDRA_")
_RUNTIME_KEYS = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "NO_COLOR")
# SLURM hands a job its key in SLURM_JWT; a log is read by others.
_SECRET = ("JWT", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL", "API_KEY")

_log_format = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_date_format = "%Y-%m-%d %H:%M:%S"
# The handler that set_stage_log_handler has put in place.
_stage_handler: logging.FileHandler | None = None


@contextmanager
def log_stage(name: str) -> Iterator[None]:
    """Frame the logs of a stage: a line at its begin, and one at its end that says how long it took."""
    log = logging.getLogger("espnet3")
    log.info("=== stage %s begins", name)
    start = time.monotonic()
    try:
        yield
    except BaseException as error:
        log.info("=== stage %s: %s after %.1f s", name, type(error).__name__, time.monotonic() - start)
        raise
    log.info("=== stage %s is done after %.1f s", name, time.monotonic() - start)


@contextmanager
def stage_log_file(path: Path | None) -> Iterator[None]:
    """Send all logs and warnings of this process to the file `path` and none to the console, for a while.

    Handlers that write to the console are set aside and put back at the end. Lines are added to a file that
    exists. With None, logs are kept off the console and not written.
    """
    root = logging.getLogger()
    level, showwarning = root.level, _warnings_hook()
    handler: logging.Handler = logging.NullHandler()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
        handler.setFormatter(logging.Formatter(_log_format, _date_format))
    set_aside = _set_console_handlers_aside()
    root.addHandler(handler)
    root.setLevel(min(level, logging.INFO) if level else logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        if _warnings_hook() is not showwarning:
            logging.captureWarnings(False)
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()
        for logger, handlers, propagate in set_aside:
            for entry in handlers:
                logger.addHandler(entry)
            logger.propagate = propagate


def _warnings_hook() -> Any:
    """The function that shows warnings now."""
    import warnings

    return warnings.showwarning


def log_stage_metadata(logger: logging.Logger, system: Any, args: argparse.Namespace | None) -> None:
    """Write which system runs, with which configs and command line."""
    logger.info("system: %s", build_qualified_name(system))
    for name, value in sorted(vars(args).items()) if args is not None else []:
        if value is not None:
            logger.info("argument %s: %s", name, value)
    exp_dir = getattr(system, "exp_dir", None)
    if exp_dir is not None:
        logger.info("experiment: %s", exp_dir)


def set_log_format(log_format: str | None = None, date_format: str | None = None, apply: bool = True) -> None:
    """Change how lines of logs look.

    Args:
        log_format: A format of `logging`; None keeps the present one.
        date_format: A format of `time.strftime`; None keeps the present one.
        apply: Change the handlers that are in place too, not only those to come.
    """
    global _log_format, _date_format
    _log_format = _log_format if log_format is None else log_format
    _date_format = _date_format if date_format is None else date_format
    if apply:
        formatter = logging.Formatter(_log_format, _date_format)
        for handler in logging.getLogger().handlers:
            handler.setFormatter(formatter)


def configure_logging(
    log_dir: Path | None = None, level: int = logging.INFO, filename: str = "run.log"
) -> logging.Logger:
    """Set the level of the framework's logs and, with a `log_dir`, write all logs to a file in it.

    Calling it again with the same file changes nothing but the level.

    Returns:
        The framework's logger.
    """
    root = logging.getLogger()
    root.setLevel(level)
    if log_dir is not None:
        _add_file_handler(Path(log_dir) / filename)
    return logging.getLogger("espnet3")


def set_stage_log_handler(log_dir: Path | None, filename: str) -> Path | None:
    """Write all logs to `<log_dir>/<filename>` from now on, in the place of the file that was set before.

    Returns:
        The path of the file; None, after taking the file before away, if `log_dir` is None.
    """
    global _stage_handler
    if _stage_handler is not None:
        logging.getLogger().removeHandler(_stage_handler)
        _stage_handler.close()
        _stage_handler = None
    if log_dir is None:
        return None
    path = Path(log_dir) / filename
    _stage_handler = _add_file_handler(path)
    return path


def get_git_metadata(cwd: Path | None = None) -> dict[str, str]:
    """The commit, the branch and whether files differ from it ("clean" or "dirty"); {} outside of a git
    checkout."""
    commit = _git(cwd, "rev-parse", "HEAD")
    if commit is None:
        return {}
    changes = _git(cwd, "status", "--porcelain")
    return {
        "commit": commit,
        "branch": _git(cwd, "rev-parse", "--abbrev-ref", "HEAD") or "",
        "state": "dirty" if changes else "clean",
    }


def log_run_metadata(
    logger: logging.Logger,
    argv: Iterable[str] | None = None,
    configs: Mapping[str, Path | None] | None = None,
    write_requirements: bool = False,
) -> None:
    """Write how the run was started: command line, folder, Python, machine, commit, config files.

    Args:
        logger: Where to.
        argv: The command line; that of this process by default.
        configs: Config files by name; their content is written too.
        write_requirements: Write the version of every installed package.
    """
    logger.info("command: %s", " ".join(sys.argv if argv is None else argv))
    logger.info("folder: %s", Path.cwd())
    logger.info("python: %s on %s (%s)", platform.python_version(), platform.node(), platform.platform())
    for key, value in get_git_metadata().items():
        logger.info("git %s: %s", key, value)
    for name, path in (configs or {}).items():
        if path is not None:
            logger.info("%s config %s:\n%s", name, path, Path(path).read_text(encoding="utf-8"))
    if write_requirements:
        logger.info("packages:\n%s", "\n".join(installed_packages()))


def write_requirements(path: Path) -> None:
    """Write each installed package as a line of `path`, in the form that `pip install -r` reads."""
    from esp3rt.files import write_text

    write_text(path, "".join(f"{line}\n" for line in installed_packages()))


def installed_packages() -> list[str]:
    """Each installed package as "name==version", sorted."""
    from importlib.metadata import distributions

    found = {dist.metadata["Name"]: dist.version for dist in distributions() if dist.metadata["Name"]}
    return [f"{name}=={found[name]}" for name in sorted(found, key=str.lower)]


def log_env_metadata(
    logger: logging.Logger,
    cluster_prefixes: Iterable[str] | None = None,
    runtime_prefixes: Iterable[str] | None = None,
    runtime_keys: Iterable[str] | None = None,
) -> None:
    """Write the environment variables that tell of the cluster and of the libraries' settings.

    Of a variable whose name speaks of a secret only the name is written.

    Args:
        logger: Where to.
        cluster_prefixes: How names of the cluster's variables begin.
        runtime_prefixes: How names of the libraries' variables begin.
        runtime_keys: Further names.
    """
    prefixes = (
        *(_CLUSTER_PREFIXES if cluster_prefixes is None else cluster_prefixes),
        *(_RUNTIME_PREFIXES if runtime_prefixes is None else runtime_prefixes),
    )
    keys = set(_RUNTIME_KEYS if runtime_keys is None else runtime_keys)
    for key in sorted(os.environ):
        if key in keys or key.startswith(prefixes):
            hidden = any(word in key.upper() for word in _SECRET)
            logger.info("environment %s=%s", key, "(not shown)" if hidden else os.environ[key])


def build_qualified_name(obj: object) -> str:
    """The module and name of the class of `obj`, or of `obj` itself if it is a class."""
    cls = obj if isinstance(obj, type) else type(obj)
    return f"{cls.__module__}.{cls.__qualname__}"


def build_callable_name(func: Any) -> str:
    """The module and name of a function, of what a `partial` wraps, or of the class of a callable
    object."""
    while hasattr(func, "func"):
        func = func.func
    if hasattr(func, "__qualname__"):
        return f"{func.__module__}.{func.__qualname__}"
    return build_qualified_name(func)


def log_component(logger: logging.Logger, kind: str, label: str, obj: Any, max_depth: int) -> None:
    """Write what `obj` is and, down to `max_depth` levels, what its public attributes are."""
    logger.info("%s %s: %s", kind, label, build_qualified_name(obj))
    for line in _described(obj, max_depth, "  "):
        logger.info("%s", line)


def log_instance_dict(logger: logging.Logger, kind: str, entries: dict[str, object], max_depth: int = 2) -> None:
    """Write each of several objects as `log_component` does."""
    for label, obj in entries.items():
        log_component(logger, kind, label, obj, max_depth)


def _described(obj: Any, depth: int, indent: str) -> Iterator[str]:
    attributes = getattr(obj, "__dict__", None)
    if depth <= 0 or not isinstance(attributes, dict) or isinstance(obj, type):
        return
    for name, value in attributes.items():
        if name.startswith("_"):
            continue
        if value is None or isinstance(value, str | int | float | bool):
            yield f"{indent}{name}: {value!r}"
        else:
            yield f"{indent}{name}: {build_callable_name(value)}"
            yield from _described(value, depth - 1, indent + "  ")


def _add_file_handler(path: Path) -> logging.FileHandler:
    root = logging.getLogger()
    for handler in root.handlers:
        if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename) == path.resolve():
            return handler
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path.resolve(), encoding="utf-8")
    handler.setFormatter(logging.Formatter(_log_format, _date_format))
    root.addHandler(handler)
    return handler


def _set_console_handlers_aside() -> list[tuple[logging.Logger, list[logging.Handler], bool]]:
    """Take handlers that write to the console off every logger that there is, and let their records go
    up."""
    found = []
    loggers = [entry for entry in logging.root.manager.loggerDict.values() if isinstance(entry, logging.Logger)]
    for logger in (logging.getLogger(), *loggers):
        handlers = [handler for handler in logger.handlers if _writes_to_console(handler)]
        if handlers:
            found.append((logger, handlers, logger.propagate))
            for handler in handlers:
                logger.removeHandler(handler)
            logger.propagate = True
    return found


def _writes_to_console(handler: logging.Handler) -> bool:
    # RichHandler and its like keep a console, which keeps the stream.
    stream = getattr(handler, "stream", None) or getattr(getattr(handler, "console", None), "file", None)
    return stream is not None and stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)


def _git(cwd: Path | None, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
