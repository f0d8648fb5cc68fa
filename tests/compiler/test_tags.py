"""Tags of datasets: which folder or package they lead to, and what is checked behind them."""

from __future__ import annotations

from pathlib import Path

import pytest

from esp3c.cli.main import main
from esp3c.disk import DiskWorld
from esp3c.python.reader import reader
from esp3c.world import MemoryWorld, is_tag

INIT = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from .builder import Builder as DatasetBuilder
    from .reading import Rows as Dataset
def __getattr__(name): ...
"""
READING = """
class Rows:
    def __init__(self, split: str, size: int = 1): ...
    def __len__(self):
        return 1
    def __getitem__(self, index):
        return {"utt_id": "a", "speech": [0.0]}
"""
BUILDER = "class Builder:\n" + "".join(
    f"    def {name}(self, recipe_dir, size: int = 1): ...\n"
    for name in ("is_source_prepared", "prepare_source", "is_built", "build")
)
RECIPE = """recipe own {{ system = espnet3.systems.asr.system.ASRSystem }}
dataset words {{ source = "{tag}"  create_dataset {{ size = {size} }} }}
training {{ dataset {{ train = [words(split = {split}) {{ transform = src.steps.louder(by = 2) }}] }} }}
stages {{ create_dataset }}
"""
STEPS = "def louder(sample, by):\n    return {**sample, 'speech': [by * each for each in sample['speech']]}\n"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def write_dataset(folder: Path) -> None:
    write(folder, {"__init__.py": INIT, "reading.py": READING, "builder.py": BUILDER})


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The folder of a recipe."""
    write(tmp_path / "recipes" / "own", {"src/__init__.py": "", "src/steps.py": STEPS})
    return tmp_path / "recipes" / "own"


def checked(own: Path, capsys: pytest.CaptureFixture[str], **values: str) -> str:
    text = RECIPE.format(**{"tag": "words/asr", "size": "3", "split": '"a"', **values})
    write(own, {"recipe.esp": text})
    main(["check", str(own / "recipe.esp")])
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "place",
    ["recipes/words/asr/dataset", "recipes/words/dataset", "words/asr/dataset", "words/dataset"],
)
def test_a_tag_leads_to_a_folder_beside_the_recipe(own: Path, place: str) -> None:
    """Or one further up; its modules are found by the tag, and relative imports stay in it."""
    write_dataset(own.parents[1] / place)
    reading = reader(DiskWorld(own, []))

    assert reading.find("words/asr.Dataset").path == "words/asr.reading.Rows"
    assert reading.find("words/asr.DatasetBuilder").path == "words/asr.builder.Builder"


def test_the_first_place_is_taken(own: Path) -> None:
    """An installed `egs3.recipe.task.dataset` before all, then as the runtime looks."""
    write_dataset(own.parents[1] / "words" / "dataset")
    write_dataset(own.parents[0] / "words" / "dataset")
    write_dataset(own.parents[1] / "site" / "egs3" / "words" / "asr" / "dataset")
    beside = DiskWorld(own, []).module("words/asr")
    installed = DiskWorld(own, [str(own.parents[1] / "site")]).module("words/asr")

    assert beside is not None and Path(beside.place).resolve() == own.parent / "words" / "dataset" / "__init__.py"
    assert installed is not None and Path(installed.place).is_relative_to(own.parents[1] / "site" / "egs3")
    assert DiskWorld(own, []).module("verbs/asr") is None


def test_what_a_tag_is() -> None:
    """Two words with a slash; in memory it is a name like any other."""
    assert [is_tag(text) for text in ("a/b", "a", "a.b/c", "a/b/c", "/b", "a/")] == [True, *[False] * 5]
    assert MemoryWorld({"a/b": "X = 1\n"}).module("a/b") is not None


def test_what_stands_behind_a_tag_is_checked(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Arguments of its Dataset, settings of its builder, the fields of its items; also after a change over there."""
    write_dataset(own.parent / "words" / "dataset")
    right = checked(own, capsys)
    wrong = checked(own, capsys, split="3", size='"three"')
    write(own.parent / "words" / "dataset", {"reading.py": READING.replace('"speech"', '"audio"')})
    changed = checked(own, capsys)

    assert "no problems found" in right
    assert "`split` of `Dataset` takes text" in wrong
    assert "`size` of `Builder` takes" in wrong
    assert "`louder` reads `speech`, but an item of `words` holds `utt_id`, `audio`" in changed


def test_a_tag_that_leads_nowhere_gets_its_neighbours_name(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where only one is near, `--fix` writes it."""
    write_dataset(own.parent / "words" / "dataset")
    said = checked(own, capsys, tag="wrds/asr")
    main(["check", str(own / "recipe.esp"), "--fix"])

    assert "did you mean `words/asr`?" in said
    assert "looked for the module `egs3.wrds.asr.dataset`" in said
    assert 'source = "words/asr"' in (own / "recipe.esp").read_text(encoding="utf-8")
