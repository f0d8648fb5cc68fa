"""The outline of a recipe, and the paths in it."""

from __future__ import annotations

import pytest

from esp3c.query.links import links
from esp3c.query.symbols import Symbol, matches, symbols
from esp3c.world import MemoryWorld
from support.marks import PYTHON, RECIPE, seen


def outline(found: tuple[Symbol, ...], depth: int = 0) -> list[str]:
    lines: list[str] = []
    for each in found:
        lines.append(f"{'  ' * depth}{each.kind} {each.name} {each.detail}".rstrip())
        lines.extend(outline(each.children, depth + 1))
    return lines


def test_the_outline_has_declarations_blocks_keys_and_stages() -> None:
    lines = outline(symbols(seen(RECIPE).file))

    assert lines[:5] == [
        "let rate 16kHz", "let sizes { … }", "  key hidden 192", "  key heads 4", "let size sizes.hidden"
    ]  # fmt: skip
    for each in (
        "dataset spoken dataset",
        "  block sample",
        "    field speech float32[time]",
        "  block dataset",
        "  key model src.model.Recognizer(…)",
        "config small extends training",
        "  key trainer.max_epochs 2",
        "parallel gpu slurm(…)",
        "stages stages",
        "  stage train on gpu",
        "  stage export_onnx requires training, export runs src.stages.export_onnx",
        "    key over training.dataset.train",
    ):
        assert each in lines, "\n".join(lines)


def test_a_name_stands_inside_of_what_it_names() -> None:
    for text in (
        RECIPE,
        'config { a = 1 }\nlet = 3\ndataset\nstages { x on\n"b" { "c" = 1 }',
        "recipe r {\r\n  a = 1\r\n",
    ):
        left = list(symbols(seen(text).file))
        assert left or text.startswith("config")
        while left:
            each = left.pop()
            assert each.name
            assert each.whole.start <= each.selected.start <= each.selected.end <= each.whole.end
            left.extend(each.children)
            assert all(
                each.whole.start <= inner.whole.start <= inner.whole.end <= each.whole.end for inner in each.children
            )


@pytest.mark.parametrize(
    ("query", "name", "rank"),
    [("", "digits", 0), ("Dig", "digits", 0), ("git", "digits", 1), ("dgs", "digits", 2), ("sgd", "digits", None)],
)
def test_names_are_found_by_a_part(query: str, name: str, rank: int | None) -> None:
    assert matches(query, name) == rank


def test_texts_that_name_files_lead_to_them() -> None:
    files = ("data/words.txt", "exp/ctc/last.ckpt", "README.md", "docs/a.txt", "train")
    text = (
        'recipe r { system = src.system.Own  exp_tag = "ctc" }\n'
        'dataset an4 { source = "mini_an4/asr" }\n'
        'training { a = "data/words.txt"  b = "data/gone.txt"  c = "${data_dir}/words.txt"  d = "train"  e = "1.5"  f = "docs" }\n'
        'inference { model = src.model.Model(checkpoint = "${exp_dir}/last.ckpt"  other = "${recipe_dir}/docs" ) }\n'
        'publication { pack_model { include = ["docs", "*.txt", "README.md"] } }\n'
        'let odd = "${oc.env:HOME}/words.txt"\nlet long = """data/words.txt"""\n'
    )
    found = {each.path: each.span.text for each in links(seen(text, MemoryWorld(PYTHON, files=files)))}

    assert found == {
        "mini_an4/asr.py": "mini_an4/asr",
        "data/words.txt": "data/words.txt",
        "exp/ctc/last.ckpt": "${exp_dir}/last.ckpt",
        "docs": "docs",
        "README.md": "README.md",
    }
    spans = [each.span.text for each in links(seen(text, MemoryWorld(PYTHON, files=files)))]
    assert (
        spans.count("docs") == 1
        and "${recipe_dir}/docs" in spans
        and spans.count("data/words.txt") == 2
        and "${data_dir}/words.txt" in spans
    )


def test_without_files_there_is_nothing_to_follow() -> None:
    assert links(seen('training { a = "data/words.txt" }', MemoryWorld(PYTHON))) == ()
