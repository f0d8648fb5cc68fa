"""Items made from what a recipe's `sample` declares: the right names, types and dimensions, and no data.

A dimension with a name gets a size that is made up, the same in all fields of an item. Along the first axis of a field it
differs between items, as the lengths of real items do, and the first item is the longest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

# Sizes that hardly stand in a recipe, so that a made-up size does not fit a model by chance. What fails with the first
# is tried with the next.
_SIZES = {
    "wave": (15_973, 50_021, 80_051),
    "frames": (101, 307, 1_543),
    "tokens": (11, 23, 37),
    "constant": (3, 7, 11),
}
_SHORTER = 0.71


@dataclass(frozen=True)
class Field:
    """A field of a `sample`: `dims` are names and numbers; empty for a plain value."""

    name: str
    dtype: str
    dims: tuple[str | int, ...] = ()
    optional: bool = False

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Field:
        """A field as a request has it."""
        return cls(data["name"], data["dtype"], tuple(data["dims"]), bool(data["optional"]))


@dataclass(frozen=True)
class Making:
    """How items are made.

    Attributes:
        scale: Which of the made-up sizes are taken: 0, 1 or 2, from small to large.
        equal: All items have the same sizes.
        tensors: Fields hold tensors and not arrays.
        optional: Fields that may be absent are there.
        text: What text fields are cut from.
        sizes: Sizes of dimensions by name, where they are not made up.
    """

    scale: int = 0
    equal: bool = False
    tensors: bool = False
    optional: bool = True
    text: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)


def sample_items(samples: Sequence[Any], first: int, making: Mapping[str, Any]) -> SampleItems:
    """A dataset of made-up items from plain data, as a config holds it."""
    plain = {str(key): value for key, value in making.items()}
    plain["text"], plain["sizes"] = tuple(plain["text"]), dict(plain["sizes"])
    return SampleItems([[Field.of(each) for each in fields] for fields in samples], Making(**plain), first)


class Unmakeable(ValueError):
    """A field has a type of which nothing can be made. The message is the reason."""


class SampleItems:
    """A dataset of made-up items: one for each of `samples`, in order.

    Args:
        samples: The fields of each item.
        making: How they are made.
        first: The number of the first of them in its batch.

    Raises:
        Unmakeable: A field has a type that is not known.
    """

    def __init__(self, samples: Sequence[Sequence[Field]], making: Making, first: int = 0) -> None:
        self._samples = [[each for each in fields if making.optional or not each.optional] for fields in samples]
        self._making = making
        self._first = first
        for fields in self._samples:
            for each in fields:
                _dtype(each)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self._samples):
            raise IndexError(index)
        fields = self._samples[index]
        place = self._first + index
        sizes = dimensions(fields, self._making, place)
        return {each.name: self._value(each, sizes, place) for each in fields}

    def _value(self, each: Field, sizes: Mapping[str, int], index: int) -> Any:
        if each.dtype == "str":
            return self._text(each.name, index)
        if not each.dims and each.dtype in ("int", "float", "bool"):
            return {"int": 1, "float": 1.0, "bool": True}[each.dtype]
        shape = [sizes[dim] if isinstance(dim, str) else dim for dim in each.dims]
        dtype = _dtype(each)
        random = np.random.default_rng([index, len(each.name)])
        made = random.standard_normal(shape) * 0.1 if dtype.is_floating_point or dtype.is_complex else np.ones(shape)
        tensor = torch.as_tensor(made).to(dtype)
        # numpy has no bfloat16.
        return tensor if self._making.tensors or dtype is torch.bfloat16 else tensor.numpy()

    def _text(self, name: str, index: int) -> str:
        if name in ("utt_id", "uid", "key", "id") or name.endswith("_id"):
            return f"item{index}"
        parts = self._making.text
        return "".join(parts if self._making.equal or len(parts) < 3 else parts[: len(parts) - index])


def dimensions(fields: Sequence[Field], making: Making, index: int) -> dict[str, int]:
    """The sizes of the dimensions that have names, in item number `index`."""
    found: dict[str, int] = {}
    for name in names_of(fields):
        uses = [(place, each) for each in fields for place, dim in enumerate(each.dims) if dim == name]
        first = any(place == 0 for place, _ in uses)
        flat = all(len(each.dims) == 1 for _, each in uses)
        measured = any(each.dtype.startswith(("float", "bfloat", "complex")) for _, each in uses)
        wave = flat and (measured or all(each.dtype in ("int16", "uint8") for _, each in uses))
        kind = "wave" if wave else "constant" if not first else "tokens" if flat else "frames"
        size = _SIZES[kind][making.scale]
        found[name] = making.sizes.get(name, size if making.equal or not first or not index else _shorter(size, index))
    return found


def names_of(fields: Sequence[Field]) -> list[str]:
    """The names of dimensions, in their order."""
    return list(dict.fromkeys(dim for each in fields for dim in each.dims if isinstance(dim, str)))


def texts_for(settings: Any) -> Iterator[tuple[str, ...]]:
    """Texts in pieces that a preprocessor with these settings may take: those that it lists, and then plain words."""
    for listed in _listed(settings):
        yield tuple(listed[place % len(listed)] for place in range(1, 12))
    for plain in ("hello world again", "HELLO WORLD AGAIN", "0 1 2 3 4 5 6 7", "aaaa"):
        yield tuple(plain)
    yield ()


def _listed(settings: Any) -> Iterator[list[str]]:
    """Vocabularies among settings: a text with each character once, words, or a list of symbols."""
    if isinstance(settings, str):
        characters, words = settings.strip(), settings.split()
        if len(words) > 1 and max(map(len, words)) > 1:
            yield [f"{word} " for word in words]
        elif len(characters) > 1 and len(set(settings)) == len(settings):
            yield list(characters)
    elif isinstance(settings, Mapping):
        for key, value in settings.items():
            if not str(key).startswith("_"):
                yield from _listed(value)
    elif isinstance(settings, list | tuple) and settings and all(isinstance(each, str) for each in settings):
        plain = [each for each in settings if each.isalnum()]
        if plain:
            yield plain if max(map(len, plain)) == 1 else [f"{each} " for each in plain]


def _shorter(size: int, index: int) -> int:
    return max(1, int(size * _SHORTER**index))


def _dtype(each: Field) -> torch.dtype:
    names = {"int": "int64", "float": "float32", "bool": "bool", "str": "uint8"}
    found = getattr(torch, names.get(each.dtype, each.dtype), None)
    if each.dtype == "str" and each.dims:
        raise Unmakeable(f"`{each.name}` is an array of texts")
    if not isinstance(found, torch.dtype):
        raise Unmakeable(f"`{each.name}` has the type `{each.dtype}`, of which nothing can be made")
    return found
