"""Whatever happens to the jobs of an array, or to who leads them, the items come out as if nothing had happened."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slurm.cluster import Cluster
from slurm.works import Works

pytestmark = pytest.mark.slurm


@pytest.fixture
def works(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., Works]]:
    """Makes the program in a folder of the test."""
    made: list[Works] = []

    def make(**more: Any) -> Works:
        made.append(Works(tmp_path / f"recipe{len(made)}", **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_nothing_happens(works: Callable[..., Works]) -> None:
    """Every item is worked on once, by one call of sbatch."""
    work = works(items=60, workers=3, shards=20)
    work.finish(work.start())

    assert set(work.seen().values()) == {1}
    assert work.calls() == 1
