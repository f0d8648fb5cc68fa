"""The stages `collect_stats` and `train`.

Nothing heavy is imported before a stage runs.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from espnet3.utils.config_errors import uses_config

if TYPE_CHECKING:
    from omegaconf import DictConfig


@uses_config
def collect_stats(config: "DictConfig") -> None:
    """Write the shapes and feature statistics of the training and validation data under `stats_dir`.

    Args:
        config: The training config. Read are `stats_dir`, `dataset`, `dataloader.collate_fn`, `model`,
            `task`,
            `stage_parallel.collect_stats` or `parallel`, and `write_collected_feats`.

    Raises:
        ConfigError: A key does not fit.
    """
    from espnet3.components.data.collect_stats import collect_stats_of_config

    _set_threads(config)
    collect_stats_of_config(_measured(config))


@uses_config
def train(config: "DictConfig", *, trainer_of: "Callable[[DictConfig, Any], Any] | None" = None) -> None:
    """Train the model of a config in its `exp_dir`, from the beginning or from where it stopped.

    Written are `last.ckpt`, the best checkpoints and their average, `history.csv`, `learning_curve.png`,
    `config.yaml` and `tensorboard/`. A training that is complete is left as it is.

    Args:
        config: The training config.
        trainer_of: Makes an `ESPnet3LightningTrainer` of the config and the model; `build_trainer` by default. A
            system hands over its own.

    Raises:
        ConfigError: A key does not fit, or the training in `exp_dir` had another config.
        TrainingDiverged: Too many losses in a row were no finite numbers.
        StageError: Another process is training there, or has taken this training over.
        SystemExit: It was asked to stop: with `espnet3.utils.again.AGAIN` by SIGUSR2, with 143 by SIGTERM.
    """
    import signal

    from espnet3.utils.again import listening

    with listening(signal.SIGUSR2):
        _train(config, trainer_of or build_trainer)


def _train(config: "DictConfig", trainer_of: "Callable[[DictConfig, Any], Any]") -> None:
    from esp3rt.progress import console_line
    from espnet3.components.modeling.model_with_data import exp_dir_of
    from espnet3.components.trainers.alone import Hold
    from espnet3.components.trainers.resume import nothing_to_do, plan_resume
    from espnet3.utils.importing import large_imports
    from espnet3.utils.pretrained_weights import without_loading
    from espnet3.utils.slurm_shape import task_of

    _set_threads(config)
    exp_dir = exp_dir_of(config)
    plan = plan_resume(exp_dir, config)
    # Processes that SLURM has started side by side decide that together, once they have met.
    if plan.complete and task_of() is None:
        # Where another process still trains there, it has not come to the end of what it trains for.
        hold = Hold(exp_dir)
        hold.take()
        hold.release()
        console_line(nothing_to_do(plan, exp_dir))
        return
    with large_imports():
        import lightning
        import torch
    lightning.seed_everything(int(config.get("seed") or 0), workers=False, verbose=False)
    # A training that is taken up has its weights in last.ckpt: the pretrained ones need not be there any more.
    with without_loading() if plan.checkpoint else nullcontext():
        model = build_model(config)
    trainer = trainer_of(config, model)
    # Matrix units of a GPU are used for 32-bit products, as is usual in training.
    torch.set_float32_matmul_precision("high")
    with trainer.alone():
        if trainer.trainer.is_global_zero and not plan.complete:
            _write_config(config, exp_dir)
        trainer.fit()


def is_complete(config: "DictConfig") -> bool:
    """Whether a training has nothing left to do, which is said then; nothing is built for that.

    Raises:
        ConfigError: The training in `exp_dir` had another config.
        StageError: Another process is training there.
    """
    from esp3rt.progress import console_line
    from espnet3.components.modeling.model_with_data import exp_dir_of
    from espnet3.components.trainers.alone import Hold
    from espnet3.components.trainers.resume import nothing_to_do, plan_resume

    exp_dir = exp_dir_of(config)
    plan = plan_resume(exp_dir, config)
    if plan.checkpoint is None:
        return False
    hold = Hold(exp_dir)
    hold.take()
    hold.release()
    if plan.complete:
        console_line(nothing_to_do(plan, exp_dir))
    return bool(plan.complete)


def build_trainer(config: "DictConfig", model: Any) -> Any:
    """Build the `ESPnet3LightningTrainer` of a training config and its model; for a GAN model that which takes turns.

    Raises:
        ConfigError: A key does not fit.
    """
    from espnet3.components.modeling.lightning_module import ESPnetLightningModule
    from espnet3.components.modeling.model_with_data import exp_dir_of
    from espnet3.components.trainers.own_trainers import builder_for
    from espnet3.components.trainers.trainer import ESPnet3LightningTrainer

    own = builder_for(model)
    if own is not None:
        return own(config, model)
    return ESPnet3LightningTrainer(ESPnetLightningModule(model, config), exp_dir_of(config), config)


def build_model(config: "DictConfig") -> Any:
    """Build the model of a training config: that of `task`, or `model` as a target; then `init`.

    Raises:
        ConfigError: A key does not fit.
    """
    from espnet3.components.modeling.initialize import initialize
    from espnet3.utils.errors import ConfigError
    from espnet3.utils.instantiation import instantiate_target

    if not config.get("model"):
        raise ConfigError("the training config has no model; write one, such as {_target_: src.model.MyModel}")
    if config.get("task"):
        from espnet3.components.modeling.transducer_loss import give_loss
        from espnet3.utils.task_utils import get_espnet_model, model_settings

        model = give_loss(get_espnet_model(config.task, model_settings(config)))
    else:
        model = instantiate_target(config.model, "model")
    if not callable(getattr(model, "parameters", None)):
        raise ConfigError(f"model must be a torch.nn.Module; the target made {type(model).__qualname__}")
    if config.get("init"):
        initialize(model, str(config.init))
    return model


def _measured(config: "DictConfig") -> Any:
    """The config that data is measured with: the model of a task has its tokens, and no normalization yet."""
    if not config.get("task"):
        return config
    from omegaconf import OmegaConf

    from espnet3.utils.task_utils import model_settings

    return OmegaConf.merge(config, {"model": None}, {"model": model_settings(config, measuring=True)})


def _set_threads(config: "DictConfig") -> None:
    if config.get("num_threads"):
        import torch

        torch.set_num_threads(int(config.num_threads))


def _write_config(config: "DictConfig", exp_dir: Any) -> None:
    if config.get("task"):
        from espnet3.utils.task_utils import save_espnet_config

        save_espnet_config(config.task, config, str(exp_dir))
        return
    from copy import deepcopy

    from omegaconf import OmegaConf

    from esp3rt.files import write_text
    from espnet3.utils.config_utils import resolve_config

    # `to_yaml(resolve=True)` would write a text that only looks like an interpolation as if it were one.
    resolved = deepcopy(config)
    resolve_config(resolved)
    write_text(exp_dir / "config.yaml", OmegaConf.to_yaml(resolved))
