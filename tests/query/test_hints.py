"""What is shown between the words."""

from __future__ import annotations

import pytest

from esp3c.query.hints import LONGEST, Hint, hints
from esp3c.query.view import view
from esp3c.source import Source
from esp3c.world import MemoryWorld

WORLD = MemoryWorld(
    {
        "src.model": (
            "from typing import Any, Optional\n"
            "class Model:\n"
            "    def __init__(self, n_mels: int = 80, rate=1, name: str = '', wide: 'Optional[int]' = None, free: Any = 0,\n"
            "                 way: dict[str, tuple[int, list[str]]] | list[dict[str, float]] | None = None,\n"
            "                 flag: bool = False, size: float = 1.0): ...\n"
        ),
        "espnet3.systems.asr.system": "class ASRSystem: ...\n",
    }
)


def all_of(text: str, types: bool = True, named: bool = True) -> tuple[Hint, ...]:
    return hints(view(Source("recipe.esp", text), WORLD), 0, len(text), types, named)


def shown(text: str, types: bool = True, named: bool = True) -> str:
    """The text with its hints in angle brackets."""
    for each in reversed(all_of(text, types, named)):
        text = f"{text[: each.offset]}<{each.text}>{text[each.offset :]}"
    return text


@pytest.mark.parametrize(
    "arguments",
    [
        "n_mels<: int> = 40",
        "size<: float> = 1",
        "wide<: Optional[int]> = 3",
        "rate = 2",
        "free = 2",
        'name = "x"',
        "flag = true",
        "unknown = 1",
    ],
)
def test_types_of_arguments_that_are_not_to_be_seen_at_once(arguments: str) -> None:
    marked = f"training {{ model = src.model.Model({arguments}) }}"
    text = "".join(part.partition(">")[2] if ">" in part else part for part in marked.split("<"))

    assert shown(text) == marked


def test_a_long_type_is_cut_and_says_all_of_itself_beside() -> None:
    (hint,) = all_of("training { model = src.model.Model(way = null) }")

    assert hint.text.endswith("…") and len(hint.text) == LONGEST + 2
    assert hint.about == (
        "`way: dict[str, tuple[int, list[str]]] | list[dict[str, float]] | None = None` of `src.model.Model`"
    )
    assert hint.origin is not None and (hint.origin.text, str(hint.origin)) == ("way", "src/model.py:4:18")


@pytest.mark.parametrize(
    "marked",
    [
        "let rate = 8kHz\nconfig a { b = rate< = 8kHz> }",
        "let sizes = { hidden = 192 }\nconfig a { b = sizes.hidden< = 192> }",
        "config a { b = 12  c = b< = 12>  d = c< = 12> }",
        "config a { b = 12 }\nconfig c { d = a.b< = 12> }",
        "config a { b = [1, 2]  c = b< = [1, 2]> }",
        "config a { b = { x = 1 }  c = b }",
        "config a { b = src.model.Model()  c = b }",
        'config a { b = "x"  c = "${b}"< = "x"> }',
        'config a { b = "x"  c = "${exp_dir}/${b}.txt"< = "${exp_dir}/x.txt"> }',
        'config a { b = "${exp_dir}/x" }',
        'config a { b = 3  c = "n${b}"< = "n3">  d = "${c}/y"< = "n3/y"> }',
        "let a = b< = 1>\nlet b = 1",
        "let a = b\nlet b = a",
        'recipe r { exp_tag = "ctc" }\nconfig a { b = "${exp_tag}.txt"< = "ctc.txt"> }',
        'recipe r { exp_tag = "ctc" }\ntraining { exp_tag = "own"  b = "${exp_tag}.txt"< = "own.txt"> }',
        'recipe r { exp_tag = "ctc" }\nconfig a { exp_tag = "own"  b = "${exp_tag}.txt" }',
        'recipe r { exp_tag = "ctc" }\ntraining { exp_tag = "own" }\nconfig a { b = "${exp_tag}.txt" }',
        "config a { b = 1  c = b< = 1> }\nconfig d extends a { b = 2 }",
    ],
)
def test_values_behind_names(marked: str) -> None:
    text = "".join(part.partition(">")[2] if ">" in part else part for part in marked.split("<"))

    assert shown(text, types=False) == marked


def test_a_quantity_says_what_python_gets() -> None:
    (hint,) = all_of("let limit = 90min\nconfig a { b = limit }")

    assert hint.about == "`90min` (line 1), which is 5400 s"
    assert hint.origin is not None and hint.origin.text == "90min"


def test_each_kind_can_be_left_out_and_only_what_is_asked_for_is_given() -> None:
    text = "let n = 3\ntraining { model = src.model.Model(n_mels = n) }"
    here = view(Source("recipe.esp", text), WORLD)

    assert [each.text for each in all_of(text)] == [": int", " = 3"]
    assert [each.text for each in all_of(text, types=False)] == [" = 3"]
    assert [each.text for each in all_of(text, named=False)] == [": int"]
    assert hints(here, 0, 9) == ()
