"""Capsules read, and what a replay answers: equal questions in their order."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from zscrape.errors.scripts import CapsuleUnusable, NotRecorded
from zscrape.ops.replay import (
    Exchange,
    Recording,
    Replay,
    Request,
    read_capsule,
    unpack_script,
)
from zscrape.scripts.archive import write_tar_gz
from zscrape.scripts.digest import ScriptFile

SUMMARY = {"request_id": "t", "script": {"name": "shop", "digest": "sha256:0"}, "parameters": {}}


def archive(**files: Any) -> bytes:
    """Return a capsule of these parts."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as parts:
        for name, content in files.items():
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            parts.writestr(name.replace("__", "."), raw)
    return packed.getvalue()


def ask(method: str, url: str, body: str = "") -> bytes:
    """Return a question as the runtime asks it."""
    return msgspec.json.encode(Request(method, url, body))


def answered(*exchanges: Exchange, is_live: bool = False) -> Replay:
    """Return a replay of these exchanges."""
    return Replay(Recording(list(exchanges)), is_live=is_live)


def test_script_of_a_capsule(tmp_path: Path) -> None:
    """The script is written as it was, and the rest is read."""
    files = (
        ScriptFile("main.py", is_executable=False, content=b"def run(): ...\n"),
        ScriptFile("metadata.json", is_executable=False, content=b"{}"),
    )
    script = write_tar_gz(files, "shop")
    recording = {"exchanges": [{"method": "GET", "url": "https://a.example/", "status": 200}]}
    packed = archive(capsule__json=SUMMARY, recording__json=recording, script__tar__gz=script)

    capsule = read_capsule(packed)
    root = unpack_script(capsule, tmp_path)

    assert (capsule.request_id, capsule.digest) == ("t", "sha256:0")
    assert [each.status for each in capsule.recording.exchanges] == [200]
    assert (root / "main.py").read_bytes() == b"def run(): ...\n"


@pytest.mark.parametrize(
    "packed", [b"", b"PK no zip", archive(other=b""), archive(capsule__json=b"{}")]
)
def test_no_capsule(packed: bytes) -> None:
    """What is none is told as such."""
    with pytest.raises(CapsuleUnusable):
        read_capsule(packed)


def test_capsule_without_its_script(tmp_path: Path) -> None:
    """A capsule without a script needs one by its path, and says so."""
    capsule = read_capsule(archive(capsule__json=SUMMARY))

    with pytest.raises(CapsuleUnusable, match="without its script"):
        unpack_script(capsule, tmp_path)


def test_equal_questions_in_their_order() -> None:
    """The n-th of equal questions takes the n-th answer; after the last, the last."""
    url = "https://a.example/"
    replay = answered(*(Exchange("GET", url, status=status) for status in (503, 200)))

    statuses = [replay.answer(ask("GET", url)).status for _ in range(3)]  # type: ignore[union-attr]

    assert statuses == [503, 200, 200]


def test_the_body_tells_questions_apart() -> None:
    """A body of then takes its own answer, and one with another token the answer of its address."""
    url = "https://a.example/"
    first = Exchange("POST", url, status=201, request_body={"text": "a=1"})
    second = Exchange("POST", url, status=202, request_body={"base64": "//4="})
    replay = answered(first, second)
    exact = replay.answer(ask("POST", url, hashlib.sha256(b"\xff\xfe").hexdigest()))
    other = replay.answer(ask("POST", url, hashlib.sha256(b"a=2").hexdigest()))

    assert exact == second
    assert other == first


def test_what_was_not_asked_then() -> None:
    """It is refused, naming the request; with leave to go on line it is counted instead."""
    closed, live = answered(), answered(is_live=True)

    with pytest.raises(NotRecorded) as refused:
        closed.answer(ask("GET", "https://a.example/new"))

    assert refused.value.url == "https://a.example/new"
    assert live.answer(ask("GET", "https://a.example/new")) is None
    assert live.live_count == 1
