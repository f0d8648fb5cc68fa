"""What the documentation shows is what happens: its recipes, its error messages, its instructions."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

import esp3c.check.keys
from esp3c.cli.main import parser
from esp3c.diagnostics import FAMILIES, code_of
from esp3c.format import format_text
from esp3c.pipeline import codes
from esp3c.source import Source
from support.fixtures import WORLD, compile_text, expectations

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [
        ROOT / "README.md",
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "docs" / "guides").glob("*.md"),
        *(ROOT / "recipes").glob("*/README.md"),
    ]
)
ESP3C = [sys.executable, "-m", "esp3c"]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def checked_in_a_new_folder(folder: Path, recipe: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Checks a recipe beside the Python of `esp3c init`."""
    subprocess.run([*ESP3C, "init", "."], cwd=folder, check=True, capture_output=True)
    (folder / "recipe.esp").write_text(recipe, encoding="utf-8")
    return subprocess.run([*ESP3C, "check", "recipe.esp", *options], cwd=folder, capture_output=True, text=True)


def test_the_readme_shows_the_message_that_its_recipe_earns(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"^\$ esp3c check recipe\.esp\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert shown

    done = checked_in_a_new_folder(tmp_path, blocks(ROOT / "README.md", "esp")[0])

    assert done.returncode == 1
    assert done.stdout == shown.group(1)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_of_the_documentation_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_recipe_of_the_language_page_has_no_problems_and_is_in_its_one_form(tmp_path: Path) -> None:
    recipe, *_ = blocks(ROOT / "docs" / "language.md", "esp")

    done = checked_in_a_new_folder(tmp_path, recipe)

    assert done.stdout.startswith("recipe.esp: no problems found")
    assert format_text(Source("language.md", recipe)) == recipe


def test_the_language_page_has_all_families() -> None:
    page = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")

    listed = re.findall(r"^\d+\. \*\*(.*?)\*\* \(`ESP(\d\d)…`\)", page, re.MULTILINE)

    assert [number for _, number in listed] == list(FAMILIES)
    # "Flow of the data", "Providers and runners": the family's own name stands first.
    assert [name.lower().split()[0] for name, _ in listed] == list(FAMILIES.values())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_codes_that_a_page_names_exist(page: Path) -> None:
    named = set(re.findall(r"ESP\d{4}", page.read_text(encoding="utf-8")))

    # The check that the architecture page adds.
    assert named - codes().keys() <= {"ESP0310"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_that_a_page_shows_are_understood(page: Path) -> None:
    fenced = re.findall(r"^ *```.*?\n(.*?)^ *```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in fenced for line in block.splitlines()]
    shown = [re.sub(r"^(\$|- run:) ", "", line) for line in lines]

    for line in shown:
        if line.startswith("esp3c "):
            words = shlex.split(line, comments=True)[1:]
            words = words[: words.index(">")] if ">" in words else words
            assert parser(words).parse_args(words), line


def test_json_has_the_keys_of_its_page(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "diagnostics.md").read_text(encoding="utf-8")
    table = page.partition("## `--format json`")[2].partition("\n\nA diagnostic has")[0]
    done = checked_in_a_new_folder(tmp_path, blocks(ROOT / "README.md", "esp")[0], "--format", "json")

    document = json.loads(done.stdout)

    assert set(re.findall(r"`(\w+)`(?=[^|]*\|[^|]*\|$)", table, re.MULTILINE)) == set(document)
    paragraph = page.partition("A diagnostic has")[2].partition("\n\n")[0]
    assert set(document["diagnostics"][0]) <= set(re.findall(r"`(\w+)`", paragraph))
    paragraph = page.partition("A place (")[2].partition("\n\n")[0]
    assert set(document["diagnostics"][0]["primary"]) <= set(re.findall(r"`(\w+)`", paragraph))


def test_modules_that_the_architecture_page_names_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    folders = ("compiler", "runtime", "espnet3", "grammar", "tests", "docs")
    there = [path.relative_to(ROOT).as_posix() for folder in folders for path in (ROOT / folder).rglob("*.py")]

    named = set(re.findall(r"`([\w/*]+\.py)`", page))

    assert len(named) > 40
    assert {name for name in named if not any(fnmatch(f"/{path}", f"*/{name}") for path in there)} == set()


def test_the_check_of_the_architecture_page_works_to_the_letter() -> None:
    page = ROOT / "docs" / "architecture.md"
    (code,) = blocks(page, "python")
    (fixture,) = blocks(page, "esp")
    namespace = dict(vars(esp3c.check.keys))
    indent = len(code) - len(code.lstrip())
    exec("from __future__ import annotations\n" + "\n".join(line[indent:] for line in code.splitlines()), namespace)
    rule = namespace["tag_with_slash"]
    ((line, expected, part),) = expectations(fixture)

    found = list(rule(compile_text(fixture).recipe, WORLD))

    assert [(line, expected)] == [(1, each.code.id) for each in found]
    assert part in found[0].message
    assert code_of(rule).id not in {each.id for each in map(code_of, esp3c.check.RULES)}


def test_every_code_has_its_page() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "make_pages.py"), "--check"], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout
