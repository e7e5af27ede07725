"""The failure capsule: all that is known of a failed attempt, as one archive.

It is put together when somebody asks for it, from the task's row, its log and what its child
has recorded; a child that was killed has recorded nothing, and the rest is there all the same.
Keys, cookies and whatever looks like them are blanked out.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from zscrape.core.snapshots import WorkerSnapshot
from zscrape.gateway.envelope import execution_time, moment, task_error_view
from zscrape.model import TaskState
from zscrape.onuse import on_use
from zscrape.runtime.recording import MASK, PLAIN_LIMIT_BYTES, safe_headers, safe_url
from zscrape.scripts.digest import ScriptFile
from zscrape.store.tasks import LogEntry, Recorded, TaskRow

if TYPE_CHECKING:
    import zipfile

    from zscrape.scripts import archive
else:
    archive = on_use("zscrape.scripts.archive")
    zipfile = on_use("zipfile")

FORMAT: Final = 1
LOG_LINES_COUNT: Final = 500
LOG_LIMIT_BYTES: Final = 512 * 1024
SCRIPT_LIMIT_BYTES: Final = 4 * 1024 * 1024
_SECRET_NAME: Final = re.compile(
    r"(?i)(^|[_.-])(api_?key|key|token|secret|password|passwd|pwd|signature|auth|authorization|"
    r"cookie|credential|credentials|otp|pin)$"
)
_FAILED: Final = (TaskState.FAILED, TaskState.TIMED_OUT)
_decode = msgspec.json.Decoder().decode


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What a capsule is made of."""

    row: TaskRow
    attempt: int
    log: Sequence[LogEntry]
    recording: bytes  # compressed, as the child told it; empty: none
    worker: WorkerSnapshot | None  # if it is still known
    files: Sequence[ScriptFile] | None  # of the script, if they are still here
    lang: str


def has_capsule(row: TaskRow) -> bool:
    """True iff an attempt of the task has failed."""
    return bool(row.recordings) or row.status in _FAILED


def recorded(row: TaskRow, attempt: int | None) -> tuple[int, Recorded | None]:
    """Return the attempt that is meant (by default the last that failed), and its recording."""
    if attempt is None:
        is_last = row.status in _FAILED or not row.recordings
        attempt = row.attempts if is_last else row.recordings[-1].attempt
    found = next((each for each in row.recordings if each.attempt == attempt), None)
    return attempt, found


def capsule(parts: Parts) -> bytes:
    """Return the archive."""
    recording = _recording(parts.recording)
    files: dict[str, bytes] = {
        "capsule.json": _pretty(_summary(parts, recording)),
        "log.jsonl": _log(parts.log),
    }
    error = task_error_view(parts.row, parts.lang)
    if error is not None and error.traceback:
        files["traceback.txt"] = error.traceback.encode()
    if recording:
        files["recording.json"] = _pretty(recording)
        page = _last_page(recording)
        if page is not None:
            files["page.html"] = page
        picture = _screenshot(recording)
        if picture:
            kind = "png" if picture.startswith(b"\x89PNG") else "jpg"
            files[f"screenshot.{kind}"] = picture
    if parts.files is not None:
        packed = archive.write_tar_gz(parts.files, parts.row.script_name)
        if len(packed) <= SCRIPT_LIMIT_BYTES:
            files["script.tar.gz"] = packed
    return _zip(files)


def _zip(files: dict[str, bytes]) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            # The same parts make the same bytes: no moment of ours is in them.
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return body.getvalue()


def _summary(parts: Parts, recording: dict[str, Any]) -> dict[str, Any]:
    row = parts.row
    return {
        "format": FORMAT,
        "request_id": row.id,
        "attempt": parts.attempt,
        "attempts": row.attempts,
        "status": row.status.value,
        "script": {
            "name": row.script_name,
            "version": row.version,
            "digest": row.digest,
            "repository": row.repository,
        },
        "parameters": masked(_json(row.parameters)),
        "error": task_error_view(row, parts.lang),
        "last_error": row.last_error or None,
        "worker_id": row.worker_id,
        "tags": row.tags,
        "timeout": row.timeout_s,
        "created_at": moment(row.created_at),
        "started_at": moment(row.started_at),
        "finished_at": moment(row.finished_at),
        "execution_time": execution_time(row),
        "usage": None if row.outcome is None else msgspec.structs.asdict(row.outcome.usage),
        "environment": {**_facts(parts.worker), **_dict(recording.get("environment"))},
        "exchange_count": len(_list(recording.get("exchanges"))),
        "dropped_exchange_count": recording.get("dropped_count", 0),
        "log_line_count": len(parts.log),
        "has_recording": bool(recording),
        "has_script": parts.files is not None,
    }


def masked(value: Any) -> Any:
    """Return a value whose parts with names of secrets are blanked out."""
    if isinstance(value, dict):
        return {
            name: MASK if _SECRET_NAME.search(name) and each is not None else masked(each)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [masked(each) for each in value]
    return safe_url(value) if isinstance(value, str) else value


def _facts(worker: WorkerSnapshot | None) -> dict[str, Any]:
    if worker is None:
        return {}
    facts = worker.facts
    return {
        "worker_version": facts.version,
        "worker_python": facts.python,
        "worker_platform": facts.platform,
        "cpu_count": facts.cpu_count,
        "memory_bytes": facts.memory_bytes,
        "programs": facts.programs,
        "isolation": facts.isolation,
        "network": facts.network,
        "worker_tags": worker.tags,
    }


def _log(entries: Sequence[LogEntry]) -> bytes:
    """Return the last lines, as many as there is room for."""
    lines: list[bytes] = []
    size_bytes = 0
    for entry in reversed(entries):
        line = b'{"number":%d,"attempt":%d,"at":%.3f,"record":%s}\n' % (
            entry.number,
            entry.attempt,
            entry.at,
            entry.body.replace(b"\n", b" "),
        )
        size_bytes += len(line)
        if size_bytes > LOG_LIMIT_BYTES:
            break
        lines.append(line)
    return b"".join(reversed(lines))


def _recording(packed: bytes) -> dict[str, Any]:
    """Read a recording; what a child has spoilt is none."""
    if not packed:
        return {}
    try:
        plain = zlib.decompressobj().decompress(packed, PLAIN_LIMIT_BYTES)
        told = _dict(_decode(plain))
    except (zlib.error, msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    exchanges = [_safe(each) for each in _list(told.get("exchanges")) if isinstance(each, dict)]
    return {**told, "exchanges": exchanges} if told else {}


def _safe(exchange: dict[str, Any]) -> dict[str, Any]:
    """Return an exchange without keys, whatever its child has left in it."""
    told = {**exchange, "url": safe_url(str(exchange.get("url", "")))}
    for name in ("headers", "request_headers"):
        pairs = [each for each in _list(exchange.get(name)) if _is_pair(each)]
        told[name] = safe_headers([(str(one), str(other)) for one, other in pairs])
    return told


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


def _last_page(recording: dict[str, Any]) -> bytes | None:
    """Return what a browser showed last, else the last HTML that a site has answered."""
    page = _dict(recording.get("page")).get("html")
    if isinstance(page, str):
        return page.encode()
    for exchange in reversed(recording["exchanges"]):
        kind = next((v for n, v in exchange["headers"] if n.lower() == "content-type"), "")
        if "html" in kind.lower():
            return _bytes(_dict(exchange.get("body")))
    return None


def _screenshot(recording: dict[str, Any]) -> bytes:
    return _bytes({"base64": recording.get("screenshot") or ""})


def _bytes(body: dict[str, Any]) -> bytes:
    if isinstance(body.get("text"), str):
        return str(body["text"]).encode("utf-8", "replace")
    try:
        return base64.b64decode(body.get("base64") or b"")
    except (TypeError, binascii.Error):
        return b""


def _json(document: bytes) -> Any:
    try:
        return _decode(document)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _pretty(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1)
