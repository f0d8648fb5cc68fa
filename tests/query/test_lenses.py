"""What is offered above stages."""

from __future__ import annotations

from esp3c.query.lenses import lenses
from esp3c.query.view import view
from esp3c.source import Source
from support.fixtures import WORLD


def offers(text: str) -> list[tuple[str, str, str | None]]:
    return [(each.span.text, each.title, each.stage) for each in lenses(view(Source("r.esp", text), WORLD))]


def test_each_stage_and_all_of_them() -> None:
    assert offers("stages {\n  train on gpu\n  infer\n}") == [
        ("stages", "run all", None),
        ("stages", "plan all", None),
        ("train", "run train on gpu", "train"),
        ("train", "plan", "train"),
        ("infer", "run infer", "infer"),
        ("infer", "plan", "infer"),
    ]


def test_nothing_where_there_are_no_stages_and_each_name_once() -> None:
    assert offers("stages { }") == []
    assert offers("let a = 1") == []
    assert [each[1] for each in offers("stages { train train }\nstages { infer }")] == [
        "run all",
        "plan all",
        "run train",
        "plan",
    ]
