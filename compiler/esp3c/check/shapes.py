"""What the trial of a training with one made-up batch says of a recipe.

The trial is made by `esp3c check --shapes`, in a process of its own that knows shapes and no data. These are no rules of
`RULES`, since they cannot be asked without it; `said_of` asks them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from esp3c.check.flow_base import follow, listed
from esp3c.diagnostics import Diagnostic, Label, Severity, code_of, explained
from esp3c.ir import CallNode, Config, Dataset, Scalar
from esp3c.record import record
from esp3c.source import Span
from esp3c.syntax.ast import Number


@record
class Trial:
    """What came of one training config.

    `status` is `ok`, `failed` or `skipped`; `stage` where it ended: `build model`, `items`, `collate`, `forward`. `place`
    is the value that it is about, `code` the place in the recipe's Python. `sizes` are two that do not fit each other.
    """

    config: Config
    datasets: tuple[Dataset, ...]
    status: str
    stage: str
    message: str
    place: Span
    trace: tuple[str, ...] = ()
    code: Span | None = None
    function: str = ""
    sizes: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """What was raised, without the type that torch raises for everything."""
        return (
            self.message.removeprefix("RuntimeError: ")
            .removeprefix("ForwardResultError: ")
            .removeprefix("ConfigError: ")
        )


_Said: TypeAlias = Callable[[Trial], Iterator[Diagnostic]]


def said_of(trial: Trial) -> Iterator[Diagnostic]:
    """The diagnostics on a trial; none where everything fits."""
    for each in SHAPES:
        yield from each(trial)


@explained("ESP0550", "shapes that do not fit")
def misfit(trial: Trial) -> Iterator[Diagnostic]:
    """A batch does not go through the model. Said by `esp3c check --shapes` only.

        dataset frames { class = dataset.dataset.Frames  sample { feats: float32[time, 80] } }
        training { model = src.model.Encoder(n_mels = 40) }

    One batch of items with the names, types and dimensions of `sample` went through transform, preprocessor, collate
    function and `forward`, without numbers: torch refused two sizes or types that come from the recipe and its Python, not
    from a size that was made up. A training stops at its first batch with the same message. The help shows what there was
    after each step; the two sizes are marked where they stand in the recipe.
    """
    if trial.status != "failed" or trial.stage == "build model":
        return
    where = {
        "items": "the items cannot be made",
        "collate": "the collate function makes no batch of them",
    }.get(trial.stage, "the batch does not go through this model")
    message = f"the shapes do not fit: {trial.text}"
    yield Diagnostic(code_of(misfit), message, Label(trial.place, where), tuple(_labels(trial)), _help(trial))


@explained("ESP0551", "a model that cannot be built")
def unbuildable(trial: Trial) -> Iterator[Diagnostic]:
    """The constructor of the model raises an error. Said by `esp3c check --shapes` only.

        model = src.model.Encoder(hidden_size = 191, heads = 4)     # ValueError: 191 is not divisible by 4

    The model is built as the stage `train` builds it, with weights that have a shape and no memory. The message is the
    constructor's own.
    """
    if trial.status == "failed" and trial.stage == "build model":
        message = f"the model cannot be built: {trial.text}"
        label = Label(trial.place, "its constructor raises this")
        yield Diagnostic(code_of(unbuildable), message, label, tuple(_labels(trial)), _help(trial))


@explained("ESP0552", "shapes that could not be checked", Severity.WARNING)
def untried(trial: Trial) -> Iterator[Diagnostic]:
    """`esp3c check --shapes` could not follow a batch to the loss, and so says nothing of its shapes.

        preprocessor = src.text.Tokens(model = "${data_dir}/tokenizer/bpe.model")   # train_tokenizer has not run yet

    The message has the reason: no `sample` is declared, a step needs a file that an earlier stage writes, code reads
    values where only shapes are known, or an error hangs on a size or a value that was made up and that real data need not
    have. Values are never checked: an embedding that is too small for its tokens is not found.
    """
    if trial.status == "skipped":
        doing = {
            "build model": "building the model",
            "items": "making items",
            "collate": "making a batch",
            "forward": "running the model",
        }.get(trial.stage, "")
        message = f"the shapes of `{trial.config.name}` are not checked: {trial.text}"
        label = Label(trial.place, f"the trial ended {doing}" if doing else "")
        yield Diagnostic(code_of(untried), message, label, tuple(_labels(trial)), _help(trial))


SHAPES: tuple[_Said, ...] = (misfit, unbuildable, untried)


def _labels(trial: Trial) -> Iterator[Label]:
    if trial.code is not None:
        yield Label(trial.code, f"raised here, in `{trial.function}`" if trial.function else "raised here")
    model = follow(trial.config, trial.config.root.get("model"))
    entries = model.arguments.entries if isinstance(model, CallNode) else ()
    for entry in entries:
        value = follow(trial.config, entry.value)
        if isinstance(value, Scalar) and not isinstance(value.value, bool) and value.value in trial.sizes:
            yield Label(entry.value.span, f"`{entry.name}` is {value.value}")
    if trial.stage == "build model":
        return
    for dataset in trial.datasets:
        fields = dataset.sample or ()
        sized = [
            (each, dim.value)
            for each in fields
            for dim in each.type.dims
            if isinstance(dim, Number) and dim.value in trial.sizes
        ]
        if sized:
            for each, size in sized:
                yield Label(each.span, f"`{each.name}` has {size}")
        elif fields and trial.status == "failed":
            yield Label(
                fields[0].span.to(fields[-1].span), f"the items are made from this: {listed(e.name for e in fields)}"
            )


def _help(trial: Trial) -> tuple[str, ...]:
    return trial.trace
