"""The templates of `esp3c init`: recipes of this repository, and one that was written to begin from.

Each is a folder of `esp3c/templates/`. All but `tones` are links to folders of `recipes/`, so that there is one source of each; where
a package is built, the links are followed, and the package has the files themselves. Only what a person wrote is taken from them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from esp3c.record import record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

RECIPE = "recipe.esp"
GITIGNORE = ("gitignore", ".gitignore")
"""The name in a template, and the name that it gets: packages leave files out whose names begin with a dot."""

_CODE = ("src", "dataset")


@record
class Template:
    """A recipe to begin from.

    `line` says what it is. `dataset`: the template whose folder `dataset` it takes, in the place of the `tag` by which its recipe
    names that one. `extras` are the extras of esp3c that its stages need, each with a module of it; `first` is what has to be done
    before.
    """

    name: str
    line: str
    dataset: str = ""
    tag: str = ""
    extras: tuple[tuple[str, str], ...] = ()
    first: str = ""


_SPOKEN = (("espeak", "espeakng_loader"),)
_PAGE = (("demo", "gradio"),)
_DIGITS = {"dataset": "spoken_digits", "tag": "spoken_digits/asr"}

TEMPLATES = (
    Template("tones", "strings of tones are read back: the smallest, nothing is downloaded, a minute on two cores"),
    Template(
        "spoken_digits",
        "recognition of spoken digits that eSpeak NG makes: trains in a minute, two test sets",
        extras=_SPOKEN,
    ),
    Template(
        "mini_an4",
        "recognition of recorded speech, of AN4: an archive becomes audio and manifests, a tokenizer is trained",
        first="put AN4's archive at source/mini_an4.tar.gz in that folder, or code that reads your own in the place of dataset/",
    ),
    Template(
        "finetune",
        "goes on from a checkpoint in three ways: the whole model, a new head, an adapter",
        **_DIGITS,
        extras=_SPOKEN,
    ),
    Template(
        "digits_vocoder",
        "a vocoder, trained as a GAN with two optimizers: sound is made of spectra",
        **_DIGITS,
        extras=_SPOKEN,
    ),
    Template(
        "published",
        "a recogniser that is packed for others, with a page that shows it",
        **_DIGITS,
        extras=_SPOKEN + _PAGE,
    ),
)
"""In the order of the list; the first is the default."""


def files(template: Template, root: Path) -> Iterator[tuple[str, Path]]:
    """What a recipe of this template consists of: the name of each file in it, and where it lies below `root`."""
    own = root / template.name
    yield RECIPE, own / RECIPE
    yield GITIGNORE[1], root / TEMPLATES[0].name / GITIGNORE[0]
    for folder in _CODE:
        place = root / template.dataset if folder == "dataset" and template.dataset else own
        for path in sorted((place / folder).rglob("*.py")):
            yield path.relative_to(place).as_posix(), path


def taken(folder: Path, template: Template) -> list[str]:
    """What a recipe of this template would be written over, by name. A .gitignore is its owner's, and stays."""
    with templates() as root:
        names = [name for name, _ in files(template, root) if name != GITIGNORE[1]]
    return [name for name in names if os.path.lexists(folder / name)]


def some(names: list[str]) -> str:
    """The first of these names, and how many more there are."""
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")


def templates() -> AbstractContextManager[Path]:
    """The folder of all templates."""
    from importlib.resources import as_file
    from importlib.resources import files as resources

    return as_file(resources("esp3c").joinpath("templates"))
