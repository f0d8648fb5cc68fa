"""A System class of the recipe's own gets the configs that it names, and its stages may be called by any verb."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from esp3c.cli.main import main
from esp3c.pipeline import compile
from esp3c.source import Source
from esp3c.world import MemoryWorld

_SYSTEM = """
    from espnet3.systems.base.system import BaseSystem

    class Middle(BaseSystem):
        def __init__(self, *, export_config=None, **kwargs):
            super().__init__(**kwargs)
            self.export_config = export_config
            self.opset = export_config.opset

        def export(self):
            return self.opset

    class OwnSystem(Middle):
        def __init__(self, label_config=None, **kwargs):
            super().__init__(**kwargs)
            self.label_config = label_config

        def make_labels(self):
            return self.label_config.count
"""

_RECIPE = """
    recipe own { system = src.system.OwnSystem }
    config export { opset = 18 }
    config label { count = 3 }
    config check { limit = 1 }
    stages {
      make_labels requires label
      export requires export
      check_labels requires check runs src.stages.check_labels
    }
"""


@pytest.fixture
def built(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[str], tuple[str, str]]:
    """`built(recipe)` is the system module that comes of it, and what was said."""

    def build(recipe: str) -> tuple[str, str]:
        files = {
            "src/__init__.py": "",
            "src/system.py": _SYSTEM,
            "src/stages.py": "def check_labels(config):\n    return config.limit\n",
            "recipe.esp": recipe,
        }
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(textwrap.dedent(text), encoding="utf-8")
        assert main(["build", str(tmp_path / "recipe.esp")]) == 0
        return (tmp_path / "system.py").read_text(encoding="utf-8"), capsys.readouterr().out

    return build


def test_configs_that_a_system_names_are_handed_on_and_others_are_kept(built: Callable[[str], tuple[str, str]]) -> None:
    """Also through `**kwargs`: a system that reads a config when it is made has it then. No verb is accused."""
    system, said = built(_RECIPE)

    assert "super().__init__(export_config=export_config, label_config=label_config, **kwargs)" in system
    assert "self.check_config = check_config" in system
    assert "self.export_config = " not in system
    assert "warning" not in said


def test_a_system_of_the_name_that_is_built_keeps_apart_from_it(
    built: Callable[[str], tuple[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The class that is built is no base of itself, and makes what its base makes."""
    system, _ = built(_RECIPE)
    assert "from src.system import OwnSystem as OwnOwnSystem" in system
    monkeypatch.syspath_prepend(str(tmp_path))
    own: dict[str, Any] = {}
    exec((tmp_path / "src" / "system.py").read_text(encoding="utf-8"), own)
    namespace: dict[str, Any] = {}
    exec(
        system.replace("from src.system import OwnSystem as OwnOwnSystem", ""),
        {"OwnOwnSystem": own["OwnSystem"]},
        namespace,
    )

    class Settings:
        opset, count = 18, 3

    made = namespace["OwnSystem"](export_config=Settings, label_config=Settings)

    assert (made.export(), made.make_labels(), made.check_config) == (18, 3, None)


_READING = {
    "a key": ("return self.training_config.exp_dir", ("training",)),
    "an item": ("path = self.export_config['path']", ("export",)),
    "two, in their order": ("return f(self.export_config.path, self.training_config.seed)", ("export", "training")),
    "what is opened": ("with open(self.export_config.path) as f:\n            return f", ("export",)),
    "the config itself": ("return self.training_config", ()),
    "in one case": ("if self.quick:\n            self.export_config.path", ()),
    "behind an end": ("if self.quick:\n            return 1\n        self.export_config.path", ()),
    "looked for first": ("return self.export_config and self.export_config.path", ()),
    "set by the system": ("self.label_config.path\n\n    def __enter__(self):\n        self.label_config = load()", ()),
    "of no config": ("return self.other_config.path", ()),
}


@pytest.mark.parametrize("case", _READING)
def test_a_stage_needs_the_configs_of_which_its_method_reads_a_key(case: str) -> None:
    """Without `requires`. What is read in some cases only is not demanded, and not called unused either."""
    body, expected = _READING[case]
    system = (
        "from espnet3.systems.base.system import BaseSystem\nclass OwnSystem(BaseSystem):\n"
        "    def __init__(self, *, export_config=None, **kwargs):\n        self.export_config = export_config\n\n"
        f"    def make_labels(self):\n        {body}\n"
    )
    recipe = (
        "recipe own { system = src.system.OwnSystem }\ntraining {}\nconfig export { path = 3 }\n"
        "config label { path = 3 }\nstages { make_labels }\n"
    )
    base = "class BaseSystem:\n    def train(self): ...\n"
    world = MemoryWorld({"espnet3.systems.base.system": base, "src.system": system})

    result = compile(Source("recipe.esp", recipe), world)

    assert expected == result.recipe.stages[0].needs
    unused = {each.primary.span.text for each in result.diagnostics if each.code.id == "ESP0205"}
    assert unused == {"export", "label"} - {each for each in ("export", "label") if f"{each}_config" in body}


def test_run_py_asks_for_what_the_method_of_a_stage_reads(
    built: Callable[[str], tuple[str, str]], tmp_path: Path
) -> None:
    built(_RECIPE.replace("make_labels requires label", "make_labels"))

    assert '"make_labels": ("label",),' in (tmp_path / "run.py").read_text(encoding="utf-8")


def test_a_config_that_only_the_method_of_a_stage_reads_is_missed() -> None:
    system = (
        "from espnet3.systems.base.system import BaseSystem\nclass OwnSystem(BaseSystem):\n"
        "    def make_labels(self):\n        return self.training_config.exp_dir\n"
    )
    base = "class BaseSystem:\n    def train(self): ...\n"
    world = MemoryWorld({"espnet3.systems.base.system": base, "src.system": system})

    result = compile(Source("r.esp", "recipe own { system = src.system.OwnSystem }\nstages { make_labels }\n"), world)

    assert [each.message for each in result.diagnostics] == ["stage `make_labels` needs the config `training`"]


@pytest.mark.parametrize("name", ["espnet", "not_installed"])
def test_a_single_word_is_no_system(name: str) -> None:
    """Also where a module of that name might be installed somewhere: nothing could be imported from it."""
    found = compile(Source("recipe.esp", f"recipe r {{ system = {name} }}\n"), MemoryWorld({})).diagnostics

    assert found[0].primary.span.text == name
    assert found[0].severity == "error"
