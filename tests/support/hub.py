"""A model hub on the loopback interface: as much of its HTTP interface as huggingface_hub asks for.

Repositories are made, files are sent in commits and, the large ones, through LFS; listed and fetched. What it stands in
for refuses without a token, with one that may only read, and front matter that is no YAML; so does this.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

_LARGE = 100_000


@dataclass
class Repository:
    kind: str
    private: bool
    files: dict[str, bytes] = field(default_factory=lambda: {".gitattributes": b"*.ckpt filter=lfs\n"})
    large: set[str] = field(default_factory=set)
    commits: list[str] = field(default_factory=list)

    @property
    def sha(self) -> str:
        return hashlib.sha1(repr(sorted(self.files.items())).encode()).hexdigest()


@dataclass
class Hub:
    """What the stand-in holds, and what it was asked."""

    address: str = ""
    tokens: dict[str, str] = field(default_factory=lambda: {"writer": "write", "reader": "read"})
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@contextmanager
def standing_in() -> Iterator[Hub]:
    """Serve a hub; it is gone at the end."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Refused(Exception):
    def __init__(self, status: int, message: str, code: str = "RepoNotFound") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Keeps quiet."""

    def do_POST(self) -> None:
        self._answer("POST")

    def do_GET(self) -> None:
        self._answer("GET")

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def _answer(self, method: str) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.asked.append(f"{method} {path}")
        try:
            for verb, pattern, action in _ROUTES:
                match = re.fullmatch(pattern, path)
                if match and method in verb:
                    action(self, match, body)
                    return
            raise _Refused(404, f"no {method} {path}")
        except _Refused as refused:
            headers = {"X-Error-Message": str(refused)}
            if refused.status == 404:
                headers["X-Error-Code"] = refused.code
            self._send(refused.status, {"error": str(refused)}, headers)

    def _send(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        if not isinstance(content, bytes):
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _may(self, right: str) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.hub.tokens:
            raise _Refused(401, "Invalid username or password.")
        if right == "write" and self.hub.tokens[token] != "write":
            raise _Refused(403, "You don't have the rights to write to this namespace.")

    def _repository(self, kind: str, name: str) -> Repository:
        found = self.hub.repositories.get(name)
        if found is None or found.kind != kind:
            raise _Refused(404, "Repository not found")
        if found.private:
            self._may("read")
        return found

    # -- what it does ---------------------------------------------------------------------------------------------------

    def _create(self, match: re.Match[str], body: bytes) -> None:
        self._may("write")
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.hub.repositories:
            self._send(409, {"error": "You already created this repo", "url": f"{self.hub.address}/{name}"})
            return
        kind = asked.get("type", "model")
        if kind == "space" and asked.get("sdk") != "gradio":
            raise _Refused(400, "a space needs an sdk")
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.hub.repositories[name] = Repository(kind, private)
        self._send(200, {"url": f"{self.hub.address}/{name}", "name": name})

    def _validate(self, match: re.Match[str], body: bytes) -> None:
        asked = json.loads(body)
        front = re.match(r"---\n(.*?)\n---\n", asked["content"], re.DOTALL)
        try:
            content = yaml.safe_load(front[1]) if front else None
        except yaml.YAMLError:
            content = None
        if not isinstance(content, dict) or (asked["repoType"] == "space" and content.get("sdk") != "gradio"):
            self._send(400, {"errors": [{"message": "the metadata is no YAML of a card"}], "warnings": []})
            return
        self._send(200, {"errors": [], "warnings": []})

    def _preupload(self, match: re.Match[str], body: bytes) -> None:
        self._may("write")
        repository = self._repository(match["kind"], match["name"])
        files = []
        for asked in json.loads(body)["files"]:
            there = repository.files.get(asked["path"])
            mode = "lfs" if asked["size"] > _LARGE or asked["path"].endswith(".ckpt") else "regular"
            oid = _blob_oid(there) if there is not None and mode == "regular" else None
            files.append({"path": asked["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._send(200, {"files": files})

    def _batch(self, match: re.Match[str], body: bytes) -> None:
        self._may("write")
        objects = []
        for asked in json.loads(body)["objects"]:
            entry = {"oid": asked["oid"], "size": asked["size"]}
            if asked["oid"] not in self.hub.objects:
                href = f"{self.hub.address}/objects/{asked['oid']}"
                entry["actions"] = {"upload": {"href": href, "header": {}}}
            objects.append(entry)
        self._send(200, {"transfer": "basic", "objects": objects})

    def _object(self, match: re.Match[str], body: bytes) -> None:
        if hashlib.sha256(body).hexdigest() != match["oid"]:
            raise _Refused(400, "the content has another hash")
        self.hub.objects[match["oid"]] = body
        self._send(200, b"")

    def _commit(self, match: re.Match[str], body: bytes) -> None:
        self._may("write")
        repository = self._repository(match["kind"], match["name"])
        files, large = dict(repository.files), set(repository.large)
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                summary = value["summary"]
            elif entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
                large.add(value["path"])
            elif entry["key"] == "deletedFile":
                del files[value["path"]]
            else:
                raise _Refused(400, f"unknown operation {entry['key']}")
        repository.files, repository.large = files, large
        repository.commits.append(summary)
        url = f"{self.hub.address}/{match['name']}/commit/{repository.sha}"
        self._send(200, {"commitUrl": url, "commitOid": repository.sha})

    def _info(self, match: re.Match[str], body: bytes) -> None:
        repository = self._repository(match["kind"], match["name"])
        siblings = [{"rfilename": name} for name in repository.files]
        described = {"id": match["name"], "sha": repository.sha, "private": repository.private, "siblings": siblings}
        self._send(200, {**described, "tags": [], "downloads": 0})

    def _tree(self, match: re.Match[str], body: bytes) -> None:
        repository = self._repository(match["kind"], match["name"])
        self._send(200, [_entry(name, data, name in repository.large) for name, data in repository.files.items()])

    def _resolve(self, match: re.Match[str], body: bytes) -> None:
        repository = self._repository("space" if match["spaces"] else "model", match["name"])
        data = repository.files.get(match["path"])
        if data is None:
            raise _Refused(404, "Entry not found", "EntryNotFound")
        is_large = match["path"] in repository.large
        etag = hashlib.sha256(data).hexdigest() if is_large else _blob_oid(data)
        self._send(200, data, {"ETag": f'"{etag}"', "X-Repo-Commit": repository.sha})


def _entry(name: str, data: bytes, is_large: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": _blob_oid(data)}
    if is_large:
        entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return entry


def _blob_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


_REPO = r"/api/(?P<kind>model|space)s/(?P<name>[^/]+/[^/]+)"
_ROUTES = [
    ({"POST"}, r"/api/repos/create", _Handler._create),
    ({"POST"}, r"/api/validate-yaml", _Handler._validate),
    ({"POST"}, rf"{_REPO}/preupload/.+", _Handler._preupload),
    ({"POST"}, rf"{_REPO}/commit/.+", _Handler._commit),
    ({"POST"}, r"/(spaces/)?[^/]+/[^/]+\.git/info/lfs/objects/batch", _Handler._batch),
    ({"PUT"}, r"/objects/(?P<oid>[0-9a-f]{64})", _Handler._object),
    ({"GET"}, rf"{_REPO}/tree/[^/]+", _Handler._tree),
    ({"GET"}, rf"{_REPO}(/revision/[^/]+)?", _Handler._info),
    ({"GET", "HEAD"}, r"/(?P<spaces>spaces/)?(?P<name>[^/]+/[^/]+)/resolve/[^/]+/(?P<path>.+)", _Handler._resolve),
]
