"""Names that nothing defines, in Python that is only read."""

from __future__ import annotations

import pytest

from esp3c.python.undefined import undefined_names

DEFINED = {
    "a builtin": "def f(x):\n    return len(x)",
    "an import": "import numpy as np\ndef f():\n    return np.pi",
    "an import inside": "def f():\n    import numpy as np\n    return np.pi",
    "bound below": "def f():\n    return g()\ndef g(): ...",
    "a closure": "def f(x):\n    def g():\n        return x\n    return g",
    "a comprehension": "def f(xs):\n    return [x for x in xs if x]",
    "a walrus": "def f(xs):\n    if (n := len(xs)):\n        return n",
    "a match": "def f(x):\n    match x:\n        case {'a': found, **rest}:\n            return found, rest",
    "declared global": "def f():\n    global made\n    made = 1\ndef g():\n    return made",
    "an exception": "def f():\n    try:\n        pass\n    except ValueError as error:\n        return error",
    "__class__": "class A:\n    def f(self):\n        return __class__",
    "super": "class A:\n    def __init__(self):\n        super().__init__()",
    "a star import": "from os import *\ndef f():\n    return getcwd()",
    "asked for first": "def f():\n    try:\n        return get_ipython()\n    except NameError:\n        return None",
    "an annotation": "def f(x: Tensor) -> Nothing:\n    y: Other = x\n    return y",
    "made by exec": "exec('a = 1')\ndef f():\n    return a",
    "a class body": "class A:\n    size = 3\n    twice = size * 2",
    "for type checkers": "if False:\n    import torch\ndef f():\n    return torch",
    "no Python": "def (",
}
UNDEFINED = {
    "def f(data, model_output):\n    return model_out": ("model_out", 2, 11),
    "def f():\n    return np.zeros(3)": ("np", 2, 11),
    "class A:\n    size = 3\n    def f(self):\n        return size": ("size", 4, 15),
    "x = y": ("y", 1, 4),
    "def f(xs):\n    return [x for x in ys]": ("ys", 2, 23),
}


@pytest.mark.parametrize("text", DEFINED.values(), ids=DEFINED.keys())
def test_nothing_is_said_of_what_is_there(text: str) -> None:
    assert list(undefined_names(text)) == []


@pytest.mark.parametrize("text, expected", UNDEFINED.items())
def test_a_name_that_nothing_binds_is_found_once(text: str, expected: tuple[str, int, int]) -> None:
    assert list(undefined_names(text)) == [expected]
