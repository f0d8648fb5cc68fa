"""What a page of the documentation shows: its blocks of code, and those that are files."""

from __future__ import annotations

import re
from pathlib import Path


def blocks_of(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language, without their fences."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def files_of(page: Path) -> dict[str, str]:
    """The blocks that a line with the name of a file introduces, such as "`run.py`:", by that name."""
    text = page.read_text(encoding="utf-8")
    return dict(re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
