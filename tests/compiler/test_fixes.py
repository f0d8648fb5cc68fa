"""Fixes: each does what it says and no more, and a name is only replaced where no other can have been meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from esp3c.diagnostics import Diagnostic, Severity
from esp3c.suggest import certain
from support.fixtures import bad_fixtures, compile_text

HEAD = "recipe digits { system = espnet3.systems.asr.system.ASRSystem }\n"


def fixed(text: str, diagnostic: Diagnostic) -> str:
    assert diagnostic.fix is not None
    for edit in sorted(diagnostic.fix.edits, key=lambda edit: -edit.span.start):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


def syntax_errors(text: str) -> int:
    found = compile_text(text).diagnostics
    return sum(each.code.family == "syntax" and each.severity is Severity.ERROR for each in found)


@pytest.mark.parametrize("path", bad_fixtures(), ids=lambda path: path.stem)
def test_every_fix_of_every_fixture_mends_its_mistake_and_breaks_nothing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    before = compile_text(text).diagnostics

    for each in before:
        if each.fix is None:
            continue
        after = fixed(text, each)

        same = [one for one in before if (one.code, one.message) == (each.code, each.message)]
        left = [one for one in compile_text(after).diagnostics if (one.code, one.message) == (each.code, each.message)]
        assert len(left) < len(same), each.message
        assert syntax_errors(after) <= syntax_errors(text), each.message


@pytest.mark.parametrize(
    "wrong, right",
    [
        ("training { trainer { max_epoch = 3 } }", "training { trainer { max_epochs = 3 } }"),
        ("training { trainer { maxEpochs = 3 } }", "training { trainer { max_epochs = 3 } }"),
        ("training { trainer { accelerator = gpu } }", 'training { trainer { accelerator = "gpu" } }'),
        ("training { trainer { accelerator = True } }", "training { trainer { accelerator = true } }"),
        ('training { scheduler_interval = "Step" }', 'training { scheduler_interval = "step" }'),
        ('training { seed = "3" }', "training { seed = 3 }"),
        ("training { seed: 3 }", "training { seed = 3 }"),
        ("training { seed : 3 }", "training { seed = 3 }"),
        ("training { new seed = 3 }", "training { seed = 3 }"),
        ("training { seed = 3; }", "training { seed = 3 }"),
        ("training { exp_tag = “ctc” }", 'training { exp_tag = "ctc" }'),
        ("training { seed =\u00a03 }", "training { seed = 3 }"),
        ("training { model = torch.nn.RELU() }", "training { model = torch.nn.ReLU() }"),
        ('training { exp_tag = "${recipe_dri}" }', 'training { exp_tag = "${recipe_dir}" }'),
        ("stages { ExportONNX runs src.stages.export_onnx }", "stages { export_onnx runs src.stages.export_onnx }"),
        ("training {}\nstages { trian }", "training {}\nstages { train }"),
        ("trainning {}", "training {}"),
        ("training { parallel = slurm(queue = \"a\") }", "training { parallel = slurm(partition = \"a\") }"),
        ("training { parallel = slurm(walltime = 1h) }", "training { parallel = slurm(time = 1h) }"),
        ("training { parallel = slurm(memory = 1GB) }", "training { parallel = slurm(mem = 1GB) }"),
        ("training { parallel = slurm(job_script_prologue = [\"a\"]) }", "training { parallel = slurm(setup = [\"a\"]) }"),
    ],
)  # fmt: skip
def test_certain_mistakes_have_a_fix(wrong: str, right: str) -> None:
    text = HEAD + wrong
    fixes = {fixed(text, each) for each in compile_text(text).diagnostics if each.fix is not None}

    assert fixes == {HEAD + right}


@pytest.mark.parametrize(
    "body",
    [
        "let rate_a = 1\ntraining { seed = rate_b }",
        "training { lr = 3 }",
        "training { trainer { max_ = 3 } }",
        'training { trainer { accelerator = "tpuu8" } }',
        "training { trainer { max_time = 5m } }",
        "stages { ExportONNX requires training runs src.stages.export_onnx }\ntraining { ExportONNX { a = 1 } }",
        "training { model = torch.nn.Conv1d() }",
        "training { exp_tag = ctc }",
        # The values are not of this kind here, or count something else.
        'training { parallel = slurm(walltime = "04:00:00") }',
        "training { parallel = slurm(cores = 4) }",
        "training { parallel = slurm(timeout_min = 240) }",
        'training { parallel = slurm(job_extra_directives = ["--gres=gpu:1"]) }',
    ],
)
def test_what_is_not_certain_has_none(body: str) -> None:
    diagnostics = compile_text(HEAD + body).diagnostics

    assert diagnostics and all(each.fix is None for each in diagnostics)


@pytest.mark.parametrize(
    "base, wrong, right",
    [
        ("trainer { max_epochs = 3 }", "new trainer.max_epochs = 4", "trainer.max_epochs = 4"),
        ("trainer { max_epochs = 3 }", "trainer.devices = 4", "new trainer.devices = 4"),
        ("trainer { max_epochs = 3 }", "trainer { devices = 4 }", "trainer { new devices = 4 }"),
        ("trainer { max_epochs = 3 }", 'exp_tag = "b"', 'new exp_tag = "b"'),
        ("trainer { max_epochs = 3 }", "my_own = 4", None),
        ("seed = 1", "new trainer.devices = 4", None),
        ("seed = 1", "trainer.devices = 4", None),
    ],
)
def test_new_is_put_in_and_taken_out(base: str, wrong: str, right: str | None) -> None:
    def recipe(change: str) -> str:
        return f"{HEAD}training {{ {base} }}\nconfig easy extends training {{ {change} }}\nstages {{ train }}"

    text = recipe(wrong)
    (diagnostic,) = [each for each in compile_text(text).diagnostics if each.code.id == "ESP0209"]

    assert (None if diagnostic.fix is None else fixed(text, diagnostic)) == (None if right is None else recipe(right))


@pytest.mark.parametrize(
    "name, near, meant",
    [
        ("max_epoch", ["max_epochs"], True),
        ("maxEpochs", ["max_epochs"], True),
        ("optimiser.lr", ["optimizer.lr"], True),
        ("accelarater", ["accelerator"], True),
        ("gpus", ["gpu"], True),
        ("tset", ["test"], True),
        ("trian", ["train", "brian"], False),
        ("test", ["text"], False),
        ("layer1", ["layer2"], False),
        ("rate_b", ["rate_a"], False),
        ("Conv1d", ["Conv2d"], False),
        ("ls", ["lr"], False),
        ("a.b", ["a.b.c"], False),
        ("anything", [], False),
    ],
)
def test_one_slip_in_a_long_word_is_certain(name: str, near: list[str], meant: bool) -> None:
    assert certain(name, near) == (near[0] if meant else None)
