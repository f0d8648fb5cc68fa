"""From a name to what it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from esp3c.disk import DiskWorld
from esp3c.query.definitions import Leads, declaration, definition
from esp3c.query.type_definitions import type_definition
from esp3c.query.view import View, view
from esp3c.source import Source
from esp3c.world import MemoryWorld, Module, ModuleKind
from support.marks import PYTHON, RECIPE, at, marked, seen, shown

DIGITS = Path(__file__).parents[2] / "recipes" / "spoken_digits" / "recipe.esp"


def goals(found: Leads | None) -> list[str]:
    return [shown(goal.name) for goal in found.goals] if found is not None else []


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        # In the recipe.
        ("hidden_size = s|ize)", "recipe.esp:3 size"),
        ("size  = siz|es.hidden", "recipe.esp:2 sizes"),
        ("size  = sizes.hidd|en", "recipe.esp:2 hidden"),
        ('seen = spo|ken(split = "test")', "recipe.esp:12 spoken"),
        ("tra|ining.model.n_mels", "recipe.esp:18 training"),
        ("training.mod|el.n_mels", "recipe.esp:23 model"),
        ("training.model.n_m|els", "recipe.esp:23 n_mels"),
        ("max_lr = optimi|zer.lr", "recipe.esp:24 optimizer"),
        ("config small extends tr|aining", "recipe.esp:18 training"),
        ("config sm|all", "recipe.esp:30 small"),
        ("trai|ner.max_epochs = 2", "recipe.esp:26 trainer"),
        ("over = training.data|set.train", "recipe.esp:19 dataset"),
        ("over = training.dataset.tra|in", "recipe.esp:20 train"),
        ("label_a|ll { beam", "recipe.esp:51 label_all"),
        ("requires sma|ll", "recipe.esp:30 small"),
        ("train        on g|pu", "recipe.esp:44 gpu"),
        ('input_key = "spe|ech"', "recipe.esp:15 speech"),
        ("list = wo|rds", "recipe.esp:4 words"),
        # In Python.
        ("= src.model.Recog|nizer(n_mels = 80", "src/model.py:5 Recognizer"),
        ("= src.mod|el.Recognizer(n_mels = 80", "src/model.py:1"),
        ("torch.optim.Ada|mW", "torch/optim/adamw.py:1 AdamW"),
        ("AdamW(l|r", "torch/optim/adamw.py:2 lr"),
        ("Recognizer(n_me|ls = 80", "src/model.py:13 n_mels"),
        ('seen = spoken(spl|it = "test")', "dataset/dataset.py:4 split"),
        ("Builder(utter|ances", "dataset/builder.py:5 utterances"),
        ("src|.text.clean", "src/__init__.py:1"),
        ("src.text.cl|ean", "src/text.py:1 clean"),
        ("runs src.stages.export_on|nx", "src/stages.py:1 export_onnx"),
        ("runs tr|ain", "espnet3/systems/base/system.py:4 train"),
        ("  create_da|taset", "espnet3/systems/base/system.py:2 create_dataset"),
        ("base.system.Base|System", "espnet3/systems/base/system.py:1 BaseSystem"),
        ("trainer { max_ep|ochs", "lightning/pytorch/trainer/trainer.py:2 max_epochs"),
        ("src.work.Runner(be|am", "src/work.py:2 beam"),
    ],
)
def test_a_name_leads_to_its_definition(mark: str, expected: str) -> None:
    assert goals(definition(seen(RECIPE), at(RECIPE, mark))) == [expected]


@pytest.mark.parametrize(
    "mark",
    [
        'split = "tr|ain"',
        "let rate  = 16k|Hz",
        "${exp_d|ir}",
        "slu|rm(partition",
        "sample { utt_id: s|tr",
        "# not|hing",
    ],
)
def test_what_has_no_definition_leads_nowhere(mark: str) -> None:
    text = RECIPE + "# nothing\n"
    assert definition(seen(text), at(text, mark)) is None


def test_names_in_text_lead_where_they_do_outside() -> None:
    text, (one, two) = marked('let a = "x"\ntraining { b { c = "${|a}/y" } d = "z ${b.|c}" }\n')

    assert goals(definition(seen(text), one)) == ["recipe.esp:1 a"]
    assert goals(definition(seen(text), two)) == ["recipe.esp:2 c"]


def test_a_key_that_a_config_takes_over_leads_to_its_base_and_a_reference_to_its_own() -> None:
    text, (key, used) = marked(
        "training { lr = 1 }\nconfig low extends training { l|r = 2 }\nconfig x { a = low.l|r }\n"
    )

    assert goals(definition(seen(text), key)) == ["recipe.esp:1 lr"]
    assert goals(definition(seen(text), used)) == ["recipe.esp:2 lr"]
    assert goals(declaration(seen(text), used)) == ["recipe.esp:1 lr"]


def test_the_whole_of_a_declaration_is_told_beside_its_name() -> None:
    found = definition(seen(RECIPE), at(RECIPE, "train        on g|pu"))

    assert found is not None and found.origin.text == "gpu"
    assert found.goals[0].whole.text.startswith("parallel gpu = slurm(") and found.goals[0].whole.text.endswith("2)")


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        ('seen = spo|ken(split = "test")', "dataset/dataset.py:1 Digits"),
        ("over = training.data|set.train", None),
        ("  mod|el     = src.model.Recognizer(n_mels = 80", "src/model.py:5 Recognizer"),
        ("training.mod|el.n_mels", "src/model.py:5 Recognizer"),
        ("max_lr = optimi|zer.lr", "torch/optim/adamw.py:1 AdamW"),
        ("recipe dig|its", "espnet3/systems/base/system.py:1 BaseSystem"),
        ("export_on|nx  requires", "src/stages.py:1 export_onnx"),
        ("  trai|n        on", "espnet3/systems/base/system.py:4 train"),
        ("hidden_size = s|ize)", None),
    ],
)
def test_the_type_of_a_value_is_what_makes_it(mark: str, expected: str | None) -> None:
    found = goals(type_definition(seen(RECIPE), at(RECIPE, mark)))
    assert found == ([expected] if expected is not None else [])


def test_the_type_of_an_argument_is_its_annotation() -> None:
    text, (place,) = marked("training { model = src.model.Recognizer(lay|ers = null) }")
    assert goals(type_definition(seen(text), place)) == []

    annotated = MemoryWorld({**PYTHON, "src.model": "class Layers: ...\ndef make(layers: Layers | None = None): ...\n"})
    text, (place,) = marked("training { model = src.model.make(lay|ers = null) }")
    assert goals(type_definition(seen(text, annotated), place)) == ["src/model.py:1 Layers"]


def test_a_module_that_makes_its_names_when_it_runs_leads_to_its_stub() -> None:
    class Stubbed(MemoryWorld):
        def stub(self, module: Module) -> Module | None:
            return Module(module.name, ModuleKind.SOURCE, "lazy.pyi", False) if module.name == "lazy" else None

        def source(self, module: Module) -> Source | None:
            if module.place == "lazy.pyi":
                return Source("lazy.pyi", "\n\nclass Model:\n    def __init__(self, size: int): ...\n")
            return super().source(module)

    world = Stubbed({"lazy": "def __getattr__(name): ...\n"})
    text, (of_class, of_argument) = marked("training { model = lazy.Mod|el(si|ze = 1) }")

    assert goals(definition(seen(text, world), of_class)) == ["lazy.pyi:3 Model"]
    assert goals(definition(seen(text, world), of_argument)) == ["lazy.pyi:4 size"]


# -- a real recipe and the real environment -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits() -> View:
    return view(Source(str(DIGITS), DIGITS.read_text(encoding="utf-8")), DiskWorld(DIGITS.parent))


@pytest.mark.parametrize(
    ("mark", "path", "text"),
    [
        ("src.model.CTCRecog|nizer", "recipes/spoken_digits/src/model.py", "class CTCRecognizer"),
        ("CTCRecognizer(n_m|els", "recipes/spoken_digits/src/model.py", "n_mels"),
        ("torch.optim.Adam|W(", "torch/optim/adamw.py", "class AdamW"),
        ("AdamW(l|r", "torch/optim/adamw.py", "lr:"),
        ("vocab_size  = trai|ning.model", "recipes/spoken_digits/recipe.esp", "training {"),
        ("training.mod|el.vocab_size", "recipes/spoken_digits/recipe.esp", "model     = src.model"),
        ("training.model.vocab|_size", "recipes/spoken_digits/recipe.esp", "vocab_size = 12"),
        ("systems.asr.system.ASR|System", "espnet3/systems/asr/system.py", "class ASRSystem"),
        ("trainer { max_ep|ochs", "lightning/pytorch/trainer/trainer.py", "max_epochs"),
        (
            "batch_size = |20".replace("batch_size = |", "batch_si|ze = "),
            "torch/utils/data/dataloader.py",
            "batch_size",
        ),
    ],
)
def test_real_python_is_found(digits: View, mark: str, path: str, text: str) -> None:
    found = definition(digits, at(digits.source.text, mark))

    assert found is not None and len(found.goals) == 1
    span = found.goals[0].name
    assert Path(span.source.path).absolute().as_posix().endswith(path)
    line = span.source.line_text(span.source.position(span.start)[0])
    assert text in line and span.text in text
