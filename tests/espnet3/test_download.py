"""Downloads come whole, go on where they stopped, and archives stay in their folder. The server is this process."""

import hashlib
import io
import logging
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from espnet3.utils import download_utils
from espnet3.utils.download_utils import DownloadError, DownloadProgress, download_url, extract_targz, setup_logger

CONTENT = b"".join(hashlib.sha256(bytes([number % 251])).digest() for number in range(40_000))


class Shop(ThreadingHTTPServer):
    """Serves CONTENT in ranges, and misbehaves as it is told."""

    content = CONTENT
    etag = '"one"'
    breaks_off_at: int | None = None
    ranges = True
    status: int | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/digits.tar.gz"


class Answer(BaseHTTPRequestHandler):
    server: Shop

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test's own output is enough."""

    def do_GET(self) -> None:
        shop = self.server
        wanted = self.headers.get("Range")
        shop.asked.append(wanted)
        if shop.status is not None:
            self.send_error(shop.status)
            return
        start = 0
        if wanted and shop.ranges and self.headers.get("If-Range") == shop.etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start and start >= len(shop.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(shop.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = shop.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", shop.etag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(shop.content) - 1}/{len(shop.content)}")
        self.end_headers()
        if shop.breaks_off_at is not None and start < shop.breaks_off_at:
            body = body[: shop.breaks_off_at - start]
        self.wfile.write(body)


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download_utils, "_FIRST_WAIT_SECONDS", 0.0)
    server = Shop()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_is_fetched_once_and_nothing_is_left_beside_it(shop: Shop, tmp_path: Path) -> None:
    """A file that is there is not asked for again."""
    path = tmp_path / "source" / "digits.tar.gz"
    download_url(shop.url, path)
    download_url(shop.url, path)

    assert path.read_bytes() == CONTENT
    assert [each.name for each in path.parent.iterdir()] == ["digits.tar.gz"]
    assert shop.asked == [None]


def test_a_download_that_broke_off_goes_on_from_there(shop: Shop, tmp_path: Path) -> None:
    """Within one call, and in a later one; what came before is not asked for again."""
    path = tmp_path / "digits.tar.gz"
    shop.breaks_off_at = 500_000
    download_url(shop.url, path)

    assert path.read_bytes() == CONTENT
    assert shop.asked == [None, "bytes=500000-"]
    shop.breaks_off_at = None
    again = tmp_path / "again.tar.gz"
    (tmp_path / "again.tar.gz.part").write_bytes(CONTENT[:1000])
    (tmp_path / "again.tar.gz.part.mark").write_text(shop.etag)
    download_url(shop.url, again)
    assert shop.asked[-1] == "bytes=1000-"
    assert again.read_bytes() == CONTENT


@pytest.mark.parametrize("what", ["other file", "no ranges", "all of it", "no mark"])
def test_what_is_left_of_an_earlier_download_is_used_only_where_it_fits(shop: Shop, tmp_path: Path, what: str) -> None:
    """A file that has changed, and a server that cannot go on, begin again; one that had all is not fetched again."""
    path = tmp_path / "digits.tar.gz"
    (tmp_path / "digits.tar.gz.part").write_bytes(CONTENT if what == "all of it" else b"old" * 1000)
    if what != "no mark":
        (tmp_path / "digits.tar.gz.part.mark").write_text('"zero"' if what == "other file" else shop.etag)
    shop.ranges = what != "no ranges"

    download_url(shop.url, path)

    assert path.read_bytes() == CONTENT
    assert len(shop.asked) == 1


def test_a_file_that_became_shorter_begins_again(shop: Shop, tmp_path: Path) -> None:
    """The server refuses the rest, so all of it is fetched."""
    (tmp_path / "a.part").write_bytes(CONTENT + b"more")
    (tmp_path / "a.part.mark").write_text(shop.etag)

    download_url(shop.url, tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == CONTENT
    assert shop.asked == [f"bytes={len(CONTENT) + 4}-", None]


@pytest.mark.parametrize(
    ("status", "asked", "message"),
    [
        (404, 1, r"digits.tar.gz: the server answers 404 .*is the address right"),
        (503, 4, r"answers 503 .*tried 4 times"),
    ],
)
def test_a_server_that_refuses(shop: Shop, tmp_path: Path, status: int, asked: int, message: str) -> None:
    """What may pass is tried again; the message has the address and what to do; no file appears."""
    shop.status = status
    with pytest.raises(DownloadError, match=message):
        download_url(shop.url, tmp_path / "digits.tar.gz")

    assert len(shop.asked) == asked
    assert not (tmp_path / "digits.tar.gz").exists()


def test_a_server_that_always_breaks_off(shop: Shop, tmp_path: Path) -> None:
    """What came is kept for the next time, and said."""
    shop.breaks_off_at, shop.ranges = 500_000, False
    with pytest.raises(DownloadError, match=r"500,000 of 1,280,000 bytes came; tried 4 times.*is kept"):
        download_url(shop.url, tmp_path / "digits.tar.gz")

    assert (tmp_path / "digits.tar.gz.part").read_bytes() == CONTENT[:500_000]


def test_addresses_that_lead_nowhere(shop: Shop, tmp_path: Path) -> None:
    """A port where nobody listens, a file that is not there, and another kind of address; a file that is there is copied."""
    url = shop.url
    shop.shutdown()
    shop.server_close()
    with pytest.raises(DownloadError, match="tried 4 times"):
        download_url(url, tmp_path / "a")
    with pytest.raises(DownloadError, match="nowhere"):
        download_url((tmp_path / "nowhere").as_uri(), tmp_path / "a")
    with pytest.raises(ValueError, match="is no address to download from"):
        download_url("ftp://example.org/a", tmp_path / "a")
    (tmp_path / "there").write_bytes(b"12")
    download_url((tmp_path / "there").as_uri(), tmp_path / "a")

    assert (tmp_path / "a").read_bytes() == b"12"


def test_several_callers_fetch_one_file_once(shop: Shop, tmp_path: Path) -> None:
    """The others wait for the first."""
    path = tmp_path / "digits.tar.gz"
    threads = [threading.Thread(target=download_url, args=(shop.url, path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert path.read_bytes() == CONTENT
    assert len(shop.asked) == 1


def test_a_logger_is_told_in_steps(shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Every so many per cent, each once; a size that is not known is no reason to fail."""
    logger = setup_logger("fetching", tmp_path / "logs")
    try:
        with caplog.at_level(logging.INFO):
            download_url(shop.url, tmp_path / "digits.tar.gz", logger, step_percent=50)
            DownloadProgress(logger)(3, 10, -1)
    finally:
        for handler in [each for each in logging.getLogger().handlers if isinstance(each, logging.FileHandler)]:
            if Path(handler.baseFilename).parent == tmp_path / "logs":
                logging.getLogger().removeHandler(handler)
                handler.close()

    lines = [record.getMessage() for record in caplog.records]
    assert lines[-1] == "digits.tar.gz: 100% of 1.3 MB"
    assert len(lines) == len(set(lines)) <= 3
    assert "100% of 1.3 MB" in (tmp_path / "logs" / "fetching.log").read_text()


def archive(path: Path, fill: Callable[[tarfile.TarFile], None]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        fill(tar)
    return path


def add(tar: tarfile.TarFile, name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = len(content), kind, link
    tar.addfile(member, io.BytesIO(content))


def test_an_archive_is_unpacked_over_what_is_there(tmp_path: Path) -> None:
    """Folders are joined, files of the archive win, and all else is kept."""

    def fill(tar: tarfile.TarFile) -> None:
        add(tar, "wav/a.wav", b"new")
        add(tar, "wav/deep/b.wav", b"b")

    packed = archive(tmp_path / "a.tar.gz", fill)
    folder = tmp_path / "data"
    (folder / "wav").mkdir(parents=True)
    (folder / "wav" / "a.wav").write_bytes(b"old")
    (folder / "wav" / "mine.wav").write_bytes(b"mine")
    extract_targz(packed, folder)
    extract_targz(packed, tmp_path / "fresh" / "folder")

    found = {path.name: path.read_bytes() for path in folder.rglob("*.wav")}
    assert found == {"a.wav": b"new", "mine.wav": b"mine", "b.wav": b"b"}
    assert (tmp_path / "fresh" / "folder" / "wav" / "a.wav").read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz", "data", "fresh"]


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        ("../outside.txt", tarfile.REGTYPE, ""),
        ("wav/../../outside.txt", tarfile.REGTYPE, ""),
        ("link", tarfile.SYMTYPE, "../../outside.txt"),
        ("link", tarfile.SYMTYPE, "/etc/passwd"),
        ("hard", tarfile.LNKTYPE, "../outside.txt"),
        ("pipe", tarfile.FIFOTYPE, ""),
    ],
)
def test_members_that_leave_the_folder_are_refused(tmp_path: Path, name: str, kind: bytes, link: str) -> None:
    """Nothing of the archive is unpacked, what stood before them neither."""

    def fill(tar: tarfile.TarFile) -> None:
        add(tar, "good.txt", b"good")
        add(tar, name, b"", kind, link)

    packed = archive(tmp_path / "a.tar.gz", fill)
    with pytest.raises(DownloadError, match="leaves its folder or is no plain file"):
        extract_targz(packed, tmp_path / "data")

    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


def test_broken_archives(tmp_path: Path) -> None:
    """One that is cut, one that is none, and one that is not there."""
    whole = archive(tmp_path / "a.tar.gz", lambda tar: add(tar, "a", CONTENT)).read_bytes()
    for content in (whole[: len(whole) // 2], b"<html>not here</html>"):
        (tmp_path / "b.tar.gz").write_bytes(content)
        with pytest.raises(DownloadError, match=r"b.tar.gz cannot be unpacked .*remove it"):
            extract_targz(tmp_path / "b.tar.gz", tmp_path / "data")
    with pytest.raises(FileNotFoundError):
        extract_targz(tmp_path / "c.tar.gz", tmp_path / "data")

    assert not (tmp_path / "data").exists()
