"""The text of a Python module in which everything says what it takes, for fixtures about calls."""

SIZED = """\
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Literal, Sequence, TypedDict
from lightning.pytorch.callbacks.callback import Callback
from torch.nn import Module
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import Optimizer
from torch.utils.data.dataset import Dataset

HIDDEN = 192
SPLITS = {"train": 1, "valid": 2}


class Plain: ...


class Model(Module):
    def __init__(
        self,
        hidden_size: int,
        mode: Literal["linear", "bilinear"] = "linear",
        sizes: Sequence[int] = (),
        rate: float = 0.1,
        layers=2,
        name="ctc",
        bias=True,
        sample_rate: int = 16000,
    ): ...

    def forward(self, speech): ...


class Headless(Module): ...


class Descent(Optimizer):
    def __init__(self, params, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999)): ...


class Steps(LRScheduler):
    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1): ...


class When(TypedDict):
    at: int


class Stop(Callback):
    def __init__(self, patience: int = 3, path: str | Path | None = None, when: list[When] = ()): ...


class Digits(Dataset):
    def __init__(self, split: str):
        if split not in SPLITS:
            raise ValueError(split)

    def __len__(self): ...
    def __getitem__(self, index): ...


class Unfinished(ABC):
    @abstractmethod
    def score(self, data): ...
    def __call__(self, data, test_name, output_dir): ...


class HalfABuilder:
    def is_source_prepared(self, **kwargs): ...
    def prepare_source(self, **kwargs): ...
    def is_build(self, **kwargs): ...
    def build(self, **kwargs): ...


class Builder:
    def is_source_prepared(self, utterances, recipe_dir="."): ...
    def prepare_source(self, **kwargs): ...
    def is_built(self, utterances: int, recipe_dir="."): ...
    def build(self, utterances, recipe_dir="."): ...


def load(split): ...
def collate(items, pad): ...
def export_one(config): ...
def export_two(training_config, export_config): ...
"""
