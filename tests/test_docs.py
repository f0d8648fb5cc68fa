"""What the documentation shows is what happens: its recipes, its error messages, its instructions."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import esp3c.check.keys
from esp3c.diagnostics import code_of
from esp3c.source import Source
from esp3c.syntax.parse import parse
from support.fixtures import WORLD, compile_text, expectations

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "recipes").glob("*/README.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_readme_shows_the_message_that_its_recipe_earns(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"^\$ esp3c check recipe\.esp\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert shown
    esp3c = [sys.executable, "-m", "esp3c.cli.main"]
    subprocess.run([*esp3c, "init", "."], cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "recipe.esp").write_text(blocks(ROOT / "README.md", "esp")[0], encoding="utf-8")

    done = subprocess.run([*esp3c, "check", "recipe.esp"], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stdout == shown.group(1)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_of_the_documentation_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_recipe_of_the_language_page_parses() -> None:
    recipe, *_ = blocks(ROOT / "docs" / "language.md", "esp")

    _, diagnostics = parse(Source("language.md", recipe))

    assert diagnostics == []


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
