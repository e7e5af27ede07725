"""Blobs in a bucket of real servers: kept, streamed, listed, removed, and what refuses."""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.scripts.s3_servers import ACCESS_KEY, SECRET_KEY, S3Server
from zscrape.buckets import Bucket
from zscrape.errors import ZscrapeError
from zscrape.errors.storage import BlobDamaged, BlobMissing, BlobUnavailable
from zscrape.model import Outcome, OutcomeCode, TaskState
from zscrape.store.blobs import PIECE_BYTES, new_blob
from zscrape.store.database import Database
from zscrape.store.far import Far, FarPolicy
from zscrape.store.s3blobs import S3Blobs
from zscrape.store.sql import SqlTaskStore
from zscrape.store.tasks import StateChange, TaskRow

CONTENT = os.urandom(3 * PIECE_BYTES + 17)


@pytest.fixture
def place(server: S3Server) -> Callable[..., S3Blobs]:
    """Return what opens a folder of the bucket."""

    def opened(**fields: Any) -> S3Blobs:
        known = {
            "name": server.bucket,
            "prefix": "gateway",
            "endpoint_url": server.url,
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
            "timeout_s": 2.0,
        }
        return S3Blobs(Bucket(**{**known, **fields}))

    return opened


@pytest.mark.parametrize("content", [b"x", CONTENT])
def test_what_was_put_is_read(place: Callable[..., S3Blobs], content: bytes) -> None:
    """A blob comes back as it was put, as a whole and in part, below the prefix."""
    blobs = place()
    blob = new_blob(content)
    blobs.put(blob, content)

    assert b"".join(blobs.pieces(blob)) == content
    assert b"".join(blobs.pieces(blob, 0, 1)) == content[:1]
    assert list(blobs.keys(before=time.time() + 3600)) == [blob.key]
    assert blobs.place.endswith("/gateway/")


def test_what_is_gone_or_damaged(place: Callable[..., S3Blobs], server: S3Server) -> None:
    """An object that somebody has removed or replaced is told apart, and never given whole."""
    blobs = place()
    gone, damaged = new_blob(b"gone"), new_blob(CONTENT)
    blobs.put(gone, b"gone")
    server.put(f"gateway/{damaged.key[:2]}/{damaged.key[2:]}", CONTENT[:-1] + b"?")
    blobs.remove([gone.key])
    blobs.remove([gone.key])
    given = 0

    with pytest.raises(BlobMissing):
        list(blobs.pieces(gone))
    with pytest.raises(BlobDamaged):  # noqa: PT012 - what came before counts
        for piece in blobs.pieces(damaged):
            given += len(piece)

    assert given < len(CONTENT)


def test_keys_by_age_and_form(place: Callable[..., S3Blobs], server: S3Server) -> None:
    """Objects of others below the prefix are no blobs, and young ones are left alone."""
    blobs = place()
    blob = new_blob(b"x")
    blobs.put(blob, b"x")
    server.put("gateway/README.md", "mine")
    server.put("other/ab/cd", "theirs")

    assert list(blobs.keys(before=time.time() - 3600)) == []
    assert list(blobs.keys(before=time.time() + 3600)) == [blob.key]


@pytest.mark.parametrize(
    "fields", [{"name": "no-such-bucket"}, {"endpoint_url": "http://127.0.0.1:1"}]
)
def test_a_bucket_that_cannot_be_used(place: Callable[..., S3Blobs], fields: Any) -> None:
    """It is told with the place and the reason, and without the key."""
    blobs = place(**fields)

    with pytest.raises(BlobUnavailable) as caught:
        blobs.put(new_blob(b"x"), b"x")

    assert caught.value.place == blobs.place
    assert caught.value.reason
    assert SECRET_KEY not in str(caught.value)


class _Elsewhere(BaseHTTPRequestHandler):
    """A service that sends every question to another region."""

    def do_PUT(self) -> None:
        body = b"<Error><Code>PermanentRedirect</Code><Message>no</Message></Error>"
        self.send_response(301)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_PUT()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def test_a_bucket_of_another_region(place: Callable[..., S3Blobs]) -> None:
    """A service that only ever points elsewhere is told, too, and not asked without end."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere) as service:
        serving = threading.Thread(target=service.serve_forever)
        serving.start()
        blobs = place(endpoint_url=f"http://127.0.0.1:{service.server_port}")
        with pytest.raises(BlobUnavailable) as caught:
            blobs.put(new_blob(b"x"), b"x")
        service.shutdown()
        serving.join()

    assert caught.value.reason


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_task_whose_files_are_in_a_bucket(
    place: Callable[..., S3Blobs], path: Path, *, is_there: bool
) -> None:
    """Items, an answer and a file go there and come back; without it the database has them."""
    told: list[str] = []

    def hear(error: ZscrapeError | None) -> None:
        told.append("" if error is None else error.code)

    blobs = place() if is_there else place(name="no-such-bucket")
    policy = FarPolicy(data_bytes=70_000, artifact_bytes=1_000, items_bytes=2_000, chunk_bytes=500)
    store = SqlTaskStore(Database(path), far=Far(blobs, policy, on_fault=hear))
    row = TaskRow(id="t1", script_name="page", created_at=1.0, attempts=1)
    await store.add(row)
    saved = {"name": "a", "size": 9_000, "data": base64.b64encode(CONTENT[:9_000]).decode()}
    number = store.append(row, "artifact", 1, 1.0, json.dumps(saved).encode())
    items = [b'{"n":%d,"x":"%s"}' % (each, b"x" * 300) for each in range(40)]
    for item in items:
        store.append(row, "item", 1, 1.0, item)
    row.status, row.finished_at = TaskState.COMPLETED, 2.0
    row.outcome = Outcome(code=OutcomeCode.OK, data=b'"%s"' % (b"y" * 80_000))
    store.note(row, 1.0, StateChange(row.id, row.status, 1))
    waiting = store.kept("t1", is_urgent=True)
    assert waiting is not None
    await waiting

    found = await store.get("t1")
    blob = await store.blob("t1", "artifact", number)

    assert found is not None
    assert await store.items("t1") == items
    assert (found.far_data is not None, blob is not None) == (is_there, is_there)
    assert told == ([] if is_there else ["blob_unavailable"])
    if blob is not None and found.far_data is not None:
        assert b"".join([piece async for piece in store.stream(blob)]) == CONTENT[:9_000]
        assert sum([len(piece) async for piece in store.stream(found.far_data)]) == 80_002
        assert await store.check_blob(blob) is False
        assert await store.sweep_orphans(time.time() + 3600) == 0
    await store.sweep(4e9)
    assert not is_there or list(blobs.keys(before=4e9)) == []
    await store.close()
