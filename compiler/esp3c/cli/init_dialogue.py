"""The questions of `esp3c init` on a terminal. Return takes what stands in brackets; nothing is written while it asks."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from esp3c.check.limits import Partition
from esp3c.cli.common import printable
from esp3c.cli.init_recipe import Names
from esp3c.cli.init_templates import TEMPLATES, Template, taken
from esp3c.record import record

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
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
    return found if NAME.fullmatch(found) else template.name


def ask() -> Wanted:
    """Asks for the template, the folder, the name, and where it should run."""
    print("A recipe to begin from. Return takes what stands in brackets; Ctrl-C leaves, and nothing is written.\n")
    width = max(len(each.name) for each in TEMPLATES)
    for number, each in enumerate(TEMPLATES, 1):
        print(f"  {number}  {each.name:<{width}}  {each.line}")
    print()
    template = _until("template, by name or number", TEMPLATES[0].name, _template)
    folder = _until("folder", _free_folder(template), lambda text: _folder(text, template))
    name = _until("name of the recipe", name_of(folder, template), name_in)
    return Wanted(folder, template, Names(name, _partition()))


def _until(question: str, default: str, read: Callable[[str], _Answer]) -> _Answer:
    """Asks until the answer can be read; `read` raises a ValueError that says what is wrong with one."""
    while True:
        try:
            return read(input(f"{question} [{printable(default)}]: ").strip() or default)
        except ValueError as error:
            print(f"  {printable(str(error))}")


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
    if not NAME.fullmatch(text):
        raise ValueError(f"{text!r} cannot be the name of a recipe: letters, digits and _, and no digit first")
    return text


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


def _folder(text: str, template: Template) -> Path:
    folder = Path(text).expanduser()
    there = taken(folder, template)
    if there:
        raise ValueError(f"{text} has {', '.join(there[:3])} already")
    return folder


def _partition() -> Partition | None:
    """The partition of SLURM to send stages to; None for this machine. Nothing is asked where there is no SLURM."""
    from esp3c.cli.site import limits

    found = limits() if shutil.which("scontrol") is not None else None
    partitions = [each for each in found.partitions if each.up and each.nodes] if found is not None else []
    if not partitions:
        return None
    for each in partitions:
        print(f"  {each.name}: {_said(each)}")
    known = {each.name: each for each in partitions}

    def read(text: str) -> Partition | None:
        if text != LOCAL and text not in known:
            raise ValueError(f"{text!r} is neither {LOCAL} nor a partition: {', '.join(known)}")
        return known.get(text)

    return _until(f"run where: {LOCAL}, or a partition of SLURM", LOCAL, read)


def _said(partition: Partition) -> str:
    gpus = max(node.gpus for node in partition.nodes)
    count = len(partition.nodes)
    time = f", at most {partition.max_time / 3600:.4g} h" if partition.max_time else ""
    return f"{count} {'machine' if count == 1 else 'machines'}" + (f" with {gpus} GPUs" if gpus else "") + time
