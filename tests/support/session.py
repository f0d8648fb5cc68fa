"""A real `esp3c lsp` with a plain client: JSON-RPC on the standard streams of a process."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

PATIENCE = 30.0
"""Seconds to wait for an answer."""


class Session:
    """Starts a server, and ends it at the end of a `with`. `program` are lines of Python to run before it serves."""

    def __init__(self, folder: Path, program: str = "", capabilities: dict[str, Any] | None = None) -> None:
        code = f"{program}\nfrom esp3c.lsp.server import serve\nserve()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "server.log").open("wb"),
        )
        self.log = folder / "server.log"
        self._told: queue.Queue[dict[str, Any]] = queue.Queue()
        self._kept: list[dict[str, Any]] = []
        self._number = 0
        threading.Thread(target=self._read, daemon=True).start()
        self.initialized = self.ask(
            "initialize", {"processId": None, "rootUri": None, "capabilities": capabilities or {}}
        )
        self.tell("initialized", {})

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._process.poll() is None and kind is None:
                self.ask("shutdown", None)
                self.tell("exit", None)
                self._process.wait(PATIENCE)
        finally:
            self._process.kill()
            self._process.wait()

    @property
    def code(self) -> int | None:
        """The exit code, once the server has ended."""
        return self._process.poll()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while True:
            size = 0
            while (line := stream.readline().strip()) or not size:
                if line.lower().startswith(b"content-length:"):
                    size = int(line.split(b":")[1])
                elif not line:
                    return
            self._told.put(json.loads(stream.read(size)))

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps({"jsonrpc": "2.0", **message}).encode()
        stream = self._process.stdin
        assert stream is not None
        stream.write(b"Content-Length: %d\r\n\r\n%s" % (len(data), data))
        stream.flush()

    def tell(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def ask(self, method: str, params: Any) -> Any:
        """The result of a request.

        Raises:
            RuntimeError: the server answered with an error; its message.
        """
        self._number += 1
        number = self._number
        self._send({"id": number, "method": method, "params": params})
        answer = self.wait(lambda each: each.get("id") == number and "method" not in each)
        if "error" in answer:
            raise RuntimeError(answer["error"]["message"])
        return answer["result"]

    def wait(self, wanted: Any, patience: float = PATIENCE) -> dict[str, Any]:
        """The next message of which `wanted` is true; the others are kept."""
        for number, each in enumerate(self._kept):
            if wanted(each):
                return self._kept.pop(number)
        while True:
            message = self._told.get(timeout=patience)
            if wanted(message):
                return message
            self._kept.append(message)

    # -- texts --------------------------------------------------------------------------------------------------------

    def open(self, uri: str, text: str) -> None:
        self.tell(
            "textDocument/didOpen",
            {"textDocument": {"uri": uri, "languageId": "esp", "version": 1, "text": text}},
        )

    def change(self, uri: str, version: int, *changes: dict[str, Any]) -> None:
        self.tell(
            "textDocument/didChange",
            {"textDocument": {"uri": uri, "version": version}, "contentChanges": list(changes)},
        )

    def marks(self, uri: str, version: int) -> list[dict[str, Any]]:
        """The diagnostics that are published of a version."""

        def wanted(message: dict[str, Any]) -> bool:
            params = message.get("params") or {}
            published = message.get("method") == "textDocument/publishDiagnostics"
            return published and params["uri"] == uri and params.get("version") == version

        found: list[dict[str, Any]] = self.wait(wanted)["params"]["diagnostics"]
        return found
