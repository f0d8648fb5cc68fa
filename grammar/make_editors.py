"""Writes what editors know of the language's words, from the one list of them in `esp3c.words`.

    python grammar/make_editors.py            write the files
    python grammar/make_editors.py --check    write nothing; fail where a file is not what it would be

Each editor has a module `making/NAME.py` with `files(words) -> {path below grammar/: text}`. What it returns is written
as a whole: nothing of it is edited by hand.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from esp3c.words import words

HERE = Path(__file__).resolve().parent


def made() -> Iterator[tuple[Path, str]]:
    """Every file with its text."""
    known = words()
    for module in sorted((HERE / "making").glob("[a-z]*.py")):
        spec = importlib.util.spec_from_file_location(f"making_{module.stem}", module)
        assert spec is not None and spec.loader is not None, module
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
        for path, text in loaded.files(known).items():
            yield HERE / path, text


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    wrong = []
    for path, text in made():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        wrong.append(path.relative_to(HERE).as_posix())
        if not arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for path in wrong:
        print(f"{path} {'is not what the words of the language make of it' if arguments else 'written'}")
    if arguments and wrong:
        print("run: make grammar", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
