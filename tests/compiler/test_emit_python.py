"""The Python that is written: text of a recipe stays text, the build is the same everywhere, and the code does its work."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from esp3c.emit.files import Layout
from esp3c.emit.python import camel, dotted, literal, name, prose
from esp3c.pipeline import compile
from esp3c.source import Source
from esp3c.world import MemoryWorld
from support.fixtures import FIXTURES, MODULES, WORLD

WHOLE = (FIXTURES / "ok" / "whole_language.esp").read_text(encoding="utf-8")


def emitted(text: str, layout: Layout | None = None, world: MemoryWorld = WORLD) -> dict[str, str]:
    result = compile(Source("recipe.esp", text), world, (), layout or Layout("recipe.esp"))
    assert [each for each in result.diagnostics if each.severity == "error"] == []
    return {each.path: each.text for each in result.files}


def python_of(files: dict[str, str]) -> dict[str, str]:
    return {path: text for path, text in files.items() if path.endswith(".py")}


class Blank(ast.NodeTransformer):
    """Takes what a text may change out of a module: the values of strings."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant("") if isinstance(node.value, str) else node


def shape(text: str) -> str:
    return ast.dump(Blank().visit(ast.parse(text)))


# -- text stays text --------------------------------------------------------------------------------------------------

TEXT = st.one_of(
    st.sampled_from(
        [
            '"""',
            "'''",
            "\\",
            '\\"""',
            '"""\nimport os\nos.system("ls")\n"""',
            "\n\nimport os",
            "{config}",
            "{0}",
            "%s",
            "#",
            "\r",
            "\x0c",
            "\u2028",
            "'",
            '"',
            "\\N{BULLET}",
            "é",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30),
)


def quoted(text: str) -> str:
    body = "".join(char if char.isalnum() else f"\\u{{{ord(char):x}}}" for char in text)
    return f'"{body}"'


TEMPLATE = """
recipe r {{ system = src.system.DigitsSystem  exp_tag = {0} }}
dataset d {{ class = dataset.dataset.SpokenDigits  builder = dataset.builder.SpokenDigitsBuilder(note = {0}) }}
dataset e {{ source = "mini_an4/asr" }}
training {{ dataset {{ train = [d(split = {0}), e(split = {0})] valid = d() }} model = src.model.CTCRecognizer(a = {0})
  optimizer = torch.optim.AdamW() }}
inference {{ dataset {{ test {{ {1} = d() }} }} model = src.inference.Recognizer(a = {0}) input_key = {0} }}
metrics {{ metrics = [espnet3.systems.asr.metrics.wer.WER(a = {0})] }}
config own {{ {1} = {0} }}
parallel here = local(n_workers = 2)
parallel gpu = slurm(partition = "gpu")
stages {{ train on gpu  infer on here  export_onnx requires own runs src.stages.export_onnx
  label_all {{ runner = src.label.Runner(a = {0}) provider = src.label.Provider(a = {0}) over = training.dataset.train }} }}
"""


@settings(max_examples=60, deadline=None)
@given(TEXT)
def test_no_text_of_a_recipe_changes_the_shape_of_the_python(text: str) -> None:
    text = "" if text == "???" else text
    key = quoted("k" + text.replace("${", ""))

    harmless = python_of(emitted(TEMPLATE.format('"x"', '"k"')))
    written = python_of(emitted(TEMPLATE.format(quoted(text), key)))

    assert {path: shape(each) for path, each in written.items()} == {
        path: shape(each) for path, each in harmless.items()
    }


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(NAMES, min_size=4, max_size=4, unique=True),
    st.from_regex(r"[a-z]{1,6}(_[a-z0-9]{1,5}){1,2}", fullmatch=True),
)
def test_any_legal_name_gives_modules_that_parse(names: list[str], stage: str) -> None:
    """Names that a check refuses are refused; all others give Python, with the same shape but for the names."""
    one, two, three, four = names
    text = (
        f"recipe {one} {{ system = src.system.DigitsSystem }}\ndataset {two} {{ class = dataset.dataset.SpokenDigits }}\n"
        f"config {three} {{ a = {two}(x = 1) }}\nparallel {four} = local()\n"
        f"stages {{ {stage} requires {three} runs src.stages.export_onnx on {four} }}\n"
    )
    result = compile(Source("recipe.esp", text), WORLD, (), Layout("recipe.esp"))
    if not result.ok:
        assert {each.code.id for each in result.diagnostics} & {"ESP0204", "ESP0303", "ESP0309", "ESP0602"}
        return
    files = {each.path: each.text for each in result.files}

    tree = ast.parse(files["system.py"])
    [system] = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    methods = [node.name for node in system.body if isinstance(node, ast.FunctionDef)]
    assert methods == ["__init__", stage]
    assert f"recipe_data/{two}.py" in files
    for each in python_of(files).values():
        compile_python(each)


def compile_python(text: str) -> types.CodeType:
    code = __builtins__["compile"] if isinstance(__builtins__, dict) else __builtins__.compile
    made: types.CodeType = code(text, "generated", "exec")
    return made


@pytest.mark.parametrize(
    "recipe_file", ['re"""cipe.esp', "a\nb.esp", "\x1b[31m.esp", "é\\.esp", "'''.esp", "\udcff.esp"]
)
@pytest.mark.parametrize("recipe_dir", [".", "..", '../"; import os; "', "../\\", "../a\nb", "../\udcff"])
def test_the_name_of_the_recipe_is_text_too(recipe_file: str, recipe_dir: str) -> None:
    plain = python_of(emitted(WHOLE, Layout("recipe.esp", "." if recipe_dir == "." else "..")))
    files = emitted(WHOLE, Layout(recipe_file, recipe_dir))

    assert {path: shape(text) for path, text in python_of(files).items()} == {
        path: shape(text) for path, text in plain.items()
    }
    manifest = json.loads(files[".esp3c/manifest.json"])
    assert (manifest["recipe"], manifest["recipe_dir"]) == (recipe_file, recipe_dir)
    for text in files.values():
        text.encode("utf-8")


@given(st.text(max_size=40))
def test_a_literal_is_the_text(text: str) -> None:
    assert ast.literal_eval(literal(text)) == text


@given(st.text(max_size=40))
def test_prose_never_leaves_its_docstring(text: str) -> None:
    tree = ast.parse(f'"""{prose(text)} """\nx = 1\n')

    assert len(tree.body) == 2


@given(st.text(max_size=20))
def test_a_name_is_a_name_or_refused(text: str) -> None:
    for check in (name, dotted):
        try:
            written = check(text)
        except ValueError:
            continue
        ast.parse(f"import {written}")


@pytest.mark.parametrize(
    "text, made", [("spoken_digits", "SpokenDigits"), ("a", "A"), ("__", "Recipe"), ("aB_c1", "ABC1"), ("_x", "X")]
)
def test_the_name_of_the_class(text: str, made: str) -> None:
    assert camel(text) == made


# -- the same everywhere ----------------------------------------------------------------------------------------------

SCRIPT = """
import hashlib, sys
sys.path.insert(0, {tests!r})
from support.fixtures import FIXTURES, WORLD
from esp3c.emit.files import Layout
from esp3c.pipeline import compile
from esp3c.source import Source
text = (FIXTURES / "ok" / "whole_language.esp").read_text(encoding="utf-8")
result = compile(Source(sys.argv[1], text), WORLD, (), Layout("recipe.esp"))
for each in result.files:
    print(each.path, hashlib.sha256(each.text.encode()).hexdigest())
"""


def test_the_build_is_the_same_in_any_folder_with_any_hash_seed(tmp_path: Path) -> None:
    outputs = set()
    script = SCRIPT.format(tests=str(FIXTURES.parent))
    for number, seed in enumerate(("0", "1", "4242")):
        folder = tmp_path / f"folder{number}"
        folder.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": ("UTC", "Asia/Tokyo", "UTC")[number]}
        shown = ("recipe.esp", str(folder / "recipe.esp"), "../recipe.esp")[number]
        outputs.add(
            subprocess.run(
                [sys.executable, "-c", script, shown],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )

    [output] = outputs
    assert len(output.splitlines()) == len(emitted(WHOLE))


def test_files_come_in_order_and_the_manifest_last() -> None:
    paths = list(emitted(WHOLE))

    assert paths[:-1] == sorted(paths[:-1])
    assert paths[-1] == ".esp3c/manifest.json"


def test_nothing_is_emitted_where_there_is_an_error_or_nobody_asks() -> None:
    assert compile(Source("r", WHOLE + "\nlet a = nothing_at_all"), WORLD, (), Layout("r")).files == ()
    assert compile(Source("r", WHOLE), WORLD).files == ()


# -- the code runs ----------------------------------------------------------------------------------------------------


class Base:
    """Stands for the system class: what is called, with which configs."""

    def __init__(self, **configs: Any) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.fail = False
        for key in ("training_config", "inference_config", "metrics_config"):
            setattr(self, key, configs.pop(key, None))
        assert configs == {}

    def train(self) -> str:
        self.calls.append(("train", self.training_config))
        if self.fail:
            raise RuntimeError("failed")
        return "trained"

    def infer(self) -> str:
        self.calls.append(("infer", self.inference_config))
        return "inferred"

    def pack_model(self) -> str:
        self.calls.append(("pack_model", (self.training_config, getattr(self, "publication_config", None))))
        return "packed"


def system_from(text: str, monkeypatch: pytest.MonkeyPatch, modules: dict[str, dict[str, Any]]) -> Any:
    """The System subclass of a recipe, with stubs in the place of what it imports."""
    for path, content in modules.items():
        parts = path.split(".")
        for depth in range(1, len(parts) + 1):
            module = types.ModuleType(".".join(parts[:depth]))
            module.__path__ = []
            if depth == len(parts):
                module.__dict__.update(content)
            monkeypatch.setitem(sys.modules, module.__name__, module)
    made: dict[str, Any] = {"__name__": "system"}
    exec(compile_python(text), made)
    [system] = [each for key, each in made.items() if key.endswith("System") and each.__module__ == "system"]
    return system


def test_the_stages_of_the_whole_language_do_their_work(monkeypatch: pytest.MonkeyPatch) -> None:
    exported: list[Any] = []
    workloads: list[Any] = []
    system = system_from(
        emitted(WHOLE)["system.py"],
        monkeypatch,
        {
            "src.system": {"DigitsSystem": Base},
            "src.stages": {"export_onnx": lambda *configs: exported.append(configs) or "exported"},
            "espnet3.systems.base.workload": {
                "run_workload": lambda config, stage: workloads.append((config, stage)) or "labelled"
            },
        },
    )
    made = system(
        training_config="T", inference_config="I", metrics_config="M", training_easy_config="E", export_config="X"
    )

    assert made.train_easy() == "trained"
    assert made.train() == "trained"
    assert made.calls == [("train", "E"), ("train", "T")]
    assert made.training_config == "T"
    assert made.label_all() == "labelled"
    assert workloads == [("T", "label_all")]
    assert made.export_onnx() == "exported"
    assert exported == [("T", "X")]


def test_the_configs_are_restored_after_a_stage_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    system = system_from(emitted(WHOLE)["system.py"], monkeypatch, {"src.system": {"DigitsSystem": Base}})
    made = system(training_config="T", training_easy_config="E")
    made.fail = True

    with pytest.raises(RuntimeError, match="failed"):
        made.train_easy()

    assert made.calls == [("train", "E")]
    assert made.training_config == "T"


def test_a_stage_of_the_system_under_its_own_name_with_another_config(monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
recipe two { system = espnet3.systems.asr.system.ASRSystem }
training { dataset { train = [] valid = [] } model = src.model.CTCRecognizer() optimizer = torch.optim.AdamW() }
config hard extends training { new exp_tag = "h" }
inference { dataset { test { } } model = src.inference.Recognizer() input_key = "speech" }
publication { pack_model { out_dir = "x" } }
stages { train requires hard  pack_again requires hard, publication runs pack_model  infer_again runs infer }
"""
    system = system_from(emitted(text)["system.py"], monkeypatch, {"espnet3.systems.asr.system": {"ASRSystem": Base}})
    made = system(training_config="T", inference_config="I", hard_config="H")
    made.publication_config = "P"

    assert made.train() == "trained"
    assert made.pack_again() == "packed"
    assert made.infer_again() == "inferred"
    assert made.calls == [("train", "H"), ("pack_model", ("H", "P")), ("infer", "I")]
    assert made.training_config == "T"
    # Who sends a stage to a cluster asks before it is called what it is.
    assert system.STAGE_RUNS == {
        "train": ("train", {"training_config": "hard_config"}),
        "pack_again": ("pack_model", {"training_config": "hard_config"}),
        "infer_again": ("infer", {}),
    }


NESTED = {
    "src.nest": (
        "class Outer:\n    class Data: ...\n    class Builder: ...\n    class System: ...\n"
        "    @staticmethod\n    def go_on(): ...\n"
    )
}


def test_definitions_inside_classes_are_reached_through_their_module(monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
recipe r { system = src.nest.Outer.System }
dataset d { class = src.nest.Outer.Data  builder = src.nest.Outer.Builder() }
training { dataset { train = [d()] valid = d() } }
stages { go_on runs src.nest.Outer.go_on }
"""
    files = emitted(text, world=MemoryWorld({**MODULES, **NESTED}))

    class Outer:
        System, Data, Builder = Base, "data", "builder"

        @staticmethod
        def go_on() -> str:
            return "gone"

    system = system_from(files["system.py"], monkeypatch, {"src.nest": {"Outer": Outer}})
    assert system().go_on() == "gone"
    made: dict[str, Any] = {}
    exec(compile_python(files["recipe_data/d.py"]), made)
    assert (made["Dataset"], made["DatasetBuilder"]) == ("data", "builder")
    assert made["__all__"] == ["Dataset", "DatasetBuilder"]


def test_the_command_line_of_the_generated_entry_point() -> None:
    made: dict[str, Any] = {"__name__": "run", "__file__": __file__}
    exec(compile_python(emitted(WHOLE)["run.py"]), made)

    assert made["STAGES"][:3] == ["create_dataset", "collect_stats", "train_easy"]
    assert made["REQUIRED_CONFIGS"]["export_onnx"] == ("training", "export")
    assert made["CONFIGS"]["training_easy"] == "training.yaml"
    assert Path(__file__).parent == made["RECIPE_DIR"]
    arguments = made["build_parser"](made["STAGES"]).parse_args(
        ["--stages", "train", "train_easy", "--training_easy_config", "e.yaml", "--dry_run"]
    )
    assert arguments.stages == ["train", "train_easy"]
    assert arguments.training_easy_config == Path("e.yaml")
    assert arguments.training_config is None
    assert arguments.dry_run
    assert (arguments.on, arguments.detach) == (None, False)
    elsewhere = made["build_parser"](made["STAGES"]).parse_args(["--on", "debug", "--detach"])
    assert (elsewhere.on, elsewhere.detach) == ("debug", True)


def test_a_bundle_of_a_variant_is_packed_with_the_configs_of_the_variant() -> None:
    """`pack_model` works with four configs, of which two may be left out; each stands in the place of its own kind."""
    text = """
recipe r { system = espnet3.systems.asr.system.ASRSystem  exp_tag = "whole" }
dataset digits { source = "mini_an4/asr" }
training {
  dataset { train = [digits(split = "a")]  valid = [digits(split = "b")] }
  model     = src.model.CTCRecognizer()
  optimizer = torch.optim.AdamW()
}
config small extends training { new exp_tag = "small" }
inference { input_key = "speech"
  dataset { test { seen = digits(split = "c") } }
  model = src.inference.Recognizer(checkpoint = "${exp_dir}/last.ckpt")
}
config inference_small extends inference { model.checkpoint = "${recipe_dir}/exp/small/last.ckpt" }
metrics { metrics = [espnet3.systems.asr.metrics.wer.WER()] }
config metrics_small extends metrics { new inference_dir = "${recipe_dir}/exp/small/inference" }
publication { pack_model { out_dir = "${recipe_dir}/packs/small" } }
stages {
  train
  train_small requires small runs train
  pack_small  requires small, LINE publication runs pack_model
}
"""
    whole = emitted(text.replace("LINE", "metrics_small, inference_small,"))["system.py"]
    part = emitted(text.replace("LINE", "inference_small,"))["system.py"]
    swapped = [f"        self.{name}_config = self.{name}_small_config" for name in ("inference", "metrics")]

    assert "        self.training_config = self.small_config" in whole.splitlines()
    assert set(swapped) <= set(whole.splitlines())
    assert swapped[0] in part.splitlines()
    assert swapped[1] not in part.splitlines()
