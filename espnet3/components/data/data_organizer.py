"""The `dataset` section of a config as objects: train, valid and named test sets."""

import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from espnet3.components.data.callables import make_callable
from espnet3.components.data.dataset import CombinedDataset, DatasetWithTransform, do_nothing
from espnet3.components.data.dataset_module import instantiate_dataset_reference
from espnet3.components.data.streams import CombinedStream, is_stream
from espnet3.utils.config_errors import at_key
from espnet3.utils.errors import ConfigError, did_you_mean
from espnet3.utils.instantiation import instantiate_target

_LOG = logging.getLogger(__name__)
_KEYS = ("name", "data_src", "data_src_args", "transform", "split")


@dataclass
class DatasetConfig:
    """One entry of `dataset.train`, `dataset.valid` or `dataset.test`.

    Attributes:
        name: The name of a test set, which is its output folder.
        data_src: A tag, a dotted module, or `None` for the recipe's own `dataset` folder.
        data_src_args: Keyword arguments of the module's `Dataset`.
        transform: A target that is applied to this entry's samples.
        split: Short for `data_src_args.split`.
    """

    name: str | None = None
    data_src: str | None = None
    data_src_args: dict[str, Any] | None = None
    transform: dict[str, Any] | None = None
    split: str | None = None


class DataOrganizer:
    """Makes the datasets of a config.

    `train` and `valid` mix their entries into one `CombinedDataset` each, or into a `CombinedStream` where one of them
    only iterates (`None` where there is no entry); `test` maps each entry's name to a `DatasetWithTransform`.

    An entry is a `DatasetConfig`, a mapping with its keys, a mapping with a `_target_`, or a dataset that is
    already made. Every sample passes its entry's `transform` and then the shared `preprocessor`.

    Args:
        train, valid, test: Lists of entries.
        preprocessor: `dict -> dict`, or in ESPnet2's manner `(uid, dict) -> dict`; a target or an object.
        recipe_dir: Where a `dataset` folder and the recipe's modules are.

    Raises:
        ConfigError: An entry does not fit; the message names it, as in `dataset.train[1]`.
    """

    # A function among the targets may lack its sample; Hydra would call it all the same.
    makes_its_parts = True

    def __init__(
        self,
        train: list[Any] | None = None,
        valid: list[Any] | None = None,
        test: list[Any] | None = None,
        preprocessor: Callable[..., Any] | None = None,
        recipe_dir: str | None = None,
    ) -> None:
        self._recipe_dir = recipe_dir
        self.preprocessor: Callable[..., Any] = _called(preprocessor, "dataset.preprocessor")
        self.use_espnet_preprocessor = _takes_uid(self.preprocessor)
        self.train = self._combine(train, "train")
        self.valid = self._combine(valid, "valid")
        self._test = self._name(test)

    @property
    def test(self) -> dict[str, DatasetWithTransform]:
        """The test sets by name, in the order of the config."""
        return self._test

    def log_summary(self, log: logging.Logger | None = None) -> None:
        """Write a line a split to the log: how many samples, from which datasets."""
        log = log or _LOG
        for split, dataset in (("train", self.train), ("valid", self.valid)):
            if dataset is not None:
                if isinstance(dataset, CombinedStream):
                    log.info("dataset %s: a stream of %s", split, ", ".join(type(p).__name__ for p in dataset.datasets))
                    continue
                parts = ", ".join(f"{type(part).__name__} {len(part)}" for part in dataset.datasets)
                log.info("dataset %s: %d samples (%s)", split, len(dataset), parts)
        for name, test in self._test.items():
            log.info("dataset test %s: %d samples (%s)", name, len(test), type(test.dataset).__name__)
        log.info("preprocessor: %s", getattr(self.preprocessor, "__qualname__", type(self.preprocessor)))

    def _combine(self, entries: Any, split: str) -> CombinedDataset | CombinedStream | None:
        made = self._make(entries, split)
        if not made:
            return None
        combine = CombinedStream if any(is_stream(dataset) for _, dataset, _ in made) else CombinedDataset
        return combine(
            [dataset for _, dataset, _ in made],
            [(transform, self.preprocessor) for _, _, transform in made],
            self.use_espnet_preprocessor,
        )

    def _name(self, entries: Any) -> dict[str, DatasetWithTransform]:
        named: dict[str, DatasetWithTransform] = {}
        for place, (name, dataset, transform) in enumerate(self._make(entries, "test")):
            if is_stream(dataset):
                raise ConfigError(
                    f"dataset.test[{place}]: {type(dataset).__name__} only iterates, and the items of a test set are "
                    "read by their numbers: it needs __len__ and __getitem__"
                )
            if name is None:
                if place or len(entries) > 1:
                    raise ConfigError(f"dataset.test[{place}] has no name; the name is the folder of its results")
                name = "test"
            if name in named:
                raise ConfigError(
                    f"dataset.test[{place}]: the name {name!r} is taken by an entry before it; its results "
                    "would be written over. Give each test set a name of its own"
                )
            named[name] = DatasetWithTransform(dataset, transform, self.preprocessor, self.use_espnet_preprocessor)
        return named

    def _make(self, entries: Any, split: str) -> list[tuple[str | None, Any, Callable[..., Any]]]:
        if entries is None:
            return []
        if isinstance(entries, Mapping | DictConfig | DatasetConfig) or not isinstance(
            entries, list | tuple | ListConfig
        ):
            raise ConfigError(f"dataset.{split} must be a list of entries, not {type(entries).__name__}")
        return [self._make_one(entry, f"dataset.{split}[{place}]") for place, entry in enumerate(entries)]

    def _make_one(self, entry: Any, where: str) -> tuple[str | None, Any, Callable[..., Any]]:
        if isinstance(entry, DatasetConfig):
            entry = {key: value for key, value in asdict(entry).items() if value is not None}
        elif isinstance(entry, DictConfig):
            # An object that hydra has already made stays as it is.
            entry = {key: entry[key] for key in entry}
        if not isinstance(entry, Mapping):
            readable = (hasattr(entry, "__len__") and hasattr(entry, "__getitem__")) or is_stream(entry)
            if not readable or isinstance(entry, str):
                raise ConfigError(
                    f"{where} must be a mapping with data_src, or a dataset with __len__ and __getitem__, or __iter__; "
                    f"it is {type(entry).__name__}: {entry!r}"
                )
            return None, entry, do_nothing
        fields = {str(key): value for key, value in entry.items()}
        name = fields.get("name")
        transform = _called(fields.get("transform"), f"{where}.transform")
        if "_target_" in fields:
            target = {key: value for key, value in fields.items() if key not in ("name", "transform")}
            return name, instantiate_target(target, where), transform
        for key in fields:
            if key not in _KEYS:
                hint = did_you_mean(key, _KEYS)
                raise ConfigError(f"{where} has no key {key!r}{hint}; it takes {', '.join(_KEYS)}")
        reference = {
            key: _plain(value) for key, value in fields.items() if key in ("data_src", "data_src_args", "split")
        }
        try:
            with at_key(f"{where}.data_src_args" if reference.get("data_src_args") else where):
                dataset = instantiate_dataset_reference(reference, self._recipe_dir)
        except ConfigError as error:
            raise type(error)(f"{where}: {error}") from error
        return None if name is None else str(name), dataset, transform


def _called(value: Any, where: str) -> Callable[..., Any]:
    return do_nothing if value is None else make_callable(value, where)


def _takes_uid(preprocessor: Callable[..., Any]) -> bool:
    """Say whether a preprocessor is called with the utterance's name before the sample, as in ESPnet2."""
    if preprocessor is do_nothing:
        return False
    try:
        parameters = inspect.signature(preprocessor).parameters.values()
    except (TypeError, ValueError):
        return False
    required = [
        parameter
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return len(required) == 2


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
