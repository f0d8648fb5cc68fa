"""Stages around trainings on two devices: each runs once, and each training has its own processes."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from toy_training import toy_config

pytestmark = pytest.mark.training

SYSTEM = """
import os
from espnet3.systems.base.system import BaseSystem
from espnet3.systems.base.training import train

def mark(name):
    with open(f"{name}.marks", "a") as marks:
        marks.write(os.environ.get("LOCAL_RANK", "none") + "\\n")

class MySystem(BaseSystem):
    def before(self):
        mark("before")

    def train_both(self):
        for config in (self.training_config, self.training_more_config):
            mark("train_both")
            train(config)

    def after(self):
        mark("after")
"""

RUN = """
import sys
sys.path.append(".")
from pathlib import Path
from egs3.TEMPLATE.asr.run import build_parser, main
from espnet3.utils.stages_utils import parse_cli_and_stage_args
from src.system import MySystem

STAGES = ["before", "train_both", "after"]
parser = build_parser(stages=STAGES)
parser.add_argument("--training_more_config", type=Path, default=None)
args, _ = parse_cli_and_stage_args(parser, stages=STAGES)
main(args=args, system_cls=MySystem, stages=STAGES)
"""


def test_what_stands_around_a_training_runs_once(tmp_path: Path) -> None:
    """Two trainings on two devices in one stage, a stage before and one after; paths are relative, and nothing is left."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "system.py").write_text(textwrap.dedent(SYSTEM))
    (tmp_path / "run.py").write_text(textwrap.dedent(RUN))
    for name in ("one", "two"):
        config = toy_config(
            f"exp/{name}", trainer__devices=2, trainer__strategy="ddp", trainer__max_epochs=1, num_threads=1
        )
        OmegaConf.save(config, tmp_path / f"{name}.yaml")
    support = Path(__file__).parent / "support"
    done = subprocess.run(
        [sys.executable, "run.py", "--training_config", "one.yaml", "--training_more_config", "two.yaml"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(support), "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    marks = {path.stem: sorted(path.read_text().split()) for path in tmp_path.glob("*.marks")}
    assert marks["before"] == marks["after"] == ["none"]
    # The second training has a process of its own, which passes the first by: that one is done.
    assert marks["train_both"] == ["1", "1", "1", "none", "none"]
    assert [line for line in done.stdout.splitlines() if line.startswith("[")] == [
        "[1/3] before",
        "[2/3] train_both",
        "[3/3] after",
    ]
    assert done.stdout.count("1 epochs done") == 2
    for name in ("one", "two"):
        checkpoint = torch.load(tmp_path / "exp" / name / "last.ckpt", weights_only=True)
        assert checkpoint["espnet3"]["epochs"] == 1
