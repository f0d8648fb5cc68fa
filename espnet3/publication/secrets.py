"""What must not leave the machine: keys and passwords that stand in a config or a file.

Files are read as bytes, in blocks: a secret is found in a text of any size and encoding, and in a checkpoint that keeps its
settings beside the weights. What is compressed is not looked into.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet3.publication.containers import leaves

_FILES = re.compile(
    r"\.env(\..*)?|.+\.env|[._]netrc|\.git-credentials|\.pypirc|\.npmrc|\.yarnrc(\.yml)?|\.pgpass|\.my\.cnf|\.boto|\.s3cfg"
    r"|\.htpasswd|\.dockercfg|\.vault[-_]token|id_(rsa|dsa|ecdsa|ed25519)(_sk)?|.*\.(pem|p12|pfx|key|jks|keystore|ppk|kdbx)"
    r"|credentials(\.(json|ya?ml|toml|ini|txt|csv))?|(client[-_]?secrets?|service[-_]?account)[^/]*\.json"
    r"|application_default_credentials\.json|secrets?\.(json|ya?ml|toml|ini|txt)|kaggle\.json|.*\.tfstate",
    re.I,
)
_HARMLESS = re.compile(r".*\.(example|sample|template|dist)", re.I)
_FOLDERS = frozenset({".aws", ".azure", ".docker", ".gcloud", ".gnupg", ".kube", ".ssh"})

# What a form begins with, which is looked for first, and the form.
_FORMS: tuple[tuple[bytes, str, str], ...] = (
    (b"hf_", r"\bhf_[A-Za-z0-9]{30,}", "an access token"),
    *(
        (kind, rf"\b{kind.decode()}[A-Za-z0-9]{{36,}}", "an access token")
        for kind in (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"npm_")
    ),
    (b"github_pat_", r"\bgithub_pat_\w{50,}", "an access token"),
    (b"glpat-", r"\bglpat-[\w-]{20,}", "an access token"),
    (b"pypi-", r"\bpypi-[\w-]{50,}", "an access token"),
    (b"AKIA", r"\bAKIA[0-9A-Z]{16}\b", "an access key"),
    (b"ASIA", r"\bASIA[0-9A-Z]{16}\b", "an access key"),
    (b"AIza", r"\bAIza[\w-]{35}", "an access key"),
    (b"ya29.", r"\bya29\.[\w-]{20,}", "an access token"),
    (b"GOCSPX-", r"\bGOCSPX-[\w-]{20,}", "an access key"),
    (b"xox", r"\bxox[abeoprs]-[A-Za-z0-9-]{20,}", "an access token"),
    (b"xapp-", r"\bxapp-[A-Za-z0-9-]{20,}", "an access token"),
    (b"hooks.slack.com/", r"hooks\.slack\.com/services/[A-Z0-9]+/[A-Z0-9]+/\w{16,}", "the address of a web hook"),
    (b"sk-", r"\bsk-(?=[\w-]*[0-9])(?=[\w-]*[A-Z])[\w-]{32,}", "an access token"),
    (b"sk_live_", r"\bsk_live_[A-Za-z0-9]{20,}", "an access key"),
    (b"rk_live_", r"\brk_live_[A-Za-z0-9]{20,}", "an access key"),
    (b"SG.", r"\bSG\.[\w-]{22}\.[\w-]{43}", "an access token"),
    (b"eyJ", r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}", "an access token (JWT)"),
    (b"-----BEGIN ", r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY", "a private key"),
    (b"PuTTY-User-Key-File", r"PuTTY-User-Key-File-\d", "a private key"),
)  # fmt: skip
_TOKENS = tuple((word, re.compile(form.encode()), f"what looks like {what}") for word, form, what in _FORMS)

_NAME = (
    r"(?:pass(?:word|wd|phrase)|pwd|secret|secret[_-]?key|api[_-]?key|access[_-]?key|account[_-]?key|private[_-]?key"
    r"|(?:auth|access|api|bearer|refresh|session|hf)[_-]?token|client[_-]?secret|credentials?)"
)
_SECRET_KEYS = re.compile(rf"(?:^|[_.-]|(?<=[a-z])(?=[A-Z])){_NAME}s?$", re.I)
_SECRET_VARIABLES = re.compile(r"(TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_?KEY|CREDENTIAL)", re.I)
# Not a keyword of its own: a token is what a tokenizer makes, too. Only a long value with digits makes it doubtful.
_TOKEN_LIKE = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w./+=-]{20,}")
# What an assignment, a login or a header has in it, in small letters.
_WORDS = (
    b"passw", b"passphrase", b"pwd", b"secret", b"credential", b"api_key", b"apikey", b"api-key", b"access_key",
    b"accesskey", b"access-key", b"account_key", b"accountkey", b"private_key", b"privatekey", b"private-key", b"_token",
    b"-token", b"authtoken", b"accesstoken", b"apitoken", b"refreshtoken", b"bearer",
)  # fmt: skip
_ASSIGNED = re.compile(
    rf"""(?ix)
    (?<![\w.])(?P<name>(?:[\w.-]*?[_.-])?(?:{_NAME}|[A-Z0-9_]*_TOKEN))["']?\]?\s*(?:=|:(?!:)|=>)[ \t]*
    (?:(?P<quote>["'])(?P<quoted>[^"'\r\n]{{1,200}})(?P=quote)
      |(?P<bare>[^\s"'()\[\]{{}},;<>$`\\|]{{3,200}})[ \t]*(?=\r|\n|\#|\Z))
    """.encode()
)
_LOGIN = re.compile(rb"(?i)\bmachine\s+\S+\s+login\s+\S+\s+password\s+\S+")
_BEARER = re.compile(rb"(?i)\bbearer\s+(?=[\w.=+/~-]*[0-9])[\w.=+/~-]{20,}")
_ADDRESS = re.compile(rb"://[^\s/:@\"'<>{}$\x00]{0,100}:(?P<word>[^\s/@\"'<>{}$\x00]{1,200})@[\w.\[-]")
# Words that stand where a secret would stand.
_STAND_INS = re.compile(
    rb"(?i)(?:none|null|nil|true|false|undefined|changeme|change_me|placeholder|example|dummy|redacted|todo|tbd|optional"
    rb"|required|str|string|int|bytes|any|x{3,}|\*+|\.{3,}|-+|_+|your[\w -]*|my[-_]\w*|user|pass|passwd|password|pwd|secret"
    rb"|token|key|api[_-]?key|test)"
)
_CODE_LIKE = re.compile(rb"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
# Shorter values of variables stand in texts by chance.
_SHORTEST = 12
_BLOCK = 4 * 2**20
# A form that begins in one block ends in it or within this many bytes of the next.
_OVERLAP = 8192
_LONGEST_LINE = 500
# Of weights only what can be read is looked at; the bytes of a text are these, in any encoding.
_OF_TEXT = bytes([9, 10, 12, 13, *range(32, 127), *range(128, 256)])
_READABLE = re.compile(rb"[\t -~]{8,}")
_PARSED = (".yaml", ".yml", ".json")
_LARGEST_PARSED = 4 * 2**20


@dataclass(frozen=True)
class Found:
    """A secret, or what may be one.

    Attributes:
        what: What kind, in words.
        place: Where in the file or text: "line 3", or a key.
    """

    what: str
    place: str

    def __str__(self) -> str:
        return f"{self.what} ({self.place})"


def secret_file(path: Path) -> bool:
    """Whether a file is, by its name or that of what it links to, one that keeps secrets: `.env`, `.aws/…`, a private key."""
    return any(_is_secret_name(each) for each in (path, Path(os.path.realpath(path))))


def secret_in_text(text: str) -> Found | None:
    """The first secret in a text; None where there is none."""
    return next(_in_block(text.encode("utf-8", "surrogatepass"), _variables(), 0), None)


def secret_in_file(path: Path) -> Found | None:
    """The first secret in a file of any size and encoding; None where there is none."""
    variables = _variables()
    overlap = max([_OVERLAP, *(len(value) for _, value in variables)])
    lines = 0
    rest = b""
    with path.open("rb") as handle:
        while block := handle.read(_BLOCK):
            data = rest + block
            for found in _in_block(data, variables, lines):
                return found
            rest = data[-overlap:]
            lines += data.count(b"\n", 0, len(data) - len(rest))
    if path.suffix.lower() in _PARSED and path.stat().st_size <= _LARGEST_PARSED:
        return _in_structure(path)
    return None


def secrets_in_config(node: Any, key: str = "") -> Iterator[Found]:
    """Each value of a config that is a secret or may be one; its place is its key."""
    for place, value in leaves(node, key):
        named = next((name for name in _names(place) if _SECRET_KEYS.search(name)), None)
        if named is not None and _is_said(value) and not _is_place(named, value):
            yield Found(f"by its name, a {named}", place)
        elif _names(place)[-1:] == ["token"] and isinstance(value, str) and _TOKEN_LIKE.fullmatch(value):
            yield Found("what looks like an access token", place)
        elif isinstance(value, str):
            found = secret_in_text(value)
            if found:
                yield Found(found.what, place)


def _in_block(data: bytes, variables: list[tuple[str, bytes]], lines: int) -> Iterator[Found]:
    # In UTF-16, every second byte of such a text is 0.
    if data.count(b"\0") > len(data) // 4:
        yield from _in_block(data.translate(None, b"\0"), variables, lines)
    if len(data.translate(None, _OF_TEXT)) > len(data) // 20:
        yield from (Found(what, "binary data") for _, what in _found_in(b"\n".join(_READABLE.findall(data)), variables))
        return
    for at, what in _found_in(data, variables):
        yield Found(what, f"line {lines + data.count(bytes([10]), 0, at) + 1}")


def _found_in(data: bytes, variables: list[tuple[str, bytes]]) -> Iterator[tuple[int, str]]:
    for word, form, what in _TOKENS:
        yield from ((at, what) for at in _places(data, word) if form.match(data, at))
    for name, value in variables:
        yield from ((at, f"the value of the environment variable {name}") for at in _places(data, value))
    for at in _places(data, b"://"):
        address = _ADDRESS.match(data, at)
        if address and not _STAND_INS.fullmatch(address["word"]):
            yield at, "an address with a password"
    lower = data.lower()
    line_end = -1
    for at in sorted(at for word in _WORDS for at in _places(lower, word)):
        if at >= line_end:
            start = max(data.rfind(b"\n", max(0, at - _LONGEST_LINE), at) + 1, at - _LONGEST_LINE, 0)
            found = data.find(b"\n", at, at + _LONGEST_LINE)
            line_end = found if found >= 0 else min(at + _LONGEST_LINE, len(data))
            yield from ((start + inner, what) for inner, what in _in_line(data[start:line_end]))


def _places(data: bytes, word: bytes) -> Iterator[int]:
    at = data.find(word)
    while at >= 0:
        yield at
        at = data.find(word, at + len(word))


def _in_line(line: bytes) -> Iterator[tuple[int, str]]:
    """Where a name that speaks of a secret is given a value that looks like one."""
    for match in _ASSIGNED.finditer(line):
        if _is_value(match):
            yield match.start(), f"a value of {match['name'].decode('ascii', 'replace')!r}, which may be a secret"
    for form, what in ((_LOGIN, "what looks like a login with its password"), (_BEARER, "what looks like a token")):
        match_ = form.search(line)
        if match_:
            yield match_.start(), what


def _is_value(match: re.Match[bytes]) -> bool:
    name, quoted = match["name"], match["quoted"]
    value: bytes = quoted if quoted is not None else match["bare"]
    if _STAND_INS.fullmatch(value.strip()) or not value.strip() or value.lower() == name.lower():
        return False
    if value.startswith((b"$", b"<", b"{", b"%", b"/", b"~", b"./", b"@")):
        # Where a secret is found, not the secret.
        return False
    if name.lower().endswith(b"_token") and not re.search(rf"(?i){_NAME}$".encode(), name):
        # PAD_TOKEN = "<pad>"
        return re.fullmatch(_TOKEN_LIKE.pattern.encode(), value) is not None
    if quoted is not None:
        return b" " not in value and len(value) >= 3
    has_digit = any(48 <= byte <= 57 for byte in value)
    if name.isupper():
        return True
    if _CODE_LIKE.fullmatch(value):
        # `password=hunter2` stands in a file of settings, `password = given` in a program.
        after = match.string[match.end("name") : match.start("bare")]
        return has_digit or (b" " not in after and b":" not in after and b"." not in value)
    return True


def _in_structure(path: Path) -> Found | None:
    """What a reader of bytes does not see: lists of passwords, and values on lines of their own."""
    import json

    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError, RecursionError):
        # It was read as bytes.
        return None
    return next(secrets_in_config(content), None)


def _is_secret_name(path: Path) -> bool:
    name = path.name
    if _FILES.fullmatch(name) and not _HARMLESS.fullmatch(name):
        return True
    return any(part in _FOLDERS for part in path.parts[:-1])


def _variables() -> list[tuple[str, bytes]]:
    """The environment variables whose names speak of a secret, with their values."""
    return [
        (name, value.encode("utf-8", "surrogateescape"))
        for name, value in os.environ.items()
        if len(value) >= _SHORTEST and _SECRET_VARIABLES.search(name) and not _is_path(value)
    ]


def _names(key: str) -> list[str]:
    return [re.sub(r"(\[\d+\])+$", "", part) for part in key.split(".")]


def _is_said(value: Any) -> bool:
    """Whether a value under the name of a secret says something: `null`, `false` and an empty text do not."""
    return not isinstance(value, bool) and value is not None and value not in ("", "???")


def _is_place(name: str, value: Any) -> bool:
    """Whether it is said where a key is kept: a password may begin like a path, a key does not."""
    return isinstance(value, str) and _is_path(value) and not re.search("pass|pwd|secret", name, re.I)


def _is_path(value: str) -> bool:
    """Whether a variable holds the place of a secret and not the secret (HF_TOKEN_PATH)."""
    return value.startswith(("/", "~", "./"))
