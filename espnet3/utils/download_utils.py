"""Fetching archives and unpacking them, so that a run that was killed goes on and a bad archive does no harm."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tarfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esp3rt.files import sync_folder
from esp3rt.progress import Progress, console_line
from espnet3.utils.logging_utils import configure_logging

if TYPE_CHECKING:
    from http.client import HTTPResponse

__all__ = ["DownloadError", "DownloadProgress", "download_url", "extract_targz", "setup_logger"]

_BLOCK = 1 << 18
_PATIENCE_SECONDS = 60.0
_ATTEMPTS = 4
_FIRST_WAIT_SECONDS = 1.0
_OK, _PARTIAL, _NOT_SATISFIABLE = 200, 206, 416
# What may be gone a moment later.
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class DownloadError(RuntimeError):
    """What was to be fetched or unpacked did not come whole; the message says what, from where and why."""


def setup_logger(name: str, log_dir: Path | None = None, level: int = logging.INFO) -> logging.Logger:
    """A logger of this name; with a `log_dir`, all logs are written to `<log_dir>/<name>.log` too."""
    if log_dir is not None:
        configure_logging(log_dir, level, f"{name}.log")
    logger = logging.getLogger(name)
    logger.setLevel(level)
    return logger


@dataclass
class DownloadProgress:
    """Says how far a download has come; it takes what `urllib.request.urlretrieve` gives its `reporthook`.

    Args:
        logger: Where to; the console where absent.
        name: What is fetched.
        step_percent: A line is written each time this much more has come.
    """

    logger: logging.Logger | None = None
    name: str = "download"
    step_percent: int = 5
    _said: int = field(default=-1, init=False, repr=False)

    def __call__(self, block_num: int, block_size: int, total_size: int) -> None:
        """Called after each block.

        Args:
            block_num: How many blocks have come.
            block_size: The size of a block in bytes.
            total_size: The size of the whole in bytes; not positive where it is not known.
        """
        if total_size <= 0:
            return
        percent = min(100, 100 * block_num * block_size // total_size)
        step = percent // max(1, self.step_percent)
        if step <= self._said:
            return
        self._said = step
        line = f"{self.name}: {percent}% of {_size(total_size)}"
        if self.logger is None:
            console_line(line)
        else:
            self.logger.info(line)


def download_url(url: str, dst_path: Path, logger: logging.Logger | None = None, step_percent: int = 5) -> None:
    """Fetch a file, unless it is there.

    What comes stands beside `dst_path` as `<name>.part` until it is whole. A download that was interrupted, or broken
    off by the other side, goes on from there, if the server says that the file is still the same; else it begins again.

    Args:
        url: An http, https or file address.
        dst_path: The file to make. Folders on the way are made.
        logger: Takes a line for each `step_percent`; the console shows the progress in any case.
        step_percent: How often.

    Raises:
        DownloadError: The address cannot be reached or has no such file, or less came than was said.
        ValueError: The address is of another kind.
    """
    if url.partition("://")[0].lower() not in ("http", "https", "file"):
        raise ValueError(f"{url!r} is no address to download from: it begins with https://, http:// or file://")
    path = Path(dst_path)
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with _alone(part):
        if path.is_file():
            return
        _fetch_patiently(url, part, path.name, logger, step_percent)
        os.replace(part, path)
        _mark_of(part).unlink(missing_ok=True)
        sync_folder(path.parent)


def extract_targz(archive_path: Path, dst_dir: Path, logger: logging.Logger | None = None) -> None:
    """Unpack a `.tar.gz` into a folder.

    The archive is unpacked beside `dst_dir` first and moved into it when it was whole. Members that would be written, or
    that point, outside of the folder are refused, and so are devices (PEP 706). What `dst_dir` has already is kept,
    except files that the archive brings.

    Args:
        archive_path: The archive.
        dst_dir: The folder; it is made.
        logger: Told what was unpacked.

    Raises:
        FileNotFoundError: There is no such archive.
        DownloadError: The archive is broken, or something in it leaves the folder. Nothing was unpacked.
    """
    if not hasattr(tarfile, "data_filter"):
        raise DownloadError(
            "archives are unpacked with Python 3.11.4 or newer: older ones cannot keep them in a folder"
        )
    archive, folder = Path(archive_path), Path(dst_dir)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.parent / f".{folder.name}.{os.getpid()}.unpacking"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir()
        with tarfile.open(archive, "r:gz") as tar, Progress(f"unpack {archive.name}", unit="files") as progress:
            for member in tar:
                tar.extract(member, fresh, filter="data")
                progress.advance()
        _move_into(fresh, folder)
    except tarfile.FilterError as error:
        raise DownloadError(
            f"{archive} is not unpacked, because something in it leaves its folder or is no plain file: {error}"
        ) from error
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, FileNotFoundError) and not archive.is_file():
            raise
        raise DownloadError(
            f"{archive} cannot be unpacked ({error}); remove it, so that it is fetched again, or free some space"
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    if logger is not None:
        logger.info("unpacked %s into %s", archive, folder)


def _fetch_patiently(url: str, part: Path, name: str, logger: logging.Logger | None, step_percent: int) -> None:
    """Fetch the whole of a file into `part`; what may be gone a moment later is tried again."""
    wait = _FIRST_WAIT_SECONDS
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _fetch(url, part, name, logger, step_percent)
            return
        except _Passing as error:
            if attempt == _ATTEMPTS:
                raise DownloadError(
                    f"{url}: {error}; tried {_ATTEMPTS} times. Start it again to go on: {part} is kept"
                ) from error
            console_line(f"download {name}: {error}; trying again in {wait:.0f} s")
            time.sleep(wait)
            wait *= 2


class _Passing(Exception):
    """A failure that may be gone a moment later."""


def _fetch(url: str, part: Path, name: str, logger: logging.Logger | None, step_percent: int) -> None:
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    have, mark = _kept(part)
    headers = {"Range": f"bytes={have}-", "If-Range": mark} if have else {}
    try:
        with urlopen(Request(url, headers=headers), timeout=_PATIENCE_SECONDS) as response:
            _take(response, part, have, name, logger, step_percent)
    except HTTPError as error:
        if error.code == _NOT_SATISFIABLE and have:
            if error.headers.get("Content-Range", "").rpartition("/")[2] == str(have):
                # All of it had come before the last run ended.
                return
            _mark_of(part).unlink(missing_ok=True)
            raise _Passing("the file has changed since the last download") from error
        if error.code in _PASSING:
            raise _Passing(f"the server answers {error.code} {error.reason}") from error
        raise DownloadError(f"{url}: the server answers {error.code} {error.reason}: is the address right?") from error
    except (URLError, HTTPException, ConnectionError, TimeoutError) as error:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, FileNotFoundError):
            raise DownloadError(f"{url}: {reason}") from error
        raise _Passing(f"no whole answer ({reason})") from error


def _take(
    response: HTTPResponse | Any, part: Path, have: int, name: str, logger: logging.Logger | None, step_percent: int
) -> None:
    """Put what a response brings behind what is there, or in its place where the server begins at the beginning."""
    status = getattr(response, "status", None) or _OK
    if status != _PARTIAL:
        have = 0
    elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        _mark_of(part).unlink(missing_ok=True)
        raise _Passing("the server went on from another place than it was asked to")
    length = response.headers.get("Content-Length")
    total = have + int(length) if length is not None and length.isdigit() else None
    mark = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
    # Without a strong mark nobody can say later that the file is still the same.
    _mark_of(part).write_text("" if mark.startswith("W/") else mark, encoding="utf-8")
    said = DownloadProgress(logger, name, step_percent) if logger is not None else None
    megabyte = 1_000_000
    with (
        open(part, "ab" if have else "wb") as handle,
        Progress(f"download {name}", None if total is None else -(-total // megabyte), unit="MB") as progress,
    ):
        done = have
        progress.advance(done // megabyte)
        while block := response.read(_BLOCK):
            handle.write(block)
            progress.advance((done + len(block)) // megabyte - done // megabyte)
            done += len(block)
            if said is not None:
                said(done, 1, total or 0)
        if total is not None and done == total:
            progress.advance(-(-total // megabyte) - done // megabyte)
        handle.flush()
        os.fsync(handle.fileno())
    if total is not None and done != total:
        raise _Passing(f"{done:,} of {total:,} bytes came")


def _kept(part: Path) -> tuple[int, str]:
    """How much of a file is there, and by what the server can tell that it is still the same."""
    try:
        mark = _mark_of(part).read_text(encoding="utf-8")
        size = part.stat().st_size
    except FileNotFoundError:
        return 0, ""
    return (size, mark) if mark else (0, "")


def _mark_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.mark")


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Keep other processes of this machine away from a file that is being fetched."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    lock = part.with_name(f"{part.name}.lock")
    while True:
        with open(lock, "w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not _is_file(handle.fileno(), lock):
                # The one before has removed it meanwhile: somebody else may hold the next.
                continue
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
            return


def _is_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _move_into(fresh: Path, folder: Path) -> None:
    if not folder.exists():
        os.replace(fresh, folder)
        return
    for path in sorted(fresh.iterdir()):
        target = folder / path.name
        if path.is_dir() and not path.is_symlink() and target.is_dir() and not target.is_symlink():
            _move_into(path, target)
        else:
            os.replace(path, target)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.2f} GB"
