"""Diagnostics as JSON, for programs. The form is described in `docs/diagnostics.md`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from esp3c.diagnostics import Diagnostic, Label, Severity
from esp3c.source import Span

VERSION = 1


def render_json(diagnostics: Sequence[Diagnostic], further: Mapping[str, Any] | None = None) -> str:
    """One JSON object: `version`, the counts, and the diagnostics in the order of the file; `further` keys behind them."""
    errors = sum(each.severity is Severity.ERROR for each in diagnostics)
    document = {
        "version": VERSION,
        "errors": errors,
        "warnings": len(diagnostics) - errors,
        "diagnostics": [diagnostic_data(each) for each in diagnostics],
        **(further or {}),
    }
    # In ASCII, so that the encoding of the standard output cannot spoil it.
    return json.dumps(document, indent=2) + "\n"


def diagnostic_data(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "code": diagnostic.code.id,
        "family": diagnostic.code.family,
        "severity": str(diagnostic.severity),
        "message": diagnostic.message,
        "primary": _label(diagnostic.primary),
        "secondary": [_label(each) for each in diagnostic.secondary],
        "help": list(diagnostic.help),
        "fix": None
        if diagnostic.fix is None
        else {
            "title": diagnostic.fix.title,
            "edits": [{**span_data(edit.span), "text": edit.text} for edit in diagnostic.fix.edits],
        },
    }


def _label(label: Label) -> dict[str, Any]:
    return {**span_data(label.span), "label": label.text}


def span_data(span: Span) -> dict[str, Any]:
    """A place: file, 1-based lines and columns in characters, 0-based character offsets; the end is exclusive."""
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {
        "file": span.source.path,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "start": span.start,
        "end": span.end,
    }
