"""What a config may name: with a list only what stands there, without one nothing that executes what it is given."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from espnet3.components.data.dataset_module import load_dataset_module
from espnet3.utils._dotted import import_dotted
from espnet3.utils.config_utils import load_and_merge_config, resolve_config
from espnet3.utils.instantiation import instantiate, instantiate_target
from espnet3.utils.targets import TargetRefused, allow_targets, any_target

COUNTER = {"_target_": "collections.Counter", "a": 1}


@pytest.fixture(autouse=True)
def free() -> Iterator[None]:
    yield
    any_target()


def loaded(folder: Path, text: str) -> DictConfig:
    path = folder / "conf" / "training.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    config = load_and_merge_config(path, "training.yaml", "espnet3.systems.base", resolve=False)
    assert config is not None
    resolve_config(config)
    return config


def test_what_the_recipe_names_is_made() -> None:
    allow_targets(["collections.Counter", "os.path.join", "src/asr"], {})

    assert instantiate_target(COUNTER, "model") == {"a": 1}
    assert instantiate({"x": [COUNTER]}, "x")["x"][0] == {"a": 1}
    assert import_dotted("os.path.join", "output_fn")("a", "b") == "a/b"


@pytest.mark.parametrize(
    "yaml, key, line, named",
    [
        ("model:\n  _target_: os.getcwd\n", "model._target_", 2, "os.getcwd"),
        ("a:\n  - b:\n      c: {_target_: os.getcwd}\n", "a[0].b.c._target_", 3, "os.getcwd"),
        ("model:\n  _target_: ${name}\nname: os.getcwd\n", "model._target_", 2, "os.getcwd"),
        ("f:\n  _target_: hydra.utils.get_object\n  path: os.getcwd\n", "f.path", 3, "os.getcwd"),
        ("f:\n  _target_: hydra.utils.get_method\n  _args_: [os.getcwd]\n", "f._args_", 3, "os.getcwd"),
        ("f:\n  _target_: hydra.utils.instantiate\n", "f._target_", 2, "hydra.utils.instantiate"),
        ("model:\n  _target_: os.system\n", "model._target_", 2, "os.system"),
    ],
)
def test_another_target_is_refused_with_its_line(tmp_path: Path, yaml: str, key: str, line: int, named: str) -> None:
    config = loaded(tmp_path, yaml)
    with pytest.raises(TargetRefused) as caught:
        allow_targets(["collections.Counter"], {"inference": None, "training": config})

    assert f"conf/training.yaml:{line}: {key}: {named} is not named in the recipe" in str(caught.value)
    assert "build again" in str(caught.value)
    assert caught.value.key == key


@pytest.mark.parametrize("path", [None, 3, {"_target_": "builtins.str"}])
def test_a_path_that_is_made_up_while_running_is_refused(path: Any) -> None:
    config = OmegaConf.create({"f": {"_target_": "hydra.utils.get_object", "path": path}})
    with pytest.raises(TargetRefused, match=r"f\.path"):
        allow_targets(["builtins.str"], {"own": config})


def test_look_ups_and_the_frameworks_own_targets_pass(tmp_path: Path) -> None:
    config = loaded(tmp_path, "f:\n  _target_: hydra.utils.get_object\n  path: os.getcwd\n")
    assert config.dataset._target_ == "espnet3.components.data.data_organizer.DataOrganizer"
    allow_targets(["os.getcwd"], {"training": config})

    assert instantiate(config.f, "f")() == str(Path.cwd())


def test_a_value_that_comes_late_is_refused_late(monkeypatch: pytest.MonkeyPatch) -> None:
    config = OmegaConf.create({"model": {"_target_": "${oc.env:LATE}"}})
    allow_targets(["collections.Counter"], {"own": config})
    monkeypatch.setenv("LATE", "os.getcwd")
    for make in (instantiate, instantiate_target):
        with pytest.raises(TargetRefused, match=r"model\._target_: os\.getcwd is not named"):
            make(config.model, "model")


def test_functions_and_datasets_by_name_are_held_to_the_list_too() -> None:
    allow_targets(["os.path.join"], {})
    with pytest.raises(TargetRefused, match=r"output_fn: os\.path\.split is not named.*did you mean 'os\.path\.join'"):
        import_dotted("os.path.split", "output_fn")
    with pytest.raises(TargetRefused, match=r"data_src: json\.tool is not named"):
        load_dataset_module("json.tool")


@pytest.mark.parametrize(
    "path", ["os.system", "subprocess.run", "builtins.eval", "pickle.loads", "posix.system", "shutil.os.system"]
)
def test_without_a_list_only_what_executes_is_refused(path: str) -> None:
    assert instantiate_target(COUNTER, "model") == {"a": 1}
    for refuse in (import_dotted, instantiate_target):
        with pytest.raises(TargetRefused, match=r"^output_fn.*executes what it is given"):
            refuse(path, "output_fn")


def test_a_recipe_may_name_what_executes() -> None:
    import os

    allow_targets(["os.system"], {})
    assert import_dotted("os.system", "output_fn") is os.system
