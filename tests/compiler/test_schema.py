"""What the compiler knows as data, held against the real things."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from esp3c.schema.backends import BACKENDS, IN_YAML, JOB_QUEUES, ON_THIS_MACHINE, OVER_DASK, SIGNAL_DELAY, TIME
from esp3c.schema.blocks import CONFIGS, DATA_ORGANIZER, HYDRA_KEYS, SCAFFOLD_NAMES
from esp3c.schema.lightning import LOADER_ARGUMENTS, TRAINER
from esp3c.schema.sbatch_values import CHARACTERS, EXTRA_NAME, LONG_OPTIONS, RESERVED, SHELL
from esp3c.schema.stages import HOOKS_OF_STAGES, KNOWN_STAGES, NOT_STAGES, SYSTEMS
from esp3c.schema.types import Block, Either, Inside, Key, ListOf, MapOf, Type, words


def parameters(function: Any, *without: str) -> set[str]:
    return set(inspect.signature(function).parameters) - {"self", *without}


# -- Lightning and torch ----------------------------------------------------------------------------------------------


def test_the_keys_of_trainer_are_the_parameters_of_lightnings_trainer() -> None:
    from lightning import Trainer

    from espnet3.components.trainers import trainer

    # ESPnet3's own trainer reads these and does not hand them on to Lightning.
    own = set(trainer._OWN_KEYS)

    assert {key.name for key in TRAINER.keys} == parameters(Trainer.__init__) | own


def test_the_defaults_of_trainer_are_what_the_words_say() -> None:
    from lightning import Trainer

    real = inspect.signature(Trainer.__init__).parameters
    for key in TRAINER.keys:
        default = real[key.name].default if key.name in real else None
        if key.default is None or default is None:
            continue
        assert key.default.strip('"').lower() == str(default).lower(), key.name


def test_the_keys_of_a_loader_are_the_parameters_of_torchs_dataloader() -> None:
    from torch.utils.data import DataLoader

    # The dataset is the recipe's own, never written here.
    assert {key.name for key in LOADER_ARGUMENTS} == parameters(DataLoader.__init__, "dataset")


# -- submitit ---------------------------------------------------------------------------------------------------------


def test_the_settings_of_slurm_are_those_of_submitit() -> None:
    """Every option of submitit's executor can be written, under its name; and nothing that it does not know."""
    from submitit.slurm.slurm import SlurmExecutor

    # How a run shares its items and goes on after what goes wrong: no business of submitit's.
    own = {"n_workers", "n_shards", "attempts", "max_bad_items"}
    # An old name of `gpus_per_node`.
    left_out = {"num_gpus"}
    known = SlurmExecutor._valid_parameters() | parameters(SlurmExecutor.__init__) & {"python"}
    names = {IN_YAML.get(key.name, key.name) for key in BACKENDS["slurm"].keys}

    assert names == (known - left_out) | own


def test_the_defaults_of_slurm_are_those_of_submitit() -> None:
    from submitit.slurm.slurm import _get_default_parameters

    defaults = _get_default_parameters()

    assert (defaults["time"] * 60, defaults["signal_delay_s"]) == (TIME, SIGNAL_DELAY)


def test_the_language_page_has_every_setting_of_slurm() -> None:
    page = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
    table = page.partition("### Machine settings")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| .+? \| (.+?) \| (.*) \|$", table, re.MULTILINE)

    assert rows == [(key.name, key.doc, key.default or "") for key in BACKENDS["slurm"].keys]


def test_every_text_of_a_job_is_made_of_known_characters() -> None:
    """What a setting may hold is said for each that can be text, and for no other."""
    by_line = {"setup", "teardown"}
    textual = {key.name for key in BACKENDS["slurm"].keys if "text" in words(key.type) or key.name == "extra"}
    sized = {"mem", "mem_per_cpu", "mem_per_gpu", "time", "exclusive"}

    assert set(CHARACTERS) | SHELL == textual | sized
    assert by_line == SHELL
    assert not set("\"'`$;\\") & set("".join(CHARACTERS.values()))
    assert all(re.fullmatch(EXTRA_NAME, name) for name in (*RESERVED, *LONG_OPTIONS))
    assert set(RESERVED) <= set(LONG_OPTIONS)


@pytest.mark.skipif(shutil.which("sbatch") is None, reason="there is no sbatch")
def test_every_option_that_sbatch_tells_of_is_known(tmp_path: Path) -> None:
    site = tmp_path / "slurm.conf"
    site.write_text("ClusterName=any\nSlurmctldHost=localhost\n", encoding="utf-8")
    environment = {**os.environ, "SLURM_CONF": str(site)}
    shown = subprocess.run(["sbatch", "--help"], capture_output=True, text=True, env=environment).stdout
    told = set(re.findall(r"^ +(?:-\w,? +)?--([a-z-]+)", shown, re.MULTILINE))

    assert len(told) > 80
    assert told <= set(LONG_OPTIONS)


# -- dask -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", JOB_QUEUES)
def test_the_settings_of_a_queueing_system_are_those_of_its_cluster(backend: str) -> None:
    dask_jobqueue = pytest.importorskip("dask_jobqueue", reason="the extra `dask` is not installed")
    from espnet3.parallel._dask_clusters import JOB_QUEUES as CLUSTERS

    cluster = getattr(dask_jobqueue, CLUSTERS[backend])
    classes = [each for each in (*cluster.__mro__, *cluster.job_cls.__mro__) if each.__module__.startswith("dask_jobq")]
    taken = {name for each in classes for name in inspect.signature(each).parameters}
    names = {key.name for key in BACKENDS[backend].keys} - {"n_workers", "n_shards"}
    # What is of no use in a recipe, what the cluster gives its jobs itself, and old names of others.
    left_out = {
        "n_workers", "job_cls", "loop", "security", "silence_logs", "name", "asynchronous", "dashboard_address", "host",
        "scheduler_cls", "scheduler", "config_name", "extra", "job_extra", "env_extra", "header_skip", "kwargs",
        "job_kwargs", "base_class_kwargs",
    }  # fmt: skip

    assert names | left_out >= taken >= names


def test_workers_of_a_dask_cluster_are_asked_for_under_the_names_of_the_framework() -> None:
    from espnet3.parallel import executions

    assert set(ON_THIS_MACHINE) == set(executions.LOCAL)
    assert set(OVER_DASK) == set(executions.DASK)
    assert set(BACKENDS) == {*executions.LOCAL, *executions.DASK, "slurm"}


# -- espnet3 ----------------------------------------------------------------------------------------------------------


def stages_of(path: str) -> set[str]:
    module, _, name = path.rpartition(".")
    system = getattr(__import__(module, fromlist=[name]), name)
    return {
        each
        for each, value in inspect.getmembers(system, inspect.isfunction)
        if not each.startswith("_") and each not in NOT_STAGES
    }


@pytest.mark.parametrize("path", SYSTEMS)
def test_the_stages_of_a_system_are_its_public_methods(path: str) -> None:
    # Asked by stages for the folder of their log: takes a stage's name, so it is none.
    helpers = {"stage_log_dir"}

    assert {stage.name for stage in SYSTEMS[path]} == stages_of(path) - helpers


def test_stages_of_one_name_are_the_same_in_all_systems() -> None:
    assert all(stage == KNOWN_STAGES[stage.name] for stages in SYSTEMS.values() for stage in stages)


@pytest.mark.parametrize("path", SYSTEMS)
def test_the_hooks_of_stages_are_methods_of_every_system(path: str) -> None:
    module, _, name = path.rpartition(".")
    system = getattr(__import__(module, fromlist=[name]), name)

    assert all(callable(getattr(system, hook)) for hooks in HOOKS_OF_STAGES.values() for hook in hooks)


def test_every_stage_needs_the_configs_that_the_framework_says() -> None:
    from espnet3.utils.stages_utils import STAGE_CONFIGS

    needed = {name: tuple(f"{config}_config" for config in stage.requires) for name, stage in KNOWN_STAGES.items()}

    assert needed == dict(STAGE_CONFIGS)


def test_stages_are_in_an_order_that_agrees_with_itself() -> None:
    for stages in SYSTEMS.values():
        names = [stage.name for stage in stages]
        for position, stage in enumerate(stages):
            for before in stage.after:
                assert before in KNOWN_STAGES
                assert before not in names or names.index(before) < position


def test_every_key_that_a_stage_reads_is_one_that_may_be_written() -> None:
    for stage in KNOWN_STAGES.values():
        for each in stage.reads:
            for option in each.split("|"):
                config, *path = option.split(".")
                assert config in stage.requires
                assert known(CONFIGS[config], path), option


def known(block: Block, path: list[str]) -> bool:
    """Whether a dotted place is one that the schema has."""
    if not path:
        return True
    key = block.key(path[0])
    if key is None:
        return block.open
    return below(key.type, path[1:])


def below(type: Type, path: list[str]) -> bool:
    if not path:
        return True
    match type:
        case Inside(block):
            return known(block, path)
        case Either(options):
            return any(below(option, path) for option in options)
        case MapOf(value):
            return below(value, path[1:])
        case _:
            # A target's arguments and values of any kind are nobody's business here.
            return not isinstance(type, ListOf)


def defaults(name: str) -> dict[str, Any]:
    text = files("espnet3.systems.base").joinpath("conf", f"{name}.yaml").read_text(encoding="utf-8")
    loaded = yaml.safe_load(text)
    assert isinstance(loaded, dict)
    return loaded


def places(data: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(data, dict) or not data:
        return [path]
    return [place for key, value in data.items() for place in places(value, (*path, key))]


@pytest.mark.parametrize("name", ["training", "inference", "metrics", "publication"])
def test_every_default_of_the_framework_is_a_key_of_the_schema(name: str) -> None:
    for place in places(defaults(name)):
        if place[-1] in HYDRA_KEYS:
            assert defaults(name)[place[0]]["_target_"] == DATA_ORGANIZER
            continue
        # What `parallel` names has a form of its own in the YAML.
        if place[0] != "parallel":
            assert known(CONFIGS[name], list(place)), place


def test_the_scaffold_is_in_the_defaults_of_a_training() -> None:
    # Without a value in the defaults, but every config may have it.
    optional = {"dataset_dir", "inference_dir"}

    assert SCAFFOLD_NAMES - optional <= set(defaults("training"))


def test_the_organizer_is_where_the_compiler_says() -> None:
    module, _, name = DATA_ORGANIZER.rpartition(".")

    assert hasattr(__import__(module, fromlist=[name]), name)


# -- the data itself --------------------------------------------------------------------------------------------------


def blocks() -> list[Block]:
    found: dict[int, Block] = {}

    def visit(type: Type) -> None:
        match type:
            case Inside(block):
                add(block)
            case Either(options):
                for option in options:
                    visit(option)
            case ListOf(inner) | MapOf(inner):
                visit(inner)

    def add(block: Block) -> None:
        if id(block) not in found:
            found[id(block)] = block
            for key in block.keys:
                visit(key.type)

    for block in (*CONFIGS.values(), *BACKENDS.values()):
        add(block)
    return list(found.values())


def test_keys_are_written_once_and_say_what_they_are() -> None:
    assert len(blocks()) > 12
    for block in blocks():
        assert len(block.names) == len(set(block.names)), block.name
        for key in block.keys:
            assert isinstance(key, Key)
            assert key.name.isidentifier()
            assert key.doc
            assert words(key.type)
