"""The recording of a failed attempt: passed on once, bounded, without secrets."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest

from tests.worker.conftest import Stage
from zscrape.model import OutcomeCode
from zscrape.runtime.recording import LIMIT_BYTES
from zscrape.worker.masking import Mask
from zscrape.worker.recordings import record_of
from zscrape.worker.speech import Violation

SECRET = "hush-hush-1234"
FAILING = """
def run(ok, ctx):
    ctx.recording.note_page("https://a.example/", "<p>hush-hush-1234</p>")
    if not ok:
        raise ValueError("no")
"""


def opened(record: bytes) -> dict[str, Any]:
    """Return the document of a recording's record."""
    saved = json.loads(record)
    told: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(saved["data"])))
    return told


def test_without_secrets_it_goes_on_unread() -> None:
    """The record is a saved file with the child's own bytes."""
    saved = json.loads(record_of(b"bytes", None))

    assert base64.b64decode(saved["data"]) == b"bytes"
    assert (saved["name"], saved["size"]) == ("recording", 5)


def test_secrets_are_blanked_out() -> None:
    """A secret is found in texts, and in bytes that are told as base64."""
    hidden = base64.b64encode(b"\xff" + SECRET.encode()).decode()
    document = {"page": {"html": f"<p>{SECRET}</p>"}, "bodies": [{"base64": hidden}], "count": 1}
    packed = zlib.compress(json.dumps(document).encode())

    told = opened(record_of(packed, Mask({"shop": SECRET})))

    assert told["page"] == {"html": "<p>********</p>"}
    assert base64.b64decode(told["bodies"][0]["base64"]) == b"\xff********"
    assert told["count"] == 1


@pytest.mark.parametrize(
    "payload", [b"no zlib", zlib.compress(b"no json"), zlib.compress(b"[" * 99)]
)
def test_what_cannot_be_looked_through_is_dropped(payload: bytes) -> None:
    """With secrets around, nothing goes on unread."""
    assert opened(record_of(payload, Mask({"shop": SECRET}))) == {}


def test_too_large_a_recording_ends_the_attempt() -> None:
    """The runtime tells none beyond its limit: this child is not itself any more."""
    with pytest.raises(Violation):
        record_of(b"x" * (LIMIT_BYTES + 1), None)


@pytest.mark.asyncio(loop_scope="session")
async def test_only_failures_tell(stage: Stage) -> None:
    """An attempt that fails tells what it has kept, before its end; one that does well does not."""
    failed = await stage.run(FAILING, {"ok": False})
    well = await stage.run(FAILING, {"ok": True})
    masked = await stage.run(FAILING, {"ok": False}, secrets=("shop",), values={"shop": SECRET})

    told = [record for record in failed.records if record.kind == "recording"]
    assert len(told) == 1
    assert opened(told[0].body)["page"]["html"] == f"<p>{SECRET}</p>"
    assert not [record for record in well.records if record.kind == "recording"]
    (record,) = [record for record in masked.records if record.kind == "recording"]
    assert opened(record.body)["page"]["html"] == "<p>********</p>"


@pytest.mark.asyncio(loop_scope="session")
async def test_a_second_recording_is_not_a_childs(stage: Stage) -> None:
    """A script that speaks for the runtime ends its own attempt."""
    ran = await stage.run("""
        def run(ctx):
            for _ in range(2):
                ctx._said.channel.send(b"c", b"x")
            ctx._said.channel.receive()
    """)

    assert ran.outcome.code == OutcomeCode.CRASHED
