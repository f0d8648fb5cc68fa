"""Lightning's Trainer with what a recipe's training needs around it.

The `trainer` section of a config holds Lightning's own arguments; `logger`, `callbacks`, `strategy`,
`plugins` and `profiler` may be targets. Added to it are the default callbacks, checkpoints that appear
whole, an own taking up from `last.ckpt`, and silence on the console but for the lines that say something.
"""

import inspect
import logging
import signal
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import lightning
import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, Checkpoint, LearningRateMonitor
from lightning_utilities.core.rank_zero import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from esp3rt.files import remove_partials
from esp3rt.progress import console_line
from espnet3.components.callbacks.checkpoints import BestCheckpoints
from espnet3.components.callbacks.default_callbacks import get_default_callbacks
from espnet3.components.callbacks.last_checkpoint import StopWithoutSaving
from espnet3.components.modeling.lightning_module import ESPnetLightningModule
from espnet3.components.modeling.model_with_data import exp_dir_of
from espnet3.components.trainers.alone import Hold
from espnet3.components.trainers.checkpoint_io import AtomicCheckpointIO
from espnet3.components.trainers.environment import place_training
from espnet3.components.trainers.quiet import quiet_console
from espnet3.components.trainers.resume import (
    ResumePlan,
    keep_files,
    nothing_to_do,
    plan_resume,
    restart_epoch,
    training_identity,
)
from espnet3.components.trainers.signals import Signals, ended_with_workers, let_end_by_itself
from espnet3.components.trainers.together import by_first, meet
from espnet3.utils.again import Stop, Stopped, asked, forget, listening
from espnet3.utils.config_errors import at_key, named_in
from espnet3.utils.errors import ConfigError, StageError, did_you_mean
from espnet3.utils.instantiation import instantiate_target
from espnet3.utils.ranks import one_training

Told = TypeVar("Told")

_LOG = logging.getLogger(__name__)
_OWN_KEYS = ("log_interval",)


class ESPnet3LightningTrainer:
    """Trains an `ESPnetLightningModule` in an experiment's folder.

    Args:
        model: The module.
        exp_dir: The folder for checkpoints, logs and curves; by default that of the config.
        config: The training config; by default that of the module. Read are `trainer`, `fit`, `seed`,
            `checkpoint_every`, `best_model_criterion` and what identifies the training.
        best_model_criterion: Triples of metric, how many checkpoints to keep, and `min` or `max`; by default
            those of the config.

    Attributes:
        trainer: Lightning's Trainer.

    Raises:
        ConfigError: A key of `trainer` that Lightning does not have, or one that does not fit.
    """

    def __init__(
        self,
        model: ESPnetLightningModule | None = None,
        exp_dir: str | Path | None = None,
        config: DictConfig | Namespace | dict[str, Any] | None = None,
        best_model_criterion: Sequence[Sequence[Any]] | None = None,
    ) -> None:
        if model is None:
            raise ConfigError("the trainer needs a model: ESPnetLightningModule(model, config)")
        self.model = model
        self.config = _as_config(model.config if config is None else config)
        self.exp_dir = Path(exp_dir) if exp_dir else exp_dir_of(self.config)
        criterion = best_model_criterion or self.config.get("best_model_criterion") or [("valid/loss", 3, "min")]
        if OmegaConf.is_config(criterion):
            criterion = OmegaConf.to_container(criterion, resolve=True)
        self.identity = training_identity(self.config)
        self._plan = ResumePlan()
        self._hold = Hold(self.exp_dir)
        self._have_met = False
        self._stop_together = False
        with quiet_console():
            self.trainer = self._build(_read_trainer_section(self.config), list(criterion))

    def fit(self, *args: Any, **kwargs: Any) -> None:
        """Train: begin, or go on from `last.ckpt`, or say that there is nothing to do.

        Args:
            args, kwargs: For Lightning's `fit`, over those of `config.fit`.

        Raises:
            ResumeError: `last.ckpt` was trained with another config.
            TrainingDiverged: Too many losses in a row were no finite numbers.
            StageError: Another process has taken this training over.
            SystemExit: The process was asked to stop, and `last.ckpt` has been written: `espnet3.utils.again.AGAIN` by
                SIGUSR2, which stands for being started again, and 143 by SIGTERM.
        """
        with listening(signal.SIGUSR2):
            try:
                self._fit(*args, **kwargs)
            except Stopped as stopped:
                self._leave(stopped)
            except RuntimeError as error:
                if not ended_with_workers(error):
                    raise
                self._leave(Stopped(asked()), saved=False)
            except SystemExit as error:
                # Lightning makes an exit of Ctrl-C, and so of an interruption a failure.
                if isinstance(error.__context__, KeyboardInterrupt):
                    raise KeyboardInterrupt from None
                raise

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Train in a block in which no other process trains in the folder, unless it takes this one for dead.

        Raises:
            StageError: Another process is training there.
        """
        self._meet()
        self._by_first(self._hold.take if self.trainer.is_global_zero else lambda: None)
        try:
            yield
        except SystemExit:
            self._hold.release()
            if self._have_met and self._stop_together:
                # SLURM ends all once one has ended with a code: not before the hold is given up, and all have the same code.
                let_end_by_itself()
                self.trainer.strategy.barrier()
            raise
        finally:
            self._hold.release()

    def _fit(self, *args: Any, **kwargs: Any) -> None:
        given = OmegaConf.to_container(self.config.get("fit") or OmegaConf.create({}), resolve=True)
        assert isinstance(given, dict)
        options: dict[str, Any] = {**{str(key): value for key, value in given.items()}, **kwargs}
        self._meet()
        self._plan = self._by_first(lambda: plan_resume(self.exp_dir, self.config))
        if self._plan.complete:
            _say(nothing_to_do(self._plan, self.exp_dir))
            return
        keep_files(self.identity, self.exp_dir)
        self.exp_dir.mkdir(parents=True, exist_ok=True)
        if self.trainer.is_global_zero:
            remove_partials(self.exp_dir)
        if self._plan.checkpoint is not None:
            options["ckpt_path"] = str(self._plan.checkpoint)
            self._announce_resume()
        self._check_data()
        self._announce_model()
        with quiet_console(), _misconfigured(self.config), one_training(self.trainer):
            self.trainer.fit(self.model, *args, **options)
        self._announce_end()

    def _meet(self) -> None:
        if not self._have_met:
            with quiet_console():
                self._have_met = meet(self.trainer)

    def _by_first(self, act: Callable[[], Told]) -> Told:
        return by_first(self.trainer, act) if self._have_met else act()

    def _leave(self, stopped: Stopped, saved: bool = True) -> NoReturn:
        if stopped.why is Stop.LOST:
            raise StageError(
                f"another process trains in {self.exp_dir} by now, since this one seemed to be dead; it stops here and has "
                "written nothing since"
            ) from None
        forget()
        self._stop_together = saved
        name = "SIGTERM" if stopped.why is Stop.END else "SIGUSR2"
        what = (
            f"after {self.trainer.global_step} steps" if saved else "together with what loads its data, and not saved"
        )
        _say(f"train: stopped by {name} {what}; run it again to go on")
        raise SystemExit(stopped.code) from None

    def validate(self, *args: Any, **kwargs: Any) -> Any:
        """Validate once; arguments and result are those of Lightning's `validate`."""
        with quiet_console():
            return self.trainer.validate(self.model, *args, **{"verbose": False, **kwargs})

    def collect_stats(self, *args: Any, **kwargs: Any) -> None:
        """Write shapes and feature statistics of both splits under `stats_dir`."""
        self.model.collect_stats(*args, **kwargs)

    def _build(self, section: dict[str, Any], criterion: list[Any]) -> lightning.Trainer:
        log_interval = int(section.pop("log_interval", 500))
        logger = self._logger(section)
        every = self.config.get("checkpoint_every")
        callbacks: list[Callback] = get_default_callbacks(
            str(self.exp_dir),
            log_interval,
            criterion,
            seed=int(self.config.get("seed") or 0),
            checkpoint_every=600.0 if every is None else float(every),
            identity=self.identity,
            is_lost=self._hold.is_lost,
        )
        callbacks.append(_EpochRestart(self))
        if not logger:
            callbacks = [callback for callback in callbacks if not isinstance(callback, LearningRateMonitor)]
        if section.get("enable_checkpointing") is False:
            callbacks = [callback for callback in callbacks if not isinstance(callback, Checkpoint)]
            callbacks.append(StopWithoutSaving())
        callbacks += _targets(section.pop("callbacks", None), "trainer.callbacks")
        plugins = _targets(section.pop("plugins", None), "trainer.plugins")
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            plugins.append(AtomicCheckpointIO(self._hold.see_it_is_kept))
        plugins += place_training(section, plugins)
        for key in ("strategy", "profiler", "accelerator"):
            if isinstance(section.get(key), Mapping):
                section[key] = instantiate_target(section[key], f"trainer.{key}")
        self._check_for_several(section)
        loader = (self.config.get("dataloader") or {}).get("train") or {}
        defaults: dict[str, Any] = {
            "accelerator": "auto",
            "devices": 1,
            "precision": _default_precision(section.get("accelerator", "auto")),
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "default_root_dir": str(self.exp_dir),
            # The batches are shared out where they are planned.
            "use_distributed_sampler": False,
            "reload_dataloaders_every_n_epochs": int((loader.get("total_shards") or 1) > 1),
        }
        given = {key: value for key, value in section.items() if value is not None}
        with at_key("trainer", given):
            trainer = lightning.Trainer(**{**defaults, **given}, logger=logger, callbacks=callbacks, plugins=plugins)
        trainer._signal_connector = Signals(trainer)  # type: ignore[assignment]
        return trainer

    def _logger(self, section: dict[str, Any]) -> Any:
        wanted = section.pop("logger", None)
        if wanted is False or wanted == []:
            return False
        if wanted is None or wanted is True:
            from lightning.pytorch.loggers import TensorBoardLogger

            return TensorBoardLogger(str(self.exp_dir), name="tensorboard", version="")
        return _targets(wanted, "trainer.logger")

    def _check_for_several(self, section: Mapping[str, Any]) -> None:
        if self.model.automatic_optimization:
            return
        for key in ("gradient_clip_val", "gradient_clip_algorithm", "accumulate_grad_batches"):
            if section.get(key) not in (None, 1 if key == "accumulate_grad_batches" else None):
                own = "accum_grad_steps" if key == "accumulate_grad_batches" else key
                raise ConfigError(f"with optimizers by name, trainer.{key} is written as optimizers.NAME.{own}")
        if str(section.get("precision")) not in ("16", "16-mixed"):
            return
        for name, entry in self.model.config.optimizers.items():
            if entry.get("gradient_clip_val"):
                # Lightning takes the scale of half precision off in the optimizer's step, too late for clipping.
                raise ConfigError(
                    f"optimizers.{name}.gradient_clip_val does not go with trainer.precision 16-mixed; use bf16-mixed "
                    "or 32-true",
                    key="trainer.precision",
                )

    def _check_data(self) -> None:
        """Find mistakes in the data and criteria before the first epoch, not after it."""
        if not self.model.config.get("dataset"):
            return
        organizer = self.model.organizer
        organizer.log_summary(_LOG)
        if organizer.valid is not None:
            return
        for callback in self.trainer.checkpoint_callbacks:
            if isinstance(callback, BestCheckpoints) and callback.monitor.startswith("valid/"):
                raise ConfigError(
                    f"best_model_criterion asks for {callback.monitor}, but dataset.valid has no "
                    "entries; add "
                    "some, or use train/loss"
                )

    def _announce_model(self) -> None:
        parameters = list(self.model.model.parameters())
        total = sum(parameter.numel() for parameter in parameters)
        trainable = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
        _LOG.info("%s", self.model.model)
        share = "" if trainable == total else f", {trainable:,} of them trainable"
        device = type(self.trainer.accelerator).__name__.removesuffix("Accelerator")
        count = self.trainer.num_devices * self.trainer.num_nodes
        on = device if count == 1 else f"{count} × {device}"
        _say(
            f"model: {type(self.model.model).__name__} with {total:,} parameters{share}, on {on}, "
            f"{self.trainer.precision}"
        )

    def _announce_resume(self) -> None:
        plan = self._plan
        _say(f"train: goes on after {plan.epochs} epochs, from {plan.checkpoint}")
        if plan.changed:
            again = "; the epoch that was begun is begun again" if plan.restart_epoch else ""
            _say(f"train: the data of the config have changed since ({', '.join(plan.changed[:4])}){again}")
        if plan.remark:
            _say(f"warning: train: {plan.remark}")

    def _announce_end(self) -> None:
        best = [
            f"best {callback.monitor} {callback.best_model_score:.4g} ({Path(callback.best_model_path).name})"
            for callback in self.trainer.checkpoint_callbacks
            if isinstance(callback, BestCheckpoints) and callback.best_model_score is not None
        ]
        _say(", ".join([f"train: {self.trainer.current_epoch} epochs done", *best]))


class _EpochRestart(Callback):
    """Takes a checkpoint back to the beginning of its epoch where the epoch's data are others now."""

    def __init__(self, owner: ESPnet3LightningTrainer) -> None:
        self.owner = owner

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Change the checkpoint before the loops read it."""
        if self.owner._plan.restart_epoch:
            restart_epoch(checkpoint)


def _read_trainer_section(config: DictConfig) -> dict[str, Any]:
    section = config.get("trainer") or {}
    plain = OmegaConf.to_container(section, resolve=True) if OmegaConf.is_config(section) else dict(section)
    assert isinstance(plain, dict)
    known = [*inspect.signature(lightning.Trainer.__init__).parameters, *_OWN_KEYS]
    known.remove("self")
    for key in plain:
        if key not in known:
            raise ConfigError(f"trainer has no key {key!r}{did_you_mean(str(key), known)}", key="trainer." + str(key))
    return {str(key): value for key, value in plain.items()}


@contextmanager
def _misconfigured(config: DictConfig) -> Iterator[None]:
    """Let Lightning's complaint about a setting that it names know the setting's key."""
    try:
        yield
    except MisconfigurationException as error:
        name = named_in(str(error), config.get("trainer") or {})
        if name is None:
            raise
        with at_key("trainer." + name):
            raise


def _targets(value: Any, where: str) -> list[Any]:
    if value is None:
        return []
    entries = value if isinstance(value, list | tuple) else [value]
    return [
        instantiate_target(entry, f"{where}[{place}]") if isinstance(entry, Mapping | DictConfig) else entry
        for place, entry in enumerate(entries)
    ]


def _default_precision(accelerator: Any) -> str:
    wants_cuda = accelerator in ("auto", "gpu", "cuda")
    if wants_cuda and torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16-mixed"
    return "32-true"


def _as_config(config: Any) -> DictConfig:
    if isinstance(config, DictConfig):
        return config
    made = OmegaConf.create(vars(config) if isinstance(config, Namespace) else dict(config))
    assert isinstance(made, DictConfig)
    return made


@rank_zero_only
def _say(text: str) -> None:
    _LOG.info(text)
    console_line(text)
