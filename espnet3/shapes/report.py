"""Whether the shapes of one training config fit, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from espnet3.shapes.faults import Raised, fitting_size, is_certain, raised, without_own_frames
from espnet3.shapes.items import Field, Making, Unmakeable, names_of, sample_items, texts_for
from espnet3.shapes.trial import COLLATE, FORWARD, ITEMS, Outcome, Sample, Trial
from espnet3.shapes.values import Shapes
from espnet3.systems.base.training import build_model
from espnet3.utils.config_errors import fault_of
from espnet3.utils.config_utils import load_and_merge_config
from espnet3.utils.pretrained_weights import without_loading

BUILD = "build model"
_ORGANIZERS = (None, "espnet3.components.data.data_organizer.DataOrganizer")
_KEYS = {BUILD: "model", ITEMS: "dataset", COLLATE: "dataloader.collate_fn", FORWARD: "model"}


@dataclass(frozen=True)
class Report:
    """What came of one config.

    Attributes:
        config: Its name.
        status: `ok`, `failed`, or `skipped` (nothing is known).
        stage: Where it ended: `build model`, `items`, `collate`, `forward`.
        message: What was raised, or why nothing is known.
        key: The key of the config that it is about.
        trace: What there was after each step.
        file, line, function: The deepest place in the recipe's Python.
        sizes: Two sizes that do not fit each other.
        taking: Sizes of named dimensions without which it would not fit.
        parameters: How many weights the model has.
    """

    config: str
    status: str
    stage: str = ""
    message: str = ""
    key: str = ""
    trace: tuple[str, ...] = ()
    file: str = ""
    line: int = 0
    function: str = ""
    sizes: tuple[int, ...] = ()
    taking: Mapping[str, int] | None = None
    parameters: int = 0

    def data(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


def report_on(name: str, path: str, samples: Sequence[Sample | None], recipe_dir: str) -> Report:
    """Find out whether the shapes of a training config fit.

    Args:
        name: The config's name.
        path: Its file.
        samples: For each entry of `dataset.train` the fields of its items, or None.
        recipe_dir: The recipe's folder; what is raised is placed in its Python.
    """
    try:
        config = load_and_merge_config(Path(path), "training.yaml", default_package="espnet3.systems.base")
    except Exception as error:  # noqa: BLE001 - the stage itself says it better
        return Report(name, "skipped", BUILD, _line(error))
    assert config is not None
    return _Examination(name, config, samples, recipe_dir).report()


class _Examination:
    def __init__(self, name: str, config: DictConfig, samples: Sequence[Sample | None], recipe_dir: str) -> None:
        self._name = name
        self._config = config
        self._samples = samples
        self._recipe_dir = recipe_dir
        precision = str((config.get("trainer") or {}).get("precision") or "32")
        self._strict_types = precision in ("32", "32-true")
        self._parameters = 0

    def report(self) -> Report:
        shapes = Shapes(strict_types=self._strict_types)
        try:
            with shapes.building(), without_loading():
                model = build_model(self._config)
                self._parameters = sum(each.numel() for each in model.parameters() if _has_shape(each))
        except Exception as error:  # noqa: BLE001 - the recipe's code may raise anything, and that is what is looked for
            return self._not_built(error, shapes)
        refusal = self._refusal()
        if refusal:
            return self._skipped(ITEMS, refusal, (), "dataset")
        return self._try(Trial(self._config, model, shapes, self._samples))

    def _not_built(self, error: Exception, shapes: Shapes) -> Report:
        found = raised(error, self._recipe_dir)
        if found.is_artefact:
            return self._skipped(BUILD, f"the model was not built: {found.text}", (), self._key(error, BUILD))
        if shapes.guessed is not None:
            return self._skipped(BUILD, _after_guess(found, shapes.guessed), (), self._key(error, BUILD))
        return self._failed(Outcome(BUILD, (), error), found)

    def _refusal(self) -> str:
        """Why no items can be made, or nothing."""
        dataset = self._config.get("dataset")
        if not dataset or not dataset.get("train"):
            return "there is no `dataset.train`"
        if dataset.get("_target_") not in _ORGANIZERS:
            return "the datasets are organized by a class of its own"
        if len(dataset.train) != len(self._samples) or not any(self._samples):
            return "no dataset of `dataset.train` declares a `sample`"
        try:
            for sample in self._samples:
                sample_items([list(sample or ())], 0, {"text": (), "sizes": {}})
        except Unmakeable as error:
            return f"no items can be made: {error}"
        return ""

    # -- the batch --------------------------------------------------------------------------------------------------------

    def _try(self, trial: Trial) -> Report:
        making, first = self._made(trial)
        if first.ok:
            return self._ok(first, making)
        if first.stage == ITEMS:
            return self._doubt(first, self._raised(first).text)
        return self._judge(trial, making, first)

    def _made(self, trial: Trial) -> tuple[Making, Outcome]:
        """How items are made so that they come furthest, and how far they come."""
        base = Making(text=self._text(trial))
        first = trial.run(base)
        if first.ok or first.stage == FORWARD:
            return base, first
        # Nothing says whether a dataset gives arrays or tensors.
        others = replace(base, tensors=True)
        other = trial.run(others)
        further = _STAGES.index(other.stage) > _STAGES.index(first.stage)
        return (others, other) if other.ok or further else (base, first)

    def _text(self, trial: Trial) -> tuple[str, ...]:
        """A text that the preprocessor takes; if it takes none, the first."""
        settings = OmegaConf.to_container(self._config.dataset, resolve=True)
        texts = list(texts_for(settings.get("preprocessor") if isinstance(settings, dict) else None))
        for text in texts:
            outcome = trial.run(Making(text=text), until=ITEMS)
            if outcome.error is None:
                return text
            if raised(outcome.error, self._recipe_dir).is_artefact:
                break
        return texts[0]

    def _judge(self, trial: Trial, making: Making, first: Outcome) -> Report:
        """What an error of the collate function or of the model proves: it is tried again in other ways."""
        other = trial.run(replace(making, scale=1))
        if other.ok:
            return self._ok(other, making)
        one, two = self._raised(first), self._raised(other)
        if (one.file, one.line, one.kind) != (two.file, two.line, two.kind):
            # The small sizes were too small to come as far as the large ones.
            first, other = other, trial.run(replace(making, scale=2))
            if other.ok:
                return self._ok(other, making)
            one, two = two, self._raised(other)
        if first.guessed is not None:
            again = trial.run(making, answer=True)
            return self._ok(again, making) if again.ok else self._doubt(first, _after_guess(one, first.guessed))
        if one.is_artefact:
            return self._doubt(first, one.text)
        certain = is_certain(one, two, strict_types=self._strict_types)
        if certain and one.pair is not None and one.pair == two.pair:
            return self._failed(first, one)
        ways = {"where all items have one length": replace(making, equal=True)}
        if any(field["optional"] for sample in self._samples for field in sample or ()):
            ways["without the optional fields"] = replace(making, optional=False)
        for words, way in ways.items():
            if trial.run(way).ok:
                return self._doubt(first, f"a batch goes through only {words}; else {one.text}")
        if certain:
            return self._failed(first, one)
        fitting = self._fitting(trial, making, one, two)
        if fitting is not None:
            return fitting
        made_up = "values" if one.by == "code" else "sizes"
        return self._doubt(first, f"{one.text}; the {made_up} are made up, so this need not happen to real items")

    def _fitting(self, trial: Trial, making: Making, one: Raised, two: Raised) -> Report | None:
        """Whether a named dimension has the size that the model wants."""
        taking: dict[str, int] = {}
        names = names_of([Field.of(field) for sample in self._samples for field in sample or ()])
        for _ in range(3):
            size = fitting_size(one, two)
            for name in names:
                if size is None or name in taking:
                    continue
                sized = replace(making, sizes={**taking, name: size})
                first = trial.run(sized)
                other = first if first.ok else trial.run(replace(sized, scale=1))
                if other.ok:
                    return self._ok(other, sized)
                further = self._raised(first), self._raised(other)
                if further[0].text != one.text and fitting_size(*further) is not None:
                    # It came further; the next size is missing now.
                    taking[name], (one, two) = size, further
                    break
            else:
                return None
        return None

    # -- reports ----------------------------------------------------------------------------------------------------------

    def _key(self, error: BaseException | None, stage: str) -> str:
        with without_own_frames(error):
            fault = fault_of(error, {self._name: self._config}) if error is not None else None
        key = fault.key if fault is not None and fault.key else _KEYS[stage]
        # The first words of a message may look like a key.
        return key if key.partition(".")[0].partition("[")[0] in self._config else _KEYS[stage]

    def _ok(self, outcome: Outcome, making: Making) -> Report:
        sizes = dict(making.sizes)
        return Report(self._name, "ok", outcome.stage, trace=outcome.trace, taking=sizes, parameters=self._parameters)

    def _failed(self, outcome: Outcome, found: Raised) -> Report:
        return Report(
            self._name,
            "failed",
            outcome.stage,
            found.text,
            self._key(outcome.error, outcome.stage),
            outcome.trace,
            found.file,
            found.line,
            found.function,
            found.pair or (),
            parameters=self._parameters,
        )

    def _doubt(self, outcome: Outcome, message: str) -> Report:
        found = self._raised(outcome)
        key = self._key(outcome.error, outcome.stage)
        report = self._skipped(outcome.stage, message, outcome.trace, key)
        return replace(report, file=found.file, line=found.line, function=found.function, sizes=found.pair or ())

    def _skipped(self, stage: str, message: str, trace: tuple[str, ...], key: str) -> Report:
        return Report(self._name, "skipped", stage, message, key, trace, parameters=self._parameters)

    def _raised(self, outcome: Outcome) -> Raised:
        assert outcome.error is not None
        return raised(outcome.error, self._recipe_dir)


_STAGES = (ITEMS, COLLATE, FORWARD)


def _has_shape(parameter: Any) -> bool:
    from torch.nn.parameter import is_lazy

    return not is_lazy(parameter)


def _after_guess(found: Raised, place: tuple[str, int]) -> str:
    return (
        f"it reads a value at {Path(place[0]).name}:{place[1]}, and there are no values here; after that: {found.text}"
    )


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
