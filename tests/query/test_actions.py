"""What is offered: each change does what its title says, parses, and brings no new error."""

from __future__ import annotations

from pathlib import Path

import pytest

from esp3c.diagnostics import Diagnostic
from esp3c.pipeline import compile
from esp3c.query.actions import Action
from esp3c.query.actions_offered import about, at
from esp3c.query.fixes import applied, worse
from esp3c.query.view import View, view
from esp3c.source import Source
from esp3c.world import MemoryWorld
from support.fixtures import MODULES, WORLD, bad_fixtures

HEAD = "recipe digits { system = espnet3.systems.asr.system.ASRSystem }\n"
STRICT = MemoryWorld(
    {
        **MODULES,
        "src.strict": (
            "from typing import Literal, Optional\nfrom torch.nn import Module\n"
            "class Model(Module):\n"
            "    def __init__(self, size: int, kind: Literal['gru', 'lstm'], *, rate: float, names: list[str],\n"
            "                 flag: bool, other: Optional[str], any): ...\n"
            "    def forward(self, **batch): ...\n"
            "class Outer(Module):\n    def __init__(self, inner: Module): ...\n"
        ),
        "dataset.dataset": (
            "from torch.utils.data.dataset import Dataset\n"
            "class Digits(Dataset):\n    def __init__(self, **kwargs): ...\n"
            "    def __len__(self): ...\n    def __getitem__(self, index): ...\n"
        ),
        "torch.utils.data": "from .dataset import Dataset\n",
    }
)


def read(text: str, world: MemoryWorld = STRICT) -> tuple[View, tuple[Diagnostic, ...]]:
    here = view(Source("recipes/digits/recipe.esp", text), world)
    return here, compile(here.source, world).diagnostics


def offered(text: str, code: str, world: MemoryWorld = STRICT) -> dict[str, str]:
    """What is offered about the diagnostics of a code: the texts that come of it, by their titles."""
    here, diagnostics = read(text, world)
    actions = [action for each in diagnostics if each.code.id == code for action in about(here, each)]
    assert all(action.diagnostic is not None for action in actions)
    return {action.title: applied(text, action.edits) for action in actions}


def put(text: str, code: str, title: str) -> str:
    found = offered(HEAD + text, code)
    (made,) = [after for each, after in found.items() if each.startswith(title)]
    return made.removeprefix(HEAD)


# -- arguments ------------------------------------------------------------------------------------------------------------

GIVEN = 'size = 1, kind = "gru", rate = 1.0, names = [], flag = false, other = "", any = null'


@pytest.mark.parametrize(
    "text, after",
    [
        ("training { model = src.strict.Model() }", f"training {{ model = src.strict.Model({GIVEN}) }}"),
        (
            "training { model = src.strict.Model(size = 3,) }",
            f"training {{ model = src.strict.Model(size = 3, {GIVEN.removeprefix('size = 1, ')},) }}",
        ),
        (
            'let names = "x"\nlet flag = true\ntraining { model = src.strict.Model(size = 1, kind = "gru", rate = 1.0) }',
            'let names = "x"\nlet flag = true\ntraining { model = src.strict.Model(size = 1, kind = "gru", rate = 1.0, '
            'names = [], flag = flag, other = "", any = null) }',
        ),
        (
            "training {\n  model = src.strict.Model(\n    size = 1,  # why\n"
            '    kind = "gru", rate = 1.0, names = [], flag = true  # and why\n  )\n}',
            "training {\n  model = src.strict.Model(\n    size = 1,  # why\n"
            '    kind = "gru", rate = 1.0, names = [], flag = true,  # and why\n    other = "",\n    any = null,\n  )\n}',
        ),
        (
            'training {\n  model {\n    _target_ = src.strict.Model\n    size = 1  kind = "gru"\n    rate = 1.0  names = []\n'
            "    flag = true\n  }\n}",
            'training {\n  model {\n    _target_ = src.strict.Model\n    size = 1  kind = "gru"\n    rate = 1.0  names = []\n'
            '    flag = true\n    other = ""\n    any = null\n  }\n}',
        ),
    ],
)  # fmt: skip
def test_missing_arguments_in_the_style_of_the_call(text: str, after: str) -> None:
    assert put(text, "ESP0403", "Add the argument") == after
    assert not worse(read(HEAD + text)[1], read(HEAD + after)[1])


def test_an_argument_that_only_an_object_can_be_is_not_made_up() -> None:
    found = offered(HEAD + "training { model = src.strict.Outer() }", "ESP0403")

    assert list(found) == ["Ignore ESP0403 here"]


def test_the_count_of_batches() -> None:
    loader = 'training {\n  dataloader {\n    train { iter_factory { batches { type = "numel" } } }\n  }\n}\n'

    assert put(loader, "ESP0315", "Add `batch_bins`") == loader.replace('"numel"', '"numel"  batch_bins = 1_000_000')


def test_a_recipe_block_called_after_its_folder() -> None:
    found = offered("# About it.\n\ntraining { seed = 1 }\n", "ESP0304")
    block = "recipe digits {\n  system = espnet3.systems.asr.system.ASRSystem\n}\n\n"

    assert found == {"Add a `recipe` block": f"# About it.\n\n{block}training {{ seed = 1 }}\n"}


# -- declarations ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code, title, text, after",
    [
        ("ESP0203", "Declare the parallel `gpu`", "<head>stages {\n  train on gpu\n}\n",
         "<head>parallel gpu = local(n_workers = 2)\n\nstages {\n  train on gpu\n}\n"),
        ("ESP0203", "Declare the parallel `gpu`", "<head>parallel b = local()  # x\nstages { train on gpu }\n",
         "<head>parallel b = local()  # x\nparallel gpu = local(n_workers = 2)\nstages { train on gpu }\n"),
        ("ESP0203", "Declare the config `base`", "<head>config a extends base { }\n\n# Stages.\nstages { }\n",
         "<head>config a extends base { }\n\nconfig base { }\n\n# Stages.\nstages { }\n"),
        ("ESP0604", "Declare the config `export`", "<head>stages { go requires export runs src.stages.export_onnx }",
         "<head>config export { }\n\nstages { go requires export runs src.stages.export_onnx }"),
        ("ESP0201", "Declare `let number`", "<head>training { seed = number }\n",
         "let number = 1\n\n<head>training { seed = number }\n"),
        ("ESP0201", "Declare `let number`", "<head>let a = 1  # one\n\ntraining { seed = number  exp_tag = a }\n",
         "<head>let a = 1  # one\nlet number = 1\n\ntraining { seed = number  exp_tag = a }\n"),
        ("ESP0201", "Declare `let sort`", "# All.\n<head>training { model = src.strict.Model(kind = sort) }\n",
         '# All.\n\nlet sort = "gru"\n\n<head>training { model = src.strict.Model(kind = sort) }\n'),
        ("ESP0201", "Declare `let tag`", '<head>training { exp_tag = "${tag}" }\n',
         'let tag = ""\n\n<head>training { exp_tag = "${tag}" }\n'),
        ("ESP0201", "Declare the parallel `gpu`", "<head>training { parallel = gpu }",
         "<head>training { parallel = gpu }\n\nparallel gpu = local(n_workers = 2)\n"),
        ("ESP0202", "Declare the dataset `digits`", '<head>\ntraining { dataset { train = [digits(split = "a")] } }\n',
         '<head>\ndataset digits { class = dataset.dataset.Digits }\n\ntraining { dataset { train = [digits(split = "a")] } }\n'),
    ],
)  # fmt: skip
def test_declarations_of_what_is_named(code: str, title: str, text: str, after: str) -> None:
    text, after = text.replace("<head>", HEAD), after.replace("<head>", HEAD)

    assert offered(text, code)[title] == after
    assert not worse(read(text)[1], read(after)[1])


def test_a_dataset_is_not_made_up_where_there_is_no_class() -> None:
    found = offered(HEAD + "training { dataset { train = [digits()] } }\n", "ESP0202", MemoryWorld({"src": ""}))

    assert not any(each.startswith("Declare") for each in found)


# -- ignores --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, after",
    [
        ("training { own = 1 }\n", "training { own = 1 }" + " " * 37 + "# esp: ignore[ESP0301]\n"),
        ("training { own = 1 }  # why\n", "training { own = 1 }  # why # esp: ignore[ESP0301]\n"),
        ("training { own = 1 seed = true }  # esp: ignore[ESP0302] x\n",
         "training { own = 1 seed = true }  # esp: ignore[ESP0302, ESP0301] x\n"),
        ('training {\n  own = 1  exp_tag = """\n  x"""\n}\n',
         'training {\n  # esp: ignore[ESP0301]\n  own = 1  exp_tag = """\n  x"""\n}\n'),
        ("training { own = 1 }\r\n", "training { own = 1 }" + " " * 37 + "# esp: ignore[ESP0301]\r\n"),
    ],
)  # fmt: skip
def test_an_ignore_in_its_place(text: str, after: str) -> None:
    assert put(text, "ESP0301", "Ignore ESP0301 here") == after
    assert "ESP0301" not in [each.code.id for each in read(HEAD + after)[1]]


def test_what_cannot_be_ignored_is_not_offered() -> None:
    assert not any("Ignore" in each for each in offered(HEAD + "training { seed = nothing }", "ESP0201"))
    assert not any("Ignore" in each for each in offered(HEAD + "training { seed = }", "ESP0105"))


# -- stages ---------------------------------------------------------------------------------------------------------------


def test_stages_in_the_order_of_the_system() -> None:
    text = "stages {\n  measure  # scores\n  go runs src.stages.export_onnx\n  infer\n  train  # long\n}\n"

    assert put(text, "ESP0606", "Put the stages") == (
        "stages {\n  train  # long\n  go runs src.stages.export_onnx\n  infer\n  measure  # scores\n}\n"
    )
    assert put("stages { measure infer }  # why\n", "ESP0606", "Put the stages") == "stages { infer measure }  # why\n"


# -- lets -----------------------------------------------------------------------------------------------------------------


def refactored(marked: str) -> dict[str, str]:
    """What can be made of the text between two `|`, or at one."""
    start = marked.index("|")
    end = marked.index("|", start + 1) - 1 if marked.count("|") > 1 else start
    text = marked.replace("|", "")
    here = view(Source("recipe.esp", text), STRICT)
    return {each.title: applied(text, each.edits) for each in at(here, start, end)}


@pytest.mark.parametrize(
    "marked, title, after",
    [
        ("training { seed = 2|6 }", "Put the value into `let seed`", "let seed = 26\n\ntraining { seed = seed }"),
        ("let a = 1\ntraining { seed = |26| }", "Put the value into `let seed`",
         "let a = 1\nlet seed = 26\ntraining { seed = seed }"),
        ("let seed = 1\ntraining { seed = |26| }", "Put the value into `let seed_2`",
         "let seed = 1\nlet seed_2 = 26\ntraining { seed = seed_2 }"),
        ("training { seed = |1|  a { seed = 2 } }", "Put the value into `let seed_2`",
         "let seed_2 = 1\n\ntraining { seed = seed_2  a { seed = 2 } }"),
        ("training {\n  a = f.g(x = |[\n    1,\n  ]|)\n}", "Put the value into `let x`",
         "let x = [\n  1,\n]\n\ntraining {\n  a = f.g(x = x)\n}"),
        ('training { exp_tag = |"ctc"| }', "Put the value into `let exp_tag`",
         'let exp_tag = "ctc"\n\ntraining { exp_tag = exp_tag }'),
    ],
)  # fmt: skip
def test_a_value_gets_a_name(marked: str, title: str, after: str) -> None:
    found = refactored(marked)

    assert list(found) == [title]
    assert found[title].strip("\n") == after


@pytest.mark.parametrize(
    "marked",
    [
        "training { a = |seed|  seed = 1 }",
        "training { a = |[seed]|  seed = 1 }",
        'training { a = |"${exp_dir}/x"| }',
        "training { a = |true| }",
        "training { a = |1, 2| }",
        "dataset d { sample { x: |float32| } }",
        "parallel a = local(n_workers = |2|)",
    ],
)
def test_what_gets_no_name(marked: str) -> None:
    assert refactored(marked) == {}


@pytest.mark.parametrize(
    "marked, after",
    [
        ("let a| = 3\n\ntraining { seed = a }", "\ntraining { seed = 3 }"),
        ("let a = 3\ntraining { seed = |a }", "training { seed = 3 }"),
        (
            'let a = "x"\nlet b = 1\ntraining { exp_tag = "${a|}/y"  n = a }',
            'let b = 1\ntraining { exp_tag = "x/y"  n = "x" }',
        ),
        ("let a| = f.g(b = 1)\nlet c = [a, a]", "let c = [f.g(b = 1), f.g(b = 1)]"),
    ],
)
def test_a_let_is_put_in_the_place_of_its_name(marked: str, after: str) -> None:
    (made,) = refactored(marked).values()

    assert made == after


@pytest.mark.parametrize(
    "marked",
    [
        "let |a = b\nlet b = 1\ntraining { seed = a }",
        "let |a = { x = 1 }\ntraining { seed = a.x }",
        'let |a = 1e-3\ntraining { exp_tag = "${a}" }',
        "let |a = 1  # why\ntraining { seed = a }",
        "let |a = 1\ntraining { seed = a  b = }",
        "let a = 1\ntraining { a = 2  b = |a }",
    ],
)
def test_what_stays_a_let(marked: str) -> None:
    assert refactored(marked) == {}


# -- all of them ----------------------------------------------------------------------------------------------------------


def _apart(actions: list[Action]) -> list[Action]:
    """Those that do not change the same line."""
    lines: set[int] = set()
    chosen: list[Action] = []
    for action in actions:
        touched = {each.span.source.line_of(each.span.start) for each in action.edits}
        if not touched & lines:
            lines |= touched
            chosen.append(action)
    return chosen


@pytest.mark.parametrize("path", bad_fixtures(), ids=lambda path: path.stem)
def test_whatever_is_offered_for_a_bad_recipe_makes_it_no_worse(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    here, before = read(text, WORLD)
    actions = [action for each in before for action in about(here, each)]
    ignores = _apart([each for each in actions if each.title.startswith("Ignore")])
    after = read(applied(text, [edit for each in ignores for edit in each.edits]), WORLD)[1]

    # Rules' own fixes are held by their own tests: what they uncover was there before.
    assert not worse(before, after)
    gone = [(each.code.id, each.message) for each in after]
    for each in ignores:
        assert each.diagnostic is not None
        name = (each.diagnostic.code.id, each.diagnostic.message)
        assert gone.count(name) < sum((other.code.id, other.message) == name for other in before)
    for each in actions:
        if not each.sure:
            changed, found = read(applied(text, each.edits), WORLD)
            assert len(changed.syntactic) <= len(here.syntactic), each.title
            assert (each.diagnostic and each.diagnostic.message) not in [other.message for other in found], each.title
