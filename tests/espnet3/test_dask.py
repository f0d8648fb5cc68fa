"""Shards on a Dask cluster: real worker processes on this machine, behind an address."""

import os
import signal
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

pytest.importorskip("distributed", reason="the extra `dask` is not installed")

from distributed import LocalCluster

import espnet3.parallel.parallel as parallel
from esp3rt.work import Job, Outcome, WorkError, WorkersDied
from espnet3.parallel.dask_execution import DaskWorkers
from espnet3.parallel.parallel import build_client, get_client, parallel_in_force, wrap_func_with_worker_env
from espnet3.utils.errors import ConfigError, RunnerError

RECIPE = '''
    """A recipe's own module: the workers find it where the driver does."""

    import os, signal
    from pathlib import Path

    from espnet3.parallel.base_runner import BaseRunner, concatenate_shard_files
    from espnet3.parallel.env_provider import EnvironmentProvider

    FACTOR = 1


    class Provider(EnvironmentProvider):
        def build_env_local(self):
            return {"model": lambda value: value * value}

        def build_worker_setup_fn(self):
            folder = Path(self.config.folder)

            def setup():
                with open(folder / "built", "a") as handle:
                    handle.write(f"{os.getpid()}\\n")
                return {"model": lambda value: value * value, "built_in": os.getpid(), "folder": str(folder)}

            return setup


    class Square(BaseRunner):
        @staticmethod
        def forward(idx, model):
            return FACTOR * model(idx)


    class Pid(BaseRunner):
        @staticmethod
        def forward(idx, built_in):
            assert built_in == os.getpid()
            return os.getpid()


    class Failing(BaseRunner):
        @staticmethod
        def forward(idx, model):
            if idx == 5:
                raise ZeroDivisionError(f"item {idx} cannot be done")
            return model(idx)


    class Killer(BaseRunner):
        """The worker that has item 3 is killed, once."""

        @staticmethod
        def forward(idx, model, folder):
            mark = Path(folder) / "killed"
            if idx == 3 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return model(idx)


    class Text(BaseRunner):
        @staticmethod
        def forward(idx, model):
            return f"u{idx} {model(idx)}"

        @staticmethod
        def open_writers(shard_dir, **env):
            return {"text": (shard_dir / "text").open("w", encoding="utf-8")}

        @staticmethod
        def write_record(writers, result, state, **env):
            writers["text"].write(result + "\\n")

        @staticmethod
        def close_writers(writers):
            writers["text"].close()

        def merge(self, shard_dirs):
            concatenate_shard_files(shard_dirs, "text", self.output_dir / "text")
            return (self.output_dir / "text").read_bytes()
'''


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    no_dashboard = {"dashboard_address": "127.0.0.1:0", "scheduler_kwargs": {"dashboard": False}}
    with LocalCluster(n_workers=2, threads_per_worker=1, silence_logs=50, **no_dashboard) as cluster:
        yield cluster


@pytest.fixture
def setting(cluster: LocalCluster) -> Any:
    return OmegaConf.create({"env": "dask", "n_workers": 2, "options": {"address": cluster.scheduler_address}})


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The recipe's module, which only this test's folder has."""
    (tmp_path / "dask_recipe.py").write_text(textwrap.dedent(RECIPE), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    import importlib

    yield importlib.import_module("dask_recipe")
    del sys.modules["dask_recipe"]


def provider(recipe: Any) -> Any:
    return recipe.Provider(OmegaConf.create({"folder": str(Path.cwd())}))


def test_results_in_memory_come_in_the_order_of_the_items(recipe: Any, setting: Any) -> None:
    """Wherever each was made."""
    with parallel_in_force(setting):
        made = recipe.Square(provider(recipe))(range(50))

    assert made == [index * index for index in range(50)]


def test_merged_files_are_those_of_one_process_byte_for_byte(recipe: Any, setting: Any, tmp_path: Path) -> None:
    """However the items are cut."""
    here = recipe.Text(provider(recipe), output_dir=tmp_path / "here")(range(100))
    with parallel_in_force(OmegaConf.merge(setting, {"n_shards": 7})):
        there = recipe.Text(provider(recipe), output_dir=tmp_path / "there")(range(100))

    assert there == here
    assert len(list((tmp_path / "there").glob("split.*/done"))) == 7


def test_an_environment_is_built_once_in_each_worker_that_takes_part(recipe: Any, setting: Any) -> None:
    """And none in the driver; the next run builds its own."""
    with parallel_in_force(setting):
        pids = set(recipe.Pid(provider(recipe))(range(40)))
        built = Path("built").read_text().split()
        again = set(recipe.Pid(provider(recipe))(range(40)))

    assert os.getpid() not in pids
    assert sorted(built) == sorted(map(str, pids))
    assert len(Path("built").read_text().split()) == len(built) + len(again)


def test_the_work_of_a_killed_worker_is_done_by_another(recipe: Any, setting: Any, tmp_path: Path) -> None:
    """No item is lost, and none is there twice."""
    with parallel_in_force(setting):
        made = recipe.Killer(provider(recipe))(range(20))

    assert (tmp_path / "killed").exists()
    assert made == [index * index for index in range(20)]


def test_a_task_that_kills_every_worker_ends_the_run(cluster: LocalCluster, setting: Any) -> None:
    """In words that say which, and how many workers it was."""
    cluster.sync(_allow_failures, cluster, 1)

    def work(built: Any, task: int, moved: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    job = Job(setup=dict, work=work, name_of="shard {}".format)
    with pytest.raises(WorkersDied, match=r"2 Dask workers died while they worked on shard 4; the last was tcp://"):
        list(DaskWorkers(setting, 2).run(job, [4], lambda n: None))
    cluster.sync(_allow_failures, cluster, 3)


async def _allow_failures(cluster: Any, number: int) -> None:
    cluster.scheduler.allowed_failures = number


def test_an_error_in_forward_is_raised_as_it_is(recipe: Any, setting: Any) -> None:
    """With the item, and where in the worker it came from."""
    with parallel_in_force(setting), pytest.raises(ZeroDivisionError, match="item 5 cannot be done") as caught:
        recipe.Failing(provider(recipe))(range(20))

    notes = "\n".join(caught.value.__notes__)
    assert "Failing was working on item 5" in notes
    assert "In the worker:" in notes and "dask_recipe.py" in notes


def test_a_worker_is_left_as_it_was(recipe: Any, setting: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder, sys.path, and what configs may name; and an edited recipe is read again by the same process."""
    client = build_client(setting)

    def state() -> tuple[Any, ...]:
        from espnet3.utils import targets

        return os.getcwd(), "dask_recipe" in sys.modules, list(sys.path), list(sys.argv), targets._allowed

    client.wait_for_workers(2)
    before = client.run(state)
    monkeypatch.setattr("espnet3.utils.targets._allowed", frozenset({"dask_recipe.Square"}))
    with parallel_in_force(setting):
        assert recipe.Square(provider(recipe))([3]) == [9]
        (tmp_path / "dask_recipe.py").write_text(textwrap.dedent(RECIPE).replace("FACTOR = 1", "FACTOR = -100"))
        assert recipe.Square(provider(recipe))([3]) == [-900]
    after = client.run(state)
    client.close()

    assert after == before


def test_what_is_left_is_given_up_when_the_results_are_not_wanted(setting: Any, tmp_path: Path) -> None:
    """The task that is being worked on stops where it counts; no other begins, and nothing stays in the workers."""

    def work(built: Any, task: int, moved: Any) -> int:
        (tmp_path / f"began.{task}").touch()
        try:
            for _ in range(0 if task == 0 else 1000):
                time.sleep(0.02)
                moved(1)
        except BaseException as error:
            (tmp_path / f"stopped.{task}").write_text(type(error).__name__)
            raise
        return task

    outcomes = DaskWorkers(setting, 2).run(Job(setup=dict, work=work), range(10), lambda n: None)

    assert next(outcomes) == Outcome(0, 0)
    until(lambda: (tmp_path / "began.1").exists())
    outcomes.close()  # type: ignore[attr-defined]
    until(lambda: (tmp_path / "stopped.1").exists())
    assert (tmp_path / "stopped.1").read_text() == "GivenUp"
    assert len(list(tmp_path.glob("began.*"))) <= 4
    with get_client(setting) as client:
        plugins = client.run(lambda dask_worker: [name for name in dask_worker.plugins if "espnet3" in name])
    assert all(names == [] for names in plugins.values())


def test_the_framework_goes_by_what_there_are_executions_for() -> None:
    """Before a stage begins."""
    from espnet3.parallel.executions import DASK, LOCAL, SLURM
    from espnet3.utils import run_utils

    assert {*LOCAL, SLURM} == set(run_utils._HERE)
    assert set(DASK) == set(run_utils._DASK)


def until(condition: Any) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_client_is_kept_for_a_next_run_that_asks_for_it(setting: Any) -> None:
    """Until the execution is closed, or a run does not come to its end."""

    def work(built: Any, task: int, moved: Any) -> int:
        return 1 // task

    execution = DaskWorkers(setting, 2, keep=True)
    job = Job(setup=dict, work=work)

    assert [outcome.result for outcome in execution.run(job, [1], print)] == [1]
    client = execution._client
    assert [outcome.result for outcome in execution.run(job, [1], print)] == [1]
    assert client is not None and execution._client is client
    with pytest.raises(ZeroDivisionError):
        list(execution.run(job, [0], print))
    assert execution._client is None and client.status == "closed"


def test_what_has_moved_is_counted_on_the_way(setting: Any) -> None:
    """It adds up to all of it, in more than one step."""

    def work(built: Any, task: int, moved: Any) -> None:
        for _ in range(10):
            time.sleep(0.03)
            moved(5)

    steps: list[int] = []
    list(DaskWorkers(setting, 2).run(Job(setup=dict, work=work), range(2), steps.append))

    assert sum(steps) == 100
    assert len([step for step in steps if step]) > 2


# -- by hand ----------------------------------------------------------------------------------------------------------


def test_a_function_takes_the_workers_environment_by_name(setting: Any) -> None:
    """What the call gives itself is not taken; what neither has is named."""

    def score(item: int, model: Any, offset: int = 0) -> int:
        return int(model * item + offset)

    def other(item: int, modle: Any) -> None: ...

    with get_client(setting, lambda: {"model": 3, "unused": None}) as client:
        wrapped = wrap_func_with_worker_env(score)
        assert client.gather(client.map(wrapped, [1, 2, 3], pure=False)) == [3, 6, 9]
        assert client.submit(wrapped, 1, offset=5, pure=False).result() == 8
        with pytest.raises(RunnerError, match=r"called with 'model', which the worker's environment has as well"):
            client.submit(wrapped, 1, model=5, pure=False).result()
        with pytest.raises(RunnerError, match=r"no such key.*did you mean 'model'"):
            client.submit(wrap_func_with_worker_env(other), 1, pure=False).result()
    with pytest.raises(RunnerError, match="outside of one: submit it to a client"):
        wrapped(1)


def test_the_setup_of_a_worker_must_give_a_dict(setting: Any) -> None:
    """Said when the client is opened."""
    client = get_client(setting, lambda: ["model"])  # type: ignore[arg-type,return-value]
    with pytest.raises(RunnerError, match="must give a dict of names and objects, not a list"), client:
        pass


def test_the_plugin_is_one_of_dask_and_is_sent_by_name() -> None:
    """Although the module does not import Dask before it is asked for it."""
    import pickle

    from distributed import WorkerPlugin

    plugin = parallel.DictReturnWorkerPlugin(dict)

    assert isinstance(plugin, WorkerPlugin)
    assert type(pickle.loads(pickle.dumps(plugin))) is parallel.DictReturnWorkerPlugin
    plugin.setup(worker=None)  # type: ignore[arg-type]
    assert plugin.env == {}


@pytest.mark.parametrize(
    "config, message",
    [
        ({"env": "slrm"}, r"parallel.env: there is no 'slrm'.*did you mean 'slurm'"),
        ({"env": "dask", "n_workers": 0}, "parallel.n_workers must be a positive whole number, not 0"),
        ({"env": "dask", "options": {"address": "tcp://127.0.0.1:1", "timeout": 0.3}}, r"options.address: no Dask sch"),
        ({"env": "dask", "options": {"address": "a", "scheduler_file": "b"}}, "not by both"),
        ({"env": "local", "options": {"threads_per_wroker": 2}}, "did you mean 'threads_per_worker'"),
        ({"env": "local_gpu", "options": {"processes": False}}, "threads of one process cannot have a GPU each"),
        ({"env": "slurm", "options": {"qeue": "x"}}, r"options.qeue: SLURMCluster has no such.*did you mean 'queue'"),
        ({"env": "pbs", "options": {"queue": "x"}}, "cannot be started: You must specify how much cores and memory"),
    ],
)
def test_a_setting_that_fits_no_cluster(config: Any, message: str) -> None:
    """The message names the key."""
    with pytest.raises(ConfigError, match=message):
        build_client(OmegaConf.create(config))


def test_each_local_worker_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """In turn, of those that this process may use; without dask_cuda."""
    monkeypatch.setitem(sys.modules, "dask_cuda", None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    client = parallel.build_local_gpu_cluster(2, {})
    try:
        client.wait_for_workers(2)
        gpus = client.run(lambda: os.environ["CUDA_VISIBLE_DEVICES"])
    finally:
        client.cluster.close()
        client.close()

    assert sorted(gpus.values()) == ["3", "5"]


def test_jobs_of_a_queueing_system_become_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The commands of PBS are stand-ins, which start the job's script on this machine; all else is real."""
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "qsub").write_text(
        f'#!/bin/sh\ncp "$1" {tmp_path}/script\nsetsid sh {tmp_path}/script > {tmp_path}/log 2>&1 < /dev/null &\necho 17.here\n'
    )
    (commands / "qdel").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/deleted\n')
    for command in commands.iterdir():
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    options: dict[str, Any] = {"cores": 1, "memory": "1GB", "walltime": "02:00:00", "queue": "short", "interface": "lo"}
    options["scheduler_options"] = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    setting = OmegaConf.create({"env": "pbs", "n_workers": 1, "options": options})
    job = Job(setup=lambda: 10, work=lambda built, task, moved: (built * task, os.getpid()))

    results = {outcome.task: outcome.result for outcome in DaskWorkers(setting, 1).run(job, range(3), lambda n: None)}

    assert [results[task][0] for task in range(3)] == [0, 10, 20]
    assert os.getpid() not in {pid for _, pid in results.values()}
    script = (tmp_path / "script").read_text()
    assert "#PBS -q short\n" in script and "#PBS -l walltime=02:00:00\n" in script
    until(lambda: not any(Path(f"/proc/{pid}").exists() for _, pid in results.values()))


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is imported."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"'dask' needs the package distributed.*pip install 'esp3c\[dask\]'"):
        build_client({"env": "dask"})
    with pytest.raises(ConfigError, match=r"pip install 'esp3c\[dask\]'"):
        list(DaskWorkers({"env": "pbs"}, 1).run(Job(setup=dict, work=print), [1], print))


def test_a_folder_that_the_worker_does_not_have_is_said_to_be_missing(
    setting: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the file system that the machines do not share."""
    monkeypatch.setattr("os.getcwd", lambda: str(tmp_path / "elsewhere"))
    with pytest.raises(WorkError, match=r"cannot enter the folder .*elsewhere \(No such file.*need the file system"):
        list(DaskWorkers(setting, 1).run(Job(setup=dict, work=print), [0], print))
