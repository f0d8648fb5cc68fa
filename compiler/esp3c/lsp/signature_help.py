"""`textDocument/signatureHelp`: what the call around the cursor takes, and which argument is being written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.lsp.capabilities import asked
from esp3c.lsp.completion import documentation
from esp3c.query.hover_parts import Said
from esp3c.query.signatures import Help, Way, signature_help

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_SIGNATURE_HELP


def options() -> types.SignatureHelpOptions:
    return types.SignatureHelpOptions(trigger_characters=["(", ","], retrigger_characters=[",", "=", ")"])


def handle(server: EspServer, params: types.SignatureHelpParams) -> types.SignatureHelp | None:
    document = server.recipe(params.text_document.uri)
    if document is None:
        return None
    found = signature_help(document.view(), document.lines.offset(params.position))
    if found is None:
        return None
    information = "text_document.signature_help.signature_information"
    formats = list(asked(server, f"{information}.documentation_format") or ())
    offsets = bool(asked(server, f"{information}.parameter_information.label_offset_support"))
    each_has_one = bool(asked(server, f"{information}.active_parameter_support"))
    return types.SignatureHelp(
        [_signature(found, way, formats, offsets=offsets, active=each_has_one) for way in found.ways],
        found.active,
        _active(found, found.ways[found.active]),
    )


def _active(found: Help, way: Way) -> int:
    """The number of the active parameter; one behind the last where there is none."""
    return way.names.index(found.parameter) if found.parameter in way.names else len(way.names)


def _signature(
    found: Help, way: Way, formats: list[types.MarkupKind], *, offsets: bool, active: bool
) -> types.SignatureInformation:
    parameters = [
        types.ParameterInformation(
            _label(way, start, end) if offsets else way.label[start:end],
            documentation((Said(told),), formats) if told else None,
        )
        for start, end, told in way.parameters
    ]
    summary = documentation((Said(found.summary),), formats) if found.summary else None
    return types.SignatureInformation(way.label, summary, parameters, _active(found, way) if active else None)


def _label(way: Way, start: int, end: int) -> tuple[int, int]:
    """A piece of the label in UTF-16, whatever was agreed upon for positions."""
    first = len(way.label[:start].encode("utf-16-le")) // 2
    return first, first + len(way.label[start:end].encode("utf-16-le")) // 2
