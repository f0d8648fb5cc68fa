"""Names: which one is meant, what is a link and what is carried over, bases, overrides, stages, and Python's names."""

from __future__ import annotations

import importlib.machinery
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from esp3c.disk import DiskWorld
from esp3c.emit.files import Layout
from esp3c.ir import PythonNode, Use
from esp3c.pipeline import Result, compile
from esp3c.python.find import Status, look_up
from esp3c.python.reader import reader
from esp3c.source import Source
from esp3c.world import MemoryWorld, World
from support.fixtures import MODULES

HEAD = "recipe r {{ system = espnet3.systems.asr.system.ASRSystem {0} }}\n"
TAIL = "\nstages {}\n"
M = "src.model.CTCRecognizer"


def build(text: str, *overrides: str, recipe: str = "", modules: dict[str, str] | None = None) -> Result:
    world = MemoryWorld({**MODULES, **(modules or {})})
    sources = [Source(f"--set {each}", each) for each in overrides]
    return compile(Source("recipe.esp", HEAD.format(recipe) + text + TAIL), world, sources, Layout("recipe.esp"))


def config(text: str, *overrides: str, name: str = "c", recipe: str = "") -> Any:
    """What stands in the YAML of a config, without what all configs have."""
    result = build(text, *overrides, recipe=recipe)
    errors = [each for each in result.diagnostics if each.severity == "error"]
    assert errors == []
    [found] = [each for each in result.files if each.path == f"conf/{name}.yaml"]
    data = yaml.safe_load(found.text)
    data.pop("recipe_dir", None)
    return data


def codes(text: str, *overrides: str, modules: dict[str, str] | None = None) -> list[str]:
    return [each.code.id for each in build(text, *overrides, modules=modules).diagnostics]


# -- which name is meant ----------------------------------------------------------------------------------------------


def test_the_nearest_block_wins() -> None:
    data = config("config c { a = 1  b { a = 2  c { d = a  e { f = a } } }  g = a }")

    assert data == {"a": 1, "b": {"a": 2, "c": {"d": "${b.a}", "e": {"f": "${b.a}"}}}, "g": "${a}"}


def test_a_name_is_looked_up_whole() -> None:
    """`b.x` in the inner block is not the inner `b`, which has no `x`."""
    data = config("config c { b { x = 1 }  d { b { y = 2 }  e = b.x  f = b.y } }")

    assert data["d"] == {"b": {"y": 2}, "e": "${b.x}", "f": "${d.b.y}"}


def test_python_is_meant_where_the_whole_name_is_not_in_the_recipe() -> None:
    """`dataset.dataset.SpokenDigits` is Python although the config has a key `dataset`."""
    data = config(
        "config c { dataset { train = 1 }  a = dataset.dataset.SpokenDigits  b = dataset.train"
        "  d = dataset.dataset.SpokenDigits() }"
    )

    assert data["a"] == "dataset.dataset.SpokenDigits"
    assert data["b"] == "${dataset.train}"
    assert data["d"] == {"_target_": "dataset.dataset.SpokenDigits"}


def test_a_key_of_the_recipe_comes_before_python() -> None:
    data = config("config c { src { model { CTCRecognizer = 3 } }  a = src.model.CTCRecognizer }")

    assert data["a"] == "${src.model.CTCRecognizer}"


def test_the_head_of_a_call_is_python_even_where_a_key_has_its_name() -> None:
    data = config("config c { src { model { CTCRecognizer = 3 } }  a = src.model.CTCRecognizer() }")

    assert data["a"] == {"_target_": M}


def test_a_value_does_not_mean_itself() -> None:
    """`size = size` means the outer one, and so does a name inside the value itself."""
    data = config(f"let size = 5\nconfig c {{ size = size  b {{ size = size  d = {M}(size = size) }} }}")

    assert data["size"] == 5
    assert data["b"] == {"size": "${size}", "d": {"_target_": M, "size": "${b.size}"}}


def test_arguments_of_a_call_are_in_sight_like_keys() -> None:
    data = config(f"config c {{ a = {M}(x = 1, y = x, z = {M}(w = x)) }}")

    assert data["a"] == {"_target_": M, "x": 1, "y": "${a.x}", "z": {"_target_": M, "w": "${a.x}"}}


def test_a_key_of_a_block_hides_a_let_with_a_warning() -> None:
    result = build("let a = 1\nconfig c { a = 2  b = a }\nconfig d { e = a }")

    assert "ESP0207" in [each.code.id for each in result.diagnostics]
    assert "b: ${a}" in next(each.text for each in result.files if each.path == "conf/c.yaml")
    assert "e: 1" in next(each.text for each in result.files if each.path == "conf/d.yaml")


def test_the_scaffold_is_in_sight_everywhere_and_an_own_key_hides_it() -> None:
    data = config('config c { a = exp_dir  b = "${exp_dir}/x" d { exp_dir = "z"  e = exp_dir } }')

    assert data == {"a": "${exp_dir}", "b": "${exp_dir}/x", "d": {"exp_dir": "z", "e": "${d.exp_dir}"}}


EXPERIMENTS = """training { seed = 1 }
config easy extends training { new exp_tag = "e" }
config plain extends training { }
inference { input_key = "%s" }
config c { a = %s }
"""


@pytest.mark.parametrize(
    "key, name, written",
    [
        ("${training.exp_dir}/x", "plain.data_dir", "${data_dir}"),
        ("${easy.data_dir}/x", "training.exp_dir", "${exp_dir}"),
        ("${easy.exp_tag}/x", "easy.exp_tag", "e"),
        ("${plain.exp_dir}/x", "plain.exp_dir", "${exp_dir}"),
    ],
)
def test_the_folders_of_the_same_experiment_are_those_of_the_scaffold(key: str, name: str, written: str) -> None:
    assert config(EXPERIMENTS % (key, name), recipe='exp_tag = "t"')["a"] == written


@pytest.mark.parametrize("key", ["${easy.exp_dir}/x", "${easy.inference_dir}"])
@pytest.mark.parametrize("recipe", ["", 'exp_tag = "t"'])
def test_the_folder_of_another_experiment_is_not_taken_for_ones_own(key: str, recipe: str) -> None:
    result = build(EXPERIMENTS % (key, "easy.exp_dir"), recipe=recipe)

    found = [each.primary.span.text for each in result.diagnostics if each.code.id == "ESP0303"]
    assert found == [key[2 : key.index("}")], "easy.exp_dir"]


def test_keys_of_the_recipe_block_are_in_sight() -> None:
    data = config("config c { a = seed  b = recipe.seed  d = recipe.exp_tag }", recipe='seed = 7  exp_tag = "t"')

    assert data == {"exp_tag": "t", "seed": 7, "a": "${seed}", "b": 7, "d": "t"}


@pytest.mark.parametrize(
    "text, code",
    [
        ("config c { a = nothing }", "ESP0201"),
        ("config c { a = b.nothing  b { c = 1 } }", "ESP0201"),
        ("config c { a = src.model.Nothing }", "ESP0201"),
        ('config c { a = "${nothing}" }', "ESP0201"),
        ('config c { a = "${oc.nothing:X}" }', "ESP0203"),
        ("config c { a = src.model.Nothing() }", "ESP0202"),
        ("config c { a = nothing() }", "ESP0202"),
        ("config c { a = d }\nconfig d { }", "ESP0303"),
        ('config c { b { d = 1 }  a = "x${b}" }', "ESP0208"),
    ],
)
def test_what_is_nothing_is_said(text: str, code: str) -> None:
    assert code in codes(text)


# -- links and carried values -----------------------------------------------------------------------------------------


def test_inside_a_config_a_name_is_a_link_and_across_configs_a_value() -> None:
    text = "config a { x = 1  y = x }\nconfig c { z = a.x  w = a.y }"

    assert config(text, name="a")["y"] == "${x}"
    assert config(text) == {"z": 1, "w": 1}


def test_a_carried_block_carries_what_its_links_mean() -> None:
    data = config("config a { x = 1  b { y = x  z = y } }\nconfig c { x = 100  d = a.b }")

    assert data["d"] == {"y": 1, "z": 1}


def test_lets_of_every_kind_are_carried() -> None:
    data = config(
        f'let n = 3\nlet q = 16kHz\nlet t = "x${{n}}y"\nlet l = [n, t]\nlet m = {{ k = l }}\nlet f = {M}(a = m)\n'
        'config c { n = n  q = q  t = t  l = l  m = m  f = f  k = m.k  t2 = "${t}z" }'
    )

    assert data == {
        "n": 3,
        "q": 16000,
        "t": "x3y",
        "l": [3, "x3y"],
        "m": {"k": [3, "x3y"]},
        "f": {"_target_": M, "a": {"k": [3, "x3y"]}},
        "k": [3, "x3y"],
        "t2": "${t}z",
    }


def test_a_name_goes_on_through_a_name() -> None:
    data = config(
        "let a = b\nlet b = { x = { y = 1 } }\nlet d = b.x\nconfig c { e = a.x.y  f = d.y  g = h.y  h = b.x }"
    )

    assert data == {"e": 1, "f": 1, "g": 1, "h": {"y": 1}}


def test_an_interpolation_alone_keeps_the_type_of_its_value() -> None:
    data = config('let n = 3\nconfig c { a = "${n}"  b = "${d}"  d = 4.5  e = "${d} " }')

    assert data == {"a": 3, "b": "${d}", "d": 4.5, "e": "${d} "}


def test_a_key_that_no_interpolation_can_spell_is_written_out() -> None:
    data = config('config c { "a b" { x = 1  y = x  z = "t${x}" }  größe = 2  w = größe }')

    assert data == {"a b": {"x": 1, "y": 1, "z": "t1"}, "größe": 2, "w": "${größe}"}


# -- the form of a target ---------------------------------------------------------------------------------------------

TARGETS = [
    (f"{M}(a = 1, b = [x, 2])", f"{{ _target_ = {M}  a = 1  b = [x, 2] }}"),
    (f"{M}()", f"{{ _target_ = {M} }}"),
    (f"{M}()", f'{{ _target_ = "{M}" }}'),
    (f"partial {M}(a = x)", f"{{ _target_ = {M}  _partial_ = true  a = x }}"),
    (f"{M}(a = {M}(b = 1))", f"{{ _target_ = {M}  a {{ b = 1  _target_ = {M} }} }}"),
]


@pytest.mark.parametrize("call, block", TARGETS)
def test_a_block_with_a_target_is_the_call(call: str, block: str) -> None:
    assert config(f"config c {{ x = 1  m = {call} }}") == config(f"config c {{ x = 1  m = {block} }}")
    assert config(f"config c {{ x = 1  m = {call} }}") == config(f"config c {{ x = 1  m {block} }}")


def test_an_unknown_target_of_a_block_is_found_at_its_path() -> None:
    result = build('config c { m { _target_ = "src.model.Nothing" } }')

    [error] = [each for each in result.diagnostics if each.severity == "error"]
    assert (error.code.id, error.primary.span.text) == ("ESP0202", "src.model.Nothing")


@pytest.mark.parametrize("path", ["src", "src.model", "torch.optim"])
@pytest.mark.parametrize(
    "place", ["config c {{ a = {0}() }}", "dataset d {{ class = dataset.dataset.SpokenDigits  builder = {0}() }}"]
)
def test_a_module_is_not_called(path: str, place: str) -> None:
    result = build(place.format(path))

    assert [each.message for each in result.diagnostics if each.severity == "error"] == [f"`{path}` is a module"]


def test_a_module_is_no_system() -> None:
    result = compile(Source("r", "recipe r { system = torch }\nstages {}"), MemoryWorld(MODULES))

    assert [each.code.id for each in result.diagnostics] == ["ESP0202"]


# -- extends ----------------------------------------------------------------------------------------------------------

BASE = f"config base {{ a = 1  b {{ x = 1  y = {{ z = 1 }} }}  m = {M}(p = 1, q = a)  l = [1, 2]  n = a }}\n"


@pytest.mark.parametrize(
    "block, changes",
    [
        ("", {}),
        ("a = 2", {"a": 2}),
        ("b.x = 2", {"b": {"x": 2, "y": {"z": 1}}}),
        ("b.y.z = 2", {"b": {"x": 1, "y": {"z": 2}}}),
        ("b { x = 2 }", {"b": {"x": 2, "y": {"z": 1}}}),
        ("b { y.z = 2  new w = 3 }", {"b": {"x": 1, "y": {"z": 2}, "w": 3}}),
        ("new d = 4", {"d": 4}),
        ("new b.w = { v = 4 }", {"b": {"x": 1, "y": {"z": 1}, "w": {"v": 4}}}),
        ("m.p = 2", {"m": {"_target_": M, "p": 2, "q": "${a}"}}),
        ("m { p = 2  new r = 3 }", {"m": {"_target_": M, "p": 2, "q": "${a}", "r": 3}}),
        ("m = src.text.CharTokens(s = 1)", {"m": {"_target_": "src.text.CharTokens", "s": 1}}),
        ("m { _target_ = src.text.CharTokens }", {"m": {"_target_": "src.text.CharTokens"}}),
        ("l = [3]", {"l": [3]}),
        ("b = 5", {"b": 5}),
        ("a = 2  b.x = a", {"a": 2, "b": {"x": "${a}", "y": {"z": 1}}}),
    ],
)
def test_a_config_takes_all_of_its_base_and_changes_what_it_names(block: str, changes: dict[str, Any]) -> None:
    plain = {
        "a": 1,
        "b": {"x": 1, "y": {"z": 1}},
        "m": {"_target_": M, "p": 1, "q": "${a}"},
        "l": [1, 2],
        "n": "${a}",
    }

    assert config(BASE + f"config c extends base {{ {block} }}") == {**plain, **changes}
    assert config(BASE + f"config c extends base {{ {block} }}", name="base") == plain


@pytest.mark.parametrize(
    "block",
    ["d = 1", "b.w = 1", "b { w = 1 }", "a.x = 1", "l.x = 1", "new a = 1", "new b.x = 1", "b { new x = 1 }", "d.e = 1"],
)
def test_an_override_that_fits_no_key_is_said(block: str) -> None:
    assert codes(BASE + f"config c extends base {{ {block} }}").count("ESP0209") == 1


def test_dotted_keys_and_new_are_for_configs_that_extend() -> None:
    assert codes("config c { a.b = 1 }").count("ESP0303") == 1
    assert codes("config c { new a = 1 }").count("ESP0303") == 1


def test_a_chain_of_bases_has_the_kind_of_the_first() -> None:
    text = 'training { seed = 1 }\nconfig a extends training { seed = 2 }\nconfig b extends a { new exp_tag = "t" }\n'

    assert config(text, name="b") == {"seed": 2, "exp_tag": "t"}
    assert "ESP0301" in codes(text + "config c extends b { new no_key_of_training = 1 }")


def test_a_base_may_stand_behind_what_extends_it() -> None:
    assert config("config c extends b { x = 3 }\nconfig b extends a { y = 2 }\nconfig a { x = 1  y = 1 }") == {
        "x": 3,
        "y": 2,
    }


@pytest.mark.parametrize("order", [1, -1])
def test_a_chain_of_a_thousand_bases(order: int) -> None:
    lines = ["config c0 { x = 0 }"] + [f"config c{n} extends c{n - 1} {{ x = {n} }}" for n in range(1, 1000)]
    result = compile(Source("r", HEAD.format("") + "\n".join(lines[::order]) + TAIL), MemoryWorld(MODULES))

    assert result.ok
    assert len(result.recipe.configs) == 1000


def test_names_in_a_base_mean_what_they_mean_in_the_config_that_takes_them() -> None:
    """As in Hydra: `n = a` follows the `a` of the config that it ends up in."""
    assert config("config b { a = 1  n = a }\nconfig c extends b { a = 2 }\nconfig d { x = c.n }", name="d") == {"x": 2}


# -- cycles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "let a = b\nlet b = a",
        "let a = a",
        "let a = [b]\nlet b = { c = a }",
        'let a = "x${b}"\nlet b = "y${a}"',
        "let a = { x = a.y  y = a.x }",
        "config c { a = b  b = a }",
        "config c { a { x = b.y }  b { y = a } }",
        'config c { a = "${d} ${b}"  b = 1  d = a }',
        'config c { a = "${b} ${d}"  b = 1  d = a }',
        "config c { a = b  b = d  d = [1, { e = b }] }",
        f"config c {{ a = {M}(x = y, y = x) }}",
        "config c { a = d.b }\nconfig d { b = c.a }",
        "config c extends d {}\nconfig d extends c {}",
        "config c extends c {}",
        "parallel a = b\nparallel b = a",
        "parallel a = a",
        "parallel a = local(n_workers = a)",
        'config c { "x y" { a = b  b = a } }',
        "recipe x { seed = c.a }\nconfig c { a = recipe.seed }",
    ],
)
def test_a_ring_is_an_error_and_never_an_endless_search(text: str) -> None:
    assert {"ESP0206", "ESP0204"} & set(codes(text))


@pytest.mark.parametrize(
    "text",
    [
        "config c { a = b  b = d  d = 1  e = [a, b, d] }",
        "config c { a { x = b.y }  b { y = 1  z = a } }",
        "let a = 1\nlet b = [a, a]\nconfig c { d = [b, b, a] }",
        f"config c {{ a = {M}(x = 1, y = x, z = [x, y]) }}",
    ],
)
def test_what_only_looks_like_a_ring_is_fine(text: str) -> None:
    assert build(text).ok


def test_each_ring_is_said_once() -> None:
    assert codes("config c { a = b  b = a  d = a  e = [b, d] }").count("ESP0206") == 1


@pytest.mark.parametrize("order", [1, -1])
def test_a_long_chain_of_names_is_refused_and_not_followed_to_the_end(order: int) -> None:
    lines = [f"let a{n} = a{n + 1}" for n in range(3000)] + ["let a3000 = 1"]

    assert "ESP0303" in codes("\n".join(lines[::order]) + "\nconfig c { x = a0 }")


def test_values_that_double_at_each_name_are_refused_before_they_are_made() -> None:
    lines = ["let a0 = [1]"] + [f"let a{n} = [a{n - 1}, a{n - 1}]" for n in range(1, 200)]

    assert "ESP0303" in codes("\n".join(lines) + "\nconfig c { x = a199 }")


def test_a_large_list_may_be_used_in_a_few_places() -> None:
    words = ", ".join(f'"w{n}"' for n in range(3000))

    assert build(f"let words = [{words}]\nconfig c {{ a = words  b = [words, words]  d = {{ e = words }} }}").ok


# -- --set ------------------------------------------------------------------------------------------------------------

SETTABLE = BASE + "config c extends base { b { x = 5 }  new w = 1 }\nlet k = 1\nconfig e { y = k  z = base.a }\n"


@pytest.mark.parametrize(
    "override, name, expected",
    [
        ("base.a=9", "base", {"a": 9}),
        ("base.a=9", "c", {"a": 9}),
        ("base.a=9", "e", {"z": 9}),
        ("base.b.x=9", "base", {"b": {"x": 9, "y": {"z": 1}}}),
        ("base.b.x=9", "c", {"b": {"x": 5, "y": {"z": 1}}}),
        ("base.b.y.z=9", "c", {"b": {"x": 5, "y": {"z": 9}}}),
        ("c.b.x=9", "c", {"b": {"x": 9, "y": {"z": 1}}}),
        ("c.b.x=9", "base", {"b": {"x": 1, "y": {"z": 1}}}),
        ("c.w=9", "c", {"w": 9}),
        ("base.m.p=[1, a]", "c", {"m": {"_target_": M, "p": [1, "${a}"], "q": "${a}"}}),
        ("base.m=src.text.CharTokens()", "c", {"m": {"_target_": "src.text.CharTokens"}}),
        ("base.a = 16kHz", "base", {"a": 16000}),
        ('base.a="x${b.x}"', "base", {"a": "x${b.x}"}),
        ("k=7", "e", {"y": 7}),
        ("recipe.seed=3", "e", {"seed": 3}),
        ('recipe.exp_tag="t"', "e", {"exp_tag": "t"}),
        ("new base.d=1", "c", {"d": 1}),
    ],
)
def test_a_value_is_set_as_if_it_stood_in_the_text(override: str, name: str, expected: dict[str, Any]) -> None:
    data = config(SETTABLE, override, name=name)

    assert {key: data[key] for key in expected} == expected


@pytest.mark.parametrize(
    "override, code",
    [
        ("base.no=1", "ESP0209"),
        ("base.a.x=1", "ESP0209"),
        ("nothing.a=1", "ESP0201"),
        ("base=1", "ESP0303"),
        ("recipe=1", "ESP0201"),
        ("base.a=nothing", "ESP0201"),
        ("base.a=src.model.Nothing()", "ESP0202"),
        ("base.a=", "ESP0105"),
        ("base.a=[1", "ESP0102"),
        ("base.a=n", "ESP0206"),
        ("new base.a=1", "ESP0209"),
    ],
)
def test_what_is_set_is_checked_like_the_recipe(override: str, code: str) -> None:
    result = build(SETTABLE, override)

    errors = [each for each in result.diagnostics if each.severity == "error"]
    assert code in [each.code.id for each in errors]
    assert any(label.span.source.text == override for each in errors for label in (each.primary, *each.secondary))


def test_the_last_of_two_settings_wins() -> None:
    assert config(SETTABLE, "base.a=2", "base.a=3", name="c")["a"] == 3


def test_a_setting_of_a_known_key_is_held_against_its_type() -> None:
    assert codes("training { trainer { max_epochs = 1 } }", 'training.trainer.max_epochs="x"') == ["ESP0302"]


# -- stages -----------------------------------------------------------------------------------------------------------


def stages(lines: str, *, declare: str = "", modules: dict[str, str] | None = None) -> Result:
    system = "src.own.Own" if modules else "espnet3.systems.asr.system.ASRSystem"
    text = f"recipe r {{ system = {system} }}\ntraining {{ dataset {{ train = [] valid = [] }} }}\n{declare}\nstages {{ {lines} }}"
    return compile(Source("recipe.esp", text), MemoryWorld({**MODULES, **(modules or {})}))


def test_a_stage_of_the_system_knows_what_it_needs() -> None:
    needed = {
        each.name: each.needs for each in stages("create_dataset collect_stats train infer measure").recipe.stages
    }

    assert needed == {
        "create_dataset": ("training",),
        "collect_stats": ("training",),
        "train": ("training",),
        "infer": ("inference",),
        "measure": ("metrics",),
    }


def test_runs_a_stage_of_the_system_with_another_config() -> None:
    [stage] = stages("a requires easy runs train", declare="config easy extends training {}").recipe.stages

    assert stage.runs is not None
    assert isinstance(stage.runs, Use)
    assert (stage.runs.name, stage.needs) == ("train", ("easy",))


def test_runs_a_function_with_its_configs_in_order() -> None:
    [stage] = stages("a requires easy, training runs src.stages.export_onnx", declare="config easy { }").recipe.stages

    assert isinstance(stage.runs, PythonNode)
    assert stage.runs.target.path == "src.stages.export_onnx"
    assert stage.needs == ("easy", "training")


OWN = {
    "src.own": (
        "from espnet3.systems.asr import system as base\n"
        "from src.mixin import Mixin\n"
        "class Own(Mixin, base.ASRSystem):\n"
        "    def align_all(self): ...\n"
        "    def _hidden(self): ...\n"
    ),
    "src.mixin": "class Mixin:\n    async def speak_up(self): ...\n",
}


def test_stages_of_an_own_system_are_its_methods_and_those_of_its_bases() -> None:
    result = stages("align_all speak_up train", modules=OWN)

    assert result.recipe.system is not None
    assert result.recipe.system.stages is not None
    assert {"align_all", "speak_up", "train", "train_tokenizer"} <= set(result.recipe.system.stages)
    assert "_hidden" not in result.recipe.system.stages
    assert "ESP0601" not in [each.code.id for each in result.diagnostics]


def test_with_a_base_that_cannot_be_read_any_stage_may_be_there() -> None:
    modules = {**OWN, "src.mixin": "from somewhere import *\n"}

    assert "ESP0601" not in [each.code.id for each in stages("speak_up", modules=modules).diagnostics]


@pytest.mark.parametrize(
    "lines, code",
    [
        ("trian", "ESP0601"),
        ("a runs trian", "ESP0203"),
        ("a runs src.stages.nothing", "ESP0202"),
        ("a runs src.stages", "ESP0202"),
        ("train on nowhere", "ESP0203"),
        ("train on here on here", "ESP0303"),
        ("train train", "ESP0204"),
        ("a requires nothing runs src.stages.export_onnx", "ESP0604"),
        ("a { runner = src.label.Runner() provider = src.label.Provider() over = training.nothing }", "ESP0201"),
        ("a { runner = src.label.Runner() provider = src.label.Provider() over = 3 }", "ESP0303"),
    ],
)
def test_what_is_wrong_with_a_stage_is_said(lines: str, code: str) -> None:
    assert code in [each.code.id for each in stages(lines, declare="parallel here = local()").diagnostics]


def test_a_workload_needs_the_config_of_what_it_goes_over() -> None:
    text = "a { runner = src.label.Runner() provider = src.label.Provider() over = training.dataset.train }"
    [stage] = stages(text).recipe.stages

    assert stage.over == ("training", ("dataset", "train"))
    assert stage.needs == ("training",)


# -- Python's names, without importing --------------------------------------------------------------------------------

PACKAGE = {
    "pkg.__init__": "from .inner import Again as Renamed, Again\nfrom . import inner\nVALUE: int = 3\nA, (B, *C) = 1, (2, 3)\n",
    "pkg.inner": "class Again:\n    def method(self): ...\n    class Inner: ...\nclass Child(Again): ...\n",
    "pkg.conditional": (
        "import sys\n"
        "if sys.platform == 'linux':\n    def here(): ...\nelif 1:\n    other = 1\nelse:\n    class There: ...\n"
        "try:\n    import fast as quick\nexcept ImportError:\n    quick = None\nelse:\n    extra = 1\nfinally:\n    last = 1\n"
        "with open('x') as handle:\n    inside = 1\n"
        "for turn in ():\n    looped = 1\nelse:\n    never = 1\n"
        "while (walrus := 0):\n    pass\n"
        "match sys.platform:\n    case 'a':\n        matched = 1\n    case [captured, *rest]:\n        pass\n"
        "def setter():\n    global by_global\n    by_global = 1\n    local_only = 1\n"
        "[comprehended for comprehended in ()]\n"
    ),
    "pkg.star": "from elsewhere import *\nknown = 1\n",
    "pkg.lazy": "def __getattr__(name): ...\n",
    "pkg.broken": "def (:\n",
    "space.deep.mod": "def f(): ...\n",
}

CASES = [
    ("pkg", Status.FOUND),
    ("pkg.inner", Status.FOUND),
    ("pkg.inner.Again", Status.FOUND),
    ("pkg.inner.Again.method", Status.FOUND),
    ("pkg.inner.Again.Inner", Status.FOUND),
    ("pkg.inner.Again.Inner.x", Status.UNKNOWN),
    ("pkg.inner.Again.nothing", Status.ABSENT),
    ("pkg.inner.Again.nothing.x", Status.ABSENT),
    ("pkg.inner.Child.method", Status.FOUND),
    ("pkg.inner.again", Status.ABSENT),
    ("pkg.Renamed", Status.FOUND),
    ("pkg.Again", Status.FOUND),
    ("pkg.VALUE", Status.FOUND),
    ("pkg.A", Status.FOUND),
    ("pkg.B", Status.FOUND),
    ("pkg.C", Status.FOUND),
    ("pkg.nothing", Status.ABSENT),
    ("nothing.at.all", Status.ABSENT),
    *((f"pkg.conditional.{name}", Status.FOUND) for name in (
        "here", "other", "There", "extra", "last", "handle", "inside", "turn", "looped", "never", "walrus",
        "matched", "captured", "rest", "setter", "by_global",
    )),
    ("pkg.conditional.quick", Status.UNKNOWN),
    ("pkg.conditional.local_only", Status.ABSENT),
    ("pkg.conditional.comprehended", Status.ABSENT),
    ("pkg.star.known", Status.FOUND),
    ("pkg.star.anything", Status.UNKNOWN),
    ("pkg.lazy.anything", Status.UNKNOWN),
    ("pkg.broken.anything", Status.UNKNOWN),
    ("space", Status.FOUND),
    ("space.deep", Status.FOUND),
    ("space.deep.mod.f", Status.FOUND),
    ("space.nothing", Status.ABSENT),
    ("pkg.class", Status.ABSENT),
    ("pkg.star.x²", Status.ABSENT),
    ("pkg.lazy." + ".".join("a" * 1000), Status.ABSENT),
]  # fmt: skip


@pytest.fixture(scope="module", params=["memory", "disk"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    if request.param == "memory":
        return MemoryWorld({name.removesuffix(".__init__"): text for name, text in PACKAGE.items()})
    folder = tmp_path_factory.mktemp("recipe")
    for name, text in PACKAGE.items():
        path = folder.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return DiskWorld(folder, [])


@pytest.mark.parametrize("path, status", CASES, ids=lambda value: str(value)[:40])
def test_a_dotted_path_is_found_without_importing(world: World, path: str, status: Status) -> None:
    if isinstance(world, MemoryWorld) and "from ." in PACKAGE["pkg.__init__"]:
        assert "pkg" not in sys.modules

    assert look_up(world, path).status is status


def test_the_nearest_names_are_those_of_the_place_where_the_search_ended(world: World) -> None:
    assert look_up(world, "pkg.inner.Agian").near == ("Again",)
    assert look_up(world, "pkg.iner.Again").near == ("inner",)
    assert look_up(world, "space.deap.mod").near == ("deep",)


def test_the_place_of_a_definition_is_its_name(world: World) -> None:
    reading = reader(world)
    found = reading.find("pkg.inner.Child")
    assert found.module is not None
    assert found.definition is not None
    place = reading.span(found.module, found.definition.line, found.definition.column, len("Child"))

    assert place is not None
    assert place.text == "Child"
    assert place.source.position(place.start) == (4, 7)


def test_on_disk_a_compiled_module_is_unknown(tmp_path: Path) -> None:
    (tmp_path / f"fast{importlib.machinery.EXTENSION_SUFFIXES[0]}").write_bytes(b"\x7fELF")
    world = DiskWorld(tmp_path, [])

    assert look_up(world, "fast").status is Status.FOUND
    assert look_up(world, "fast.anything").status is Status.UNKNOWN
    assert look_up(world, "builtins.anything").status is Status.UNKNOWN
    assert look_up(world, "sys.path").status is Status.UNKNOWN


def test_on_disk_the_folder_of_the_recipe_comes_first(tmp_path: Path) -> None:
    for folder, name in ((tmp_path / "recipe", "mine"), (tmp_path / "site", "theirs")):
        folder.mkdir()
        (folder / "both.py").write_text(f"def {name}(): ...\n", encoding="utf-8")
    world = DiskWorld(tmp_path / "recipe", [str(tmp_path / "site")])

    assert look_up(world, "both.mine").status is Status.FOUND
    assert look_up(world, "both.theirs").status is Status.ABSENT
    module = world.module("both")
    assert module is not None
    assert module.local


def test_on_disk_what_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes("x = 'é'\n".encode("latin-1"))
    (tmp_path / "marked.py").write_bytes(b"\xef\xbb\xbfdef f(): ...\n")
    (tmp_path / "huge.py").write_text("#" * 9_000_000, encoding="utf-8")
    (tmp_path / "folder.py").mkdir()
    world = DiskWorld(tmp_path, [])

    assert look_up(world, "latin.x").status is Status.FOUND
    assert look_up(world, "marked.f").status is Status.FOUND
    assert look_up(world, "huge.x").status is Status.UNKNOWN
    assert look_up(world, "folder.x").status is Status.ABSENT


def test_on_disk_a_link_to_itself_is_not_followed_for_ever(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")
    world = DiskWorld(tmp_path, [])

    assert look_up(world, "loop." * 49 + "x").status is Status.ABSENT
    assert look_up(world, "gone.x").status is Status.ABSENT


def test_on_disk_nothing_is_imported(tmp_path: Path) -> None:
    (tmp_path / "explodes.py").write_text("raise SystemExit('imported')\ndef f(): ...\n", encoding="utf-8")

    assert look_up(DiskWorld(tmp_path), "explodes.f").status is Status.FOUND
    assert "explodes" not in sys.modules
