"""What the user has set for `esp3c` in the editor: asked of those clients that can be asked, else what they said at the start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from esp3c.lsp.capabilities import asked

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

SECTION = "esp3c"

PATIENCE = 2.0
"""Seconds to wait for a client's answer; then everything is as it is where nothing is set."""

log = logging.getLogger(__name__)

_KNOWN: WeakKeyDictionary[EspServer, Any] = WeakKeyDictionary()


async def setting(server: EspServer, name: str, default: bool) -> bool:
    """A switch by its dotted name, `inlayHints.values`."""
    if server not in _KNOWN:
        _KNOWN[server] = await _asked(server)
    found = _KNOWN[server]
    for part in name.split("."):
        found = _member(found, part)
    return found if isinstance(found, bool) else default


def changed(server: EspServer, told: Any = None) -> None:
    """The settings are others now. `told` is what a client says of them that cannot be asked."""
    _KNOWN.pop(server, None)
    section = _member(told, SECTION)
    if section is not None and not asked(server, "workspace.configuration"):
        _KNOWN[server] = section


async def _asked(server: EspServer) -> Any:
    if asked(server, "workspace.configuration"):
        wanted = types.ConfigurationParams([types.ConfigurationItem(section=SECTION)])
        # Whoever asks may be taken back, or wait no longer: the client's answer comes all the same, and needs a place to go.
        answer = asyncio.ensure_future(server.workspace_configuration_async(wanted))
        try:
            found = await asyncio.wait_for(asyncio.shield(answer), PATIENCE)
        except (TimeoutError, JsonRpcException) as error:
            log.warning("the client did not say what is set for %s: %s", SECTION, error or "no answer")
        else:
            if found and found[0] is not None:
                return found[0]
    options = server.initialization_options
    section = _member(options, SECTION)
    return section if section is not None else options


def _member(value: Any, name: str) -> Any:
    # The protocol's library makes objects of some JSON and mappings of other.
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
