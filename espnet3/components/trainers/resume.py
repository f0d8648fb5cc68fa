"""Whether a training begins, goes on, or is done already.

`last.ckpt` says which config it was trained with. What decides what the weights, the optimizer's state and
the random numbers mean must be the same; what only decides which data come next may differ, and then the
epoch that was begun is begun again. Files that the model or the preprocessor names (a checkpoint to begin with, a
tokenizer) must hold what they held, as long as they are there.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from esp3rt.files import state_of
from espnet3.components.callbacks.loop_state import LAST, set_to_epoch_boundary
from espnet3.parallel._sources import sources_of
from espnet3.utils.config_utils import load_default_config
from espnet3.utils.errors import ConfigError

# What a checkpoint cannot be taken up without.
_FIXED = (
    "task",
    "model",
    "init",
    "seed",
    "optimizer",
    "optimizers",
    "scheduler",
    "schedulers",
    "scheduler_interval",
    "scheduler_monitor",
    "generator_first",
)
# What decides which batches an epoch has.
_DATA = (
    "create_dataset",
    "tokenizer",
    "dataset.train",
    "dataset.preprocessor",
    "dataloader.train",
    "trainer.accumulate_grad_batches",
)
_PARTS = {"fixed": _FIXED, "data": _DATA}
# Keys under which files may be named that decide what the weights or the numbers of the data mean.
_WITH_FILES = ("model", "dataset.preprocessor")
_DEFAULTS = ("training.yaml", "espnet3.systems.base")
_SHOWN = 4


class ResumeError(ConfigError):
    """A training cannot be taken up with this config; the message says which key differs."""


@dataclass(frozen=True)
class ResumePlan:
    """What is to be done.

    Attributes:
        checkpoint: The checkpoint to go on from, or `None` to begin.
        complete: Why there is nothing to do, or empty.
        restart_epoch: Whether an epoch that was begun must be begun again.
        epochs: How many epochs the checkpoint has behind it.
        changed: Keys of the data that differ from the checkpoint's.
        code: Files of the recipe's Python that differ from those of the last checkpoint. A training goes on with
            them all the same: who changes a line of a model may know what it does.
    """

    checkpoint: Path | None = None
    complete: str = ""
    restart_epoch: bool = False
    epochs: int = 0
    changed: tuple[str, ...] = ()
    code: tuple[str, ...] = ()

    @property
    def remark(self) -> str:
        """What to say of code that is not what it was, or nothing."""
        if not self.code:
            return ""
        shown = ", ".join(self.code[:_SHOWN]) + (" and others" if len(self.code) > _SHOWN else "")
        return f"{shown} {'has' if len(self.code) == 1 else 'have'} changed since its last checkpoint"


def training_identity(config: Any) -> dict[str, dict[str, Any]]:
    """Give what `last.ckpt` keeps of a config: dotted keys and plain values.

    What the config leaves out has the value of the defaults that training configs are merged over.
    """
    usual = _usual(config)
    fixed, data = ({**usual[part], **_flat_of(config, names)} for part, names in _PARTS.items())
    texts = {key: value for key, value in {**fixed, **data}.items() if isinstance(value, str)}
    paths = sorted({path for key, path in texts.items() if key.startswith(_WITH_FILES) and _is_file(path)})
    code = sorted({path for text in texts.values() if "." in text for path in sources_of(text)})
    return {
        "fixed": fixed,
        "data": data,
        "files": {path: state_of(path) for path in paths},
        "code": {path: state_of(path) for path in code},
    }


def keep_files(identity: dict[str, dict[str, Any]], exp_dir: str | Path) -> None:
    """Let `identity` know the files that the training in `exp_dir` began with and that are gone by now."""
    path = Path(exp_dir) / LAST
    if path.is_file():
        identity["files"] = {**_identity_in(_read(path)).get("files", {}), **identity["files"]}


def plan_resume(exp_dir: str | Path, config: Any) -> ResumePlan:
    """Look at `last.ckpt` and say what is to be done.

    Raises:
        ResumeError: The config differs in a way that cannot be taken up.
    """
    path = Path(exp_dir) / LAST
    if not path.is_file():
        return ResumePlan()
    checkpoint = _read(path)
    if not isinstance(checkpoint, dict) or "espnet3" not in checkpoint:
        raise ResumeError(
            f"{path} was not written by this trainer; move it away to begin again, or name it in "
            "fit.ckpt_path of another exp_tag"
        )
    state = checkpoint["espnet3"]
    now = training_identity(config)
    before = _identity_in(checkpoint)
    if before:
        before.update({part: {**values, **before[part]} for part, values in _usual(config).items()})
        _check_fixed(path, before["fixed"], now["fixed"])
        _check_files(path, before.get("files", {}), now["files"])
    changed = tuple(_differences(before["data"], now["data"])) if before else ()
    epochs, steps = int(state["epochs"]), int(state["steps"])
    complete = _why_complete(config, state, epochs, steps)
    if complete and changed:
        # Keeping the old model would pass its results off as those of the new data.
        raise ResumeError(
            f"{path} is of a finished training on other data ({', '.join(changed[:_SHOWN])} differ); "
            "to train again use another exp_tag, or remove that file"
        )
    return ResumePlan(
        checkpoint=path,
        complete=complete,
        restart_epoch=bool(changed) and bool(state["inside_epoch"]),
        epochs=epochs,
        changed=changed,
        code=tuple(_differences(before["code"], now["code"])) if "code" in before else (),
    )


def nothing_to_do(plan: ResumePlan, exp_dir: str | Path) -> str:
    """What to say of a training that is complete."""
    return f"train: nothing to do, {plan.complete} ({exp_dir})" + (f"; but {plan.remark}" if plan.remark else "")


def restart_epoch(checkpoint: dict[str, Any]) -> None:
    """Rewrite a checkpoint from inside an epoch so that the epoch is begun again, with its weights."""
    set_to_epoch_boundary(checkpoint["loops"]["fit_loop"])
    module = checkpoint.get("espnet3_module")
    if module is not None:
        module["means"] = {}


def _why_complete(config: Any, state: Mapping[str, Any], epochs: int, steps: int) -> str:
    trainer = config.get("trainer") or {}
    max_epochs, max_steps = trainer.get("max_epochs"), trainer.get("max_steps")
    if max_epochs is not None and 0 <= int(max_epochs) <= epochs:
        return f"{epochs} epochs are done and trainer.max_epochs is {int(max_epochs)}"
    if max_steps is not None and 0 <= int(max_steps) <= steps:
        return f"{steps} steps are done and trainer.max_steps is {int(max_steps)}"
    if state["stopped_early"]:
        return f"it stopped early after {epochs} epochs"
    return ""


def _check_fixed(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    differences = _differences(before, now)
    if not differences:
        return
    shown = [
        f"{key}: {_show(before.get(key, '(absent)'))} then, {_show(now.get(key, '(absent)'))} now"
        for key in differences[:_SHOWN]
    ]
    more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
    raise ResumeError(
        f"{path} was trained with another config, and cannot be taken up with this one "
        f"({'; '.join(shown)}{more}). "
        "Put the value back to go on; to begin again use another exp_tag, or remove that file"
    )


def _check_files(path: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    # A file that is gone is needed no more: what it held is in the checkpoint.
    changed = [name for name in before if name in now and before[name] != now[name]]
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise ResumeError(
            f"{path} was trained with another {changed[0]}{more}: the file has changed since. To train again use another "
            "exp_tag, or remove that checkpoint"
        )


def _read(path: Path) -> Any:
    try:
        # Mapped, not read: only the few plain values are looked at.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        raise ResumeError(
            f"{path} cannot be read ({str(error).splitlines()[0] if str(error) else type(error).__name__}); "
            "remove it to begin again, or use another exp_tag"
        ) from error


def _identity_in(checkpoint: Any) -> dict[str, Any]:
    state = checkpoint.get("espnet3") if isinstance(checkpoint, dict) else None
    return dict(state["identity"] or {}) if state else {}


def _is_file(text: str) -> bool:
    return 0 < len(text) < 4096 and "\0" not in text and os.path.isfile(text)


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    missing = object()
    return [key for key in dict.fromkeys((*before, *now)) if before.get(key, missing) != now.get(key, missing)]


def _select(config: Any, name: str) -> Any:
    value: Any = config
    for part in name.split("."):
        value = value.get(part) if hasattr(value, "get") else None
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _usual(config: Any) -> dict[str, dict[str, Any]]:
    """What the defaults of a training config say, which a config need not have been merged over."""
    usual = load_default_config(*_DEFAULTS)
    if config.get("recipe_dir") is not None:
        usual.recipe_dir = config.get("recipe_dir")
    return {part: _flat_of(usual, names) for part, names in _PARTS.items()}


def _flat_of(config: Any, names: Iterable[str]) -> dict[str, Any]:
    return {key: value for name in names for key, value in _flat(name, _select(config, name))}


def _flat(name: str, value: Any) -> list[tuple[str, Any]]:
    if value is None or value == "" or value == {} or value == []:
        return []
    if isinstance(value, Mapping):
        return [pair for key, entry in value.items() for pair in _flat(f"{name}.{key}", entry)]
    if isinstance(value, list | tuple):
        return [pair for place, entry in enumerate(value) for pair in _flat(f"{name}[{place}]", entry)]
    return [(name, value if isinstance(value, str | int | float | bool) else repr(type(value)))]


def _show(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"
