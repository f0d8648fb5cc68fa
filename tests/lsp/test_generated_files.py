"""From the files of a build back to the recipe."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types

from esp3c.cli.build import compiled
from esp3c.cli.writer import write_files
from esp3c.lsp import definition
from esp3c.lsp.documents import Document
from esp3c.lsp.generated_files import yaml_place
from esp3c.lsp.server import EspServer, make_server
from support.marks import marked

DIGITS = Path(__file__).parents[2] / "recipes" / "spoken_digits"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a real recipe, built."""
    folder = tmp_path_factory.mktemp("built") / "digits"
    shutil.copytree(DIGITS, folder, ignore=shutil.ignore_patterns("conf", "exp", "data", ".esp3c", "__pycache__"))
    result, home = compiled(str(folder / "recipe.esp"), [], None)
    assert result.ok
    write_files(home, result.files)
    return folder


class Editor:
    def __init__(self, **capabilities: Any) -> None:
        self.server: EspServer = make_server()
        self.server.protocol.client_capabilities = types.ClientCapabilities(
            text_document=types.TextDocumentClientCapabilities(**capabilities)
        )

    def open(self, path: Path, text: str | None = None) -> Document:
        return self.server.documents.open(path.as_uri(), 1, path.read_text(encoding="utf-8") if text is None else text)

    def leads(self, document: Document, mark: str) -> str | None:
        """The text of the recipe that a mark leads to, behind its line."""
        piece, (inside,) = marked(mark)
        assert document.text.count(piece) == 1, (piece, document.text.count(piece))
        position = document.lines.position(document.text.index(piece) + inside)
        asked = types.DefinitionParams(types.TextDocumentIdentifier(document.uri), position)
        found = definition.handle(self.server, asked)
        if not found:
            return None
        target = found[0]
        assert isinstance(target, types.Location)
        path = Path(target.uri.removeprefix("file://"))
        there = self.server.documents.recipe(target.uri)
        text = there.text if there is not None else path.read_text(encoding="utf-8")
        start, end = target.range.start, target.range.end
        assert start.line == end.line or end.character == 0 or end.line > start.line
        line = text.splitlines()[start.line]
        last = end.character if end.line == start.line else len(line)
        return f"{start.line + 1}: {line[start.character : last]}"


CASES = [
    ("conf/training.yaml", "num_threads: |1", "21: 1"),
    ("conf/training.yaml", "n_m|els: 80", "29: 80"),
    ("conf/training.yaml", "_target_: src.model.CTC|Recognizer", "29: src.model.CTCRecognizer"),
    ("conf/training.yaml", "max_lr: ${optim|izer.lr}", "31: optimizer.lr"),
    ("conf/training.yaml", "utter|ances: 2000", "11: 2000"),
    ("conf/training.yaml", "max_|db: 6", "24: 6"),
    ("conf/training.yaml", "exp_tag: c|tc", '5: "ctc"'),
    ("conf/inference.yaml", "name: unseen|_voices", "48: unseen_voices"),
    ("conf/inference.yaml", "input_k|ey: speech", '58: "speech"'),
    ("system.py", "import AS|RSystem", "4: espnet3.systems.asr.system.ASRSystem"),
    ("system.py", "class SpokenDigits|System", "3: spoken_digits"),
    ("run.py", '    "create_da|taset",', "72: create_dataset"),
    ("recipe_data/digits.py", "from dataset.dataset import Spoken|Digits", "10: dataset.dataset.SpokenDigits"),
]


@pytest.mark.parametrize(("file", "mark", "expected"), CASES)
def test_a_value_leads_to_its_place_in_the_recipe(built: Path, file: str, mark: str, expected: str) -> None:
    editor = Editor()
    assert editor.leads(editor.open(built / file), mark) == expected


def test_where_the_recipe_has_changed_its_keys_are_found(built: Path) -> None:
    editor = Editor()
    text = (built / "recipe.esp").read_text(encoding="utf-8")
    moved = "# one\n# more\n# line\n" + text.replace("n_mels = 80", "n_mels = 64")
    editor.open(built / "recipe.esp", moved)

    training = editor.open(built / "conf" / "training.yaml")
    assert editor.leads(training, "n_m|els: 80") == "32: n_mels"
    assert editor.leads(training, "utter|ances: 2000") == "14: utterances"
    assert editor.leads(training, "weight_|decay: 0.0001") == "33: weight_decay"
    inference = editor.open(built / "conf" / "inference.yaml")
    assert editor.leads(inference, "name: unseen|_voices") == "51: unseen_voices"
    system = editor.open(built / "system.py")
    assert editor.leads(system, "import AS|RSystem") == "7: espnet3.systems.asr.system.ASRSystem"
    run = editor.open(built / "run.py")
    assert editor.leads(run, '    "infer|",\n    "measure') == "78: infer"

    # What is no longer there leads to what it stood in, and without that to the config.
    editor.server.documents.close((built / "recipe.esp").as_uri())
    editor.open(built / "recipe.esp", "training { model = a.B(c = 1) }\ninference { }\n")
    assert editor.leads(training, "n_m|els: 80") == "1: model"
    assert editor.leads(training, "num_thr|eads: 1") == "1: training"


def test_where_the_file_has_changed_its_places_are_those_of_the_yaml(built: Path) -> None:
    editor = Editor()
    path = built / "conf" / "training.yaml"
    text = path.read_text(encoding="utf-8").replace("num_threads: 1\n", "# a remark\n\nnum_threads: 4  # more\n")

    training = editor.open(path, text)
    assert editor.leads(training, "num_threads: |4") == "21: 1"
    assert editor.leads(training, "n_m|els: 80") == "29: 80"

    # YAML that cannot be read any more: the key of the line says it.
    torn = editor.open(path, text.replace("  n_mels: 80\n", "  n_mels: 80\n  [\n"))
    assert editor.leads(torn, "n_m|els: 80") == "29: 80"
    assert editor.leads(torn, "a rem|ark") is None

    system = editor.open(built / "system.py", "import os\n" + (built / "system.py").read_text(encoding="utf-8"))
    assert editor.leads(system, "class SpokenDigits|System") is None
    assert editor.leads(system, "clas|s SpokenDigitsSystem") == "3: spoken_digits"


def test_files_of_nobody_lead_nowhere(built: Path, tmp_path: Path) -> None:
    editor = Editor()
    for path in (built / "conf" / "own.yaml", built / "src" / "model.py", tmp_path / "a.yaml"):
        document = editor.open(path, "n_mels: 80\n")
        assert editor.leads(document, "n_m|els") is None


def test_every_place_of_every_file_has_an_answer(built: Path) -> None:
    editor = Editor(definition=types.DefinitionClientCapabilities(link_support=True))
    for file in sorted({each for each, _, _ in CASES}):
        document = editor.open(built / file)
        answers = 0
        for line in range(0, len(document.text.splitlines()) + 2, 1 if file.endswith(".py") else 6):
            column = (0, 6, 300)[line % 3]
            asked = types.DefinitionParams(types.TextDocumentIdentifier(document.uri), types.Position(line, column))
            answers += bool(definition.handle(editor.server, asked))
        assert answers, file


def test_a_broken_manifest_is_none(built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(built, folder)
    editor = Editor()
    for content in ("", "{", "[]", '{"files": {"conf/training.yaml": 1}, "recipe": 3}', '{"files": []}'):
        (folder / ".esp3c" / "manifest.json").write_text(content, encoding="utf-8")
        assert editor.leads(editor.open(folder / "conf" / "training.yaml"), "n_m|els: 80") is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: |1\n", ("a",)),
        ("a|: 1\n", ("a",)),
        ("a:\n  b:\n  - c: 1\n  - |d: 2\n", ("a", "b", 1, "d")),
        ("a: [1, |2]\n", ("a", 1)),
        ("a:\n  b: 1\n|c: 2\n", ("c",)),
        ("a: 1   |# remark\nb: 2\n", ("a",)),
        ("|a: 1\n", ("a",)),
        ("😀: 1\né: [x, |y]\n", ("é", 1)),
        ("# |nothing\n", ()),
        ("a: [|\n", None),
    ],
)
def test_a_place_of_yaml_is_found(text: str, place: tuple[str | int, ...] | None) -> None:
    plain, (offset,) = marked(text)
    assert yaml_place(plain, offset) == place


def test_an_alias_that_leads_back_ends() -> None:
    text = "a: &x\n  b: *x\n"
    assert yaml_place(text, text.index("*x")) == ("a", "b")
