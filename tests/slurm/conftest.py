"""The SLURM that tests run on: one for each worker of pytest that has tests of it, and clean after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slurm.cluster import Cluster, ClusterError
from slurm.install import missing


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """They come first: `--dist worksteal` takes tests from the end of a worker's, so one worker has them all."""
    items.sort(key=lambda item: item.get_closest_marker("slurm") is None)
    packages = missing()
    for item in items:
        if item.get_closest_marker("slurm") is None:
            return
        if packages:
            item.add_marker(pytest.mark.skip(reason=f"without {', '.join(packages)}; `make slurm` installs them"))
        if config.pluginmanager.has_plugin("xdist"):
            item.add_marker(pytest.mark.xdist_group("slurm"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Three nodes of four CPUs and two GPUs, with accounting. Tests may break it as they like."""
    cluster = _started()
    try:
        yield cluster
    finally:
        cluster.stop()


def _started() -> Cluster:
    """A cluster; where one of its daemons does not come up, on a busy machine, another one."""
    for _ in range(2):
        cluster = Cluster()
        try:
            cluster.start_all()
        except ClusterError:
            cluster.stop()
        else:
            return cluster
    cluster = Cluster()
    cluster.__enter__()
    return cluster


@pytest.fixture(autouse=True)
def _clean_cluster(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that uses the cluster talks to it, and leaves neither jobs nor damage behind."""
    if "cluster" not in request.fixturenames:
        yield
        return
    import submitit

    cluster: Cluster = request.getfixturevalue("cluster")
    for name, value in cluster.env.items():
        monkeypatch.setenv(name, value)
    # It remembers for the whole process how jobs ended, by their numbers.
    submitit.SlurmJob.watcher.clear()
    yield
    cluster.restore()
