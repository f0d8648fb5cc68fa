"""What is kept of a module comes back as it was, and anything else as nothing."""

from __future__ import annotations

import ast
import inspect
import json
import os
import typing
from pathlib import Path

import pytest

from esp3c.disk import DiskWorld
from esp3c.python import stored
from esp3c.python.contents import contents_of
from esp3c.python.reader import reader
from esp3c.python.signature import signature
from esp3c.python.stored import Stored, named, pack, unpack

TEXTS = {
    "empty": "",
    "wrong": "this is not Python",
    "stars": "from a.b import *\n__all__ = ['x', 'é']\ndef __getattr__(name): ...\n",
    "overloads": """
@overload
def f(a: int): ...
def f(a, *, b="x\\ny", **rest): return g(**rest)
class C(B, metaclass=M):
    x: int = 1
    def m(self): ...
""",
    "typing": inspect.getsource(typing),
    "ast": inspect.getsource(ast),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_contents_come_back_as_they_were(text: str) -> None:
    contents = contents_of("package.module", text, package=False)

    again = unpack(pack(contents))

    assert again == contents
    assert contents == again
    assert again is not None
    for name in {each.name for each in contents.definitions} | {"absent"}:
        assert named(again, name) == named(contents, name)


def test_only_what_is_asked_for_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    again = unpack(pack(contents_of("typing", TEXTS["typing"], package=False)))
    assert again is not None
    read: list[str] = []
    load = json.loads
    monkeypatch.setattr(stored.json, "loads", lambda text: (read.append(text), load(text))[1])

    assert named(again, "NamedTuple") == named(again, "NamedTuple")

    assert len(read) == len(named(again, "NamedTuple"))
    assert isinstance(again.definitions, Stored)
    assert len(again.definitions) > 100
    assert list(again.definitions)[-1] == again.definitions[-1] == again.definitions[-2:][1]
    with pytest.raises(IndexError):
        again.definitions[len(again.definitions)]


@pytest.mark.parametrize("damage", ["", "[]", "null", "1", "{", '["2",[],[],[[],null,false,null]]', "[" * 100_000])
def test_text_of_another_form_is_nothing(damage: str) -> None:
    assert unpack(damage) is None
    whole = pack(contents_of("m", TEXTS["overloads"], package=False))
    assert unpack(whole + "\n" + damage) is None


def test_a_text_that_was_cut_is_nothing() -> None:
    whole = pack(contents_of("m", TEXTS["overloads"], package=False))

    assert unpack(whole) is not None
    assert [cut for cut in range(len(whole)) if unpack(whole[:cut]) is not None] == []


def test_another_form_of_the_records_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pack(contents_of("m", TEXTS["overloads"], package=False))
    monkeypatch.setattr(stored, "FORMAT", stored.FORMAT + 1)

    assert unpack(whole) is None


def test_a_changed_stub_is_read_again(tmp_path: Path) -> None:
    kept: dict[str, bytes] = {}

    class Kept:
        def get(self, kind: str, key: str) -> bytes | None:
            return kept.get(kind + key)

        def put(self, kind: str, key: str, data: bytes) -> None:
            kept[kind + key] = data

    def names(stub: str) -> list[str]:
        (tmp_path / "here.pyi").write_text(stub, encoding="utf-8")
        os.utime(tmp_path / "here.pyi", (1, len(stub)))
        return [each.name for each in signature(reader(DiskWorld(tmp_path, [], Kept())), "here.C").parameters]

    (tmp_path / "here.py").write_text("def __getattr__(name): ...\n", encoding="utf-8")
    os.utime(tmp_path / "here.py", (1, 1))

    assert names("def C(a): ...\n") == ["a"]
    assert names("def C(a, b): ...\n") == ["a", "b"]
