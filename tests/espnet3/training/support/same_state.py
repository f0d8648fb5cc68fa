"""Whether two states of a training are the same, to the last bit."""

from typing import Any

import torch


def assert_same(expected: Any, actual: Any, where: str = "") -> None:
    if isinstance(expected, torch.Tensor):
        assert torch.equal(expected, actual), where
    elif isinstance(expected, dict):
        assert expected.keys() == actual.keys(), where
        for key in expected:
            assert_same(expected[key], actual[key], f"{where}.{key}")
    elif isinstance(expected, list | tuple):
        assert len(expected) == len(actual), where
        for place, pair in enumerate(zip(expected, actual, strict=True)):
            assert_same(*pair, f"{where}[{place}]")
    else:
        assert expected == actual, where
