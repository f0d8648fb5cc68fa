"""`esp3c init`: templates that pass the check, a dialogue with defaults, and nothing left where it is broken off."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from esp3c.check.limits import Node, Partition, SiteLimits, over_limits
from esp3c.cli import doctor_python, init, site
from esp3c.cli.common import load
from esp3c.cli.init_recipe import Names, recipe_text
from esp3c.cli.init_templates import TEMPLATES, Template, files, templates
from esp3c.cli.main import main
from esp3c.format import format_text
from esp3c.ir import ParallelNode
from esp3c.record import changed
from esp3c.source import Source

ESP3C = [sys.executable, "-m", "esp3c"]
FACTS = Path(__file__).parents[1] / "fixtures" / "slurm"
TOOLS = ("config", "partition", "node")

each_template = pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


# -- templates --------------------------------------------------------------------------------------------------------


@each_template
def test_what_a_template_gives_passes_the_check(
    template: Template, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Alone in its folder: no recipe lies beside it that it could name."""
    assert main(["init", "Deep/My Own-2", "--template", template.name]) == 0
    folder = here / "Deep" / "My Own-2"
    shown = capsys.readouterr().out
    text = (folder / "recipe.esp").read_text(encoding="utf-8")

    assert main(["check", str(folder)]) == 0
    assert "no problems found" in capsys.readouterr().out
    assert load(str(folder)).recipe.name == "my_own_2"
    assert format_text(Source("recipe.esp", text)) == text
    assert "esp3c check 'Deep/My Own-2/recipe.esp'" in shown
    assert shown.rstrip().splitlines()[-1].strip() == "esp3c run 'Deep/My Own-2/recipe.esp'"
    assert {".gitignore", "recipe.esp"} <= tree(folder).keys()
    assert all(name in {".gitignore", "recipe.esp"} or name.endswith(".py") for name in tree(folder))


@each_template
def test_nothing_of_a_template_is_a_copy(template: Template) -> None:
    """All but the first are the recipes of the repository; what runs of these have left is not taken along."""
    root = Path(__file__).parents[2]
    with templates() as place:
        found = dict(files(template, place))

    for name, path in found.items():
        own = "compiler" if template is TEMPLATES[0] or name == ".gitignore" else "recipes"
        assert path.resolve().relative_to(root).parts[0] == own, name
    assert not any(part in {"exp", "data", "conf", "__pycache__"} for name in found for part in Path(name).parts)


def test_an_unknown_template_and_a_bad_name_are_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "a", "--template", "fintune"]) == 2
    assert "did you mean `finetune`" in capsys.readouterr().err
    assert main(["init", "a", "--name", "1a"]) == 2
    assert "cannot be the name of a recipe" in capsys.readouterr().err
    assert list(here.iterdir()) == []


def test_the_list_has_a_line_for_each(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert [line.split()[0] for line in lines] == [each.name for each in TEMPLATES]
    assert main(["init", "--list", "--template", "nope"]) == 2
    assert "there is no template 'nope'" in capsys.readouterr().err
    assert list(here.iterdir()) == []


def test_an_extra_that_is_not_there_is_the_first_command(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor_python, "is_there", lambda name: False)

    for template, extras in (("spoken_digits", "espeak"), ("published", "espeak,demo")):
        assert main(["init", template, "--template", template]) == 0
        line = capsys.readouterr().out.splitlines()[2].strip()
        assert line.startswith(f"{sys.executable} -m pip install ") and f"[{extras}]" in line


def test_a_split_of_the_first_template_that_there_is_not_is_found(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "."]) == 0
    text = (here / "recipe.esp").read_text(encoding="utf-8")
    (here / "recipe.esp").write_text(text.replace('"train")', '"trian")'), encoding="utf-8")

    assert main(["check"]) == 1
    assert 'did you mean "train"?' in capsys.readouterr().out


@pytest.mark.parametrize("name", ["class", "None", "größe", "a-b", ""])
def test_a_name_that_the_check_refuses_is_refused_at_once(
    here: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["init", "a", "--name", name]) == 2
    assert "cannot be the name of a recipe" in capsys.readouterr().err
    assert list(here.iterdir()) == []


def test_a_folder_may_have_a_name_that_a_recipe_may_not(here: Path) -> None:
    assert main(["init", "class"]) == 0
    assert load("class").recipe.name == TEMPLATES[0].name


@pytest.mark.parametrize(
    ("folder", "words"),
    [("", "has no name"), ("/", "root of the file system"), (".", "your home folder"), ("file", "is a file")],
)
def test_places_that_are_no_folder_of_a_recipe(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: str, words: str
) -> None:
    monkeypatch.setenv("HOME", str(here))
    (here / "file").touch()

    assert main(["init", folder]) == 2
    assert words in capsys.readouterr().err
    assert tree(here) == {"file": b""}


@pytest.mark.parametrize("moment", ["mkdtemp", "replace", "rmtree"])
def test_an_interrupt_while_it_writes_leaves_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], moment: str
) -> None:
    (here / "mine.txt").write_text("mine", encoding="utf-8")
    module = {"mkdtemp": init.tempfile, "replace": init.os, "rmtree": init.shutil}[moment]
    real: Callable[..., object] = getattr(module, moment)
    calls = []

    def interrupted(*given: object, **named: object) -> object:
        calls.append(given)
        if len(calls) == {"mkdtemp": 1, "replace": 4, "rmtree": 1}[moment]:
            raise KeyboardInterrupt
        return real(*given, **named)

    monkeypatch.setattr(module, moment, interrupted)

    assert main(["init", "new/one"]) == 130
    assert main(["init"]) == 0 if moment == "mkdtemp" else tree(here) == {"mine.txt": b"mine"}
    assert not (here / "new").exists()


# -- a partition of SLURM -----------------------------------------------------------------------------------------------


def lab() -> SiteLimits:
    return site.read(*((FACTS / f"{name}.txt").read_text(encoding="utf-8") for name in TOOLS))


def without_gpus(limits: SiteLimits) -> SiteLimits:
    return changed(
        limits,
        partitions=tuple(
            changed(each, nodes=tuple(changed(node, gpus=0) for node in each.nodes)) for each in limits.partitions
        ),
    )


@pytest.mark.parametrize(
    ("template", "partition"),
    [*((each, "gpu") for each in TEMPLATES), (TEMPLATES[0], "cpu"), (TEMPLATES[1], "cpu")],
    ids=lambda each: getattr(each, "name", each),
)
def test_a_recipe_on_a_partition_passes_the_check_and_fits(
    template: Template, partition: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", ".", "--template", template.name, "--name", "there"]) == 0
    with templates() as root:
        text = (root / template.name / "recipe.esp").read_text(encoding="utf-8")
    limits = lab() if partition == "gpu" else without_gpus(lab())
    written = recipe_text(template, text, Names("there", limits.partition(partition)))
    (here / "recipe.esp").write_text(written, encoding="utf-8")
    capsys.readouterr()

    assert main(["check"]) == 0
    assert "no problems found" in capsys.readouterr().out
    recipe = load("recipe.esp").recipe
    assert list(over_limits(recipe, limits)) == []
    assert list(recipe.parallels) == ["cluster"]
    sent = {stage.name for stage in recipe.stages if stage.on is not None and stage.on.name == "cluster"}
    assert {"train", "infer"} <= sent and not {"create_dataset", "measure"} & sent
    assert ("gpus_per_node = 1" in written) == (partition == "gpu")


def test_a_small_partition_gets_small_jobs() -> None:
    small = Partition("tiny", False, True, (Node("n", 2, 3 * 10**9 + 5, 0),), max_time=600.0)

    text = recipe_text(
        TEMPLATES[0], "recipe a { system = b.C }\nstages { train { x = 1 }  measure }\n", Names("z", small)
    )

    assert (
        'parallel cluster = slurm(partition = "tiny", cpus_per_task = 2, mem = 3000MB, time = 10min, n_workers = 2)'
        in text
    )
    assert "recipe z {" in text and "train on cluster {" in " ".join(text.split())


# -- the dialogue -------------------------------------------------------------------------------------------------------


class Dialogue:
    """`esp3c init` on a terminal."""

    def __init__(self, folder: Path, *words: str, **environment: str) -> None:
        self.pid, self.leader = pty.fork()
        if not self.pid:
            os.chdir(folder)
            os.execvpe(ESP3C[0], [*ESP3C, "init", *words], {**os.environ, **environment})
        self.shown = ""

    def until(self, text: str) -> None:
        end = time.monotonic() + 20
        while text not in self.shown:
            assert time.monotonic() < end, self.shown
            if select.select([self.leader], [], [], 0.05)[0]:
                self.shown += os.read(self.leader, 4096).decode()

    def answer(self, question: str, keys: str) -> None:
        self.until(question)
        self.shown = self.shown.partition(question)[2]
        # What comes between the question and the reading of its answer waits for the next key.
        time.sleep(0.1 if keys == "\x03" else 0)
        os.write(self.leader, keys.encode())

    def end(self) -> int:
        end = time.monotonic() + 20
        while True:
            assert time.monotonic() < end, self.shown
            if not select.select([self.leader], [], [], 0.05)[0]:
                continue
            try:
                part = os.read(self.leader, 4096)
            except OSError:
                break
            if not part:
                break
            self.shown += part.decode()
        _, status = os.waitpid(self.pid, 0)
        os.close(self.leader)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)


@pytest.fixture
def no_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A PATH on which there is nothing but Python."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def fake_scontrol(folder: Path) -> None:
    cases = "".join(f"{name}) /bin/cat {FACTS / name}.txt;; " for name in TOOLS)
    (folder / "scontrol").write_text(f'#!/bin/sh\ncase "$2" in {cases}esac\n')
    (folder / "scontrol").chmod(0o755)


@pytest.fixture
def dialogue(here: Path, no_slurm: Path) -> Iterator[Callable[..., Dialogue]]:
    begun: list[Dialogue] = []

    def begin(*words: str) -> Dialogue:
        begun.append(Dialogue(here, *words))
        return begun[-1]

    yield begin
    for each in begun:
        if each.pid:
            os.kill(each.pid, signal.SIGKILL)
            os.waitpid(each.pid, 0)


def test_return_takes_the_defaults(here: Path, dialogue: Callable[..., Dialogue]) -> None:
    (here / "tones").mkdir()
    asked = dialogue()

    asked.answer("[tones]: ", "\r")
    asked.answer("[tones2]: ", "\r")
    asked.answer("[tones2]: ", "\r")

    assert asked.end() == 0
    assert "esp3c run tones2/recipe.esp" in asked.shown
    assert load(str(here / "tones2")).recipe.name == "tones2"


def test_answers_are_taken_and_bad_ones_asked_again(
    here: Path, no_slurm: Path, dialogue: Callable[..., Dialogue], capsys: pytest.CaptureFixture[str]
) -> None:
    fake_scontrol(no_slurm)
    (here / "full").mkdir()
    (here / "full" / "recipe.esp").touch()
    (here / "file").touch()
    (here / "other").mkdir()
    (here / "other" / "thesis.tex").touch()
    asked = dialogue()

    asked.answer("[tones]: ", "tonse\r")
    asked.until("did you mean `tones`")
    asked.answer("[tones]: ", "4\r")
    asked.answer("[finetune]: ", "full\r")
    asked.until("full has recipe.esp already")
    asked.answer("[finetune]: ", "file\r")
    asked.until("file is a file")
    asked.answer("[finetune]: ", "\x16\x1b[A\r")
    asked.until("control characters")
    asked.answer("[finetune]: ", "other\r")
    asked.until("it has thesis.tex")
    asked.answer("[no]: ", "\r")
    asked.answer("[finetune]: ", "mine\r")
    asked.answer("[mine]: ", "9x\r")
    asked.answer("[mine]: ", "own_name\r")
    asked.answer("[local]: ", "gup\r")
    asked.until("neither local nor a partition: cpu, gpu")
    asked.answer("[local]: ", "2\r")

    assert asked.end() == 0
    assert "esp3c plan mine/recipe.esp" in asked.shown
    recipe = load(str(here / "mine")).recipe
    assert recipe.name == "own_name"
    settings = recipe.parallels["cluster"].value
    assert isinstance(settings, ParallelNode) and settings.settings.get("gpus_per_node") is not None


@pytest.mark.parametrize(
    ("keys", "code", "question"), [("\x03", 130, "[tones]: "), ("\x03", 130, "[here]: "), ("\x04", 1, "[.]: ")]
)
def test_leaving_the_dialogue_leaves_nothing(
    here: Path, dialogue: Callable[..., Dialogue], keys: str, code: int, question: str
) -> None:
    asked = dialogue()
    for each in ("[tones]: ", "[.]: ", "[here]: "):
        asked.answer(each, keys if each == question else "\r")
        if each == question:
            break

    assert asked.end() == code
    assert "Traceback" not in asked.shown
    assert list(here.iterdir()) == []


def test_a_cluster_that_does_not_answer_is_not_spoken_of(
    here: Path, no_slurm: Path, dialogue: Callable[..., Dialogue]
) -> None:
    (no_slurm / "scontrol").write_text("#!/bin/sh\necho 'scontrol: fatal: no configuration' >&2\nexit 1\n")
    (no_slurm / "scontrol").chmod(0o755)
    asked = dialogue()
    # With the key for the line before, which is nothing here.
    for each in ("[tones]: ", "[.]: ", "[here]: "):
        asked.answer(each, "\x1b[A\r")

    assert asked.end() == 0
    assert "scontrol" not in asked.shown and "wrote 9 files" in asked.shown
    assert load(str(here)).recipe.name == "here"


@pytest.mark.parametrize("words", [["--yes"], ["--template", "tones"]])
def test_nothing_is_asked_where_something_was_said(
    here: Path, dialogue: Callable[..., Dialogue], words: list[str]
) -> None:
    asked = dialogue(*words)

    assert asked.end() == 0
    assert "[" not in asked.shown
    assert load(str(here)).recipe.name == "here"


def test_without_a_terminal_nothing_is_asked(here: Path) -> None:
    done = subprocess.run([*ESP3C, "init"], cwd=here, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "wrote 9 files in ."
    assert shutil.which("git") is None or ".gitignore" in os.listdir(here)
