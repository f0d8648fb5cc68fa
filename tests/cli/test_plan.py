"""`esp3c plan`: what a run would do, said from the recipe and from the disk, and nothing done."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from esp3c.cli import job_scripts
from esp3c.cli.main import main
from esp3c.cli.where import Request, where
from esp3c.ir import Recipe
from esp3c.schema.stages import KNOWN_STAGES
from support.fixtures import compile_text

DIGITS = Path(__file__).parents[2] / "recipes" / "spoken_digits"
GPU = 'parallel gpu = slurm(partition = "gpu", gpus_per_node = 2, time = 4h, n_workers = 8, array_parallelism = 4)\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recipe of the spoken digits, which is also the working folder."""
    place = tmp_path / "digits"
    shutil.copytree(DIGITS, place, ignore=shutil.ignore_patterns("exp", "data", "conf", ".esp3c", "__pycache__"))
    monkeypatch.chdir(place)
    # No site is asked, whatever machine the tests run on.
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return place


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def change(folder: Path, old: str, new: str) -> None:
    path = folder / "recipe.esp"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def code_of(*arguments: str) -> int:
    try:
        return main(arguments)
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else 1


def plan(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert code_of("plan", "--format", "json", *arguments) == 0
    return json.loads(capsys.readouterr().out)


def text(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert code_of("plan", *arguments) == 0
    return capsys.readouterr().out


# -- stages ---------------------------------------------------------------------------------------------------------------


def test_a_new_recipe(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(folder)
    found = plan(capsys)

    assert [stage["name"] for stage in found["stages"]] == [
        "create_dataset", "collect_stats", "train", "infer", "measure",
    ]  # fmt: skip
    assert [stage["configs"] for stage in found["stages"]] == [["training"]] * 3 + [["inference"], ["metrics"]]
    assert [stage["where"] for stage in found["stages"]] == [
        "this machine", "here: local(n_workers = 1)", "this machine", "here: local(n_workers = 1)", "this machine",
    ]  # fmt: skip
    assert [stage["earlier"]["state"] for stage in found["stages"]] == ["unknown"] + ["nothing"] * 4
    assert {each["what"] for each in found["files"]} == {"new"}
    assert (found["can_run"], found["obstacles"], found["gpu_hours"]) == (True, [], 0)
    assert tree(folder) == before


def test_as_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = text(capsys, "--stages", "infer,measure")

    assert shown.startswith("recipe.esp: 2 of 5 stages of `spoken_digits`, in this order\n")
    assert re.search(r"^  1  infer +inference +here \(local\)$", shown, re.MULTILINE)
    assert re.search(r"^  2  measure +metrics +this machine$", shown, re.MULTILINE)
    assert "  here: local(n_workers = 1)\n" in shown
    assert "exp/ctc/last.ckpt is not there, and `train`, which writes it, is not in this plan" in shown
    assert re.search(r"^  new  conf/training.yaml$", shown, re.MULTILINE)
    assert "manifest" not in shown and "stop at" not in shown


def test_a_stage_that_the_recipe_does_not_have(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("plan", "--stages", "trian") == 2

    assert "did you mean `train`?" in capsys.readouterr().err


def test_errors_are_shown_and_nothing_is_planned(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, "max_lr = optimizer.lr", "max_lr = optimiser.lr")

    assert code_of("plan") == 1

    shown = capsys.readouterr()
    assert "ESP0201" in shown.err and shown.out == ""


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("plan", "--help") == 0

    assert "esp3c plan recipe.esp --diff" in capsys.readouterr().out


# -- machines -------------------------------------------------------------------------------------------------------------


def on_gpu(folder: Path) -> None:
    """Training and inference on SLURM."""
    change(folder, "stages {", GPU + "stages {")
    change(folder, "  train\n  infer on here", "  train on gpu\n  infer on gpu")
    change(folder, "devices = 1", "devices = 2")


def test_what_is_asked_of_slurm(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    on_gpu(folder)
    found = plan(capsys)

    train, infer = found["stages"][2:4]
    assert train["request"] == {"jobs": 1, "nodes": 1, "gpus_per_node": 2, "seconds": 14400.0, "gpu_hours": 8.0}
    assert infer["request"] == {"jobs": 8, "nodes": 1, "gpus_per_node": 2, "seconds": 14400.0, "gpu_hours": 64.0}
    assert found["gpu_hours"] == 72.0
    assert (found["can_run"], found["obstacles"]) == (True, [])

    shown = text(capsys)
    assert "asks for an array of 8 jobs, 4 at once, each 1 machine and 2 GPUs, at most 4 h: 64 GPU-hours" in shown
    assert shown.endswith("asked of SLURM: 72 GPU-hours at most\n")


def test_one_hour_is_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(
        folder,
        "stages {",
        GPU.replace("time = 4h", "time = 1h").replace("gpus_per_node = 2", "gpus_per_node = 1") + "stages {",
    )
    change(folder, "  train\n", "  train on gpu\n")

    shown = text(capsys)

    assert shown.endswith("asked of SLURM: 1 GPU-hour at most\n") and "GPU-hours" not in shown


def test_without_a_time_limit_submitits_counts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, "stages {", GPU.replace("time = 4h, ", "") + "stages {")
    change(folder, "  train\n", "  train on gpu\n")

    assert plan(capsys)["stages"][2]["request"]["seconds"] == 300.0
    assert "at most 5 min" in text(capsys)


def test_what_only_the_environment_knows_is_not_summed_up(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, "stages {", GPU.replace("gpus_per_node = 2", 'gpus_per_node = "${oc.env:GPUS}"') + "stages {")
    change(folder, "  train\n", "  train on gpu\n")

    assert plan(capsys)["gpu_hours"] is None
    shown = text(capsys)
    assert "an unknown number of GPUs" in shown and "GPU-hours" not in shown


@pytest.mark.parametrize(
    "setting, jobs, nodes, gpus",
    [
        ("nodes = 3, gpus_per_node = 4", 1, 3, 4),
        ('gres = "gpu:a100:2,shard:1"', 1, 2, 2),
        ('gres = "lustre:1"', 1, 2, 0),
        ("gpus_per_task = 1", 1, 2, 4),
        ("gpus_per_task = 1, ntasks_per_node = 2", 1, 2, 2),
        ('gpus_per_task = "a100:2"', 1, 2, 8),
        ("exclusive = true", 1, 2, None),
        ("extra = { gpus = 8 }", 1, 2, None),
        ("extra = { nice = 8 }", 1, 2, 0),
        ('gpus_per_node = "${oc.env:GPUS}"', 1, 2, None),
        ("gpus_per_node = 4, n_workers = 8", 1, 2, 4),
    ],
)
def test_the_job_of_a_training_has_the_shape_of_its_trainer(
    setting: str, jobs: int, nodes: int, gpus: int | None
) -> None:
    trainer = "trainer { devices = 4  num_nodes = 2 }"
    recipe = pasted("", f"parallel big = slurm({setting}, time = 1h)\nstages {{ train on big }}", trainer)
    request = where(recipe, recipe.stages[0]).request

    assert request is not None
    assert (request.jobs, request.nodes, request.gpus_per_node) == (jobs, nodes, gpus)


@pytest.mark.parametrize(
    "request_, expected",
    [
        (Request(1, 1, 0, None, None), "1 job with 1 machine and no GPU, an unknown time"),
        (Request(1, 2, 1, 1800.0, None), "1 job with 2 machines and 1 GPU each, at most 30 min"),
        (
            Request(3, 1, None, 5400.0, 9),
            "an array of 3 jobs, each 1 machine and an unknown number of GPUs, at most 1.5 h",
        ),
        (Request(None, 1, 1, 3600.0, None), "an unknown number of jobs with 1 machine and 1 GPU, at most 1 h"),
    ],
)
def test_a_request_in_words(request_: Request, expected: str) -> None:
    assert request_.text == expected


def pasted(parallel: str, stages: str, more: str = "") -> Recipe:
    return compile_text(
        "recipe r { system = espnet3.systems.asr.system.ASRSystem }\n"
        f"training {{ model = src.model.CTCRecognizer()  {parallel}  {more} }}\n"
        "parallel two = local(n_workers = 2)\n"
        "parallel many = dask(n_workers = 2)\n"
        f"parallel gpu = slurm(n_workers = 2)\n{stages}\n"
    ).recipe


@pytest.mark.parametrize(
    "parallel, line, short, remark",
    [
        ("", "train", "this machine", ""),
        ("", "train on two", "two (local)", ""),
        ("", "train on gpu", "gpu (slurm)", ""),
        ("parallel = gpu", "train", "slurm", ""),
        ("parallel = gpu", "train on two", "two (local)", ""),
        ("", "train on many", "this machine", "`dask` has no effect"),
        ("", "collect_stats on many", "many (dask)", ""),
        ("parallel = many", "create_dataset", "dask", ""),
        ("parallel = many", "go_on requires training runs src.stages.export_onnx on many", "many (dask)", ""),
        ('parallel { env = "slurm"  n_workers = 4 }', "train", "slurm", ""),
        ("parallel = gpu", "go_on requires training runs src.stages.export_onnx", "this machine", ""),
        ("", "go_on runs src.stages.export_onnx on gpu", "this machine", "has no effect"),
    ],
)
def test_where_a_stage_runs(parallel: str, line: str, short: str, remark: str) -> None:
    recipe = pasted(parallel, f"stages {{ {line} }}")
    found = where(recipe, recipe.stages[0])

    assert found.short == short
    assert remark in found.remark and bool(remark) == bool(found.remark)


@pytest.mark.parametrize(
    "line, here, remark",
    [
        ("train on gpu", "this machine", ""),
        ("collect_stats on gpu", "this machine", "with as many processes as `gpu` has workers"),
        ("collect_stats on many", "this machine", "with as many processes as `many` has workers"),
        ("train on many", "this machine", "`dask` has no effect"),
        ("collect_stats on two", "two (local)", ""),
        ("collect_stats", "this machine", ""),
    ],
)
def test_where_a_stage_runs_that_is_kept_on_this_machine(line: str, here: str, remark: str) -> None:
    recipe = pasted("", f"stages {{ {line} }}")
    (stage,) = recipe.stages
    found = where(recipe, stage, "here")

    assert (found.short, found.request) == (here, None)
    assert remark in found.remark and bool(remark) == bool(found.remark)
    assert where(recipe, stage, "debug").short == "this process"


@pytest.mark.parametrize("stage", KNOWN_STAGES)
@pytest.mark.parametrize("env", ["local", "local_gpu", "slurm", "dask", "pbs", "sge", "lsf", "moab", "oar", "htcondor"])
def test_where_a_stage_runs_is_what_the_framework_says(env: str, stage: str) -> None:
    """Every stage runs wherever the language can send it; both say the same of what has no effect there."""
    from omegaconf import OmegaConf

    from espnet3.utils.run_utils import check_parallel

    setting = f'parallel {{ env = "{env}"  n_workers = 2 }}'
    others = set(KNOWN_STAGES[stage].requires) - {"training"}
    configs = "\n".join(f"{config} {{ {setting} }}" for config in sorted(others))
    recipe = pasted(setting, f"{configs}\nstages {{ {stage} }}")
    found = where(recipe, recipe.stages[0])

    remark = check_parallel(stage, OmegaConf.create({"env": env, "n_workers": 2}))

    assert (remark is not None) == bool(found.remark)


# -- job scripts ----------------------------------------------------------------------------------------------------------


ANSWERING = """
import json, sys
asked = json.load(sys.stdin)["requests"]
open({log!r}, "w").write(json.dumps([sys.argv[1:], asked]))
lines = ["#!/bin/bash", "#SBATCH --partition=gpu", "#SBATCH --time=240", "\\tmodule load \\x1b[2J", "srun work", "echo"]
print(json.dumps({{"requests": [
    {{
        "stage": each["stage"],
        "text": "\\n".join([*lines, "echo " + each["kind"]]) + "\\n",
        "jobs": 1 if each["kind"] == "stage" else 8,
        "arrays": [[0, 0]] if each["kind"] == "stage" else [[0, 4], [5, 7]],
        "command": "work",
    }}
    for each in asked
]}}))
"""


def runtime(folder: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> Path:
    """Puts a program in the place of the runtime; where it writes what it was asked."""
    path, log = folder.parent / "runtime.py", folder.parent / "asked.json"
    path.write_text(program.format(log=str(log)), encoding="utf-8")
    monkeypatch.setattr(job_scripts, "RUNTIME", [sys.executable, str(path)])
    return log


def test_the_runtime_is_asked_for_job_scripts(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = runtime(folder, monkeypatch, ANSWERING)
    on_gpu(folder)
    found = plan(capsys)

    words, asked = json.loads(log.read_text(encoding="utf-8"))
    setting = {
        "env": "slurm",
        "n_workers": 8,
        "options": {"partition": "gpu", "gpus_per_node": 2, "time": 240, "array_parallelism": 4},
    }
    assert words == ["request"]
    assert asked == [
        {
            "stage": stage,
            "recipe_folder": str(folder),
            "setting": setting,
            "kind": kind,
            "shape": {"nodes": 1, "ntasks_per_node": tasks},
        }
        for stage, kind, tasks in (("train", "stage", 2), ("infer", "shards", 1))
    ]
    scripts = [stage["script"] for stage in found["stages"]]
    assert [each and each["jobs"] for each in scripts] == [None, None, 1, 8, None]
    assert scripts[3]["arrays"] == [[0, 4], [5, 7]]
    assert scripts[2]["text"].startswith("#!/bin/bash\n#SBATCH --partition=gpu\n")


def test_a_script_that_two_stages_share_is_shown_once(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime(folder, monkeypatch, ANSWERING)
    on_gpu(folder)
    shown = text(capsys)

    assert (
        "\njob scripts\n  train: 1 job\n    #!/bin/bash\n    #SBATCH --partition=gpu\n    #SBATCH --time=240\n"
        "    \tmodule load \ufffd[2J\n    srun work\n    echo\n    echo stage\n"
        "  infer: 8 jobs in 2 arrays, as that of train but for\n    echo shards\n\n"
    ) in shown


@pytest.mark.parametrize(
    "program, why",
    [
        ("import sys; sys.exit('options.mem: 3 is no size\\nit must be one')", "it must be one"),
        ("import sys; sys.exit(3)", "the runtime ended with exit code 3"),
        ("print('[]')", "the runtime answered in another form"),
        ("print('{{\"requests\": []}}')", "the runtime said nothing of it"),
        ("import time; time.sleep(60)", "the runtime did not answer within 0.5 s"),
    ],
)
def test_a_plan_without_job_scripts_says_why(
    folder: Path, program: str, why: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime(folder, monkeypatch, program)
    monkeypatch.setattr(job_scripts, "PATIENCE", 0.5)
    on_gpu(folder)
    shown = text(capsys)

    assert f"\njob scripts\n  train: its job script is not known: {why}" in shown
    assert "asks for 1 job" in shown


def test_settings_are_asked_for_as_a_run_would_read_them(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """References to other keys and to the environment have their values; what is not known is not guessed."""
    monkeypatch.setenv("A_PARTITION", "long")
    log = runtime(folder, monkeypatch, ANSWERING)
    change(
        folder,
        "training {",
        'training {\n  parallel = slurm(partition = "${oc.env:A_PARTITION}", account = exp_tag, wckey = "${oc.env:NO_KEY, k}",\n'
        '    comment = "of ${trainer.max_epochs}", n_workers = trainer.max_epochs, time = 1h, extra = { nice = 3 })\n',
    )
    change(folder, "  collect_stats on here", "  collect_stats")
    plan(capsys, "--stages", "collect_stats")

    (asked,) = json.loads(log.read_text(encoding="utf-8"))[1]
    assert asked["setting"] == {
        "env": "slurm",
        "n_workers": 9,
        "options": {
            "partition": "long",
            "account": "ctc",
            "wckey": "k",
            "comment": "of 9",
            "time": 60,
            "additional_parameters": {"nice": 3},
        },
    }

    monkeypatch.delenv("A_PARTITION")
    log.unlink()
    found = plan(capsys, "--stages", "collect_stats")
    assert found["stages"][0]["no_script"] == "its job script is known only when it runs: $A_PARTITION is not set"
    assert not log.exists()


def test_the_real_runtime_makes_job_scripts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    on_gpu(folder)
    change(folder, "time = 4h", 'time = 4h, extra = { reservation = "night" }, setup = ["module load cuda"]')
    found = plan(capsys)

    script = found["stages"][3]["script"]
    assert script is not None, found["stages"][3]["no_script"]
    lines = script["text"].splitlines()
    assert {"#SBATCH --partition=gpu", "#SBATCH --time=240", "#SBATCH --reservation=night", "module load cuda"} <= {
        *lines
    }
    assert "#SBATCH --array=0-7%4" in lines
    assert (script["jobs"], len(script["arrays"])) == (8, 1)


# -- elsewhere for one run ------------------------------------------------------------------------------------------------


def test_stages_that_are_taken_to_another_machine(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, "stages {", GPU + "stages {")
    before = tree(folder)
    found = plan(capsys, "--on", "gpu", "--stages", "infer,measure")

    assert [stage["machine"] for stage in found["stages"]] == ["gpu", "gpu"]
    assert found["folder"].startswith(".esp3c/set/")
    assert tree(folder) == before
    assert plan(capsys, "--on", "here")["folder"] == "."


def test_nothing_is_asked_of_a_site_that_nothing_is_sent_to(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    on_gpu(folder)

    assert code_of("plan", "--on", "here") == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "job scripts" not in shown.out and "asked of SLURM" not in shown.out


def test_a_place_that_is_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("plan", "--on", "hree") == 2

    assert "--on hree: the recipe has no such `parallel`; did you mean `here`?" in capsys.readouterr().err


def test_publication_is_a_stage_like_others(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    change(folder, "stages {", 'publication { pack_model { out_dir = "${exp_dir}/pack" } }\nstages {')
    change(folder, "  measure\n", "  measure\n  pack_model\n")
    found = plan(capsys)

    assert found["obstacles"] == []


def test_the_limits_of_the_site_are_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, "stages {", GPU.replace("4h", "4d") + "stages {")
    change(folder, "  train\n", "  train on gpu\n")
    answers = {
        "config": "ClusterName = site\nMaxArraySize = 1001\n",
        "partition": "PartitionName=gpu Default=YES MaxTime=1-00:00:00 MaxNodes=2 State=UP\n",
        "node": "NodeName=n1 CPUTot=64 RealMemory=500000 Gres=gpu:8 Partitions=gpu State=IDLE\n",
    }
    program = folder.parent / "bin" / "scontrol"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport sys\nprint({answers!r}[sys.argv[2]])\n", encoding="utf-8")
    program.chmod(0o755)

    assert code_of("plan", "--format", "json") == 1

    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert "asks for 4 d" in shown.err
    assert [each["code"] for each in found["over_limits"]] == ["ESP0821"]
    assert any("asks for 4 d" in each for each in found["obstacles"])


# -- files ----------------------------------------------------------------------------------------------------------------


def files(found: Any) -> dict[str, tuple[str, str]]:
    return {each["path"]: (each["what"], each["why"]) for each in found["files"]}


def test_every_kind_of_change(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, "stages {", "config first { a = 1 }\nconfig second { a = 1 }\nstages {")
    assert code_of("build") == 0
    assert {each["what"] for each in plan(capsys)["files"]} == {"same"}
    assert "all 9 are as a build would write them" in text(capsys)

    change(
        folder, "config first { a = 1 }\nconfig second { a = 1 }\n", "config third { a = 1 }\nconfig mine { a = 1 }\n"
    )
    change(folder, "max_epochs = 9", "max_epochs = 3")
    (folder / "conf" / "second.yaml").write_text("edited", encoding="utf-8")
    (folder / "conf" / "mine.yaml").write_text("mine", encoding="utf-8")
    (folder / "conf" / "metrics.yaml").unlink()
    (folder / "system.py").write_text("edited", encoding="utf-8")
    before = tree(folder)
    found = plan(capsys)

    told = files(found)
    assert told["conf/training.yaml"] == ("changed", "the recipe has changed")
    assert told["conf/third.yaml"] == ("new", "")
    assert told["conf/metrics.yaml"] == ("new", "removed since the last build")
    assert told["conf/first.yaml"] == ("removed", "no longer part of the recipe")
    assert told["conf/second.yaml"] == ("kept", "no longer part of the recipe, but edited since the last build")
    assert told["conf/mine.yaml"] == ("in the way", "not written by esp3c")
    assert told["system.py"] == ("in the way", "edited since the last build")
    assert told["conf/inference.yaml"] == ("same", "")
    assert found["obstacles"] == [
        "conf/mine.yaml is in the way: not written by esp3c",
        "system.py is in the way: edited since the last build",
    ]
    assert tree(folder) == before

    # What the plan says, the build does.
    assert code_of("build") == 1
    (folder / "conf" / "mine.yaml").unlink()
    (folder / "system.py").unlink()
    told = files(plan(capsys))
    assert code_of("build") == 0
    after = tree(folder)
    for path, (what, _) in told.items():
        assert (path in after) == (what != "removed"), path
        assert (before.get(path) == after.get(path)) == (what in {"same", "kept"}), path


def test_files_of_another_version_are_told_as_such(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("build") == 0
    manifest = folder / ".esp3c" / "manifest.json"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace('"esp3c": "', '"esp3c": "0.0.'), encoding="utf-8")
    change(folder, "max_epochs = 9", "max_epochs = 3")

    assert files(plan(capsys))["conf/training.yaml"][1].startswith("written by esp3c 0.0.")


def test_the_lines_that_would_change(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("build") == 0
    change(folder, "max_epochs = 9", "max_epochs = 3")
    shown = text(capsys, "--diff")

    assert "--- conf/training.yaml\n+++ conf/training.yaml\n" in shown
    assert "-  max_epochs: 9\n+  max_epochs: 3\n" in shown
    assert "conf/inference.yaml" not in shown
    (changed,) = [each for each in plan(capsys, "--diff")["files"] if "diff" in each]
    assert changed["path"] == "conf/training.yaml" and "+  max_epochs: 3" in changed["diff"]


def test_the_lines_of_new_and_removed_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, "stages {", "config first { a = 1 }\nstages {")
    assert code_of("build") == 0
    change(folder, "config first { a = 1 }\n", "config second { a = 1 }\n")
    shown = text(capsys, "--diff")

    assert "--- /dev/null\n+++ conf/second.yaml\n" in shown
    assert "--- conf/first.yaml\n+++ /dev/null\n" in shown
    assert not any(line.strip() == "+" for line in shown.splitlines())


def test_an_override_is_planned_in_its_own_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("build") == 0
    before = tree(folder)
    found = plan(capsys, "--set", 'recipe.exp_tag="other"', "--stages", "train")

    assert found["folder"].startswith(".esp3c/set/")
    assert {each["what"] for each in found["files"]} == {"new"}
    assert found["stages"][0]["earlier"]["text"] == "there is no exp/other/last.ckpt yet"
    assert tree(folder) == before


def test_a_folder_that_cannot_be_read_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "run.py").mkdir()

    assert files(plan(capsys))["run.py"] == ("in the way", "not a plain file")
