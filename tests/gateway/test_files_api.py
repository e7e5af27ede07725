"""Large answers and saved files over HTTP: linked, streamed, in parts, and honest when gone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.conftest import Gateway
from tests.gateway.loop_router import ScriptedWorker
from zscrape import wire
from zscrape.gateway.api.files import range_of
from zscrape.store.blobs import FileBlobs
from zscrape.store.database import Database
from zscrape.store.far import Far
from zscrape.store.sql import SqlTaskStore

PAGE = {"script_name": "page", "parameters": {"url": "http://a"}}
CONTENT = bytes(range(256)) * 4_000
DATA = b'"%s"' % (b"x" * 2_000_000)


def saving(worker: ScriptedWorker, run: wire.Run) -> None:
    """Save a large file, and answer with a large text."""
    worker.started(run)
    saved = {
        "name": "page.bin",
        "size": len(CONTENT),
        "content_type": "image/png",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "data": base64.b64encode(CONTENT).decode(),
    }
    worker.say(run, ("artifact", saved))
    worker.ok(run, DATA)


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    """Return the folder of blobs."""
    return FileBlobs(tmp_path / "blobs")


@pytest.fixture
async def gateway(make: Any, tmp_path: Path, blobs: FileBlobs) -> AsyncIterator[Gateway]:
    """Return a gateway that keeps large files in a folder."""
    store = SqlTaskStore(Database(tmp_path / "zscrape.db"), far=Far(blobs))
    made: Gateway = make(store=store)
    made.worker(saving)
    yield made
    await store.close()


@pytest.fixture
async def task(gateway: Gateway, client: httpx.AsyncClient) -> str:
    """Return the path of a task that has ended and is written."""
    envelope = (await client.post("/scrape", json=PAGE)).json()
    kept = gateway.store.kept(envelope["request_id"], is_urgent=True)
    if kept is not None:
        await kept
    assert envelope["data"] is None
    assert envelope["links"]["result"].endswith("/result")
    return f"/v1/tasks/{envelope['request_id']}"


async def test_large_results_are_linked(task: str, client: httpx.AsyncClient) -> None:
    """The task has links in place of its data, and each link gives all of it."""
    shown = (await client.get(task)).json()
    result = await client.get(shown["links"]["result"])
    artifact = await client.get(shown["artifacts"][0]["link"])

    assert shown["data"] is None
    assert result.content == DATA
    assert result.headers["content-type"] == "application/json"
    assert artifact.content == CONTENT
    assert artifact.headers["content-type"] == "image/png"
    assert artifact.headers["content-length"] == str(len(CONTENT))
    assert artifact.headers["etag"] == f'"{shown["artifacts"][0]["sha256"]}"'


@pytest.mark.parametrize(
    ("asked", "status", "expected"),
    [
        ("bytes=10-19", 206, CONTENT[10:20]),
        ("bytes=1000000-", 206, CONTENT[1_000_000:]),
        ("bytes=-7", 206, CONTENT[-7:]),
        ("bytes=0-99999999", 206, CONTENT),
        ("bytes=99999999-", 416, b""),
        ("bytes=5-2", 200, CONTENT),
        ("lines=1-2", 200, CONTENT),
    ],
)
async def test_a_range(
    task: str, client: httpx.AsyncClient, asked: str, status: int, expected: bytes
) -> None:
    """One range of a file is given as RFC 9110 says; what is no range gets all."""
    answer = await client.get(f"{task}/artifacts/page.bin", headers={"Range": asked})

    assert (answer.status_code, answer.content) == (status, expected)
    if status == 206:
        start = CONTENT.index(expected) if len(expected) > 300 else None
        told = answer.headers["content-range"]
        assert told.endswith(f"/{len(CONTENT)}")
        assert start is None or told.startswith(f"bytes {start % len(CONTENT)}-") or "-" in asked


async def test_a_file_that_is_known(task: str, client: httpx.AsyncClient) -> None:
    """Who has the file already is told so; a range of another version is not mixed into it."""
    first = await client.get(f"{task}/artifacts/page.bin")
    etag = first.headers["etag"]

    again = await client.get(f"{task}/artifacts/page.bin", headers={"If-None-Match": etag})
    other = await client.get(
        f"{task}/artifacts/page.bin", headers={"Range": "bytes=0-1", "If-Range": '"other"'}
    )

    assert (again.status_code, again.content) == (304, b"")
    assert (other.status_code, len(other.content)) == (200, len(CONTENT))


@pytest.mark.parametrize(("damage", "code"), [("gone", "blob_missing"), ("bit", "blob_damaged")])
async def test_a_file_that_is_gone(
    task: str, client: httpx.AsyncClient, blobs: FileBlobs, damage: str, code: str
) -> None:
    """It is told by a code of its own in both languages, and the task itself is still there."""
    for path in [path for path in blobs.folder.rglob("*") if path.is_file()]:
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-1] + b"?")

    answers = [
        await client.get(f"{task}/{part}", headers={"Accept-Language": lang})
        for part in ("artifacts/page.bin", "result")
        for lang in ("en", "ko")
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(410, code)] * 4
    assert "backup" in answers[0].json()["detail"]
    assert "백업" in answers[1].json()["detail"]
    assert (await client.get(task)).status_code == 200


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=-0", (100, 100)),
        ("bytes=-500", (0, 100)),
        ("bytes=100-", (100, 100)),
        ("bytes=0-1,5-6", None),
        ("bytes=-", None),
    ],
)
def test_ranges(asked: str, expected: tuple[int, int] | None) -> None:
    """A range says which bytes, an empty one that there are none, and None that it is ignored."""
    assert range_of(asked, 100) == expected
