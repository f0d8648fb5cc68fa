"""The stages `collect_stats` and `train`.

Nothing heavy is imported before a stage runs.
"""

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
    collect_stats_of_config(config)


@uses_config
def train(config: "DictConfig") -> None:
    """Train the model of a config in its `exp_dir`, from the beginning or from where it stopped.

    Written are `last.ckpt`, the best checkpoints and their average, `history.csv`, `learning_curve.png`,
    `config.yaml` and `tensorboard/`. A training that is complete is left as it is.

    Args:
        config: The training config.

    Raises:
        ConfigError: A key does not fit, or the training in `exp_dir` had another config.
        TrainingDiverged: Too many losses in a row were no finite numbers.
    """
    import lightning
    import torch

    from esp3rt.progress import console_line
    from espnet3.components.modeling.lightning_module import ESPnetLightningModule, exp_dir_of
    from espnet3.components.trainers.resume import plan_resume
    from espnet3.components.trainers.trainer import ESPnet3LightningTrainer

    _set_threads(config)
    exp_dir = exp_dir_of(config)
    plan = plan_resume(exp_dir, config)
    if plan.complete:
        console_line(f"train: nothing to do, {plan.complete} ({exp_dir})")
        return
    lightning.seed_everything(int(config.get("seed") or 0), workers=False, verbose=False)
    model = build_model(config)
    trainer = ESPnet3LightningTrainer(ESPnetLightningModule(model, config), exp_dir, config)
    if trainer.trainer.is_global_zero:
        _write_config(config, exp_dir)
    # Matrix units of a GPU are used for 32-bit products, as is usual in training.
    torch.set_float32_matmul_precision("high")
    trainer.fit()


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
        from espnet3.utils.task_utils import get_espnet_model

        model = get_espnet_model(config.task, config.model)
    else:
        model = instantiate_target(config.model, "model")
    if not callable(getattr(model, "parameters", None)):
        raise ConfigError(f"model must be a torch.nn.Module; the target made {type(model).__qualname__}")
    if config.get("init"):
        initialize(model, str(config.init))
    return model


def _set_threads(config: "DictConfig") -> None:
    if config.get("num_threads"):
        import torch

        torch.set_num_threads(int(config.num_threads))


def _write_config(config: "DictConfig", exp_dir: Any) -> None:
    if config.get("task"):
        from espnet3.utils.task_utils import save_espnet_config

        save_espnet_config(config.task, config, str(exp_dir))
        return
    from omegaconf import OmegaConf

    from esp3rt.files import write_text

    write_text(exp_dir / "config.yaml", OmegaConf.to_yaml(config, resolve=True))
