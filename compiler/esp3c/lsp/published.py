"""Diagnostics in the protocol's form."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from lsprotocol import types

from esp3c import __version__
from esp3c.check import names
from esp3c.diagnostics import Code, Diagnostic, Severity, code_of
from esp3c.lsp.documents import Document, uri_of
from esp3c.lsp.text import Lines
from esp3c.source import Span

_UNUSED = {code_of(names.unused).id}
_SEVERITIES = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
}


def published(document: Document, diagnostics: Sequence[Diagnostic]) -> list[types.Diagnostic]:
    """What an editor is told, with places in the units of this client."""
    return [_one(document, each) for each in diagnostics]


def _one(document: Document, diagnostic: Diagnostic) -> types.Diagnostic:
    primary, code = diagnostic.primary, diagnostic.code
    said = [diagnostic.message + (f": {primary.text}" if primary.text else "")]
    said.extend(f"help: {each}" for each in diagnostic.help)
    page = page_of(code)
    return types.Diagnostic(
        range=document.lines.range(primary.span.start, primary.span.end),
        severity=_SEVERITIES[diagnostic.severity],
        code=code.id,
        code_description=types.CodeDescription(page) if page else None,
        source="esp3c",
        message="\n".join(said),
        tags=[types.DiagnosticTag.Unnecessary] if code.id in _UNUSED else None,
        related_information=[
            types.DiagnosticRelatedInformation(location(document, label.span), label.text or diagnostic.message)
            for label in diagnostic.secondary
        ]
        or None,
    )


def location(document: Document, span: Span) -> types.Location:
    """A place in the document, or in another file that the compiler has read."""
    if span.source.text is document.text:
        return types.Location(document.uri, document.lines.range(span.start, span.end))
    return types.Location(uri_of(span.source.path), _lines(span, document.encoding).range(span.start, span.end))


def _lines(span: Span, encoding: str) -> Lines:
    return Lines(span.source.text, encoding)


@lru_cache(maxsize=1000)
def page_of(code: Code) -> str | None:
    """The URI of the page of a code: a file, written where the user's caches are. None where that cannot be done."""
    from platformdirs import user_cache_path

    path = user_cache_path("esp3c") / "pages" / __version__ / f"{code.id}.md"
    text = f"# {code.id}: {code.title}\n\n*{code.severity}, {code.family}*\n\n{code.page}\n"
    try:
        _written(path, text)
    except OSError:
        return None
    return path.as_uri()


def _written(path: Path, text: str) -> None:
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as beside:
        beside.write(text)
    os.replace(beside.name, path)
