"""What is asked of SLURM, as text."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from esp3rt.slurm import request_cli
from esp3rt.slurm.request import COMMANDS, SHARDS, Request, Shape, Wanted, requests
from esp3rt.slurm.settings import SettingError, read_settings

LOGS = Path("/data/digits/.esp3c/runs/r/works/1-train/logs")


def asked(
    options: Mapping[str, Any] | None = None,
    *,
    workers: int = 1,
    largest: int | None = None,
    kind: str = COMMANDS,
    jobs: int = 1,
    **wanted: Any,
) -> list[Request]:
    settings = read_settings({"n_workers": workers, "options": {"python": "/py", **(options or {})}})
    about = {
        "kind": kind,
        "name": "train",
        "jobs": jobs,
        "folder": "/data/digits",
        "arguments": ("work", "/data/w", "1"),
    }
    return requests(settings, Wanted(**{**about, **wanted}), largest)


def text(*given: Any, **more: Any) -> str:
    (request,) = asked(*given, **more)
    return request.text(LOGS)


def options_in(script: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH")]


def command_in(script: str) -> str:
    lines = script.splitlines()
    return lines[lines.index("export SUBMITIT_EXECUTOR=slurm") + 1]


def test_the_job_of_a_stage() -> None:
    """The whole text, with all that a run needs of its job."""
    options = {"partition": "gpu", "time": 240, "mem": "32768M", "gpus_per_node": 1, "setup": ["module load cuda"]}
    script = text({**options, "additional_parameters": {"reservation": "night"}})

    assert script.splitlines() == [
        "#!/bin/bash",
        "",
        "# Parameters",
        "#SBATCH --chdir=/data/digits",
        "#SBATCH --gpus-per-node=1",
        "#SBATCH --job-name=train",
        "#SBATCH --mem=32768M",
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks-per-node=1",
        "#SBATCH --open-mode=append",
        f"#SBATCH --output={LOGS}/%j_0_log.out",
        "#SBATCH --partition=gpu",
        "#SBATCH --requeue",
        "#SBATCH --reservation=night",
        "#SBATCH --signal=USR2@90",
        "#SBATCH --time=240",
        "#SBATCH --wckey=submitit",
        "",
        "# setup",
        "module load cuda",
        "",
        "# command",
        "export SUBMITIT_EXECUTOR=slurm",
        f"srun --unbuffered --output {LOGS}/%j_%t_log.out /py -u -P -m esp3rt.slurm work /data/w 1",
    ]


def test_shards_are_an_array() -> None:
    """All of its jobs may run at once, unless the setting says otherwise; each has logs of its own."""
    script = text(kind=SHARDS, jobs=8, workers=8)

    assert "--array=0-7%8" in options_in(script)
    assert f"--output={LOGS}/%A_%a_0_log.out" in options_in(script)
    assert f"--output {LOGS}/%A_%a_%t_log.out" in command_in(script)
    assert "--array=0-7%3" in options_in(text({"array_parallelism": 3}, kind=SHARDS, jobs=8))


@pytest.mark.parametrize(
    ("jobs", "largest", "sizes"),
    [(4, 1001, [4]), (1000, 1001, [1000]), (1000, None, [1000]), (10, 5, [4, 4, 2]), (9, 5, [4, 4, 1])],
)
def test_arrays_end_at_the_limit_of_the_site(jobs: int, largest: int | None, sizes: list[int]) -> None:
    """SLURM takes numbers below MaxArraySize. What is left goes into further arrays, be it a single job."""
    found = asked(kind=SHARDS, jobs=jobs, largest=largest)

    assert [request.jobs for request in found] == sizes
    assert all(request.is_array for request in found)
    arrays = [next(o for o in options_in(request.text(LOGS)) if o.startswith("--array")) for request in found]
    assert arrays == [f"--array=0-{size - 1}%{size}" for size in sizes]


def test_what_runs_at_once_is_shared_out_among_arrays() -> None:
    """SLURM counts for each array."""
    found = asked({"array_parallelism": 5}, kind=SHARDS, jobs=10, largest=5)

    assert [request.parameters["array_parallelism"] for request in found] == [2, 2, 1]


def test_one_job_is_no_array() -> None:
    """Also where it is the last one that does shards, and where the site takes no arrays."""
    found = [*asked(kind=SHARDS, jobs=1), *asked(kind=SHARDS, jobs=3, largest=0)]

    assert [request.jobs for request in found] == [1, 1, 1, 1]
    assert not any(request.is_array for request in found)
    assert not [option for request in found for option in options_in(request.text(LOGS)) if "array" in option]


def test_a_job_of_several_processes_ends_with_the_first_that_fails() -> None:
    """Where one has ended badly the others would wait for it until the time is over."""
    script = text({"srun_args": ["--mpi=none"]}, shape=Shape(nodes=2, tasks=4))

    assert {"--nodes=2", "--ntasks-per-node=4"} <= {*options_in(script)}
    assert f"{LOGS}/%j_%t_log.out --mpi=none --kill-on-bad-exit=1 /py -u" in command_in(script)


def test_without_srun_the_process_takes_the_place_of_the_shell() -> None:
    """SLURM warns the batch shell alone then, and a shell does not hand the warning on."""
    script = text({"use_srun": False, "signal_delay_s": 30})

    assert "--signal=B:USR2@30" in options_in(script)
    assert command_in(script) == "exec /py -u -P -m esp3rt.slurm work /data/w 1"
    with pytest.raises(SettingError, match="without srun a job has one process, and train needs 4"):
        asked({"use_srun": False}, shape=Shape(nodes=2, tasks=2))


def test_a_job_that_must_not_be_requeued() -> None:
    """What the setting says holds."""
    found = options_in(text({"additional_parameters": {"no_requeue": True}}))

    assert "--no-requeue" in found
    assert "--requeue" not in found


def test_nodes_to_avoid_are_added_to_those_of_the_setting() -> None:
    """In one option."""
    assert "--exclude=n1,n2,n3" in options_in(text({"exclude": "n1"}, exclude=("n2", "n3")))
    assert "--exclude=n2" in options_in(text(exclude=("n2",)))


def test_a_job_after_others() -> None:
    """It waits until they have ended well, and for what the setting says; it goes where that cannot be any more."""
    found = options_in(text({"dependency": "singleton"}, after=("17", "18")))

    assert "--dependency=afterok:17:18,singleton" in found
    assert "--kill-on-invalid-dep=yes" in found


def test_a_job_that_looks_after_others_has_no_gpus() -> None:
    """Nor what is counted by them, nor a machine for itself; other resources it has."""
    options = {
        "gpus_per_node": 4,
        "cpus_per_gpu": 8,
        "mem_per_gpu": "10G",
        "gres": "gpu:a100:4,lustre:1",
        "exclusive": True,
    }
    found = text({**options, "additional_parameters": {"gpus": 4, "gpu-bind": "closest", "nice": 1}}, gpus=False)

    assert options_in(found) == [
        "--chdir=/data/digits",
        "--gres=lustre:1",
        "--job-name=train",
        "--nice=1",
        "--nodes=1",
        "--ntasks-per-node=1",
        "--open-mode=append",
        f"--output={LOGS}/%j_0_log.out",
        "--requeue",
        "--signal=USR2@90",
        "--time=5",
        "--wckey=submitit",
    ]


def test_cores_for_a_gpu() -> None:
    """sbatch wants GPUs counted for the process then."""
    found = options_in(text({"gpus_per_node": 2, "cpus_per_gpu": 4}))

    assert {"--gpus-per-task=2", "--cpus-per-gpu=4"} <= {*found}
    assert not [option for option in found if option.startswith("--gpus-per-node")]


def test_names_of_folders() -> None:
    """Blanks and quotes do no harm, and `%` is no more than itself; what SLURM cannot be given is refused."""
    folder = '/data/50% it\'s "ä"'
    (request,) = asked(folder=folder, arguments=("work", f"{folder}/w", "1"))
    script = request.text(Path(folder))

    quoted = "'/data/50% it'\"'\"'s \"ä\"'"
    logs = quoted.replace("%", "%%")[:-1] + "/%j_{}_log.out'"
    assert {f"--chdir={quoted}", f"--output={logs.format('0')}"} <= {*options_in(script)}
    shown = logs.format("%t")
    assert command_in(script) == f"srun --unbuffered --output {shown} /py -u -P -m esp3rt.slurm work {quoted[:-1]}/w' 1"
    for odd in ("/data/a\\b", "/data/a\nb"):
        with pytest.raises(SettingError, match="a backslash or a control character"):
            asked(folder=odd)


def test_a_request_is_kept_as_it_was_made() -> None:
    """As plain values."""
    (request,) = asked({"partition": "gpu"}, kind=SHARDS, jobs=3)
    kept = json.loads(json.dumps(request.as_json()))

    assert (kept["name"], kept["jobs"], kept["array"], kept["parameters"]["partition"]) == ("train", 3, True, "gpu")
    assert kept["command"] == "/py -u -P -m esp3rt.slurm work /data/w 1"


def _printed(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(given)))
    code = request_cli.main([])
    captured = capsys.readouterr()
    return code, captured.out or captured.err


def test_requests_as_a_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What a plan shows: the text, the arrays, the command; nothing is sent."""
    setting = {"n_workers": 3, "options": {"partition": "gpu", "python": "/py"}}
    stages = [
        {"stage": "train", "setting": setting, "kind": "stage", "shape": {"nodes": 2, "ntasks_per_node": 2}},
        {"stage": "infer", "setting": setting, "kind": "shards", "max_array_size": 3},
    ]
    code, printed = _printed(
        {"requests": [{**stage, "recipe_folder": "/data/digits"} for stage in stages]}, monkeypatch, capsys
    )
    train, infer = json.loads(printed)["requests"]

    assert code == 0
    assert (train["jobs"], train["arrays"], infer["jobs"], infer["arrays"]) == (1, [[0, 0]], 3, [[0, 1], [2, 2]])
    assert "#SBATCH --nodes=2" in train["text"]
    assert train["command"] == "/py -u -P -m esp3rt.slurm work '/data/digits/.esp3c/runs/…/works/…-train' 1"


def test_a_setting_that_does_not_fit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Its message, and an exit code."""
    setting = {"options": {"partition": "a b"}}
    wrong = {"stage": "train", "setting": setting, "kind": "stage", "recipe_folder": "/data"}

    code, printed = _printed({"requests": [wrong]}, monkeypatch, capsys)
    assert (code, printed) == (
        1,
        "parallel.options.partition holds ' ', which is no part of a value there: 'a b'\n",
    )
