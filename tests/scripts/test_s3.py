"""S3 repositories against real servers: listing, marks, faults, publishing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from tests.scripts.s3_servers import (
    SECRET_KEY,
    MotoServer,
    S3Server,
)
from zscrape.errors.scripts import FilesInvalid, RepositoryUnavailable, VersionExists
from zscrape.scripts.digest import ScriptFile, tree_digest
from zscrape.scripts.s3 import S3Source, publish

Opener = Callable[..., S3Source]


async def versions(source: S3Source) -> dict[str, list[str]]:
    """Return what a scan finds."""
    found = (await source.scan(None)).scripts
    return {name: sorted(listed) for name, listed in found.items()}


def files_of(version: str) -> list[ScriptFile]:
    """Return a script's files."""
    manifest = json.dumps({"name": "fresh", "version": version}).encode()
    return [
        ScriptFile("metadata.json", False, manifest),
        ScriptFile("main.py", False, b"def run():\n    return 1\n"),
        ScriptFile("lib/deep/tool.sh", True, b"#!/bin/sh\n"),
        ScriptFile("값.txt", False, "한글".encode()),
    ]


@pytest.mark.parametrize("prefix", ["", "team/scripts", "team/scripts/"])
async def test_versions_and_files(server: S3Server, open_source: Opener, prefix: str) -> None:
    """Keys below the prefix are names, versions and files; what is no version is told."""
    folder = prefix.rstrip("/") + "/" if prefix else ""
    server.script("watch", "1.0.0", prefix=folder)
    server.script("watch", "1.1.0-beta.1", prefix=folder, answer=2)
    server.script("watch", "newest", prefix=folder)
    server.put(f"{folder}half/1.0.0/main.py", "uploading")
    server.put(f"{folder}README.md", "hello")
    server.put(f"{folder}Bad Name/1.0.0/metadata.json", "{}")
    server.put("elsewhere/1.0.0/main.py", "x")
    source = open_source(prefix=prefix)

    found = await source.scan(None)
    files = await source.fetch(
        "watch", "1.1.0-beta.1", mark := found.scripts["watch"]["1.1.0-beta.1"]
    )

    assert {name: sorted(each) for name, each in found.scripts.items()} == {
        "watch": ["1.0.0", "1.1.0-beta.1"]
    }
    assert found.ignored == ("watch/newest",)
    assert b"return 2" in next(each.content for each in files if each.path == "main.py")
    assert b"1.1.0-beta.1" in await source.manifest("watch", "1.1.0-beta.1", mark)


async def test_unchanged_bucket_gives_the_same_listing(
    server: S3Server, open_source: Opener
) -> None:
    """Nothing changed: the known listing; one changed file: another mark."""
    server.script("watch", "1.0.0")
    server.script("watch", "1.1.0")
    source = open_source()
    first = await source.scan(None)
    same = await source.scan(first)
    server.put("watch/1.0.0/main.py", "def run():\n    return 'other'\n")
    changed = await source.scan(first)

    assert same is first
    assert changed.scripts["watch"]["1.0.0"] != first.scripts["watch"]["1.0.0"]
    assert changed.scripts["watch"]["1.1.0"] == first.scripts["watch"]["1.1.0"]


@pytest.mark.timeout(180)  # one server takes a thousand keys one by one
async def test_more_keys_than_one_page(server: S3Server, open_source: Opener) -> None:
    """A listing goes on past 1,000 keys."""
    server.put_many([f"watch/1.{number}.0/metadata.json" for number in range(1_010)])

    found = await versions(open_source())

    assert len(found["watch"]) == 1_010


async def test_published_version_has_the_same_digest(server: S3Server, open_source: Opener) -> None:
    """What is published comes back byte for byte, executable bits and names included."""
    source = open_source(prefix="p/")
    where = await publish(source, files_of("1.0.0"), "fresh", "1.0.0")
    other = open_source(prefix="p")
    mark = (await other.scan(None)).scripts["fresh"]["1.0.0"]

    files = await other.fetch("fresh", "1.0.0", mark)

    assert where == f"s3://{server.bucket}/p/fresh/1.0.0/"
    assert tree_digest(files) == tree_digest(files_of("1.0.0"))


async def test_published_version_is_never_replaced(server: S3Server, open_source: Opener) -> None:
    """A version that is there is refused, also half of one."""
    server.put("fresh/1.0.0/main.py", "half")
    source = open_source()

    with pytest.raises(VersionExists):
        await publish(source, files_of("1.0.0"), "fresh", "1.0.0")

    assert await versions(source) == {}


async def test_process_that_has_not_listed_yet_may_fetch(
    server: S3Server, open_source: Opener
) -> None:
    """A mark from an earlier life is enough; one that no longer holds is told."""
    server.script("watch", "1.0.0")
    mark = (await open_source().scan(None)).scripts["watch"]["1.0.0"]
    source = open_source()

    assert len(await source.fetch("watch", "1.0.0", mark)) == 2
    server.put("watch/1.0.0/more.py", "x = 1\n")
    with pytest.raises(RepositoryUnavailable, match="has changed"):
        await open_source().fetch("watch", "1.0.0", mark)


async def test_file_that_changes_while_it_is_read_is_told(
    server: S3Server, open_source: Opener
) -> None:
    """An object that is not what was listed is never taken for it."""
    server.script("watch", "1.0.0")
    source = open_source()
    mark = (await source.scan(None)).scripts["watch"]["1.0.0"]
    server.put("watch/1.0.0/main.py", "def run():\n    return 'evil'\n")

    with pytest.raises(RepositoryUnavailable, match="meanwhile"):
        await source.fetch("watch", "1.0.0", mark)


async def test_keys_that_no_script_may_have(server: S3Server, open_source: Opener) -> None:
    """Names that lead out of the folder, collide or are too large are told before any download."""
    server.script("watch", "1.0.0")
    server.put("watch/1.0.0/a\\b.py", "x")
    server.put("watch/1.0.0/MAIN.py", "x")
    source = open_source()
    mark = (await source.scan(None)).scripts["watch"]["1.0.0"]

    with pytest.raises(FilesInvalid) as caught:
        await source.fetch("watch", "1.0.0", mark)

    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"bucket": "no-such-bucket"}, "no bucket no-such-bucket"),
        ({"endpoint_url": "http://127.0.0.1:9"}, "cannot be reached"),
        ({"endpoint_url": "http://127.0.0.1:9", "region": "x y"}, "region"),
    ],
)
async def test_wrong_settings_are_told(
    server: S3Server, open_source: Opener, fields: dict[str, str], told: str
) -> None:
    """The reason names the setting to look at."""
    with pytest.raises(RepositoryUnavailable) as caught:
        await open_source(**fields).scan(None)

    assert told in caught.value.reason
    assert SECRET_KEY not in str(caught.value)


async def test_wrong_secret_is_told_without_it(server: S3Server, open_source: Opener) -> None:
    """A service that checks signatures refuses another secret; the reason says what to check."""
    if isinstance(server, MotoServer):
        pytest.skip("moto accepts any key")

    with pytest.raises(RepositoryUnavailable, match="check `access_key`") as caught:
        await open_source(secret_key="wrong-secret").scan(None)

    assert "wrong-secret" not in str(caught.value)


async def test_without_credentials(
    server: S3Server, open_source: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither settings nor the usual places have credentials: that is what is told."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(RepositoryUnavailable, match="no credentials"):
        await open_source(access_key=None, secret_key=None).scan(None)


@pytest.mark.parametrize(
    ("status", "code", "more", "told"),
    [
        (403, "AccessDenied", "", "check their policy"),
        (403, "InvalidAccessKeyId", "", "check `access_key`"),
        (400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>", "region` to eu-west-1"),
        (400, "AuthorizationHeaderMalformed", "", "check `region`"),
        (301, "PermanentRedirect", "", "check `region`"),
        (500, "InternalError", "", "InternalError"),
        (200, "", "", ""),
    ],
)
async def test_service_that_refuses(
    open_source: Opener, status: int, code: str, more: str, told: str
) -> None:
    """What a service answers becomes the setting to look at; nothing it says is believed."""
    body = f"<Error><Code>{code}</Code><Message>no</Message>{more}</Error>" if code else "<html>"
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    answer = f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    service = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = service.sockets[0].getsockname()[1]
    with pytest.raises(RepositoryUnavailable) as caught:
        await open_source(endpoint_url=f"http://127.0.0.1:{port}").scan(None)
    service.close()

    assert told in caught.value.reason
    assert SECRET_KEY not in str(caught.value)


async def test_service_that_is_silent(open_source: Opener) -> None:
    """A connection that is never answered costs the time limit."""

    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(ignore, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with asyncio.timeout(20):
        with pytest.raises(RepositoryUnavailable, match=r"no answer within 0\.2 s"):
            await open_source(endpoint_url=f"http://127.0.0.1:{port}", timeout_s=0.2).scan(None)
    silent.close()
