"""`completionItem/resolve`: the long text of a Python object or a parameter, once it is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from esp3c.lsp.capabilities import asked
from esp3c.lsp.completion import documentation
from esp3c.python.reader import reader
from esp3c.query.hover_parts import Part
from esp3c.query.hover_python import parameter, python
from esp3c.query.signatures import parameter_of
from esp3c.query.view import View

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.COMPLETION_ITEM_RESOLVE


def handle(server: EspServer, params: types.CompletionItem) -> types.CompletionItem:
    uri, path, argument = (_member(params.data, name) for name in ("uri", "path", "argument"))
    document = server.recipe(uri) if isinstance(uri, str) else None
    if document is None or not isinstance(path, str) or not path or params.documentation is not None:
        return params
    formats = asked(server, "text_document.completion.completion_item.documentation_format")
    parts = _text(document.view(), path, argument if isinstance(argument, str) else "")
    if parts:
        params.documentation = documentation(tuple(parts), list(formats or ()))
    return params


def _text(view: View, path: str, argument: str) -> list[Part]:
    if not argument:
        return python(view.world, path)
    bound = parameter_of(reader(view.world), path, argument)
    return parameter(view.world, bound, path) if bound is not None else []


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
