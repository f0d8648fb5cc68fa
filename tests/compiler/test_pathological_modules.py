"""Modules that nobody would write cost their budget and no more, and never an exception."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from esp3c.collector import collector_paused
from esp3c.disk import DiskWorld
from esp3c.python.contents import contents_of
from esp3c.python.find import Status, look_up
from esp3c.python.reader import reader
from esp3c.python.signature import signature
from esp3c.world import MemoryWorld

CLASS = "\nclass C:\n    def __init__(self, a): ...\n"

MODULES = {
    "fifty thousand lines": "".join(f"def f{number}(a, b={number}):\n    return a\n" for number in range(25_000))
    + CLASS,
    "a literal of ten megabytes": "X = '" + "a" * 10_000_000 + "'" + CLASS,
    "a list of many numbers": "X = [" + "1, " * 200_000 + "]" + CLASS,
    "a syntax error": "def (\n" + CLASS,
    "brackets in brackets": "x = " + "(" * 5_000 + ")" * 5_000 + CLASS,
    "signs before signs": "x = " + "-" * 5_000 + "1" + CLASS,
    "a long sum": "x = " + "1+" * 20_000 + "1" + CLASS,
    "a long chain of attributes": "x = a" + ".a" * 20_000 + CLASS,
    "hundreds of signs": "x = " + "-" * 500 + "1" + CLASS,
    "hundreds of texts": "x = " + "'a' + " * 500 + "'b'" + CLASS,
    "hundreds of conditions": "if a: pass\n" + "elif b: x = 1\n" * 900 + CLASS,
    "hundreds of optional things": "def C(a: " + "O[" * 190 + "int" + "]" * 190 + "): ...\n",
    "hundreds of attributes": "C = a" + ".a" * 900 + "\n",
    "hundreds of names for a class": "".join(f"A{number} = A{number + 1}\n" for number in range(900))
    + "A900 = int\nC = A0\n",
    "hundreds of bases": "class C(C0): ...\n" + "".join(f"class C{each}(C{each + 1}): ...\n" for each in range(900)),
    "blocks in blocks": "".join("    " * depth + "if 1:\n" for depth in range(95)) + "    " * 95 + "pass\n" + CLASS,
    "NUL characters": "x = '\0'" + CLASS,
    "half of a pair": "x = '\\ud800'" + CLASS,
    "a class that extends itself": "class C(C): ...\n",
    "classes in a ring": "class A(B): ...\nclass B(A): ...\nC = A\n",
    "names in a ring": "C = D\nD = C\n",
    "decorated with itself": "def C(f):\n    return f\n@C\ndef C(a): ...\n",
    "imports itself": "from here import *\nfrom here import C\n",
    "handed on for ever": "def C(**k):\n    return D(**k)\ndef D(**k):\n    return E(**k)\ndef E(**k):\n    return C(**k)\n",
    "an annotation that is itself": "T = 'T'\nclass C:\n    def __init__(self, a: T): ...\n",
}


@pytest.mark.parametrize("text", MODULES.values(), ids=MODULES.keys())
def test_a_question_about_it_is_answered(text: str) -> None:
    world = MemoryWorld({"here": text})
    begun = time.process_time()

    made = signature(reader(world), "here.C")
    reader(world).is_a("here.C", ("torch.nn.Module",))
    reader(world).method("here.C", "forward")

    assert made.why or made.open or {each.name for each in made.parameters} <= {"a"}
    # A bound against runaway only: what is read at all takes a fraction of it.
    assert time.process_time() - begun < 20


def test_what_is_too_long_is_unchecked_and_says_so() -> None:
    world = MemoryWorld({"here": MODULES["fifty thousand lines"]})

    assert look_up(world, "here.C").status is Status.UNKNOWN
    assert "longer than is read" in look_up(world, "here.C").why


def test_the_time_for_a_module_grows_with_its_length() -> None:
    def cost(functions: int) -> float:
        text = "".join(f"def f{number}(a, b={number}):\n    return a\n" for number in range(functions))
        begun = time.process_time()
        with collector_paused():
            contents_of("here", text, package=False)
        return time.process_time() - begun

    cost(100)
    once, eightfold = min(cost(1_000) for _ in range(5)), min(cost(8_000) for _ in range(3))

    # In proportion it is 8 times as long, with the square 64 times.
    assert eightfold < 32 * once


def test_a_module_with_a_long_sum_is_read() -> None:
    world = MemoryWorld({"here": MODULES["hundreds of texts"]})

    assert [each.name for each in signature(reader(world), "here.C").parameters] == ["a"]


def test_six_hundred_modules_that_take_over_each_other(tmp_path: Path) -> None:
    for number in range(600):
        others = "".join(f"from m{(number * 7 + each) % 600} import *\n" for each in range(5))
        (tmp_path / f"m{number}.py").write_text(others, encoding="utf-8")

    assert look_up(DiskWorld(tmp_path, []), "m5.Missing").status is not Status.FOUND


def test_links_and_pipes(tmp_path: Path) -> None:
    (tmp_path / "loop.py").symlink_to(tmp_path / "loop.py")
    (tmp_path / "around").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / "pipe.py")
    world = DiskWorld(tmp_path, [])

    for path in ("loop.C", "around.around.around.loop.C", "pipe.C"):
        assert look_up(world, path).status is not Status.FOUND
