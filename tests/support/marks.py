"""Recipes with marks in them: `|` is a place that a test asks about."""

from __future__ import annotations

from esp3c.query.view import View, view
from esp3c.source import Source, Span
from esp3c.world import MemoryWorld, World

PYTHON = {
    "src": '"""The recipe\'s own Python."""\n',
    "src.model": (
        "from src.layers import Reader as Model\nfrom torch.nn import Module\n\n\n"
        "class Recognizer(Module):\n"
        '    """Reads digits.\n\n    Args:\n        n_mels: how many bands.\n        hidden_size: the width.\n    """\n\n'
        "    def __init__(self, n_mels: int = 80, hidden_size: int = 192, *, layers: 'Layers | None' = None) -> None:\n"
        "        self.n_mels = n_mels\n\n\n"
        "class Layers: ...\n"
    ),
    "src.layers": "class Reader:\n    def __init__(self, width): ...\n",
    "src.text": 'def clean(text: str, lower=True) -> str:\n    """Makes a text plain."""\n',
    "src.stages": (
        'def export_onnx(training, export):\n    """Writes the model."""\n'
        "def average(training):\n    return training.average_weights.count\n"
    ),
    "src.system": (
        "from espnet3.systems.base.system import BaseSystem\nclass Own(BaseSystem):\n"
        '    def prepare_list(self):\n        """Prepares."""\n        return self.lists_config.path\n'
    ),
    "src.work": "class Runner:\n    def __init__(self, beam=1): ...\nclass Provider: ...\n",
    "dataset.dataset": (
        'class Digits:\n    """Spoken digits."""\n\n    def __init__(self, split: str, size: int = 3): ...\n'
        "    def __len__(self): ...\n    def __getitem__(self, index): ...\n"
    ),
    "dataset.builder": (
        "class Builder:\n    def is_source_prepared(self, **kwargs): ...\n    def prepare_source(self, **kwargs): ...\n"
        "    def is_built(self, **kwargs): ...\n    def build(self, recipe_dir, utterances: int = 10, **kwargs): ...\n"
    ),
    "mini_an4/asr": "class Dataset:\n    def __init__(self, split): ...\n",
    "espnet3.systems.base.system": (
        "class BaseSystem:\n"
        + "".join(
            f"    def {name}(self): ...\n" for name in ("create_dataset", "collect_stats", "train", "infer", "measure")
        )
    ),
    "torch.nn": "from torch.nn.modules.module import Module\n",
    "torch.nn.modules.module": "class Module: ...\n",
    "torch.optim": "from torch.optim.adamw import AdamW as AdamW\n",
    "torch.optim.adamw": (
        "class AdamW:\n    def __init__(self, params, lr: float = 1e-3, weight_decay: float = 1e-2): ...\n\n\n"
        'AdamW.__doc__ = (\n    r"""Implements AdamW.\n\n    It is :class:`~torch.optim.Adam` with ``decay``.\n    """\n'
        '    + "more"\n)\n'
    ),
    "torch.optim.lr_scheduler": "class OneCycleLR:\n    def __init__(self, optimizer, max_lr, total_steps=None): ...\n",
    "lightning.pytorch.trainer.trainer": (
        "class Trainer:\n    def __init__(self, *, max_epochs: int | None = None, devices='auto'): ...\n"
    ),
}
WORLD = MemoryWorld(PYTHON, files=("README.md", "data/words.txt"))

RECIPE = """\
let rate  = 16kHz
let sizes = { hidden = 192, heads = 4 }
let size  = sizes.hidden
let words = "${data_dir}/words.txt"

recipe digits {
  system  = espnet3.systems.base.system.BaseSystem
  exp_tag = "ctc"
  seed    = 7
}

dataset spoken {
  class   = dataset.dataset.Digits
  builder = dataset.builder.Builder(utterances = 200)
  sample { utt_id: str  speech: float32[time] }
}

training {
  dataset {
    train = [spoken(split = "train") { transform = src.text.clean }]
    valid = [spoken(split = "valid")]
  }
  model     = src.model.Recognizer(n_mels = 80, hidden_size = size)
  optimizer = torch.optim.AdamW(lr = 4e-3)
  scheduler = torch.optim.lr_scheduler.OneCycleLR(max_lr = optimizer.lr, total_steps = 100)
  trainer { max_epochs = 9  max_time = 90min }
  label_all { beam = 3 }
}

config small extends training {
  trainer.max_epochs = 2
  optimizer { lr = 1e-2 }
  new exp_tag = "small"
}

inference {
  dataset { test { seen = spoken(split = "test") } }
  model     = src.model.Recognizer(n_mels = training.model.n_mels, hidden_size = training.model.hidden_size)
  input_key = "speech"
}

config export { opset = 17  path = "${exp_dir}/model.onnx"  list = words }

parallel gpu = slurm(partition = "gpu", time = 90min, mem = 32GB, n_workers = 2)

stages {
  create_dataset
  train        on gpu
  train_small  requires small  runs train
  infer        on gpu
  label_all    on gpu { runner = src.work.Runner(beam = 4)  provider = src.work.Provider()  over = training.dataset.train }
  export_onnx  requires training, export  runs src.stages.export_onnx
}
"""
"""A recipe with everything that one may want to go to. It has no mistakes but unused names."""


def seen(text: str, world: World = WORLD) -> View:
    return view(Source("recipe.esp", text), world)


def marked(text: str) -> tuple[str, list[int]]:
    """A text without its marks, and where they were."""
    plain, *rest = text.split("|")
    places: list[int] = []
    for part in rest:
        places.append(len(plain))
        plain += part
    return plain, places


def at(text: str, line: str) -> int:
    """The place of the mark in a piece of a text, which stands there once without its mark."""
    piece, (place,) = marked(line)
    assert text.count(piece) == 1, (piece, text.count(piece))
    return text.index(piece) + place


def shown(span: Span) -> str:
    """`src/model.py:5 Recognizer`."""
    line, _ = span.source.position(span.start)
    return f"{span.source.path}:{line} {span.text}".rstrip()
