"""Recipes with the mistakes written on their lines, and the Python world that they stand in.

A bad fixture says what is wrong where it is wrong:

    seed = true  ### ESP0302 "takes an int"

Several expectations may stand on one line; `ESP0104@-1` means the line before, for lines on which a comment cannot stand.
The quoted text is a part of the message.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from esp3c.diagnostics import Diagnostic
from esp3c.pipeline import Result, compile
from esp3c.source import Source
from esp3c.world import MemoryWorld
from support.flow_modules import FLOW
from support.provider_modules import PROVIDERS
from support.refusing import REFUSING
from support.sized import SIZED

FIXTURES = Path(__file__).parent.parent / "fixtures"

_CLASS = "class {0}:\n    def __init__(self, **kwargs): ...\n"
_CALLED = _CLASS + "    def __call__(self, *args, **kwargs): ...\n"

MODULES = {
    "espnet3.systems.base.system": "class BaseSystem:\n    def train(self): ...\n",
    "espnet3.systems.asr.system": "from espnet3.systems.base.system import BaseSystem\nclass ASRSystem(BaseSystem): ...\n",
    "espnet3.systems.tts.system": "from espnet3.systems.base.system import BaseSystem\nclass TTSSystem(BaseSystem): ...\n",
    "espnet3.systems.tts.gan_model": "from torch.nn import Module\nclass AbsGANModel(Module): ...\n",
    "espnet3.systems.asr.metrics.wer": _CALLED.format("WER"),
    "espnet3.systems.asr.metrics.cer": _CALLED.format("CER"),
    "espnet3.components.data.collate": _CALLED.format("CommonCollateFn"),
    "espnet3.components.modeling.pretrained": (
        "import torch\nfrom typing import TypeVar\nM = TypeVar('M', bound=torch.nn.Module)\n"
        "def load_pretrained(model: M, checkpoint: str, only=None, skip=None, rename=None, strict: bool = True) -> M: ...\n"
        "def freeze(model: M, only=None, skip=None) -> M: ...\n"
    ),
    "espnet3.components.data.data_organizer": _CLASS.format("DataOrganizer"),
    "espnet2.tasks.asr": (
        "class ASRTask:\n    @classmethod\n    def get_default_config(cls): ...\n"
        "    @classmethod\n    def build_model(cls, args): ...\n"
    ),
    "espnet2.train.collate_fn": _CALLED.format("CommonCollateFn"),
    "espnet2.train.preprocessor": _CALLED.format("CommonPreprocessor"),
    "espnet3.systems.asr.transducer_task": (
        "from espnet2.tasks.asr import ASRTask as Base\nclass ASRTransducerTask(Base): ...\n"
    ),
    "torch.nn": "from .modules import *\n",
    "torch.nn.modules": (
        "from .module import Module\nclass ReLU(Module): ...\n"
        "class LayerNorm(Module):\n    def __init__(self, **kwargs): ...\n"
    ),
    "torch.nn.modules.module": "class Module: ...\n",
    "torch.optim": "from torch.optim.adamw import AdamW as AdamW\n",
    "torch.optim.adamw": (
        "from .optimizer import Optimizer\nclass AdamW(Optimizer):\n    def __init__(self, params, lr=1e-3, **kwargs): ...\n"
    ),
    "torch.optim.optimizer": "class Optimizer: ...\n",
    "torch.optim.lr_scheduler": (
        "class LRScheduler: ...\n"
        "class ReduceLROnPlateau(LRScheduler):\n    def __init__(self, optimizer, mode='min', patience=10): ...\n"
        "class OneCycleLR(LRScheduler):\n    def __init__(self, optimizer, max_lr=0.1, **kwargs): ...\n"
    ),
    "torch.utils.data.dataset": "class Dataset: ...\nclass IterableDataset(Dataset): ...\n",
    "lightning.pytorch.callbacks.callback": "class Callback: ...\n",
    "lightning.pytorch.strategies": (
        "from lightning.pytorch.strategies.strategy import Strategy\nclass FSDPStrategy(Strategy): ...\n"
    ),
    "lightning.pytorch.strategies.strategy": "class Strategy: ...\n",
    "src.callbacks": "from lightning.pytorch.callbacks.callback import Callback\nclass Own(Callback): ...\n",
    "src.model": (
        "from torch.nn import Module\nclass CTCRecognizer(Module):\n    def __init__(self, **kwargs): ...\n"
        "    def forward(self, **batch): ...\n"
    ),
    "src.text": _CALLED.format("CharTokens"),
    "src.transforms": _CALLED.format("RandomGain"),
    "src.inference": _CALLED.format("Recognizer") + "def build_output(data, model_output, idx): ...\n",
    "src.stages": "def export_onnx(*configs): ...\n",
    "src.label": _CLASS.format("Runner") + _CLASS.format("Provider"),
    "src.plain": _CLASS.format("NotASystem"),
    "src.system": (
        "from espnet3.systems.asr.system import ASRSystem\n"
        "class DigitsSystem(ASRSystem):\n    def prepare_alignment(self): ...\n"
    ),
    "dataset.dataset": (
        _CLASS.format("SpokenDigits") + "    def __len__(self): ...\n    def __getitem__(self, index): ...\n"
    ),
    "dataset.builder": "class SpokenDigitsBuilder:\n"
    + "".join(
        f"    def {name}(self, **kwargs): ...\n"
        for name in ("is_source_prepared", "prepare_source", "is_built", "build")
    ),
    "mini_an4/asr": _CLASS.format("Dataset")
    + "class DatasetBuilder:\n"
    + "".join(
        f"    def {name}(self, **kwargs): ...\n"
        for name in ("is_source_prepared", "prepare_source", "is_built", "build")
    ),
    "digits_of/asr": "from src.sized import Builder as DatasetBuilder\nfrom src.sized import load as Dataset\n",
    "bare/asr": _CLASS.format("Dataset"),
    "empty/asr": "SPLITS = ('train',)\n",
    "operator": "class itemgetter: ...\n",
    "os": "def system(command): ...\ndef popen(cmd): ...\n",
    "subprocess": "def run(*popenargs, **kwargs): ...\n",
    "shutil": "def rmtree(path): ...\n",
    "builtins": "def open(file, mode='r'): ...\n",
    "pickle": "def loads(data): ...\n",
    "pickle_tools": "import pickle\nread = pickle.loads\n",
    "hydra.utils": "def get_method(path): ...\n",
    "numpy": "def load(file, allow_pickle=False): ...\n",
    "hub_models": "def load(name, **kwargs): ...\n",
    "elsewhere": "from nowhere.at_all import *\n",
    "src.sized": SIZED,
    "src.systems": (
        "from espnet3.systems.asr.system import ASRSystem\nclass Own(ASRSystem):\n"
        "    def average_weights(self, count): ...\n    def prepare_list(self, size=3): ...\n"
        "from not_installed import Base\nclass Far(Base): ...\n"
    ),
    "src.layers": "class Encoder: ...\n",
    "src.torn": (
        "from typing import TYPE_CHECKING\nfrom torch.nn import Module\nfrom src.layers import Encodr\n"
        "try:\n    from src.layers import Fast\nexcept ImportError:\n    Fast = None\n"
        "if TYPE_CHECKING:\n    from src.layers import Only\nimport not_installed\nfrom src.layrs import Other\n"
        "class Model(Module):\n    def __init__(self, size): ...\n    def forward(self, x): ...\n"
    ),
    "src.twice": "from torch.nn import Module\nclass Model(Module):\n    def forward(self, x, x): ...\n",
    "src.unbound": "def use(data, model_output):\n    return model_out\n",
    "src.oddly": (
        "from espnet3.systems.asr.system import ASRSystem\nclass Own(ASRSystem):\n"
        "    @property\n    def prepare_one(self): ...\n    @staticmethod\n    def prepare_two(self): ...\n"
        "    async def prepare_three(self): ...\n"
    ),
    "src.reading": (
        "def write_model(training_config, config):\n"
        "    path = config.path\n    size = config.get('size', 3)\n    tag = training_config.exp_tag\n"
        "    if 'dtype' in config:\n        kind = config.dtype\n"
        "    shape = config.input\n    return config.opset, shape.bands, shape['frames']\n"
    ),
    "src.unfinished": "class Model:\n    def __init__(self, size\n",
    "src.shell": "from os import system as run\n",
}

MODULES.update(FLOW)
MODULES.update(PROVIDERS)
MODULES.update(REFUSING)

# What the texts above call without saying where it is from, is from a package that nobody can read.
for _module, _name in (
    ("flow.data", "load"), ("flow.steps", "pad"), ("espnet3.systems.base.inference_runner", "join"),
    ("espnet3.systems.base.inference_provider", "instantiate"), ("work.providers", "load, build"),
    ("work.building", "load, build"), ("work.results", "build"),
):  # fmt: skip
    MODULES[_module] += f"\nfrom not_installed import {_name}\n"

WORLD = MemoryWorld(MODULES, files=("README.md", "data/lm/words.txt", "tools/any.py"))

_EXPECTED = re.compile(r'### (?P<code>ESP\d{4})(?:@(?P<offset>-?\d+))? "(?P<part>(?:[^"\\]|\\.)*)"')


def compile_text(text: str, path: str = "recipe.esp") -> Result:
    """Checks a text in the fixtures' world."""
    return compile(Source(path, text), WORLD)


def check_text(text: str) -> list[Diagnostic]:
    return list(compile_text(text).diagnostics)


def bad_fixtures() -> list[Path]:
    return sorted((FIXTURES / "bad").rglob("*.esp"))


def ok_fixtures() -> list[Path]:
    return sorted((FIXTURES / "ok").rglob("*.esp"))


def expectations(text: str) -> list[tuple[int, str, str]]:
    """What the comments of a fixture expect: line, code, part of the message."""
    found: list[tuple[int, str, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        for match in re.finditer(r"###.*", line):
            for each in re.finditer(_EXPECTED.pattern.replace("### ", "(?:### )"), match.group()):
                found.append((number + int(each["offset"] or 0), each["code"], each["part"]))
    return found


def matches_snapshot(path: Path, text: str) -> bool:
    """Whether a snapshot is as it was. With `UPDATE_SNAPSHOTS=1` it is written instead."""
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        path.write_text(text, encoding="utf-8")
        return True
    return path.is_file() and path.read_text(encoding="utf-8") == text
