"""The tables are those of the grammar, and the machine reads with them as lark does."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lark import Lark
from lark import Token as LarkToken
from lark import Tree as LarkTree
from lark.exceptions import UnexpectedToken

from esp3c.source import Source
from esp3c.syntax import parse
from esp3c.syntax.lalr import ACTIONS, Machine, Token, Tree, Unexpected, words

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "grammar" / "make_tables.py"
GOOD = sorted((ROOT / "tests" / "fixtures" / "ok").rglob("*.esp"))


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_tables", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@lru_cache(maxsize=1)
def lark() -> Lark:
    made: Lark = script().lark()
    return made


@pytest.mark.parametrize("seed", ["0", "1", "2"])
def test_the_tables_are_what_the_grammar_says_in_every_process(seed: str) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout) == (0, ""), done


def test_the_check_sees_a_table_that_is_not_the_grammars(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = script()
    other = tmp_path / "tables.py"
    other.write_text(module.text().replace("NUMBER", "NUMERAL"), encoding="utf-8")
    module.TABLES = other
    arguments, sys.argv = sys.argv, ["make_tables.py", "--check"]
    try:
        assert module.main() == 1
    finally:
        sys.argv = arguments
    assert "make grammar" in capsys.readouterr().out


def plain(node: Any) -> Any:
    """A tree or a token of either kind, as tuples."""
    if isinstance(node, Tree):
        return node.data, node.start_pos, node.end_pos, [plain(each) for each in node.children]
    if isinstance(node, LarkTree):
        start, end = getattr(node.meta, "start_pos", 0), getattr(node.meta, "end_pos", 0)
        return str(node.data), start, end, [plain(each) for each in node.children]
    assert isinstance(node, Token | LarkToken)
    return node.type, str(node), node.start_pos, node.end_pos


SHARDS = [
    "recipe", "config", "dataset", "let", "stages", "{", "}", "(", ")", "[", "]", "=", ",", ":", ".", "?", "name", "training",
    "16kHz", "-1e3", '"text"', '"""long\n"""', '"open', '"""open', "'single'", "# note\n", "\n", " ", "\ufeff", "é", "$", "\x0b",
]  # fmt: skip


@given(st.lists(st.sampled_from(SHARDS), max_size=30).map(" ".join) | st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_words_are_those_of_lark(text: str) -> None:
    assert [plain(each) for each in words(text)] == [plain(each) for each in lark().lex(text)]


def read(kinds: list[str], start: str) -> tuple[Any, Any]:
    """How many tokens of these kinds are taken, with the tree where all are; by lark, and by the machine."""
    theirs: Any = lark().parse_interactive("", start=start)
    mine = Machine(start)
    results: list[Any] = []
    tokens = [Token(kind, kind.lower(), place, place + 1) for place, kind in enumerate(kinds)]
    taken = 0
    try:
        for token in tokens:
            theirs.feed_token(LarkToken(token.type, str(token), start_pos=token.start_pos, end_pos=token.end_pos))
            taken += 1
        results.append((taken, plain(theirs.feed_token(LarkToken("$END", "")))))
    except UnexpectedToken:
        results.append((taken, sorted(each for each in theirs.choices() if each.isupper())))
    taken = 0
    try:
        for token in tokens:
            assert mine.fits(token.type) or taken == results[0][0]
            mine.feed(token)
            taken += 1
        results.append((taken, plain(mine.finish())))
    except Unexpected:
        results.append((taken, sorted(each for each in mine.choices() if each.isupper())))
    assert len(mine.states) == len(mine.values) + 1
    return results[0], results[1]


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_recipes_are_read_as_lark_reads_them(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fed: list[Token] = []
    trees: list[Tree] = []
    feed, finish = Machine.feed, Machine.finish
    monkeypatch.setattr(Machine, "feed", lambda machine, token: (fed.append(token), feed(machine, token))[1])
    monkeypatch.setattr(Machine, "finish", lambda machine: (trees.append(finish(machine)), trees[-1])[1])
    parse.parse(Source(path.name, path.read_text(encoding="utf-8")))
    theirs: Any = lark().parse_interactive("", start="start")
    for token in fed:
        theirs.feed_token(LarkToken(token.type, str(token), start_pos=token.start_pos, end_pos=token.end_pos))

    assert fed
    assert [plain(each) for each in trees] == [plain(theirs.feed_token(LarkToken("$END", "")))]


KINDS = sorted({kind for row in ACTIONS for kind in row} - {"$END"})


@given(st.data(), st.sampled_from(["start", "override"]))
@settings(max_examples=300, deadline=None)
def test_every_walk_through_the_tables_is_one_through_larks(data: st.DataObject, start: str) -> None:
    """Mostly along what fits, so that the walk gets far; at its end anything may come."""
    walk = Machine(start)
    kinds: list[str] = []
    for place in range(data.draw(st.integers(0, 40))):
        fitting = sorted(kind for kind in walk.choices() if kind.isupper() and kind != "$END" and walk.fits(kind))
        if not fitting:
            break
        kinds.append(data.draw(st.sampled_from(fitting)))
        walk.feed(Token(kinds[-1], "", place, place))
    kinds += data.draw(st.lists(st.sampled_from(KINDS), max_size=2))

    theirs, mine = read(kinds, start)

    assert mine == theirs
