"""The same recipe in other checkers: how fast they answer, and how many of the seeded mistakes they find.

    python tests/bench/rivals.py                 times and mistakes
    python tests/bench/rivals.py --mistakes 40   about so many mistakes, spread over the families

The rivals are `hydrust check` (a checker of Hydra's YAML) and `jsonargparse` (which parses the `model` and `optimizer` of the
training config against their signatures, after importing them). They are found on the path and in this Python; one that is
not there is left out, and said so. `--python` names another Python whose environment has them.

They read YAML, so a mistake is tried on the YAML that `esp3c build` writes of the mutated recipe. Where `esp3c` refuses to
build, the YAML of the original is taken, and the same edit is made in it where its words stand there just so; mistakes that
have no such form are left out of the comparison. A rival finds a mistake if it says something about the mutated files that
it does not say about the original ones.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import yaml

from esp3c.disk import DiskWorld
from esp3c.emit.files import Layout
from esp3c.pipeline import compile
from esp3c.source import Source

ROOT = Path(__file__).resolve().parent.parent.parent
RUNS = 5
BASES = ("spoken_digits", "mini_an4", "release", "cluster", "workload", "players")

# Reads YAML files and says, a line a problem, what does not fit the signatures that they name.
JSONARGPARSE = """
import importlib, sys, yaml
from jsonargparse import ArgumentParser
sys.path.insert(0, ".")
def find(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)
def walk(node, place):
    if isinstance(node, dict):
        if isinstance(node.get("_target_"), str):
            yield node, place
        for key, value in node.items():
            yield from walk(value, f"{place}.{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from walk(value, f"{place}[{number}]")
GIVEN = {"optimizer": {"params"}, "scheduler": {"optimizer"}}
for file in sys.argv[1:]:
    config = yaml.safe_load(open(file, encoding="utf-8"))
    for node, place in walk(config, file):
        if "_partial_" in node or "_args_" in node:
            continue
        key = place.rpartition(".")[2]
        values = {name: value for name, value in node.items() if not name.startswith("_")}
        # What interpolates, or is made by another call, has no value before the run.
        plain = {n: v for n, v in values.items() if not isinstance(v, dict) and "${" not in str(v) and "_target_" not in str(v)}
        try:
            parser = ArgumentParser(exit_on_error=False)
            skip = GIVEN.get(key, set()) | (set(values) - set(plain))
            target = find(node["_target_"])
            (parser.add_class_arguments if isinstance(target, type) else parser.add_function_arguments)(target, skip=skip)
            parser.parse_object(plain)
        except Exception as error:
            print(place, type(error).__name__, " ".join(str(error).split())[:300])
"""


@dataclass
class Rival:
    """A checker of YAML: `say` gives what it says of files in a folder."""

    name: str
    version: str
    say: Callable[[Path, list[str]], set[str]]


def bench() -> ModuleType:
    path = Path(__file__).parent / "mistakes" / "run.py"
    spec = importlib.util.spec_from_file_location("seeded_mistakes", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["seeded_mistakes"] = module
    spec.loader.exec_module(module)
    return module


def rivals(python: str) -> list[Rival]:
    """The rivals that are there; of the others a line is printed."""
    found: list[Rival] = []
    beside = Path(python).parent / "hydrust"
    hydrust = str(beside) if beside.is_file() else shutil.which("hydrust")
    if hydrust is None:
        print("hydrust is not installed: left out")
    else:
        version = subprocess.run([hydrust, "--version"], capture_output=True, text=True, check=False).stdout.strip()
        found.append(Rival("hydrust check", version, lambda folder, files: _hydrust(hydrust, python, folder, files)))
    asked = subprocess.run(
        [python, "-c", "import jsonargparse, torch; print(jsonargparse.__version__)"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if asked.returncode:
        print("jsonargparse is not installed: left out")
    else:
        found.append(
            Rival("jsonargparse", asked.stdout.strip(), lambda folder, files: _jsonargparse(python, folder, files))
        )
    return found


def _hydrust(program: str, python: str, folder: Path, files: list[str]) -> set[str]:
    done = subprocess.run(
        [program, "check", "--verbosity=error", "--output-format=json", f"--python={python}", *files],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    report = json.loads(done.stdout)
    return {
        f"{file['file']} {each['code']} {each['message']}" for file in report["files"] for each in file["diagnostics"]
    } | {f"{file['file']} {file['error']}" for file in report["files"] if file["error"]}


def _jsonargparse(python: str, folder: Path, files: list[str]) -> set[str]:
    done = subprocess.run(
        [python, "-W", "ignore", "-c", JSONARGPARSE, *files],
        cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return set(done.stdout.splitlines()) | ({"failed"} if done.returncode else set())


@cache
def _world(folder: Path) -> DiskWorld:
    return DiskWorld(folder)


@cache
def built(folder: Path, text: str) -> dict[str, str] | None:
    """The YAML of a recipe, by path, or None where it has errors."""
    result = compile(Source("recipe.esp", text), _world(folder), (), Layout("recipe.esp"))
    files = {file.path: file.text for file in result.files if file.path.endswith(".yaml")}
    return files if result.ok else None


def in_yaml(files: dict[str, str], old: str, new: str) -> dict[str, str] | None:
    """The same edit made in YAML, where it changes a key, a word or a number that stands there just once."""
    before, after = _difference(old, new)
    simple = re.compile(r"[\w./\"-]+( = [\w.\"-]+)?")
    if not simple.fullmatch(before) or not simple.fullmatch(after):
        return None
    # A text keeps its quotes where it is put in, so that it stays a text.
    becomes = after.replace(" = ", ": ")
    pattern = re.compile(rf"(?<![\w.]){re.escape(before.replace(' = ', ': ').strip(chr(34)))}(?![\w.])")
    for path, text in files.items():
        places = list(pattern.finditer(text))
        if len(places) == 1:
            return {**files, path: text[: places[0].start()] + becomes + text[places[0].end() :]}
    return None


def _difference(old: str, new: str) -> tuple[str, str]:
    """What differs between two texts, widened to whole words."""
    start = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    start -= len(re.search(r"[\w.]*$", old[:start]).group())  # type: ignore[union-attr]
    ends = zip(old[start:][::-1], new[start:][::-1], strict=False)
    end = next((n for n, (a, b) in enumerate(ends) if a != b), min(len(old), len(new)) - start)
    end -= len(re.match(r"[\w.]*", old[len(old) - end :]).group())  # type: ignore[union-attr]
    return old[start : len(old) - end], new[start : len(new) - end]


def yaml_of(run: ModuleType, mistake: object) -> dict[str, str] | None:
    """The YAML with the mistake in it, or None where it has no form there."""
    recipe: Path = mistake.recipe  # type: ignore[attr-defined]
    text = recipe.read_text(encoding="utf-8")
    files = built(recipe.parent, run.mutated(mistake, recipe.name, text))
    original = built(recipe.parent, text)
    if files is not None:
        return files if files != original else None
    edits = mistake.edits  # type: ignore[attr-defined]
    if original is None or len(edits) != 1 or "\n" in edits[0].old:
        return None
    made = in_yaml(original, edits[0].old, edits[0].new)
    try:
        return made if made is not None and all(yaml.safe_load(each) is not None for each in made.values()) else None
    except yaml.YAMLError:
        return made


def lay_out(recipe: Path, files: dict[str, str], folder: Path) -> list[str]:
    """Writes the recipe's Python and its YAML into a folder; gives the paths of the YAML."""
    ignored = shutil.ignore_patterns("__pycache__", "exp", "data", ".esp3c", "conf", "*.esp", "logs", "source")
    shutil.copytree(recipe.parent, folder, ignore=ignored, dirs_exist_ok=True)
    # The rivals read what the recipe's calls name from beside the YAML, or from their own environment.
    for name, place in (("espnet3", ROOT / "espnet3"), ("esp3rt", ROOT / "runtime" / "esp3rt")):
        if not (folder / name).exists():
            (folder / name).symlink_to(place)
    for path, text in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    return sorted(files)


def median_seconds(action: Callable[[], object]) -> float:
    taken = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        action()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def times(run: ModuleType, checkers: list[Rival]) -> None:
    """Prints how long each takes on the quick-start recipe, as a cold process, with a filled cache where it has one."""
    recipe: Path = run.recipe_of("spoken_digits")
    files = built(recipe.parent, recipe.read_text(encoding="utf-8"))
    if files is None:
        print("the quick-start recipe has errors: no times")
        return
    with tempfile.TemporaryDirectory(prefix="esp3c-rivals-") as name:
        folder = Path(name)
        paths = lay_out(recipe, files, folder)
        shutil.copy(recipe, folder / "recipe.esp")
        command = [sys.executable, "-m", "esp3c.cli.main", "check", "recipe.esp"]
        check = lambda: subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: E731
        check()
        own = median_seconds(check)
        print(f"{'on the quick-start recipe':<26}{'time':>9}{'':>22}{'false alarms':>14}")
        print(f"{'esp3c check':<26}{own:>8.3f}s{'':>22}{0:>14}")
        for each in checkers:
            took = median_seconds(lambda each=each: each.say(folder, paths))
            ratio = f"{took / own:.2f} x esp3c check"
            print(f"{each.name:<26}{took:>8.3f}s{ratio:>22}{len(each.say(folder, paths)):>14}   ({each.version})")


def found_by(run: ModuleType, checkers: list[Rival], limit: int | None) -> dict[str, dict[str, int]]:
    """How many mistakes each finds, by family; `tried` is how many there were."""
    judge = run.Bench()
    chosen = [each for each in run.mistakes() if each.base in BASES and each.in_recipe and each.family != "syntax"]
    if limit is not None:
        chosen = chosen[:: max(1, len(chosen) // limit)]
    before: dict[tuple[str, str], set[str]] = {}
    counts: dict[str, dict[str, int]] = {}
    for mistake in chosen:
        files = yaml_of(run, mistake)
        if files is None:
            continue
        row = counts.setdefault(mistake.family, {"tried": 0, "esp3c check": 0})
        row["tried"] += 1
        row["esp3c check"] += judge.check(mistake).right_cause
        for each in checkers:
            key = (each.name, mistake.base)
            if key not in before:
                original = built(mistake.recipe.parent, mistake.recipe.read_text(encoding="utf-8"))
                before[key] = _said(each, mistake.recipe, original or {})
            row[each.name] = row.get(each.name, 0) + bool(_said(each, mistake.recipe, files) - before[key])
    return counts


def _said(rival: Rival, recipe: Path, files: dict[str, str]) -> set[str]:
    with tempfile.TemporaryDirectory(prefix="esp3c-rivals-") as name:
        folder = Path(name) / "recipe"
        said = rival.say(folder, lay_out(recipe, files, folder))
        return {line.replace(name, "") for line in said}


def show(counts: dict[str, dict[str, int]], names: list[str]) -> None:
    print(f"\n{'mistakes in YAML':<18}{'tried':>7}" + "".join(f"{name:>16}" for name in names))
    total: dict[str, int] = {}
    for family, row in counts.items():
        print(f"{family:<18}{row['tried']:>7}" + "".join(f"{row.get(name, 0):>16}" for name in names))
        total = {key: total.get(key, 0) + row.get(key, 0) for key in ["tried", *names]}
    if total:
        print(f"{'all':<18}{total['tried']:>7}" + "".join(f"{total[name]:>16}" for name in names))


def main(arguments: Iterable[str]) -> int:
    parser = argparse.ArgumentParser(description="Compares esp3c check with other checkers of configurations.")
    parser.add_argument("--python", default=sys.executable, help="a Python whose environment has the rivals")
    parser.add_argument("--mistakes", type=int, help="try only about so many mistakes")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON too")
    args = parser.parse_args(list(arguments))

    run = bench()
    checkers = rivals(args.python)
    times(run, checkers)
    counts = found_by(run, checkers, args.mistakes)
    show(counts, ["esp3c check", *(each.name for each in checkers)])
    if args.json:
        print(json.dumps(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
