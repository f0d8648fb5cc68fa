"""What is selected around a place: more with every step."""

from __future__ import annotations

import pytest

from esp3c.query.selection import MOST, around
from esp3c.query.view import view
from esp3c.source import Source
from support.fixtures import WORLD


def steps(marked: str) -> list[str]:
    """The texts that are selected around `|`."""
    offset, text = marked.index("|"), marked.replace("|", "", 1)
    return [text[start:end] for start, end in around(view(Source("recipe.esp", text), WORLD), offset)]


CONFIG = "training {\n  optimizer = torch.opt|im.AdamW(lr = 1e-3)\n  seed = 1\n}\n"


def test_from_a_word_of_a_path_to_the_file() -> None:
    text = CONFIG.replace("|", "")
    inside = "optimizer = torch.optim.AdamW(lr = 1e-3)\n  seed = 1"

    assert steps(CONFIG) == [
        "optim",
        "torch.optim.AdamW",
        "torch.optim.AdamW(lr = 1e-3)",
        "optimizer = torch.optim.AdamW(lr = 1e-3)",
        inside,
        "{\n  " + inside + "\n}",
        text[:-1],
        text,
    ]


@pytest.mark.parametrize(
    "marked, first",
    [
        ('let a = "exp/${exp_d|ir}/last.ckpt"', ["exp_dir", "${exp_dir}", "exp/${exp_dir}/last.ckpt", '"exp/${exp_dir}/last.ckpt"']),
        ('let a = "${train|ing.seed}"', ["training", "training.seed", "${training.seed}", '"${training.seed}"']),
        ('let a = "one t|wo"', ["two", "one two", '"one two"']),
        ("let a = [1, 16|kHz]", ["16kHz", "1, 16kHz", "[1, 16kHz]"]),
        ("let a = f.g(x = |1)", ["1", "x = 1", "(x = 1)", "f.g(x = 1)"]),
        ("# some com|ment\n# more\n", ["comment", "some comment", "# some comment", "# some comment\n# more"]),
        ("stages { train requires tr|aining }", ["training", "train requires training", "{ train requires training }"]),
        ("let a = {| }", [" ", "{ }", "let a = { }"]),
        ("let a = f.g|(x = 1)", ["g", "f.g", "f.g(x = 1)", "let a = f.g(x = 1)"]),
    ],
)  # fmt: skip
def test_the_first_steps(marked: str, first: list[str]) -> None:
    assert steps(marked)[: len(first)] == first


def test_a_missing_bracket_leaves_the_steps_that_can_be_known() -> None:
    assert steps("training {\n  trainer {\n    devices = |1\n")[0] == "1"
    assert "trainer {\n    devices = 1" in " ".join(steps("training {\n  trainer {\n    devices = |1\n"))


def test_deep_nesting_has_an_end() -> None:
    chain = steps("let a = " + "[" * 90 + "|1" + "]" * 90)

    assert len(chain) == MOST and chain[0] == "1" and chain[-1].startswith("let a")
