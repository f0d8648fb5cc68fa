"""Diagnostics as SARIF 2.1.0, the form in which code scanning and editors take the results of a checker.

One run; the rules are the codes that occur, each with its page. Columns count characters (`unicodeCodePoints`), from 1,
and the end is exclusive, as everywhere here. A `--set` text is no artifact: its diagnostics have a logical location.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from esp3c import __version__
from esp3c.diagnostics import Code, Diagnostic, Fix, Label
from esp3c.render.places import OVERRIDE, file_of, plain, sentences
from esp3c.source import Source, Span

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT = "esp3c/v1"


def render_sarif(diagnostics: Sequence[Diagnostic], ignored: Sequence[Diagnostic] = ()) -> str:
    """One log with one run. `ignored` are results as well, marked as suppressed in the source."""
    everything = [*diagnostics, *ignored]
    codes = sorted({each.code.id: each.code for each in everything}.items())
    position = {id: index for index, (id, _) in enumerate(codes)}
    marks = _fingerprints(everything)
    results = [_result(each, position[each.code.id], mark) for each, mark in zip(everything, marks, strict=True)]
    for result in results[len(diagnostics) :]:
        result["suppressions"] = [{"kind": "inSource"}]
    driver = {
        "name": "esp3c",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [_rule(code) for _, code in codes],
    }
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    # In ASCII, so that the encoding of the standard output cannot spoil it.
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(code: Code) -> dict[str, Any]:
    return {
        "id": code.id,
        "shortDescription": {"text": code.title},
        "fullDescription": {"text": " ".join(code.page.split("\n\n")[0].split())},
        "help": {"text": code.page, "markdown": code.page},
        "defaultConfiguration": {"level": str(code.severity)},
        "properties": {"tags": [code.family]},
    }


def _result(diagnostic: Diagnostic, index: int, fingerprint: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": diagnostic.code.id,
        "ruleIndex": index,
        "level": str(diagnostic.severity),
        "message": _message("\n".join(sentences(diagnostic))),
        "locations": [_location(diagnostic.primary)],
        "partialFingerprints": {FINGERPRINT: fingerprint},
    }
    if diagnostic.secondary:
        result["relatedLocations"] = [
            {"id": number, **_location(label), "message": _message(plain(label.text) or "see here")}
            for number, label in enumerate(diagnostic.secondary)
        ]
    if diagnostic.fix is not None and not any(_is_override(edit.span.source) for edit in diagnostic.fix.edits):
        result["fixes"] = [_fix(diagnostic.fix)]
    return result


def _message(text: str) -> dict[str, Any]:
    # A brace begins a placeholder in a message.
    return {"text": text.replace("{", "{{").replace("}", "}}")}


def _location(label: Label) -> dict[str, Any]:
    source = label.span.source
    if _is_override(source):
        return {"logicalLocations": [{"fullyQualifiedName": source.path, "kind": "parameter"}]}
    return {"physicalLocation": {"artifactLocation": _artifact(source), "region": _region(label.span)}}


def _is_override(source: Source) -> bool:
    return source.path.startswith(OVERRIDE)


def _artifact(source: Source) -> dict[str, Any]:
    path = file_of(source) or source.path
    uri = quote(path, safe="/", errors="surrogateescape")
    return {"uri": f"file://{uri}" if path.startswith("/") else uri}


def _region(span: Span) -> dict[str, Any]:
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}


def _fix(fix: Fix) -> dict[str, Any]:
    by_source: dict[Source, list[dict[str, Any]]] = {}
    for edit in fix.edits:
        replacement: dict[str, Any] = {"deletedRegion": _region(edit.span)}
        if edit.text:
            replacement["insertedContent"] = {"text": edit.text}
        by_source.setdefault(edit.span.source, []).append(replacement)
    changes = [{"artifactLocation": _artifact(source), "replacements": each} for source, each in by_source.items()]
    return {"description": _message(fix.title), "artifactChanges": changes}


def _fingerprints(diagnostics: Sequence[Diagnostic]) -> list[str]:
    """What stays the same while lines above come and go: the code, the message, and the text of the line."""
    seen: Counter[str] = Counter()
    found: list[str] = []
    for each in diagnostics:
        source = each.primary.span.source
        line = source.line_text(source.line_of(each.primary.span.start)).strip()
        facts = "\0".join((each.code.id, each.message, source.path, line))
        mark = sha256(facts.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        found.append(f"{mark}:{seen[mark]}")
        seen[mark] += 1
    return found
