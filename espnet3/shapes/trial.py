"""One batch of made-up items through a training: items, collate function, model. What is run is what a training runs.

The items pass the transform and the preprocessor of the config, its collate function makes the batch, and the Lightning
module calls the model, all by the code of the stage `train`. Only the datasets themselves are replaced.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf, open_dict
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.nn.utils.rnn import PackedSequence

from espnet3.components.modeling.model_with_data import ModelWithData
from espnet3.shapes.items import Making
from espnet3.shapes.values import Shapes
from espnet3.systems.tts.gan_model import is_gan_model
from espnet3.systems.tts.gan_turns import GANWithData

ITEMS, COLLATE, FORWARD = "items", "collate", "forward"
ITEM_TARGET = "espnet3.shapes.items.sample_items"

Sample = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """How far a batch came.

    Attributes:
        stage: The last stage that was begun.
        trace: What there was after each step, in words.
        error: What ended it; None where nothing did.
        guessed: Where the model read a value that was made up, as (file, line).
    """

    stage: str
    trace: tuple[str, ...]
    error: Exception | None = None
    guessed: tuple[str, int] | None = None

    @property
    def ok(self) -> bool:
        return self.error is None


class Trial:
    """A training config with a model that was built inside `shapes`.

    Args:
        config: The resolved training config; it is not changed.
        model: The model.
        shapes: What it was built in.
        samples: For each entry of `dataset.train` the fields of its items, or None where they are not declared.
    """

    def __init__(self, config: DictConfig, model: Any, shapes: Shapes, samples: Sequence[Sample | None]) -> None:
        self._config = config
        self._model = model
        self._shapes = shapes
        self._samples = samples

    def run(self, making: Making, *, answer: bool = False, until: str = FORWARD) -> Outcome:
        """Take one batch as far as it comes; `answer` is what questions about unknown values are answered with."""
        self._shapes.answer, self._shapes.guessed = answer, None
        trace: list[str] = []
        stage = ITEMS
        try:
            wrap = GANWithData if is_gan_model(self._model) else ModelWithData
            module = wrap(self._model, self._with_items(making))
            dataset: Any = module.organizer.train
            trace.append(f"an item: {described(dataset.datasets[0][0])}")
            done = [dataset[index] for index in range(len(dataset))]
            steps = _steps(dataset)
            if steps:
                trace.append(f"{steps}{described(done[0])}")
            if until == ITEMS:
                return Outcome(stage, tuple(trace))
            stage = COLLATE
            collate = module.collate_fn()
            batch = next(iter(module.train_dataloader()))
            trace.append(f"{_called(collate) if collate else 'default_collate'} → {described(batch)}")
            stage = FORWARD
            name = f"{type(self._model).__qualname__}.forward"
            before = len(trace)
            with _calls(self._model) as calls, self._shapes.running():
                try:
                    result = module.call_model(self._shapes.unknown(batch))
                finally:
                    trace.extend(calls.deepest())
            # All of its modules have ended: what was running is of no interest.
            del trace[before:]
            stats = ", ".join(result.stats)
            trace.append(f"{name} → loss {described(result.total)}" + (f", stats {stats}" if stats != "loss" else ""))
        except Exception as error:  # noqa: BLE001 - the recipe's code may raise anything, and that is what is looked for
            return Outcome(stage, tuple(trace), error, self._shapes.guessed)
        return Outcome(stage, tuple(trace), guessed=self._shapes.guessed)

    def _with_items(self, making: Making) -> DictConfig:
        config = copy.deepcopy(self._config)
        entries = [(entry, sample) for entry, sample in zip(config.dataset.train, self._samples, strict=True) if sample]
        # A batch with one item has no padding; a recipe that always has such batches need not bear any other.
        alone = _batch_size(config) == 1
        each = 1 if alone or len(entries) > 1 else 2
        entries = entries[:1] if alone else entries[:3]
        made = [
            {
                "_target_": ITEM_TARGET,
                "samples": [[dict(field) for field in sample or ()]] * each,
                "first": place,
                "making": {**asdict(making), "text": list(making.text), "sizes": dict(making.sizes)},
                **({"transform": entry.transform} if isinstance(entry, DictConfig) and entry.get("transform") else {}),
            }
            for place, (entry, sample) in enumerate(entries)
        ]
        with open_dict(config):
            config.dataset.train = made
            for key in ("valid", "test"):
                config.dataset.pop(key, None)
            own = _own_collate(config)
            loader = {"batch_size": each * len(made), "num_workers": 0, **({"collate_fn": own} if own else {})}
            OmegaConf.update(config, "dataloader.train", loader, merge=False, force_add=True)
        return config


def described(value: Any) -> str:
    """Fields with types and sizes: `speech float32[2, 16000], text int64[2, 11]`."""
    if isinstance(value, tuple | list) and len(value) == 2 and isinstance(value[1], Mapping):
        value = value[1]
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {described(each)}" for key, each in value.items()) or "nothing"
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, PackedSequence):
        return f"packed {described(value.data)}"
    if isinstance(value, tuple) and value:
        return ", ".join(described(each) for each in value)
    return type(value).__name__


class _Calls:
    """The modules whose `forward` is running, the outermost first."""

    def __init__(self, model: Any) -> None:
        self._names = {id(module): name for name, module in model.named_modules()}
        self._running: list[tuple[Any, str]] = []

    def enter(self, module: Any, args: Any) -> None:
        self._running.append((module, described(args)))

    def leave(self, module: Any, args: Any, result: Any) -> None:
        while self._running and self._running.pop()[0] is not module:
            pass

    def deepest(self) -> list[str]:
        """The innermost module that is running and what it was given; nothing where that is the model itself."""
        if not self._running:
            return []
        module, given = self._running[-1]
        name = self._names.get(id(module), "")
        settings = module.extra_repr() if not list(module.children()) else ""
        return [f"`{name}`, {type(module).__qualname__}({settings}), was given {given}"] if name else []


@contextmanager
def _calls(model: Any) -> Iterator[_Calls]:
    calls = _Calls(model)
    hooks = [register_module_forward_pre_hook(calls.enter), register_module_forward_hook(calls.leave)]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


def _batch_size(config: Any) -> Any:
    loader = (config.get("dataloader") or {}).get("train") or {}
    factory = loader.get("iter_factory")
    if factory:
        return (factory.get("batches") or {}).get("batch_size")
    # A loader that says nothing takes items one by one.
    return loader.get("batch_size") if loader.get("batch_size") or loader.get("batch_bins") else 1


def _own_collate(config: Any) -> Any:
    loader = (config.get("dataloader") or {}).get("train") or {}
    factory = loader.get("iter_factory") or {}
    return factory.get("collate_fn") or loader.get("collate_fn")


def _steps(dataset: Any) -> str:
    names = [_called(each) for each in dataset.transforms[0] if _called(each) != "do_nothing"]
    return "".join(f"{name} → " for name in names)


def _called(function: Any) -> str:
    inner = getattr(function, "func", function)
    return str(getattr(inner, "__qualname__", type(inner).__qualname__))
