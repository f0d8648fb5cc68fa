"""The system: stages without arguments, configs of one's own, datasets that are built once."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from espnet3.systems.asr.system import ASRSystem
from espnet3.systems.base.system import BaseSystem
from espnet3.utils.errors import ConfigError, StageError
from espnet3.utils.stages_utils import check_stages, run_stages

_MODULE = """
from pathlib import Path

CALLS = []

class Dataset:
    pass

class DatasetBuilder:
    def is_source_prepared(self, recipe_dir, **kwargs):
        CALLS.append(("is_source_prepared", kwargs))
        return (Path(recipe_dir) / "source").is_dir()

    def prepare_source(self, recipe_dir, **kwargs):
        CALLS.append(("prepare_source", kwargs))
        (Path(recipe_dir) / "source").mkdir()

    def is_built(self, recipe_dir, **kwargs):
        CALLS.append(("is_built", kwargs))
        return (Path(recipe_dir) / "data" / "train.tsv").is_file()

    def build(self, recipe_dir, utterances, **kwargs):
        CALLS.append(("build", {"utterances": utterances, **kwargs}))
        if utterances:
            (Path(recipe_dir) / "data").mkdir()
            (Path(recipe_dir) / "data" / "train.tsv").write_text("x")
"""

_STRICT = """
class DatasetBuilder:
    BUILT = []
    def is_source_prepared(self): return True
    def prepare_source(self): pass
    def is_built(self): return bool(self.BUILT)
    def build(self, speed): self.BUILT.append(speed)
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "sys_digits.py").write_text(_MODULE)
    (tmp_path / "sys_strict.py").write_text(_STRICT)
    (tmp_path / "sys_plain.py").write_text("class Dataset: ...\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("sys_digits", "sys_strict", "sys_plain"):
        sys.modules.pop(name, None)


def training(create: dict[str, Any] | None = None, *sources: str, **changes: Any) -> DictConfig:
    entries = [{"data_src": source, "data_src_args": {"split": "train"}} for source in sources]
    return OmegaConf.create(
        {
            "recipe_dir": ".",
            "exp_dir": "exp/ctc",
            "create_dataset": {"recipe_dir": ".", **(create or {})},
            "dataset": {"train": entries, "valid": entries[:1]},
            **changes,
        }
    )


def test_a_dataset_goes_through_its_lifecycle_once(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every method gets the settings of create_dataset; a second run builds nothing."""
    system = BaseSystem(
        training_config=training({"utterances": 3}, "sys_digits", "sys_plain", parallel={"env": "local"}),
        inference_config=OmegaConf.create({"dataset": {"test": [{"name": "t", "data_src": "sys_digits"}]}}),
    )
    system.create_dataset()
    import sys_digits  # type: ignore[import-not-found]

    names = [name for name, _ in sys_digits.CALLS]
    assert names == ["is_source_prepared", "prepare_source", "is_built", "build", "is_built"]
    assert sys_digits.CALLS[3][1] == {"utterances": 3, "parallel": {"env": "local"}}
    sys_digits.CALLS.clear()
    system.create_dataset()

    assert [name for name, _ in sys_digits.CALLS] == ["is_source_prepared", "is_built"]
    out = capsys.readouterr().out.splitlines()
    assert [line.partition(" in ")[0] for line in out] == [
        "create_dataset sys_digits: built",
        "create_dataset sys_digits: was built before",
    ]


def test_data_of_other_settings_are_pointed_out(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the stages that go through them; who makes data by other means hears nothing, nor does a builder that fails."""
    from espnet3.systems.base.dataset_creation import warn_of_other_data

    def said(config: DictConfig | None) -> list[str]:
        warn_of_other_data(config, None, "DatasetBuilder")
        return capsys.readouterr().out.splitlines()

    config = training({"utterances": 3}, "sys_digits", "sys_plain")
    assert [line.partition(" are not")[0] for line in said(config)] == ["warning: the data of sys_digits"]
    BaseSystem(training_config=config).create_dataset()
    capsys.readouterr()
    assert said(config) == []
    (recipe / "data" / "train.tsv").unlink()
    assert len(said(config)) == 1
    del config["create_dataset"]
    assert said(config) == []
    assert said(training({"sped": 1}, "sys_strict")) == []
    assert said(None) == []


def test_settings_of_one_dataset_alone(recipe: Path) -> None:
    """A key that is a dataset's name is for it; the framework's own settings are not forced on a builder."""
    config = training({"sys_digits": {"utterances": 2}, "sys_strict": {}}, "sys_digits", parallel={"env": "local"})
    BaseSystem(training_config=config).create_dataset()
    import sys_digits

    assert sys_digits.CALLS[3][1]["utterances"] == 2
    assert "sys_strict" in sys_digits.CALLS[3][1]


@pytest.mark.parametrize(
    ("create", "source", "message"),
    [
        (
            {"utterances": 0},
            "sys_digits",
            r"DatasetBuilder.build\(\) has returned, but is_built\(\) still says",
        ),
        ({}, "sys_digits", r"sys_digits: DatasetBuilder.build\(\) needs 'utterances'"),
        ({"sped": 1}, "sys_strict", r"does not take 'sped', which the builder is given"),
        ({}, "sys_digit", r"no module sys_digit.*did you mean 'sys_digits'"),
    ],
)
def test_builders_that_do_not_fit(recipe: Path, create: dict[str, Any], source: str, message: str) -> None:
    """The message names the dataset, the method and the setting."""
    with pytest.raises(ConfigError, match=message):
        BaseSystem(training_config=training(create, source)).create_dataset()


def test_no_dataset_at_all_is_an_error(recipe: Path) -> None:
    """An empty list builds nothing, which nobody wants."""
    with pytest.raises(ConfigError, match="have no dataset"):
        BaseSystem(training_config=training({})).create_dataset()


@pytest.mark.parametrize(
    "stage",
    [
        "create_dataset",
        "collect_stats",
        "train",
        "infer",
        "measure",
        "pack_model",
        "upload_model",
        "pack_demo",
        "upload_demo",
        "train_tokenizer",
    ],
)
def test_stages_take_no_arguments(stage: str) -> None:
    """Settings stand in configs."""
    system = ASRSystem(training_config=training())
    with pytest.raises(TypeError, match=rf"Stage '{stage}' takes no arguments, but was given 1, beam"):
        getattr(system, stage)(1, beam=2)


@pytest.mark.parametrize(
    ("stage", "slot"),
    [
        ("create_dataset", "training_config"),
        ("collect_stats", "training_config"),
        ("train", "training_config"),
        ("infer", "inference_config"),
        ("measure", "metrics_config"),
        ("train_tokenizer", "training_config"),
    ],
)
def test_a_stage_without_its_config_says_so(stage: str, slot: str) -> None:
    """Also when it is called from Python."""
    with pytest.raises(ConfigError, match=f"stage `{stage}` needs the config {slot}"):
        getattr(ASRSystem(), stage)()


def test_further_configs_become_attributes() -> None:
    """Under any name that ends in _config; other names are refused with the nearest."""
    export = OmegaConf.create({"opset": 17})
    assert ASRSystem(export_config=export).export_config is export  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="no argument 'stage_log_maping'; did you mean 'stage_log_mapping'"):
        BaseSystem(stage_log_maping={})  # type: ignore[arg-type]


class MySystem(BaseSystem):
    """The guide's system with a config of its own."""

    def __init__(self, *, export_config: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.export_config = export_config

    def export(self) -> int:
        return int(self.export_config.opset)


class CEMOESSystem(ASRSystem):
    """The guide's curriculum: two trainings, each with its own config."""

    def __init__(
        self,
        training_easy_config: Any = None,
        training_full_config: Any = None,
        inference_config: Any = None,
        metrics_config: Any = None,
        publication_config: Any = None,
        demo_config: Any = None,
    ) -> None:
        super().__init__(
            training_config=training_full_config,
            inference_config=inference_config,
            metrics_config=metrics_config,
            publication_config=publication_config,
            demo_config=demo_config,
        )
        self.training_easy_config = training_easy_config
        self.training_full_config = training_full_config
        self.seen: list[Any] = []

    def train(self, *args: Any, **kwargs: Any) -> Any:
        self.seen.append(self.training_config)
        if self.training_config is not None and self.training_config.get("fails"):
            raise RuntimeError("diverged")
        return self.training_config

    def train_easy(self) -> Any:
        return self.run_with_config("train", "training_config", self.training_easy_config)


def test_the_guides_systems_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A config of one's own, and a stage that runs another with a config in the place of its own."""
    monkeypatch.chdir(tmp_path)
    easy, full = OmegaConf.create({"exp_dir": "exp/easy"}), OmegaConf.create({"exp_dir": "exp/full"})
    system = CEMOESSystem(training_easy_config=easy, training_full_config=full)
    run_stages(system, ["train_easy", "train"])
    only_easy = CEMOESSystem(training_easy_config=easy)

    assert MySystem(export_config=OmegaConf.create({"opset": 17})).export() == 17
    assert system.seen == [easy, full]
    assert system.training_config is full
    assert Path("exp/full/train_easy.log").is_file()
    assert only_easy.stage_log_dir("train_easy") == Path("exp/easy")
    assert only_easy.run_with_config("train", "training_config", easy) is easy
    assert only_easy.training_config is None


def test_the_original_config_comes_back_after_a_failure() -> None:
    """And a config, stage or slot that is not there is named."""
    full = OmegaConf.create({"a": 1})
    system = CEMOESSystem(training_full_config=full, training_easy_config=OmegaConf.create({"fails": True}))
    with pytest.raises(RuntimeError, match="diverged"):
        system.train_easy()

    assert system.training_config is full
    with pytest.raises(ConfigError, match="has no stage 'trian'; did you mean 'train'"):
        system.run_with_config("trian", "training_config", full)
    with pytest.raises(ConfigError, match="no config 'trainig_config'; did you mean 'training_config'"):
        system.run_with_config("train", "trainig_config", full)
    with pytest.raises(ConfigError, match="was given no config for its training_config"):
        system.run_with_config("train", "training_config", None)


def test_where_logs_go() -> None:
    """Beside what a stage writes; a mapping names other places by attribute, key or path."""
    system = BaseSystem(
        training_config=OmegaConf.create({"exp_dir": "./exp/ctc", "stats_dir": "exp/stats"}),
        inference_config=OmegaConf.create({"inference_dir": "exp/ctc/beam"}),
        metrics_config=OmegaConf.create({"inference_dir": "${nowhere}"}),
        stage_log_mapping={
            "collect_stats": "training_config.stats_dir",
            "train": "logs/train",
            "infer": "exp_dir",
        },
    )

    assert system.exp_dir == Path("exp/ctc")
    assert system.stage_log_dirs == {
        "create_dataset": Path("exp/ctc"),
        "collect_stats": Path("exp/stats"),
        "train": Path("logs/train"),
        "infer": Path("exp/ctc"),
        "pack_model": Path("exp/ctc"),
    }
    assert system.stage_log_dir("export_onnx") == Path("exp/ctc")
    assert system.stage_log_dir("measure") == Path("exp/ctc")
    assert BaseSystem().stage_log_dir("train") is None


def test_logs_of_a_subclass_go_beside_what_its_stages_write() -> None:
    """Its configs are attributes only after the base class is made; a mapping is laid over."""

    class Curriculum(MySystem):
        STAGE_LOGS = {"train": "export_config.exp_dir", "train_easy": "export_config.exp_dir"}  # noqa: RUF012

    training, easy = OmegaConf.create({"exp_dir": "exp/full"}), OmegaConf.create({"exp_dir": "exp/easy"})
    system = Curriculum(training_config=training, export_config=easy)
    mapped = Curriculum(training_config=training, export_config=easy, stage_log_mapping={"train_easy": "logs"})

    assert [system.stage_log_dir(stage) for stage in ("train", "train_easy")] == [Path("exp/easy")] * 2
    assert system.stage_log_dir("collect_stats") == Path("exp/full")
    assert mapped.stage_log_dir("train_easy") == Path("logs")


def test_a_stage_for_other_machines_is_refused_before_any_runs(tmp_path: Path) -> None:
    """The message names the stage and the way out."""
    kube = OmegaConf.create({"exp_dir": str(tmp_path), "stage_parallel": {"train": {"env": "kube"}}})
    system = CEMOESSystem(training_full_config=kube)
    with pytest.raises(StageError, match=r"stage `train` is to run on `kube`.*set another env .*train"):
        run_stages(system, ["create_dataset", "train"])
    own = CEMOESSystem(training_easy_config=OmegaConf.create({"stage_parallel": {"train_easy": {"env": "kube"}}}))
    with pytest.raises(StageError, match=r"stage `train_easy` is to run on `kube`"):
        run_stages(own, ["train_easy"])

    assert system.seen == []


def test_a_setting_for_slurm_is_looked_over_before_any_stage_runs(tmp_path: Path) -> None:
    """An option that does not fit is refused; one that has no meaning there is told."""

    def system_with(**options: Any) -> CEMOESSystem:
        setting = {"train": {"env": "slurm", "options": options}}
        return CEMOESSystem(
            training_full_config=OmegaConf.create({"exp_dir": str(tmp_path), "stage_parallel": setting})
        )

    wrong = system_with(partition="a b")
    with pytest.raises(ConfigError, match=r"parallel.options.partition holds ' '"):
        run_stages(wrong, ["create_dataset", "train"])

    assert wrong.seen == []
    assert check_stages(system_with(interface="ib0"), ["train"]) == {
        "train": ["train: interface has no meaning for jobs that are no Dask workers"]
    }


def test_detach_needs_a_stage_for_other_machines(tmp_path: Path) -> None:
    """Else nothing runs."""
    system = CEMOESSystem(training_full_config=OmegaConf.create({"exp_dir": str(tmp_path)}))
    with pytest.raises(
        StageError, match=r"--detach: 'train' runs on this machine; give a stage a `parallel` with env: slurm"
    ):
        run_stages(system, ["train"], argparse.Namespace(detach=True))

    assert system.seen == []


def test_workers_that_a_stage_cannot_use_are_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, at the stage's begin."""
    config = OmegaConf.create({"exp_dir": str(tmp_path), "parallel": {"env": "dask", "n_workers": 2}})
    run_stages(CEMOESSystem(training_full_config=config), ["train"])

    assert capsys.readouterr().out.splitlines()[:2] == [
        "[1/1] train",
        "warning: train: env: dask has no effect on it: it does not go through items that workers could share",
    ]
