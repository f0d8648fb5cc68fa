"""AN4's archive: where it is looked for, and how it is unpacked.

The archive is the one that Carnegie Mellon publishes, or the small one of ESPnet's `mini_an4`: somewhere in it
stands a folder with `etc/an4_train.fileids`, and only that folder is unpacked.
"""

import os
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from esp3rt.files import remove_partials, write_bytes, write_json
from esp3rt.progress import track
from espnet3.utils.errors import UserError

_ENVIRONMENT = "MINI_AN4_ARCHIVE"
_PLACES = ("source/mini_an4.tar.gz", "downloads.tar.gz")
_KEY_FILE = PurePosixPath("etc/an4_train.fileids")


class ArchiveError(UserError):
    """The archive is missing, is not AN4, or holds something that must not be unpacked."""


def find_archive(recipe_dir: Path, archive: str | Path | None) -> Path | None:
    """The archive: `archive` itself, or the first that is there of the usual places."""
    if archive is not None:
        return Path(archive) if Path(archive).is_file() else None
    named = os.environ.get(_ENVIRONMENT)
    places = [Path(named)] if named else [recipe_dir / place for place in _PLACES]
    return next((place for place in places if place.is_file()), None)


def require_archive(recipe_dir: Path, archive: str | Path | None) -> Path:
    """The archive, or an error that says where to get it and how to name it.

    Raises:
        ArchiveError: There is none.
    """
    found = find_archive(recipe_dir, archive)
    if found is not None:
        return found
    named = archive or os.environ.get(_ENVIRONMENT)
    looked = str(named) if named else ", ".join(str(recipe_dir / place) for place in _PLACES)
    raise ArchiveError(
        "AN4's archive has to be fetched first: all of it (an4_sphere.tar.gz or an4_raw.bigendian.tar.gz) from "
        "http://www.speech.cs.cmu.edu/databases/an4/, or its first utterances from ESPnet "
        f"(egs2/mini_an4/asr1/downloads.tar.gz). Put it at {recipe_dir / _PLACES[0]}, or name it in the environment "
        f"variable {_ENVIRONMENT} or in MiniAn4Builder(archive = ...). It was looked for at {looked}"
    )


def archive_facts(archive: Path) -> dict[str, str | int]:
    """What tells one archive from another, cheaply."""
    return {"archive": archive.name, "bytes": archive.stat().st_size}


def unpack(archive: Path, source: Path) -> None:
    """Unpack AN4 into `source/an4`, and write `source/prepared.json` when all of it is there.

    Files that are there already are compared and kept, so that a killed unpacking goes on.

    Raises:
        ArchiveError: It is no archive or not AN4, or a member's path leads out of the folder.
    """
    target = source / "an4"
    (source / "prepared.json").unlink(missing_ok=True)
    try:
        with tarfile.open(archive) as tar:
            members = [member for member in tar.getmembers() if member.isfile()]
            root = _root(archive, members)
            inside = [member for member in members if root in PurePosixPath(member.name).parents]
            for member in track(inside, label="unpack AN4", unit="files"):
                name = str(PurePosixPath(member.name).relative_to(root))
                # The filter refuses names that lead out of the target.
                safe = tarfile.data_filter(member.replace(name=name, deep=False), str(target))
                path = target / safe.name
                handle = tar.extractfile(member)
                assert handle is not None
                data = handle.read()
                if not (path.is_file() and path.read_bytes() == data):
                    write_bytes(path, data)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise ArchiveError(f"{archive} cannot be unpacked: {error}") from error
    for folder in {target, *(path.parent for path in target.rglob("*"))}:
        remove_partials(folder)
    remove_partials(source)
    write_json(source / "prepared.json", archive_facts(archive))


def _root(archive: Path, members: list[tarfile.TarInfo]) -> PurePosixPath:
    for member in members:
        path = PurePosixPath(member.name)
        if path.parts[-2:] == _KEY_FILE.parts:
            return path.parent.parent
    raise ArchiveError(f"{archive} is not AN4: no file in it is called {_KEY_FILE}")
