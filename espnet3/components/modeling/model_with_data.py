"""A model with the data of its config: what a training does with both, without Lightning.

The check of shapes stops here, and so need not wait until Lightning is imported.
"""

import inspect
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from espnet3.components.data.batching import Sizes
from espnet3.components.data.callables import make_callable
from espnet3.components.data.data_organizer import DataOrganizer
from espnet3.components.data.dataloader import DataLoaderBuilder, log_dataloader
from espnet3.components.modeling.batch_call import call_of, check_call
from espnet3.components.modeling.forward_result import ForwardResult, ForwardResultError, read_forward_result
from espnet3.components.modeling.optimizers import check_optimizer_keys
from espnet3.utils.errors import ConfigError, did_you_mean
from espnet3.utils.instantiation import instantiate_target

_LOG = logging.getLogger(__name__)


class ModelWithData:
    """Makes the datasets and loaders of `config`, and calls `model` with their batches.

    A batch `(utt_ids, dict)` or a dict calls `model(**dict)`, another tuple or list `model(*batch)`. The
    model returns a scalar loss, `(loss, stats, weight)`, or a dict with `loss`.

    Args:
        model: The model.
        config: The training config.

    Attributes:
        by_name: Whether the config has several optimizers, each with a name.

    Raises:
        ConfigError: Keys that exclude each other.
    """

    def __init__(self, model: torch.nn.Module, config: Any) -> None:
        super().__init__()
        self.model = model
        self.config: DictConfig = _as_config(config)
        self.by_name = check_optimizer_keys(self.config)
        self._organizer: DataOrganizer | None = None
        self._announced: set[str] = set()
        self._sizes: dict[tuple[str, int], Sizes] = {}
        self._call_checked = False

    @property
    def organizer(self) -> DataOrganizer:
        """The datasets of the config; made when they are first asked for.

        Raises:
            ConfigError: `dataset` does not fit.
        """
        if self._organizer is None:
            section = self.config.get("dataset")
            if not section:
                raise ConfigError("the training config has no dataset")
            plain = OmegaConf.to_container(section, resolve=True)
            assert isinstance(plain, dict)
            target = plain.pop("_target_", None)
            if target in (None, "espnet3.components.data.data_organizer.DataOrganizer"):
                known = inspect.signature(DataOrganizer).parameters
                for key in plain:
                    if key not in known:
                        raise ConfigError(f"dataset has no key {key!r}{did_you_mean(str(key), known)}")
                self._organizer = DataOrganizer(**{str(key): value for key, value in plain.items()})
            else:
                self._organizer = instantiate_target({"_target_": target, **plain}, "dataset")
        return self._organizer

    def collate_fn(self) -> Any:
        """Make the collate function of the config; `None` means torch's own."""
        section = (self.config.get("dataloader") or {}).get("collate_fn")
        return make_callable(section, "dataloader.collate_fn") if section else None

    def train_dataloader(self) -> Any:
        """Build the loader of the training split for the current epoch."""
        return self._loader("train")

    def val_dataloader(self) -> Any:
        """Build the loader of the validation split; nothing where there is none."""
        return [] if self.organizer.valid is None else self._loader("valid")

    def call_model(self, batch: Any, **more: Any) -> ForwardResult:
        """Call the model with a batch, and with `more` that the batch does not hold.

        Raises:
            ConfigError: The model does not take such a batch.
            ForwardResultError: What it returned is no result.
        """
        call = call_of(batch)
        if not self._call_checked:
            check_call(self.model, call, more)
            self._call_checked = True
        return self._read_result(self.model(*call.args, **call.fields, **more), call.batch_size, **more)

    def _loader(self, mode: str) -> Any:
        dataset = getattr(self.organizer, mode)
        if dataset is None:
            raise ConfigError(f"dataset.{mode} has no entries")
        processes, epoch = self._where()
        builder = DataLoaderBuilder(dataset, self.config, self.collate_fn(), num_device=processes, epoch=epoch)
        builder.announce = mode not in self._announced
        builder.known_sizes = self._sizes
        loader = builder.build(mode)
        if builder.announce:
            log_dataloader(_LOG, loader, mode)
        self._announced.add(mode)
        return loader

    def _where(self) -> tuple[int, int]:
        """How many processes train together, and in which epoch they are."""
        return 1, 0

    def _read_result(self, value: Any, batch_size: int, **more: Any) -> ForwardResult:
        if isinstance(value, Mapping) and "optim_idx" in value:
            name = f"{type(self.model).__module__}.{type(self.model).__qualname__}"
            raise ForwardResultError(
                f"{name}.forward returned optim_idx, as a GAN model does, and is not trained in turns here. Train it by "
                "a TTSSystem (espnet3.systems.tts.system), and derive it from espnet3.systems.tts.gan_model.AbsGANModel"
            )
        return read_forward_result(value, self.model, batch_size)


def exp_dir_of(config: Any) -> Path:
    """Give the experiment's folder of a config.

    Raises:
        ConfigError: The config has no `exp_dir`.
    """
    folder = config.get("exp_dir")
    if not folder:
        raise ConfigError("the training config has no exp_dir, the folder for checkpoints and logs")
    return Path(folder)


def _as_config(config: Any) -> DictConfig:
    if isinstance(config, DictConfig):
        return config
    if config is None:
        return OmegaConf.create({})
    made = OmegaConf.create(dict(config) if isinstance(config, Mapping) else dict(vars(config)))
    assert isinstance(made, DictConfig)
    return made
