"""A recipe written by hand, in the shape that ESPnet3's guides show, runs on the template as it is."""

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

_ALIGNING_SYSTEM = """
    from espnet3.systems.asr.system import ASRSystem
    from src.stages import prepare_alignment_stage

    class MyASRSystem(ASRSystem):
        def prepare_alignment(self):
            prepare_alignment_stage(self.training_config)

        def train(self):
            print("train", self.training_config.trainer.devices)
"""

_ALIGNING_STAGES = """
    from pathlib import Path

    def prepare_alignment_stage(config):
        cfg = config.prepare_alignment
        folder = Path(cfg.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "forced").write_text(str(cfg.use_teacher_forcing))
"""

_ALIGNING_RUN = """
    from egs3.TEMPLATE.asr.run import build_parser, main
    from espnet3.utils.stages_utils import parse_cli_and_stage_args
    from src.system import MyASRSystem

    DEFAULT_STAGES = ["create_dataset", "prepare_alignment", "collect_stats", "train", "infer", "measure"]

    parser = build_parser(stages=DEFAULT_STAGES)
    args, _ = parse_cli_and_stage_args(parser, stages=DEFAULT_STAGES)
    main(args=args, system_cls=MyASRSystem, stages=DEFAULT_STAGES)
"""

_TRAINING = """
    prepare_alignment:
      output_dir: ${exp_dir}/alignment
      use_teacher_forcing: true
"""

_EXPORTING_SYSTEM = """
    from espnet3.systems.base.system import BaseSystem

    class MySystem(BaseSystem):
        def __init__(self, *, export_config=None, **kwargs):
            super().__init__(**kwargs)
            self.export_config = export_config

        def export(self):
            print("export", self.export_config.path, self.training_config is None)

        def pack_model(self):
            print("pack", self.publication_config.exp_dir)

        def compare(self):
            print("compare", self.training_config.exp_tag, self.export_config.path)
"""

_EXPORTING_RUN = """
    from pathlib import Path
    from egs3.TEMPLATE.asr.run import DEFAULT_STAGES, build_parser, main
    from espnet3.utils.stages_utils import parse_cli_and_stage_args
    from src.system import MySystem

    STAGES = [*DEFAULT_STAGES, "export", "compare"]
    parser = build_parser(stages=STAGES)
    parser.add_argument("--export_config", default=None, type=Path, help="Hydra config for export-related stages.")
    args, _ = parse_cli_and_stage_args(parser, stages=STAGES)
    required = {"export": "export_config", "compare": ("training_config", "export_config")}
    main(args=args, system_cls=MySystem, stages=STAGES, required_configs=required)
"""

_CURRICULUM_SYSTEM = """
    from espnet3.systems.asr.system import ASRSystem
    from espnet3.systems.base.training import train

    class CEMOESSystem(ASRSystem):
        def __init__(
            self,
            training_easy_config=None,
            training_full_config=None,
            inference_config=None,
            metrics_config=None,
            publication_config=None,
            demo_config=None,
        ):
            super().__init__(
                training_config=training_full_config,
                inference_config=inference_config,
                metrics_config=metrics_config,
                publication_config=publication_config,
                demo_config=demo_config,
            )
            self.training_easy_config = training_easy_config
            self.training_full_config = training_full_config

        def train_easy(self):
            original = self.training_config
            self.training_config = self.training_easy_config
            try:
                return train(self.training_config)
            finally:
                self.training_config = original

        def train_full(self):
            print(self.training_easy_config, self.training_config.exp_dir, self.training_config.trainer.devices)
"""

_CURRICULUM_RUN = """
    from pathlib import Path
    from egs3.TEMPLATE.asr.run import build_parser, main
    from espnet3.utils.stages_utils import parse_cli_and_stage_args
    from src.system import CEMOESSystem

    DEFAULT_STAGES = ["create_dataset", "collect_stats", "train", "infer", "measure"]
    ALL_STAGES = [
        *DEFAULT_STAGES,
        "train_easy",
        "train_full",
    ]
    parser = build_parser(stages=ALL_STAGES)
    parser.add_argument("--training_easy_config", type=Path, default=None)
    parser.add_argument("--training_full_config", type=Path, default=None)
    args, _ = parse_cli_and_stage_args(parser, stages=ALL_STAGES)
    main(args=args, system_cls=CEMOESSystem, stages=ALL_STAGES)
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Run]:
    """`write(system=…, run=…, training=…)` makes the recipe's files and gives a way to start its run.py."""

    def make(*, run: str, stages: str = "", system: str, **configs: str) -> Run:
        files = {"src/__init__.py": "", "src/stages.py": stages, "src/system.py": system, "run.py": run}
        files.update({f"conf/{name}.yaml": text for name, text in configs.items()})
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(textwrap.dedent(text), encoding="utf-8")

        def start(*arguments: str, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, *python, "run.py", *arguments]
            return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

        return start

    return make


def stages_run(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line.split("] ")[1] for line in done.stdout.splitlines() if line.startswith("[")]


def test_a_stage_of_ones_own_finds_its_settings_in_the_training_config(
    write: Callable[..., Run], tmp_path: Path
) -> None:
    """Stages keep the order of the pipeline, and each has its log and, if wanted, the packages it ran with."""
    run = write(system=_ALIGNING_SYSTEM, stages=_ALIGNING_STAGES, run=_ALIGNING_RUN, training=_TRAINING)

    words = [
        "--stages",
        "train",
        "prepare_alignment",
        "--training_config",
        "conf/training.yaml",
        "--write_requirements",
    ]
    done = run(*words)

    assert done.returncode == 0, done.stderr
    assert stages_run(done) == ["prepare_alignment", "train"]
    assert "train 1\n" in done.stdout
    exp = tmp_path / "exp" / "training"
    assert (exp / "alignment" / "forced").read_text(encoding="utf-8") == "True"
    assert "=== stage train is done" in (exp / "train.log").read_text(encoding="utf-8")
    packages = (exp / "prepare_alignment.requirements.txt").read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("omegaconf==") for line in packages)


def test_what_a_command_line_lacks_is_told_before_any_stage(write: Callable[..., Run], tmp_path: Path) -> None:
    """With status 2, the flag's name and no traceback: configs, stages, flags and arguments."""
    run = write(system=_ALIGNING_SYSTEM, stages=_ALIGNING_STAGES, run=_ALIGNING_RUN, training=_TRAINING)
    training = ("--training_config", "conf/training.yaml")
    cases = {
        ("--stages", "all", *training): "stage `measure` needs --metrics_config",
        training: "stage `infer` needs --inference_config",
        ("--stages", "prepare_aligment", *training): "did you mean 'prepare_alignment'",
        ("--stages", "train", *training, "--output_dir", "x"): "unrecognized arguments: --output_dir",
        ("--stages", "train", "--training_config", "conf/trainig.yaml"): "conf/trainig.yaml",
    }
    for words, message in cases.items():
        done = run(*words)

        assert done.returncode == 2, words
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "exp").exists()


def test_help_and_a_dry_run_are_quick_and_do_nothing(write: Callable[..., Run], tmp_path: Path) -> None:
    """`--help` reads no config; a dry run says what would run; neither imports what trains."""
    run = write(system=_ALIGNING_SYSTEM, stages=_ALIGNING_STAGES, run=_ALIGNING_RUN, training=_TRAINING)
    start = time.perf_counter()
    usage = run("--help", python=("-X", "importtime"))
    seconds = time.perf_counter() - start
    words = ["--stages", "prepare_alignment", "train", "--training_config", "conf/training.yaml", "--dry_run"]
    plan = run(*words, python=("-X", "importtime"))

    flags = ("stages", "training_config", "inference_config", "metrics_config", "publication_config", "demo_config",
             "dry_run", "write_requirements")  # fmt: skip
    assert all(f"--{flag}" in usage.stdout for flag in flags)
    # Twenty times what it takes on a machine that is not busy.
    assert seconds < 2
    assert plan.stdout.splitlines() == [
        "1. prepare_alignment  MyASRSystem.prepare_alignment()  log: exp/training/prepare_alignment.log",
        "2. train              MyASRSystem.train()  log: exp/training/train.log",
    ]
    assert not (tmp_path / "exp").exists()
    for done, heavy in ((usage, {"torch", "lightning", "hydra", "omegaconf", "yaml"}), (plan, {"torch", "lightning"})):
        imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
        assert not imported & heavy


def test_a_stage_with_a_config_of_its_own(write: Callable[..., Run]) -> None:
    """The flag makes the config, the experiment is carried into it, and what a stage requires is asked for early."""
    run = write(
        system=_EXPORTING_SYSTEM,
        run=_EXPORTING_RUN,
        training="exp_tag: large\n",
        publication="pack_model: {}\n",
        export="path: ${exp_dir}/model.onnx\n",
        alone="path: model.onnx\n",
    )
    training, export = ("--training_config", "conf/training.yaml"), ("--export_config", "conf/export.yaml")

    both = run("--stages", "compare", "export", *training, *export)
    alone = run("--stages", "export", "--export_config", "conf/alone.yaml")
    no_flag = run("--stages", "compare", *training)
    no_pair = run("--stages", "pack_model", *training)
    no_experiment = run("--stages", "export", *export)
    packed = run("--stages", "pack_model", *training, "--publication_config", "conf/publication.yaml")

    assert both.returncode == 0, both.stderr
    assert "export ./exp/large/model.onnx False" in both.stdout
    assert stages_run(both) == ["export", "compare"]
    assert "export model.onnx True" in alone.stdout
    assert no_flag.stderr == (
        "error: stage `compare` needs --export_config (for example --export_config conf/export.yaml)\n"
    )
    assert "stage `pack_model` needs --publication_config" in no_pair.stderr
    assert no_experiment.returncode == 2
    assert "conf/export.yaml:1: path: it refers to a value that is not set" in no_experiment.stderr
    assert "pack ./exp/large" in packed.stdout


def test_a_curriculum_with_two_configs(write: Callable[..., Run]) -> None:
    """Each training has the defaults of a training and its own experiment; a system that takes no training_config is
    not asked for one, and the experiment of the config that it puts there is that of all others."""
    run = write(
        system=_CURRICULUM_SYSTEM,
        run=_CURRICULUM_RUN,
        training_easy="trainer: {max_epochs: 1}\n",
        training_full="num_device: 2\n",
        inference="exp_tag:\nmodel: {}\n",
    )
    full = ("--training_full_config", "conf/training_full.yaml")

    trained = run("--stages", "train_full", *full)
    easy = ("--training_easy_config", "conf/training_easy.yaml")
    planned = run("--stages", "train_easy", "train_full", "train", *easy, *full, "--dry_run")
    without = run("--stages", "collect_stats", "train_easy", *easy)
    unwanted = run("--stages", "train_full", "--training_config", "conf/training_full.yaml")
    inferring = ("--stages", "infer", "--inference_config", "conf/inference.yaml", "--dry_run")
    carried = run(*inferring, *full, *easy)
    untold = run(*inferring, *easy)

    assert "None ./exp/training_full 2" in trained.stdout
    assert planned.stderr == ""
    assert [line.split()[1] for line in planned.stdout.splitlines()] == ["train", "train_easy", "train_full"]
    assert "stage `collect_stats` works with training_config, which CEMOESSystem was made without" in without.stderr
    assert "CEMOESSystem takes no training_config" in unwanted.stderr
    assert "log: exp/training_full/inference/infer.log" in carried.stdout
    assert "stage `infer`" in untold.stderr and "set exp_tag in the inference config" in untold.stderr
    assert {done.returncode for done in (without, unwanted, untold)} == {2}


def test_the_config_is_put_back_after_a_training_that_failed(
    write: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guide's `finally` holds with the real `train`, which refuses a config without a model."""
    from omegaconf import OmegaConf

    from espnet3.utils.errors import ConfigError

    namespace: dict[str, Any] = {}
    exec(textwrap.dedent(_CURRICULUM_SYSTEM), namespace)
    monkeypatch.chdir(tmp_path)
    full = OmegaConf.create({"exp_dir": "exp/full"})
    system = namespace["CEMOESSystem"](
        training_full_config=full, training_easy_config=OmegaConf.create({"exp_dir": "exp/easy"})
    )

    with pytest.raises(ConfigError, match="no model"):
        system.train_easy()

    assert system.training_config is full
    assert not (tmp_path / "exp" / "full").exists()


def test_training_without_a_config_says_so() -> None:
    """A stage whose flag was not given hands None to `train`."""
    from espnet3.systems.base.training import train
    from espnet3.utils.errors import ConfigError

    with pytest.raises(ConfigError, match="train was given no config"):
        train(None)  # type: ignore[arg-type]


def test_a_stage_that_wants_arguments_is_refused(write: Callable[..., Run]) -> None:
    """Before any stage runs: settings stand in configs."""
    system = _ALIGNING_SYSTEM.replace("def prepare_alignment(self)", "def prepare_alignment(self, output_dir)")
    run = write(system=system, stages=_ALIGNING_STAGES, run=_ALIGNING_RUN, training=_TRAINING)

    done = run("--stages", "prepare_alignment", "--training_config", "conf/training.yaml")

    assert done.returncode == 2
    assert "MyASRSystem.prepare_alignment() needs 'output_dir'" in done.stderr


def test_a_flag_that_a_required_config_lacks_is_named(write: Callable[..., Run]) -> None:
    """`required_configs` names a config that no flag gives."""
    run = write(system=_EXPORTING_SYSTEM, run=_EXPORTING_RUN.replace('"export_config"}', '"exprt_config"}'))

    done = run("--stages", "export")
    wrong = _EXPORTING_RUN.replace('{"export": "export_config"', '{"export": "exprt_config"')
    named = write(system=_EXPORTING_SYSTEM, run=wrong)("--stages", "export")

    assert "stage `export` needs --export_config" in done.stderr
    assert "no flag --exprt_config; did you mean '--export_config'" in named.stderr
    assert named.returncode == 2


def test_a_folder_egs3_of_ones_own_is_part_of_the_package(tmp_path: Path) -> None:
    """So that the tag `mine/asr` finds `egs3.mine.asr.dataset` beside the template."""
    folder = tmp_path / "egs3" / "mine" / "asr"
    folder.mkdir(parents=True)
    (folder / "dataset.py").write_text("WHERE = __name__\n", encoding="utf-8")
    code = (
        "import json; from egs3.mine.asr.dataset import WHERE; import egs3.TEMPLATE.asr.run as run; "
        "print(json.dumps([WHERE, run.DEFAULT_STAGES[0]]))"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) == ["egs3.mine.asr.dataset", "create_dataset"]


def test_every_config_has_defaults() -> None:
    """By the well-known name that it has or begins with, as the compiler writes it; others have the folders alone."""
    from esp3c.emit.modules import WELL_KNOWN as WRITTEN
    from esp3c.emit.modules import WITH_DEFAULTS
    from espnet3.systems import base
    from espnet3.utils.recipe_run import WELL_KNOWN, defaults_of

    there = {path.name for folder in base.__path__ for path in (Path(folder) / "conf").iterdir()}

    assert set(WELL_KNOWN) == set(WRITTEN) == set(WITH_DEFAULTS)
    assert {defaults_of(name) for name in (*WELL_KNOWN, "export")} <= there
    assert [defaults_of(name) for name in ("training_easy", "inference_beam", "trainings", "export")] == [
        "training.yaml",
        "inference.yaml",
        "scaffold.yaml",
        "scaffold.yaml",
    ]
