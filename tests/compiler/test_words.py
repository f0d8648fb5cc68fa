"""The one list of the language's words is whole, and what editors know is that list."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from types import ModuleType

import pytest

from esp3c.schema import backends, blocks, lightning
from esp3c.schema.stages import NOT_STAGES, SYSTEMS
from esp3c.schema.types import Block
from esp3c.source import Source, Span
from esp3c.syntax.literals import UNITS, read_number
from esp3c.words import words
from espnet3.utils.stages_utils import STAGE_CONFIGS

ROOT = Path(__file__).parents[2]
GRAMMAR = ROOT / "grammar"
WORDS = words()

LISTS = {
    name: getattr(WORDS, name)
    for name in (
        "declarations", "well_known", "clauses", "modifiers", "constants", "units", "backends", "stages", "types", "blocks",
        "keys", "hydra_keys",
    )
}  # fmt: skip
KEYWORDS = ("declarations", "well_known", "clauses", "modifiers", "constants")
BY_PLACE = (*KEYWORDS, "units", "backends", "stages", "types", "hydra_keys")
"""What editors tell apart that go by a word's place, and take a key for a key whatever it is called."""


# -- nothing is missing -----------------------------------------------------------------------------------------------


def test_the_keywords_are_those_that_the_grammar_declares() -> None:
    grammar = (ROOT / "compiler" / "esp3c" / "syntax" / "esp.lark").read_text(encoding="utf-8")
    declared = {word for line in re.findall(r"^%declare (.*)$", grammar, re.MULTILINE) for word in line.split()}

    assert {word.upper() for name in KEYWORDS for word in LISTS[name]} == declared - {"MISSING"}


def test_the_units_are_those_that_a_number_may_have() -> None:
    def read(unit: str) -> bool:
        source = Source("r", f"8{unit}")
        return read_number(Span(source, 0, len(source.text))).problem is None

    assert set(WORDS.units) == set(UNITS)
    assert all(map(read, WORDS.units))
    assert not any(map(read, ("khz", "KHz", "sec", "hours", "gb")))


def every_block() -> Iterator[Block]:
    """The blocks of the schema's modules, however they hang together."""
    for module in (backends, blocks, lightning):
        for value in vars(module).values():
            for each in value.values() if isinstance(value, dict) else (value,):
                if isinstance(each, Block):
                    yield each


def test_every_key_of_the_schema_is_a_word() -> None:
    found = {key.name for block in every_block() for key in block.keys}

    assert len(found) > 200
    assert found <= {*WORDS.blocks, *WORDS.keys}


def test_every_stage_of_a_system_is_a_word() -> None:
    methods = {
        member.name
        for path in (ROOT / "espnet3" / "systems").glob("*/system.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        for member in node.body
        if isinstance(member, ast.FunctionDef) and not member.name.startswith("_") and not member.decorator_list
    }

    assert set(WORDS.stages) == set(STAGE_CONFIGS) == {stage.name for stages in SYSTEMS.values() for stage in stages}
    # Asked by stages for the folder of their log: takes a stage's name, so it is none.
    assert methods - set(NOT_STAGES) - {"stage_log_dir"} == set(WORDS.stages)


def test_a_word_stands_once_and_in_one_of_the_lists_that_exclude_each_other() -> None:
    for name, found in LISTS.items():
        assert len(found) == len(set(found)), name
    for one, two in (*combinations(KEYWORDS, 2), *combinations(("blocks", "keys", "hydra_keys"), 2)):
        assert not set(LISTS[one]) & set(LISTS[two]), (one, two)
    assert all(list(LISTS[name]) == sorted(LISTS[name]) for name in ("blocks", "keys"))


# -- editors know them ------------------------------------------------------------------------------------------------

EDITORS = {
    "emacs": (("emacs/*.el",), BY_PLACE),
    "helix": (("tree-sitter/grammar.js", "tree-sitter/helix/highlights.scm"), BY_PLACE),
    "tree-sitter": (("tree-sitter/grammar.js", "tree-sitter/queries/highlights.scm"), BY_PLACE),
    "vim": (("vim/syntax/esp.vim",), tuple(LISTS)),
    "vscode": (("vscode/syntaxes/esp.tmLanguage.json",), BY_PLACE),
}
"""For each editor the files that colour recipes, and the lists that they hold."""

PRESENT = [editor for editor, (patterns, _) in EDITORS.items() if any(any(GRAMMAR.glob(each)) for each in patterns)]


@pytest.fixture(scope="module")
def make_editors() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_editors", GRAMMAR / "make_editors.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_files_of_editors_are_what_the_words_make_of_them(
    make_editors: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make_editors.main(["--check"]) == 0, capsys.readouterr().out


def test_every_folder_of_an_editor_is_looked_at() -> None:
    folders = {each.name for each in GRAMMAR.iterdir() if any(path.is_file() for path in each.rglob("*"))}
    known = {pattern.partition("/")[0] for editor in PRESENT for pattern in EDITORS[editor][0]}

    assert folders - {"making", "__pycache__"} == known


@pytest.mark.parametrize("editor", PRESENT)
def test_every_word_is_in_the_syntax_of_an_editor(editor: str) -> None:
    patterns, lists = EDITORS[editor]
    paths = [path for pattern in patterns for path in GRAMMAR.glob(pattern)]
    found = {word for path in paths for word in re.findall(r"\w+", shown(path))}

    assert [word for name in lists for word in LISTS[name] if word not in found] == []


def shown(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        text = "\n".join(strings(json.loads(text)))
    # The end of a word in a regular expression is no part of the word.
    return text.replace(r"\b", " ")


def strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for each in value:
                yield from strings(each)
        case dict():
            yield from strings(list(value.values()))


def test_the_grammar_of_tree_sitter_has_no_other_keyword() -> None:
    grammar = (GRAMMAR / "tree-sitter" / "grammar.js").read_text(encoding="utf-8")
    rules = re.sub(r'//.*|field\("\w+"', "", grammar.partition("rules:")[2])

    assert set(re.findall(r'"([a-z]+)"', rules)) == {word for name in KEYWORDS for word in LISTS[name]}
