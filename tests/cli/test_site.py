"""The site's limits: read from what a real SLURM printed, and asked of a `scontrol` that answers, fails, or hangs."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from esp3c.check.limits import Node, SiteLimits, over_limits, runs_on_slurm
from esp3c.cli import site
from esp3c.cli.run import refused_by_site
from support.fixtures import compile_text

FACTS = Path(__file__).parent.parent / "fixtures" / "slurm"
DAY = 86400.0

HEAD = """
recipe r { system = espnet3.systems.asr.system.ASRSystem }
dataset digits { source = "mini_an4/asr" }
training {
  dataset { train = [digits(split = "a")]  valid = [digits(split = "b")] }
  model = elsewhere.Model()
  optimizer = elsewhere.Adam()
  trainer { devices = "auto" }
}
"""


def fact(name: str) -> str:
    return (FACTS / f"{name}.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def lab() -> SiteLimits:
    """SLURM 22.05 with three machines; `gpu` has limits of its own, `preempt` is down."""
    return site.read(fact("config"), fact("partition"), fact("node"))


def found(limits: SiteLimits, settings: str, stages: str = "train on m") -> list[tuple[str, str]]:
    """The codes and underlined texts for a stage with these settings of `slurm`."""
    result = compile_text(f"{HEAD}parallel m = slurm({settings})\nstages {{ {stages} }}\n")
    assert result.ok, [each.message for each in result.diagnostics]
    return [(each.code.id, each.primary.span.text) for each in over_limits(result.recipe, limits)]


def test_what_a_real_slurm_prints_is_read(lab: SiteLimits) -> None:
    assert lab.cluster == "lab"
    assert [each.name for each in lab.partitions] == ["cpu", "gpu", "preempt"]
    assert [each.default for each in lab.partitions] == [True, False, False]
    gpu = lab.partition("gpu")
    assert gpu is not None
    assert (gpu.max_time, gpu.max_nodes, gpu.max_cpus, gpu.max_mem) == (2 * DAY, 2, 3, 6000 * 2**20)
    assert gpu.nodes == tuple(Node(f"rn{number}", 4, 8000 * 2**20, 2) for number in (1, 2, 3))
    cpu = lab.partition(None)
    assert cpu is not None
    assert (cpu.name, cpu.max_time, cpu.max_nodes, cpu.max_mem) == ("cpu", None, None, None)


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        ("gpu:a100:4(S:0-1)", 4), ("gpu:2", 2), ("gpu:a100:2,gpu:v100:1", 3), ("gpu:1g.5gb:7(S:0)", 7), ("(null)", 0),
        ("lustre:1,gpu:h100_80:8", 8), ("", 0), ("craynetwork:4", 0),
    ],
)  # fmt: skip
def test_gpus_of_a_machine_are_counted(text: str, gpus: int) -> None:
    line = f"NodeName=a CPUTot=8 Gres={text} RealMemory=100 Partitions=p OS=Linux 6.1.0 #1 SMP"

    limits = site.read("", "PartitionName=p Default=YES State=UP MaxTime=01:30:00", line)

    assert limits.partitions[0].nodes == (Node("a", 8, 100 * 2**20, gpus),)
    assert limits.partitions[0].max_time == 5400


def test_nothing_at_all_is_no_limit() -> None:
    limits = site.read("", "", "")

    assert limits == SiteLimits("slurm", ())
    assert found(limits, "time = 30d, mem = 4TB, nodes = 900, gpus_per_node = 8, n_workers = 100_000") == []


def test_what_fits_is_fine(lab: SiteLimits) -> None:
    fits = (
        'partition = "gpu", time = 2d, nodes = 2, cpus_per_task = 3, mem = 6GB, gpus_per_node = 2, n_workers = 10_001'
    )

    assert found(lab, fits, "collect_stats on m") == []
    assert found(lab, "time = 300d, nodes = 3, cpus_per_task = 4, mem = 8GB") == []
    assert found(lab, 'partition = "preempt"') == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ('partition = "gpus"', ("ESP0820", '"gpus"')),
        ('partition = "gpu", time = 49h', ("ESP0821", "49h")),
        ('partition = "gpu", nodes = 3', ("ESP0822", "3")),
        ("nodes = 4", ("ESP0822", "4")),
        ('partition = "gpu", cpus_per_task = 4', ("ESP0823", "4")),
        ("cpus_per_task = 2, ntasks_per_node = 3", ("ESP0823", "2")),
        ('partition = "gpu", mem = 7GB', ("ESP0823", "7GB")),
        ("mem = 9GB", ("ESP0823", "9GB")),
        ("gpus_per_node = 3", ("ESP0823", "3")),
        ('gpus_per_node = "fake:3"', ("ESP0823", '"fake:3"')),
    ],
)
def test_what_is_over_a_limit_is_said(lab: SiteLimits, settings: str, expected: tuple[str, str]) -> None:
    assert found(lab, settings) == [expected]


def test_of_several_partitions_the_widest_counts(lab: SiteLimits) -> None:
    assert found(lab, 'partition = "gpu,cpu", time = 30d, nodes = 3, cpus_per_task = 4') == []


def test_a_partition_that_is_not_known_has_no_limits(lab: SiteLimits) -> None:
    assert found(lab, 'partition = "${oc.env:PARTITION}", time = 30d, nodes = 900') == []


def test_more_workers_than_an_array_may_have_are_fine(lab: SiteLimits) -> None:
    """They are sent in several arrays."""
    assert found(lab, "n_workers = 20_000, time = 4h", "collect_stats on m") == []


def test_a_stage_that_does_not_train_is_one_process(lab: SiteLimits) -> None:
    """Whatever the setting says for the training that it is also for."""
    wide = "nodes = 9, ntasks_per_node = 8, cpus_per_task = 4"

    assert found(lab, wide, "collect_stats on m") == []
    assert found(lab, wide, "train on m") == [("ESP0822", "9"), ("ESP0823", "4")]


def test_the_machines_and_processes_of_a_training_are_those_of_its_job(lab: SiteLimits) -> None:
    """Where the setting does not say them, the limits are held against what the trainer says."""
    head = HEAD.replace('devices = "auto"', "devices = 3  num_nodes = 4")
    result = compile_text(
        f"{head}parallel m = slurm(cpus_per_task = 2, time = 4h)\nstages {{ collect_stats on m  train on m }}\n"
    )
    said = [(each.code.id, each.primary.span.text) for each in over_limits(result.recipe, lab)]

    assert said == [("ESP0822", "4"), ("ESP0823", "2")]


def test_only_the_stages_that_run_are_looked_at(lab: SiteLimits) -> None:
    recipe = compile_text(f"{HEAD}parallel m = slurm(mem = 9TB)\nstages {{ collect_stats on m  train }}\n").recipe

    assert list(over_limits(recipe, lab, ["train"])) == []
    assert len(list(over_limits(recipe, lab, ["collect_stats"]))) == 1
    assert runs_on_slurm(recipe) and runs_on_slurm(recipe, ["collect_stats"]) and not runs_on_slurm(recipe, ["train"])


# -- asking -----------------------------------------------------------------------------------------------------------


def scontrol(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a `scontrol` of one's own on the path."""
    command = folder / "scontrol"
    command.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    command.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(command) if name == "scontrol" else None)


def test_a_site_that_answers_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lab: SiteLimits
) -> None:
    scontrol(tmp_path, f'cat "{FACTS}/$2.txt"', monkeypatch)

    assert site.limits() == lab
    assert capsys.readouterr().err == ""


def test_without_scontrol_there_are_no_limits(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)

    assert site.limits() is None
    (line,) = capsys.readouterr().err.splitlines()
    assert "not checked: there is no scontrol" in line


def test_a_controller_that_refuses_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scontrol(tmp_path, 'printf "one\\nUnable to contact \\033[31mslurm controller\\n" >&2; exit 1', monkeypatch)

    assert site.limits() is None
    (line,) = capsys.readouterr().err.splitlines()
    assert "Unable to contact" in line
    assert "\033" not in line


def test_a_controller_that_hangs_costs_its_patience_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scontrol(tmp_path, "exec sleep 60", monkeypatch)
    monkeypatch.setattr(site, "PATIENCE", 0.2)
    begun = time.monotonic()

    assert site.limits() is None

    assert time.monotonic() - begun < 5
    assert "did not answer within 0.2 s" in capsys.readouterr().err


def test_a_run_that_is_over_a_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scontrol(tmp_path, f'cat "{FACTS}/$2.txt"', monkeypatch)
    recipe = compile_text(f"{HEAD}parallel m = slurm(mem = 9TB)\nstages {{ collect_stats on m  train }}\n").recipe

    assert refused_by_site(recipe, ["collect_stats"])
    assert "ESP0823" in capsys.readouterr().err


def test_a_run_without_slurm_asks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = tmp_path / "asked"
    scontrol(tmp_path, f'touch "{asked}"', monkeypatch)
    recipe = compile_text(f"{HEAD}parallel m = slurm(mem = 9TB)\nstages {{ collect_stats on m  train }}\n").recipe

    assert not refused_by_site(recipe, ["train"])
    assert not asked.exists()
