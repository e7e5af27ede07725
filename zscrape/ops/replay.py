"""A failed attempt again, on this machine: its script and parameters, and what sites answered."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from zscrape.errors.scripts import CapsuleUnusable, NotRecorded
from zscrape.scripts.archive import read_archive
from zscrape.scripts.digest import ScriptFile

_PART_LIMIT_BYTES: Final = 64 * 1024 * 1024  # far beyond what a gateway puts into one


class Request(Struct, frozen=True):
    """What a script asks of a site. `body` stands for the body; empty: there is none."""

    method: str
    url: str
    body: str = ""


class Exchange(Struct, frozen=True):
    """One question to a site and its answer, as they were recorded."""

    method: str
    url: str
    status: int = 0
    headers: list[tuple[str, str]] = []
    body: dict[str, str] = {}
    request_body: dict[str, str] = {}
    is_cut: bool = False
    error: str = ""
    elapsed_s: float = 0.0


class Recording(Struct, frozen=True):
    """What sites have answered."""

    exchanges: list[Exchange] = []
    dropped_count: int = 0


class Capsule(Struct, frozen=True):
    """What of a capsule a replay needs."""

    request_id: str
    script_name: str
    digest: str
    parameters: dict[str, Any]  # keys are blanked out of them
    recording: Recording
    script: bytes  # the archive; empty: it is not in there


class _Script(Struct):
    name: str
    digest: str = ""


class _Summary(Struct):
    request_id: str
    script: _Script
    parameters: dict[str, Any] = {}


def read_capsule(packed: bytes) -> Capsule:
    """Read a capsule.

    Raises:
        CapsuleUnusable: It is none, or is damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            names = frozenset(archive.namelist())
            told = msgspec.json.decode(_part(archive, "capsule.json"), type=_Summary)
            recording = Recording()
            if "recording.json" in names:
                raw = _part(archive, "recording.json")
                recording = msgspec.json.decode(raw, type=Recording)
            script = _part(archive, "script.tar.gz") if "script.tar.gz" in names else b""
    except (zipfile.BadZipFile, msgspec.MsgspecError, KeyError, ValueError, OSError) as error:
        raise CapsuleUnusable(reason=str(error)[:200]) from error
    return Capsule(
        told.request_id, told.script.name, told.script.digest, told.parameters, recording, script
    )


def _part(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > _PART_LIMIT_BYTES:
        raise ValueError(f"{name} is too large")
    return archive.read(name)


def unpack_script(capsule: Capsule, folder: Path) -> Path:
    """Write the script of a capsule into a folder, and return where it is.

    Raises:
        CapsuleUnusable: It is not in there.
        FilesInvalid: It is damaged.
    """
    if not capsule.script:
        raise CapsuleUnusable(reason="it is without its script")
    files: tuple[ScriptFile, ...] = read_archive(capsule.script, capsule.script_name)
    root = folder / capsule.script_name
    for file in files:
        path = root / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(0o755 if file.is_executable else 0o644)
    return root


class Replay:
    """Answers what a script asks as it was answered then: equal questions in their order.

    Args:
        recording: What was answered.
        is_live: What was not asked then is asked of the network now, instead of refused.
    """

    def __init__(self, recording: Recording, *, is_live: bool) -> None:
        self._is_live = is_live
        self._by_body: dict[Request, list[Exchange]] = {}
        self._by_url: dict[Request, list[Exchange]] = {}
        self._taken: Counter[Request] = Counter()
        self.live_count = 0
        for each in recording.exchanges:
            body = _bytes(each.request_body)
            mark = hashlib.sha256(body).hexdigest() if body else ""
            exact = Request(each.method, each.url, mark)
            self._by_body.setdefault(exact, []).append(each)
            self._by_url.setdefault(Request(each.method, each.url), []).append(each)

    def answer(self, body: bytes) -> Exchange | None:
        """Return what was answered then; None: the network may be asked.

        A body that was other then (a token in a form) does not make it another question.

        Raises:
            NotRecorded: It was not asked then.
        """
        asked = msgspec.json.decode(body, type=Request)
        found = self._by_body.get(asked)
        if found is None:
            asked = Request(asked.method, asked.url)
            found = self._by_url.get(asked)
        if found is None:
            if self._is_live:
                self.live_count += 1
                return None
            raise NotRecorded(method=asked.method, url=asked.url)
        # Asked more often than then, a site answers as it did last.
        place = min(self._taken[asked], len(found) - 1)
        self._taken[asked] += 1
        return found[place]


def _bytes(body: dict[str, str]) -> bytes:
    if "text" in body:
        return body["text"].encode("utf-8", "replace")
    try:
        return base64.b64decode(body.get("base64", ""))
    except binascii.Error:
        return b""
