"""Where values are written: the same as the emitter says, and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from esp3c.emit.files import EmittedFile, Layout
from esp3c.emit.lower import lower
from esp3c.emit.manifest import manifest
from esp3c.emit.yaml import dump, trace
from esp3c.query.generated import dotted, traced, writings
from esp3c.query.view import view
from esp3c.source import Source
from support.fixtures import WORLD as FIXTURE_WORLD
from support.fixtures import ok_fixtures
from support.marks import RECIPE, at, seen


@pytest.mark.parametrize("path", ok_fixtures(), ids=lambda path: path.stem)
def test_every_place_is_one_that_the_emitter_writes(path: Path) -> None:
    read = view(Source("recipe.esp", path.read_text(encoding="utf-8")), FIXTURE_WORLD)
    known = writings(read)
    for config in read.recipe.configs.values():
        tree = lower(read.recipe, config)
        values, blocks = trace(tree, dump(tree, "x"))
        there = {each.at for each in (*values, *blocks)}
        for entry in config.root.entries:
            mine = known.of(("config", config.name), (entry.name,))
            assert mine and {each.dotted for each in mine} <= there, entry.name
        assert known.places(config.name) <= there
        # What has no place of its own is inside of something that has: all but what every config begins with.
        lost = [each for each in there if known.at(config.name, _place(each)) is None]
        assert set(lost) <= {"recipe_dir", "stage_parallel", "create_dataset", "create_dataset.recipe_dir"}, lost


def _place(at: str) -> tuple[str | int, ...]:
    place: list[str | int] = []
    for part in at.replace("[", ".[").split("."):
        place.append(int(part[1:-1]) if part.startswith("[") else part)
    return tuple(place)


@pytest.mark.parametrize(
    ("config", "place", "mark"),
    [
        ("training", ("model", "n_mels"), "Recognizer(|n_mels = 80"),
        ("training", ("dataset", "train", 0, "data_src_args", "split"), 'spoken(|split = "train"'),
        ("training", ("dataset", "train", 0, "transform", "path"), "{ |transform"),
        ("training", ("create_dataset", "utterances"), "Builder(|utterances"),
        ("training", ("exp_tag",), '|exp_tag = "ctc"'),
        ("training", ("label_all", "runner", "beam"), "Runner(|beam"),
        ("small", ("trainer", "max_epochs"), "trainer.|max_epochs = 2"),
        ("inference", ("dataset", "test", 0, "name"), '|seen = spoken(split = "test")'),
        ("inference", ("stage_parallel", "infer", "options", "time"), '"gpu", |time = 90min'),
        ("export", ("path",), "|path = "),
    ],
)
def test_a_place_of_a_config_leads_to_its_key(config: str, place: tuple[str | int, ...], mark: str) -> None:
    found = writings(seen(RECIPE)).at(config, place)
    assert found is not None and found.span.start == at(RECIPE, mark)


def test_places_are_spelled_as_in_manifests() -> None:
    assert dotted(("dataset", "test", 0, "name")) == "dataset.test[0].name"
    assert dotted(("create_dataset", "mini_an4/asr", 1, 2)) == "create_dataset.mini_an4/asr[1][2]"


def test_a_manifest_is_read_as_it_is_written_and_nothing_else_is() -> None:
    read = seen(RECIPE)
    tree = lower(read.recipe, read.recipe.configs["export"])
    text = dump(tree, "x")
    file = EmittedFile("conf/export.yaml", text, *trace(tree, text))
    written = json.loads(manifest([file], Layout("recipe.esp"), read.source).text)

    found = {each.at: each for each in traced(written, "conf/export.yaml")}
    assert RECIPE[found["opset"].start : found["opset"].end] == "17"
    assert text.splitlines()[found["opset"].line - 1] == "opset: 17"
    for broken in (None, [], {}, {"files": 3}, {"recipe": "r", "files": {"conf/export.yaml": {"values": [1, {}]}}}):
        assert traced(broken, "conf/export.yaml") == []
    written["files"]["conf/export.yaml"]["values"][0]["recipe"] = "--set export.opset=18:1:14"
    assert len(traced(written, "conf/export.yaml")) == len(found) - 1
