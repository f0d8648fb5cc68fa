"""Places that a name leads to, in the protocol's form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from esp3c.lsp.capabilities import asked
from esp3c.lsp.documents import Document
from esp3c.lsp.published import location
from esp3c.query.definitions import Leads

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

Found = list[types.LocationLink] | list[types.Location] | None


def leading(server: EspServer, document: Document, found: Leads | None, feature: str) -> Found:
    """Links with the characters that they lead from where the client understands them; else the places alone."""
    if found is None:
        return None
    if not asked(server, f"text_document.{feature}.link_support"):
        return [location(document, goal.name) for goal in found.goals]
    origin = document.lines.range(found.origin.start, found.origin.end)
    links: list[types.LocationLink] = []
    for goal in found.goals:
        name, whole = location(document, goal.name), location(document, goal.whole)
        links.append(types.LocationLink(name.uri, whole.range, name.range, origin))
    return links
