"""The tree of a YAML file, each node with its place in the recipe, and the escapes that OmegaConf wants in its text."""

from __future__ import annotations

import re
from typing import TypeAlias

from esp3c.record import record
from esp3c.source import Span


@record
class YScalar:
    """A scalar. Text is already escaped for OmegaConf where that is needed."""

    value: bool | int | float | str | None
    span: Span


@record
class YList:
    items: tuple[YNode, ...]
    span: Span


@record
class YMap:
    entries: tuple[tuple[str, YNode], ...]
    span: Span


YNode: TypeAlias = YScalar | YList | YMap


def escape(text: str, *, before_interpolation: bool = False) -> str:
    """Plain text as OmegaConf has to see it: `${` escaped, and the backslashes in front of it doubled."""
    if not before_interpolation and "${" not in text:
        return text
    escaped = re.sub(r"(\\*)\$\{", lambda match: match.group(1) * 2 + r"\${", text)
    if before_interpolation:
        trailing = len(escaped) - len(escaped.rstrip("\\"))
        escaped += "\\" * trailing
    return escaped
