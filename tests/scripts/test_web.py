"""HTTP repositories against a real server that serves validators, tears, stalls and lies."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from tests.scripts.web_server import Handler, WebServer
from zscrape.config import RepositorySettings
from zscrape.errors import FilesInvalid, RepositoryUnavailable
from zscrape.scripts.archive import write_tar_gz
from zscrape.scripts.digest import ScriptFile, tree_digest
from zscrape.scripts.redirects import RedirectGuard, RedirectRefused, is_public
from zscrape.scripts.web import WebSource

Opener = Callable[..., WebSource]
SOURCE = b"def run():\n    return 1\n"


@pytest.fixture
def server() -> Iterator[WebServer]:
    """A server with nothing on it."""
    made = WebServer()
    yield made
    made.close()


@pytest.fixture
def other() -> Iterator[WebServer]:
    """Another server."""
    made = WebServer()
    yield made
    made.close()


@pytest.fixture
async def open_source(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Opener]:
    """Open sources that try again at once; each is closed at the end."""
    monkeypatch.setattr("zscrape.scripts.download._FIRST_DELAY_S", 0.001)
    monkeypatch.setattr("zscrape.scripts.download._DELAY_CAP_S", 0.01)
    opened: list[WebSource] = []

    def open_one(**fields: object) -> WebSource:
        settings = {"type": "http", "url": server.url, "timeout_s": 5.0, **fields}
        opened.append(WebSource(RepositorySettings(**settings)))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for each in opened:
        await each.close()


def files_of(version: str = "1.0.0", answer: int = 1) -> list[ScriptFile]:
    """Return a script's files."""
    manifest = json.dumps({"name": "watch", "version": version}).encode()
    return [
        ScriptFile("metadata.json", False, manifest),
        ScriptFile("main.py", False, b"def run():\n    return %d\n" % answer),
        ScriptFile("lib/tool.sh", True, b"#!/bin/sh\n"),
    ]


async def fetched(source: WebSource, version: str = "1.0.0") -> tuple[ScriptFile, ...]:
    """Scan, then fetch a version of `watch`."""
    mark = (await source.scan(None)).scripts["watch"][version]
    return await source.fetch("watch", version, mark)


# ---- what is there -------------------------------------------------------------------


async def test_index_versions_and_archives(server: WebServer, open_source: Opener) -> None:
    """Names and versions are listed; an archive comes back with the digest it was made from."""
    server.index(watch=["1.0.0", "1.1.0-beta.1+b.2"], other=[{"version": "2.0.0"}])
    server.put("/watch/1.0.0", write_tar_gz(files_of(), "watch-1.0.0"))
    server.put("/watch/1.1.0-beta.1%2Bb.2", write_tar_gz(files_of("1.1.0-beta.1+b.2"), "w"))
    source = open_source()

    found = await source.scan(None)
    files = await fetched(source)
    beta = await fetched(source, "1.1.0-beta.1+b.2")

    assert {name: sorted(each) for name, each in found.scripts.items()} == {
        "watch": ["1.0.0", "1.1.0-beta.1+b.2"],
        "other": ["2.0.0"],
    }
    assert tree_digest(files) == tree_digest(files_of())
    assert tree_digest(beta) == tree_digest(files_of("1.1.0-beta.1+b.2"))


async def test_index_that_says_it_all(server: WebServer, open_source: Opener) -> None:
    """An index with versions and channels costs one request."""
    entry = {"name": "watch", "versions": ["1.0.0", "x"], "channels": {"stable": "1.0.0"}}
    server.put("/api/scripts", {"scripts": [entry]})

    found = await open_source().scan(None)

    assert server.paths() == ["/api/scripts"]
    assert list(found.scripts["watch"]) == ["1.0.0"]
    assert found.channels == {"watch": {"stable": "1.0.0"}}
    assert found.ignored == ("watch/x",)


async def test_single_file(server: WebServer, open_source: Opener) -> None:
    """One .py file is a script: with the server's manifest, or with the shortest one."""
    server.index(watch=["1.0.0", "1.1.0"])
    server.put("/watch/1.0.0", SOURCE, "text/x-python")
    server.put("/watch/1.1.0", SOURCE)
    document = {"name": "watch", "version": "1.1.0", "entry_point": "crawl.py:go"}
    server.put("/watch/1.1.0/metadata.json", document)
    source = open_source()

    short = await fetched(source, "1.0.0")
    told = await fetched(source, "1.1.0")

    assert [each.path for each in short] == ["main.py", "metadata.json"]
    assert short[1].content == b'{"name":"watch","version":"1.0.0"}'
    assert [each.path for each in told] == ["crawl.py", "metadata.json"]
    assert await source.manifest("watch", "1.1.0", "1.1.0") == json.dumps(document).encode()
    assert await source.manifest("watch", "1.0.0", "1.0.0") == short[1].content


async def test_archive_without_a_manifest(server: WebServer, open_source: Opener) -> None:
    """The server's document completes an archive that has none; an archive's own wins."""
    server.index(watch=["1.0.0"])
    server.put("/watch/1.0.0", write_tar_gz(files_of()[1:], "w"))
    server.put("/watch/1.0.0/metadata.json", b'{"name": "watch"}')
    without = await fetched(open_source())
    server.put("/watch/1.0.0", write_tar_gz(files_of(), "w"))
    own = await fetched(open_source())

    assert without[-1].content == b'{"name": "watch"}'
    assert tree_digest(own) == tree_digest(files_of())


async def test_unchanged_server_gives_the_same_listing(
    server: WebServer, open_source: Opener
) -> None:
    """While the server answers 304 to everything, the known listing is returned."""
    server.index(watch=["1.0.0"], other=["1.0.0"])
    source = open_source()
    first = await source.scan(None)
    same = await source.scan(first)
    again = await open_source().scan(first)  # a new process with the listing on disk
    server.index(watch=["1.0.0", "1.1.0"], other=["1.0.0"])
    changed = await source.scan(first)

    assert same is first
    assert again is first
    assert server.not_modified_count >= 6
    assert sorted(changed.scripts["watch"]) == ["1.0.0", "1.1.0"]


async def test_version_whose_bytes_change_gets_another_mark(
    server: WebServer, open_source: Opener
) -> None:
    """Only what was fetched is asked after; when it has changed, its mark does."""
    server.index(watch=["1.0.0", "1.1.0"])
    server.put("/watch/1.0.0", SOURCE)
    source = open_source()
    first = await source.scan(None)
    await source.fetch("watch", "1.0.0", first.scripts["watch"]["1.0.0"])
    same = await source.scan(first)
    server.put("/watch/1.0.0", SOURCE + b"# changed\n")
    changed = await source.scan(same)
    later = await source.scan(changed)
    restarted = await open_source().scan(changed)

    assert same.scripts == first.scripts
    assert changed.scripts["watch"]["1.0.0"] != first.scripts["watch"]["1.0.0"]
    assert changed.scripts["watch"]["1.1.0"] == first.scripts["watch"]["1.1.0"]
    assert later.scripts == changed.scripts == restarted.scripts
    assert "/watch/1.1.0" not in server.paths()


async def test_server_without_validators(server: WebServer, open_source: Opener) -> None:
    """Without ETags everything is read anew, and nothing changes by that."""
    server.has_validators = False
    server.index(watch=["1.0.0"])
    source = open_source()
    first = await source.scan(None)

    assert await source.scan(first) is first


@pytest.mark.parametrize("fields", [{"token": "s3cret"}, {"user": "kim", "password": "s3 cret"}])
async def test_login(server: WebServer, open_source: Opener, fields: dict[str, str]) -> None:
    """A token goes as Bearer, a user with a password as Basic."""
    server.login = fields.get("token") or f"{fields['user']}:{fields['password']}"
    server.index(watch=["1.0.0"])

    assert (await open_source(**fields).scan(None)).scripts
    with pytest.raises(RepositoryUnavailable, match="401"):
        await open_source().scan(None)


# ---- what cannot be used -------------------------------------------------------------


async def test_names_and_versions_that_are_none(server: WebServer, open_source: Opener) -> None:
    """Nothing of an index becomes a path unless it is a script's name or a version."""
    names = ["watch", "../etc", "a/b", "UPPER", "", 7, None, {"name": 3}, {"x": 1}, "watch", "\n"]
    server.put("/api/scripts", names)
    server.put(
        "/api/scripts/watch/versions", ["1.0.0", "../1", "1.0", "v1.0.0", 3, {"version": []}]
    )

    found = await open_source().scan(None)

    assert {name: list(each) for name, each in found.scripts.items()} == {"watch": ["1.0.0"]}
    assert len(found.ignored) == 15
    assert set(server.paths()) == {"/api/scripts", "/api/scripts/watch/versions"}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"<html>oops</html>", "not JSON: <html>oops"),
        (b'{"scripts": 3}', "not {"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'["x"]' + b" " * 17_000_000, "longer than 16000000 bytes"),
        (json.dumps([f"s{number}" for number in range(20_001)]).encode(), "more than 20000"),
    ],
)
async def test_index_that_is_none(
    server: WebServer, open_source: Opener, body: bytes, told: str
) -> None:
    """An index that cannot be read is told with its address and what is wrong with it."""
    server.put("/api/scripts", body)

    with pytest.raises(RepositoryUnavailable) as caught:
        await open_source().scan(None)

    assert told in caught.value.reason
    assert f"{server.url}/api/scripts" in caught.value.reason


@pytest.mark.parametrize(
    ("content", "content_type", "told"),
    [
        (b"<!DOCTYPE html><p>sorry", "text/plain", "a web page"),
        (b"def run(): pass", "text/html; charset=utf-8", "a web page"),
        (b"\x00\xff\xfe", "", "neither an archive"),
        (b"x" * 60_000_001, "", "longer than"),
    ],
)
async def test_version_that_is_none(
    server: WebServer, open_source: Opener, content: bytes, content_type: str, told: str
) -> None:
    """An error page that comes with 200, or anything else, is no script."""
    server.index(watch=["1.0.0"])
    server.put("/watch/1.0.0", content, content_type)

    with pytest.raises(RepositoryUnavailable, match=told):
        await fetched(open_source())


async def test_archive_that_no_script_may_be(server: WebServer, open_source: Opener) -> None:
    """A hostile archive is refused with its problems."""
    server.index(watch=["1.0.0"])
    server.put("/watch/1.0.0", write_tar_gz([ScriptFile("../../evil", False, b"x")], "w"))

    with pytest.raises(FilesInvalid):
        await fetched(open_source())


async def test_entry_point_of_a_single_file_leads_nowhere(
    server: WebServer, open_source: Opener
) -> None:
    """The server's manifest cannot choose where its file is put."""
    server.index(watch=["1.0.0"])
    server.put("/watch/1.0.0", SOURCE)
    server.put("/watch/1.0.0/metadata.json", {"entry_point": "../../main.py"})

    with pytest.raises(FilesInvalid):
        await fetched(open_source())


async def test_manifest_that_is_too_large(server: WebServer, open_source: Opener) -> None:
    """A manifest of ten megabytes is left unread."""
    server.index(watch=["1.0.0"])
    server.put("/watch/1.0.0", SOURCE)
    server.put("/watch/1.0.0/metadata.json", b" " * 10_000_000)

    with pytest.raises(RepositoryUnavailable, match="longer than"):
        await fetched(open_source())


# ---- a server that misbehaves --------------------------------------------------------


async def test_missing_index_and_version(server: WebServer, open_source: Opener) -> None:
    """What is not there is told; a script without versions is left out."""
    with pytest.raises(RepositoryUnavailable, match="no index"):
        await open_source().scan(None)
    server.index(watch=["1.0.0"])
    server.put("/api/scripts", ["watch", "gone"])
    source = open_source()
    found = await source.scan(None)
    with pytest.raises(RepositoryUnavailable, match="not there"):
        await source.fetch("watch", "1.0.0", "1.0.0")

    assert list(found.scripts) == ["watch"]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
async def test_passing_faults_are_tried_again(
    server: WebServer, open_source: Opener, status: int
) -> None:
    """A fault that passes costs a few tries, one that stays is told."""
    server.index(watch=["1.0.0"])
    left = [2]

    def fail(handler: Handler) -> bool:
        left[0] -= 1
        if left[0] >= 0:
            handler.reply(status, b"busy", Retry_After="0")
        return left[0] >= 0

    server.faults.append(fail)
    found = await open_source().scan(None)
    left[0] = 10**6
    with pytest.raises(RepositoryUnavailable, match=str(status)):
        await open_source().scan(None)

    assert found.scripts


async def test_torn_download_is_resumed(server: WebServer, open_source: Opener) -> None:
    """What has come is kept: the rest is asked for, if the server's mark still holds."""
    server.index(watch=["1.0.0"])
    content = write_tar_gz([*files_of(), ScriptFile("big", False, bytes(range(256)) * 900)], "w")
    server.put("/watch/1.0.0", content)

    def tear(handler: Handler) -> bool:
        is_first = "Range" not in handler.headers and handler.path == "/watch/1.0.0"
        if is_first:
            etag = f'"{hashlib.sha256(content).hexdigest()[:12]}"'
            handler.reply(200, content[: len(content) // 2], length=len(content), ETag=etag)
        return is_first

    server.faults.append(tear)
    files = await fetched(open_source())

    asked = [headers for path, headers in server.requests if path == "/watch/1.0.0"]
    assert len(files) == 4
    assert [each.get("range", "") for each in asked] == ["", f"bytes={len(content) // 2}-"]


async def test_torn_download_without_a_mark_begins_again(
    server: WebServer, open_source: Opener
) -> None:
    """Without a strong ETag nothing is put together from two answers."""
    server.index(watch=["1.0.0"])
    content = write_tar_gz(files_of(), "w")
    server.put("/watch/1.0.0", content)
    torn = [True]

    def tear(handler: Handler) -> bool:
        if handler.path == "/watch/1.0.0" and torn[0]:
            torn[0] = False
            handler.reply(200, content[:50], length=len(content), ETag='W/"weak"')
            return True
        return False

    server.faults.append(tear)
    files = await fetched(open_source())

    assert tree_digest(files) == tree_digest(files_of())
    assert not any("range" in headers for _, headers in server.requests)


async def test_download_that_stays_torn_is_no_script(
    server: WebServer, open_source: Opener
) -> None:
    """Half of a file is never taken for the whole."""
    server.index(watch=["1.0.0"])

    def tear(handler: Handler) -> bool:
        if handler.path == "/watch/1.0.0":
            handler.reply(200, SOURCE[:10], length=len(SOURCE))
        return handler.path == "/watch/1.0.0"

    server.faults.append(tear)
    with pytest.raises(RepositoryUnavailable, match="cut off"):
        await fetched(open_source())


async def test_part_of_something_else_is_not_taken(server: WebServer, open_source: Opener) -> None:
    """A server that answers with a part nobody asked for is not believed."""
    server.index(watch=["1.0.0"])

    def lie(handler: Handler) -> bool:
        if handler.path == "/watch/1.0.0":
            handler.reply(206, SOURCE, Content_Range="bytes 5-9/10", ETag='"x"')
        return handler.path == "/watch/1.0.0"

    server.faults.append(lie)
    with pytest.raises(RepositoryUnavailable):
        await fetched(open_source())


async def test_encoded_body_is_refused(server: WebServer, open_source: Opener) -> None:
    """An encoding that was not asked for could hide a bomb."""

    def encode(handler: Handler) -> bool:
        handler.reply(200, gzip.compress(bytes(50_000_000)), Content_Encoding="gzip")
        return True

    server.faults.append(encode)
    with pytest.raises(RepositoryUnavailable, match="encoded"):
        await open_source().scan(None)


async def test_silent_server(server: WebServer, open_source: Opener) -> None:
    """A server that says nothing costs its time limit, a few times."""

    def stall(handler: Handler) -> bool:
        server.stalled.wait()
        handler.close_connection = True
        return True

    server.faults.append(stall)
    async with asyncio.timeout(10):
        with pytest.raises(RepositoryUnavailable, match=r"no answer within 0\.1 s"):
            await open_source(timeout_s=0.1).scan(None)


async def test_server_that_is_down(open_source: Opener) -> None:
    """Nobody there is told as such."""
    with pytest.raises(RepositoryUnavailable, match="connection"):
        await open_source(url="http://127.0.0.1:9").scan(None)


# ---- redirects -----------------------------------------------------------------------


def redirect_to(target: str) -> Callable[[Handler], bool]:
    """Return a fault that redirects everything."""

    def fault(handler: Handler) -> bool:
        handler.reply(302, b"", Location=target + handler.path)
        return True

    return fault


async def test_redirect_is_followed_without_the_login(
    server: WebServer, other: WebServer, open_source: Opener
) -> None:
    """Another server may serve the files, but is not shown the token."""
    other.index(watch=["1.0.0"])
    server.faults.append(redirect_to(other.url))

    found = await open_source(token="s3cret").scan(None)

    assert found.scripts
    assert all("authorization" in headers for _, headers in server.requests)
    assert not any("authorization" in headers for _, headers in other.requests)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("file:///etc", "redirects to a file: address"),
        ("ftp://127.0.0.1", "redirects to a ftp: address"),
        ("http://no-such-host.invalid", ""),
    ],
)
async def test_redirect_that_is_not_followed(
    server: WebServer, open_source: Opener, target: str, told: str
) -> None:
    """Only web servers are followed to."""
    server.faults.append(redirect_to(target))

    with pytest.raises(RepositoryUnavailable) as caught:
        await open_source().scan(None)

    assert told in caught.value.reason


async def test_endless_redirects(server: WebServer, open_source: Opener) -> None:
    """After a few steps it is enough."""
    server.faults.append(redirect_to(server.url))

    with pytest.raises(RepositoryUnavailable, match="more than 5 redirects"):
        await open_source().scan(None)

    assert len(server.requests) == 6


@pytest.mark.parametrize(
    ("base", "target", "is_refused"),
    [
        ("http://8.8.8.8/s", "http://127.0.0.1/x", True),
        ("http://8.8.8.8/s", "http://10.0.0.1/x", True),
        ("http://8.8.8.8/s", "http://169.254.169.254/latest", True),
        ("http://8.8.8.8/s", "http://[::1]/x", True),
        ("http://8.8.8.8/s", "http://[::ffff:10.0.0.1]/x", True),
        ("http://8.8.8.8/s", "http://0.0.0.0/x", True),
        ("http://8.8.8.8/s", "http://1.1.1.1/x", False),
        ("http://8.8.8.8/s", "http://8.8.8.8/elsewhere", False),
        ("http://10.0.0.1/s", "http://10.0.0.2/x", False),
        ("https://8.8.8.8/s", "http://8.8.8.8/x", True),
        ("http://8.8.8.8/s", "https://8.8.8.8/x", False),
        ("http://8.8.8.8/s", "gopher://8.8.8.8/x", True),
        ("http://8.8.8.8/s", "/etc/passwd", True),
    ],
)
def test_redirects_never_lead_further_in(base: str, target: str, is_refused: bool) -> None:
    """A public repository cannot send us to private addresses; a private one may, near itself."""
    guard = RedirectGuard(base)
    try:
        guard.check(target)
        refused = False
    except RedirectRefused:
        refused = True

    assert refused == is_refused


def test_addresses_of_the_public_internet() -> None:
    """Everything that is not plainly public is private."""
    assert is_public("8.8.8.8")
    for address in ("127.0.0.1", "100.64.0.1", "224.0.0.1", "fe80::1%eth0", "fd00::1", "x"):
        assert not is_public(address)
