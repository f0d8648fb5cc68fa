"""What an error says about shapes, and whether that is certain.

Sizes of dimensions that are only named are made up, and so are all values. An error proves something only where neither
can be the cause: torch refused two sizes that do not come from the made-up ones, or Python a call that never fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, TracebackType

from espnet3.components.modeling.forward_result import ForwardResultError
from espnet3.utils.errors import UserError

# Two sizes that differ, in torch's words.
_PAIRS = tuple(
    re.compile(each)
    for each in (
        r"cannot be multiplied \(\d+x(\d+) and (\d+)x\d+\)",
        r"size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\)",
        r"to have (\d+) channels, but got (\d+) channels",
        r"must be equal to input_size\. Expected (\d+), got (\d+)",
        r"should contain (\d+) elements not (\d+)",
        r"first two dimensions of batch2 tensor to be: \[\d+, (\d+)\] but got: \[\d+, (\d+)\]",
        r"Expected (?:size )?(\d+) (?:in dimension \d+ )?but got (?:size )?(\d+)",
        r"normalized_shape=\[(?:[^]]*, )?(\d+)\], expected .* but got input of size \D*\[(?:[^]]*, )?(\d+)\]",
        r"embedding dimension of (\d+), but got (\d+)",
        r"expanded size of the tensor \((\d+)\) must match the existing size \((\d+)\)",
        r"has size (\d+) for operand \d+ which does not broadcast with previously seen size (\d+)",
        r"value at most (\d+), but got value (\d+)",
        r"weight of shape \[(\d+)\] and input of shape \[\d+, (\d+)",
        r"X1: (\d+) X2: (\d+)",
    )
)
_BROADCAST = re.compile(r"dimension of length (\d+) at -(\d+)! .* broadcastable to \[([\d, ]+)\]")

# About the number of dimensions, whatever their sizes.
_RANKS = re.compile(
    r"Expected \d+D|[Ee]xpected .*\d-?D|Dimension out of range|too many indices|to unpack|dimensional|number of dim"
)
_TYPES = re.compile(r"type|[Dd]ouble|[Ff]loat(?:16|32|64)")

# Raised because there are no numbers here, or no such machine: not by the recipe.
_ARTEFACTS = re.compile(
    r"\bmeta\b|unallocated storage|data_ptr|not allocated|FakeTensor|CUDA|cuda|\bGPUs?\b|NVIDIA|HIP|\bMPS\b"
    r"|process group|set_data|__torch_dispatch__"
)
_BY_PYTHON = (TypeError, AttributeError, NameError, KeyError, ValueError)
_FRAMEWORK = ("espnet3", "lightning", "torch")
_VALUES = "espnet3.shapes.values"


@dataclass(frozen=True)
class Raised:
    """An error of the recipe's code, or of what it calls.

    Attributes:
        text: `TypeName: message`, on one line.
        by: Who says it: `torch`, `framework`, `python` (the interpreter itself), `code` (a `raise` of any other code).
        kind: The class of the error.
        file, line, function: The deepest place in the recipe's own Python; empty where it has none.
    """

    text: str
    by: str
    kind: type[BaseException]
    file: str = ""
    line: int = 0
    function: str = ""

    @property
    def pair(self) -> tuple[int, int] | None:
        """The two sizes that do not fit each other, if the message says them."""
        found = _BROADCAST.search(self.text)
        if found is not None:
            shape = [int(each) for each in found[3].split(",")]
            place = int(found[2])
            return (int(found[1]), shape[-place]) if place <= len(shape) else None
        for each in _PAIRS:
            found = each.search(self.text)
            if found is not None:
                return int(found[1]), int(found[2])
        return None

    @property
    def is_artefact(self) -> bool:
        """Whether it says nothing of the recipe, only of how it was tried."""
        absent = (NotImplementedError, ImportError, OSError, MemoryError)
        return issubclass(self.kind, absent) or bool(_ARTEFACTS.search(self.text)) or "not enough memory" in self.text


def raised(error: BaseException, recipe_dir: str) -> Raised:
    """What an error says, and where."""
    first = _cause(error)
    frames = _frames(first)
    lines = [line.strip() for line in str(first).strip().splitlines() if line.strip()]
    name = type(first).__name__
    text = f"{name}: {lines[0][:400]}" if lines else name
    own = [frame for frame in frames if frame.tb_frame.f_code.co_filename.startswith(recipe_dir.rstrip("/") + "/")]
    by = "framework" if isinstance(first, UserError | ForwardResultError) else _by(first, frames)
    if not own:
        return Raised(text, by, type(first))
    code = own[-1].tb_frame.f_code
    return Raised(text, by, type(first), code.co_filename, own[-1].tb_lineno, code.co_qualname)


def is_certain(first: Raised, other: Raised, *, strict_types: bool = True) -> bool:
    """Whether an error does not hang on anything that was made up.

    Args:
        first, other: What was raised with two different sets of made-up sizes.
        strict_types: Whether types of numbers are what they will be in a training.
    """
    if first.is_artefact or other.is_artefact or (first.kind, first.by) != (other.kind, other.by):
        return False
    if first.by == "framework":
        return True
    if first.by == "code" or (first.by == "python" and not issubclass(first.kind, _BY_PYTHON)):
        return False
    one, two = first.pair, other.pair
    if one is not None and two is not None:
        moved = [a != b for a, b in zip(one, two, strict=True)]
        # A size that moves against one that does not: there may be a size that fits.
        return moved[0] == moved[1]
    if _TYPES.search(first.text) and first.by == "torch" and not strict_types:
        return False
    return first.text == other.text or bool(_RANKS.search(first.text))


def fitting_size(first: Raised, other: Raised) -> int | None:
    """The size that a dimension would need, where a made-up one met a fixed one."""
    one, two = first.pair, other.pair
    if one is None or two is None:
        return None
    fixed = [a for a, b in zip(one, two, strict=True) if a == b]
    return fixed[0] if len(fixed) == 1 else None


@contextmanager
def without_own_frames(error: BaseException | None) -> Iterator[None]:
    """Lets an error end where the recipe called torch, and not in the computation of shapes that stands in for torch."""
    if error is None:
        yield
        return
    whole = error.__traceback__
    frames = _frames(error)
    while frames and (_module(frames[-1]) == _VALUES or _module(frames[-1]).partition(".")[0] == "torch"):
        frames.pop()
    short: TracebackType | None = None
    for each in reversed(frames):
        short = TracebackType(short, each.tb_frame, each.tb_lasti, each.tb_lineno)
    error.__traceback__ = short
    try:
        yield
    finally:
        error.__traceback__ = whole


def _module(trace: TracebackType) -> str:
    return str(trace.tb_frame.f_globals.get("__name__", ""))


def _cause(error: BaseException) -> BaseException:
    """The error that came first; hydra and the framework tell of it in words of their own."""
    seen = error
    while isinstance(seen.__cause__, Exception) and (
        type(seen).__module__.partition(".")[0] in ("hydra", "espnet3") and seen.__cause__ is not seen
    ):
        if isinstance(seen.__cause__, TypeError) and isinstance(seen, UserError) and "does not fit" in str(seen):
            # The framework's own words say more than Python's.
            break
        seen = seen.__cause__
    return seen


def _by(error: BaseException, frames: list[TracebackType]) -> str:
    if not frames:
        return "code"
    last = frames[-1]
    top = _module(last).partition(".")[0]
    if top in _FRAMEWORK:
        # The computation of shapes speaks for torch.
        return "torch" if top == "torch" or _module(last) == _VALUES else "framework"
    if _is_raise(last.tb_frame.f_code, last.tb_lasti):
        return "code"
    return "torch" if isinstance(error, RuntimeError | IndexError) else "python"


def _is_raise(code: CodeType, place: int) -> bool:
    """Whether the instruction at which an error arose is a `raise` or an `assert`, and not a call or an operation."""
    import opcode

    return opcode.opname[code.co_code[place]] in ("RAISE_VARARGS", "RERAISE")


def _frames(error: BaseException) -> list[TracebackType]:
    found: list[TracebackType] = []
    trace = error.__traceback__
    while trace is not None:
        found.append(trace)
        trace = trace.tb_next
    return found
