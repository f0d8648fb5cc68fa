"""What the compiler knows of ESPnet3, Lightning, torch and submitit as data, held against the real things."""

from __future__ import annotations

import inspect
from importlib.resources import files
from typing import Any

import pytest
import yaml

from esp3c.schema import types as t
from esp3c.schema.backends import BACKENDS, SLURM
from esp3c.schema.blocks import CONFIGS, DATA_ORGANIZER, LOADER, OWN, TRAINING
from esp3c.schema.lightning import LOADER_ARGUMENTS, TIMEDELTAS, TRAINER
from esp3c.schema.stages import KNOWN_STAGES, NOT_STAGES, SYSTEMS


def parameters(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters) - {"self"}


def test_trainer_keys_are_lightnings() -> None:
    import lightning

    # ESPnet3's own key; Lightning does not have it.
    own = {"log_interval"}

    assert set(TRAINER.names) - own == parameters(lightning.Trainer.__init__)


def test_timedeltas_are_settings_of_the_trainer() -> None:
    assert set(TRAINER.names) >= TIMEDELTAS


def test_loader_arguments_are_torchs() -> None:
    from torch.utils.data import DataLoader

    # The dataset is what the config is for.
    assert {key.name for key in LOADER_ARGUMENTS} == parameters(DataLoader.__init__) - {"dataset"}


def test_own_loader_keys_are_those_that_espnet3_takes() -> None:
    from espnet3.components.data import dataloader

    own = set(LOADER.names) - {key.name for key in LOADER_ARGUMENTS}
    source = inspect.getsource(dataloader)

    assert {name for name in own if f'"{name}"' not in source} <= {"multiple_iterator"}


def test_slurm_settings_are_submitits() -> None:
    from submitit.slurm.slurm import SlurmExecutor, _make_sbatch_string

    # The number of workers is the runtime's; `extra` is submitit's `additional_parameters`.
    ours = {"n_workers": None, "extra": "additional_parameters"}
    for key in SLURM.names:
        name = ours.get(key, key)
        assert name is None or name in parameters(_make_sbatch_string), key
    assert SlurmExecutor.name() in BACKENDS


@pytest.mark.parametrize("path", SYSTEMS)
def test_systems_have_the_stages_that_are_known(path: str) -> None:
    from importlib import import_module

    module, _, name = path.rpartition(".")
    system = getattr(import_module(module), name)
    methods = {
        each
        for each, value in inspect.getmembers(system, inspect.isfunction)
        if not each.startswith("_") and each not in NOT_STAGES and not inspect.isdatadescriptor(value)
    }

    assert {stage.name for stage in SYSTEMS[path]} <= methods
    assert methods - {stage.name for stage in SYSTEMS[path]} <= {"stage_log_dir"}


def test_stages_need_the_configs_that_espnet3_says() -> None:
    from espnet3.utils.stages_utils import STAGE_CONFIGS

    known = {name: tuple(f"{each}_config" for each in stage.requires) for name, stage in KNOWN_STAGES.items()}

    assert known == dict(STAGE_CONFIGS)


@pytest.mark.parametrize("config", ["training", "inference", "metrics", "publication"])
def test_defaults_of_espnet3_are_known_keys(config: str) -> None:
    text = files("espnet3.systems.base").joinpath("conf", f"{config}.yaml").read_text(encoding="utf-8")

    def unknown(data: Any, block: t.Block, where: str) -> list[str]:
        found = []
        for name, value in data.items():
            key = block.key(name)
            if key is None:
                found += [] if block.open or name == "_target_" else [f"{where}.{name}"]
                continue
            inner = [each for each in _options(key.type) if isinstance(each, t.Inside)]
            if isinstance(value, dict) and inner:
                found += unknown(value, inner[0].block, f"{where}.{name}")
        return found

    assert unknown(yaml.safe_load(text), CONFIGS[config], config) == []


def _options(type: t.Type) -> tuple[t.Type, ...]:
    return type.options if isinstance(type, t.Either) else (type,)


def test_every_config_has_the_scaffold() -> None:
    text = files("espnet3.systems.base").joinpath("conf", "scaffold.yaml").read_text(encoding="utf-8")

    assert set(yaml.safe_load(text)) <= set(OWN.names)


def test_the_implied_target_is_there() -> None:
    from hydra.utils import get_class

    assert get_class(DATA_ORGANIZER).__name__ == "DataOrganizer"


def test_every_key_has_words_for_its_type_and_its_meaning() -> None:
    for block in (*CONFIGS.values(), TRAINER, LOADER, *BACKENDS.values()):
        for key in block.keys:
            assert key.doc and t.words(key.type), key.name
    assert TRAINING.key("optimizer") is not None and TRAINING.key("optimiser") is None
