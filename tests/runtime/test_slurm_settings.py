"""What a machine setting for SLURM may say, and that no value of it can say more than itself."""

from __future__ import annotations

import inspect
import shlex
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from submitit.slurm.slurm import _make_sbatch_string

from esp3c.schema import sbatch_values
from esp3rt.slurm import values
from esp3rt.slurm.request import COMMANDS, Wanted, requests
from esp3rt.slurm.settings import SUBMITIT, SettingError, Settings, read_settings

RECIPE = "/home/me/re cipe's"
# What a shell, sbatch or a file could take for an end, and what only looks like it.
ODD = "\n\r\t\v\f\0'\"`$;\\#&|<>(){}[]*?!~ \x1b\x7f\x85\u2028\u2029\u00a0\ud800é∂"


def options_of(**options: Any) -> Settings:
    return read_settings({"env": "slurm", "options": options})


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ({"queue": "gpu"}, {"partition": "gpu"}),
        ({"project": "speech"}, {"account": "speech"}),
        ({"cores": 8}, {"cpus_per_task": 8}),
        ({"memory": "16GB"}, {"mem": "15259M"}),
        ({"memory": "16GiB"}, {"mem": "16384M"}),
        ({"memory": "1.5 g"}, {"mem": "1536M"}),
        ({"walltime": "04:00:00"}, {"time": 240}),
        ({"walltime": "1-02:30"}, {"time": 1590}),
        ({"walltime": "00:00:20"}, {"time": 1}),
        ({"walltime": "90"}, {"time": 90}),
        ({"walltime": "90:30"}, {"time": 91}),
        ({"job_script_prologue": ["module load cuda"]}, {"setup": ["module load cuda"]}),
        ({"job_script_epilogue": ["date"]}, {"teardown": ["date"]}),
        ({"setup": ["a"], "job_script_prologue": ["b"]}, {"setup": ["a", "b"]}),
        ({"job_extra_directives": ["--gres=gpu:2"]}, {"gres": "gpu:2"}),
        ({"job_extra_directives": ["#SBATCH --exclusive", "--qos high"]}, {"exclusive": True, "qos": "high"}),
        ({"job_extra_directives": ["--reservation=night"]}, {"additional_parameters": {"reservation": "night"}}),
        ({"additional_parameters": {"cpus-per-task": 4, "nice": 5}}, {"cpus_per_task": 4, "additional_parameters": {"nice": 5}}),
        ({"mem": "4G", "additional_parameters": {"mem": "8G"}}, {"mem": "8G"}),
        ({"exclusive": False, "partition": None, "additional_parameters": {"nice": None}}, {}),
    ],
)  # fmt: skip
def test_words_that_are_understood(words: dict[str, Any], meant: dict[str, Any]) -> None:
    """The words of dask_jobqueue mean what submitit's mean; an option that submitit has a name for is taken for it."""
    found = options_of(**words)

    assert dict(found.options) == meant
    assert found.remarks == ()


def test_processes_are_more_workers() -> None:
    """Dask shares a job's cores and memory among its processes; here each worker has a job, with its part of them."""
    found = read_settings({"n_workers": 4, "options": {"processes": 2, "cores": 8, "memory": "16GiB"}})

    assert (found.workers, dict(found.options)) == (8, {"cpus_per_task": 4, "mem": "8192M"})


def test_what_has_no_meaning_is_said() -> None:
    """A word that is about Dask's workers alone is passed over, and named."""
    found = options_of(interface="ib0", log_directory="/tmp/logs", partition="gpu")

    assert dict(found.options) == {"partition": "gpu"}
    assert found.remarks == (
        "interface has no meaning for jobs that are no Dask workers",
        "log_directory has no meaning for jobs that are no Dask workers",
    )


def test_own_options() -> None:
    """They are not submitit's, and have defaults."""
    found = options_of(attempts=5, max_bad_items=2, python="/opt/py/bin/python", time=30, signal_delay_s=60)
    plain = read_settings({})

    assert (found.attempts, found.max_bad_items, found.python) == (5, 2, "/opt/py/bin/python")
    assert (found.minutes, found.signal_delay) == (30, 60.0)
    assert (plain.workers, plain.attempts, plain.max_bad_items, plain.minutes, plain.signal_delay) == (1, 3, 0, 5, 90.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"partitions": "gpu"}, r"options.partitions: there is no such option; there are account, "),
        ({"queue": "a", "partition": "b"}, "queue and .partition say the same"),
        ({"processes": 0}, "processes must be a positive whole number, not 0"),
        ({"cores": 0}, "cpus_per_task must be a positive whole number, not 0"),
        ({"cores": True}, "cpus_per_task must be a positive whole number, not True"),
        ({"nodes": 1.5}, "nodes must be a positive whole number, not 1.5"),
        ({"attempts": 0}, "attempts must be a positive whole number, not 0"),
        ({"max_bad_items": -1}, "max_bad_items must be a whole number from 0, not -1"),
        ({"signal_delay_s": 70_000}, "signal_delay_s must be a whole number from 0, not 70000"),
        ({"time": "soon"}, "options.time: 'soon' is no time"),
        ({"walltime": "1:2:3:4"}, "options.walltime: '1:2:3:4' is no time"),
        ({"memory": "much"}, "memory: 'much' is no size"),
        ({"memory": "1.2.3G"}, "memory: '1.2.3G' is no size"),
        ({"mem": -1}, "mem cannot be -1"),
        ({"partition": True}, "partition cannot be True"),
        ({"partition": ["gpu"]}, r"partition cannot be \['gpu'\]"),
        ({"partition": ""}, "partition is empty"),
        ({"partition": "a b"}, "partition holds ' '"),
        ({"partition": "gpu\n#SBATCH --uid=0"}, "partition holds a line break"),
        ({"account": "a'; rm -rf ~; '"}, '''account holds "'"'''),
        ({"comment": "one\u2028two"}, r"comment holds the character U\+2028"),
        ({"comment": "# no comment"}, "comment holds '#'"),
        ({"exclusive": "yes"}, "exclusive must be true, false or one of user, mcs, topo"),
        ({"setup": "module load cuda"}, "setup must be a list of texts"),
        ({"setup": [1]}, r"setup must be a list of texts, not \[1\]"),
        ({"setup": ["a\nb"]}, "setup holds a line break; write one line of shell"),
        ({"setup": ["  #SBATCH --array=0-9"]}, "setup holds an option of sbatch"),
        ({"job_script_prologue": "a"}, "job_script_prologue must be a list of texts"),
        ({"srun_args": ["bash"]}, "srun_args holds what is no option of srun"),
        ({"srun_args": ["--export", "ALL"]}, "srun_args holds what is no option of srun"),
        ({"srun_args": ["--x=$(id)"]}, r"srun_args holds '\$'"),
        ({"job_extra_directives": ["gres=gpu:1"]}, "'gres=gpu:1' is no option of sbatch; write it as --name=value"),
        ({"job_extra_directives": ["--a b c"]}, "'--a b c' is no option of sbatch"),
        ({"job_extra_directives": ["--comment='a"]}, "cannot be read"),
        ({"job_extra_directives": ["--output=x"]}, "output cannot be set there: a run finds the logs"),
        ({"additional_parameters": ["nice"]}, "additional_parameters must be names with values"),
        ({"additional_parameters": {"--nice": 1}}, "'--nice' is no option of sbatch; write it without its dashes"),
        ({"additional_parameters": {"nice\n#": 1}}, "is no option of sbatch"),
        ({"additional_parameters": {"hold": False}}, "hold cannot be False; leave it out"),
        ({"additional_parameters": {"reservation": "a;b"}}, "reservation holds ';'"),
        ({"additional_parameters": {"reservation": "a #b"}}, "reservation holds a # that begins a word"),
        ({"additional_parameters": {"signal": "USR1@60"}}, "signal cannot be set there: `signal_delay_s` says when"),
        ({"additional_parameters": {"partition": "a\nb"}}, "partition holds a line break"),
        ({"use_srun": False, "teardown": ["date"]}, r"teardown: without srun \(use_srun: false\) .* leave one of the two out"),
    ],
)  # fmt: skip
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    """With the option's name, and before anything is sent."""
    with pytest.raises(SettingError, match=message):
        options_of(**options)


@pytest.mark.parametrize("workers", [0, -1, True, "8", 1.5])
def test_how_many_workers_is_a_number(workers: Any) -> None:
    """A positive whole one."""
    with pytest.raises(SettingError, match="n_workers must be a positive whole number"):
        read_settings({"n_workers": workers})


def test_options_are_those_of_submitit() -> None:
    """All that its job script can have, and nothing else."""
    taken = set(inspect.signature(_make_sbatch_string).parameters) - {"command", "folder", "map_count"}

    assert taken == {*SUBMITIT}


def test_the_compiler_has_the_same_tables() -> None:
    """A recipe that is checked is not refused when it runs, and the other way round."""
    names = ("CHARACTERS", "ANY_LETTERS", "HASH", "DIRECTIVE", "EXTRA_NAME", "SRUN_ARGUMENT")
    # A YAML by hand may say so: whoever leads sends another job then.
    reserved = {name: why for name, why in sbatch_values.RESERVED.items() if name != "no-requeue"}

    assert {name: getattr(values, name) for name in names} == {name: getattr(sbatch_values, name) for name in names}
    assert reserved == values.RESERVED


# -- what a value can do -----------------------------------------------------------------------------------------------

PLAIN = st.text(st.sampled_from(string.ascii_letters + string.digits + "_.,:=+@%/-[]() "), max_size=6)
EVIL = st.sampled_from(
    [
        *ODD,
        "\n#SBATCH --uid=0",
        " #SBATCH --hold",
        "#SBATCH --hold",
        "'; id; '",
        '" --hold "',
        "$(id)",
        "`id`",
        " --hold",
        " # x",
    ]
)
WORDS = st.one_of(PLAIN, PLAIN, st.builds("{}{}{}".format, PLAIN, EVIL, PLAIN))
GOOD_NAMES = st.sampled_from(["reservation", "nice", "hold", "licenses", "no_requeue", "chdir", "gres"])
NAMES = st.one_of(GOOD_NAMES, GOOD_NAMES, GOOD_NAMES, WORDS)
VALUES = st.one_of(WORDS, st.integers(-5, 5), st.booleans(), st.floats(allow_nan=False), st.none())
ALL = {
    **dict.fromkeys(sorted({*values.CHARACTERS} - {"srun_args", "extra"}), WORDS),
    "time": WORDS | st.integers(1, 99),
    "setup": st.lists(WORDS, max_size=2),
    "teardown": st.lists(WORDS, max_size=2),
    "srun_args": st.lists(
        st.sampled_from(["", "--", "-m", "--mpi="]).flatmap(lambda a: WORDS.map(a.__add__)), max_size=2
    ),
    "additional_parameters": st.dictionaries(NAMES, VALUES, max_size=2),
    "job_extra_directives": st.lists(st.builds("--{}{}".format, NAMES, WORDS) | WORDS, max_size=2),
}
OPTIONS = st.sets(st.sampled_from(sorted(ALL)), min_size=1, max_size=2).flatmap(
    lambda names: st.fixed_dictionaries({name: ALL[name] for name in sorted(names)})
)


def as_sbatch_reads(line: str) -> list[str]:
    """The words of a line behind `#SBATCH`: unlike a shell, it lets a backslash escape what follows also inside quotes."""
    words, word, quote, escaped = [], "", "", False
    for character in line.removeprefix("#SBATCH") + " ":
        if escaped:
            word, escaped = word + character, False
        elif character == "\\":
            escaped = True
        elif quote:
            word, quote = (word, "") if character == quote else (word + character, quote)
        elif character in "'\"":
            quote = character
        elif character == "#":
            break
        elif character.isspace():
            words, word = [*words, word] if word else words, ""
        else:
            word += character
    assert not quote
    return words


@given(OPTIONS)
@hypothesis_settings(max_examples=500)
@example({"comment": "a b ! é", "additional_parameters": {"reservation": "a b!*?[x] ~"}, "srun_args": ["--x=a b"]})
@example({"setup": ["#SBATCH --hold"]})
@example({"setup": ["echo '#SBATCH --uid=0'", "\techo $HOME"], "teardown": ["# SBATCH --hold"]})
def test_a_value_says_no_more_than_itself(options: dict[str, Any]) -> None:
    """Whatever passes stands in the script as the value of its option, and neither adds a line nor an option to it, nor
    reaches a shell; the lines of shell stand there as they are, and hold no option."""
    try:
        found = options_of(**options)
    except SettingError:
        return
    wanted = Wanted(kind=COMMANDS, name="train", jobs=1, folder=RECIPE, arguments=("work", f"{RECIPE}/w", "1"))
    (request,) = requests(found, wanted)
    text = request.text(Path(RECIPE) / "logs")
    lines = text.split("\n")

    shell = [*found.options.get("setup", ()), *found.options.get("teardown", ())]
    directives = [line for line in lines if line.startswith("#SBATCH")]
    assert directives == lines[3 : 3 + len(directives)]
    assert text.splitlines() == text.removesuffix("\n").split("\n")
    parsed = {}
    for line in directives:
        (word,) = as_sbatch_reads(line)
        name, equals, value = word.removeprefix("--").partition("=")
        assert name not in parsed
        parsed[name] = value if equals else True
    expected: dict[str, Any] = {
        "nodes": "1",
        "ntasks-per-node": "1",
        "time": "5",
        "wckey": "submitit",
        "job-name": "train",
    }
    own = ("setup", "teardown", "srun_args", "additional_parameters", "array_parallelism")
    given_ones = {**found.options, **found.options.get("additional_parameters", {})}
    expected |= {name.replace("_", "-"): each for name, each in given_ones.items() if name not in own}
    expected |= {"open-mode": "append", "output": f"{RECIPE}/logs/%j_0_log.out", "signal": "USR2@90"}
    expected |= {} if "no-requeue" in expected else {"requeue": True}
    expected.setdefault("chdir", RECIPE)
    assert parsed == {name: each if each is True else str(each) for name, each in expected.items()}
    rest = lines[3 + len(directives) :]
    command = rest[rest.index("export SUBMITIT_EXECUTOR=slurm") + 1]
    python = found.python or request.python
    assert all(len(word) > 1 and word[0] == "-" and word != "--" for word in found.options.get("srun_args", ()))
    assert shlex.split(command) == [
        *["srun", "--unbuffered", "--output", f"{RECIPE}/logs/%j_%t_log.out", *found.options.get("srun_args", ())],
        *[python, "-u", "-P", "-m", "esp3rt.slurm", "work", f"{RECIPE}/w", "1"],
    ]
    others = [line for line in rest if line and line not in ("# setup", "# teardown", "# command", command)]
    assert [line for line in others if line != "export SUBMITIT_EXECUTOR=slurm"] == [line for line in shell if line]
