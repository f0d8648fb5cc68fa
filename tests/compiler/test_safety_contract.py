"""What the checker and the framework each know of targets that do harm is the same."""

from __future__ import annotations

import pytest

from esp3c.schema.safety import FINDERS, harm
from espnet3.utils import targets


def test_both_know_the_same_functions_that_only_look_up() -> None:
    assert targets._LOOKUPS == FINDERS


@pytest.mark.parametrize("path", sorted(path for path in targets._EXECUTING if "." in path))
def test_what_a_run_refuses_is_said_before(path: str) -> None:
    assert harm(path) is not None


@pytest.mark.parametrize("path", ["os.execv", "os.spawnl", "os.posix_spawn", "runpy.run_path", "subprocess.run"])
def test_so_are_those_that_are_known_by_their_beginning(path: str) -> None:
    assert path.startswith(targets._EXECUTING_PREFIXES)
    assert harm(path) is not None
