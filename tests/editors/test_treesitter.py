"""The tree-sitter grammar: its own corpus, every recipe against the compiler's reading of it, and its queries.

The command `tree-sitter` makes the parser, a C compiler builds it, and the package `tree-sitter` loads it. All of it happens
in a folder of the tests: no parser is kept.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import esp3c
from esp3c.schema.sbatch_values import SHELL
from esp3c.syntax.lalr import words
from support.fixtures import FIXTURES
from support.token_roles import disguised, roles

ROOT = Path(__file__).parents[2]
GRAMMAR = ROOT / "grammar" / "tree-sitter"
QUERIES = sorted((*GRAMMAR.glob("queries/*.scm"), *GRAMMAR.glob("helix/*.scm")))
PATHS = [
    *sorted((FIXTURES / "ok").glob("*.esp")),
    *sorted((FIXTURES / "format").glob("*.esp")),
    *sorted((FIXTURES / "calls").glob("*.esp")),
    *sorted((ROOT / "recipes").glob("*/recipe.esp")),
    Path(esp3c.__file__).parent / "templates" / "tones" / "recipe.esp",
]
CORRECT = [path.read_text(encoding="utf-8") for path in PATHS]

# Editors that are older than the command read this version of parsers, too.
ABI = "14"


class Made(NamedTuple):
    """A parser that was made: the folder of its grammar, and the library."""

    folder: Path
    library: Path


def command() -> str:
    found = shutil.which("tree-sitter")
    if found is None:
        pytest.skip("without the command tree-sitter; grammar/tree-sitter/README.md says where it is found")
    return found


def called(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command with what it keeps in a folder of its own."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder.parent / "cache"), "NO_COLOR": "1"}
    return subprocess.run([command(), *words], cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("without a C compiler")
    folder = tmp_path_factory.mktemp("parser") / "tree-sitter-esp"
    shutil.copytree(GRAMMAR, folder)
    done = called(folder, "generate", "--abi", ABI)
    assert done.returncode == 0, done.stderr
    # A conflict that the grammar does not settle is an error; one that it need not settle is told here.
    assert "nnecessary" not in done.stderr
    library = folder / "esp.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-I", "src", "src/parser.c", "-o", str(library)], cwd=folder, check=True
    )
    return Made(folder, library)


@pytest.fixture(scope="module")
def language(made: Made) -> Any:
    bindings = pytest.importorskip("tree_sitter", reason="the package tree-sitter is not installed")
    function = ctypes.CDLL(str(made.library)).tree_sitter_esp
    function.restype = ctypes.c_void_p
    capsule = ctypes.pythonapi.PyCapsule_New
    capsule.restype, capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return bindings.Language(capsule(function(), b"tree_sitter.Language", None))


@pytest.fixture(scope="module")
def parser(language: Any) -> Any:
    import tree_sitter

    return tree_sitter.Parser(language)


# -- without the command ----------------------------------------------------------------------------------------------


def test_queries_name_only_what_the_grammar_has() -> None:
    grammar = (GRAMMAR / "grammar.js").read_text(encoding="utf-8")
    rules = set(re.findall(r"^    ([a-z]\w*): \(", grammar, re.MULTILINE)) | set(
        re.findall(r"\$\.([a-z]\w*)\)", grammar)
    )
    fields = set(re.findall(r'field\("(\w+)"', grammar))
    signs = {
        literal.replace('\\"', '"')
        for pair in re.findall(r'"((?:[^"\\\n]|\\.)*)"|\'([^\'\n]*)\'', grammar)
        for literal in pair
    }

    assert len(QUERIES) > 7
    for path in QUERIES:
        query = re.sub(r"^\s*;.*", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        query = re.sub(r'\(#[^"]*"[^"]*"\)', "", query)
        assert set(re.findall(r"\(([a-z]\w*)", query)) <= rules, path.name
        assert set(re.findall(r"(\w+): ", query)) <= fields, path.name
        assert {each.replace('\\"', '"') for each in re.findall(r'"((?:[^"\\]|\\.)*)"', query)} <= signs, path.name


def test_the_settings_in_which_shell_is_injected_are_those_that_hold_shell() -> None:
    query = (GRAMMAR / "queries" / "injections.scm").read_text(encoding="utf-8")
    found = re.search(r'#match\? @_name "\^\((.*)\)\$"', query)

    assert found is not None
    assert set(found[1].split("|")) == SHELL


def test_both_files_of_the_command_say_the_same() -> None:
    old = json.loads((GRAMMAR / "package.json").read_text(encoding="utf-8"))
    new = json.loads((GRAMMAR / "tree-sitter.json").read_text(encoding="utf-8"))

    assert old["version"] == new["metadata"]["version"] == esp3c_version()
    assert old["tree-sitter"][0].items() <= new["grammars"][0].items()
    for key in ("highlights", "injections", "locals", "tags"):
        assert (GRAMMAR / new["grammars"][0][key]).is_file()


def esp3c_version() -> str:
    found = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


# -- trees ------------------------------------------------------------------------------------------------------------


@pytest.mark.editors
def test_the_corpus(made: Made) -> None:
    done = called(made.folder, "test")

    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        len(re.findall(r"^={3,}$", "".join(map(Path.read_text, GRAMMAR.glob("test/corpus/*.txt"))), re.MULTILINE)) > 40
    )


@pytest.mark.editors
def test_a_recipe_without_mistakes_has_none_here(made: Made) -> None:
    done = called(made.folder, "parse", "--quiet", *map(str, PATHS))

    assert done.returncode == 0, done.stdout


@pytest.mark.editors
@pytest.mark.parametrize("text", CORRECT, ids=[path.stem for path in PATHS])
def test_every_word_is_what_the_compiler_takes_it_for(text: str, parser: Any) -> None:
    assert read(text, parser) == roles(text)


@pytest.mark.editors
@settings(max_examples=100, deadline=None)
@given(text=st.sampled_from(CORRECT), seed=st.integers(0, 2**32))
def test_layout_and_names_that_are_words_of_the_language_mislead_nobody(text: str, seed: int, parser: Any) -> None:
    hidden = disguised(text, Random(seed))

    assert read(hidden, parser) == roles(hidden)


@pytest.mark.editors
@settings(max_examples=150, deadline=None)
@given(text=st.sampled_from(CORRECT), seed=st.integers(0, 2**32))
def test_what_the_compiler_can_read_is_no_error(text: str, seed: int, parser: Any) -> None:
    random = Random(seed)
    found = list(map(str, words(text)))
    at = random.randrange(len(found))
    found[at : at + 1] = random.choice(([], [found[at]] * 2, [random.choice(found)], [random.choice(found), found[at]]))
    changed = "\n".join(found)
    tree = parser.parse(changed.encode()).root_node

    assert tree.end_byte == len(changed.encode())
    assert roles(changed) is None or not tree.has_error


NAMES = {
    "key": "key", "argument": "argument", "path": "path", "type": "type", "stage": "stage", "recipe_declaration": "class",
    "dataset_declaration": "class", "config_declaration": "class", "extends": "class", "requires_clause": "class",
    "let_declaration": "constant", "parallel_declaration": "constant", "on_clause": "constant",
}  # fmt: skip
WHOLE = {"string": "text", "long_string": "text", "integer": "number", "float": "number", "quantity": "number",
         "boolean": "true or null", "null": "true or null", "well_known": "declaration"}  # fmt: skip


def read(text: str, parser: Any) -> list[tuple[int, str, str]]:
    """The words of the tree with their roles, as `token_roles.roles` gives them."""
    data = text.encode()
    tree = parser.parse(data).root_node
    assert not tree.has_error, tree
    return sorted((len(data[: node.start_byte].decode()), node.text.decode(), role) for node, role in leaves(tree))


def leaves(node: Any) -> Iterator[tuple[Any, str]]:
    if node.type in WHOLE:
        yield node, WHOLE[node.type]
    elif node.type == "identifier":
        yield node, NAMES[node.parent.type]
    elif not node.is_named and node.type.isalpha():
        yield node, "declaration" if node.parent.type.endswith("_declaration") else "keyword"
    else:
        for child in node.children:
            yield from leaves(child)


# -- queries ----------------------------------------------------------------------------------------------------------


Captures = Callable[[Path, str], list[tuple[int, int, str]]]


@pytest.fixture(scope="module")
def captures(language: Any, parser: Any) -> Captures:
    """What a query finds in a text: where each piece begins and ends, in bytes, and its name."""
    import tree_sitter

    # The package's version 0.26.1 crashes when a query that sets something is freed: those are left to the command.
    texts = {path: path.read_text(encoding="utf-8") for path in QUERIES}
    queries = {path: tree_sitter.Query(language, text) for path, text in texts.items() if "#set!" not in text}

    def found(path: Path, text: str) -> list[tuple[int, int, str]]:
        tree = parser.parse(text.encode())
        names = tree_sitter.QueryCursor(queries[path]).captures(tree.root_node)
        return sorted((node.start_byte, node.end_byte, name) for name, nodes in names.items() for node in nodes)

    return found


@pytest.mark.editors
@pytest.mark.parametrize("path", QUERIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_query_finds_something_in_a_recipe(path: Path, made: Made, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.esp"
    shell = 'parallel q = slurm(setup = ["module load cuda"])\n'
    recipe.write_text(shell + (FIXTURES / "ok" / "whole_language.esp").read_text(encoding="utf-8"), encoding="utf-8")
    done = called(made.folder, "query", str(path), str(recipe))

    assert done.returncode == 0, done.stderr
    assert "capture: " in done.stdout
    assert path.stem != "injections" or "`module load cuda`" in done.stdout


@pytest.mark.editors
@pytest.mark.parametrize("folder", ["queries", "helix"])
def test_each_word_has_one_colour(folder: str, captures: Captures) -> None:
    """Which of two colours wins is not the same in all editors."""
    for text in CORRECT:
        seen: dict[tuple[int, int], str] = {}
        for start, end, name in captures(GRAMMAR / folder / "highlights.scm", text):
            if not name.startswith("_"):
                assert seen.setdefault((start, end), name) == name, text.encode()[start:end]
        covered = {at for start, end in seen for at in range(start, end)}
        bare = {text.encode()[start:end] for start, end in words_of(text) if start not in covered}
        # What the language has no word for stays plain.
        assert not bare


def words_of(text: str) -> Iterator[tuple[int, int]]:
    for at, word, _ in roles(text) or ():
        start = len(text[:at].encode())
        yield start, start + len(word.encode())


COLOURS = {
    "recipe": "keyword", "whole_language": "type", "kHz": "type.builtin", "float32": "type.builtin", "frames": "variable.parameter",
    "system": "property", "src": "module", "DigitsSystem": "type", "AdamW": "constructor", "build_output": "variable",
    "_target_": "variable.builtin", "partial": "keyword.modifier", "new": "keyword.modifier", "lr": "variable.parameter",
    "slurm": "function.builtin", "collect_stats": "function.builtin", "export_onnx": "function", "requires": "keyword",
    "true": "boolean", "null": "constant.builtin", "2.5": "number.float", "17": "number", "$${": "string.escape",
    "exp_dir": "variable", "oc": "function.builtin", "gpu": "constant", "an4": "type", "training_easy": "type",
}  # fmt: skip


@pytest.mark.editors
def test_the_colours_of_words(captures: Captures) -> None:
    text = (FIXTURES / "ok" / "whole_language.esp").read_text(encoding="utf-8")
    data = text.encode()
    found: dict[str, set[str]] = {}
    for start, end, name in captures(GRAMMAR / "queries" / "highlights.scm", text):
        found.setdefault(data[start:end].decode(), set()).add(name)

    assert {word: name for word, name in COLOURS.items() if name not in found.get(word, set())} == {}


@pytest.mark.editors
def test_the_command_colours_and_lists_a_recipe(made: Made, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    theme = {"keyword": "red", "constructor": "blue", "string": "green"}
    config.write_text(json.dumps({"parser-directories": [str(made.folder.parent)], "theme": theme}), encoding="utf-8")
    recipe = FIXTURES / "ok" / "whole_language.esp"
    html = called(made.folder, "highlight", "--config-path", str(config), "--html", str(recipe))
    tags = called(made.folder, "tags", "--config-path", str(config), str(recipe))

    assert html.returncode == 0, html.stderr
    assert re.search(r"<span [^>]*>recipe</span>", html.stdout)
    assert re.search(r"<span [^>]*>AdamW</span>", html.stdout)
    assert tags.returncode == 0, tags.stderr
    assert re.search(r"^\s*train_easy\s*\|\s*function\s+def", tags.stdout, re.MULTILINE)


_LUA = """
local load = vim.treesitter.language and vim.treesitter.language.add
if load then load('esp', { path = vim.env.LIBRARY }) else vim.treesitter.require_language('esp', vim.env.LIBRARY) end
local parse = vim.treesitter.query and vim.treesitter.query.parse or vim.treesitter.parse_query
local tree = vim.treesitter.get_parser(0, 'esp'):parse()[1]
for path in vim.gsplit(vim.env.QUERIES, ':', true) do
  local seen, query = {}, parse('esp', table.concat(vim.fn.readfile(path), '\\n'))
  for id, node in query:iter_captures(tree:root(), 0, 0, -1) do
    seen[table.concat({ query.captures[id], node:range() }, ' ')] = true
  end
  io.stdout:write(vim.fn.fnamemodify(path, ':t:r') .. ' ' .. vim.tbl_count(seen) .. '\\n')
end
vim.cmd('qall!')
"""


@pytest.mark.editors
def test_neovim_reads_the_parser_and_its_queries(made: Made, tmp_path: Path, captures: Captures) -> None:
    program = shutil.which("nvim")
    if program is None:
        pytest.skip("without Neovim")
    script = tmp_path / "look.lua"
    script.write_text(_LUA, encoding="utf-8")
    recipe = FIXTURES / "ok" / "whole_language.esp"
    queries = [path for path in QUERIES if path.parent.name == "queries"]
    environment = {**os.environ, "LIBRARY": str(made.library), "QUERIES": ":".join(map(str, queries))}
    done = subprocess.run(
        [program, "--headless", "-u", "NONE", "-i", "NONE", str(recipe), "-c", f"luafile {script}"],
        env=environment, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    counted = {name: int(count) for name, count in (line.split() for line in done.stdout.splitlines())}

    assert done.returncode == 0
    text = recipe.read_text(encoding="utf-8")
    assert counted.pop("injections") >= 2
    expected = {path.stem: len(set(captures(path, text))) for path in queries if path.stem != "injections"}
    assert counted == expected, done.stderr
