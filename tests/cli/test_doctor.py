"""`esp3c doctor`: what it finds of this machine, and of machines with faults, which programs of the same names play."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from esp3c.check.limits import Partition
from esp3c.cli import doctor, doctor_device, doctor_disk, doctor_finding, doctor_python, doctor_recipe, doctor_slurm
from esp3c.cli.common import load
from esp3c.cli.doctor_finding import Finding, Patient
from esp3c.cli.doctor_python import Requirement
from esp3c.cli.main import main
from support.fixtures import compile_text

FACTS = Path(__file__).parents[1] / "fixtures" / "slurm"
SYSTEM = "espnet3.systems.asr.system.ASRSystem"
RECIPE = f"""recipe r {{ system = {SYSTEM}  exp_dir = "/elsewhere/exp" }}
config own {{ a = 1 }}
stages {{ go_on requires own runs src.stages.go_on }}
"""
ON_SLURM = f"""recipe r {{ system = {SYSTEM} }}
dataset d {{ source = "nothing.here" }}
training {{
  dataset {{ train = [d(split = "a")]  valid = [d(split = "b")] }}
  model = nothing.Model()  optimizer = nothing.Adam()
}}
parallel gpu = slurm(partition = "gpu", time = 49h)
stages {{ train on gpu }}
"""


def told(findings: Iterable[Finding]) -> dict[str, tuple[str, str]]:
    """Each finding by its name: the result, and what was found with what is to be done."""
    return {each.name: (each.result, f"{each.found} / {each.todo}") for each in findings}


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def bin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "recipe"
    (place / "src").mkdir(parents=True)
    (place / "src" / "stages.py").write_text("def go_on(own_config, *more): ...\n", encoding="utf-8")
    (place / "recipe.esp").write_text(RECIPE, encoding="utf-8")
    monkeypatch.chdir(place)
    return place


def patient(folder: Path, text: str = RECIPE) -> Patient:
    (folder / "recipe.esp").write_text(text, encoding="utf-8")
    return Patient(folder, "recipe.esp", load("recipe.esp"))


# -- the command --------------------------------------------------------------------------------------------------------


def test_a_real_run_finds_this_machine_and_leaves_nothing(folder: Path) -> None:
    """Within seconds; torch is asked in a process of its own."""
    before = sorted(path.as_posix() for path in folder.rglob("*"))
    code = (
        "import sys; from esp3c.cli.main import main; code = main(['doctor', '--format', 'json']); "
        "assert not {'torch', 'numpy', 'soundfile', 'esp3rt', 'espnet3'} & set(sys.modules); sys.exit(code)"
    )

    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=60)

    assert done.returncode in (0, 1) and done.stderr == "", done.stderr
    document = json.loads(done.stdout)
    by_name = {each["name"]: each for each in document["checks"]}
    assert {
        "python",
        "esp3c",
        "packages",
        "recipe",
        "slurm",
        "room",
        "writing",
        "cache",
        "torch",
        "soundfile",
    } <= by_name.keys()
    assert all(
        by_name[name]["result"] == "ok" for name in ("python", "packages", "recipe", "writing", "torch", "soundfile")
    )
    assert by_name["torch"]["found"].startswith(subprocess_version("torch"))
    assert document["failed"] == sum(each["result"] == "fail" for each in document["checks"])
    assert done.returncode == min(document["failed"], 1)
    assert all((each["todo"] is None) == (each["result"] == "ok") for each in document["checks"])
    assert sorted(path.as_posix() for path in folder.rglob("*") if "__pycache__" not in path.parts) == before


def subprocess_version(name: str) -> str:
    found = doctor_python.version_of(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("results", "code", "last"),
    [
        (["ok"], 0, "1 fine"),
        (["ok", "warn", "warn"], 0, "2 warnings, 1 fine\nfirst: b: mend b"),
        (["warn", "fail", "ok", "fail"], 1, "2 failed, 1 warning, 1 fine\nfirst: b: mend b"),
    ],
)
def test_the_end_says_what_to_do_first(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    results: list[str],
    code: int,
    last: str,
) -> None:
    names = "abcd"
    found = [
        Finding(name, result, f"found {name}\x1b[2J", "" if result == "ok" else f"mend {name}")
        for name, result in zip(names, results, strict=False)
    ]
    monkeypatch.setattr(doctor, "_findings", lambda patient: iter(found))

    assert main(["doctor"]) == code
    shown = capsys.readouterr().out
    assert shown.endswith(last + "\n")
    assert "\x1b" not in shown
    assert main(["doctor", "--format", "json"]) == code
    first = json.loads(capsys.readouterr().out)["first"]
    assert first == (None if code == 0 and len(results) == 1 else {"name": "b", "todo": "mend b"})


def test_a_recipe_that_cannot_be_read_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "nothing.esp"]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_a_program_that_hangs_or_cannot_be_started_is_an_answer(bin: Path) -> None:
    program(bin, "sleepy", "exec /bin/sleep 20")
    program(bin, "broken", "echo first; echo last >&2; exit 3")

    assert doctor_finding.asked(["sleepy"], 0.2).why == "sleepy did not answer within 0.2 s"
    assert doctor_finding.asked(["nothing"]).why == "nothing cannot be started: No such file or directory"
    assert (doctor_finding.asked(["broken"]).code, doctor_finding.asked(["broken"]).why) == (3, "last")


# -- Python and packages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "least", "expected"),
    [
        ("2.4.0+cpu", "2.4", False), ("2.3.9", "2.4", True), ("2.10", "2.9", False), ("1.3.7.post1", "1.3.7", False),
        ("1.3", "1.3.7", True), ("0.12.1", "0.12", False), ("202511", "202511", False), ("3.0rc1", "3", False),
    ],
)  # fmt: skip
def test_versions_are_compared_by_their_numbers(version: str, least: str, expected: bool) -> None:
    assert doctor_python.older(version, least) == expected


def test_requirements_are_those_of_the_project() -> None:
    found = doctor_python.requirements()

    assert Requirement("torch", "2.4", "") in found
    assert Requirement("espeakng-loader", "0.2.4", "espeak") in found
    assert Requirement("types-PyYAML", "0", "dev") in found
    assert len(found) == len(doctor_python.installed_requirements()) or len(found) > 20


@pytest.mark.parametrize(
    "text", ['espeakng-loader>=0.2.4; extra == "espeak"', "espeakng-loader >=0.2.4 ; extra == 'espeak'"]
)
def test_requirements_of_metadata_are_read(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_python.metadata, "requires", lambda name: [text, "dask[array]>=2,<3", "plain"])

    assert doctor_python.installed_requirements() == [
        Requirement("espeakng-loader", "0.2.4", "espeak"), Requirement("dask", "2", ""), Requirement("plain", "0", ""),
    ]  # fmt: skip


def test_packages_that_are_old_or_not_there_fail(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"torch": "2.3.1", "lightning": "2.5.0", "rich": None}
    monkeypatch.setattr(doctor_python, "version_of", lambda name: versions.get(name, "9999"))

    found = told(doctor_python.packages(patient(folder)))

    assert found["torch"] == ("fail", f"2.3.1 is older than 2.4 / {sys.executable} -m pip install 'torch>=2.4'")
    assert "a checkpoint can run code" in found["lightning"][1]
    assert found["rich"][0] == "fail" and found["packages"][0] == "ok"
    assert set(doctor_python.HOLES) <= {each.name for each in doctor_python.requirements()}


def test_an_old_python_and_one_that_is_the_systems_are_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = patient(folder)
    monkeypatch.setattr(doctor_python.sys, "prefix", sys.base_prefix)
    assert told(doctor_python.python(given))["python"][0] == "warn"
    monkeypatch.setattr(doctor_python.sys, "version_info", (3, 9, 1))
    assert told(doctor_python.python(given))["python"][0] == "fail"


def test_parts_of_another_installation_and_version_fail(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {"esp3rt": "/usr/lib/esp3rt", "espnet3": None}
    real = doctor_python._place
    monkeypatch.setattr(
        doctor_python, "_place", lambda name: places.get(name, real(name)) if name in places else real(name)
    )
    monkeypatch.setattr(doctor_python, "version_of", lambda name: "0.0.7")

    found = told(doctor_python.parts(patient(folder)))

    assert {name: result for name, (result, _) in found.items()} == {
        "esp3c": "fail",
        "esp3rt": "fail",
        "espnet3": "fail",
    }
    assert "0.0.7" in found["esp3c"][1] and "PYTHONPATH" in found["esp3rt"][1]


# -- torch and sound ----------------------------------------------------------------------------------------------------

TORCH: dict[str, Any] = {
    "version": "2.9", "cuda": "12.8", "hip": None, "there": False, "why": "", "broken": "", "devices": [], "cudnn": None,
    "bf16": False, "mps": False, "threads": 4,
}  # fmt: skip


def devices(**more: Any) -> dict[str, tuple[str, str]]:
    return told(doctor_device.devices({"torch": TORCH | more}))


def test_gpus_that_work_are_listed(bin: Path) -> None:
    gpu = {"name": "Fast 9", "memory": 80_000_000_000, "capability": [9, 0]}

    found = devices(there=True, devices=[gpu], cudnn=91002, bf16=True)

    assert found["gpu"] == ("ok", "Fast 9, 80 GB, compute capability 9.0 / ")
    assert found["cuda"] == ("ok", "cuDNN 91002; bf16 / ")
    assert devices(there=True, devices=[gpu], broken="no kernel image")["gpu"][0] == "fail"
    assert devices(mps=True)["gpu"][0] == "ok"


@pytest.mark.parametrize(
    ("script", "more", "hidden", "result", "words"),
    [
        ("", {}, None, "ok", "none on this machine"),
        (
            'echo "Fast 9, 470.1"',
            {"cuda": None},
            None,
            "fail",
            "built without CUDA / install a torch that is built for CUDA",
        ),
        ('echo "Fast 9, 470.1"', {"why": "The NVIDIA driver is too old"}, None, "fail", "too old / a newer driver"),
        ('echo "Fast 9, 470.1"', {}, "", "warn", "CUDA_VISIBLE_DEVICES hides them"),
        (
            'echo "Failed to initialize NVML: Driver/library version mismatch"; exit 18',
            {},
            None,
            "fail",
            "restart the machine",
        ),
        ("exit 9", {}, None, "warn", "nvidia-smi finds none"),
    ],
)
def test_why_torch_has_no_gpu(
    bin: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    more: dict[str, Any],
    hidden: str | None,
    result: str,
    words: str,
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    if script:
        program(bin, "nvidia-smi", script)

    found = devices(**more)["gpu"]

    assert found[0] == result and words in found[1]


def test_an_import_that_fails_is_said() -> None:
    given = {
        "torch": {"error": "OSError: libcudart.so: no such file"},
        "soundfile": {"error": "OSError: no libsndfile"},
    }

    assert told(doctor_device.devices(given))["torch"][0] == "fail"
    assert "no libsndfile" in told(doctor_device.sound(given))["soundfile"][1]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import time; time.sleep(30)", "no answer within"),
        ("import os; os.abort()", "ended by signal 6"),
        ("raise SystemExit('no such thing')", "no such thing"),
        ("print('[]')", "something else than was asked"),
    ],
)
def test_a_python_that_does_not_answer_is_a_finding(monkeypatch: pytest.MonkeyPatch, code: str, words: str) -> None:
    monkeypatch.setattr(doctor_device, "_PROGRAM", code)

    heard = doctor_device.Listener().heard(0.3 if "sleep" in code else 20)

    assert words in heard["error"]
    (found,) = doctor_device.heard(heard)
    assert (found.name, found.result) == ("torch", "fail") and words in found.found


def test_a_python_that_cannot_be_started_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_device.sys, "executable", "/nowhere/python")
    listener = doctor_device.Listener()

    (found,) = doctor_device.heard(listener.heard())
    listener.end()

    assert found.result == "fail" and "cannot be started: No such file" in found.found


@pytest.mark.parametrize(
    ("missing", "names"),
    [(set(), ["torch", "soundfile"]), ({"torch"}, ["soundfile"]), ({"numpy"}, ["torch"]), ({"torch", "soundfile"}, [])],
)
def test_what_is_not_installed_is_said_once(missing: set[str], names: list[str]) -> None:
    """The check of packages has said it."""
    told = {
        "torch": {"error": "ModuleNotFoundError: No module named 'torch'"},
        "soundfile": {"error": "ModuleNotFoundError: No module named 'numpy'"},
    }

    assert [each.name for each in doctor_device.heard(told, missing)] == names


# -- SLURM --------------------------------------------------------------------------------------------------------------


def cluster(
    folder: Path, ping: str = 'echo "Slurmctld(primary) at head is UP"', states: str = "idle", sacct: str = ""
) -> None:
    shows = "".join(f"show{name}) /bin/cat {FACTS / name}.txt;; " for name in ("config", "partition", "node"))
    program(folder, "scontrol", f'case "$1$2" in ping) {ping};; {shows}esac')
    program(folder, "sinfo", "".join(f"echo rn{number} {states}\n" for number in (1, 2, 3)))
    program(folder, "sacct", sacct)
    for name in ("sbatch", "squeue", "scancel", "srun"):
        program(folder, name, "")


def test_no_slurm_is_fine_but_for_a_recipe_that_needs_it(bin: Path, folder: Path) -> None:
    assert told(doctor_slurm.slurm(patient(folder)))["slurm"][0] == "ok"
    assert told(doctor_slurm.slurm(patient(folder, ON_SLURM)))["slurm"][0] == "fail"


def test_a_cluster_is_described(bin: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster(bin)

    found = told(doctor_slurm.slurm(patient(folder)))

    assert found["slurm"] == ("ok", "Slurmctld(primary) at head is UP / ")
    assert found["partition gpu"] == ("ok", "3 machines, up to 4 cores, 8.39 GB, 2 GPUs, at most 48 h / ")
    empty = doctor_slurm._partition(Partition("old", False, False, ()), {})
    assert (empty.result, empty.found) == ("warn", "has no machines")
    assert found["machines"] == ("ok", "3 idle / ")
    assert found["accounting"][0] == "ok"
    # The folder of tests is in /tmp, which each machine has for itself.
    assert found["jobs see"][0] == "warn" and str(folder) in found["jobs see"][1]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("faults", "name", "result", "words"),
    [
        ({"ping": 'echo "Slurmctld(primary) at head is DOWN"; exit 1'}, "slurm", "warn", "DOWN"),
        ({"ping": "echo 'Could not establish a configuration source' >&2; exit 1"}, "slurm", "ok", "know no cluster"),
        ({"states": "drained"}, "partition gpu", "warn", "no machine of it takes jobs: 3 drained"),
        ({"states": "down*"}, "machines", "fail", "3 down* / no machine takes jobs"),
        (
            {"sacct": "echo 'Slurm accounting storage is disabled' >&2; exit 1"},
            "accounting",
            "warn",
            "storage is disabled",
        ),
    ],
)
def test_faults_of_a_cluster(
    bin: Path, folder: Path, faults: dict[str, str], name: str, result: str, words: str
) -> None:
    cluster(bin, **faults)

    found = told(doctor_slurm.slurm(patient(folder)))[name]

    assert found[0] == result and words in found[1]


def test_commands_without_a_cluster_fail_a_recipe_that_needs_one(bin: Path, folder: Path) -> None:
    cluster(bin, ping="echo 'Could not establish a configuration source' >&2; exit 1")

    result, text = told(doctor_slurm.slurm(patient(folder, ON_SLURM)))["slurm"]

    assert result == "fail" and "SLURM_CONF" in text


def test_commands_that_are_missing(bin: Path, folder: Path) -> None:
    cluster(bin)
    (bin / "sbatch").unlink()
    (bin / "sacct").unlink()

    found = list(doctor_slurm.slurm(patient(folder, ON_SLURM)))

    assert [(each.result, each.found.split()[0]) for each in found if each.todo][:2] == [
        ("fail", "sbatch"),
        ("warn", "sacct"),
    ]
    assert "accounting" not in told(found)


# -- disks --------------------------------------------------------------------------------------------------------------


def test_the_file_system_of_a_place_is_the_innermost(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    inside = tmp_path / "with space"
    inside.mkdir()
    escaped = str(inside).replace(" ", "\\040")
    table.write_text(f"a / ext4 rw\nb {tmp_path} xfs rw\nc {escaped} nfs4 rw\nd {tmp_path}-other lustre rw\nbad\n")

    def kind(place: Path) -> str:
        found = doctor_disk.mount_of(str(place), str(table))
        assert found is not None
        return f"{found.kind} {found.remote}"

    assert [kind(inside / "x"), kind(tmp_path), kind(Path("/"))] == ["nfs4 True", "xfs False", "ext4 False"]
    assert doctor_disk.mount_of("/", str(tmp_path / "nothing")) is None


@pytest.mark.parametrize(("free", "result"), [(1e8, "fail"), (1e9, "warn"), (1e12, "ok")])
def test_room_that_is_left(bin: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, free: float, result: str) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(2e12, 2e12 - free, free))

    found = list(doctor_disk.room(patient(folder)))

    assert {each.result for each in found} == {result}
    assert any("exp_dir" in each.found for each in found)


def test_a_quota_that_is_used_up_is_said(bin: Path, folder: Path) -> None:
    program(bin, "quota", 'echo "Disk quotas for user me: over limit on /home"')

    assert told(doctor_disk.room(patient(folder)))["quota"][0] == "warn"


@pytest.mark.parametrize(("text", "result"), [(RECIPE.replace("/elsewhere/exp", "exp"), "warn"), (ON_SLURM, "fail")])
def test_a_file_system_without_hard_links(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, result: str
) -> None:
    """Shards on SLURM are claimed with them."""

    def no_link(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    given = patient(folder, text)
    monkeypatch.setattr(doctor_disk.os, "link", no_link)

    found = told(doctor_disk.writing(given))["writing"]

    assert found[0] == result and "hard links" in found[1] and "not permitted" in found[1]
    assert not [path for path in folder.iterdir() if path.name.startswith(".esp3c-doctor")]


def test_a_file_system_whose_locks_do_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    monkeypatch.setattr(fcntl, "flock", lambda handle, what: None)

    assert "two had the same lock at once" in told(doctor_disk.writing(patient(folder)))["writing"][1]


@pytest.mark.parametrize(("free", "names"), [(0.0, []), (1e12, ["room"])])
@pytest.mark.parametrize("act", ["fsync", "mkdir"])
def test_a_full_disk_is_a_matter_of_room(
    folder: Path, monkeypatch: pytest.MonkeyPatch, free: float, names: list[str], act: str
) -> None:
    """Where nothing is free, the check of room has said it; where a quota is used up, this is the only one that sees it."""

    def full(*given: Any, **named: Any) -> None:
        raise OSError(errno.EDQUOT if free else errno.ENOSPC, "no room")

    given = patient(folder, RECIPE.replace("/elsewhere/exp", "exp"))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(2e12, 2e12 - free, free))
    monkeypatch.setattr(doctor_disk.os, act, full)

    found = list(doctor_disk.writing(given))
    monkeypatch.undo()

    assert [each.name for each in found] == names
    assert all("make room" in each.todo and "no room" in each.found for each in found)


def test_a_folder_that_cannot_be_written_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*given: Any, **named: Any) -> Iterator[str]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    given = patient(folder)
    monkeypatch.setattr(doctor_disk.tempfile, "TemporaryDirectory", refused)

    assert told(doctor_disk.writing(given))["writing"] == (
        "fail", "/ (exp_dir): Permission denied / chmod u+w /, or a folder of your own"
    )  # fmt: skip


def test_states_of_the_cache(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = patient(folder)
    place = tmp_path / "cache"
    monkeypatch.setenv("ESP3C_CACHE_DIR", str(place))
    monkeypatch.delenv("ESP3C_NO_CACHE", raising=False)
    absent = told(doctor_disk.cache(given))["cache"]
    (place / "esp3c" / "module").mkdir(parents=True, mode=0o700)
    (place / "esp3c").chmod(0o700)
    (place / "esp3c" / "module" / "entry").write_bytes(b"x" * 2000)
    filled = told(doctor_disk.cache(given))["cache"]
    (place / "esp3c").chmod(0o777)
    shared = told(doctor_disk.cache(given))["cache"]
    monkeypatch.setenv("ESP3C_NO_CACHE", "1")
    off = told(doctor_disk.cache(given))["cache"]

    assert (absent[0], filled[0], shared[0], off[0]) == ("ok", "ok", "warn", "warn")
    assert filled[1].startswith("1 files, 2 kB in ")


# -- the recipe ---------------------------------------------------------------------------------------------------------


def test_mistakes_of_the_recipe(folder: Path) -> None:
    good = told(doctor_recipe.compiled(patient(folder)))["recipe"]
    warns = told(doctor_recipe.compiled(patient(folder, "let unused = 1\n" + RECIPE)))["recipe"]
    bad = told(doctor_recipe.compiled(patient(folder, RECIPE.replace("a = 1", "a = nothing"))))["recipe"]

    assert (good[0], warns[0], bad[0]) == ("ok", "warn", "fail")
    assert "ESP0201" in bad[1] and bad[1].endswith("esp3c check recipe.esp")


@pytest.mark.parametrize(
    ("code", "line", "extra", "words"),
    [
        ("import espeakng_loader", "", "espeak", "src/stages.py imports it"),
        (
            "import importlib.util\nimportlib.util.find_spec('onnxruntime')",
            "",
            "onnx",
            "imports it",
        ),
        ("", "b = espnet2.tasks.asr.ASRTask()", "espnet", "names `espnet2.tasks.asr.ASRTask`"),
        ("", '} parallel far = pbs(queue = "a") config two {', "dask", "`parallel far` needs it"),
    ],
)
def test_extras_that_the_recipe_names(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: str, line: str, extra: str, words: str
) -> None:
    stages = "def go_on(own_config, *more): ...\n"
    (folder / "src" / "stages.py").write_text(f"{code}\n{stages}", encoding="utf-8")
    given = patient(folder, RECIPE.replace("a = 1", f"a = 1 {line}"))
    assert list(doctor_recipe.extras(patient(folder)) if not code else []) == []
    monkeypatch.setattr(doctor_recipe, "is_there", lambda name: False)

    found = told(doctor_recipe.extras(given))

    assert set(found) == {f"extra {extra}"}
    result, text = found[f"extra {extra}"]
    assert result == "fail" and words in text and f"[{extra}]" in text


def test_what_a_stage_writes_and_cannot_be_started_is_a_warning(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = patient(folder, f"recipe r {{ system = {SYSTEM} }} demo {{ }} stages {{ pack_demo }}")
    monkeypatch.setattr(doctor_recipe, "is_there", lambda name: False)

    found = told(doctor_recipe.extras(given))["extra demo"]

    assert found[0] == "warn" and "`pack_demo` writes" in found[1] and "[demo]" in found[1]


@pytest.mark.parametrize(("name", "result"), [("notes.txt", "ok"), ("other.esp", "warn")])
def test_of_a_folder_without_a_recipe_the_environment_is_looked_at(tmp_path: Path, name: str, result: str) -> None:
    (tmp_path / name).touch()

    (found,) = doctor_recipe.compiled(doctor._patient(str(tmp_path)))

    assert found.result == result and "the environment alone" in found.found
    assert found.todo == ("" if result == "ok" else f"esp3c doctor {tmp_path / name}")


def test_limits_of_the_site(bin: Path, folder: Path) -> None:
    result = compile_text(ON_SLURM.replace("nothing.here", "mini_an4/asr").replace("nothing.", "elsewhere."))
    assert result.ok, [each.message for each in result.diagnostics]
    cluster(bin)

    found = list(doctor_recipe.limits(Patient(folder, "recipe.esp", result)))

    assert [(each.result, each.todo.split(";")[1]) for each in found] == [("fail", " esp3c explain ESP0821")]
    assert list(doctor_recipe.limits(patient(folder))) == []
