"""The questions of `esp3c init` on a terminal. Return takes what stands in brackets; nothing is written while it asks."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from esp3c.check.keys import refused_name
from esp3c.check.limits import Partition
from esp3c.cli.common import printable
from esp3c.cli.init_recipe import Names
from esp3c.cli.init_templates import TEMPLATES, Template, some, taken
from esp3c.record import record

LOCAL = "local"

_Answer = TypeVar("_Answer")


@record
class Wanted:
    """What was answered."""

    folder: Path
    template: Template
    names: Names


def name_of(folder: Path, template: Template) -> str:
    """The name of a recipe by that of its folder."""
    found = re.sub(r"\W+", "_", folder.absolute().name, flags=re.ASCII).strip("_").lower()
    return template.name if refused_name(found) else found


def ask() -> Wanted:
    """Asks for the template, the folder, the name, and where it should run."""
    _edit_lines()
    print("A recipe to begin from. Return takes what stands in brackets; Ctrl-C leaves, and nothing is written.\n")
    width = max(len(each.name) for each in TEMPLATES)
    for number, each in enumerate(TEMPLATES, 1):
        print(f"  {number}  {each.name:<{width}}  {each.line}")
    print()
    template = _until("template, by name or number", TEMPLATES[0].name, _template)
    folder = _folder(template)
    name = _until("name of the recipe", name_of(folder, template), name_in)
    return Wanted(folder, template, Names(name, _partition()))


def _edit_lines() -> None:
    """Lets an answer be edited with the keys of a shell, where this Python has what reads them."""
    try:
        import readline
    except ImportError:
        return
    # An earlier answer is none to the next question.
    readline.set_auto_history(False)


def _until(question: str, default: str, read: Callable[[str], _Answer]) -> _Answer:
    """Asks until the answer can be read; `read` raises a ValueError that says what is wrong with one."""
    while True:
        try:
            return read(_plain(input(f"{question} [{printable(default)}]: ").strip() or default))
        except ValueError as error:
            print(f"  {printable(str(error))}")


def _plain(text: str) -> str:
    """An answer without keys that a terminal has sent for something else.

    Raises:
        ValueError: it has control characters.
    """
    if any(unicodedata.category(char) == "Cc" for char in text):
        raise ValueError("that has control characters in it; type it again")
    return text


def template_in(text: str) -> Template:
    """The template of this name.

    Raises:
        ValueError: there is none.
    """
    from esp3c.suggest import did_you_mean

    names = {each.name: each for each in TEMPLATES}
    if text not in names:
        raise ValueError(
            f"there is no template {text!r}; " + (did_you_mean(text, names) or f"there are {', '.join(names)}")
        )
    return names[text]


def name_in(text: str) -> str:
    """A text that can be the name of a recipe.

    Raises:
        ValueError: it cannot.
    """
    why = refused_name(text)
    if why:
        raise ValueError(
            f"{text!r} cannot be the name of a recipe: {why}" + (", and no digit first" if text[:1].isdigit() else "")
        )
    return text


def folder_in(text: str) -> Path:
    """The folder of this name, which may be new.

    Raises:
        ValueError: no recipe can be put there.
    """
    if not text:
        raise ValueError("the folder has no name: . is the one where you are")
    folder = Path(text)
    if os.path.lexists(folder) and not folder.is_dir():
        raise ValueError(f"{text} is a file: name a folder, one that is new or empty")
    for place, what in ((os.sep, "the root of the file system"), (os.path.expanduser("~"), "your home folder")):
        if os.path.realpath(folder) == os.path.realpath(place):
            raise ValueError(f"{text} is {what}: a recipe has a folder of its own, such as {folder / 'tones'}")
    return folder


def _template(text: str) -> Template:
    if text.isdecimal() and 1 <= int(text) <= len(TEMPLATES):
        return TEMPLATES[int(text) - 1]
    return template_in(text)


def _free_folder(template: Template) -> str:
    """Here, where nothing is; else a folder that is not there yet."""
    if not os.listdir():
        return "."
    numbers = (f"{template.name}{number or ''}" for number in (0, *range(2, 1000)))
    return next((name for name in numbers if not os.path.lexists(name)), template.name)


def _folder(template: Template) -> Path:
    def read(text: str) -> Path:
        folder = folder_in(os.path.expanduser(text))
        there = taken(folder, template)
        if there:
            raise ValueError(f"{text} has {some(there)} already; name another folder")
        return folder

    while True:
        folder = _until("folder", _free_folder(template), read)
        others = _others(folder)
        if not others:
            return folder
        print(f"  {printable(f'{folder} is not empty: it has {some(others)}')}")
        if _until("write there all the same, yes or no", "no", _yes):
            return folder


_OF_ANY_PROJECT = re.compile(r"\.|readme|licen[cs]e", re.IGNORECASE)


def _others(folder: Path) -> list[str]:
    """What is in a folder and not what one has that is meant for a recipe."""
    return sorted(each for each in os.listdir(folder) if not _OF_ANY_PROJECT.match(each)) if folder.is_dir() else []


def _yes(text: str) -> bool:
    answers = {"yes": True, "y": True, "no": False, "n": False}
    if text.lower() not in answers:
        raise ValueError(f"{text!r} is neither yes nor no")
    return answers[text.lower()]


def _partition() -> Partition | None:
    """The partition of SLURM to send stages to; None for this machine. Nothing is asked where there is no SLURM."""
    from esp3c.cli.site import limits

    # A cluster that does not answer is no place to choose, and nothing to be told of here.
    with contextlib.redirect_stderr(io.StringIO()):
        found = limits() if shutil.which("scontrol") is not None else None
    partitions = [each for each in found.partitions if each.up and each.nodes] if found is not None else []
    if not partitions:
        return None
    for number, each in enumerate(partitions, 1):
        print(printable(f"  {number}  {each.name}: {_said(each)}"))
    known = {each.name: each for each in partitions}
    # A partition may have a number for a name.
    chosen = {str(number): each for number, each in enumerate(partitions, 1)} | known

    def read(text: str) -> Partition | None:
        if text != LOCAL and text not in chosen:
            raise ValueError(f"{text!r} is neither {LOCAL} nor a partition: {', '.join(known)}")
        return chosen.get(text)

    return _until(f"run where: {LOCAL}, or a partition of SLURM by name or number", LOCAL, read)


def _said(partition: Partition) -> str:
    gpus = max(node.gpus for node in partition.nodes)
    count = len(partition.nodes)
    time = f", at most {partition.max_time / 3600:.4g} h" if partition.max_time else ""
    return f"{count} {'machine' if count == 1 else 'machines'}" + (f" with {gpus} GPUs" if gpus else "") + time
