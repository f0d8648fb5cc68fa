"""Diagnostics as one types: each version of a text is checked, and only what was said of the latest one is published.

Everything happens in the one thread of the server. A check is made in steps of a few milliseconds, between which the
server reads what has come; a change ends the check of the version before it. Where a check takes long, the config that
is being written is checked at once, and the whole recipe after a pause in the typing.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable

from lsprotocol import types

from esp3c.diagnostics import Diagnostic
from esp3c.ir import Recipe
from esp3c.lsp.documents import Document, Documents
from esp3c.lsp.published import published
from esp3c.pipeline import Judged, judge
from esp3c.query.damage import Steady
from esp3c.query.partial import Said, part
from esp3c.query.view import View

STILL = 0.003
"""Seconds without a change after which a check begins: several messages that come together are one change."""

STEP = 0.005
"""Seconds after which a check lets others in."""

QUICK = 0.05
"""Seconds: a check that takes longer waits for a pause."""

PAUSE = 0.15
IDLE = 2.0

log = logging.getLogger(__name__)


class Checking:
    def __init__(self, documents: Documents, publish: Callable[[types.PublishDiagnosticsParams], None]) -> None:
        self._documents = documents
        self._send = publish
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._steady: dict[str, Steady] = {}
        self._took: dict[str, float] = {}
        self._said: dict[str, Said] = {}
        self._idle: asyncio.TimerHandle | None = None
        self.known: dict[str, tuple[int, tuple[Diagnostic, ...]]] = {}
        """What was last published of each text, with its version."""

    def changed(self, document: Document) -> None:
        """Checks a text anew; a check of an earlier version ends."""
        if not document.is_recipe:
            return
        before = self._tasks.pop(document.uri, None)
        if before is not None:
            before.cancel()
        self._tasks[document.uri] = asyncio.get_running_loop().create_task(self._check(document))

    def all(self) -> None:
        """Checks every open recipe anew: what they are checked against may have changed."""
        for document in self._documents.recipes():
            self.changed(document)

    def closed(self, uri: str) -> None:
        """Takes back what was published of a text that is no longer open."""
        task = self._tasks.pop(uri, None)
        if task is not None:
            task.cancel()
        self._steady.pop(uri, None)
        self._took.pop(uri, None)
        self._said.pop(uri, None)
        if self.known.pop(uri, None) is not None:
            self._send(types.PublishDiagnosticsParams(uri, []))

    async def _check(self, document: Document) -> None:
        # What has come already is read first: it may make this version stale.
        await asyncio.sleep(STILL)
        try:
            if self._took.get(document.uri, 0) > QUICK:
                await self._publish_part(document)
                await asyncio.sleep(PAUSE)
            await self._publish(document)
        except asyncio.CancelledError:
            raise
        except Exception:
            # A mistake of the compiler must not end the editor's session: it is logged, and the next change tries again.
            log.exception("checking %s failed", document.uri)

    async def _publish(self, document: Document) -> None:
        begun, version = time.perf_counter(), document.version
        view = document.view()
        judged = await _judged(view)
        found = self._steady.setdefault(document.uri, Steady()).kept(view, judged.diagnostics)
        self._took[document.uri] = time.perf_counter() - begun
        self._said[document.uri] = Said(view.source.text, found)
        self._tell(document, version, found)
        self._collect_later()

    async def _publish_part(self, document: Document) -> None:
        said, version = self._said.get(document.uri), document.version
        view = document.view()
        touched = part(view, said) if said is not None else None
        if touched is None:
            return
        judged = await _judged(view, touched.recipe)
        found = self._steady.setdefault(document.uri, Steady()).kept(view, touched.with_new(judged.diagnostics))
        self._said[document.uri] = Said(view.source.text, found)
        self._tell(document, version, found)

    def _tell(self, document: Document, version: int, found: tuple[Diagnostic, ...]) -> None:
        # A change would have ended this task; nothing of an older version gets here.
        assert document.version == version, (document.version, version)
        self.known[document.uri] = (version, found)
        self._send(types.PublishDiagnosticsParams(document.uri, published(document, found), version))

    def _collect_later(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE, gc.collect)


async def _judged(view: View, reduced: Recipe | None = None) -> Judged:
    recipe = reduced if reduced is not None else view.recipe
    steps = judge(view.source, recipe, view.world, view.syntactic, part=reduced is not None, guess=True)
    let_in = time.perf_counter() + STEP
    while True:
        try:
            next(steps)
        except StopIteration as end:
            judged: Judged = end.value
            return judged
        if time.perf_counter() > let_in:
            await asyncio.sleep(0)
            let_in = time.perf_counter() + STEP
