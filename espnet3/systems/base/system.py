"""The system: which stages there are, with which configs.

A recipe's own stages are further methods without arguments:

```python
class MySystem(BaseSystem):
    def export_onnx(self):
        export(self.training_config, self.export_config)
```

What a stage does stands in modules beside this one and is imported when the stage runs, so that a `run.py`
starts at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3.utils.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from omegaconf import DictConfig

_CONFIGS = ("training_config", "inference_config", "metrics_config", "publication_config", "demo_config")
# Outputs of inference have their logs beside them; all else belongs to the experiment.
_LOG_PLACES = {
    "create_dataset": "training_config.exp_dir",
    "collect_stats": "training_config.exp_dir",
    "train": "training_config.exp_dir",
    "infer": "inference_config.inference_dir",
    "measure": "metrics_config.inference_dir",
    "pack_model": "training_config.exp_dir",
    "upload_model": "publication_config.exp_dir",
    "pack_demo": "demo_config.exp_dir",
    "upload_demo": "demo_config.exp_dir",
}


class BaseSystem:
    """The stages that every recipe has.

    Args:
        training_config: For create_dataset, collect_stats and train.
        inference_config: For infer.
        metrics_config: For measure.
        publication_config: For pack_model and upload_model.
        stage_log_mapping: Where the log of a stage goes, laid over the usual places: an attribute of the
            system ("exp_dir"), a key of one of its configs ("training_config.stats_dir"), or a folder.
        demo_config: For pack_demo and upload_demo.
        further_configs: Configs of the recipe's own, each under a name that ends in `_config`; they become
            attributes of that name.

    Attributes:
        exp_dir: The folder of the experiment, from the first config that names one; else None.
        stage_log_dirs: The log folder of each stage that has one.

    Raises:
        TypeError: A keyword argument is no config.
    """

    # What a dataset module calls the class that builds its data.
    DATASET_BUILDER_CLASS_NAME = "DatasetBuilder"
    # Where the logs of a subclass's own stages go, as in `stage_log_mapping`, which is laid over it.
    STAGE_LOGS: Mapping[str, str] = {}
    # For a stage that runs one of the framework's with other configs: which, and for each of its configs the one it gets
    # instead, as {"train_easy": ("train", {"training_config": "training_easy_config"})}.
    STAGE_RUNS: Mapping[str, tuple[str, Mapping[str, str]]] = {}

    def __init__(
        self,
        training_config: DictConfig | None = None,
        inference_config: DictConfig | None = None,
        metrics_config: DictConfig | None = None,
        publication_config: DictConfig | None = None,
        stage_log_mapping: dict[str, Any] | None = None,
        demo_config: DictConfig | None = None,
        **further_configs: DictConfig | None,
    ) -> None:
        self.training_config = training_config
        self.inference_config = inference_config
        self.metrics_config = metrics_config
        self.publication_config = publication_config
        self.demo_config = demo_config
        for name, config in further_configs.items():
            if not name.endswith("_config"):
                raise TypeError(
                    f"{type(self).__qualname__} has no argument {name!r}"
                    f"{did_you_mean(name, (*_CONFIGS, 'stage_log_mapping'))}; a config of the recipe's own "
                    "has a name that ends in _config"
                )
            setattr(self, name, config)
        self.exp_dir = self._find_exp_dir()
        self._log_places: Mapping[str, Any] = {**_LOG_PLACES, **self.STAGE_LOGS, **(stage_log_mapping or {})}
        # The configs of a subclass are not there yet, so its own stages are asked for their place when they run.
        self.stage_log_dirs: dict[str, Path] = {
            stage: folder
            for stage, place in self._log_places.items()
            if stage not in self.STAGE_LOGS and (folder := self._folder(place)) is not None
        }

    def _is_training_complete(self, config: DictConfig) -> bool:
        """Whether a training has nothing left to do, which is said then.

        Args:
            config: The training config.

        Raises:
            ConfigError: The training in its `exp_dir` had another config.
            StageError: Another process is training there.
        """
        from espnet3.systems.base.training import is_complete

        return is_complete(config)

    def create_dataset(self, *args: Any, **kwargs: Any) -> None:
        """Build every dataset that the configs use and that is not built yet."""
        from espnet3.systems.base.dataset_creation import create_datasets

        refuse_arguments("create_dataset", args, kwargs)
        create_datasets(
            self._needed("create_dataset", "training_config"),
            self.inference_config,
            self.DATASET_BUILDER_CLASS_NAME,
        )

    def collect_stats(self, *args: Any, **kwargs: Any) -> Any:
        """Collect the statistics that training needs."""
        from espnet3.systems.base.training import collect_stats

        refuse_arguments("collect_stats", args, kwargs)
        self._warn_of_other_data()
        return collect_stats(self._needed("collect_stats", "training_config"))

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train the model."""
        from espnet3.systems.base.training import train

        refuse_arguments("train", args, kwargs)
        self._warn_of_other_data()
        return train(self._needed("train", "training_config"), trainer_of=self._build_trainer)

    def infer(self, *args: Any, **kwargs: Any) -> Any:
        """Run inference over the test sets."""
        from espnet3.systems.base.inference import infer

        refuse_arguments("infer", args, kwargs)
        self._warn_of_other_data()
        return infer(self._needed("infer", "inference_config"))

    def measure(self, *args: Any, **kwargs: Any) -> Any:
        """Run the metrics over what inference wrote."""
        from espnet3.systems.base.metric import measure

        refuse_arguments("measure", args, kwargs)
        return measure(self._needed("measure", "metrics_config"))

    def pack_model(self, *args: Any, **kwargs: Any) -> Any:
        """Pack the trained model, so that it can be used elsewhere."""
        from espnet3.utils.publish_utils import pack_model

        refuse_arguments("pack_model", args, kwargs)
        return pack_model(
            self._needed("pack_model", "training_config"),
            self._needed("pack_model", "publication_config"),
            self.inference_config,
            self.metrics_config,
        )

    def upload_model(self, *args: Any, **kwargs: Any) -> None:
        """Send the packed model to the model hub."""
        from espnet3.utils.publish_utils import upload_model

        refuse_arguments("upload_model", args, kwargs)
        self._needed("upload_model", "publication_config")
        upload_model(self)

    def pack_demo(self, *args: Any, **kwargs: Any) -> Any:
        """Pack a page that transcribes with the packed model."""
        from espnet3.utils.publish_utils import pack_demo

        refuse_arguments("pack_demo", args, kwargs)
        self._needed("pack_demo", "demo_config")
        return pack_demo(self)

    def upload_demo(self, *args: Any, **kwargs: Any) -> None:
        """Send the page to the hub."""
        from espnet3.utils.publish_utils import upload_demo

        refuse_arguments("upload_demo", args, kwargs)
        self._needed("upload_demo", "demo_config")
        upload_demo(self)

    def run_with_config(self, stage: str, slot: str, config: DictConfig | None) -> Any:
        """Run a stage with another config in the place of one of its own.

        The original is put back afterwards, also when the stage fails.

        Args:
            stage: The stage's method.
            slot: The attribute that the stage reads, such as "training_config".
            config: What stands there for the while.

        Raises:
            ConfigError: `config` is None, or the system has no such stage or attribute.
        """
        method = getattr(self, stage, None)
        if not callable(method):
            raise ConfigError(f"{type(self).__qualname__} has no stage {stage!r}{did_you_mean(stage, dir(self))}")
        if slot not in vars(self):
            raise ConfigError(f"{type(self).__qualname__} has no config {slot!r}{did_you_mean(slot, vars(self))}")
        if config is None:
            raise ConfigError(f"stage `{stage}` was given no config for its {slot}")
        original = getattr(self, slot)
        setattr(self, slot, config)
        try:
            return method()
        finally:
            setattr(self, slot, original)

    def stage_log_dir(self, stage: str) -> Path | None:
        """The folder for the log of `stage`.

        A stage without a place of its own writes to the experiment's folder: that of the system, or else of
        the first config that names one.
        """
        folder = self.stage_log_dirs.get(stage) or self._folder(self._log_places.get(stage))
        return folder or self.exp_dir or self._find_exp_dir()

    def _build_trainer(self, config: DictConfig, model: Any) -> Any:
        """Build the trainer of the stage `train`; a system that trains in its own way overrides it.

        Args:
            config: The training config.
            model: The model that it makes, a torch module.

        Returns:
            An `ESPnet3LightningTrainer`.
        """
        from espnet3.systems.base.training import build_trainer

        return build_trainer(config, model)

    def _warn_of_other_data(self) -> None:
        from espnet3.systems.base.dataset_creation import warn_of_other_data

        warn_of_other_data(self.training_config, self.inference_config, self.DATASET_BUILDER_CLASS_NAME)

    def _needed(self, stage: str, slot: str) -> Any:
        config = getattr(self, slot)
        if config is None:
            raise ConfigError(f"stage `{stage}` needs the config {slot}, which this system was made without")
        return config

    def _find_exp_dir(self) -> Path | None:
        names = (*_CONFIGS, *(name for name in vars(self) if name.endswith("_config")))
        for name in names:
            folder = _config_folder(getattr(self, name, None), "exp_dir")
            if folder is not None:
                return folder
        return None

    def _folder(self, place: Any) -> Path | None:
        if place is None or isinstance(place, Path):
            return place
        head, _, rest = str(place).partition(".")
        if head and hasattr(self, head):
            value = getattr(self, head)
            if rest:
                return _config_folder(value, rest)
            return None if value is None else Path(value)
        return Path(str(place))


def refuse_arguments(stage: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """See that a stage was called without arguments.

    Raises:
        TypeError: It was not; what a stage needs stands in its config.
    """
    if args or kwargs:
        given = ", ".join([*(repr(value) for value in args), *kwargs])
        raise TypeError(f"Stage {stage!r} takes no arguments, but was given {given}: its settings stand in its config")


def _config_folder(config: Any, key: str) -> Path | None:
    if config is None or not hasattr(config, "get"):
        return None
    from omegaconf.errors import OmegaConfBaseException

    value = config
    try:
        for part in key.split("."):
            value = value.get(part)
            if value is None:
                return None
    except OmegaConfBaseException:
        # The place refers to a value that is not set: the stage that needs it says so.
        return None
    return Path(str(value))
