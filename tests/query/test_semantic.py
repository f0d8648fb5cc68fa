"""What each word is."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from esp3c.query.semantic import MODIFIERS, TYPES, painted
from esp3c.query.view import view
from esp3c.source import Source
from esp3c.world import MemoryWorld, Module
from support.fixtures import FIXTURES, WORLD

HEAD = "recipe digits { system = espnet3.systems.asr.system.ASRSystem }\n"


def words(text: str) -> list[str]:
    """Each word with its type and modifiers: `AdamW class defaultLibrary`."""
    return [
        " ".join((text[each.start : each.end], each.type, *each.modifiers))
        for each in painted(view(Source("r.esp", text), WORLD))
    ]


def of(text: str, word: str) -> list[str]:
    return [each.removeprefix(word + " ") for each in words(HEAD + text) if each.startswith(word + " ")]


@pytest.mark.parametrize(
    "text, word, expected",
    [
        ("let rate = 8kHz\ntraining { seed = rate }", "rate", ["variable declaration readonly", "variable readonly"]),
        ("dataset d { class = dataset.dataset.SpokenDigits }\ntraining { dataset { train = [d()] } }", "d",
         ["type declaration", "type"]),
        ("parallel gpu = slurm(time = 1h)\nstages { train on gpu }", "gpu",
         ["enumMember declaration readonly", "enumMember readonly"]),
        ("parallel gpu = slurm(time = 1h)", "slurm", ["function defaultLibrary"]),
        ("parallel gpu = slurm(time = 1h)", "time", ["parameter defaultLibrary"]),
        ("stages { train on nowhere }", "nowhere", ["enumMember readonly unresolved"]),
        ("config own { a = 1 }\nstages { go requires own runs src.stages.export_onnx }", "own", ["struct declaration", "struct"]),
        ("stages { go requires own runs src.stages.export_onnx }", "own", ["struct unresolved"]),
        ("stages { train }", "train", ["method defaultLibrary"]),
        ("stages { trian }", "trian", ["method unresolved"]),
        ("stages { go runs src.stages.export_onnx }", "go", ["method declaration"]),
        ("stages { go runs src.stages.export_onnx }", "export_onnx", ["function"]),
        ("stages { go runs train }", "train", ["method defaultLibrary"]),
        ("training { optimizer = torch.optim.AdamW() }", "AdamW", ["class"]),
        ("training { optimizer = torch.optim.AdamW() }", "torch", ["namespace"]),
        ("training { optimizer = torch.optim.AdmaW() }", "AdmaW", ["variable unresolved"]),
        ("training { optimizer = torch.optim.AdamW(lr = 1) }", "lr", ["parameter"]),
        ("training { optimizer = torch.optim.AdamW(lr = 1) }", "optimizer", ["property defaultLibrary"]),
        ("training { own_key = 1 }", "own_key", ["property unresolved"]),
        ("training { prepare = 1 }\nstages { prepare runs src.stages.export_onnx }", "prepare", ["property", "method declaration"]),
        ("config own { any = 1 }", "any", ["property"]),
        ("training { seed = nothing }", "nothing", ["variable unresolved"]),
        ("training { a = exp_dir }", "exp_dir", ["variable readonly defaultLibrary"]),
        ("training { a = training.seed  seed = 1 }", "training", ["keyword", "struct"]),
        ("training { seed = 1  a = seed }", "seed", ["property defaultLibrary", "property"]),
        ('training { a = "${exp_dir}/x" }', "exp_dir", ["variable readonly defaultLibrary"]),
        ('training { a = "${oc.env:HOME}" }', "oc.env", ["function defaultLibrary"]),
        ("dataset d { sample { x: float32[time] } }", "float32", ["type defaultLibrary"]),
        ("dataset d { sample { x: float32[time] } }", "time", ["typeParameter"]),
        ("dataset d { sample { x: flaot32[time] } }", "flaot32", ["type unresolved"]),
        ("training { dataset = 1  on = true }", "dataset", ["property defaultLibrary"]),
        ("config a extends training { new b = 1 }", "extends", ["keyword"]),
        ("config a extends training { new b = 1 }", "new", ["keyword"]),
        ("training { model = src.model.CTCRecognizer }", "CTCRecognizer", ["class"]),
        ("training { model { _target_ = src.model.CTCRecognizer  size = 1 } }", "CTCRecognizer", ["class"]),
        ("training { model { _target_ = src.model.CTCRecognizer  size = 1 } }", "size", ["parameter"]),
    ],
)  # fmt: skip
def test_names(text: str, word: str, expected: list[str]) -> None:
    assert of(text, word) == expected


def test_python_of_the_environment_and_what_is_deprecated() -> None:
    class Away(MemoryWorld):
        def module(self, name: str) -> Module | None:
            found = super().module(name)
            return Module(found.name, found.kind, found.place, local=False) if found is not None else None

    world = Away({"lib": "@deprecated('old')\ndef make(): ...\nclass New: ...\n"})
    text = "let a = lib.make()\nlet b = lib.New()"
    found = {text[each.start : each.end]: each.modifiers for each in painted(view(Source("r.esp", text), world))}

    assert found["make"] == ("defaultLibrary", "deprecated") and found["New"] == ("defaultLibrary",)


def test_texts_are_cut_where_names_stand_in_them_and_comments_where_they_ignore() -> None:
    text = 'let a = "x${exp_dir}y"  # see # esp: ignore[ESP0205] why\n'

    assert words(text)[2:] == [
        '"x${ string',
        "exp_dir variable readonly defaultLibrary",
        '}y" string',
        "# see # esp:  comment",
        "ignore[ESP0205] decorator",
        " why comment",
    ]


def test_what_could_not_be_read_keeps_what_its_words_say() -> None:
    found = words('training {\n  a = = "x" 3 dataset\n  seed = 1\n')

    assert '"x" string' in found and "3 number" in found and "seed property defaultLibrary" in found


@pytest.mark.parametrize("path", sorted((FIXTURES / "ok").glob("*.esp")), ids=lambda path: path.stem)
def test_every_name_of_a_right_recipe_is_something_and_nothing_overlaps(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    here = view(Source("r.esp", text), WORLD)
    found = painted(here)

    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
    assert {each.type for each in found} <= set(TYPES)
    assert {each for one in found for each in one.modifiers} <= set(MODIFIERS)
    starts = {each.start for each in found}
    assert [str(each) for each in here.tokens if each.type == "NAME" and each.start_pos not in starts] == []
