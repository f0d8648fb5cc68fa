"""What must not leave the machine: keys and passwords that stand in a config or a file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_TOKENS = re.compile(
    r"\bhf_[A-Za-z0-9]{30,}|\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_\w{50,}|\bglpat-[\w-]{20,}|\bAKIA[0-9A-Z]{16}\b"
    r"|\bsk-[A-Za-z0-9_-]{32,}|\bxox[abprs]-[A-Za-z0-9-]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY-----"
)
_SECRET_KEYS = re.compile(
    r"(^|_)(password|passwd|secret|api_?key|access_?key|private_?key|auth_?token|access_?token|hf_?token|api_?token)$",
    re.I,
)
_SECRET_VARIABLES = re.compile(r"(TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_?KEY|CREDENTIAL)", re.I)
# Shorter values of variables stand in texts by chance.
_SHORTEST = 12
# Longer files are weights or data, not notes of a person.
_LONGEST_TEXT = 1_000_000
_FILES = re.compile(
    r"^(\.env(\..*)?|\.netrc|\.git-credentials|\.pypirc|id_(rsa|dsa|ecdsa|ed25519)|.*\.(pem|p12|pfx|key))$"
)


def secret_file(path: Path) -> bool:
    """Whether a file is, by its name, one that keeps secrets: `.env`, `.netrc`, a private key."""
    return _FILES.match(path.name) is not None


def secret_in_text(text: str) -> str | None:
    """What kind of secret stands in a text, in words; None where none does."""
    found = _TOKENS.search(text)
    if found:
        return "what looks like an access token or a private key"
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and _SECRET_VARIABLES.search(name) and not _is_path(value) and value in text:
            return f"the value of the environment variable {name}"
    return None


def secret_in_file(path: Path) -> str | None:
    """What kind of secret stands in a text file, in words; None where none does, or where it is no text."""
    if secret_file(path):
        return "by its name, a file that keeps secrets"
    if path.stat().st_size > _LONGEST_TEXT:
        return None
    try:
        return secret_in_text(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return None


def secrets_in_config(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Each value of a config that is a secret: its key, and what it is in words."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            inner = f"{key}.{name}" if key else str(name)
            if isinstance(value, str) and value and _SECRET_KEYS.search(str(name)):
                yield inner, f"by its name, a {name}"
            else:
                yield from secrets_in_config(value, inner)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from secrets_in_config(value, f"{key}[{index}]")
    elif isinstance(node, str):
        found = secret_in_text(node)
        if found:
            yield key, found


def _is_path(value: str) -> bool:
    """Whether a variable holds the place of a secret and not the secret (HF_TOKEN_PATH)."""
    return value.startswith(("/", "~", "./"))
