"""An answer that is given again is the answer that a new check would give."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from esp3c import looks, pipeline
from esp3c.cli import cache, replay
from esp3c.cli.main import main
from esp3c.looks import Looks, unchanged

RECIPE = """recipe one {{ system = espnet3.systems.asr.system.ASRSystem  exp_tag = "t" }}
config own {{
  a = src.model.Model({arguments})
  b = package.inner.thing.Thing()
  c = linked.Other(size = 1)
  d = {extra}
}}
stages {{ go_on requires own runs src.stages.go_on }}
"""
TEXTS = (
    "",
    "class Model:\n    def __init__(self, size=1): ...\n",
    "class Model:\n    def __init__(self, width, **rest): ...\nclass Other(Model): ...\n",
    "from src.base import Model\n",
    "from package.inner.thing import Thing as Other\nclass Thing: ...\n",
    "class Thing: ...\ndef go_on(own_config): ...\n",
    "from .inner import *\nclass Other:\n    def __init__(self, size): ...\n",
    "this is not Python",
)
FILES = (
    "recipe/src/__init__.py", "recipe/src/model.py", "recipe/src/base.py", "recipe/src/stages.py", "recipe/src.py",
    "recipe/src/model/__init__.py", "recipe/package/__init__.py", "recipe/linked.py", "recipe/linked/__init__.py",
    "site/package/__init__.py", "site/package/inner/__init__.py", "site/package/inner/thing.py", "site/package/inner.py",
    "site/linked.py", "site/src/model.py", "more/linked.py", "more/package/inner/thing.py", "more/absent.py",
    "site/linked.pyi", "site/linked.abi3.so",
)  # fmt: skip
EXTRAS = ("absent.Thing()", "1", "nothing", "linked.Othr()", "src.modl.Model()")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe with Python around it, where all files count as old ones."""
    for name, text in {
        "recipe/src/__init__.py": "",
        "recipe/src/model.py": TEXTS[1],
        "recipe/src/stages.py": TEXTS[5],
        "site/package/__init__.py": "",
        "site/package/inner/__init__.py": "",
        "site/package/inner/thing.py": TEXTS[4],
        "site/linked.py": TEXTS[6],
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "more").mkdir()
    (tmp_path / "recipe" / "recipe.esp").write_text(RECIPE.format(arguments="size = 2", extra="1"))
    monkeypatch.chdir(tmp_path / "recipe")
    monkeypatch.setenv("ESP3C_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("ESP3C_NO_CACHE", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    # The tree of the compiler may be worked on while this runs.
    monkeypatch.setattr(cache, "stamp", lambda: "this build")
    # Time stamps here are finer than the safe side on which the tool has to be.
    monkeypatch.setattr(looks, "_TICK_NS", -10_000_000_000)
    return tmp_path


class Checks:
    """Runs `esp3c check`, and counts how often the compiler was asked."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch, self.compiled = capsys, monkeypatch, 0
        compile = pipeline.compile

        def counted(*arguments: Any, **named: Any) -> Any:
            self.compiled += 1
            return compile(*arguments, **named)

        monkeypatch.setattr(pipeline, "compile", counted)

    def __call__(self, *words: str) -> tuple[int, str, str]:
        self.capsys.readouterr()
        code = main(["check", *words])
        shown = self.capsys.readouterr()
        return code, shown.out, shown.err

    def fresh(self, *words: str) -> tuple[int, str, str]:
        before = self.compiled
        with self.monkeypatch.context() as patched:
            patched.setenv("ESP3C_NO_CACHE", "1")
            found = self(*words)
        self.compiled = before
        return found

    def replays(self, *words: str) -> bool:
        before = self.compiled
        self(*words)
        return self.compiled == before


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Checks:
    return Checks(capsys, monkeypatch)


def tick() -> None:
    """Waits until the file system gives another time."""
    time.sleep(0.012)


def test_the_second_time_nothing_is_compiled_and_the_answer_is_the_same(place: Path, check: Checks) -> None:
    for words in ((), ("--format", "json"), ("--set", "own.d=2"), (".",), ("recipe.esp", "../recipe")):
        first = check(*words)
        assert check.compiled
        assert check.replays(*words)
        assert check(*words) == first == check.fresh(*words)


def test_errors_are_replayed_with_their_exit_code(place: Path, check: Checks) -> None:
    Path("recipe.esp").write_text(RECIPE.format(arguments="size = 2", extra="nothing"))
    first = check()

    assert check.replays()
    assert check() == first == check.fresh()
    assert first[0] == 1
    assert "nothing" in first[1]


def edits(place: Path, rng: random.Random) -> Callable[[], object]:
    """Something that may happen between two checks."""
    path, other = (place / rng.choice(FILES) for _ in "12")

    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rng.choice(TEXTS))

    def remove() -> None:
        target = rng.choice([path, path.parent]) if path.parent.parent != place else path
        if target.is_symlink() or target.is_file():
            target.unlink()
        else:
            shutil.rmtree(target, ignore_errors=True)

    def rename() -> None:
        other.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, other)

    def touch() -> None:
        os.utime(path)

    def link() -> None:
        remove()
        target = rng.choice([place / "more", place / "site" / "package", other])
        path.symlink_to(target)

    def link_folder() -> None:
        name = place / rng.choice(["recipe/package", "recipe/linked", "site/absent", "recipe/src", "more/package"])
        if name.is_symlink():
            name.unlink()
        elif not name.exists():
            name.symlink_to(place / rng.choice(["site/package", "more", "recipe/src", "nowhere"]))

    def same_text_again() -> None:
        text = path.read_text()
        path.unlink()
        path.write_text(text)

    def keep_time() -> None:
        before = path.stat()
        text = path.read_text()
        path.write_text(text.replace("size", "sise") if "size" in text else text.replace("sise", "size"))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def search() -> None:
        more = str(place / "more")
        if more in sys.path:
            sys.path.remove(more)
        else:
            sys.path.insert(rng.choice([0, 1, 99]), more)

    def recipe() -> None:
        text = RECIPE.format(arguments=rng.choice(["", "size = 2", "widht = 3"]), extra=rng.choice(EXTRAS))
        (place / "recipe" / "recipe.esp").write_text(text)

    def nothing() -> None:
        return

    return rng.choice(
        [
            write,
            write,
            write,
            remove,
            rename,
            touch,
            link,
            link_folder,
            same_text_again,
            keep_time,
            search,
            recipe,
            nothing,
        ]
    )


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_in_between_the_answer_is_that_of_a_new_check(place: Path, check: Checks, seed: int) -> None:
    rng = random.Random(seed)
    answers: set[str] = set()
    for turn in range(40):
        happened = edits(place, rng)
        with suppress(OSError):
            happened()
        tick()
        found = check()
        assert found == check.fresh(), (turn, happened.__name__)
        answers.add(found[1])
        assert check.replays(), (turn, happened.__name__)
    assert len(answers) > 2


@pytest.mark.parametrize(
    "name",
    ["recipe/linked.py", "recipe/linked/__init__.py", "recipe/src/model/__init__.py", "recipe/package/__init__.py",
     "site/package/inner/thing/__init__.py", "site/src.py", "recipe/src/base.py"],
)  # fmt: skip
def test_a_file_that_appears_and_goes(place: Path, check: Checks, name: str) -> None:
    before = check()
    path = place / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("class Unlike: ...\n")
    tick()
    assert check() == check.fresh()
    path.unlink()
    if not any(path.parent.iterdir()):
        path.parent.rmdir()
    tick()
    assert check() == check.fresh() == before


def test_a_suggestion_knows_of_new_neighbours(place: Path, check: Checks) -> None:
    Path("recipe.esp").write_text(RECIPE.format(arguments="size = 2", extra="src.modle.Model()"))
    (place / "recipe" / "src" / "model.py").rename(place / "recipe" / "src" / "elsewhere.py")
    tick()
    check()
    (place / "recipe" / "src" / "model.py").write_text(TEXTS[1])
    tick()

    assert check() == check.fresh()


def test_the_terminal_the_folder_and_the_search_path_are_part_of_the_question(
    place: Path, check: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    check("recipe.esp")
    assert check.replays("recipe.esp")
    with monkeypatch.context() as patched:
        patched.setenv("NO_COLOR", "1")
        assert not check.replays("recipe.esp")
    with monkeypatch.context() as patched:
        patched.setattr(sys, "path", [*sys.path, str(place / "more")])
        assert not check.replays("recipe.esp")
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/another/python")
        assert not check.replays("recipe.esp")
    shutil.copytree(place / "recipe", place / "copy")
    monkeypatch.chdir(place / "copy")
    assert not check.replays("recipe.esp")


def test_a_recipe_that_is_a_link_to_another_place(place: Path, check: Checks) -> None:
    shutil.copytree(place / "recipe", place / "other")
    (place / "other" / "src" / "model.py").write_text(TEXTS[2])
    (place / "named.esp").symlink_to(place / "recipe" / "recipe.esp")
    first = check(str(place / "named.esp"))
    (place / "named.esp").unlink()
    (place / "named.esp").symlink_to(place / "other" / "recipe.esp")

    assert check(str(place / "named.esp")) == check.fresh(str(place / "named.esp")) != first


def test_a_folder_where_a_recipe_was(place: Path, check: Checks) -> None:
    (place / "named").write_text(Path("recipe.esp").read_text())
    first = check(str(place / "named"))
    (place / "named").unlink()
    (place / "named").mkdir()
    (place / "named" / "recipe.esp").write_text("recipe two { }\n")

    assert check(str(place / "named")) == check.fresh(str(place / "named")) != first


def test_what_changed_a_moment_ago_is_not_trusted(place: Path, check: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "_TICK_NS", 2_000_000_000)
    check()
    assert not check.replays()


def test_a_recipe_may_change_a_moment_ago(place: Path, check: Checks) -> None:
    """Its text is compared, and not its time."""
    check()
    text = Path("recipe.esp").read_text()
    Path("recipe.esp").write_text(text.replace("size = 2", "size = 3"))
    assert not check.replays()
    Path("recipe.esp").write_text(text.replace("size = 2", "sise = 2"))
    assert check() == check.fresh()


@pytest.mark.parametrize("words", [("--fix",), ("--fix", "--diff")])
def test_what_writes_is_done_every_time(place: Path, check: Checks, words: tuple[str, ...]) -> None:
    check(*words)

    assert not check.replays(*words)


def test_what_fails_is_tried_again(place: Path, check: Checks) -> None:
    assert check("absent.esp")[0] == 1
    shutil.copy("recipe.esp", "absent.esp")
    assert check("absent.esp")[0] == 0


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b"null", b'{"recipes":[],"seen":[],"out":1,"code":0}', b'{"recipes":[[]],"seen":[{}],"out":"","code":0}',
     b'{"recipes":[],"seen":[{"kinds":[],"facts":0}],"out":"wrong","code":0}'],
)  # fmt: skip
def test_an_answer_of_another_form_is_none(place: Path, check: Checks, damage: bytes) -> None:
    first = check()
    cache.Cache().put("check", replay._key(["check"]), damage)

    assert check() == first


def test_a_changed_compiler_checks_anew(place: Path, check: Checks, monkeypatch: pytest.MonkeyPatch) -> None:
    check()
    monkeypatch.setattr(cache, "stamp", lambda: "another build")

    assert not check.replays()


def test_a_finder_of_an_editable_install_is_asked_again(
    place: Path, check: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.machinery import ModuleSpec

    class Finder:
        there: Path | None = None

        def find_spec(self, name: str, path: object = None) -> ModuleSpec | None:
            if name != "absent" or self.there is None:
                return None
            return ModuleSpec(name, None, origin=str(self.there))

    finder: Any = Finder()
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    Path("recipe.esp").write_text(RECIPE.format(arguments="size = 2", extra="absent.Thing()"))
    first = check()
    assert check.replays()
    (place / "more" / "absent.py").write_text("class Thing: ...\n")
    finder.there = place / "more" / "absent.py"

    assert check() == check.fresh() != first


def test_nothing_of_the_compiler_is_imported_for_a_replay(place: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(place / "site"), *sys.path])}
    for path in [place, *place.rglob("*")]:
        os.utime(path, (1, 1))
    script = """
import json, sys
from esp3c import looks
looks._TICK_NS = -10**10
from esp3c.cli.main import main
main(["check"])
print(json.dumps(sorted(name for name in sys.modules if name.startswith(("esp3c", "argparse")))), file=sys.stderr)
"""
    for _ in "12":
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )

    assert json.loads(done.stderr) == [
        "esp3c",
        "esp3c.cli",
        "esp3c.cli.cache",
        "esp3c.cli.main",
        "esp3c.cli.replay",
        "esp3c.looks",
    ]


# -- looks ------------------------------------------------------------------------------------------------------------


def test_looks_answer_once_and_say_what_they_saw(tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_bytes(b"text")
    folder.mkdir()
    seen = Looks()
    assert (seen.is_file(str(file)), seen.is_folder(str(file))) == (True, False)
    assert (seen.is_file(str(folder)), seen.is_folder(str(folder))) == (False, True)
    assert not seen.is_file(str(tmp_path / "absent"))
    assert not seen.is_file("nul\0")
    assert seen.read(str(file), 4) == b"text"
    assert seen.read(str(file), 3) is None
    assert seen.read(str(folder), 3) is None
    assert seen.entries(str(tmp_path)) in ([("file", False), ("folder", True)], [("folder", True), ("file", False)])
    assert seen.entries(str(file)) == []
    (tmp_path / "absent").touch()
    assert not seen.is_file(str(tmp_path / "absent"))


@pytest.mark.parametrize("change", ["write", "remove", "folder", "touch", "nothing"])
def test_unchanged_says_whether_a_file_that_was_read_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(looks, "_TICK_NS", -10_000_000_000)
    file = tmp_path / "file"
    file.write_bytes(b"text")
    seen = Looks()
    seen.read(str(file), 10)
    told = json.loads(json.dumps(seen.seen()))
    tick()
    if change == "write":
        file.write_bytes(b"tixt")
    elif change in {"remove", "folder"}:
        file.unlink()
    if change == "folder":
        file.mkdir()
    if change == "touch":
        os.utime(file)

    assert unchanged(told) == (change == "nothing")


def test_a_link_in_a_listed_folder_that_leads_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "_TICK_NS", -10_000_000_000)
    (tmp_path / "listed").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "listed" / "link").symlink_to(tmp_path / "target")
    seen = Looks()
    assert seen.entries(str(tmp_path / "listed")) == [("link", True)]
    told = json.loads(json.dumps(seen.seen()))
    assert unchanged(told)

    (tmp_path / "target").rmdir()
    assert not unchanged(told)
