"""VS Code's extension: the words it knows, its snippets and manifest, and with Node its colours, types and package."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings

from editors.roles import roles
from esp3c import __version__
from esp3c.cli.build import compiled
from esp3c.emit.files import MANIFEST as MANIFEST_FILE
from esp3c.format import format_text
from esp3c.lsp.generated_files import MOST_ABOVE
from esp3c.query.semantic import MODIFIERS, TYPES
from esp3c.render.text import TextRenderer
from esp3c.source import Source
from esp3c.words import words
from support.any_recipe import recipe
from support.fixtures import FIXTURES, check_text, ok_fixtures

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "grammar" / "vscode"
TESTS = Path(__file__).parent / "vscode"
RECIPES = sorted((ROOT / "recipes").glob("*/recipe.esp"))
FORMATTED = [*RECIPES, *sorted((FIXTURES / "format").glob("*.formatted.esp"))]
NPM_LIMIT = 300
UNREACHABLE = ("ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN")


def read(path: str) -> Any:
    return json.loads((EXTENSION / path).read_text(encoding="utf-8"))


def made(name: str) -> ModuleType:
    """A module of `grammar/making`, which is no package."""
    spec = importlib.util.spec_from_file_location(f"made_{name}", ROOT / "grammar" / "making" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- the grammar --------------------------------------------------------------------------------------------------------


GRAMMAR_FILE = "syntaxes/esp.tmLanguage.json"
GRAMMAR = read(GRAMMAR_FILE)


def rules(value: Any = GRAMMAR) -> Iterator[dict[str, Any]]:
    """Every object of the grammar."""
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from rules(child)


def named(scope: str) -> list[str]:
    """What is matched under a scope, as the words of each pattern."""
    found = []
    for rule in rules():
        pattern = rule.get("match", rule.get("begin", ""))
        names = [rule, *rule.get("captures", {}).values(), *rule.get("beginCaptures", {}).values()]
        if any(each.get("name") == f"{scope}.esp" for each in names):
            found.append(pattern)
    return found


def words_in(pattern: str) -> set[str]:
    """The words of an alternation, or the only word of a pattern."""
    listed = re.search(r"\((?:\?:)?([\w|]+)\)", pattern)
    return set(listed[1].split("|")) if listed else set(re.findall(r"(?<!\\)\b\w{2,}\b", pattern.replace(r"\b", " ")))


def test_the_grammar_has_each_word_of_the_language_and_no_other() -> None:
    language = words()
    known = {
        "storage.type.config": (*language.well_known, "config"),
        "support.function.stage": language.stages,
        "support.type.sample": language.types,
        "support.class.backend": language.backends,
        "keyword.other.unit": language.units,
        "variable.language.hydra": language.hydra_keys,
        "constant.language.boolean": tuple(word for word in language.constants if word != "null"),
        "constant.language.null": ("null",),
        **{f"storage.type.{word}": (word,) for word in language.declarations if word != "config"},
        **{f"keyword.control.{word}": (word,) for word in language.clauses},
        **{f"storage.modifier.{word}": (word,) for word in language.modifiers},
    }
    for scope, expected in known.items():
        found = named(scope)
        if scope == "keyword.other.unit":
            found = [re.sub(r"^.*?\(\?:\(", "(", pattern) for pattern in found]
        if scope == "storage.modifier.new":
            found = [pattern.split("(?!")[0] for pattern in found]
        assert found and set().union(*map(words_in, found)) == set(expected), (scope, found)


def test_every_pattern_is_one_that_oniguruma_and_python_read_alike() -> None:
    patterns = [rule[key] for rule in rules() for key in ("match", "begin", "end") if isinstance(rule.get(key), str)]
    assert len(patterns) > 50
    for pattern in patterns:
        re.compile(pattern)
        assert not re.search(r"\(\?P|\\Z|\(\?\(|\\N|\\[hHRX]", pattern), pattern


def test_every_rule_that_is_included_is_there_and_every_scope_is_of_this_language() -> None:
    included = {rule["include"].removeprefix("#") for rule in rules() if "include" in rule}
    assert included == set(GRAMMAR["repository"])
    scopes = [rule["name"] for rule in rules() if "name" in rule and rule is not GRAMMAR]
    assert scopes and all(scope.endswith(".esp") for scope in scopes)
    assert GRAMMAR["scopeName"] == "source.esp"


# -- the snippets -------------------------------------------------------------------------------------------------------


def expanded(body: str) -> str:
    """The text that a snippet leaves if nothing is typed: its defaults, and the first of its choices."""
    body = re.sub(r"(?<!\\)\$\{\d+\|([^,|]*)[^|]*\|\}", r"\1", body)
    body = re.sub(r"(?<!\\)\$\{\d+:((?:[^}\\]|\\.)*)\}", r"\1", body)
    body = re.sub(r"(?<!\\)\$\d+", "", body)
    return re.sub(r"\\([$}\\])", r"\1", body).replace("\t", "  ")


def pieces() -> list[tuple[str, str, str]]:
    snippets = made("vscode_snippets")
    written = {title: "\n".join(each["body"]) for title, each in read("snippets/esp.json").items()}
    found = [(place, title, body) for place, title, _, _, body in snippets.pieces(words())]
    assert {title: body for _, title, body in found} == written
    return found


def around(place: str, text: str) -> str:
    """A snippet as a whole file, where it stands."""
    inside = "".join(f"  {line}\n" if line else "\n" for line in text.split("\n"))
    return {
        "file": f"{text}\n",
        "block": f"config around extends training {{\n{inside}}}\n",
        "stages": f"stages {{\n{inside}}}\n",
    }[place]


def test_every_snippet_is_a_piece_of_a_recipe_in_its_one_form() -> None:
    for place, title, body in pieces():
        text = expanded(body)
        assert "${" not in text.replace("${exp_dir}", "").replace("${data_dir}", ""), title
        whole = around(place, text)
        assert format_text(Source("snippet.esp", whole)) == whole, title


def test_the_snippets_of_a_recipe_together_have_no_unknown_key_and_no_wrong_value() -> None:
    wanted = ["Recipe", "Dataset", "Training", "Inference", "Metrics", "Publication", "Demo", "SLURM", "Stages"]
    bodies = {title: expanded(body) for _, title, body in pieces()}
    inside = "\n".join(bodies[each] for each in ("Tokenizer", "Scheduler"))
    text = "\n\n".join(bodies[each] for each in wanted).replace("training {\n", f"training {{\n{inside}\n", 1)
    diagnostics = check_text(text)
    assert not [each for each in diagnostics if each.code.id.startswith(("ESP01", "ESP03"))]


def test_prefixes_differ() -> None:
    prefixes = [each["prefix"] for each in read("snippets/esp.json").values()]
    assert len(prefixes) == len(set(prefixes)) > 25


# -- the manifest -------------------------------------------------------------------------------------------------------


MANIFEST = read("package.json")


def test_the_extension_is_made_for_this_version_and_its_types_for_the_oldest_editor() -> None:
    assert MANIFEST["version"] == __version__
    assert MANIFEST["engines"]["vscode"] == "^" + MANIFEST["devDependencies"]["@types/vscode"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in MANIFEST["devDependencies"].values())


def test_what_the_manifest_names_is_there() -> None:
    contributes = MANIFEST["contributes"]
    (language,) = contributes["languages"]
    paths = [*language["icon"].values(), language["configuration"]]
    paths += [each["path"] for each in contributes["grammars"]]
    # Snippets are shown by the client, where no server answers: VS Code would show those of the manifest at all times.
    assert "snippets" not in contributes
    paths.append("./snippets/esp.json")
    assert all((EXTENSION / path).is_file() for path in paths)
    kept = (EXTENSION / ".vscodeignore").read_text(encoding="utf-8")
    for path in paths:
        assert any(Path(path).match(line[1:]) for line in kept.splitlines() if line.startswith("!")), path
    assert not re.search(
        r"<script|href|<image|url\(", "".join((EXTENSION / each).read_text() for each in language["icon"].values())
    )


def test_each_command_of_the_manifest_is_registered_and_no_other() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in sorted((EXTENSION / "src").glob("*.ts")))
    registered = set(re.findall(r'registerCommand\("(esp3c\.\w+)"', sources))
    contributes = MANIFEST["contributes"]
    assert registered == {each["command"] for each in contributes["commands"]}
    assert {each["command"] for menu in contributes["menus"].values() for each in menu} <= registered


def test_what_the_server_says_of_a_word_gets_a_colour_of_the_grammar() -> None:
    (semantic,) = MANIFEST["contributes"]["semanticTokenScopes"]
    types = {each.split(".")[0] for each in semantic["scopes"]}
    modifiers = {part for each in semantic["scopes"] for part in each.split(".")[1:]}
    assert types <= set(TYPES) and modifiers <= set(MODIFIERS)
    assert {each["id"] for each in MANIFEST["contributes"]["semanticTokenModifiers"]} <= set(MODIFIERS)
    known = {rule["name"] for rule in rules() if "name" in rule}
    assert {scope for scopes in semantic["scopes"].values() for scope in scopes} <= known


def test_the_problem_matcher_reads_what_a_check_prints() -> None:
    (matcher,) = MANIFEST["contributes"]["problemMatchers"]
    head, place = (re.compile(each["regexp"]) for each in matcher["pattern"])
    diagnostics = check_text("recipe a {\n  exp_tagg = 1\n}\nstages { train on here }\n")
    assert len(diagnostics) > 1
    lines = TextRenderer().render(diagnostics).split("\n")
    found = [
        (*first.group(2, 1, 3), int(then[2]), int(then[3]))
        for line, following in itertools.pairwise(lines)
        if (first := head.search(line)) and (then := place.search(following))
    ]
    assert found == [
        (each.code.id, str(each.severity), each.message, *each.primary.span.source.position(each.primary.span.start))
        for each in diagnostics
    ]
    assert (matcher["pattern"][0]["severity"], matcher["pattern"][0]["code"], matcher["pattern"][0]["message"]) == (
        1,
        2,
        3,
    )


def test_the_lock_names_no_place_to_download_from() -> None:
    lock = read("package-lock.json")
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert packages and all("resolved" not in each and each.get("integrity") for each in packages.values())
    assert lock["packages"][""]["devDependencies"] == MANIFEST["devDependencies"]


def test_the_files_of_a_build_are_those_that_lead_back() -> None:
    source = (EXTENSION / "src" / "generated.ts").read_text(encoding="utf-8")
    listed = re.search(r"GENERATED = (\[.*?\]);", source)
    above = re.search(r"MOST_ABOVE = (\d+);", source)
    manifest = re.search(r"MANIFEST = join\((.*)\);", source)
    assert listed is not None and above is not None and manifest is not None
    assert int(above[1]) == MOST_ABOVE and "/".join(json.loads(f"[{manifest[1]}]")) == MANIFEST_FILE
    patterns = json.loads(listed[1])
    result, _ = compiled(str(ROOT / "recipes" / "spoken_digits" / "recipe.esp"), [], None)
    built = [Path("/recipes/digits", each.path) for each in result.files if each.path != MANIFEST_FILE]
    assert len(built) > 5
    for path in built:
        assert any(path.match(pattern) for pattern in patterns), path
    assert not any(Path("/recipes/digits/src/model.py").match(pattern) for pattern in patterns)


def test_indentation_by_the_rules_is_that_of_the_one_form() -> None:
    found = read("language-configuration.json")["indentationRules"]
    more, less = (re.compile(found[f"{kind}IndentPattern"]["pattern"]) for kind in ("increase", "decrease"))
    for path in RECIPES:
        lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        indent = 0
        for before, line in zip(["", *lines], lines, strict=False):
            indent += 2 * bool(more.search(before)) - 2 * bool(less.search(line))
            assert len(line) - len(line.lstrip()) == indent, (path, line)


# -- with Node ----------------------------------------------------------------------------------------------------------


def called(command: list[str], cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, timeout=NPM_LIMIT, check=False
    )


@pytest.fixture(scope="session")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the extension with what it is made with."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"without {program}")
    copy = tmp_path_factory.mktemp("vscode") / "extension"
    shutil.copytree(EXTENSION, copy, ignore=shutil.ignore_patterns("node_modules", "dist", "*.vsix"))
    done = called(["npm", "ci", "--prefer-offline", "--no-progress"], copy)
    if done.returncode and any(each in done.stderr for each in UNREACHABLE):
        pytest.skip("npm reaches no registry, and its cache does not have all packages")
    assert done.returncode == 0, done.stderr
    return copy


def passed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.editors
def test_colours_are_as_written_beside_them(extension: Path) -> None:
    files = sorted(TESTS.glob("*.esp"))
    said = passed(called(["npm", "run", "--silent", "test", "--", *map(str, files)], extension))
    assert said.count("✓") == len(files) > 3


SCOPES = {
    "comment": "comment.line",
    "declaration": "storage.type",
    "config": "storage.type.config",
    "name": "entity.name.class|entity.name.type|variable.other.constant",
    "base": "entity.other.inherited-class",
    "machine": "entity.name.type.machine",
    "stage": "support.function.stage",
    "own stage": "entity.name.function.stage",
    "required": "entity.name.type.config",
    "runs": "entity.name.namespace|entity.name.function|support.function.stage",
    "on": "entity.name.type.machine",
    "new": "storage.modifier.new",
    "type": "support.type.sample",
    "own type": "variable.other.readwrite",
    "dim": "variable.parameter.dimension",
    "number": "constant.numeric",
    "constant": "constant.language",
    "partial": "storage.modifier.partial",
    "backend": "support.class.backend",
    "argument": "variable.parameter",
    "call": "entity.name|support.class.backend",
    "reference": "variable.other|entity.name",
    "interpolation": "variable.other|support.function.resolver",
    "text": "punctuation.definition.string.begin",
    "long text": "punctuation.definition.string.begin",
    "quoted key": "punctuation.definition.string.begin",
    **dict.fromkeys(("key", "own key", "block key"), "variable.other.property|variable.parameter"),
    "hydra key": "variable.language.hydra|variable.parameter",
}


def differences(extension: Path, paths: list[Path]) -> list[str]:
    """Where the grammar has another opinion than the parser."""
    command = ["node", str(TESTS / "tokens.cjs"), str(extension), str(extension / GRAMMAR_FILE), *map(str, paths)]
    tokens = json.loads(passed(called(command, extension)))
    out = []
    for path in paths:
        text = path.read_bytes().decode()
        begins = [(offset, scopes[-1]) for offset, scopes in tokens[str(path)]]
        at = 0
        for offset, role in roles(Source(path.name, text)):
            while at + 1 < len(begins) and begins[at + 1][0] <= offset:
                at += 1
            scope = begins[at][1]
            if role == "comment":
                scope = scope.replace("punctuation.definition.comment", "comment.line")
            if not any(scope.startswith(each) for each in SCOPES[role].split("|")):
                line = text.count("\n", 0, offset) + 1
                out.append(f"{path.name}:{line}: {text[offset : offset + 20]!r} is {role}, and coloured as {scope}")
    return out


@pytest.mark.editors
def test_every_word_is_coloured_as_the_parser_reads_it(extension: Path) -> None:
    paths = [*FORMATTED, *ok_fixtures(), *sorted((FIXTURES / "graph").glob("*.esp"))]
    assert differences(extension, paths) == []


@pytest.mark.editors
def test_formatted_recipes_of_any_shape_are_coloured_as_the_parser_reads_them(extension: Path, tmp_path: Path) -> None:
    texts: list[str] = []

    @settings(max_examples=150, database=None, derandomize=True)
    @given(recipe)
    def collect(parts: list[str]) -> None:
        text = format_text(Source("r.esp", " ".join(parts)))
        if text is not None:
            texts.append(text)

    collect()
    assert len(texts) > 50
    paths = []
    for number, text in enumerate(texts):
        paths.append(tmp_path / f"{number}.esp")
        paths[-1].write_bytes(text.encode())
    assert differences(extension, paths) == []


@pytest.mark.editors
def test_the_client_is_typed_and_does_what_it_says(extension: Path) -> None:
    passed(called(["npm", "run", "--silent", "types"], extension))
    modules = [f"src/{name}.ts" for name in ("find", "generated", "snippets", "completing")]
    bundle = ["npx", "--no-install", "esbuild", *modules, "--bundle", "--platform=node", "--external:vscode"]
    passed(called([*bundle, "--outdir=dist/tested", "--log-level=warning"], extension))
    tests = [str(path) for path in sorted(TESTS.glob("*.test.cjs"))]
    said = passed(called(["node", "--test", *tests], extension, ESP3C_CLIENT=str(extension / "dist" / "tested")))
    assert re.search(r"^# pass [1-9]", said, re.M) and re.search(r"^# fail 0$", said, re.M)


@pytest.mark.editors
def test_the_package_holds_what_it_needs_and_nothing_of_this_machine(extension: Path) -> None:
    passed(called(["npm", "run", "--silent", "package"], extension))
    (vsix,) = extension.glob("*.vsix")
    assert vsix.name == f"esp3c-{__version__}.vsix"
    with zipfile.ZipFile(vsix) as package:
        files = {name: package.read(name) for name in package.namelist()}
    assert {name.removeprefix("extension/") for name in files if name.startswith("extension/")} == {
        "package.json", "readme.md", "language-configuration.json", "dist/extension.js", "dist/third-party.txt",
        "icons/esp-light.svg", "icons/esp-dark.svg", "snippets/esp.json", GRAMMAR_FILE,
    }  # fmt: skip
    assert files[f"extension/{GRAMMAR_FILE}"] == (EXTENSION / GRAMMAR_FILE).read_bytes()
    assert b"vscode-languageclient" in files["extension/dist/third-party.txt"]
    bundle = files["extension/dist/extension.js"]
    assert b"sourceMappingURL" not in bundle
    places = [str(each).encode() for each in (ROOT, extension, Path.home(), sys.prefix)]
    assert not [(name, place) for name, data in files.items() for place in places if place in data]
