"""Data sets with a name: what is fetched is whole, is what was published, and is found again."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quickstudy.errors import BadFile, MissingData, QuickstudyError, UnknownName, UserError
from quickstudy.tasks.datasets import download as downloads
from quickstudy.tasks.datasets import named
from quickstudy.tasks.datasets.download import Source, download, read_archive


class Server:
    """Answers with what is in `pages`; `broken` breaks off in the middle, `asked` is what was asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.broken = False
        self.asked: list[str] = []

    def handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                page = server.pages.get(self.path)
                if page is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page[: len(page) // 2] if server.broken else page)

            def log_message(self, *args: Any) -> None:
                pass

        return Handler


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A web server on this machine that answers in the name of https://example.test."""
    served = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), served.handler())
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()

    def here(url: str, timeout: float) -> Any:
        address = url.replace("https://example.test", f"http://127.0.0.1:{http.server_port}")
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=timeout)

    monkeypatch.setattr(downloads, "open_url", here)
    yield served
    http.shutdown()
    thread.join()
    http.server_close()


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def source_of(content: bytes, **changed: Any) -> Source:
    return dataclasses.replace(Source("https://example.test/cats.bin", sha256(content), len(content)), **changed)


@pytest.fixture
def little(server: Server, archives: list[Path], own_places: Path, monkeypatch: pytest.MonkeyPatch) -> named.Named:
    """Omniglot's row with two little archives as its official files, one with an MD5."""
    sources = []
    for path, kind in zip(archives, ("sha256", "md5"), strict=True):
        content = path.read_bytes()
        server.pages[f"/{path.name}"] = content
        digest = hashlib.new(kind, content).hexdigest()
        sources.append(Source(f"https://example.test/{path.name}", f"{kind}:{digest}", len(content)))
    row = dataclasses.replace(named.OMNIGLOT, sources=tuple(sources))
    monkeypatch.setitem(named.CATALOGUE, "omniglot", row)
    return row


CONTENT = bytes(range(256)) * 1000


def test_a_download_is_whole_and_comes_once(server: Server, tmp_path: Path) -> None:
    server.pages["/cats.bin"] = CONTENT
    seen: list[tuple[str, int, int]] = []
    path = download(source_of(CONTENT), tmp_path / "new" / "folder", progress=lambda *told: seen.append(told))
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["cats.bin"]
    assert seen[-1] == ("cats.bin", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert len(seen) > 1
    assert download(source_of(CONTENT), path.parent) == path
    assert server.asked == ["/cats.bin"]


def test_what_lies_there_is_replaced_if_it_is_something_else(server: Server, tmp_path: Path) -> None:
    server.pages["/cats.bin"] = CONTENT
    (tmp_path / "cats.bin").write_bytes(b"half of it")
    assert download(source_of(CONTENT), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("changed", "broken", "message"),
    [
        ({"hash": "sha256:" + "0" * 64}, False, f"its hash is {sha256(CONTENT)}, expected sha256:{'0' * 64}"),
        ({"hash": "md5:" + "0" * 32}, False, f"its hash is md5:{hashlib.md5(CONTENT).hexdigest()}, expected md5:"),
        ({}, True, "broke off after 128,000 of 256,000 bytes"),
        ({"size": 300_000}, False, "broke off after 256,000 of 300,000 bytes"),
        ({"size": 200_000}, False, "sends more than the 200,000 bytes"),
        ({"url": "http://example.test/cats.bin"}, False, "is not an https address"),
        ({"url": "file:///etc/hostname"}, False, "is not an https address"),
    ],
)
def test_what_is_not_as_published_is_not_kept(
    server: Server, tmp_path: Path, changed: dict[str, Any], broken: bool, message: str
) -> None:
    server.pages["/cats.bin"], server.broken = CONTENT, broken
    with pytest.raises(BadFile, match=message):
        download(source_of(CONTENT, **changed), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_is_not_there(server: Server, tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"Could not download https://example.test/cats.bin: Not Found\. Try again"):
        download(source_of(CONTENT), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_network_says_how_to_do_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unreachable(url: str, timeout: float) -> Any:
        raise urllib.error.URLError(OSError("Temporary failure in name resolution"))

    monkeypatch.setattr(downloads, "open_url", unreachable)
    with pytest.raises(MissingData) as error:
        download(source_of(CONTENT), tmp_path)
    assert str(error.value) == (
        "Could not download https://example.test/cats.bin: Temporary failure in name resolution. Try again when the"
        f" network is there; or bring the file from another machine as {tmp_path / 'cats.bin'}, and run this again."
    )
    (tmp_path / "cats.bin").write_bytes(CONTENT)
    assert download(source_of(CONTENT), tmp_path).read_bytes() == CONTENT


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def silent(url: str, timeout: float) -> Any:
        raise TimeoutError("timed out")

    monkeypatch.setattr(downloads, "open_url", silent)
    with pytest.raises(MissingData, match="timed out"):
        download(source_of(CONTENT), tmp_path)


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(QuickstudyError, match="Could not save") as error:
        download(source_of(CONTENT), tmp_path / "file" / "below")
    assert not isinstance(error.value, UserError)
    assert server.asked == []


def test_redirections_stay_with_https() -> None:
    handler, request = downloads._OnlyHttps(), urllib.request.Request("https://example.test/a")
    followed = handler.redirect_request(request, None, 302, "Found", {}, "https://example.test/b")
    assert followed.full_url == "https://example.test/b"
    for elsewhere in ("http://example.test/b", "file:///etc/passwd", "ftp://example.test/b"):
        with pytest.raises(urllib.error.URLError, match="not https"):
            handler.redirect_request(request, None, 302, "Found", {}, elsewhere)


def zipped(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return path


def test_an_archive_is_read_by_name(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"b/": b"", "b/2.txt": b"two", "a..b.txt": b"", "b/1.txt": b"one"})
    assert list(read_archive(path)) == [("a..b.txt", b""), ("b/1.txt", b"one"), ("b/2.txt", b"two")]


@pytest.mark.parametrize(
    "name", ["../evil.png", "a/../../evil.png", "/etc/evil.png", "a\\..\\..\\evil.png", "C:/evil.png"]
)
def test_an_archive_that_leads_out_of_its_folder(tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path / "a.zip", {"good.txt": b"", name: b"!"})
    with pytest.raises(BadFile, match="leads out of the folder"):
        list(read_archive(path))


def test_archives_that_unpack_to_too_much(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a": bytes(1000), "b": bytes(1000)})
    assert len(list(read_archive(path, most_files=2, most_bytes=2000))) == 2
    with pytest.raises(BadFile, match="2 files and 2,000 bytes; at most 1 files"):
        list(read_archive(path, most_files=1))
    with pytest.raises(BadFile, match="at most 100,000 files and 1,999 bytes"):
        list(read_archive(path, most_bytes=1999))


def test_an_archive_that_lies_about_its_size(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a": bytes(100_000)})
    lying = path.read_bytes().replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(lying)
    with pytest.raises(BadFile, match="cannot be read"):
        list(read_archive(path))


@pytest.mark.parametrize("keep", [0, 10, 200, -1])
def test_damaged_archives(tmp_path: Path, keep: int) -> None:
    path = zipped(tmp_path / "a.zip", {"a": np.random.default_rng(0).bytes(1000), "b": b"x"})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadFile, match="cannot be read as a zip archive"):
        list(read_archive(path))


def test_a_flipped_bit_in_an_archive(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a": np.random.default_rng(0).bytes(1000)})
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadFile, match="cannot be read as a zip archive"):
        list(read_archive(path))


def test_what_is_missing_says_what_to_do(own_places: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingData) as error:
        named.find("omniglot", "omniglot28.npz")
    assert str(error.value) == (
        "The data set 'omniglot' needs omniglot28.npz: QUICKSTUDY_DATA is not set, and"
        f" {own_places / 'data' / 'omniglot'} does not hold it. Run `quickstudy data fetch omniglot` (16 MB, licence:"
        " MIT), or set QUICKSTUDY_DATA to a folder that holds omniglot/omniglot28.npz."
    )
    monkeypatch.setenv("QUICKSTUDY_DATA", str(tmp_path / "typo"))
    with pytest.raises(MissingData, match="typo, which is not a folder"):
        named.find("omniglot", "omniglot28.npz")
    monkeypatch.setenv("QUICKSTUDY_DATA", str(tmp_path))
    with pytest.raises(MissingData, match=f"neither {tmp_path / 'omniglot'} nor {own_places}"):
        named.verify("omniglot")
    for ask in (named.fetch, named.verify, lambda name: named.find(name, "x")):
        with pytest.raises(UnknownName, match=r"no data set 'omnigloot'\. Did you mean 'omniglot'"):
            ask("omnigloot")


def test_fetch_verify_and_find(little: named.Named, server: Server, own_places: Path) -> None:
    expected = [("omniglot", None, little.size), ("cifar-100", None, 168_513_733)]
    assert [(line.name, line.found, line.size) for line in named.catalogue()] == expected
    folder = named.fetch("omniglot")
    assert folder == own_places / "data" / "omniglot" == named.verify("omniglot")
    assert named.find("omniglot", "omniglot28.npz") == folder / "omniglot28.npz"
    line = named.catalogue()[0]
    assert line.found == folder
    assert line.size == sum((folder / file).stat().st_size for file in little.files)
    assert json.loads((folder / named.RECORD).read_text())["from"] == {s.url: s.hash for s in little.sources}
    assert named.fetch("omniglot") == folder
    assert len(server.asked) == 2
    (folder / "omniglot28.npz").unlink()
    server.pages.clear()  # from here on without a network: the official files are there already
    assert named.fetch("omniglot") == named.verify("omniglot") == folder


def test_fetching_again_gives_the_same_bytes(little: named.Named) -> None:
    first = {file: (named.fetch("omniglot") / file).read_bytes() for file in little.files}
    assert first == {file: (named.fetch("omniglot", again=True) / file).read_bytes() for file in little.files}


def test_a_fetch_that_fails_leaves_nothing_that_looks_whole(
    little: named.Named, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pages["/images_evaluation.zip"] += b"?"
    with pytest.raises(BadFile, match="sends more"):
        named.fetch("omniglot")
    with pytest.raises(MissingData):
        named.verify("omniglot")


def test_damage_is_found(little: named.Named) -> None:
    folder = named.fetch("omniglot")
    path = folder / "omniglot105_bits.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        BadFile, match=r"omniglot105_bits.npz is not omniglot .* hash of it is sha256:\w+, expected sha256"
    ):
        named.verify("omniglot")
    (folder / named.RECORD).write_text("{")
    with pytest.raises(BadFile, match=r"fetched\.json is damaged"):
        named.verify("omniglot")


def test_a_folder_of_the_users_own_comes_first_and_is_known_by_its_content(
    little: named.Named, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = named.fetch("omniglot")
    own = tmp_path / "own" / "omniglot"
    own.mkdir(parents=True)
    for file in little.files:
        (own / file).write_bytes((fetched / file).read_bytes())
    monkeypatch.setenv("QUICKSTUDY_DATA", str(own.parent))
    assert named.find("omniglot", "omniglot28.npz").parent == own
    with pytest.raises(BadFile, match=r"the hash of its 'images' is \w{64}, expected d76a14"):
        named.verify("omniglot")  # it is a little one, and says so
    known = {}
    for file, (array, _) in little.content.items():
        with np.load(own / file) as arrays:
            known[file] = (array, hashlib.sha256(arrays[array].tobytes()).hexdigest())
    monkeypatch.setitem(named.CATALOGUE, "omniglot", dataclasses.replace(little, content=known))
    assert named.verify("omniglot") == own
    (own / "omniglot28.npz").write_bytes(b"no archive")
    with pytest.raises(BadFile, match=r"omniglot28\.npz cannot be read"):
        named.verify("omniglot")
    (own / "omniglot28.npz").unlink()  # what the user's folder lacks may still be among what was fetched
    assert named.find("omniglot", "omniglot28.npz").parent == fetched == named.verify("omniglot")


def test_every_row_is_complete() -> None:
    for name, row in named.CATALOGUE.items():
        assert row.name == name
        assert row.what
        assert row.licence
        assert row.citation
        assert row.sources
        for source in row.sources:
            assert source.url.startswith("https://")
            kind, digest = source.hash.split(":")
            assert len(digest) == {"md5": 32, "sha256": 64}[kind]
            assert source.size > 0
        module, function = row.convert.split(":")
        assert callable(getattr(__import__(f"quickstudy.tasks.datasets.{module}", fromlist=[function]), function))
