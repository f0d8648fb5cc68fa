"""Weights of an earlier training in a model that is about to be trained again: all of them, a backbone, all but a head.

Both functions here stand around a model in a config and give back the model that they were given:

```yaml
model:
  _target_: espnet3.components.modeling.pretrained.load_pretrained
  model: {_target_: src.model.MyModel, hidden_size: 256}
  checkpoint: exp/base/last.ckpt
  only: [encoder]
```

Parts are named as the model names them: `encoder` is the weight of that name or all weights whose names begin with
`encoder.`. A weight that the model knows by several names (an embedding that is also the output layer's matrix) is one
weight: it is chosen by any of its names, left out by any of them, and found under any of them.

A file is read with `weights_only`, so that nothing in it is run.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from multiprocessing import parent_process
from typing import Any, TypeVar

import torch
from lightning_utilities.core.rank_zero import rank_zero_only
from torch.nn.parameter import is_lazy

from esp3rt.progress import console_line
from espnet3.components.modeling.tied_weights import names_of_each
from espnet3.components.modeling.weight_files import is_extra_state, read_state
from espnet3.utils.errors import ConfigError, did_you_mean
from espnet3.utils.pretrained_weights import are_wanted

_LOG = logging.getLogger(__name__)
_SHOWN = 6
_SHAPES_SHOWN = 3
_LOADED_MARK = "is_pretrained"

M = TypeVar("M", bound=torch.nn.Module)


def load_pretrained(
    model: M,
    checkpoint: str,
    only: Sequence[str] | None = None,
    skip: Sequence[str] | None = None,
    rename: Mapping[str, str] | Sequence[Sequence[str]] | None = None,
    strict: bool = True,
) -> M:
    """Put weights of a checkpoint into a model, in place, and say which.

    A training that is taken up does not read the checkpoint again: its weights are those of its own `last.ckpt`.

    Args:
        model: The model as it was made.
        checkpoint: A checkpoint of a training, an average (`.pth`), a state dict, or a `.safetensors` file.
        only: The parts that are loaded; all when absent.
        skip: The parts that stay as they were made: a new head.
        rename: What parts of the checkpoint are called in the model, as a mapping or as pairs. "" is the whole: `["",
            "model"]` puts all weights under `model`, `["module", ""]` takes `module.` away.
        strict: Whether every asked weight must be in the checkpoint in its shape, and every weight of the checkpoint
            (of the parts that are asked for) in the model. Without it, what does not fit stays as it was made.

    Returns:
        `model`.

    Raises:
        ConfigError: The file is not there or may not be read, a part is named that the model or the checkpoint does
            not have, nothing fits, or, strictly, not everything does.
    """
    if not are_wanted():
        return model
    own = model.state_dict(keep_vars=True)
    chosen = _Parts(own, "the model", only, skip)
    found = _renamed(read_state(checkpoint), rename)
    fit = _Fit()
    for names in names_of_each(own):
        _put(names, own[names[0]], found, chosen, fit)
    fit.unexpected = [name for name in found if name not in own and chosen.have([name])]
    if not fit.loaded:
        raise ConfigError(f"`checkpoint` {checkpoint} has nothing for {_name(model)}: {_why_nothing(own, found, fit)}")
    if strict and fit.faults:
        raise ConfigError(
            f"`checkpoint` {checkpoint} does not fit {_name(model)}: {'; '.join(fit.faults)}{_renaming(own, found, fit)}. "
            "Name the parts to load in only or those to leave in skip, or set strict to false to load what fits"
        )
    model.load_state_dict(fit.values, strict=False)
    for name in fit.loaded:
        if isinstance(own[name], torch.Tensor):
            setattr(own[name], _LOADED_MARK, True)
    numbers = sum(value.numel() for value in fit.values.values() if isinstance(value, torch.Tensor))
    _say(
        f"pretrained: {len(fit.loaded)} of {len(own)} weights of {_name(model)} ({numbers:,} numbers) from {checkpoint}"
    )
    for text in fit.report:
        _say(f"pretrained: {text}")
    return model


def freeze(model: M, only: Sequence[str] | None = None, skip: Sequence[str] | None = None) -> M:
    """Take parameters out of the training, in place, and say which: no optimizer gets them.

    The modules still follow the model's training mode: dropout drops, and batch normalization keeps counting.

    Args:
        model: The model.
        only: The parts that are frozen; all when absent.
        skip: The parts that stay trainable.

    Returns:
        `model`.

    Raises:
        ConfigError: A part is named that the model does not have, or no parameter is left to be frozen.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    chosen = _Parts(parameters, "the model", only, skip)
    groups = names_of_each(parameters)
    taken = [names for names in groups if chosen.have(names)]
    frozen = [names[0] for names in taken]
    if not frozen:
        raise ConfigError(f"`skip` takes out all that only names, so nothing of {_name(model)} is frozen")
    for names in taken:
        for name in names:
            parameters[name].requires_grad_(False)
    left = [names[0] for names in groups if parameters[names[0]].requires_grad]
    _say(
        f"frozen: {len(frozen)} of {len(groups)} parameters of {_name(model)} ({_grouped(frozen)}); "
        f"trained: {_grouped(left) or 'none'}"
    )
    return model


def was_loaded(parameter: torch.Tensor) -> bool:
    """Whether `load_pretrained` has put a checkpoint's weights into a parameter."""
    return bool(getattr(parameter, _LOADED_MARK, False))


@dataclass
class _Fit:
    """The names of a model's weights and of a checkpoint's, by what becomes of them."""

    values: dict[str, Any] = field(default_factory=dict)
    loaded: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    reshaped: dict[str, str] = field(default_factory=dict)
    # Of weights with several names: what one name has led to for the others, and where the checkpoint has several values.
    along: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """What a strict loading refuses, in words."""
        shapes = list(self.reshaped.values())
        more = f" and {len(shapes) - _SHAPES_SHOWN} more" if len(shapes) > _SHAPES_SHOWN else ""
        parts = (
            (self.missing, f"{len(self.missing)} not in it ({_grouped(self.missing)})"),
            (self.unexpected, f"{len(self.unexpected)} unknown to the model ({_grouped(self.unexpected)})"),
            (
                self.torn,
                f"{len(self.torn)} that the model has once and the checkpoint several times, with other numbers "
                f"({', '.join(self.torn[:_SHAPES_SHOWN])})",
            ),
            (shapes, f"{len(shapes)} of another shape ({', '.join(shapes[:_SHAPES_SHOWN])}{more})"),
        )
        return [text for names, text in parts if names]

    @property
    def report(self) -> list[str]:
        """What is said of a loading behind its first line."""
        left = [f"{len(self.left)} left as made, not asked for ({_grouped(self.left)})"] if self.left else []
        along = [f"skip leaves out what is one weight: {', '.join(self.along)}"] if self.along else []
        return [f"loaded {_grouped(self.loaded)}", *left, *along, *self.faults]


class _Parts:
    """Which names `only` and `skip` choose."""

    def __init__(
        self, names: Iterable[str], whose: str, only: Sequence[str] | None, skip: Sequence[str] | None
    ) -> None:
        self._only = None if only is None else _listed("only", only)
        self._skip = [] if skip is None else _listed("skip", skip)
        known = list(names)
        for key, parts in (("only", self._only or ()), ("skip", self._skip)):
            for part in parts:
                if not any(_is_in(name, part) for name in known):
                    raise ConfigError(_no_part(f"`{key}` names {part!r}", part, whose, known))

    def have(self, names: Iterable[str]) -> bool:
        """Whether a weight with these names is chosen."""
        names = list(names)
        return any(map(self.asks, names)) and not any(map(self.skips, names))

    def asks(self, name: str) -> bool:
        """Whether `only` has a name."""
        return self._only is None or any(_is_in(name, part) for part in self._only)

    def skips(self, name: str) -> bool:
        """Whether `skip` has a name."""
        return any(_is_in(name, part) for part in self._skip)


def _put(names: list[str], own: Any, found: Mapping[str, Any], chosen: _Parts, fit: _Fit) -> None:
    """Put the names of one weight where they belong, and with them the value that it gets."""
    if not chosen.have(names):
        fit.left.extend(names)
        if any(map(chosen.skips, names)) and not all(map(chosen.skips, names)):
            fit.along.append(" = ".join(names))
        return
    there = [name for name in names if name in found and chosen.asks(name)]
    if not there:
        fit.missing.extend(names)
    elif is_extra_state(names[0]):
        fit.loaded.extend(names)
        fit.values[names[0]] = found[names[0]]
    elif wrong := [name for name in there if not is_lazy(own) and own.shape != found[name].shape]:
        fit.reshaped.update({name: f"{name} {_shape(found[name])} → {_shape(own)}" for name in wrong})
    elif not all(_same(found[there[0]], found[name], own.dtype) for name in there[1:]):
        fit.torn.append(" = ".join(there))
    else:
        fit.loaded.extend(names)
        fit.values[names[0]] = found[there[0]]


def _same(one: torch.Tensor, other: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether a weight of a type gets the same numbers of both."""
    return torch.equal(*(torch.nan_to_num(each.to(dtype)) for each in (one, other)))


def _listed(key: str, parts: Sequence[str]) -> list[str]:
    if isinstance(parts, str):
        raise ConfigError(f"`{key}` is a list of parts: write [{parts!r}]")
    listed = [str(part).rstrip(".") for part in parts]
    if not all(listed) or not listed:
        raise ConfigError(f"`{key}` is empty, which chooses nothing; leave it out, or name a part of the model")
    return listed


def _renamed(weights: dict[str, Any], rename: Mapping[str, str] | Sequence[Sequence[str]] | None) -> dict[str, Any]:
    """The weights under their names in the model; of several beginnings that fit a name, the longest counts."""
    if not rename:
        return weights
    pairs = list(rename.items()) if isinstance(rename, Mapping) or hasattr(rename, "items") else list(rename)
    if not all(len(pair) == 2 and not isinstance(pair, str) for pair in pairs):
        raise ConfigError('`rename` takes pairs of names, such as [["enc", "encoder"]]: first the checkpoint\'s')
    names = {str(old).rstrip("."): str(new).rstrip(".") for old, new in pairs}
    for part in names:
        if part and not any(_is_in(name, part) for name in weights):
            raise ConfigError(_no_part(f"`rename` names {part!r}", part, "the checkpoint", list(weights)))
    renamed: dict[str, Any] = {}
    for name, value in weights.items():
        fitting = [part for part in names if not part or _is_in(name, part)]
        old = max(fitting, key=len, default=None)
        new = name if old is None else _moved(name, old, names[old])
        if new in renamed:
            raise ConfigError(f"`rename` makes two weights of the checkpoint {new!r}")
        renamed[new] = value
    return renamed


def _moved(name: str, old: str, new: str) -> str:
    """A name below `old`, below `new` instead; "" is the whole."""
    return ".".join(filter(None, (new, name[len(old) :].lstrip("."))))


def _is_in(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")


def _no_part(what: str, part: str, whose: str, names: list[str]) -> str:
    parts = list(dict.fromkeys(beginning for name in names for beginning in _beginnings(name)))
    near = get_close_matches(part, parts, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else did_you_mean(part, [each for each in parts if "." not in each])
    return f"{what}, which is no part of {whose}{hint}; it has {_grouped(names)}"


def _beginnings(name: str) -> Iterator[str]:
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        yield ".".join(parts[:length])


def _why_nothing(own: Mapping[str, Any], found: Mapping[str, Any], fit: _Fit) -> str:
    if fit.reshaped:
        return "; ".join(fit.faults)
    asked = fit.missing or list(own)
    return f"it has {_grouped(list(found))}, the model {_grouped(asked)}{_renaming(own, found, fit)}"


def _renaming(own: Mapping[str, Any], found: Mapping[str, Any], fit: _Fit) -> str:
    """A `rename` with which more would fit, where one is near."""
    missing = set(fit.missing)
    if not missing or not fit.unexpected:
        return ""
    best: tuple[int, str, str] | None = None
    for old, new in _candidates(fit.unexpected, fit.missing):
        hits = sum(_moved(name, old, new) in missing for name in fit.unexpected if not old or _is_in(name, old))
        if hits and (best is None or hits > best[0]):
            best = (hits, old, new)
    return f'; rename = [["{best[1]}", "{best[2]}"]] would make {best[0]} of them fit' if best else ""


def _candidates(unexpected: list[str], missing: list[str]) -> Iterator[tuple[str, str]]:
    olds = ["", *dict.fromkeys(name.split(".")[0] for name in unexpected)]
    news = ["", *dict.fromkeys(name.split(".")[0] for name in missing)]
    for old in olds:
        for new in news:
            if old != new:
                yield old, new


def _grouped(names: Iterable[str]) -> str:
    """Names by the parts that they belong to: `encoder (12), head (2)`."""
    groups = Counter(name.split(".")[0] for name in names)
    shown = [f"{group} ({count})" for group, count in groups.items()]
    more = [f"and {len(shown) - _SHOWN} more"] if len(shown) > _SHOWN else []
    return ", ".join(shown[:_SHOWN] + more)


def _shape(value: torch.Tensor) -> str:
    return str(list(value.shape))


def _name(model: torch.nn.Module) -> str:
    return type(model).__qualname__


def _say(text: str) -> None:
    _LOG.info(text)
    # Processes that train together, and the workers of a stage, all build the same model.
    if getattr(rank_zero_only, "rank", None) in (None, 0) and parent_process() is None:
        console_line(text)
