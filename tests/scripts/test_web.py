"""A web server as a repository: what is listed, fetched, seen to change, refused and survived."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import shutil
import ssl
import tarfile
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from tests.scripts.folders import manifest, write_script
from tests.scripts.web_server import (
    Fault,
    Page,
    WebServer,
    answer,
    cut,
    drip,
    hang_up,
    raw,
    redirect,
    silence,
    stall,
    status,
)
from zscrape.config import RepositorySettings
from zscrape.errors.scripts import FilesInvalid, RepositoryUnavailable
from zscrape.scripts import redirects
from zscrape.scripts.archive import write_tar_gz
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.digest import ScriptFile, tree_digest
from zscrape.scripts.repository import open_repository
from zscrape.scripts.tree import read_tree
from zscrape.scripts.web import WebSource
from zscrape.scripts.web.documents import Index, State, read_state

CODE = b"def run():\n    return 1\n"
INDEX = "/api/scripts"
VERSIONS = "/api/scripts/watch/versions"
FILE = "/watch/1.0.0"

Opener = Callable[..., WebSource]


def packed(version: str = "1.0.0", code: bytes = CODE, name: str = "watch") -> bytes:
    """Return an archive of a script."""
    files = [
        ScriptFile("main.py", False, code),
        ScriptFile("metadata.json", False, manifest(name, version)),
    ]
    return write_tar_gz(files, f"{name}-{version}")


@pytest.fixture
def server() -> Iterator[WebServer]:
    """A server with one script of two versions."""
    made = WebServer()
    made.script("watch", {"1.0.0": packed(), "1.1.0": packed("1.1.0")})
    yield made
    made.close()


@pytest.fixture
def other() -> Iterator[WebServer]:
    """Another server with the same script."""
    made = WebServer()
    made.script("watch", {"1.0.0": packed(), "1.1.0": packed("1.1.0")})
    yield made
    made.close()


@pytest.fixture
def pauses() -> list[float]:
    """The seconds that sources wanted to wait between tries; none of them is waited."""
    return []


@pytest.fixture
async def open_source(server: WebServer, pauses: list[float]) -> AsyncIterator[Opener]:
    """Open sources; each is closed at the end."""
    opened: list[WebSource] = []

    async def pause(delay_s: float) -> None:
        pauses.append(delay_s)

    def open_one(**fields: object) -> WebSource:
        told = {"type": "http", "url": server.url, "timeout_s": 5.0, **fields}
        opened.append(WebSource(RepositorySettings(**told), pause))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for each in opened:
        await each.close()


async def reason(source: WebSource, *, is_fetch: bool = False) -> str:
    """Return why a source cannot be read."""
    with pytest.raises(RepositoryUnavailable) as caught:
        await (source.fetch("watch", "1.0.0", "1.0.0") if is_fetch else source.scan(None))
    return caught.value.reason


async def contents(source: WebSource, version: str = "1.0.0") -> dict[str, bytes]:
    """Return the files of a version."""
    files = await source.fetch("watch", version, version)
    return {each.path: each.content for each in files}


# ---- what is there -------------------------------------------------------------------


async def test_index_and_versions_are_listed(open_source: Opener) -> None:
    """Each name of the index is asked for its versions; their marks are their texts."""
    found = await open_source().scan(None)

    assert found.scripts == {"watch": {"1.0.0": "1.0.0", "1.1.0": "1.1.0"}}
    assert found.ignored == ()


async def test_an_index_may_tell_versions_and_channels(
    server: WebServer, open_source: Opener
) -> None:
    """A script whose versions stand in the index is not asked for; odd channels are dropped."""
    channels = {"beta": "2.0.0-rc.1", "1.0": "1.0.0", "stable": "none"}
    entry = {"name": "other", "versions": ["1.0.0", "2.0.0-rc.1"], "channels": channels}
    server.put(INDEX, {"scripts": ["watch", entry]})

    found = await open_source().scan(None)

    assert sorted(found.scripts["other"]) == ["1.0.0", "2.0.0-rc.1"]
    assert found.channels == {"other": {"beta": "2.0.0-rc.1"}}
    assert server.asked("/api/scripts/other/versions") == []


async def test_what_is_no_name_and_no_version_is_ignored_and_told(
    server: WebServer, open_source: Opener
) -> None:
    """Names that lead out and versions that are none never become an address."""
    server.put(INDEX, {"scripts": ["watch", "../etc", "A", "a/b", "x" * 200, "%2e%2e", ""]})
    server.put(VERSIONS, {"versions": ["1.0.0", "v2", "1.0", "../1.0.0", "1.0.0/..", "01.0.0"]})

    found = await open_source().scan(None)

    assert found.scripts == {"watch": {"1.0.0": "1.0.0"}}
    assert "name ../etc" in found.ignored
    assert "watch ../1.0.0" in found.ignored
    assert len(found.ignored) == 11
    assert {each.path for each in server.requests} == {INDEX, VERSIONS}


async def test_a_script_without_versions_is_ignored_and_told(
    server: WebServer, open_source: Opener
) -> None:
    """A name in the index that the server itself does not know hides no other."""
    server.put(INDEX, {"scripts": ["gone", "watch"]})

    found = await open_source().scan(None)

    assert list(found.scripts) == ["watch"]
    assert found.ignored == ("gone: it has no list of versions (404)",)


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        (INDEX, b"{", "not the JSON document"),
        (INDEX, b"\xff\xfe", "not the JSON document"),
        (INDEX, b"[" * 100_000, "not the JSON document"),
        (INDEX, b'{"scripts": [1]}', "not the JSON document"),
        (INDEX, b'{"names": []}', "not the JSON document"),
        (INDEX, b" <!DOCTYPE html><p>Sign in</p>", "a page for people"),
        (VERSIONS, b'{"versions": "1.0.0"}', "not the JSON document"),
        (VERSIONS, b"x" * 1_000_001, "longer than 1000000 bytes"),
        (INDEX, b"x" * 16_000_001, "longer than 16000000 bytes"),
        (INDEX, json.dumps({"scripts": [f"s{n}" for n in range(100_000)]}).encode(), "100000"),
    ],
)
async def test_documents_that_are_none_are_told(
    server: WebServer, open_source: Opener, path: str, content: bytes, told: str
) -> None:
    """Bad JSON, pages, endless documents and lists end with their address and what is wrong."""
    server.put(path, content)

    found = await reason(open_source())

    assert told in found
    assert f"{server.url}{path}" in found
    assert len(found) < 400


async def test_too_many_versions_are_refused(server: WebServer, open_source: Opener) -> None:
    """Versions are bounded over all scripts together."""
    versions = [f"1.0.{number}" for number in range(20_001)]
    entries = [{"name": f"s{number}", "versions": versions} for number in range(10)]
    server.put(INDEX, {"scripts": entries})

    assert "more than 200000 versions" in await reason(open_source())


# ---- one version ---------------------------------------------------------------------


async def test_an_archive_is_the_folder_it_was_made_of(
    tmp_path: Path, server: WebServer, open_source: Opener
) -> None:
    """As `.tar.gz`, `.tar` or `.zip`, a script has the digest that it has in a folder."""
    folder = write_script(tmp_path / "watch", {"lib/한글.py": "x = 1\n"})
    (folder / "main.py").chmod(0o755)
    files = read_tree(folder, "watch").files
    body = write_tar_gz(files, "watch-1.0.0")
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "watch")

    for content in (body, gzip.decompress(body), (tmp_path / "packed.zip").read_bytes()):
        server.put(FILE, content)
        found = await open_source().fetch("watch", "1.0.0", "1.0.0")

        assert tree_digest(found) == tree_digest(files)


async def test_a_single_file_stands_beside_its_manifest(
    server: WebServer, open_source: Opener
) -> None:
    """It becomes the file that the manifest enters, and `main.py` if that does not say."""
    server.put(FILE, CODE)
    plain = manifest("watch", "1.0.0")
    named = manifest("watch", "1.0.0", entry_point="lib/watch.py:go")
    server.put(f"{FILE}/metadata.json", plain)
    first = await contents(open_source())
    server.put(f"{FILE}/metadata.json", named)
    second = await contents(open_source())

    assert first == {"main.py": CODE, "metadata.json": plain}
    assert second == {"lib/watch.py": CODE, "metadata.json": named}


async def test_without_a_manifest_the_least_one_is_made(
    server: WebServer, open_source: Opener
) -> None:
    """Name and version, always in the same bytes, for a file and for an archive."""
    least = b'{"name":"watch","version":"1.0.0"}'
    server.put(FILE, CODE)
    single = await contents(open_source())
    server.put(FILE, write_tar_gz([ScriptFile("main.py", False, CODE)], "w"))
    archive = await contents(open_source())

    assert single == archive == {"main.py": CODE, "metadata.json": least}
    assert await open_source().manifest("watch", "1.0.0", "1.0.0") == least


async def test_the_manifest_inside_wins(server: WebServer, open_source: Opener) -> None:
    """The one beside an archive is shown in lists, and is no part of an archive that has one."""
    beside = manifest("watch", "1.0.0", description="beside")
    server.put(f"{FILE}/metadata.json", beside)
    source = open_source()

    assert (await contents(source))["metadata.json"] == manifest("watch", "1.0.0")
    assert await source.manifest("watch", "1.0.0", "1.0.0") == beside


async def test_a_manifest_out_of_an_archive_is_kept(server: WebServer, open_source: Opener) -> None:
    """Where only the archive has it, listing a script twice does not fetch it twice."""
    source = open_source()
    first = await source.manifest("watch", "1.0.0", "1.0.0")
    again = await source.manifest("watch", "1.0.0", "1.0.0")

    assert first == again == manifest("watch", "1.0.0")
    assert len(server.asked(FILE)) == 1


async def test_build_metadata_is_quoted(server: WebServer, open_source: Opener) -> None:
    """A `+` in a version is no space on any server."""
    server.put("/watch/1.0.0%2Bb7", packed("1.0.0+b7"))

    found = await open_source().fetch("watch", "1.0.0+b7", "1.0.0+b7")

    assert {each.path for each in found} == {"main.py", "metadata.json"}


async def test_a_name_is_never_put_raw_into_an_address(
    server: WebServer, open_source: Opener
) -> None:
    """Even if a caller did not check, nothing beside the version is asked for."""
    with pytest.raises(RepositoryUnavailable, match="%2F"):
        await open_source().fetch("../../admin", "1.0.0", "1.0.0")
    with pytest.raises(ValueError, match="not a part of a path"):
        await open_source().fetch("..", "1.0.0", "1.0.0")

    assert [each.path for each in server.requests] == ["/..%2F..%2Fadmin/1.0.0"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"\x7fELF\0\0", "archive_format"),
        (b"x" * 60_000_001, "files_size"),
        (packed()[:-9], "unreadable"),
        (gzip.compress(b"plain text", mtime=0), "unreadable"),
    ],
)
async def test_files_that_are_no_script_are_refused(
    server: WebServer, open_source: Opener, content: bytes, code: str
) -> None:
    """Nothing, a program, too much, half an archive, and a packed text."""
    server.put(FILE, content)

    with pytest.raises(FilesInvalid) as caught:
        await open_source().fetch("watch", "1.0.0", "1.0.0")

    assert caught.value.problems[0]["code"] == code


async def test_an_archive_that_leads_out_is_refused(server: WebServer, open_source: Opener) -> None:
    """Links and paths out of the folder are told together."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as archive:
        for name, kind in (("../evil", tarfile.REGTYPE), ("link", tarfile.SYMTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type = kind
            archive.addfile(entry)
    server.put(FILE, body.getvalue())

    with pytest.raises(FilesInvalid) as caught:
        await open_source().fetch("watch", "1.0.0", "1.0.0")

    assert [each["code"] for each in caught.value.problems] == ["path", "link"]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"x" * 10_000_000, "size"),
        (manifest(entry_point="../evil.py"), "entry_point"),
        (manifest(entry_point="metadata.json"), "entry_point"),
    ],
)
async def test_a_manifest_that_leads_out_or_on_is_refused(
    server: WebServer, open_source: Opener, document: bytes, code: str
) -> None:
    """Ten megabytes are not read, and an entry point stays inside."""
    server.put(FILE, CODE)
    server.put(f"{FILE}/metadata.json", document)

    with pytest.raises(FilesInvalid) as caught:
        await open_source().fetch("watch", "1.0.0", "1.0.0")

    assert [each["code"] for each in caught.value.problems] == [code]


async def test_a_manifest_that_cannot_be_read_is_left_to_its_reader(
    server: WebServer, open_source: Opener
) -> None:
    """What is wrong inside a manifest is told by the one place that knows them."""
    server.put(FILE, CODE)
    server.put(f"{FILE}/metadata.json", b"\xff{")

    assert await contents(open_source()) == {"main.py": CODE, "metadata.json": b"\xff{"}


@pytest.mark.parametrize("path", [FILE, f"{FILE}/metadata.json"])
async def test_a_page_for_people_is_no_script(
    server: WebServer, open_source: Opener, path: str
) -> None:
    """A sign-in page that comes with 200 is told as such."""
    server.put(FILE, CODE)
    server.put(path, b"\n<form>Sign in</form>", headers={"Content-Type": "text/html; charset=x"})

    assert "a page for people" in await reason(open_source(), is_fetch=True)


async def test_a_version_that_is_gone_is_told(server: WebServer, open_source: Opener) -> None:
    """A version that was listed and is not there has its address told."""
    del server.pages[FILE]

    assert "listed, but not there (404)" in await reason(open_source(), is_fetch=True)


# ---- what has changed ----------------------------------------------------------------


async def test_an_unchanged_server_gives_what_was_known(
    server: WebServer, open_source: Opener
) -> None:
    """Documents are asked for conditionally, and the known listing itself comes back."""
    known = await open_source().scan(None)
    server.requests.clear()

    assert await open_source().scan(known) is known
    assert [each.headers.get("if-none-match") for each in server.requests] == [
        server.pages[INDEX].etag,
        server.pages[VERSIONS].etag,
    ]


@pytest.mark.parametrize("has_date", [True, False])
async def test_a_server_without_etags_is_asked_by_date_or_again(
    server: WebServer, open_source: Opener, has_date: bool
) -> None:
    """Last-Modified serves as well; without either the same answer is the same listing."""
    for page in server.pages.values():
        page.is_tagged = False
        if has_date:
            page.headers = {"Last-Modified": "Sat, 31 Jan 2026 09:00:00 GMT"}
    source = open_source()
    known = await source.scan(None)

    assert await source.scan(known) is known
    assert ("if-modified-since" in server.requests[-1].headers) is has_date


async def test_a_new_version_is_found(server: WebServer, open_source: Opener) -> None:
    """A changed document is read again; what else was known stays."""
    known = await open_source().scan(None)
    server.put(VERSIONS, {"versions": ["1.0.0", "1.2.0"]})

    found = await open_source().scan(known)

    assert found.scripts == {"watch": {"1.0.0": "1.0.0", "1.2.0": "1.2.0"}}


async def test_bytes_that_change_under_a_version_change_its_mark(
    server: WebServer, open_source: Opener
) -> None:
    """Only what was fetched is looked at, in every scan after, across lives, without its body."""
    source = open_source()
    known = await source.scan(None)
    await contents(source)
    same = await source.scan(known)
    server.put(FILE, packed(code=b"def run():\n    return 2\n"))
    server.put("/watch/1.1.0", packed("1.1.0", b"other"))
    changed = await open_source().scan(same)  # another life
    after = open_source()
    files = await after.fetch("watch", "1.0.0", changed.scripts["watch"]["1.0.0"])

    assert same.scripts == known.scripts
    assert changed.scripts["watch"]["1.0.0"] != "1.0.0"
    assert changed.scripts["watch"]["1.1.0"] == "1.1.0"
    assert b"return 2" in files[0].content
    assert await after.scan(changed) is changed


async def test_a_manifest_beside_counts_as_bytes(server: WebServer, open_source: Opener) -> None:
    """A manifest that changes or appears beside a single file changes the mark."""
    server.put(FILE, CODE)
    source = open_source()
    await contents(source)
    without = await source.scan(None)
    server.put(f"{FILE}/metadata.json", manifest("watch", "1.0.0"))
    appeared = await source.scan(without)
    server.put(f"{FILE}/metadata.json", manifest("watch", "1.0.0", author="kim"))
    changed = await source.scan(appeared)

    marks = {each.scripts["watch"]["1.0.0"] for each in (without, appeared, changed)}
    assert len(marks) == 3


async def test_other_bytes_under_a_known_mark_are_noticed(
    server: WebServer, open_source: Opener
) -> None:
    """A change between two fetches is not mistaken for the state that was known."""
    source = open_source()
    await contents(source)
    server.put(FILE, packed(code=b"def run():\n    return 2\n"))
    await contents(source)

    assert (await source.scan(None)).scripts["watch"]["1.0.0"] != "1.0.0"


async def test_a_fetched_version_that_is_gone_keeps_its_mark(
    server: WebServer, open_source: Opener
) -> None:
    """Listed, but no longer there: what was fetched is still good."""
    source = open_source()
    await contents(source)
    del server.pages[FILE]

    assert (await source.scan(None)).scripts["watch"]["1.0.0"] == "1.0.0"


def test_a_state_of_another_kind_is_forgotten() -> None:
    """What cannot be read of an earlier life is asked for anew."""
    from zscrape.scripts.source import Listing

    assert read_state(Listing({}, state="{")) == State()
    assert read_state(Listing({}, state='{"index": {}}')) == State(Index())


async def test_it_serves_behind_the_catalogue(
    tmp_path: Path, server: WebServer, cache: ScriptCache
) -> None:
    """Opened by its settings, a version is fetched once and answered with the server down."""
    settings = RepositorySettings(type="http", url=server.url + "/")
    repository = open_repository(settings, cache=cache, folder=tmp_path / "kept")
    files = await repository.fetch("watch", "1.0.0")
    server.close()
    await repository.close()
    again = open_repository(settings, cache=cache, folder=tmp_path / "kept")

    assert await again.versions("watch") == ("1.1.0", "1.0.0")
    assert await again.fetch("watch", "1.0.0") == files
    await again.close()


# ---- tries ---------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [status(500), status(503), status(429), status(408), hang_up])
async def test_a_passing_fault_is_tried_again(
    server: WebServer, open_source: Opener, pauses: list[float], fault: Fault
) -> None:
    """Three more tries, each after a longer pause, drawn at random."""
    server.fail(INDEX, fault, fault, fault)

    found = await open_source().scan(None)

    assert list(found.scripts) == ["watch"]
    assert len(pauses) == 3
    assert 0.125 <= pauses[0] <= 0.25 <= pauses[1] <= 0.5 <= pauses[2] <= 1.0


async def test_a_lasting_fault_ends(
    server: WebServer, open_source: Opener, pauses: list[float]
) -> None:
    """After three retries the reason is told."""
    server.fail(INDEX, *[status(500)] * 9)

    assert "the server has failed (500)" in await reason(open_source())
    assert len(server.requests) == 4


async def test_retry_after_is_respected_up_to_a_cap(
    server: WebServer, open_source: Opener, pauses: list[float]
) -> None:
    """Seconds and dates are waited for; beyond ten seconds it is left to the next refresh."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=8), usegmt=True)
    server.fail(
        INDEX,
        status(429, Retry_After="3"),
        status(503, Retry_After=soon),
        status(503, Retry_After="x"),
    )
    await open_source().scan(None)
    server.fail(INDEX, status(429, Retry_After="3600"))

    assert "it asks to wait 3600 s" in await reason(open_source())
    assert pauses[0] == 3.0
    assert 1 < pauses[1] <= 8
    assert pauses[2] <= 1.0


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (status(401), "wants credentials (401): set `token`"),
        (status(403), "refuses (403)"),
        (status(407), "the proxy wants credentials"),
        (status(418), "answered 418"),
        (status(304), "answered 304"),
        (status(302), "answered 302"),
        (status(206, Content_Range="bytes 0-4/5"), "answered 206"),
        (status(404), "is `url` right?"),
        (answer(b"x", Content_Encoding="br"), "content encoding br"),
        (answer(b"hello", Content_Encoding="gzip"), "cannot be unpacked"),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "without sending a response"),
        (raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000), "too long"),
        (redirect("http://[::1"), "Invalid URL in location header"),
        (redirect("http://a\x7f/"), "Invalid URL in location header"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), "Content-Length"),
    ],
)
async def test_an_answer_that_helps_nobody_is_told(
    server: WebServer, open_source: Opener, fault: Fault, told: str
) -> None:
    """Each status, coding and protocol fault has its reason, with the address."""
    server.fail(INDEX, *[fault] * 4)

    found = await reason(open_source())

    assert told.lower() in found.lower()
    assert server.url in found


async def test_a_silent_server_costs_one_time_limit(server: WebServer, open_source: Opener) -> None:
    """No answer at all is not waited for four times."""
    server.fail(INDEX, *[silence] * 4)

    found = await reason(open_source(timeout_s=0.2))

    assert "no answer within 0.2 s" in found
    assert len(server.requests) == 1


async def test_a_dripping_server_costs_the_overall_limit(
    server: WebServer, open_source: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte now and then ends every silence, but there is a limit on the whole."""
    monkeypatch.setattr("zscrape.scripts.web.client._OVERALL_FACTOR", 0.05)
    server.fail(INDEX, drip)

    assert "not finished within 1 s" in await reason(open_source(timeout_s=20.0))


async def test_a_server_that_is_not_there_is_told(
    server: WebServer, open_source: Opener, pauses: list[float]
) -> None:
    """A refused connection is tried again and told; so is a name that has no address."""
    server.close()
    refused = await reason(open_source())
    nameless = await reason(open_source(url="http://no-such-host.invalid"))

    assert "refused: is the server running?" in refused
    assert "cannot be resolved" in nameless
    assert len(pauses) == 6


async def test_at_most_eight_are_asked_at_once(server: WebServer, open_source: Opener) -> None:
    """A hundred scripts do not open a hundred connections."""
    server.put(INDEX, {"scripts": [f"s{number}" for number in range(100)]})
    for number in range(100):
        server.put(f"/api/scripts/s{number}/versions", {"versions": ["1.0.0"]})

    found = await open_source().scan(None)

    assert len(found.scripts) == 100
    assert server.open_most_count <= 8


async def test_closing_ends_what_is_under_way(server: WebServer, open_source: Opener) -> None:
    """A request to a silent server does not hold the end of the program."""
    server.fail(INDEX, silence)
    source = open_source(timeout_s=60.0)
    task = asyncio.create_task(source.scan(None))
    await asyncio.to_thread(server.arrived.wait, 5)
    task.cancel()

    async with asyncio.timeout(40):
        with pytest.raises(asyncio.CancelledError):
            await task
        await source.close()


# ---- bodies --------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [cut, stall])
async def test_a_broken_download_is_resumed(
    server: WebServer, open_source: Opener, fault: Callable[[int, Page], Fault]
) -> None:
    """The rest alone is asked for, if it is still of the same bytes."""
    server.fail(FILE, fault(100, server.pages[FILE]))

    found = await contents(open_source(timeout_s=0.5))

    assert found["main.py"] == CODE
    assert server.asked(FILE)[1].headers["range"] == "bytes=100-"
    assert server.asked(FILE)[1].headers["if-range"] == server.pages[FILE].etag


async def test_a_download_whose_bytes_changed_is_restarted(
    server: WebServer, open_source: Opener
) -> None:
    """Two halves of two archives are never put together."""
    server.fail(FILE, cut(100, server.pages[FILE]))
    server.put(FILE, packed(code=b"def run():\n    return 2\n"))

    assert b"return 2" in (await contents(open_source()))["main.py"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": "bytes 0-9/100"},
        {"Content-Range": "bytes x"},
        {},
        {"Content-Range": "bytes 100-109/110", "ETag": '"other"'},
    ],
)
async def test_another_part_than_the_one_asked_for_is_not_taken(
    server: WebServer, open_source: Opener, headers: dict[str, str]
) -> None:
    """A server that lies about the part is asked for the whole again."""
    lie = answer(b"y" * 10, 206, **{name.replace("-", "_"): told for name, told in headers.items()})
    server.fail(FILE, cut(100, server.pages[FILE]), lie)

    found = await contents(open_source())

    assert found["main.py"] == CODE
    assert "range" not in server.asked(FILE)[2].headers


async def test_a_part_that_the_server_has_not_is_asked_whole(
    server: WebServer, open_source: Opener
) -> None:
    """416 means that what came before is of no use."""
    server.fail(FILE, cut(100, server.pages[FILE]), status(416))

    assert (await contents(open_source()))["main.py"] == CODE


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
async def test_without_a_strong_validator_it_is_restarted(
    server: WebServer, open_source: Opener, etag: str
) -> None:
    """Nothing says that the rest would be of the same bytes."""
    server.put(FILE, packed(), headers={"ETag": etag}, is_tagged=False)
    server.fail(FILE, cut(100, server.pages[FILE]))

    assert (await contents(open_source()))["main.py"] == CODE
    assert "range" not in server.asked(FILE)[1].headers


async def test_a_body_that_is_always_cut_is_never_taken(
    server: WebServer, open_source: Opener
) -> None:
    """A single file would be valid Python wherever it ends: its length decides."""
    page = Page(CODE, is_tagged=False)
    server.fail(FILE, *[cut(12, page)] * 9)

    assert "without sending complete message body" in await reason(open_source(), is_fetch=True)
    assert len(server.asked(FILE)) == 4


async def test_a_file_of_unknown_length_is_not_taken(
    server: WebServer, open_source: Opener
) -> None:
    """Where the end of the connection is the end of the file, half of it looks whole."""
    server.fail(FILE, raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + CODE[:12]))
    refused = await reason(open_source(), is_fetch=True)
    server.fail(FILE, raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + packed()))

    assert "does not say how long" in refused
    assert (await contents(open_source()))["main.py"] == CODE  # an archive knows its own end


async def test_a_file_in_chunks_is_taken(server: WebServer, open_source: Opener) -> None:
    """Chunks have an end of their own; without it they are cut off."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%s\r\n" % (len(CODE), CODE)
    server.fail(FILE, raw(head + chunk), raw(head + chunk + b"0\r\n\r\n"))

    assert (await contents(open_source()))["main.py"] == CODE
    assert len(server.asked(FILE)) == 2


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate"])
async def test_a_packed_body_is_unpacked(
    server: WebServer, open_source: Opener, coding: str
) -> None:
    """Unasked, but common: servers that call a `.tar.gz` a packed `.tar`."""
    plain = gzip.decompress(packed())
    body = zlib.compress(plain) if coding == "deflate" else gzip.compress(plain)
    server.put(FILE, body, headers={"Content-Encoding": coding})
    server.fail(FILE, answer(body[:-9], Content_Encoding=coding))

    assert (await contents(open_source()))["main.py"] == CODE
    assert len(server.asked(FILE)) == 2


async def test_a_packed_bomb_is_refused(server: WebServer, open_source: Opener) -> None:
    """The limit holds for what comes out, too."""
    server.put(INDEX, gzip.compress(bytes(20_000_000)), headers={"Content-Encoding": "gzip"})

    assert "longer than 16000000 bytes" in await reason(open_source())


async def test_a_length_beyond_the_limit_is_not_read(
    server: WebServer, open_source: Opener
) -> None:
    """A gigabyte that is only announced is refused by the announcement."""
    server.fail(INDEX, raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"))

    assert "longer than 16000000 bytes" in await reason(open_source())


async def test_chunks_without_end_are_not_read(server: WebServer, open_source: Opener) -> None:
    """The limit holds while the body comes, whatever was or was not announced."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.fail(
        INDEX,
        raw(
            head
            + b"100000\r\n"
            + bytes(2**20)
            + b"\r\n" * 1
            + (b"100000\r\n" + bytes(2**20) + b"\r\n") * 20
        ),
    )

    assert "longer than 16000000 bytes" in await reason(open_source())


# ---- credentials ---------------------------------------------------------------------

BASIC = "Basic a2ltOnMzY3JldA=="


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"token": "s3cret"}, "Bearer s3cret"),
        ({"user": "kim", "password": "s3cret"}, BASIC),
        ({"token": "s3cret", "user": "kim"}, "Bearer s3cret"),
    ],
)
async def test_credentials_are_sent(
    server: WebServer, open_source: Opener, fields: dict[str, str], expected: str
) -> None:
    """A token goes as Bearer, a user and a password as Basic."""
    server.login = expected

    assert "watch" in (await open_source(**fields).scan(None)).scripts


@pytest.mark.parametrize("fields", [{"token": "s3cret"}, {"user": "kim", "password": "s3cret"}])
async def test_wrong_credentials_are_told_without_them(
    server: WebServer, open_source: Opener, fields: dict[str, str]
) -> None:
    """The reason names the settings to look at, and none of their values."""
    server.login = "Bearer other"

    found = await reason(open_source(**fields))

    assert "other credentials (401): check `token`" in found
    assert "s3cret" not in found


async def test_a_line_break_in_a_token_is_told_without_it(open_source: Opener) -> None:
    """A token that was pasted with its line feed is not shown, nor sent."""
    found = await reason(open_source(token="s3cret\nX: y"))

    assert "line break" in found
    assert "s3cret" not in found


async def test_credentials_in_the_address_are_not_told(
    server: WebServer, open_source: Opener
) -> None:
    """An address with a login in it is told without."""
    server.close()

    assert "s3cret" not in await reason(
        open_source(url=f"http://kim:s3cret@127.0.0.1:{server.port}")
    )


async def test_credentials_stay_with_their_origin(
    server: WebServer, other: WebServer, open_source: Opener
) -> None:
    """Another port is another server: it sees no token, and none it has made up; nor does
    the first one see it again when the way leads back.
    """
    back = f"{server.url}/back"
    server.put("/back", {"scripts": []})
    server.fail(INDEX, redirect(f"http://evil:login@127.0.0.1:{other.port}{INDEX}"))
    other.fail(INDEX, redirect(back))

    await open_source(token="s3cret").scan(None)

    assert server.asked(INDEX)[0].headers["authorization"] == "Bearer s3cret"
    assert "authorization" not in other.requests[0].headers
    assert "authorization" not in server.asked("/back")[0].headers


async def test_a_login_that_another_server_wants_is_told(
    server: WebServer, other: WebServer, open_source: Opener
) -> None:
    """What a redirect led to is named, since the credentials did not go there."""
    target = other.url.replace("127.0.0.1", "localhost")
    server.fail(INDEX, redirect(target + INDEX))
    other.login = "Bearer s3cret"

    assert "(after a redirect to localhost)" in await reason(open_source(token="s3cret"))


# ---- redirects -----------------------------------------------------------------------


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(
    server: WebServer, other: WebServer, open_source: Opener, code: int
) -> None:
    """A repository at a private address may send to another one."""
    server.fail(FILE, redirect(other.url + FILE, code))

    assert (await contents(open_source()))["main.py"] == CODE
    assert len(other.requests) == 1


async def test_redirects_end(server: WebServer, open_source: Opener) -> None:
    """A server that redirects to itself is left after five steps."""
    server.fail(INDEX, *[redirect(INDEX)] * 99)

    assert "more than 5 redirects" in await reason(open_source())
    assert len(server.requests) == 6


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("file:///etc/passwd", "a file: address"),
        ("ftp://127.0.0.1/x", "a ftp: address"),
        ("gopher://127.0.0.1:70/", "a gopher: address"),
        ("http://127.0.0.1:99999999/", "99999999 is not a port"),
    ],
)
async def test_redirects_elsewhere_are_refused(
    server: WebServer, open_source: Opener, target: str, told: str
) -> None:
    """Other schemes and nonsense are not followed, and not tried again."""
    server.fail(INDEX, redirect(target))

    assert told in await reason(open_source())
    assert len(server.requests) == 1


def resolve_as(addresses: dict[str, str]) -> Callable[[str], list[str]]:
    """Return a resolver that knows some names, and otherwise asks the system."""
    real = redirects.resolve
    return lambda host: [addresses[host]] if host in addresses else real(host)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "10.0.0.8",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "[fd00::1]",
        "[fe80::1]",
        "100.64.0.1",
        "224.0.0.1",
    ],
)
async def test_a_public_repository_leads_nowhere_private(
    monkeypatch: pytest.MonkeyPatch, server: WebServer, open_source: Opener, host: str
) -> None:
    """Private, loopback, link-local and reserved addresses are refused, however written."""
    monkeypatch.setattr(redirects, "resolve", resolve_as({"localhost": "93.184.216.34"}))
    server.fail(INDEX, redirect(f"http://{host}:{server.port}/secret"))

    found = await reason(open_source(url=f"http://localhost:{server.port}"))

    assert "which is a private address" in found
    assert server.asked("/secret") == []


async def test_a_public_repository_may_lead_to_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, server: WebServer, other: WebServer, open_source: Opener
) -> None:
    """A redirect into a private network is followed where the repository's owner has named it."""
    monkeypatch.setattr(redirects, "resolve", resolve_as({"localhost": "93.184.216.34"}))
    server.fail(INDEX, *[redirect(f"http://127.0.0.1:{other.port}{INDEX}")] * 2)
    url = f"http://localhost:{server.port}"

    refused = await reason(open_source(url=url, redirect_allow=("10.0.0.0/8", "::1/128")))
    assert "`redirect_allow`" in refused
    assert other.requests == []
    await open_source(url=url, redirect_allow=("127.0.0.0/8",)).scan(None)
    assert other.asked(INDEX)


async def test_a_name_that_changes_its_address_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, server: WebServer, other: WebServer, open_source: Opener
) -> None:
    """A name that was public when it was judged, and leads inside when it is asked."""
    names = {"localhost": "93.184.216.34", "127.0.0.2": "93.184.216.35"}
    monkeypatch.setattr(redirects, "resolve", resolve_as(names))
    inside = WebServer(host="127.0.0.2")
    inside.put("/secret", {"scripts": []})
    server.fail(INDEX, redirect(f"http://127.0.0.2:{inside.port}/secret"))
    try:
        found = await reason(open_source(url=f"http://localhost:{server.port}"))
    finally:
        inside.close()

    assert "127.0.0.2, which is a private address" in found


# ---- TLS -----------------------------------------------------------------------------


@pytest.fixture
def secure(certificate: Path) -> Iterator[WebServer]:
    """A server with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    made = WebServer(context)
    made.script("watch", {"1.0.0": packed()})
    yield made
    made.close()


@pytest.mark.system
async def test_a_certificate_that_nobody_signed_is_refused(
    secure: WebServer, open_source: Opener, pauses: list[float]
) -> None:
    """It is told, and not tried again."""
    assert "its certificate is not accepted" in await reason(open_source(url=secure.url))
    assert pauses == []


@pytest.mark.system
async def test_from_https_there_is_no_way_to_http(
    monkeypatch: pytest.MonkeyPatch,
    certificate: Path,
    secure: WebServer,
    server: WebServer,
    open_source: Opener,
) -> None:
    """Not from the base, and not from a step on the way."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert "watch" in (await open_source(url=secure.url).scan(None)).scripts
    secure.fail(INDEX, *[redirect(server.url + INDEX)] * 2)
    from_base = await reason(open_source(url=secure.url))
    server.fail(INDEX, redirect(secure.url + INDEX))
    on_the_way = await reason(open_source())

    assert "from https to http" in from_base
    assert "from https to http" in on_the_way
