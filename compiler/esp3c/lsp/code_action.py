"""`textDocument/codeAction`.

What is offered is about the diagnostics that were published of this very version. An action that may bring a mistake of its own
is offered only if the text that it makes has no error that the text before it had not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from esp3c.diagnostics import Diagnostic
from esp3c.lsp.capabilities import asked
from esp3c.lsp.documents import Document
from esp3c.lsp.edits import workspace_edit
from esp3c.lsp.published import published
from esp3c.pipeline import judge
from esp3c.query.actions import Action, Kind
from esp3c.query.actions_offered import about, at
from esp3c.query.fixes import applied, fixable, worse
from esp3c.query.view import View, view
from esp3c.source import Source

if TYPE_CHECKING:
    from esp3c.lsp.session import EspServer

METHOD = types.TEXT_DOCUMENT_CODE_ACTION

FIX_ALL = "source.fixAll.esp3c"
FIX_ALL_TITLE = "Fix all certain mistakes"

MOST_TRIED = 8
"""How many changes are tried by a check for one request."""


def options() -> types.CodeActionOptions:
    kinds = [*map(types.CodeActionKind, Kind), FIX_ALL]
    return types.CodeActionOptions(kinds, resolve_provider=True)


async def handle(server: EspServer, params: types.CodeActionParams) -> list[types.CodeAction] | None:
    document = server.recipe(params.text_document.uri)
    # A client that takes no actions but commands would be given nothing that it can use.
    if document is None or asked(server, "text_document.code_action.code_action_literal_support") is None:
        return None
    only = params.context.only
    start, end = document.lines.offset(params.range.start), document.lines.offset(params.range.end)
    here, version = document.view(), document.version
    found = [each for each in known(server, document) if _touches(each, start, end)]
    offered = [action for each in found for action in about(here, each) if _wanted(action.kind, only)]
    if params.context.trigger_kind is not types.CodeActionTriggerKind.Automatic:
        # Trying these out takes a check each, which nobody has asked for who only moves about.
        offered += [action for action in at(here, start, end) if _wanted(action.kind, only)]
    safe = await _safe(here, known(server, document), offered)
    if document.version != version:
        return None
    said = _as_told(document, params.context.diagnostics)
    actions = [_action(server, document, each, said) for each in safe]
    if _wanted(FIX_ALL, only) and any(fixable(each, each.primary.span.source) for each in known(server, document)):
        actions.extend(_fix_all(server, document, only))
    return actions


def known(server: EspServer, document: Document) -> tuple[Diagnostic, ...]:
    """What was published of the text as it is now."""
    version, found = server.checking.known.get(document.uri, (None, ()))
    return (
        tuple(each for each in found if each.primary.span.source.text is document.text)
        if version == document.version
        else ()
    )


def _touches(diagnostic: Diagnostic, start: int, end: int) -> bool:
    span = diagnostic.primary.span
    return span.start <= end and start <= span.end


def _wanted(kind: str, only: Iterable[str] | None) -> bool:
    """Whether a kind is among those that are asked for, each of which stands for all that begin with it."""
    return only is None or any(kind == each or kind.startswith(f"{each}.") for each in map(_text, only))


def _text(kind: types.CodeActionKind | str) -> str:
    return kind.value if isinstance(kind, types.CodeActionKind) else kind


async def _safe(here: View, said: tuple[Diagnostic, ...], offered: list[Action]) -> list[Action]:
    """The actions without those after which something would be wrong that is not wrong now."""
    unsure = [each for each in offered if not each.sure]
    if not unsure:
        return offered
    before = said or await checked(here)
    kept: set[int] = set()
    for each in unsure[:MOST_TRIED]:
        text = applied(here.source.text, each.edits)
        after = await checked(view(Source(here.source.path, text), here.world))
        if not worse(before, after):
            kept.add(id(each))
    return [each for each in offered if each.sure or id(each) in kept]


async def checked(here: View) -> tuple[Diagnostic, ...]:
    """What there is to say about a text; whoever waits for the server is let in between two rules."""
    steps = judge(here.source, here.recipe, here.world, here.syntactic, guess=True)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            diagnostics: tuple[Diagnostic, ...] = end.value.diagnostics
            return diagnostics
        await asyncio.sleep(0)


def _as_told(document: Document, told: Iterable[types.Diagnostic]) -> dict[Any, types.Diagnostic]:
    """The diagnostics as the client has them, by what identifies them."""
    return {_name(each): each for each in told}


def _name(diagnostic: types.Diagnostic) -> Any:
    start, end = diagnostic.range.start, diagnostic.range.end
    return diagnostic.code, start.line, start.character, end.line, end.character, diagnostic.message


def _action(
    server: EspServer, document: Document, action: Action, told: dict[Any, types.Diagnostic]
) -> types.CodeAction:
    about = list(published(document, [action.diagnostic])) if action.diagnostic is not None else []
    return types.CodeAction(
        action.title,
        types.CodeActionKind(action.kind.value),
        diagnostics=[told.get(_name(each), each) for each in about] or None,
        is_preferred=True if action.preferred else None,
        edit=workspace_edit(server, document, action.edits),
    )


def _fix_all(server: EspServer, document: Document, only: Iterable[str] | None) -> Iterator[types.CodeAction]:
    """All fixes at once: worked out when it is chosen, where the client can wait for that."""
    from esp3c.lsp.code_action_resolve import all_fixed

    later = asked(server, "text_document.code_action.resolve_support.properties") or ()
    action = types.CodeAction(FIX_ALL_TITLE, FIX_ALL, data={"uri": document.uri, "version": document.version})
    if "edit" not in later:
        if only is None:
            # Nobody asked for it by name: not worth the time of a few checks at every move of a cursor.
            return
        action.data = None
        action.edit = all_fixed(server, document)
    yield action
