"""What is counted as proved was compared and fits; what is wrong or not known is not among it."""

from __future__ import annotations

import pytest

from esp3c.check.account import Account
from support.fixtures import compile_text


def counted(inside: str) -> Account:
    return compile_text(f"recipe r {{ system = espnet3.systems.asr.system.ASRSystem {inside} }}\n").account


@pytest.mark.parametrize("value", ["1", "2k"])
def test_a_value_that_fits_is_proved(value: str) -> None:
    assert counted(f"seed = {value}").proved == 1


@pytest.mark.parametrize("value", ["true", '"many"', "nothing", "-1", '"${oc.env:SEED}"', "[1]"])
def test_a_value_that_is_wrong_is_not(value: str) -> None:
    account = counted(f"seed = {value}")

    assert (account.proved, account.unchecked) == (0, ())


def test_a_value_that_is_known_when_it_runs_is_listed() -> None:
    account = counted('seed = "${oc.decode:x}"')

    assert [(each.what, each.why) for each in account.unchecked] == [("`seed`", "its value is known when it runs")]
    assert account.proved == 0


def test_the_value_of_another_key_is_compared_here_too() -> None:
    account = compile_text("training { num_threads = 3  trainer { max_epochs = num_threads } }\n").account

    assert (account.proved, account.unchecked) == (2, ())


def test_the_value_of_a_key_that_may_be_anything_is_listed() -> None:
    account = compile_text("training { trainer { logger = dataset_dir } }\n").account

    assert [each.why for each in account.unchecked] == ["what the other key holds is not known"]


def test_text_of_the_environment_is_text() -> None:
    assert counted('exp_tag = "${oc.env:TAG}"').proved == 1
