"""What a recipe says of a SLURM job reaches the batch script as that and as nothing else, or is refused."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from submitit.slurm.slurm import _make_sbatch_string

from esp3c.schema.backends import SLURM
from esp3c.schema.sbatch_values import CHARACTERS, LONG_OPTIONS, RESERVED
from support.fixtures import check_text

# Those that are text, and are an option of sbatch each.
OPTIONS = sorted(set(CHARACTERS) - {"extra", "srun_args", "python", "mem", "mem_per_cpu", "mem_per_gpu", "time"})
FREE_NAMES = [name for name in LONG_OPTIONS if name not in RESERVED and SLURM.key(name.replace("-", "_")) is None]
ODD = st.text(
    st.one_of(st.sampled_from("abAB09_.-+@:=/%,*()[]{}|&?!~^<># \\'\"`$;\n\r\t\0\x1b\x85\u2028ä"), st.characters()),
    max_size=12,
)
# A surrogate is no text of a recipe.
TEXT = ODD.filter(lambda text: not any(0xD800 <= ord(char) < 0xE000 for char in text))


def quoted(text: str) -> str:
    return '"' + "".join(char if char.isalnum() and char.isascii() else f"\\u{{{ord(char):x}}}" for char in text) + '"'


def said(settings: str) -> set[str]:
    """The codes for a job with these settings."""
    head = "recipe r { system = espnet3.systems.asr.system.ASRSystem }\n"
    return {each.code.id for each in check_text(f"{head}training {{ parallel = slurm({settings}, time = 4h) }}\n")}


def script(**given: object) -> list[str]:
    return _make_sbatch_string(command="run", folder="/logs", **given).split("\n")  # type: ignore[arg-type]


@pytest.mark.parametrize("option", OPTIONS)
@settings(max_examples=40, deadline=None)
@example("a\n#SBATCH --exclusive")
@example("$(id)")
@example("a' b")
@example("a\\")
@given(text=TEXT)
def test_a_value_is_one_word_of_one_line(option: str, text: str) -> None:
    if said(f"{option} = {quoted(text)}"):
        return

    lines = script(**{option: text})

    flag = f"--{option.replace('_', '-')}"
    (line,) = [each for each in lines if each.startswith(f"#SBATCH {flag}=")]
    assert shlex.split(line) == ["#SBATCH", f"{flag}={text}"]
    assert len(lines) == len(script(**{option: "a"}))
    assert not set("\\'\"`$;") & set(text)


@pytest.mark.parametrize("option", OPTIONS)
def test_what_an_option_needs_is_taken(option: str) -> None:
    needed = {
        "constraint": "[a100*2|h100]&(ib|opa)", "dependency": "afterok:12:13?afterany:7", "exclude": "n[1-4,7],m8",
        "exclusive": "user", "gpus_per_node": "a100:4", "gpus_per_task": "a100:1", "gres": "gpu:a100:2,shard:1",
        "mail_type": "BEGIN,TIME_LIMIT_90", "mail_user": "a.b+c@lab.org", "nodelist": "n[01-04]", "partition": "gpu,gpu-long",
        "comment": "Größe: 3 of 4 (second try)!", "job_name": "big-ctc.v2", "wckey": "speech", "qos": "high", "account": "a_b-1",
    }  # fmt: skip

    assert said(f'{option} = "{needed[option]}"') == set()


@pytest.mark.parametrize("name", [*FREE_NAMES, "container-image", "site_option"])
def test_any_other_option_of_sbatch_may_stand_in_extra(name: str) -> None:
    assert said(f'extra = {{ "{name}" = "x" }}') == set()


@settings(max_examples=60, deadline=None)
@example("x\n#SBATCH --exclusive", "1")
@example("--x", "1")
@example("reservation", "a #b")
@given(name=st.one_of(st.sampled_from(["reservation", "nice", "begin"]), TEXT), text=TEXT)
def test_a_name_and_a_value_in_extra_are_one_line(name: str, text: str) -> None:
    if not name or said(f"extra = {{ {quoted(name)} = {quoted(text)} }}"):
        return

    lines = script(additional_parameters={name: text})

    (line,) = [each for each in lines if each.startswith(f"#SBATCH --{name.replace('_', '-')}=")]
    assert shlex.split(line) == ["#SBATCH", f"--{name.replace('_', '-')}={text}"]
    assert len(lines) == len(script(additional_parameters={"reservation": "a"}))


@settings(max_examples=60, deadline=None)
@example("bash")
@example("-")
@example("--")
@example("--mpi=none; id")
@given(text=TEXT)
def test_an_argument_of_srun_is_an_option(text: str) -> None:
    """Whatever is no option would be the program that srun starts."""
    if said(f"srun_args = [{quoted(text)}]"):
        return

    lines = script(srun_args=[text])

    (line,) = [each for each in lines if each.startswith("srun ")]
    assert shlex.split(line)[-2:] == [text, "run"]
    assert text.startswith("-") and text.strip("-")
    assert len(lines) == len(script(srun_args=["-K1"]))


@pytest.mark.parametrize("name", ["setup", "teardown"])
@settings(max_examples=40, deadline=None)
@example("#SBATCH --exclusive")
@example("  #PBS -N x")
@example("echo a\necho b")
@given(text=TEXT)
def test_a_line_of_shell_is_one_line_and_no_option(name: str, text: str) -> None:
    if said(f"{name} = [{quoted(text)}]"):
        return

    lines = script(**{name: [text]})

    assert text in lines
    assert len(lines) == len(script(**{name: ["true"]}))
    options = [line for line in lines if line.lstrip().startswith(("#SBATCH", "#PBS", "#BSUB"))]
    assert options == [line for line in script() if line.startswith("#SBATCH")]


@pytest.mark.parametrize(
    ("written", "codes"),
    [
        ('python = "/opt/envs/a-1.0/bin/python3.11"', set()),
        ('python = "singularity exec x.sif python"', {"ESP0810"}),
        ('mail_type = "end,FAIL"', set()),
        ('mail_type = "FINISH"', {"ESP0312"}),
        ("exclusive = true", set()),
        ('exclusive = "mine"', {"ESP0302"}),
        ("signal_delay_s = 18h", {"ESP0817"}),
        ("signal_delay_s = 20h", {"ESP0311", "ESP0817"}),
        ("max_bad_items = 0", set()),
        ("max_bad_items = -1", {"ESP0311"}),
        ("attempts = 0", {"ESP0311"}),
        ('teardown = "rm x"', {"ESP0302"}),
        ("extra = { nice = 10ms }", {"ESP0302"}),
        ("extra = { nice = null }", {"ESP0302"}),
        ("extra = { nice = 100, contiguous = true, tmp = \"10G\" }", set()),
    ],
)  # fmt: skip
def test_the_settings_of_a_job_have_their_types(written: str, codes: set[str]) -> None:
    assert said(written) == codes
