"""What is shown of the word at a place."""

from __future__ import annotations

import pytest

from esp3c.lsp.documents import uri_of
from esp3c.python.reader import reader
from esp3c.query.docstrings import docstring_of, shown
from esp3c.query.hover import hover
from esp3c.query.hover_parts import Code, Part, Place, Said, markdown, plain
from esp3c.query.hover_words import TYPES, WORDS
from esp3c.query.values_shown import amount
from esp3c.syntax.ast import Dimension
from esp3c.words import words
from esp3c.world import MemoryWorld
from support.marks import PYTHON, RECIPE, at, marked, seen


def said(mark: str, text: str = RECIPE) -> str:
    found = hover(seen(text), at(text, mark))
    return plain(found.parts) if found is not None else ""


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        # Keys: what they mean, what they take, where they are written.
        ("trainer { max_ep|ochs", ["max_epochs: ", "Takes an int", "trainer.max_epochs in conf/training.yaml"]),
        ("trainer.max_ep|ochs = 2", ["in place of what training has", "training.trainer.max_epochs = 9", "conf/small.yaml"]),
        ("  se|ed    = 7", ["seed of everything random", "at least 0", "conf/training.yaml, conf/small.yaml"]),
        ('se|en = spoken(split = "test")', ["dataset.test[0] in conf/inference.yaml"]),
        ("op|set = 17", ["a key of the recipe's own", "opset in conf/export.yaml"]),
        ("label_a|ll { beam", ["settings of the stage label_all"]),
        ("Builder(utter|ances", ["utterances: int = 10", "create_dataset.utterances in conf/training.yaml"]),
        # Arguments: the parameter, and its docstring.
        ("Recognizer(n_me|ls = 80", ["n_mels: int = 80", "parameter of src.model.Recognizer", "how many bands", "src/model.py:13",
                                     "model.n_mels in conf/training.yaml"]),
        ('seen = spoken(spl|it = "test")', ["split: str", "which is needed", "dataset.test[0].data_src_args.split"]),
        # Targets: the signature, the docstring, the place.
        ("= src.model.Recog|nizer(n_mels = 80", ["class Recognizer(", "n_mels: int = 80", "*,", "Reads digits.", "src/model.py:5"]),
        ("torch.optim.Ada|mW", ["class AdamW(params, lr: float = 0.001, weight_decay: float = 0.01)", "Implements AdamW.",
                                "It is torch.optim.Adam with decay."]),
        ("src.text.cl|ean", ["def clean(text: str, lower=True) -> str", "Makes a text plain."]),
        ("src|.text.clean", ["import src", "The recipe's own Python."]),
        # References: the value, and the way to it.
        ("hidden_size = s|ize)", ["size = 192", "by way of size → sizes.hidden"]),
        ("size  = sizes.hid|den", ["sizes.hidden = 192"]),
        ("training.model.n_m|els", ["training.model.n_mels = 80"]),
        ("training.model.hidden_s|ize", ["training.model.hidden_size = 192", "→ size → sizes.hidden"]),
        ("max_lr = optimizer.l|r", ["training.optimizer.lr = 4e-3"]),
        ("list = wor|ds", ['let words = "${data_dir}/words.txt"']),
        # Quantities in base units.
        ("rate  = 16k|Hz", ["16kHz is 16,000 Hz", "1kHz is 1,000 Hz"]),
        ("max_time = 90m|in", ["90min is 5,400 s", "1min is 60 s"]),
        ("mem = 32G|B", ["32GB is 32,000,000,000 B"]),
        # Texts and the names in them.
        ('path = "${exp_d|ir}/model.onnx"', ["exp_dir = exp/ctc", "where this experiment writes"]),
        ('path = "${exp_dir}/mod|el.onnx"', ["exp/ctc/model.onnx"]),
        # Declarations.
        ("dataset spo|ken", ["class: dataset.dataset.Digits", "builder: dataset.builder.Builder", "speech: float32[time]",
                             "used by training, small, inference"]),
        ("parallel g|pu", ["sbatch is asked for time = 90, mem = 30518M", "Stages: train, infer, label_all"]),
        ('"gpu", time| = 90min', ["the time limit of a job", "handed over as 90 (minutes)", "stage_parallel.train.options.time"]),
        ("let r|ate", ["let rate = 16kHz", "16kHz is 16,000 Hz", "used 0 times"]),
        ("config sm|all", ["all of training", "conf/small.yaml", "Stages: train_small"]),
        ("infer|ence {", ["The config of infer", "conf/inference.yaml", "Stages: infer"]),
        ("recipe dig|its", ["System: espnet3.systems.base.system.BaseSystem", "create_dataset, train, train_small"]),
        ("utt_id: str  spe|ech", ["speech: float32[time]", "field of each item of spoken"]),
        ('input_key = "spe|ech"', ["field of each item of spoken"]),
        # Stages: configs, what they read and leave, where they run.
        ("  tra|in        on gpu", ["Configs: training", "training.model", "Comes after create_dataset", "Leaves checkpoints",
                                    "exp/ctc/*.ckpt", 'slurm(partition = "gpu"']),
        ("train_sm|all  requires", ["runs train of the system", "small.model", "exp/small/*.ckpt", "Runs on this machine"]),
        ("label_al|l    on", ["goes through items over training.dataset.train", "runner: src.work.Runner"]),
        ("export_onn|x  requires", ["runs src.stages.export_onnx", "Configs: training, export", "Writes the model."]),
        ("runs tr|ain", ["stage train of the system"]),
        # Words of the language.
        ("requ|ires small", ["The configs that a stage works with", "export_onnx requires training, export"]),
        ("exte|nds training", ["Begins with all of another config"]),
        ("ne|w exp_tag", ["Adds a key"]),
        ("sta|ges {", ["in the order in which they run"]),
        ("speech: floa|t32", ["32-bit floating point"]),
        ("= slu|rm(", ["Jobs of SLURM", "partition"]),
    ],
)  # fmt: skip
def test_a_word_is_explained(mark: str, expected: list[str]) -> None:
    text = said(mark)
    for each in expected:
        assert each in text, text


@pytest.mark.parametrize("mark", ["}|\n\ndataset", "train_small  |requires", "n_workers = 2|)", '"tra|in")'])
def test_what_means_nothing_shows_nothing(mark: str) -> None:
    text = said(mark)
    assert text == "" or mark == "train_small  |requires"


def test_what_is_shown_is_of_the_word_alone() -> None:
    found = hover(seen(RECIPE), at(RECIPE, "training.model.n_m|els"))
    assert found is not None and found.span.text == "n_mels"

    number = hover(seen(RECIPE), at(RECIPE, "max_time = 90m|in"))
    assert number is not None and number.span.text == "90min"


def test_python_that_is_not_there_says_so() -> None:
    text, (absent, unknown) = marked("training { model = src.model.Noth|ing() optimizer = torch.optim.Sparse|Adam() }")
    assert "there is no `Nothing` in `src.model`".replace("`", "") in plain(hover_parts(text, absent))
    assert "SparseAdam" in plain(hover_parts(text, unknown))


def hover_parts(text: str, offset: int, world: MemoryWorld | None = None) -> tuple[Part, ...]:
    found = hover(seen(text, world) if world is not None else seen(text), offset)
    assert found is not None
    return found.parts


def test_a_key_that_is_a_mistake_is_left_to_its_diagnostic() -> None:
    text, (place,) = marked("training { trainer { max_ep|och = 9 } }")
    assert hover(seen(text), place) is None


def test_a_place_is_a_link_that_names_the_module_rather_than_the_environment() -> None:
    installed = Place("/home/me/env/lib/python3.12/site-packages/torch/optim/adamw.py", 20)
    assert markdown([installed], uri_of) == f"in [`torch/optim/adamw.py:20`](file://{installed.path}#L20)"
    assert plain([installed]) == f"in {installed.path}:20"
    standard = Place("/usr/lib/python3.12/json/encoder.py", 3)
    assert markdown([standard], uri_of).startswith("in [`json/encoder.py:3`](")
    own = markdown([Place("src/my model.py", 5)], uri_of)
    assert own.startswith("in [`src/my model.py:5`](file:///") and own.endswith("/src/my%20model.py#L5)")


def test_values_that_need_each_other_end() -> None:
    text, (place,) = marked("let a = b\nlet b = a\ntraining { c = |a }\n")
    found = hover(seen(text), place)
    assert found is None or "a" in plain(found.parts)


def test_every_word_of_the_language_has_a_sentence() -> None:
    known = words()
    everything = {*known.declarations, *known.well_known, *known.clauses, *known.modifiers, *known.constants}

    assert everything == WORDS.keys()
    assert set(known.types) == TYPES.keys()
    for text in (*WORDS, *TYPES, *known.backends):
        assert "`" not in text
    for backend in known.backends:
        shown_parts = hover_parts(f"parallel p = {backend}()", len("parallel p = ") + 1)
        assert isinstance(shown_parts[0], Said) and shown_parts[0].text, backend


def test_examples_of_words_can_be_read() -> None:
    for text, (_, example) in WORDS.items():
        inside = {"requires", "runs", "on"}
        whole = (
            f"stages {{ {example} }}"
            if text in inside
            else f"training {{ {example} }}"
            if "=" in example and "{" not in example
            else example
        )
        if text in {"let", "parallel"}:
            whole = example
        assert not seen(whole).syntactic, (text, whole)


def test_markdown_takes_nothing_for_a_sign_of_its_own() -> None:
    parts = (Said("a_b *c* <d> [e] `f_*g`"), Code("x = `y`", "python"), Said("a ` alone_"))

    assert markdown(parts, uri_of) == "a\\_b \\*c\\* \\<d> \\[e\\] `f_*g`\n\n```python\nx = `y`\n```\n\na \\` alone\\_"
    assert plain(parts) == "a_b *c* <d> [e] f_*g\n\nx = `y`\n\na  alone_"
    assert markdown([Code("```\n```")], uri_of).startswith("````esp\n")


@pytest.mark.parametrize(
    ("value", "dimension", "expected"),
    [
        (5400, Dimension.DURATION, "5,400 s"),
        (0.25, Dimension.DURATION, "0.25 s"),
        (44100.0, Dimension.FREQUENCY, "44,100 Hz"),
        (2**34, Dimension.SIZE, "17,179,869,184 B"),
        (3, None, "3"),
    ],
)
def test_amounts_are_in_base_units(value: float, dimension: Dimension | None, expected: str) -> None:
    assert amount(value, dimension) == expected


def test_docstrings_are_read_up_to_their_parameters() -> None:
    text = (
        'class A:\n    """First line.\n\n    More with :meth:`~x.y.run` and ``code``.\n\n    .. note:: not this\n\n'
        '        >>> A()\n        1\n\n    Args:\n        size: not this either\n    """\n'
    )
    world = MemoryWorld({"m": text, "empty": "class A: ...\n", "raw": "class A:\n    r'''Only \\d.'''\n"})

    parts = shown(docstring_of(reader(world), "m.A"))
    assert parts == [
        Said("First line."), Said("More with `x.y.run` and `code`."), Code(">>> A()\n1", "python")
    ]  # fmt: skip
    assert shown(docstring_of(reader(world), "empty.A")) == []
    assert docstring_of(reader(world), "raw.A") == "Only \\d."
    assert docstring_of(reader(world), "m") == ""
    assert docstring_of(reader(MemoryWorld(PYTHON)), "src") == "The recipe's own Python."


def test_a_long_docstring_is_cut() -> None:
    world = MemoryWorld(
        {"m": 'def f():\n    """' + "\n\n    ".join(f"Paragraph {number}." for number in range(20)) + '"""\n'}
    )
    parts = shown(docstring_of(reader(world), "m.f"))
    assert len(parts) == 7 and parts[-1] == Said("…")
