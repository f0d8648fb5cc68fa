"""What is proposed at a place, and in which order."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from esp3c.query.complete import complete
from esp3c.query.complete_model import Completion, Proposal, Sort, fits
from esp3c.query.snippets import SNIPPETS, Snippet
from esp3c.source import Source
from esp3c.syntax.parse import parse
from esp3c.world import MemoryWorld
from support.marks import PYTHON, RECIPE, marked, seen

RECIPES = Path(__file__).parents[2] / "recipes"

MODULES = {
    **PYTHON,
    "torch.nn": "from torch.nn.modules.module import Module\n__all__ = ['Module']\nimport os\nclass Hidden: ...\n",
    "torch.optim": "from torch.optim.adamw import AdamW as AdamW\nfrom torch.optim.adamw import SGD as SGD\n",
    "torch.optim.adamw": (
        "from torch.optim.optimizer import Optimizer\n"
        "class AdamW(Optimizer):\n    def __init__(self, params, lr: float = 1e-3, weight_decay: float = 1e-2): ...\n"
        "class SGD(Optimizer):\n    def __init__(self, params, lr: float, nesterov: bool = False): ...\n"
    ),
    "torch.optim.optimizer": "class Optimizer: ...\n",
    "torch.utils.data": "from torch.utils.data.dataset import Dataset\n",
    "torch.utils.data.dataset": "class Dataset: ...\n",
    "espnet3.systems.asr.metrics.wer": (
        "class WER:\n    def __init__(self, ref_key: str = 'ref', hyp_key: str = 'hyp'): ...\n"
        "    def __call__(self, data, test_name, output_dir): ...\n"
    ),
    "dataset.dataset": (
        "from torch.utils.data import Dataset\n"
        "SPLITS = ('train', 'valid', 'test')\n"
        "class Digits(Dataset):\n    def __init__(self, split: str, size: int = 3):\n"
        "        if split not in SPLITS:\n            raise ValueError(split)\n"
        "    def __len__(self):\n        return 3\n"
        "    def __getitem__(self, index):\n        return {'utt_id': 'a', 'speech': self.load(), 'text': 'b'}\n"
    ),
    "src.model": (
        "from typing import Literal\nfrom torch.nn import Module\n_private = 1\n"
        "class Recognizer(Module):\n"
        "    def __init__(self, n_mels: int, hidden_size: int = 192,\n"
        "                 kind: Literal['gru', 'lstm'] = 'gru', causal: bool = False): ...\n"
        "    def forward(self, speech):\n        return 0.5, {'accuracy': 0.25}, 1\n"
        "class Plain:\n    @classmethod\n    def make(cls): ...\n"
    ),
    "src.inference": "def build_output(data, model_output, idx):\n    return {'utt_id': data['utt_id'], 'hyp': model_output}\n",
    "src.transforms": "class Gain:\n    def __init__(self, max_db: float): ...\n    def __call__(self, item):\n        return item\n",
}
WORLD = MemoryWorld(MODULES)

HEAD = """\
recipe digits { system = espnet3.systems.base.system.BaseSystem  exp_tag = "ctc" }
let width = 192
let words = "abc"
let fast = true
dataset spoken { class = dataset.dataset.Digits  builder = dataset.builder.Builder(utterances = 3) }
training {
  dataset { train = [spoken(split = "train")]  valid = [spoken(split = "valid")] }
  model = src.model.Recognizer(n_mels = 80)
  optimizer = torch.optim.AdamW(lr = 1e-3)
  trainer { max_epochs = 3  accelerator = "cpu" }
}
inference {
  dataset { test { seen = spoken(split = "test") } }
  model = src.model.Recognizer(n_mels = training.model.n_mels)
  input_key = "speech"
  output_fn = src.inference.build_output
}
parallel gpu = slurm(partition = "gpu")
stages { create_dataset  train on gpu }
"""


def asked(text: str, world: MemoryWorld = WORLD) -> Completion:
    """What is proposed at the mark of a recipe."""
    plain, (place,) = marked(text)
    return complete(seen(plain, world), place)


def behind(text: str) -> Completion:
    """What is proposed at the mark of a text that stands behind a whole recipe."""
    return asked(HEAD + text)


def instead(old: str, new: str) -> Completion:
    """What is proposed at the mark where a piece of the recipe is replaced."""
    assert HEAD.count(old) == 1, old
    return asked(HEAD.replace(old, new))


def labels(found: Completion) -> list[str]:
    return [each.label for each in found.proposals]


def one(found: Completion, label: str) -> Proposal:
    return next(each for each in found.proposals if each.label == label)


# -- keys -----------------------------------------------------------------------------------------------------------------


def test_keys_that_are_given_are_not_proposed_again() -> None:
    found = labels(instead('max_epochs = 3  accelerator = "cpu"', 'max_epochs = 3  |  accelerator = "cpu"'))
    assert "devices" in found and "precision" in found
    assert "max_epochs" not in found and "accelerator" not in found


def test_the_key_at_the_cursor_is_proposed() -> None:
    found = instead("max_epochs = 3", "max_|epochs = 3")
    assert one(found, "max_epochs").snippet == ""
    assert (found.end - found.start) == len("max_epochs")


def test_what_a_stage_needs_comes_first() -> None:
    assert labels(instead("  model = src.model.Recognizer(n_mels = 80)\n", "  |\n"))[0] == "model"
    assert labels(asked("recipe a { | }"))[0] == "system"
    assert set(labels(asked("dataset a { | }"))[:2]) == {"class", "source"}
    assert set(labels(behind("stages { mine { | } }"))) == {"runner", "provider", "over"}


def test_keys_have_a_place_for_their_value() -> None:
    found = behind("metrics { | }")
    assert one(found, "dataset").snippet == "dataset {\n  $0\n}"
    assert one(found, "metrics").snippet == "metrics = [$1]"
    found = behind("config low extends training { new | }")
    assert one(found, "scheduler_interval").snippet == 'scheduler_interval = ${1|"step","epoch"|}'
    assert one(found, "generator_first").snippet == "generator_first = ${1|true,false|}"
    assert one(found, "scheduler").snippet == "scheduler = $1"
    assert one(found, "data_dir").snippet == 'data_dir = "$1"'


def test_keys_are_explained() -> None:
    told = [part.text for part in one(instead("max_epochs = 3", "|"), "max_epochs").doc]
    assert told[0] == "`max_epochs`: when to stop"
    assert any("at least 0" in each for each in told) and any("`1000`" in each for each in told)
    assert told[-1] == "In `conf/training.yaml`: `trainer.max_epochs`"


def test_what_excludes_something_stands_last() -> None:
    found = one(instead("  model = src.model.Recognizer(n_mels = 80)\n", "  |\n"), "optimizers")
    assert found.detail == "not beside `optimizer`" and found.rank > 5


def test_keys_of_a_machine_and_of_a_dataset_in_use() -> None:
    assert "gpus_per_node" in labels(behind("parallel other = slurm(|)"))
    assert labels(instead('[spoken(split = "valid")]', '[spoken(split = "valid") { | }]')) == [
        "transform", "name", "data_src", "data_src_args", "split",
    ]  # fmt: skip


def test_an_extending_config_offers_what_its_base_has() -> None:
    found = behind("config low extends training { | }")
    assert one(found, "trainer.max_epochs").snippet == "trainer.max_epochs = ${1:3}"
    assert one(found, "optimizer.lr").detail == "1e-3"
    assert one(found, "new exp_tag").snippet == 'new exp_tag = "$1"'
    assert "new trainer" not in labels(found)
    assert labels(behind("config low extends training { trainer.| = 1 }")) == ["max_epochs", "accelerator"]
    assert "max_epochs" not in labels(behind("config low extends training { trainer { max_epochs = 1  | } }"))
    assert "devices" in labels(behind("config low extends training { new trainer.| }"))
    assert "weight_decay" in labels(behind("config low extends training { new optimizer.| }"))


def test_keys_of_ones_own() -> None:
    text = HEAD + "config export { opset = 17  path { to = 1 } }\nconfig other { | }\n"
    assert {"opset", "path", "exp_dir"} <= set(labels(asked(text)))
    read = "def write(config):\n    return config.opset, config.path.to\n"
    world = MemoryWorld({**MODULES, "src.stages": read})
    found = asked(
        HEAD.replace("train on gpu }", "write requires export runs src.stages.write }") + "config export { | }", world
    )
    assert labels(found)[:2] == ["opset", "path"]
    assert one(found, "path").sort is Sort.BLOCK


def test_the_twin_of_a_block_has_its_names() -> None:
    text = "training { optimizers { generator { optimizer = a.B() } }  schedulers { | } }"
    assert one(asked(text), "generator").snippet == "generator {\n  $0\n}"


def test_fields_of_a_sample_are_those_of_the_class() -> None:
    found = instead("builder = dataset.builder.Builder(utterances = 3)", "sample { utt_id: str  | }")
    assert set(labels(found)) == {"speech", "text"}
    assert one(found, "text").snippet == "text: str"


# -- values ---------------------------------------------------------------------------------------------------------------


def test_words_of_a_key() -> None:
    assert labels(instead('"cpu"', "|"))[:3] == ['"auto"', '"cpu"', '"gpu"']
    assert labels(instead('"cpu"', '"|"')) == ["auto", "cpu", "gpu", "cuda", "mps", "tpu"]
    assert one(instead('accelerator = "cpu" }', 'accelerator = "|'), "auto").text == 'auto"'


def test_true_and_false() -> None:
    assert labels(instead("max_epochs = 3", "detect_anomaly = |"))[:2] == ["true", "false"]
    assert labels(instead("n_mels = 80", "causal = |"))[:2] == ["true", "false"]


def test_values_of_a_literal() -> None:
    assert labels(instead("n_mels = 80", "kind = |"))[:2] == ['"gru"', '"lstm"']
    assert labels(instead("n_mels = 80", 'kind = "|"')) == ["gru", "lstm"]


def test_splits_are_those_that_the_class_takes() -> None:
    assert labels(instead('split = "valid"', 'split = "|"')) == ["train", "valid", "test"]


def test_names_in_sight_of_the_right_kind_come_first() -> None:
    found = labels(instead("n_mels = 80", "n_mels = |"))
    assert found.index("width") < found.index("words")
    assert found.index("width") < found.index("exp_dir")
    assert labels(instead("n_mels = training.model.n_mels", "n_mels = |"))[0] == "training.model.n_mels"


def test_a_name_does_not_mean_itself() -> None:
    found = labels(behind("let other = |"))
    assert "width" in found and "other" not in found
    assert "lr" not in labels(instead("lr = 1e-3", "lr = |"))


def test_behind_a_name_stand_the_names_in_it() -> None:
    assert labels(instead("training.model.n_mels", "training.model.|")) == ["n_mels"]
    found = labels(instead("training.model.n_mels", "training.|"))
    assert {"model", "optimizer", "trainer", "exp_dir"} <= set(found)
    assert labels(behind("let other = recipe.|")) == ["system", "exp_tag"]


def test_a_name_that_stands_for_a_call_is_followed() -> None:
    text = "let reader = src.model.Recognizer(n_mels = 80)\ntraining { model = reader }\nlet a = training.model.|"
    assert labels(asked(text)) == ["n_mels"]


def test_datasets_are_used_with_their_split() -> None:
    found = instead('valid = [spoken(split = "valid")]', "valid = [|]")
    assert found.proposals[0].snippet == 'spoken(split = ${1|"valid","train","test"|})'
    assert "spoken" in labels(instead('[spoken(split = "valid")]', "|"))


def test_machines() -> None:
    assert labels(behind("parallel other = |"))[:2] == ["local", "slurm"]
    assert labels(behind("metrics { parallel = | }"))[0] == "gpu"
    assert labels(behind("stages { other on | }")) == ["gpu"]


def test_fields_of_the_data() -> None:
    assert labels(instead('"speech"', '"|"')) == ["utt_id", "speech", "text"]
    assert labels(instead('"speech"', "|"))[:3] == ['"utt_id"', '"speech"', '"text"']
    metric = 'metrics { metrics = [espnet3.systems.asr.metrics.wer.WER(hyp_key = "|")] }'
    assert "hyp" in labels(behind(metric)) and "speech" not in labels(behind(metric))
    assert "hyp" in labels(instead('input_key = "speech"', "output_artifacts { | }"))


def test_numbers_that_are_logged() -> None:
    criterion = instead("max_epochs = 3  accelerator", '}\n  best_model_criterion = [["|", 1, "min"]]\n  other {')
    assert labels(criterion) == ["valid/loss", "valid/accuracy", "train/loss", "train/accuracy"]
    assert labels(instead("  trainer {", '  best_model_criterion = [["valid/loss", 1, "|"]]\n  trainer {')) == [
        "min",
        "max",
    ]


def test_defaults_to_begin_with() -> None:
    assert one(instead("lr = 1e-3", "weight_decay = |"), "0.01").detail == "the default"
    assert one(instead("max_epochs = 3", "max_epochs = |"), "1000").detail == "the default"


# -- Python ---------------------------------------------------------------------------------------------------------------


def test_segments_of_a_path() -> None:
    found = instead("src.model.Recognizer(n_mels = 80)", "src.|")
    assert set(labels(found)) >= {"model", "inference", "transforms"}
    assert all(each.sort is Sort.MODULE for each in found.proposals)
    found = instead("src.model.Recognizer(n_mels = 80)", "src.model.|")
    assert labels(found)[0] == "Recognizer" and "_private" not in labels(found)
    assert one(found, "Recognizer").snippet == "Recognizer(n_mels = $1)"
    assert one(found, "Recognizer").more == ("src.model.Recognizer", "")
    assert "_private" in labels(instead("src.model.Recognizer(n_mels = 80)", "src.model._|"))
    assert labels(instead("src.model.Recognizer(n_mels = 80)", "src.model.Plain.|")) == ["make"]


def test_names_that_a_module_has_for_its_own_use_are_left_out() -> None:
    found = labels(instead("src.model.Recognizer(n_mels = 80)", "torch.nn.|"))
    assert "Module" in found and not {"os", "Hidden"} & set(found)
    assert "Module" not in labels(instead("src.model.Recognizer(n_mels = 80)", "src.model.|"))[:2]


def test_a_call_that_is_there_gets_its_name_alone() -> None:
    found = instead("src.model.Recognizer(n_mels = 80)", "src.model.|(n_mels = 80)")
    assert one(found, "Recognizer").snippet == ""


def test_whole_targets_of_the_kind_that_is_wanted() -> None:
    assert labels(instead("src.model.Recognizer(n_mels = 80)", "|"))[0] == "src.model.Recognizer"
    found = instead("torch.optim.AdamW(lr = 1e-3)", "|")
    assert labels(found)[:2] == ["torch.optim.AdamW", "torch.optim.SGD"]
    # The parameters of the model are handed over by ESPnet3.
    assert one(found, "torch.optim.SGD").snippet == "torch.optim.SGD(lr = $1)"
    assert "torch.optim.Adam" not in labels(found)
    assert labels(instead("src.inference.build_output", "|"))[0] == "src.inference.build_output"
    assert labels(instead("dataset.dataset.Digits", "|"))[0] == "dataset.dataset.Digits"
    assert (
        labels(instead('spoken(split = "valid")', 'spoken(split = "valid") { transform = | }'))[0]
        == "src.transforms.Gain"
    )
    assert "espnet3.systems.base.system.BaseSystem" in labels(asked("recipe a { system = | }"))


def test_without_time_names_are_proposed_all_the_same() -> None:
    plain, (place,) = marked(HEAD.replace("torch.optim.AdamW(lr = 1e-3)", "torch.optim.|"))
    found = complete(seen(plain, WORLD), place, patient=lambda: False)
    assert {"AdamW", "SGD"} <= set(labels(found))


def test_a_typed_word_finds_a_target_by_its_name() -> None:
    found = instead("torch.optim.AdamW(lr = 1e-3)", "Adam|")
    assert labels(found) == ["torch.optim.AdamW"]
    assert found.proposals[0].match.startswith("AdamW")


def test_arguments_that_are_missing_come_first() -> None:
    found = instead("n_mels = 80", "|")
    assert labels(found) == ["n_mels", "hidden_size", "kind", "causal"]
    assert found.proposals[0].detail == "int (required)"
    assert one(found, "kind").snippet == 'kind = ${1|"gru","lstm"|}'
    assert one(found, "causal").snippet == "causal = ${1|true,false|}"
    assert labels(instead("lr = 1e-3", "|")) == ["lr", "weight_decay"]
    assert labels(instead("utterances = 3", "|")) == ["utterances"]
    assert labels(instead('split = "valid"', "|")) == ["split", "size"]
    assert one(instead("n_mels = 80", "| = 80"), "n_mels").snippet == ""


# -- stages ---------------------------------------------------------------------------------------------------------------


def test_stages_of_the_system_that_have_no_line() -> None:
    found = labels(instead("train on gpu", "\n  |\n"))
    assert found[:4] == ["collect_stats", "train", "infer", "measure"] and "create_dataset" not in found
    # On one line the next stage may follow as well as a clause.
    assert {"requires", "collect_stats"} <= set(labels(instead("train on gpu", "|")))


def test_clauses_and_what_stands_in_them() -> None:
    assert labels(instead("train on gpu", "train |"))[:3] == ["requires", "runs", "on"]
    assert labels(instead("train on gpu", "train on gpu |"))[:2] == ["requires", "runs"]
    assert labels(instead("train on gpu", "train requires |"))[0] == "training"
    assert "training" not in labels(instead("train on gpu", "train requires training, |"))
    assert {"train", "src.text.clean"} <= set(labels(instead("train on gpu", "other runs |")))
    assert "export_onnx" in labels(instead("train on gpu", "other runs src.stages.|"))
    assert "training.dataset.train" in labels(instead("train on gpu", "other { over = | }"))


def test_a_stage_is_named_by_what_its_line_says() -> None:
    text = HEAD + "config training_low extends training { trainer.max_epochs = 1 }\n"
    found = asked(text.replace("train on gpu", "\n  | requires training_low runs train"))
    assert found.proposals[0].label == "train_low"


def test_bases() -> None:
    assert labels(behind("config low extends | { }")) == ["training", "inference"]
    assert labels(behind("config low | ")) == ["extends"]


# -- text, numbers, declarations --------------------------------------------------------------------------------------------


def test_interpolations() -> None:
    found = instead("n_mels = 80", 'n_mels = "${|"')
    assert one(found, "exp_dir").text == "exp_dir}"
    assert one(instead("n_mels = 80", 'n_mels = "${|}"'), "exp_dir").text == "exp_dir"
    assert "oc.env:" in labels(found) and "words" in labels(found)
    assert labels(instead("n_mels = 80", 'n_mels = "${training.trainer.|}"')) == ["max_epochs", "accelerator"]


def test_units_that_fit_with_what_they_come_to() -> None:
    found = instead('partition = "gpu"', "time = 90|")
    assert labels(found) == ["ms", "s", "min", "h", "d"]
    assert one(found, "min").detail == "90min = 5_400 seconds"
    assert labels(instead('partition = "gpu"', "mem = 32G|"))[0] == "GB"
    assert labels(instead("max_epochs = 3", "max_epochs = 3|")) == []


def test_types_and_dimensions() -> None:
    assert {"str", "float32"} <= set(labels(asked("dataset a { sample { x: | } }")))
    found = asked("dataset a { sample { x: float32[frames]  y: float32[|] } }")
    assert labels(found)[0] == "frames"


def test_nothing_in_comments_and_free_text() -> None:
    for text in ("# |", "recipe |", 'recipe a { exp_tag = "|" }', "let a = 1|0", "training { # tr|\n }"):
        assert labels(asked(text)) == [], text


def test_declarations_that_are_there_are_not_proposed() -> None:
    found = labels(behind("|"))
    assert "metrics" in found and "config … extends" in found
    assert not {"recipe", "training", "inference", "stages"} & set(found)
    assert {"recipe", "training", "stages"} <= set(labels(asked("|")))


def filled(snippet: str) -> str:
    """A snippet whose defaults are taken."""
    names = dict(re.findall(r"\$\{(\d+):((?:[^}\\]|\\.)*)\}", snippet))
    text = re.sub(r"\$\{(\d+):((?:[^}\\]|\\.)*)\}", lambda found: found[2], snippet)
    text = re.sub(r"\$\{\d+\|((?:[^,|\\]|\\.)*)[^|]*\|\}", lambda found: found[1], text)
    text = re.sub(r"(?<!\\)\$(\d+)", lambda found: names.get(found[1], ""), text)
    return re.sub(r"\\([$}\\,|])", r"\1", text)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda each: each.label)
def test_a_declaration_with_its_defaults_parses(snippet: Snippet) -> None:
    text = filled(snippet.body)
    assert "$" not in text.replace("${exp_dir}", "")
    file, wrong = parse(Source("recipe.esp", text))
    assert not wrong and len(file.declarations) == 1


def test_what_is_proposed_parses_where_it_stands() -> None:
    for place in (
        "training { | }",
        "inference { dataset { | } }",
        "training { trainer { | } }",
        "parallel a = slurm(|)",
    ):
        before, after = place.split("|")
        for each in asked(place).proposals:
            text = filled(each.snippet or each.text).replace("= \n", "= 1\n")
            value = " 1" if text.rstrip().endswith("=") else ""
            _, wrong = parse(Source("recipe.esp", before + text + value + after))
            assert not wrong, (place, each)


# -- every place ------------------------------------------------------------------------------------------------------------


def test_every_place_has_an_answer() -> None:
    """Also where a piece is missing; and what is replaced is a piece of the line around the place."""
    chance = random.Random(11)
    texts = [RECIPE, HEAD.replace("\n", "\r\n"), HEAD.replace("digits", "žluť🎉")]
    for text in texts:
        start = chance.randrange(len(text))
        for broken in (text, text[:start] + text[start + chance.randrange(80) :]):
            view = seen(broken, WORLD)
            for place in range(chance.randrange(7), len(broken) + 1, 7):
                found = complete(view, place)
                assert found.start <= place <= found.end
                assert "\n" not in broken[found.start : found.end]
    assert complete(seen("", WORLD), 0).proposals
    assert complete(seen("let", WORLD), 99).start <= 99


def test_letters_are_looked_for_in_their_order() -> None:
    assert fits("mxep", "max_epochs") and fits("", "x") and fits("ADAM", "torch.optim.AdamW")
    assert fits("ep", "max_epochs") and fits("W", "AdamW") and fits("lo", "valid/loss") and fits("_p", "_private")
    assert not fits("xm", "max") and not fits("ax", "max")


def test_what_begins_with_the_word_comes_first() -> None:
    assert "max_epochs" in labels(instead("max_epochs = 3", "ep|"))
    found = labels(instead("max_epochs = 3", "lo|"))
    assert found[:3] == ["logger", "log_interval", "log_every_n_steps"]
