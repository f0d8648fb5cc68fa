"""What the client says that it can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pygls.lsp._capabilities import get_capability

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer


def asked(server: EspServer, path: str) -> Any:
    """A capability of the client by its dotted name in snake case; None where it says nothing of it, or nothing yet."""
    capabilities = getattr(server.protocol, "client_capabilities", None)
    return get_capability(capabilities, path) if capabilities is not None else None
