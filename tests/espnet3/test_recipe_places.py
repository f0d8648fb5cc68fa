"""From an error to the line of the recipe, or of the YAML file, that it is about."""

import hashlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from espnet3.utils.config_errors import at_key, config_in_use, fault_of, named_in
from espnet3.utils.config_keys import misspelt_keys
from espnet3.utils.config_utils import load_and_merge_config
from espnet3.utils.error_report import Report, report_on, told
from espnet3.utils.errors import ConfigError
from espnet3.utils.instantiation import instantiate, instantiate_target
from espnet3.utils.recipe_places import Place, place_of_key
from espnet3.utils.stages_utils import run_stages

RECIPE = """# A recipe.
training {
  model = demo_parts.Model(size = -7)
  optimizer = torch.optim.AdamW(
    lr = 0.5,
  )
}
"""
YAML = """# Written from a recipe.
model:
  _target_: demo_parts.Model
  size: -7
optimizer:
  _target_: torch.optim.AdamW
  lr: 0.5
"""
PARTS = """
class Model:
    def __init__(self, size=1):
        if size < 0:
            raise ValueError(f"size must not be {size}")
        self.helper = Helper()

    def forward(self, x):
        return self.helper.work(x)


class Helper:
    def work(self, x):
        return [][x]


def call_back(function):
    return function()
"""


def value(at: str, line: int, written: str, recipe: str = RECIPE) -> dict[str, Any]:
    start = recipe.index(written)
    before = recipe[:start]
    place = f"recipe.esp:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
    return {"at": at, "line": line, "recipe": place, "start": start, "end": start + len(written)}


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A built recipe, and the module that it names."""
    (tmp_path / "conf").mkdir()
    (tmp_path / ".esp3c").mkdir()
    (tmp_path / "recipe.esp").write_text(RECIPE)
    (tmp_path / "conf" / "training.yaml").write_text(YAML)
    (tmp_path / "demo_parts.py").write_text(PARTS)
    values = [
        value("model._target_", 3, "demo_parts.Model"),
        value("model.size", 4, "-7"),
        value("optimizer._target_", 6, "torch.optim.AdamW"),
        value("optimizer.lr", 7, "0.5"),
    ]
    manifest = {
        "recipe": "recipe.esp",
        "recipe_dir": ".",
        "recipe_sha256": digest(RECIPE),
        "files": {"conf/training.yaml": {"sha256": digest(YAML), "values": values, "blocks": []}},
    }
    (tmp_path / ".esp3c" / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("demo_parts", None)


def loaded(folder: Path) -> DictConfig:
    config = load_and_merge_config(folder / "conf" / "training.yaml", "training.yaml", "espnet3.systems.base")
    assert config is not None
    return config


def place(config: DictConfig, key: str) -> Place:
    found = place_of_key(config, key)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "key, line, column, shown",
    [
        ("optimizer.lr", 5, 10, "0.5"),
        ("optimizer", 4, 15, "torch.optim.AdamW"),
        ("optimizer.betas", 4, 15, "torch.optim.AdamW"),
        ("model.size", 3, 35, "-7"),
    ],
)
def test_a_key_leads_to_where_its_value_was_written(folder: Path, key: str, line: int, column: int, shown: str) -> None:
    found = place(loaded(folder), key)

    assert (found.path, found.line, found.column) == (str(folder / "recipe.esp"), line, column)
    assert found.text[column - 1 : column - 1 + found.length] == shown
    assert found.yaml.startswith(f"{folder / 'conf' / 'training.yaml'}:")
    assert found.note == ""


def test_a_default_of_the_framework_has_its_own_file(folder: Path) -> None:
    found = place(loaded(folder), "trainer.accelerator")

    assert found.path.endswith("espnet3/systems/base/conf/training.yaml")
    assert found.text.strip() == "accelerator: auto"


@pytest.mark.parametrize(
    "change", ["recipe", "yaml", "yaml after the start", "no recipe", "no manifest", "bad manifest"]
)
def test_no_line_of_the_recipe_is_shown_unless_it_is_the_one(folder: Path, change: str) -> None:
    manifest = folder / ".esp3c" / "manifest.json"
    if change == "yaml":
        (folder / "conf" / "training.yaml").write_text(YAML.replace("# Written", "#\n# Written"))
    config = loaded(folder)
    if change == "recipe":
        (folder / "recipe.esp").write_text("\n" + RECIPE)
    elif change == "yaml after the start":
        manifest.write_text(manifest.read_text().replace(digest(YAML), digest("built again")))
    elif change == "no recipe":
        (folder / "recipe.esp").unlink()
    elif change == "no manifest":
        manifest.unlink()
    elif change == "bad manifest":
        manifest.write_text("[" * 100_000)
    found = place(config, "optimizer.lr")

    assert (found.path, found.text, found.column) == (str(folder / "conf" / "training.yaml"), "  lr: 0.5", 3)
    assert found.line == (8 if change == "yaml" else 7)
    assert found.note == {
        "recipe": "recipe.esp was changed since it was built, so its line is not shown; build it again",
        "no recipe": "recipe.esp, from which it was built, cannot be read",
        "no manifest": "",
        "bad manifest": "",
    }.get(change, "training.yaml is not as it was built from recipe.esp: it was edited, or the recipe was built again")


def test_a_value_from_the_command_line_has_its_place_there(folder: Path) -> None:
    manifest = folder / ".esp3c" / "manifest.json"
    read = json.loads(manifest.read_text())
    name = "--set training.optimizer.lr=0.5"
    read["files"]["conf/training.yaml"]["values"][3] |= {"recipe": f"{name}:1:23", "start": 22, "end": 25}
    manifest.write_text(json.dumps(read))
    found = place(loaded(folder), "optimizer.lr")

    assert (found.path, found.line, found.column, found.length) == (name, 1, 23, 3)
    assert found.text == "training.optimizer.lr=0.5"


def error_of(call: Any, *arguments: Any) -> Exception:
    with pytest.raises(Exception) as caught:
        call(*arguments)
    return caught.value


def key_of(error: BaseException, config: Any) -> str | None:
    found = fault_of(error, {"training_config": config})
    return None if found is None else f"{found.key}|{found.target}"


def test_a_target_that_cannot_be_made_has_its_key(folder: Path) -> None:
    config = loaded(folder)

    assert key_of(error_of(instantiate_target, config.model, "model"), config) == "model.size|"
    assert key_of(error_of(instantiate, config.model, "model"), config) == "model.size|"
    assert key_of(error_of(instantiate_target, {"_target_": "demo_parts.Nothing"}, "model"), config) == "model|"
    assert key_of(error_of(instantiate_target, {**config.model, "siez": 1}, "model"), config) == "model.siez|"


def test_hydra_called_by_the_recipe_itself(folder: Path) -> None:
    import hydra.utils

    config, other = loaded(folder), loaded(folder)
    error = error_of(hydra.utils.instantiate, config.model)
    found = fault_of(error, {"a_config": other, "b_config": config})

    assert found is not None
    assert (found.key, found.config is config) == ("model.size", True)


def test_what_is_not_certain_is_not_told(folder: Path) -> None:
    config, other = loaded(folder), loaded(folder)
    both = {"a_config": config, "b_config": other}

    assert fault_of(ConfigError("model: wrong"), both) is None
    assert fault_of(ConfigError("nothing of the kind"), {"a_config": config}) is None
    assert fault_of(KeyError("mine"), {"a_config": config}) is None
    assert fault_of(ConfigError("model: wrong"), {"a_config": config}) is not None


def test_the_config_in_use_counts(folder: Path) -> None:
    config, other = loaded(folder), loaded(folder)
    with pytest.raises(ConfigError) as caught, config_in_use(config, moved=("model", "optimizer")):
        raise ConfigError("model.size: wrong")
    found = fault_of(caught.value, {"a_config": other, "b_config": config})

    assert found is not None
    assert (found.key, found.config is config) == ("optimizer.size", True)


def test_an_error_in_a_targets_own_code_names_the_target(folder: Path) -> None:
    import demo_parts  # type: ignore[import-not-found]

    config = loaded(folder)
    model = demo_parts.Model()
    error = error_of(model.forward, 3)
    report = report_on(error, {"training_config": config})

    assert key_of(error, config) == "model|demo_parts.Model"
    assert report is not None
    assert report.label == "raised in `demo_parts.Model`, configured here"
    assert key_of(error_of(demo_parts.Helper().work, 3), config) is None


def test_code_of_the_framework_behind_a_target_is_not_the_targets(folder: Path) -> None:
    (folder / "conf" / "training.yaml").write_text("act: {_target_: demo_parts.call_back}\n")
    import demo_parts

    from espnet3.utils.config_utils import load_line

    config = loaded(folder)
    own = error_of(demo_parts.call_back, lambda: 1 / 0)
    framework = error_of(demo_parts.call_back, lambda: load_line("/nothing/at/all"))

    assert key_of(own, config) == "act|demo_parts.call_back"
    assert key_of(framework, config) is None


@pytest.mark.parametrize(
    "message, section, name",
    [
        ("`Trainer(devices=0)` is wrong", {"devices": 0, "accelerator": "cpu"}, "devices"),
        (
            "gradient_clip_algorithm must be one of",
            {"gradient_clip_algorithm": "a", "devices": 1},
            "gradient_clip_algorithm",
        ),
        ("unexpected keyword argument 'lr'", {"lr": 1}, "lr"),
        ("Invalid learning rate: -1", {"lr": -1, "eps": 1e-8}, "lr"),
        ("Invalid learning rate: -1.5", {"lr": -1, "eps": 1e-8}, None),
        ("no such file: './a.ckpt'", {"checkpoint": "./a.ckpt", "size": 3}, "checkpoint"),
        ("expected 2 dimensions", {"layers": 2}, None),
        ("the size is wrong", {"size": 3}, None),
        ("'a' and 'b'", {"a": 1, "b": 2}, None),
        ("value -1", {"a": -1, "b": -1}, None),
        ("True", {"a": True}, None),
    ],
)
def test_the_argument_that_a_message_speaks_of(message: str, section: dict[str, Any], name: str | None) -> None:
    assert named_in(message, section) == name


def test_the_report_looks_as_check_does() -> None:
    shown = Report(
        "no", Place("/a/b/recipe.esp", 34, 15, "  optimizer = f(lr = 1)", 1, "k", "/a/b/conf/t.yaml:3"), "`k`", "/a"
    )

    assert shown.text() == (
        "error: no\n"
        "  --> b/recipe.esp:34:15\n"
        "   |\n"
        "34 |   optimizer = f(lr = 1)\n"
        "   |               ^ `k`\n"
        "   |\n"
        "   = note: b/conf/t.yaml:3"
    )
    assert "\x1b[1;31m^ `k`\x1b[0m" in shown.text(color=True)


@pytest.mark.parametrize(
    "line, column, length, drawn",
    [
        ("\tä = 日本 + 1", 6, 2, ["    ä = 日本 + 1", "        ^^^^ x"]),
        ("a\x1b[31m = 1", 2, 1, ["a\ufffd[31m = 1", " ^ x"]),
        ("y" * 500 + "bad" + "z" * 500, 501, 3, ["… " + "y" * 40 + "bad" + "z" * 117 + " …", " " * 42 + "^^^ x"]),
    ],
)
def test_odd_lines_are_drawn_in_their_columns(line: str, column: int, length: int, drawn: list[str]) -> None:
    text = Report("no", Place("r.esp", 1, column, line, length, "k"), "x").text()

    assert [each[4:] for each in text.split("\n")[3:5]] == drawn


class System:
    def __init__(self, config: Any, folder: Path) -> None:
        self.training_config = config
        self.folder = folder

    def stage_log_dir(self, stage: str) -> Path:
        return self.folder / "exp"

    def build(self) -> None:
        instantiate(self.training_config.model, "model")


def test_a_stage_that_fails_keeps_its_traceback_and_shows_the_line(folder: Path) -> None:
    with pytest.raises(Exception) as caught:
        run_stages(System(loaded(folder), folder), ["build"])
    log = (folder / "exp" / "build.log").read_text()

    assert "Traceback" in log
    assert 'demo_parts.py", line 5, in __init__' in log
    for text in (log, "\n".join(caught.value.__notes__)):
        assert "error: ValueError: size must not be -7\n --> " in text
        assert "recipe.esp:3:35\n  |\n3 |   model = demo_parts.Model(size = -7)\n" in text
        assert "\x1b" not in text
    assert caught.value.__notes__[-1].startswith("stage 'build' failed after")


def test_a_users_error_is_told_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = loaded(folder)
    with pytest.raises(ConfigError) as caught, config_in_use(config), at_key("optimizer.lr"):
        raise ConfigError("this does not fit")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    plain = told(caught.value, io.StringIO(), str(folder))
    assert plain.startswith("error: this does not fit\n --> recipe.esp:5:10\n")
    assert "\x1b[1;31m^^^" in told(caught.value, Terminal(), str(folder))
    monkeypatch.setenv("NO_COLOR", "1")
    assert told(caught.value, Terminal(), str(folder)) == plain
    assert told(ConfigError("no place"), io.StringIO()) == "error: no place"


@pytest.mark.parametrize(
    "keys, told_of",
    [
        (["optimiser", "model"], {"optimiser": "optimizer"}),
        (["optimizer", "optimizer_2", "optimiser"], {}),
        (["my_own", "notes", "models_of_mine"], {}),
        (["scheduler_intervall"], {"scheduler_intervall": "scheduler_interval"}),
    ],
)
def test_a_key_is_told_of_only_where_another_may_be_meant(keys: list[str], told_of: dict[str, str]) -> None:
    assert misspelt_keys(keys, "training.yaml") == told_of
    assert misspelt_keys(keys, "scaffold.yaml") == {}


def test_a_setting_that_lightning_refuses_has_its_key(folder: Path) -> None:
    from espnet3.components.modeling.lightning_module import ESPnetLightningModule
    from espnet3.components.trainers.trainer import ESPnet3LightningTrainer

    path = folder / "conf" / "training.yaml"
    for text, key in (("devices: 0", "trainer.devices|"), ("max_epoch: 3", "trainer.max_epoch|")):
        path.write_text(f"trainer:\n  accelerator: cpu\n  {text}\n")
        config = loaded(folder)
        import torch

        module = ESPnetLightningModule(torch.nn.Linear(1, 1), config)
        error = error_of(ESPnet3LightningTrainer, module, folder / "exp", config)
        assert key_of(error, config) == key
