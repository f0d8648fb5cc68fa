"""The YAML that is written: OmegaConf reads back exactly what the recipe says, whatever text the recipe holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from esp3c.emit.files import EmittedFile, Layout
from esp3c.emit.nodes import escape
from esp3c.pipeline import compile
from esp3c.source import Source
from esp3c.world import MemoryWorld
from support.fixtures import FIXTURES, MODULES, WORLD

WORLD_OF_OWN = MemoryWorld({**MODULES, "src.odd": "class Odd: ...\n"})
HEAD = "recipe r { system = espnet3.systems.asr.system.ASRSystem }\nstages {}\n"
M = "src.model.CTCRecognizer"

NASTY = [
    "", " ", "\n", "\t", "a\n", "\na", " a", "a ", "a\n\n", "a \nb", "a\r\nb", "\r", "1e-3", "1_000", "0x1F", "0o7",
    "1:30", ".5", "5.", "+1", "-1", "yes", "no", "on", "off", "Yes", "null", "Null", "~", "true", "False", "y", "n",
    ".inf", "-.INF", ".nan", "inf", "nan", "2024-01-01", "2024-01-01 10:00:00", "#", "# a", "a #b", "a: b", "a:", ":",
    "- a", "-", "? a", "[a]", "{a}", "{a: b}", "[", "]", "{", "}", "&a", "*a", "!a",
    "!!python/object/apply:os.system [ls]", "|", ">", "'", '"', "''", '"a"', "%a", "@a", "`a`", ",", "=", "<<", "---",
    "...", "--- a", "\\", "\\\\", "a\\", "\\n", "\\u0041", "${a}", "$${a}", "$$${a}", "${", "$${", "${}", "}${",
    "\\${a}", "\\\\${a}", "\\\\\\${a}", "${a}\\", "${oc.env:HOME}", "${${a}}", "$", "$$", "a$", "{{a}}", "%(a)s",
    "\x01", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u2029", "\ufeff", "\ufffe", "\ufdd0", "\u200b", "\u202e", "é",
    "e\u0301", "音声", "😀", "\U0010ffff", "\ue000", "a" * 500, "word " * 60, "line\n" * 5, "  indented\nless",
    "a\n  b\n c", "\ta\n\tb", "key: |\n  text", "#!/bin/sh", "a\u0085b", "a\u2028b", "\u00a0", "a\u00a0",
    "x" * 200 + " " + "y" * 200, "0", "00", "1.", "1e5", "1E5", "12e03", "e", "_", "_target_", "=", "<", "????", "?",
    "??", "??? ",
]  # fmt: skip

TEXT = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40),
    st.text(st.sampled_from("\\${}\n \t'\"#:-?[]ae0.,|>%&*!~\r\u2028é"), max_size=16),
).filter(lambda text: text != "???")


def quoted(text: str) -> str:
    """A text as the recipe writes it. A `$` at its end may come to stand before an interpolation."""
    out: list[str] = []
    for char in text:
        if char in '\\"':
            out.append("\\" + char)
        elif char.isprintable():
            out.append(char)
        else:
            out.append(f"\\u{{{ord(char):x}}}")
    body = "".join(out).replace("${", "$${")
    return '"' + (body[:-1] + "\\u{24}" if body.endswith("$") else body) + '"'


def files(text: str, *overrides: str) -> dict[str, EmittedFile]:
    sources = [Source(f"--set {each}", each) for each in overrides]
    result = compile(Source("recipe.esp", HEAD + text), WORLD_OF_OWN, sources, Layout("recipe.esp"))
    assert [each for each in result.diagnostics if each.severity == "error"] == []
    return {each.path: each for each in result.files}


def resolved(text: str, name: str = "c", **extra: Any) -> Any:
    """The config as a stage gets it."""
    loaded = OmegaConf.create(files(text)[f"conf/{name}.yaml"].text)
    config = OmegaConf.merge(loaded, {"exp_dir": "EXP", **extra})
    return OmegaConf.to_container(config, resolve=True)


def test_the_helper_writes_what_is_meant() -> None:
    assert quoted("a${b}") == '"a$${b}"'
    assert quoted('\\"\n$') == r'"\\\"\u{a}\u{24}"'


# -- any text, anywhere -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_each_nasty_text_stays_text(text: str) -> None:
    assert resolved(f"config c {{ a = {quoted(text)}  b = [{quoted(text)}] }}") == {
        "recipe_dir": ".",
        "exp_dir": "EXP",
        "a": text,
        "b": [text],
    }


@settings(max_examples=150, deadline=None)
@given(TEXT, TEXT, TEXT)
@example("\\", "${a}", "\\\\")
@example("a\n", " b", "\u2028")
def test_any_text_comes_back_at_its_place_and_changes_nothing_else(one: str, two: str, three: str) -> None:
    a, b, c = quoted(one), quoted(two), quoted(three)

    data = resolved(
        f"let t = {b}\nconfig c {{ first = 1  plain = {a}  listed = [{a}, 2, [{b}], {c}]  inner {{ deep = {{ x = {c} }} }}"
        f"  call = {M}(x = {a}, y = [{b}], z = {M}(w = {c}))  carried = t  linked = plain  n = 3"
        f'  beside = "{a[1:-1]}${{n}}{b[1:-1]}${{plain}}{c[1:-1]}"  alone = "${{plain}}"  last = 2 }}'
    )

    assert data == {
        "recipe_dir": ".",
        "exp_dir": "EXP",
        "first": 1,
        "plain": one,
        "listed": [one, 2, [two], three],
        "inner": {"deep": {"x": three}},
        "call": {"_target_": M, "x": one, "y": [two], "z": {"_target_": M, "w": three}},
        "carried": two,
        "linked": one,
        "n": 3,
        "beside": f"{one}3{two}{one}{three}",
        "alone": one,
        "last": 2,
    }


KEYS = TEXT.filter(lambda key: key and "${" not in key and not key.startswith("_"))


@settings(max_examples=80, deadline=None)
@given(st.lists(KEYS, min_size=1, max_size=4, unique=True), TEXT)
def test_any_text_may_be_a_key_in_quotes(keys: list[str], value: str) -> None:
    entries = "  ".join(f"{quoted(key)} = {quoted(value)}" for key in keys)

    data = resolved(f"config c {{ inner {{ {entries} }}  after = 1 }}")

    assert data["inner"] == dict.fromkeys(keys, value)
    assert data["after"] == 1


@settings(max_examples=60, deadline=None)
@given(TEXT)
def test_any_text_in_a_training_config(text: str) -> None:
    """Dataset entries, named sets, builders, metrics and the recipe's own keys."""
    t = quoted(text)
    recipe = (
        "recipe r {{ system = espnet3.systems.asr.system.ASRSystem  exp_tag = {} }}\nstages {{}}\n"
        "dataset d {{ class = dataset.dataset.SpokenDigits  builder = dataset.builder.SpokenDigitsBuilder(note = {}) }}\n"
        "training {{ dataset {{ train = [d(split = {}) {{ transform = src.transforms.RandomGain(a = {}) }}] valid = d(x = {}) }} }}\n"
        "inference {{ dataset {{ test {{ {} = d(split = {}) }} }} input_key = {}  exp_dir = \"a{}${{exp_tag}}\" }}\n"
        "metrics {{ metrics = [espnet3.systems.asr.metrics.wer.WER(ref_key = {})] }}\n"
    ).format(t, t, t, t, t, quoted("k" + text.replace("${", "")), t, t, t[1:-1], t)  # fmt: skip
    result = compile(Source("recipe.esp", recipe), WORLD_OF_OWN, (), Layout("recipe.esp"))
    assert result.ok
    found = {each.path: each.text for each in result.files}

    def load(name: str) -> Any:
        return OmegaConf.to_container(OmegaConf.create(found[f"conf/{name}.yaml"]), resolve=True)

    training, inference, metrics = load("training"), load("inference"), load("metrics")
    assert training["exp_tag"] == inference["exp_tag"] == metrics["exp_tag"] == text
    assert training["create_dataset"] == {"recipe_dir": ".", "note": text}
    [entry] = training["dataset"]["train"]
    assert entry["data_src_args"] == {"split": text}
    assert entry["transform"]["a"] == text
    assert training["dataset"]["valid"] == [{"data_src": entry["data_src"], "data_src_args": {"x": text}}]
    [named] = inference["dataset"]["test"]
    assert named["name"] == "k" + text.replace("${", "")
    assert named["data_src_args"] == {"split": text}
    assert inference["input_key"] == text
    assert inference["exp_dir"] == f"a{text}{text}"
    assert metrics["metrics"][0]["metric"]["ref_key"] == text


@settings(max_examples=200, deadline=None)
@given(TEXT, TEXT)
def test_escape_is_undone_by_omegaconf(before: str, after: str) -> None:
    config = OmegaConf.create({"x": 1, "plain": escape(before)})
    config["beside"] = escape(before, before_interpolation=True) + "${x}" + escape(after)

    assert config.plain == before
    assert str(config.beside) == f"{before}1{after}"


@settings(max_examples=60, deadline=None)
@given(TEXT)
def test_a_text_from_set_is_text(text: str) -> None:
    found = files('config c { a = "x"  b = 1 }', f"c.a={quoted(text)}")["conf/c.yaml"].text

    assert OmegaConf.to_container(OmegaConf.create(found), resolve=True) == {"recipe_dir": ".", "a": text, "b": 1}


# -- numbers and constants --------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.integers(-(10**30), 10**30), st.floats(allow_nan=False, allow_infinity=False))
@example(0, 1e-3)
@example(-1, 1e16)
@example(10, 1e300)
@example(10, 5e-324)
@example(7, -0.0)
def test_numbers_come_back_with_their_type(whole: int, real: float) -> None:
    data = resolved(f'config c {{ a = {whole}  b = {real!r}  d = [{real!r}, {whole}]  e = b  f = "x${{b}}y${{a}}" }}')

    assert [data["a"], data["b"], data["d"], data["e"]] == [whole, real, [real, whole], real]
    assert [type(each) for each in (data["a"], data["b"], *data["d"])] == [int, float, float, int]
    assert data["f"] == f"x{real}y{whole}"


def test_constants_and_empty_things() -> None:
    data = resolved("config c { a = true  b = false  d = null  e = []  f = {}  g {}  h = [[], {}, null, true] }")

    del data["recipe_dir"], data["exp_dir"]
    assert data == {
        "a": True,
        "b": False,
        "d": None,
        "e": [],
        "f": {},
        "g": {},
        "h": [[], {}, None, True],
    }


def test_scalars_inside_text_are_written_as_omegaconf_writes_them() -> None:
    """A carried value in a text is the same text as the link would have been."""
    values = {"t": "true", "n": "null", "i": "3", "f": "1e-4", "z": "2.0", "q": "90min", "s": '"x"'}
    lets = "".join(f"let {name} = {value}\n" for name, value in values.items())
    keys = "  ".join(f"k{name} = {value}" for name, value in values.items())

    data = resolved(
        f'{lets}config c {{ {keys}  a = "{" ".join(f"${{{name}}}" for name in values)}!"'
        f'  b = "{" ".join(f"${{k{name}}}" for name in values)}!" }}'
    )

    assert data["a"] == data["b"] == "True None 3 0.0001 2.0 5400 x!"


# -- links ------------------------------------------------------------------------------------------------------------


def test_links_lead_to_their_values_wherever_these_stand_in_the_yaml() -> None:
    recipe = f"""
dataset d {{ class = dataset.dataset.SpokenDigits }}
training {{
  seed = 11
  dataset {{
    train = [d(split = "a", size = seed), d(split = "b") {{ transform = src.transforms.RandomGain(gain = 4) }}]
    valid = d(split = "${{dataset.train.0.split}}")
    preprocessor = src.text.CharTokens(vocabulary = "ab")
  }}
  model = {M}(size = 5, half = size, inner = {M}(x = dataset.preprocessor.vocabulary), l = [size, [half]])
  optimizer = torch.optim.AdamW(lr = 1e-3, again = lr, deep = {{ a = lr }})
  create_dataset {{ note = model.inner.x }}
  num_device = model.size
  trainer {{ devices = num_device }}
}}
inference {{
  dataset {{ test {{ one = d(split = "t", n = training.model.size)  two = d(split = dataset.test.one.split) }} }}
  batch_size = dataset.test.one.n
}}
metrics {{
  metrics = [
    espnet3.systems.asr.metrics.wer.WER(ref_key = "r", hyp_key = ref_key),
    espnet3.systems.asr.metrics.cer.CER(ref_key = "${{metrics.0.ref_key}}"),
  ]
}}
"""
    training = resolved(recipe, "training")
    inference = resolved(recipe, "inference")
    metrics = resolved(recipe, "metrics")

    assert training["dataset"]["train"][0]["data_src_args"] == {"split": "a", "size": 11}
    assert training["dataset"]["valid"][0]["data_src_args"] == {"split": "a"}
    assert training["model"] == {
        "_target_": M,
        "size": 5,
        "half": 5,
        "inner": {"_target_": M, "x": "ab"},
        "l": [5, [5]],
    }
    assert training["optimizer"] == {"_target_": "torch.optim.AdamW", "lr": 1e-3, "again": 1e-3, "deep": {"a": 1e-3}}
    assert training["create_dataset"] == {"note": "ab"}
    assert training["trainer"] == {"devices": 5}
    assert [each["data_src_args"] for each in inference["dataset"]["test"]] == [{"split": "t", "n": 5}, {"split": "t"}]
    assert inference["batch_size"] == 5
    assert [each["metric"] for each in metrics["metrics"]] == [
        {"_target_": "espnet3.systems.asr.metrics.wer.WER", "ref_key": "r", "hyp_key": "r"},
        {"_target_": "espnet3.systems.asr.metrics.cer.CER", "ref_key": "r"},
    ]
    # An override of the YAML moves both ends of a link.
    assert "max_lr" not in training["optimizer"]
    moved = OmegaConf.create(files(recipe)["conf/training.yaml"].text)
    moved.model.size = 6
    assert moved.model.half == moved.num_device == moved.trainer.devices == 6


def test_machine_settings_are_what_the_scheduler_takes() -> None:
    recipe = """
parallel gpu = slurm(n_workers = n, mem = 1GiB, time = 61s, signal_delay_s = 2min, partition = "a")
parallel odd = slurm(time = 60500ms, mem_per_cpu = 1, signal_delay_s = 1.5s, attempts = n, extra = { nice = n, hint = "x" })
let n = 3
training { parallel = gpu }
inference { parallel = odd }
"""
    training, inference = resolved(recipe, "training"), resolved(recipe, "inference")

    assert training["parallel"] == {
        "env": "slurm",
        "n_workers": 3,
        "options": {"mem": "1024M", "time": 2, "signal_delay_s": 120, "partition": "a"},
    }
    assert inference["parallel"] == {
        "env": "slurm",
        "options": {
            "time": 2,
            "mem_per_cpu": "1M",
            "signal_delay_s": 2,
            "attempts": 3,
            "additional_parameters": {"nice": 3, "hint": "x"},
        },
    }


def test_settings_of_dask_clusters_are_what_dask_takes() -> None:
    recipe = """
parallel many = pbs(n_workers = 8, n_shards = 64, cores = 4, memory = 16GB, walltime = 36h, job_extra_directives = ["-m n"])
parallel odd  = lsf(cores = 1, memory = 1_000_001, mem = 2GiB, walltime = 61s, death_timeout = 2min)
parallel disk = htcondor(cores = 1, memory = 1.5GiB, disk = 3GB, job_extra_directives = { "+Max" = 5 })
training { parallel = many }
inference { parallel = odd }
metrics { parallel = disk }
"""
    found = {name: resolved(recipe, name)["parallel"] for name in ("training", "inference", "metrics")}
    near = 'training { parallel = dask(address = "tcp://127.0.0.1:8786", n_workers = 4, timeout = 1min) }'

    assert found["training"] == {
        "env": "pbs",
        "n_workers": 8,
        "n_shards": 64,
        "options": {"cores": 4, "memory": "16GB", "walltime": "36:00:00", "job_extra_directives": ["-m n"]},
    }
    assert found["inference"]["options"] == {
        "cores": 1,
        "memory": "1000001B",
        "mem": 2**31,
        "walltime": "00:02",
        "death_timeout": 120,
    }
    assert found["metrics"]["options"] == {
        "cores": 1,
        "memory": "1536MiB",
        "disk": "3GB",
        "job_extra_directives": {"+Max": 5},
    }
    assert resolved(near, "training")["parallel"] == {
        "env": "dask",
        "n_workers": 4,
        "options": {"address": "tcp://127.0.0.1:8786", "timeout": 60},
    }


def test_a_python_path_is_text_but_inside_a_call_the_object() -> None:
    data = resolved(
        f"config c {{ a = torch.nn.ReLU  b = {M}(x = torch.nn.ReLU, y = [torch.nn.ReLU])  d = partial {M}() }}"
    )

    got = {"_target_": "hydra.utils.get_object", "path": "torch.nn.ReLU"}
    assert data["a"] == "torch.nn.ReLU"
    assert data["b"] == {"_target_": M, "x": got, "y": [got]}
    assert data["d"] == {"_target_": M, "_partial_": True}


# -- the manifest -----------------------------------------------------------------------------------------------------

WHOLE = (FIXTURES / "ok" / "whole_language.esp").read_text(encoding="utf-8")


def at(data: Any, place: str) -> Any:
    # The settings of one builder among several stand under the name of its module, which has a dot in it.
    for step in place.replace("recipe_data.", "recipe_data/").replace("[", ".[").split("."):
        data = data[int(step[1:-1])] if step.startswith("[") else data[step.replace("recipe_data/", "recipe_data.")]
    return data


def scalars(data: Any, place: str = "") -> list[str]:
    """The places of all scalars, as the manifest names them."""
    if isinstance(data, dict):
        return [each for key, value in data.items() for each in scalars(value, f"{place}.{key}" if place else key)]
    if isinstance(data, list):
        return [each for number, value in enumerate(data) for each in scalars(value, f"{place}[{number}]")]
    return [place]


def test_the_manifest_leads_from_every_value_to_the_text_that_made_it() -> None:
    result = compile(Source("recipe.esp", WHOLE), WORLD, (), Layout("recipe.esp"))
    found = {each.path: each.text for each in result.files}
    manifest = json.loads(found[".esp3c/manifest.json"])
    seen = 0
    assert set(manifest["files"]) == set(found) - {".esp3c/manifest.json"}
    for path, entry in manifest["files"].items():
        if not path.endswith(".yaml"):
            continue
        data = yaml.load(found[path], Loader=yaml.BaseLoader)
        lines = found[path].split("\n")
        places = [each["at"] for each in entry["values"]]
        assert sorted(places) == sorted(scalars(data))
        for each in entry["values"]:
            value = at(data, each["at"])
            line = lines[each["line"] - 1]
            first = value.split("\n")[0]
            assert first in line or first in line.replace("''", "'") or line.rstrip().endswith("|"), (each, line)
            name = each["at"].rsplit(".", 1)[-1]
            if "[" not in name:
                assert name in line
            text = WHOLE[each["start"] : each["end"]]
            number, column = each["recipe"].split(":")[1:]
            before = WHOLE[: each["start"]]
            assert (before.count("\n") + 1, len(before) - before.rfind("\n")) == (int(number), int(column))
            assert text.strip() == text
            assert text
            seen += 1
    assert seen > 100


@pytest.mark.parametrize(
    "place, written",
    [
        ("optimizer.lr", "2e-3"),
        ("optimizer._target_", "torch.optim.AdamW"),
        ("scheduler.max_lr", "optimizer.lr"),
        ("create_dataset.recipe_data.digits.sample_rate", "16kHz"),
        ("dataset.train[0].data_src_args.split", '"train"'),
        ("dataset.train[0].transform.max_db", "6"),
        ("model.hidden_size", "192"),
        ("model._target_", "src.model.CTCRecognizer"),
        ("best_model_criterion[0][0]", '"valid/loss"'),
        ("stage_parallel.train.options.time", "4h"),
        ("seed", "2026"),
    ],
)
def test_the_place_of_a_value_is_its_own_text(place: str, written: str) -> None:
    result = compile(Source("recipe.esp", WHOLE), WORLD, (), Layout("recipe.esp"))
    [training] = [each for each in result.files if each.path == "conf/training.yaml"]
    [span] = [each.span for each in training.spans if each.at == place]

    assert span.text == written


def test_what_was_set_is_named_in_the_manifest() -> None:
    override = "training.optimizer.lr=0.5"
    source = Source(f"--set {override}", override)
    result = compile(Source("recipe.esp", WHOLE), WORLD, [source], Layout("recipe.esp"))
    manifest = json.loads(result.files[-1].text)

    [value] = [each for each in manifest["files"]["conf/training.yaml"]["values"] if each["at"] == "optimizer.lr"]
    assert value["recipe"] == "--set training.optimizer.lr=0.5:1:23"
