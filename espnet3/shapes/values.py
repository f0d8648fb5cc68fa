"""Runs a model on shapes instead of numbers.

Inside `Shapes` a tensor is either *known* or *unknown*. Unknown are the weights, what is measured (the floating-point
fields of a batch) and all that is computed from them: such a tensor is on torch's meta device, so it has a shape and a
type, costs no memory and no time, and torch itself says whether shapes fit. Known are small tensors of whole numbers
and truth values, and what is computed from them alone: lengths, tokens, masks. They are computed for real, so a model
may read lengths, cut by them and branch on them.

Where a model asks for an unknown value (`loss.item()`, `if mask.any():`), it gets one that is made up, and `guessed`
says where. What goes wrong after that proves nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.nn.parameter import UninitializedParameter
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

_ATEN = torch.ops.aten

# Larger tensors are not computed: they become unknown. In numbers of elements.
_MOST_KNOWN = 1 << 20
# What has no form on the meta device is computed with made-up numbers, if it is not larger than this.
_MOST_MADE_UP = 1 << 24

# These read the lengths and only move the rest, and torch lets the two be on different devices.
_MIXED = {_ATEN._pack_padded_sequence.default, _ATEN._pad_packed_sequence.default}
_FILLED = {
    _ATEN.empty.memory_format, _ATEN.empty_strided.default, _ATEN.full.default, _ATEN.ones.default,
    _ATEN.rand.default, _ATEN.randn.default, _ATEN.zeros.default,
}  # fmt: skip
# The two factors among the arguments.
_PRODUCTS = {
    _ATEN.mm.default: (0, 1), _ATEN.bmm.default: (0, 1), _ATEN.addmm.default: (1, 2), _ATEN.convolution.default: (0, 1),
}  # fmt: skip
_READS = {_ATEN._local_scalar_dense.default, _ATEN.equal.default, _ATEN.is_nonzero.default, _ATEN.allclose.default}


class NotComputable(NotImplementedError):
    """What the model does has no meaning without numbers. The message completes "the model …"."""


class Shapes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Computes shapes. A model that is built inside has unknown weights and needs no memory for them.

    Args:
        answer: What a question about unknown values is answered with.
        strict_types: Products of float32 with another type are refused, as they are without automatic casts.

    Attributes:
        guessed: Where the first value was made up, as (file, line), or None.
    """

    def __init__(self, answer: bool = False, *, strict_types: bool = True) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.answer = answer
        self.strict_types = strict_types
        self.guessed: tuple[str, int] | None = None
        self._forward = False
        # Known tensors into which something unknown was written, by storage. Kept alive, so that no other takes its place.
        self._spoilt: dict[int, torch.Tensor] = {}

    def unknown(self, value: Any) -> Any:
        """A batch whose floating-point tensors are unknown; all else is as it was."""
        return tree_map(lambda each: _meta(each) if _is_measured(each) else each, value)

    @contextmanager
    def building(self) -> Iterator[None]:
        """Computes what a model's constructor does. What it registers is unknown, but for small whole numbers."""
        kept: dict[int, tuple[torch.Tensor, torch.nn.Parameter]] = {}

        def parameter(module: Any, name: str, value: torch.nn.Parameter | None) -> torch.nn.Parameter | None:
            if isinstance(value, UninitializedParameter):
                return UninitializedParameter(value.requires_grad, torch.device("meta"), value.dtype)
            if type(value) is not torch.nn.Parameter or value.is_meta:
                return None
            # One weight under two names stays one weight.
            if id(value) not in kept:
                kept[id(value)] = value, torch.nn.Parameter(_meta(value.data), value.requires_grad)
            return kept[id(value)][1]

        def buffer(module: Any, name: str, value: torch.Tensor | None) -> torch.Tensor | None:
            return _meta(value) if value is not None and _is_measured(value) else None

        # torch's types do not say that a hook may give another tensor.
        for_parameters: Any = parameter
        for_buffers: Any = buffer
        hooks: list[Any] = [
            register_module_parameter_registration_hook(for_parameters),
            register_module_buffer_registration_hook(for_buffers),
        ]
        try:
            with self:
                yield
        finally:
            for hook in hooks:
                hook.remove()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Computes what a model's `forward` does."""
        self._forward = True
        try:
            with self:
                yield
        finally:
            self._forward = False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, options)) if isinstance(leaf, torch.Tensor)]
        if not tensors:
            return self._made(func, args, options)
        if any(self._is_unknown(each) for each in tensors):
            return self._of_unknown(func, args, options)
        if self._forward and _is_meta(options.get("device")) and not any(map(_is_measured, tensors)):
            # Moved to where the weights are: its numbers are still known.
            options["device"] = torch.device("cpu")
        return self._of_known(func, args, options)

    # -- tensors from nothing ---------------------------------------------------------------------------------------------

    def _made(self, func: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if not _makes_on_device(func):
            return func(*args, **options)
        shape = func(*args, **{**options, "device": torch.device("meta")})
        if not isinstance(shape, torch.Tensor):
            return func(*args, **options)
        asked = options.get("device")
        if asked is not None and torch.device(asked).type not in ("cpu", "meta"):
            # torch says what is the matter with this device.
            return func(*args, **options)
        unknown = _is_meta(asked) and not self._forward
        if self._forward and (shape.is_floating_point() or shape.is_complex()):
            # Filled in by the model, most likely, and handed to functions that want all on one device.
            unknown = _is_meta(asked) or func in _FILLED
        if unknown or shape.numel() > _MOST_KNOWN:
            return shape
        return func(*args, **{**options, "device": torch.device("cpu")})

    # -- known tensors ----------------------------------------------------------------------------------------------------

    def _of_known(self, func: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if not _views(func) and _size(args, options) ** 2 > _MOST_KNOWN:
            # Two of them may make something large.
            try:
                large = _size(func(*_map(_meta, args), **_map(_meta, options))) > _MOST_KNOWN
            except NotImplementedError:
                large = False
            if large and not _written(func):
                return self._of_unknown(func, _map(_meta, args), options)
        return func(*args, **options)

    # -- unknown tensors --------------------------------------------------------------------------------------------------

    def _is_unknown(self, tensor: torch.Tensor) -> bool:
        return tensor.is_meta or (bool(self._spoilt) and _storage(tensor) in self._spoilt)

    def _of_unknown(self, func: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if func in _READS:
            return self._value(func, args)
        if func in _MIXED:
            return func(*args, **options)
        if options.get("device") is not None:
            options["device"] = torch.device("meta")
        if func in (_ATEN.index.Tensor, _ATEN.index_put.default, _ATEN.index_put_.default):
            args = (args[0], self._positions(args[1]), *args[2:])
        _check_product(func, args, self.strict_types)
        kept = self._spoil(func, args, options)
        meta_args, meta_options = _map(self._as_meta, args), _map(self._as_meta, options)
        if _counts_values(func):
            made = self._made_up(func, args, options)
        else:
            try:
                made = func(*meta_args, **meta_options)
            except NotImplementedError:
                made = self._made_up(func, args, options)
        return made if kept is None else kept

    def _as_meta(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor if tensor.is_meta else _meta(tensor)

    def _positions(self, indices: Sequence[torch.Tensor | None]) -> list[torch.Tensor | None]:
        """Indices without masks, whose number of positions depends on their values."""
        found: list[torch.Tensor | None] = []
        for each in indices:
            if each is None or each.dtype not in (torch.bool, torch.uint8):
                found.append(each)
            elif self._is_unknown(each):
                self._guess()
                count = self._small(each)
                found.extend(torch.ones(each.shape, dtype=torch.bool).nonzero().unbind(1) if count else [each])
            else:
                found.extend(each.nonzero().unbind(1))
        return found

    def _spoil(self, func: Any, args: tuple[Any, ...], options: dict[str, Any]) -> torch.Tensor | None:
        """Notes which known tensors something unknown is written into; the one that is given back."""
        kept = None
        for place, name in _written(func):
            value = args[place] if place < len(args) else options.get(name)
            for tensor in value if isinstance(value, list | tuple) else [value]:
                if isinstance(tensor, torch.Tensor) and not tensor.is_meta:
                    self._spoilt[_storage(tensor)] = tensor
                    kept = tensor if kept is None else kept
        return kept

    def _made_up(self, func: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The shapes that a function gives for made-up numbers: for those that only tell when they compute."""
        unknown: list[torch.Tensor] = []

        def real(tensor: torch.Tensor) -> torch.Tensor:
            if not self._is_unknown(tensor):
                return tensor
            unknown.append(tensor)
            if not self._small(tensor):
                raise NotComputable(
                    f"calls `{func}` on a tensor of {tuple(tensor.shape)}, which only tells when it computes"
                )
            return torch.full(tensor.shape, tensor.dtype is torch.bool, dtype=tensor.dtype)

        real_args, real_options = _map(real, args), _map(real, options)
        if _is_meta(real_options.get("device")):
            real_options["device"] = torch.device("cpu")
        # With a mask or lengths that are known beside it, the measured part decides nothing.
        decides = _counts_values(func) and len(unknown) == _count(args, options)
        if decides or any(not _is_measured(each) for each in unknown):
            self._guess()
        try:
            made = func(*real_args, **real_options)
        except NotImplementedError as error:
            raise NotComputable(f"calls `{func}`, which has no meaning without numbers") from error
        return tree_map(lambda each: _meta(each) if isinstance(each, torch.Tensor) else each, made)

    def _small(self, tensor: torch.Tensor) -> bool:
        return tensor.numel() <= _MOST_MADE_UP

    def _value(self, func: Any, args: tuple[Any, ...]) -> bool | int | float | complex:
        self._guess()
        dtype = args[0].dtype
        if func is not _ATEN._local_scalar_dense.default or dtype is torch.bool:
            return self.answer
        return 1.0 if dtype.is_floating_point else complex(1.0) if dtype.is_complex else 1

    def _guess(self) -> None:
        if self.guessed is None:
            self.guessed = _caller()


def _check_product(func: Any, args: tuple[Any, ...], strict_types: bool) -> None:
    """Says what torch says of a product for real; on the meta device it is short of words, or says nothing."""
    if func not in _PRODUCTS:
        return
    left, right = (args[place] for place in _PRODUCTS[func])
    if strict_types and left.dtype != right.dtype:
        raise RuntimeError(f"the input is {_name(left)} and the weight is {_name(right)}; they must be of one type")
    if func is _ATEN.convolution.default:
        transposed, groups = args[6], args[8]
        takes = right.shape[0] if transposed else right.shape[1] * groups
        if left.dim() == right.dim() and left.shape[1] != takes:
            raise RuntimeError(
                f"Given groups={groups}, weight of size {list(right.shape)}, expected input{list(left.shape)} to have "
                f"{takes} channels, but got {left.shape[1]} channels instead"
            )
    elif left.dim() == right.dim() == 2 and left.shape[1] != right.shape[0]:
        shapes = " and ".join(f"{each.shape[0]}x{each.shape[1]}" for each in (left, right))
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({shapes})")


def _name(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _caller() -> tuple[str, int]:
    """The line of the model that is being run."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        name = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if name not in ("torch", "espnet3", "contextlib"):
            break
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def _meta(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device="meta")


def _is_meta(device: Any) -> bool:
    return device is not None and torch.device(device).type == "meta"


def _is_measured(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex())


def _map(change: Callable[[torch.Tensor], torch.Tensor], value: Any) -> Any:
    return tree_map(lambda each: change(each) if isinstance(each, torch.Tensor) else each, value)


def _size(*values: Any) -> int:
    return sum(each.numel() for each in tree_leaves(values) if isinstance(each, torch.Tensor))


def _count(*values: Any) -> int:
    return sum(isinstance(each, torch.Tensor) for each in tree_leaves(values))


def _storage(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


@cache
def _makes_on_device(func: Any) -> bool:
    return any(argument.name == "device" for argument in func._schema.arguments)


@cache
def _views(func: Any) -> bool:
    return any(argument.alias_info is not None for argument in func._schema.arguments)


@cache
def _written(func: Any) -> tuple[tuple[int, str], ...]:
    """The arguments that a function writes into: place and name."""
    arguments = enumerate(func._schema.arguments)
    return tuple((place, each.name) for place, each in arguments if each.alias_info and each.alias_info.is_write)


@cache
def _counts_values(func: Any) -> bool:
    """Whether the shape of what a function gives depends on values, whatever its arguments are."""
    if func in (_ATEN.index.Tensor, _ATEN.index_put.default, _ATEN.index_put_.default):
        return False
    return torch.Tag.dynamic_output_shape in func.tags or torch.Tag.data_dependent_output in func.tags
