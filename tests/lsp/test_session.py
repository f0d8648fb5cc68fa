"""A real server in a process of its own: diagnostics while one types, and what happens when something goes wrong."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.session import Session

RECIPE = """\
recipe r {
  system = src.systems.Mine
}

let idle = 3

training {
  trainer { max_epochs = 3 }
}

config own {
  size = 4
}

stages {
  go_on requires own runs src.stages.go_on
}
"""
PYTHON = {
    "src/__init__.py": "",
    "src/systems.py": "from espnet3.systems.base.system import BaseSystem\nclass Mine(BaseSystem): ...\n",
    "src/stages.py": "def go_on(own_config):\n    return own_config.size\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    for name, text in PYTHON.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "recipe.esp").write_text(RECIPE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def session(folder: Path) -> Iterator[Session]:
    with Session(folder) as session:
        yield session


def put(line: int, column: int, text: str, length: int = 0) -> dict[str, Any]:
    start = {"line": line, "character": column}
    return {"range": {"start": start, "end": {"line": line, "character": column + length}}, "text": text}


def said(marks: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(each["range"]["start"]["line"], each["code"]) for each in marks]


def test_a_mistake_is_marked_and_its_mark_goes_when_it_is_mended(session: Session, folder: Path) -> None:
    uri = (folder / "recipe.esp").as_uri()
    session.open(uri, RECIPE)
    assert said(session.marks(uri, 1)) == [(4, "ESP0205")]
    session.change(uri, 2, put(7, 15, "s"))
    marks = {each["code"]: each for each in session.marks(uri, 2)}
    mistake = marks["ESP0301"]
    assert mistake["range"] == {"start": {"line": 7, "character": 12}, "end": {"line": 7, "character": 23}}
    assert mistake["severity"] == 1 and mistake["source"] == "esp3c"
    assert "max_epochs" in mistake["message"]
    page = Path(mistake["codeDescription"]["href"].removeprefix("file://"))
    assert "# ESP0301" in page.read_text(encoding="utf-8")
    # Unused is faded.
    assert marks["ESP0205"]["tags"] == [1] and marks["ESP0205"]["severity"] == 2
    session.change(uri, 3, put(7, 15, "", 1))
    assert said(session.marks(uri, 3)) == [(4, "ESP0205")]
    session.tell("textDocument/didClose", {"textDocument": {"uri": uri}})
    closed = session.wait(lambda each: each.get("method") == "textDocument/publishDiagnostics")
    assert closed["params"]["diagnostics"] == []


def test_a_line_that_is_being_written_costs_only_itself(session: Session, folder: Path) -> None:
    uri = (folder / "other.esp").as_uri()
    text = RECIPE.replace("requires own", "requires won").replace("max_epochs = 3", "max_epoch = 3")
    session.open(uri, text)
    before = said(session.marks(uri, 1))
    assert {(7, "ESP0301"), (15, "ESP0604")} <= set(before)
    # A bracket without its partner in one declaration: the marks of the others stay.
    session.change(uri, 2, put(11, 2, "path = src.model.Made(\n  "))
    broken = session.marks(uri, 2)
    assert {(7, "ESP0301"), (16, "ESP0604")} <= set(said(broken))
    assert {line for line, code in said(broken) if code.startswith("ESP01")} <= {11, 12, 13}
    assert [each for each in broken if each["code"].startswith("ESP01")]


def test_other_places_are_shown_also_in_python(session: Session, folder: Path) -> None:
    uri = (folder / "third.esp").as_uri()
    text = RECIPE.replace("size = 4", "sizes = 4")
    session.open(uri, text)
    marks = session.marks(uri, 1)
    related = [place["location"] for each in marks for place in each.get("relatedInformation") or []]
    assert (folder / "src" / "stages.py").as_uri() in {place["uri"] for place in related}
    place = next(each for each in related if each["uri"].endswith("stages.py"))
    assert place["range"]["start"] == {"line": 1, "character": 11}


def test_only_the_latest_version_is_told_of(session: Session, folder: Path) -> None:
    uri = (folder / "fast.esp").as_uri()
    further = "".join(f"config c{n} {{ size = {n}  trainer {{ max_epochs = {n} }} }}\n" for n in range(300))
    session.open(uri, RECIPE + further)
    for version in range(2, 60):
        session.change(uri, version, put(7, 12, "x"))
    assert "ESP0301" in {each["code"] for each in session.marks(uri, 59)}
    versions = []
    while session._kept or not session._told.empty():
        message = session.wait(lambda each: True)
        if message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == uri:
            versions.append(message["params"]["version"])
    assert versions == sorted(versions)
    assert len(versions) < 58


def test_python_that_changes_on_disk_is_read_again(session: Session, folder: Path) -> None:
    uri = (folder / "python.esp").as_uri()
    session.open(uri, RECIPE.replace("src.stages.go_on", "src.later.go_on"))
    assert (15, "ESP0202") in said(session.marks(uri, 1))
    module = folder / "src" / "later.py"
    module.write_text(PYTHON["src/stages.py"], encoding="utf-8")
    changed = {"changes": [{"uri": module.as_uri(), "type": 1}]}
    session.tell("workspace/didChangeWatchedFiles", changed)
    assert (15, "ESP0202") not in said(session.marks(uri, 1))
    module.unlink()
    session.tell("workspace/didChangeWatchedFiles", changed)
    assert (15, "ESP0202") in said(session.marks(uri, 1))


@pytest.mark.parametrize(
    ("offered", "chosen", "column"),
    [(["utf-8", "utf-16"], "utf-8", 17), (["utf-32", "utf-16"], "utf-32", 14), (None, "utf-16", 15)],
)
def test_places_are_counted_as_the_client_was_told(
    tmp_path: Path, offered: list[str] | None, chosen: str, column: int
) -> None:
    general = {"general": {"positionEncodings": offered}} if offered else {}
    with Session(tmp_path, capabilities=general) as session:
        assert session.initialized["capabilities"]["positionEncoding"] == chosen
        uri = (tmp_path / "wide.esp").as_uri()
        session.open(uri, 'let x = ["𝄞"] y\n')
        start = next(each["range"]["start"] for each in session.marks(uri, 1) if each["code"].startswith("ESP01"))
        assert start == {"line": 0, "character": column}


CRASH = """
import esp3c.lsp.hover as hover
import esp3c.query.view as view
def boom(server, params):
    raise ZeroDivisionError("a handler's own mistake")
hover.handle = boom
import esp3c.check as check
def rule(recipe, world):
    if recipe.name == "trouble":
        raise ZeroDivisionError("a rule's own mistake")
    return []
check.RULES = (*check.RULES, rule)
"""


def test_a_crash_is_logged_and_ends_nothing(folder: Path, tmp_path: Path) -> None:
    with Session(tmp_path, CRASH) as session:
        uri = (folder / "recipe.esp").as_uri()
        session.open(uri, RECIPE.replace("recipe r", "recipe trouble"))
        with pytest.raises(RuntimeError):
            session.ask("textDocument/hover", {"textDocument": {"uri": uri}, "position": {"line": 7, "character": 4}})
        deadline = time.monotonic() + 30
        while "a rule's own mistake" not in session.log.read_text(encoding="utf-8"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        # The next change is judged as if nothing had happened.
        session.change(uri, 2, {"text": RECIPE})
        assert said(session.marks(uri, 2)) == [(4, "ESP0205")]
        session.change(uri, 3, put(200, 5, "}"))
        assert session.marks(uri, 3)
    log = session.log.read_text(encoding="utf-8")
    assert "a handler's own mistake" in log
    assert session.code == 0


def test_it_is_for_editors(folder: Path) -> None:
    outer, inner = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "esp3c", "lsp"], stdin=inner, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2 and "editors" in done.stderr
    os.close(outer)
    os.close(inner)
