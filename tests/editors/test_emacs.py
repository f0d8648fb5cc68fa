"""Emacs' mode for recipes: the words it knows, and in a real Emacs what it colours, indents and reports."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from editors.roles import roles
from esp3c.format import format_text
from esp3c.source import Source
from esp3c.words import words
from support.fixtures import FIXTURES, ok_fixtures

ROOT = Path(__file__).parents[2]
MODE = ROOT / "grammar" / "emacs" / "esp-mode.el"
LIMIT = 60

FORMATTED = [*sorted((ROOT / "recipes").glob("*/recipe.esp")), *sorted((FIXTURES / "format").glob("*.formatted.esp"))]


def test_the_mode_has_each_word_of_the_language_in_its_list_and_no_other() -> None:
    text = MODE.read_text(encoding="utf-8")
    lists = {
        name.replace("-", "_"): re.findall(r'"(\w+)"', inside)
        for name, inside in re.findall(r"^\(defconst esp-mode-([\w-]+)\n  '\(([^)]*)\)", text, re.M)
    }
    language = words()

    assert lists == {name: sorted(getattr(language, name)) for name in language.__slots__}


# -- in Emacs -----------------------------------------------------------------------------------------------------------


class Emacs:
    def __init__(self, program: str, folder: Path) -> None:
        self.program = program
        self.folder = folder

    def run(self, script: str) -> Any:
        """What the last expression of a script gives, by way of JSON."""
        lines = f"""
            (require 'cl-lib)
            (require 'json)
            (load "{MODE}" nil t)
            (setq make-backup-files nil coding-system-for-read 'utf-8-unix coding-system-for-write 'utf-8-unix)
            (defun rows (list) (vconcat (mapcar #'vconcat list)))
            (let ((told (json-encode (progn {script}))))
              (with-temp-file "{self.folder}/told.json" (insert told)))
            """
        (self.folder / "script.el").write_text(lines, encoding="utf-8")
        done = subprocess.run(
            [self.program, "-Q", "--batch", "-l", "script.el"],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads((self.folder / "told.json").read_text(encoding="utf-8"))


@pytest.fixture
def emacs(tmp_path: Path) -> Emacs:
    program = shutil.which("emacs")
    if program is None:
        pytest.skip("without Emacs")
    return Emacs(program, tmp_path)


FACES = {
    "comment": {"font-lock-comment-delimiter-face", "font-lock-comment-face"},
    "declaration": {"font-lock-keyword-face"},
    "config": {"font-lock-keyword-face"},
    "name": {"font-lock-variable-name-face"},
    "base": {"font-lock-variable-name-face"},
    "machine": {"font-lock-variable-name-face"},
    "stage": {"font-lock-function-name-face"},
    "own stage": {None},
    "required": {None},
    "runs": {"font-lock-function-name-face"},
    "on": {None},
    "new": {"font-lock-keyword-face"},
    "key": {"font-lock-variable-name-face"},
    "block key": {"font-lock-type-face"},
    "hydra key": {"font-lock-builtin-face"},
    "own key": {None},
    "quoted key": {"font-lock-string-face"},
    "type": {"font-lock-type-face"},
    "own type": {None},
    "dim": {None},
    "number": {"font-lock-constant-face"},
    "text": {"font-lock-string-face"},
    "long text": {"font-lock-string-face"},
    "interpolation": {"font-lock-variable-name-face"},
    "constant": {"font-lock-constant-face"},
    "reference": {None},
    "partial": {"font-lock-keyword-face"},
    "call": {"font-lock-function-name-face"},
    "backend": {"font-lock-type-face"},
    "argument": {None},
}


def texts() -> list[str]:
    """Recipes in their one form."""
    found = [path.read_bytes().decode() for path in FORMATTED]
    return found + [text for path in ok_fixtures() if (text := format_text(Source("r", path.read_bytes().decode())))]


@pytest.mark.editors
def test_words_are_coloured_by_what_they_are_where_they_stand(emacs: Emacs) -> None:
    recipes = texts()
    wanted = [roles(Source("r", text)) for text in recipes]
    for number, text in enumerate(recipes):
        (emacs.folder / f"{number}.esp").write_bytes(text.encode())
    places = [[offset + 1 for offset, _ in each] for each in wanted]
    (emacs.folder / "places.json").write_text(json.dumps(places), encoding="utf-8")

    found = emacs.run(
        """
        (let ((number -1))
          (rows (mapcar
           (lambda (places)
             (setq number (1+ number))
             (find-file (format "%d.esp" number))
             (font-lock-ensure)
             (mapcar (lambda (place)
                       (let ((face (get-text-property place 'face)))
                         (symbol-name (if (consp face) (car face) face))))
                     places))
           (json-read-file "places.json"))))
        """
    )

    for text, roles_of, faces in zip(recipes, wanted, found, strict=True):
        for (offset, role), face in zip(roles_of, faces, strict=True):
            line = text[text.rfind("\n", 0, offset) + 1 :].partition("\n")[0]
            shown = None if face == "nil" else face
            assert shown in FACES[role], f"a {role} at {text[offset : offset + 20]!r} of\n{line}"


@pytest.mark.editors
def test_indentation_is_that_of_the_formatter(emacs: Emacs) -> None:
    recipes = texts()
    bare = [
        "".join(
            piece if number % 2 else re.sub(r"(?<=\n)[ \t]+", "", piece)
            for number, piece in enumerate(re.split(r'("""(?:\\[\s\S]|(?!""")[^\\])*""")', text))
        )
        for text in recipes
    ]
    assert bare != recipes
    for number, text in enumerate(recipes + bare):
        (emacs.folder / f"{number}.esp").write_bytes(text.encode())

    emacs.run(
        f"""
        (dotimes (number {len(recipes) * 2})
          (find-file (format "%d.esp" number))
          (indent-region (point-min) (point-max))
          (save-buffer))
        """
    )

    indented = [(emacs.folder / f"{number}.esp").read_bytes().decode() for number in range(len(recipes) * 2)]
    assert indented == recipes + recipes


@pytest.mark.editors
def test_stages_are_known_and_commands_are_put_together(emacs: Emacs) -> None:
    (emacs.folder / "a recipe.esp").write_text(
        "stages {\n  create_dataset  train_easy requires training, more runs src.x.train # no\n  train on gpu { over = a }\n}\n",
        encoding="utf-8",
    )

    stages, command = emacs.run(
        """
        (find-file "a recipe.esp")
        (let (command)
          (cl-letf (((symbol-function 'compile) (lambda (words &rest _) (setq command words))))
            (esp-run "train"))
          (vector (vconcat (esp--stages)) command))
        """
    )

    assert stages == ["create_dataset", "train_easy", "train"]
    assert command == r"esp3c run a\ recipe.esp --stages train"


@pytest.mark.editors
def test_what_a_check_prints_leads_to_its_places(emacs: Emacs) -> None:
    printed = (
        "$ esp3c check recipe.esp below/recipe.esp\n"
        "error[ESP0301]: unknown key `bogus` in `training`\n  --> recipe.esp:22:3\n   |\n\n"
        "warning[ESP0205]: nothing uses `own`\n --> below/recipe.esp:1:8\n  |\n"
    )
    (emacs.folder / "printed").write_text(printed, encoding="utf-8")
    (emacs.folder / "below").mkdir()
    for name in ("recipe.esp", "below/recipe.esp"):
        (emacs.folder / name).write_text("let a = 1234567890\n" * 30, encoding="utf-8")

    found = emacs.run(
        """
        (let ((here default-directory) found)
          (find-file "printed")
          (compilation-mode)
          (compilation--ensure-parse (point-max))
          (dolist (kind '(error warning))
            (with-current-buffer "printed"
              (next-error 1 (eq kind 'error)))
            (set-buffer (window-buffer))
            (push (list (file-relative-name buffer-file-name here) (line-number-at-pos) (current-column)) found))
          (rows (nreverse found)))
        """
    )

    assert found == [["recipe.esp", 22, 2], ["below/recipe.esp", 1, 7]]


@pytest.mark.editors
def test_warnings_of_a_check_are_not_errors(emacs: Emacs) -> None:
    (emacs.folder / "printed").write_text(
        "warning[ESP0205]: nothing uses `own`\n --> a.esp:1:8\n  |\n\nerror[ESP0201]: `b` is not defined\n --> a.esp:2:1\n",
        encoding="utf-8",
    )

    kinds = emacs.run(
        """
        (let (kinds)
          (find-file "printed")
          (compilation-mode)
          (compilation--ensure-parse (point-max))
          (goto-char (point-min))
          (while (search-forward "a.esp" nil t)
            (push (compilation--message->type (get-text-property (match-beginning 0) 'compilation-message)) kinds))
          (vconcat (nreverse kinds)))
        """
    )

    assert kinds == [1, 2]


@pytest.mark.editors
def test_the_mode_compiles_without_a_warning(emacs: Emacs) -> None:
    shutil.copy(MODE, emacs.folder)

    done = emacs.run("""
        (progn (setq byte-compile-error-on-warn t) (if (byte-compile-file "esp-mode.el") "compiled" "not"))
        """)

    assert done == "compiled"


@pytest.mark.editors
def test_eglot_shows_what_the_server_finds(emacs: Emacs) -> None:
    folder = emacs.folder / "recipe"
    shutil.copytree(
        ROOT / "recipes" / "spoken_digits", folder, ignore=shutil.ignore_patterns("exp", "data", ".esp3c", "conf")
    )
    recipe = folder / "recipe.esp"
    text = recipe.read_text(encoding="utf-8")
    recipe.write_text(text.replace("max_epochs = 9", "max_epoch = 9"), encoding="utf-8")

    found = emacs.run(
        f"""
        (if (not (require 'eglot nil t))
            "no eglot"
          (setq esp-program '("{sys.executable}" "-m" "esp3c"))
          (find-file "{recipe}")
          (apply #'eglot (eglot--guess-contact))
          (unwind-protect
              (let ((until (+ (float-time) 30)))
                (while (and (null (flymake-diagnostics)) (< (float-time) until))
                  (flymake-start)
                  (accept-process-output nil 0.1))
                (rows (mapcar (lambda (each)
                                (list (line-number-at-pos (flymake-diagnostic-beg each)) (flymake-diagnostic-text each)))
                              (flymake-diagnostics))))
            (eglot-shutdown (eglot-current-server))))
        """
    )

    if found == "no eglot":
        pytest.skip("this Emacs has no Eglot")
    ((line, message),) = found
    assert line == text[: text.index("max_epochs = 9")].count("\n") + 1
    assert "ESP0301" in message or "unknown key `max_epoch`" in message
