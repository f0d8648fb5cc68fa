"""Correct recipes in unusual forms: nothing is said of them."""

from __future__ import annotations

import pytest

from esp3c.pipeline import compile
from esp3c.source import Source
from esp3c.world import MemoryWorld
from support.fixtures import MODULES

_RUNNER = """
import functools
from espnet3.parallel.base_runner import BaseRunner
from espnet3.parallel.env_provider import EnvironmentProvider
from work.model import Labeller

_KEPT = None

@functools.lru_cache(maxsize=1)
def cached():
    return Labeller()

def kept():
    global _KEPT
    _KEPT = _KEPT or Labeller()
    return _KEPT

def more():
    return {"names": {}}

class Provider(EnvironmentProvider):
    def build_env_local(self):
        env = {"dataset": [1]}
        env.update(more())
        return env
    def build_worker_setup_fn(self):
        return self.build_env_local

class Runner(BaseRunner):
    @staticmethod
    def forward(idx, dataset, names):
        return cached()(dataset[idx]), kept()(dataset[idx])
"""

_STAGES = """
import shutil

def average(training_config):
    shutil.copy("last", training_config.average_weights.target)

def export(training_config, config):
    config.made = config.path
    config["again"] = config.made
    return config.made, config["again"], config.path
"""

_METRIC = """
def count(data, test_name, output_dir, squared):
    return {"items": float(len(data))}
"""

_FACTORIES = """
from torch.nn import Module

class Small(Module):
    def __init__(self): ...

class Maker:
    def __new__(cls):
        return Small()

class Zoo: ...

Zoo.assigned = staticmethod(Small)
setattr(Zoo, "named", staticmethod(Small))
"""

_TRAINING = """
training {{
  dataset {{ train = [digits(split = "a")]  valid = [digits(split = "b")] }}
  model     = src.model.CTCRecognizer()
  optimizer = {optimizer}
  trainer   {{ max_epochs = 1  callbacks = [{callbacks}] }}
}}
"""

IDIOMS = {
    "an optimizer that a let holds": (
        "let adam = torch.optim.AdamW(lr = 1e-3)\n" + _TRAINING.format(optimizer="adam", callbacks=""),
        "train",
    ),
    "a let that holds a list of calls": (
        "let watchers = [src.callbacks.Own(), src.callbacks.Own()]\n"
        + _TRAINING.format(optimizer="torch.optim.AdamW()", callbacks="").replace("[]", "watchers"),
        "train",
    ),
    "a checkpoint every so many steps": (
        _TRAINING.format(
            optimizer="torch.optim.AdamW()",
            callbacks='lightning.pytorch.callbacks.ModelCheckpoint(monitor = "step", mode = "max"),'
            'lightning.pytorch.callbacks.ModelCheckpoint(monitor = "epoch", mode = "max")',
        ),
        "train",
    ),
    "a function that sets keys of its config": (
        _TRAINING.format(optimizer="torch.optim.AdamW()", callbacks="") + 'config export { path = "x.onnx" }\n',
        "train  export_onnx requires training, export runs idioms.stages.export",
    ),
    "a class whose `__new__` makes another": (
        _TRAINING.format(optimizer="torch.optim.AdamW()", callbacks="").replace(
            "src.model.CTCRecognizer", "idioms.models.Maker"
        ),
        "train",
    ),
    "members that a class gets behind its body": (
        "let first = idioms.models.Zoo.named()\n"
        + _TRAINING.format(optimizer="torch.optim.AdamW()", callbacks="").replace(
            "src.model.CTCRecognizer()", "idioms.models.Zoo.assigned(first = first)"
        ),
        "train",
    ),
    "a stage of one's own that is told which checkpoint to write": (
        _TRAINING.format(optimizer="torch.optim.AdamW()", callbacks="").replace(
            "  model ", '  average_weights { target = "${exp_dir}/averaged.pth" }\n  model '
        )
        + 'inference {\n  dataset { test { seen = digits(split = "c") } }\n'
        '  model = src.inference.Recognizer(checkpoint = "${exp_dir}/averaged.pth")\n  input_key = "speech"\n}\n',
        "train  average_weights requires training runs idioms.stages.average  infer",
    ),
    "a metric that is a function": (
        'inference {\n  dataset { test { seen = digits(split = "c") } }\n  model = src.inference.Recognizer()\n'
        '  input_key = "speech"\n}\n'
        'metrics { metrics = [{ metric = partial idioms.metric.count(squared = true)  inputs = ["hyp"] }] }\n',
        "infer  measure",
    ),
    "a runner that keeps its model, and an environment from two functions": (
        _TRAINING.format(optimizer="torch.optim.AdamW()", callbacks=""),
        "train  label_items { runner = idioms.work.Runner()  provider = idioms.work.Provider()  "
        "over = training.dataset.valid }",
    ),
}


@pytest.mark.parametrize("name", IDIOMS)
def test_nothing_is_said_of_a_correct_recipe(name: str) -> None:
    body, stages = IDIOMS[name]
    text = (
        'recipe idioms { system = espnet3.systems.asr.system.ASRSystem  exp_tag = "x" }\n'
        f'dataset digits {{ source = "mini_an4/asr" }}\n{body}\nstages {{ {stages} }}\n'
    )
    modules = {
        **MODULES,
        "idioms.work": _RUNNER,
        "idioms.stages": _STAGES,
        "idioms.metric": _METRIC,
        "idioms.models": _FACTORIES,
        "lightning.pytorch.callbacks": "from .callback import Callback\nfrom .model_checkpoint import ModelCheckpoint\n",
        "lightning.pytorch.callbacks.model_checkpoint": (
            "from .callback import Callback\nclass ModelCheckpoint(Callback):\n"
            "    def __init__(self, monitor=None, mode='min'): ...\n"
        ),
    }

    result = compile(Source("recipe.esp", text), MemoryWorld(modules))

    assert [f"{each.code.id} {each.message}" for each in result.diagnostics] == []
