"""Stages on the command line, their configs, their logs, and what happens when one fails."""

import argparse
import logging
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from espnet3.utils.errors import ConfigError
from espnet3.utils.logging_utils import (
    build_callable_name,
    configure_logging,
    get_git_metadata,
    log_component,
    log_env_metadata,
    log_instance_dict,
    log_run_metadata,
    set_log_format,
    set_stage_log_handler,
)
from espnet3.utils.stages_utils import (
    MissingConfigError,
    StageError,
    parse_cli_and_stage_args,
    report_user_errors,
    require_configs,
    resolve_stages,
    run_stages,
)

STAGES = ["create_dataset", "train", "infer", "export_onnx"]


class System:
    """Two stages that log, warn and print, and one that fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ran: list[str] = []

    def stage_log_dir(self, stage: str) -> Path:
        return self.folder / "exp"

    def train(self) -> None:
        self.ran.append("train")
        logging.getLogger("lightning.pytorch").info("GPU available: False")
        logging.getLogger("somebody").warning("chatter")
        warnings.warn("an old name", stacklevel=1)

    def infer(self) -> None:
        self.ran.append("infer")

    def export_onnx(self) -> None:
        raise TypeError("forward() got an unexpected keyword argument 'lr'")

    def stopped(self) -> None:
        raise KeyboardInterrupt

    def quits(self) -> None:
        raise SystemExit(3)


def test_stages_keep_the_order_of_the_pipeline() -> None:
    """Whatever the order and number of times in which they were asked for."""
    assert resolve_stages(["infer", "train", "infer"], STAGES) == ["train", "infer"]
    assert resolve_stages(["train", "all"], STAGES) == STAGES
    with pytest.raises(StageError, match=r"no stage 'trian'.*did you mean 'train'"):
        resolve_stages(["trian"], STAGES)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="run.py")
    made.add_argument("--stages", nargs="+")
    made.add_argument("--training_config", type=Path)
    made.add_argument("--dry_run", action="store_true")
    return made


def test_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown flags and stages end with status 2 and the nearest name."""

    def parse(*arguments: str) -> tuple[argparse.Namespace, list[str]]:
        monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
        return parse_cli_and_stage_args(parser(), STAGES)

    args, stages = parse("--stages", "infer", "train", "--training_config", "a.yaml")
    assert (args.training_config, stages) == (Path("a.yaml"), ["train", "infer"])
    assert parse()[1] == STAGES
    for arguments, message in (
        (
            ["--trainig_config", "a"],
            "arguments: --trainig_config; did you mean '--training_config'?",
        ),
        (["--stages", "trian"], "there is no stage 'trian'"),
    ):
        with pytest.raises(SystemExit) as caught:
            parse(*arguments)
        assert caught.value.code == 2
        assert message in capsys.readouterr().err


def test_missing_configs_are_told_together() -> None:
    """Each stage with exactly the flags that it lacks."""
    given = object()
    required: dict[str, Any] = {
        "train": given,
        "infer": None,
        "pack_model": (given, None),
        "export_onnx": (None, None),
        "measure": None,
    }
    flags = {"export_onnx": ("--training_config", "--export_config")}
    require_configs(["train", "my_stage"], required)
    with pytest.raises(MissingConfigError) as caught:
        require_configs(["train", "infer", "pack_model", "export_onnx"], required, flags)

    assert str(caught.value).splitlines() == [
        "stage `infer` needs --inference_config (for example --inference_config conf/inference.yaml)",
        "stage `pack_model` needs --publication_config (for example --publication_config conf/publication.yaml)",
        "stage `export_onnx` needs --training_config and --export_config (for example --training_config "
        "conf/training.yaml --export_config conf/export.yaml)",
    ]


def test_a_users_error_is_its_message(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 and no traceback; other errors pass."""
    with pytest.raises(SystemExit) as caught, report_user_errors():
        raise ConfigError("conf/training.yaml:3: no")
    with pytest.raises(KeyError), report_user_errors():
        raise KeyError("mine")

    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: conf/training.yaml:3: no\n"


def test_the_console_is_quiet_and_the_log_is_not(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Two lines a stage; what libraries log and warn goes to the stage's file; handlers are put back."""
    noisy = logging.getLogger("lightning.pytorch")
    handler = logging.StreamHandler(sys.stderr)
    noisy.addHandler(handler)
    noisy.propagate = False
    hook = warnings.showwarning
    try:
        run_stages(System(tmp_path), ["train", "infer"])

        assert noisy.handlers == [handler]
        assert not noisy.propagate
    finally:
        noisy.removeHandler(handler)
        noisy.propagate = True
    out, err = capfd.readouterr()
    log = (tmp_path / "exp" / "train.log").read_text()

    assert [line.partition(" in ")[0] for line in out.splitlines()] == [
        "[1/2] train",
        "train: done",
        "[2/2] infer",
        "infer: done",
    ]
    assert err == ""
    assert "INFO lightning.pytorch: GPU available: False" in log
    assert "WARNING somebody: chatter" in log
    assert "an old name" in log
    assert "=== stage train is done after" in log
    assert "chatter" not in (tmp_path / "exp" / "infer.log").read_text()
    assert warnings.showwarning is hook


def test_a_failing_stage_keeps_its_error(tmp_path: Path) -> None:
    """A TypeError stays one; the note names stage and log; no later stage runs."""
    system = System(tmp_path)
    with pytest.raises(TypeError, match="unexpected keyword argument 'lr'") as caught:
        run_stages(system, ["export_onnx", "infer"])

    assert len(caught.value.__notes__) == 1
    assert caught.value.__notes__[0].startswith("stage 'export_onnx' failed after 0.")
    assert caught.value.__notes__[0].endswith(f"; its log: {tmp_path / 'exp' / 'export_onnx.log'}")
    assert system.ran == []
    assert "Traceback" in (tmp_path / "exp" / "export_onnx.log").read_text()


def test_interrupts_and_exits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line and status 130; a stage's own exit keeps its status."""
    for stage, code, message in (
        ("stopped", 130, "stage 'stopped' was interrupted after"),
        ("quits", 3, "stage 'quits' ended the program after"),
    ):
        with pytest.raises(SystemExit) as caught:
            run_stages(System(tmp_path), [stage])
        err = capsys.readouterr().err
        assert caught.value.code == code
        assert err.startswith(message)
        assert err.count("\n") == 1


def test_nothing_runs_when_a_stage_does_not_exist(tmp_path: Path) -> None:
    """Found before the first stage."""
    system = System(tmp_path)
    with pytest.raises(StageError, match=r"System has no method trian\(\).*did you mean 'train'"):
        run_stages(system, ["infer", "trian"])

    assert system.ran == []


def test_a_dry_run_is_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line a stage, and nothing happens."""
    system = System(tmp_path)
    run_stages(system, ["train", "export_onnx"], argparse.Namespace(dry_run=True))

    assert capsys.readouterr().out.splitlines() == [
        f"1. train        System.train()  log: {tmp_path}/exp/train.log",
        f"2. export_onnx  System.export_onnx()  log: {tmp_path}/exp/export_onnx.log",
    ]
    assert list(tmp_path.iterdir()) == []


_RUN = """
import argparse
from pathlib import Path
from espnet3.systems.asr.system import ASRSystem
from espnet3.utils.stages_utils import (
    parse_cli_and_stage_args, report_user_errors, require_configs, run_stages)

class MySystem(ASRSystem):
    def fail(self):
        raise RuntimeError("loss is nan")

STAGES = ["train", "fail", "infer"]

def build_parser(stages):
    parser = argparse.ArgumentParser()
    parser.add_argument("--stages", nargs="+", choices=[*stages, "all"], default=["all"])
    parser.add_argument("--training_config", type=Path)
    parser.add_argument("--inference_config", type=Path)
    parser.add_argument("--dry_run", action="store_true")
    return parser

def main(args, stages_to_run):
    with report_user_errors():
        from espnet3.utils.config_utils import load_and_merge_config
        from espnet3.utils.run_utils import (
            apply_training_experiment_context, resolve_loaded_configs, validate_experiment_context)
        import logging
        package = "espnet3.systems.base"
        training = load_and_merge_config(args.training_config, "training.yaml", package, resolve=False)
        inference = load_and_merge_config(args.inference_config, "inference.yaml", package, resolve=False)
        configs = dict(training_config=training, inference_config=inference, metrics_config=None)
        apply_training_experiment_context(**configs, publication_config=None, log=logging.getLogger())
        require_configs(stages_to_run, {"train": training, "infer": inference})
        validate_experiment_context(**configs, stages_to_run=stages_to_run)
        resolve_loaded_configs(training, inference)
        system = MySystem(training_config=training, inference_config=inference)
    run_stages(system, stages_to_run, args)

if __name__ == "__main__":
    args, stages_to_run = parse_cli_and_stage_args(build_parser(STAGES), STAGES)
    main(args, stages_to_run)
"""


def test_a_run_py(tmp_path: Path) -> None:
    """Help and dry run are quick, a failure shows one traceback with its note, a missing config one line."""
    (tmp_path / "run.py").write_text(textwrap.dedent(_RUN))
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "training.yaml").write_text("exp_tag: ctc\n")
    (tmp_path / "conf" / "inference.yaml").write_text("input_key: speech\n")

    def run(*arguments: str) -> tuple[subprocess.CompletedProcess[str], float]:
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "run.py", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return done, time.perf_counter() - start

    training = ("--training_config", "conf/training.yaml")
    usage, help_seconds = run("--help")
    plan, plan_seconds = run(*training, "--inference_config", "conf/inference.yaml", "--dry_run")
    failed, _ = run(*training, "--stages", "fail")
    missing, _ = run(*training, "--stages", "infer")

    assert usage.returncode == 0
    assert plan.stdout.splitlines() == [
        "1. train  MySystem.train()  log: exp/ctc/train.log",
        "2. fail   MySystem.fail()  log: exp/ctc/fail.log",
        "3. infer  MySystem.infer()  log: exp/ctc/inference/infer.log",
    ]
    # Ten times what it takes on a machine that is not busy.
    assert help_seconds < 3
    assert plan_seconds < 6
    assert failed.returncode == 1
    assert failed.stdout == "[1/1] fail\n"
    assert failed.stderr.count("Traceback") == 1
    lines = failed.stderr.splitlines()
    assert lines[-2] == "RuntimeError: loss is nan"
    assert lines[-1].startswith("stage 'fail' failed after 0.")
    assert lines[-1].endswith("; its log: exp/ctc/fail.log")
    assert missing.returncode == 2
    assert missing.stderr == (
        "error: stage `infer` needs --inference_config (for example --inference_config conf/inference.yaml)\n"
    )


def test_logs_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are added once, replaced, and hold what describes the run."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    monkeypatch.setenv("SLURM_JWT", "a key")
    config = tmp_path / "training.yaml"
    config.write_text("exp_tag: ctc\n")
    try:
        log = configure_logging(tmp_path / "logs")
        configure_logging(tmp_path / "logs")
        set_log_format("%(levelname)s|%(message)s")
        first = set_stage_log_handler(tmp_path / "exp", "train.log")
        log.info("in train")
        second = set_stage_log_handler(tmp_path / "exp", "infer.log")
        log_run_metadata(log, argv=["run.py", "--stages"], configs={"training": config, "demo": None})
        log_run_metadata(log, argv=[], write_requirements=True)
        log_env_metadata(log, runtime_prefixes=[], runtime_keys=[])
        log_component(log, "model", "main", argparse.Namespace(a=1, b=argparse.Namespace(c="x")), 2)
        log_instance_dict(log, "callback", {"one": print})
        assert set_stage_log_handler(None, "") is None
        log.info("after")
    finally:
        set_log_format("%(asctime)s %(levelname)s %(name)s: %(message)s")
        for handler in [entry for entry in root.handlers if entry not in before]:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(level)
    assert first is not None
    assert second is not None
    lines = second.read_text().splitlines()

    assert first.read_text() == "INFO|in train\n"
    assert (tmp_path / "logs" / "run.log").read_text().count("in train") == 1
    for line in (
        "INFO|command: run.py --stages",
        "exp_tag: ctc",
        "INFO|environment SLURM_JOB_ID=77",
        "INFO|environment SLURM_JWT=(not shown)",
        "INFO|model main: argparse.Namespace",
        "INFO|  a: 1",
        "INFO|    c: 'x'",
    ):
        assert line in lines
    assert any(line.startswith("omegaconf==") for line in lines)
    assert "INFO|after" not in lines
    assert build_callable_name(print) == "builtins.print"


def test_git_metadata(tmp_path: Path) -> None:
    """The commit of a checkout; nothing outside of one."""
    assert get_git_metadata(tmp_path) == {}
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q", "-b", "main"], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], cwd=tmp_path, check=True)
    clean = get_git_metadata(tmp_path)
    (tmp_path / "new").write_text("")

    assert (clean["branch"], clean["state"], len(clean["commit"])) == ("main", "clean", 40)
    assert get_git_metadata(tmp_path)["state"] == "dirty"


def test_a_setting_for_all_holds_for_a_stage_of_the_recipes_own(tmp_path: Path) -> None:
    """Where no setting is for this stage by name; and it ends with the stage."""
    from omegaconf import OmegaConf

    from espnet3.utils.machine_setting import get_parallel_config

    seen: list[Any] = []

    class Own(System):
        def extract(self) -> None:
            seen.append(get_parallel_config())

    system = Own(tmp_path)
    system.training_config = OmegaConf.create({"parallel": {"env": "local", "n_workers": 3}})  # type: ignore[attr-defined]
    run_stages(system, ["extract"])
    own = {"parallel": {"n_workers": 3}, "stage_parallel": {"extract": {"env": "local", "n_workers": 2}}}
    system.training_config = OmegaConf.create(own)  # type: ignore[attr-defined]
    run_stages(system, ["extract"])

    assert [setting.n_workers for setting in seen] == [3, 2]
    assert get_parallel_config() is None
