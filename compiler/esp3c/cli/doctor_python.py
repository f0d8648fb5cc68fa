"""Checks of this Python and of the packages in it. Nothing is imported: what is installed says its version itself.

Versions are compared here, by their numbers: a doctor that needs a package to look for packages is of no use without it.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import sys
from collections.abc import Iterator
from importlib import metadata

import esp3c
from esp3c import __version__
from esp3c.cli.doctor_finding import FAIL, OK, WARN, Finding, Patient
from esp3c.record import record

PACKAGE = "esp3c"
PARTS = ("esp3rt", "espnet3", "egs3")
"""What is installed together with the compiler."""

HOLES = {
    "hydra-core": "a config can name anything that is called",
    "lightning": "a checkpoint can run code when it is loaded",
}
"""Packages whose older versions have known security holes, and what these are about."""


@record
class Requirement:
    """A package that is asked for: its least version, and the extra that asks for it."""

    name: str
    least: str
    extra: str


_REQUIREMENT = re.compile(
    r"([\w.\-]+)(?:\[[^\]]*\])?\s*(?:>=\s*([\w.]+))?[^;]*(?:;.*\bextra\s*==\s*[\"']([\w\-]+)[\"'])?"
)


def requirements() -> list[Requirement]:
    """What esp3c asks for: by the project that it is installed from, else by its metadata; nothing where there is neither."""
    project = _project()
    return installed_requirements() if project is None else project


def installed_requirements() -> list[Requirement]:
    """What esp3c asked for when it was installed."""
    try:
        texts = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return []
    return [_requirement(text) for text in texts]


def _requirement(text: str, extra: str = "") -> Requirement:
    found = _REQUIREMENT.match(text)
    return (
        Requirement(found[1], found[2] or "0", found[3] or extra)
        if found is not None
        else Requirement(text, "0", extra)
    )


def _project() -> list[Requirement] | None:
    """What the project asks for whose folder this code is in; None where it is in no such folder."""
    import tomllib

    try:
        with open(os.path.join(_home(), "pyproject.toml"), "rb") as handle:
            project = tomllib.load(handle)["project"]
        extras = {"": project["dependencies"], **project["optional-dependencies"]}
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return None
    return [_requirement(text, extra) for extra, texts in extras.items() for text in texts]


def install(extra: str) -> str:
    """The command that installs an extra."""
    what = f"{_home()}[{extra}]" if _project() is not None else f"{PACKAGE}[{extra}]"
    return f"{pip()} {'-e ' if _project() is not None else ''}{shlex.quote(what)}"


def pip() -> str:
    """How this Python is told to install something."""
    return f"{shlex.quote(sys.executable)} -m pip install"


def is_there(module: str) -> bool:
    """Whether a module of the first level can be imported. It is not."""
    return importlib.util.find_spec(module) is not None


def version_of(name: str) -> str | None:
    """The version of an installed package, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def older(version: str, least: str) -> bool:
    """Whether a version comes before another, by their numbers: `2.4.0+cpu` is 2.4."""
    one, other = _numbers(version), _numbers(least)
    length = max(len(one), len(other))
    return one + (0,) * (length - len(one)) < other + (0,) * (length - len(other))


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found is not None else ()


def python(patient: Patient) -> Iterator[Finding]:
    """This Python is new enough, and an environment of its own."""
    version = ".".join(map(str, sys.version_info[:3]))
    try:
        least = (metadata.metadata(PACKAGE)["Requires-Python"] or "").removeprefix(">=").strip()
    except (metadata.PackageNotFoundError, KeyError):
        least = ""
    found = f"{version} in {sys.prefix}"
    if least and older(version, least):
        yield Finding("python", FAIL, found, f"make an environment with Python {least} or newer")
    elif sys.prefix == sys.base_prefix:
        todo = (
            f"{shlex.quote(sys.executable)} -m venv .venv makes an environment for this alone, "
            "in which packages do not stand in each other's way"
        )
        yield Finding("python", WARN, f"{found}, which is no environment of its own", todo)
    else:
        yield Finding("python", OK, found)


def parts(patient: Patient) -> Iterator[Finding]:
    """Compiler and runtime are there, of one installation."""
    installed = version_of(PACKAGE)
    if installed is None:
        todo = f"{pip()} -e {shlex.quote(_home())}" if _has_project() else f"{pip()} {PACKAGE}"
        yield Finding("esp3c", FAIL, f"{__version__} in {_home()}, and this Python does not have it installed", todo)
    elif installed != __version__:
        found = f"the code is {__version__}, and what is installed says {installed}"
        yield Finding("esp3c", FAIL, found, f"install it again: {pip()} -e . where it was installed from")
    for name in PARTS:
        place = _place(name)
        if place is None:
            yield Finding(name, FAIL, "not there", "install esp3c again: the runtime comes with it")
        elif not _is_ours(place):
            todo = (
                f"esp3c brings an {name} of its own: take the other one out of PYTHONPATH, or out of this environment"
            )
            yield Finding(name, FAIL, f"in {place}, and esp3c is in {_home()}", todo)
    project = [each for each in _project() or () if each.extra != "dev"]
    if installed == __version__ and not set(project) <= set(installed_requirements()):
        todo = f"{pip()} -e {shlex.quote(_home())}"
        yield Finding("esp3c", WARN, "the project asks for other packages than when it was installed", todo)
    elif installed == __version__:
        yield Finding("esp3c", OK, f"{__version__} in {_home()}")


def _place(name: str) -> str | None:
    """The folder of a package that Python would import."""
    spec = importlib.util.find_spec(name)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    return os.path.realpath(folders[0]) if folders else None


def _home() -> str:
    """Where the code is: the folder of the project, or the one of all packages."""
    above = os.path.dirname(os.path.dirname(os.path.realpath(esp3c.__file__)))
    return os.path.dirname(above) if os.path.basename(above) == "compiler" else above


def _has_project() -> bool:
    return os.path.isfile(os.path.join(_home(), "pyproject.toml"))


def _is_ours(place: str) -> bool:
    return place.startswith(_home() + os.sep)


def missing() -> set[str]:
    """The modules of packages that are asked for and not installed."""
    return {each.name for each in requirements() if not each.extra and version_of(each.name) is None}


def packages(patient: Patient) -> Iterator[Finding]:
    """All packages that are asked for are there, and none is older than it may be."""
    good = 0
    for each in requirements():
        if each.extra:
            continue
        version = version_of(each.name)
        todo = f"{pip()} '{each.name}>={each.least}'"
        if version is None:
            yield Finding(each.name, FAIL, "not installed", todo)
        elif older(version, each.least):
            hole = f": in older versions {HOLES[each.name]}" if each.name in HOLES else ""
            yield Finding(each.name, FAIL, f"{version} is older than {each.least}{hole}", todo)
        else:
            good += 1
    if good:
        yield Finding("packages", OK, f"{good} packages are there and new enough")


CHECKS = (python, parts, packages)
