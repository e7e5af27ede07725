"""Moves what is large out of a task's rows into blobs, and reads it from there.

What cannot be put outside now stays inside: the database takes it as it took it before there
were blobs, and refuses it in its own words when the disk is full. Nothing is lost, and
nothing new can go wrong between a task and its row.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from zscrape.errors import ZscrapeError
from zscrape.errors.storage import BlobMissing, StorageFailed
from zscrape.store.blobs import Blob, BlobStore, new_blob
from zscrape.store.tasks import LogEntry

T = TypeVar("T")

# Who is told that the place of blobs refuses, and with None that it is well again.
FaultListener = Callable[[ZscrapeError | None], None]

_THREAD_COUNT: Final = 4
_REST_S: Final = 10.0  # after a refusal: a place that is away must not hold every task up


class FarPolicy(Struct, frozen=True):
    """From which size on something is kept outside."""

    data_bytes: int = 1024 * 1024  # a task's answer
    artifact_bytes: int = 64 * 1024  # one file, as it stands in its record
    items_bytes: int = 1024 * 1024  # items of one attempt; what comes beyond it goes outside
    chunk_bytes: int = 64 * 1024  # of those, only chunks of this size: a file has its price


class BlobRow(Struct, frozen=True, gc=False):
    """A blob, and what of which task it is: a row of the table `blobs`."""

    task_id: str
    kind: str
    number: int
    attempt: int
    blob: Blob

    @property
    def record(self) -> tuple[Any, ...]:
        """The columns of the row."""
        blob = self.blob
        told = (blob.key, blob.size_bytes, blob.sha256)
        return (self.task_id, self.kind, self.number, self.attempt, *told)


class FarPart(Struct, eq=False):
    """What one transaction takes of a task that may go outside."""

    task_id: str
    attempt: int
    spilled: Sequence[LogEntry]
    data: bytes | None  # its answer, if that is large
    item_attempts: frozenset[int]  # attempts whose items have passed their bound


class Moved(Struct, eq=False):
    """What is left to be written of it."""

    spilled: Sequence[LogEntry]
    chunks: list[tuple[Any, ...]]
    data: bytes | None
    blobs: list[BlobRow]


class _SavedBytes(Struct):
    data: str


_DATA = msgspec.json.Decoder(_SavedBytes)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODE = msgspec.json.Encoder().encode


def saved_bytes(document: bytes) -> bytes | None:
    """Return the bytes of a saved file that stand in its record; None when there are none."""
    try:
        return base64.b64decode(_DATA.decode(document).data, validate=True)
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        return None


def _without_bytes(document: bytes) -> bytes:
    fields = _FIELDS.decode(document)
    del fields["data"]
    return _ENCODE(fields)


class Far:
    """The place of blobs, with threads of its own. One event loop uses it."""

    def __init__(
        self,
        blobs: BlobStore,
        policy: FarPolicy | None = None,
        *,
        on_fault: FaultListener = lambda error: None,
    ) -> None:
        self.blobs = blobs
        self.policy = policy or FarPolicy()
        self._on_fault = on_fault
        self._loop = asyncio.get_running_loop()
        self._is_faulty = False
        self._rests_until = 0.0
        self.pool = ThreadPoolExecutor(_THREAD_COUNT, thread_name_prefix="store-blobs")

    async def move(self, part: FarPart, chunks_of: Callable[..., Any]) -> Moved:
        """Put outside what is large; never raises, what could not be put is returned."""
        return await self._loop.run_in_executor(self.pool, self._move, part, chunks_of)

    async def remove(self, keys: Sequence[str]) -> None:
        """Remove blobs that no row names any more; what stays is swept as an orphan."""
        if keys:
            await self._loop.run_in_executor(self.pool, self._remove, keys)

    async def listed(self, before: float) -> list[str]:
        """Return the keys of all blobs put before a moment; an empty list when it cannot tell."""
        return await self._loop.run_in_executor(self.pool, self._listed, before)

    async def stream(
        self, blob: Blob, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield a blob piece by piece; see `BlobStore.pieces`."""
        # Closed as it is let go of: a thread may still be in it when its reader has gone.
        pieces = told_pieces(self.blobs.pieces(blob, start, stop))
        while (piece := await self._next(pieces)) is not None:
            yield piece

    async def check(self, blob: Blob) -> None:
        """Look a blob over, where that is cheap, before the first byte of it is given.

        Raises:
            BlobMissing, BlobDamaged, BlobUnavailable: It cannot be given.
        """
        if self.blobs.is_near:
            async for _ in self.stream(blob):
                pass

    def read(self, blob: Blob) -> bytes:
        """Return a blob as a whole; for threads."""
        return b"".join(told_pieces(self.blobs.pieces(blob)))

    def close(self) -> None:
        """Let the threads end."""
        self.pool.shutdown(wait=True)

    async def _next(self, pieces: Iterator[bytes]) -> bytes | None:
        return await self._loop.run_in_executor(self.pool, _next_of, pieces)

    # ---- in the threads --------------------------------------------------------------

    def _move(self, part: FarPart, chunks_of: Callable[..., Any]) -> Moved:
        moved = Moved([], [], part.data, [])
        moved.spilled = [self._moved_entry(part, entry, moved.blobs) for entry in part.spilled]
        for chunk in chunks_of(part.task_id, moved.spilled):
            moved.chunks.append(self._moved_chunk(part, chunk, moved.blobs))
        data = part.data
        if data is not None and len(data) > self.policy.data_bytes:
            row = self._put(part.task_id, "result", 0, part.attempt, data)
            if row is not None:
                moved.blobs.append(row)
                moved.data = None
        return moved

    def _moved_entry(self, part: FarPart, entry: LogEntry, into: list[BlobRow]) -> LogEntry:
        if entry.kind != "artifact" or len(entry.body) <= self.policy.artifact_bytes:
            return entry
        content = saved_bytes(entry.body)
        if content is None:
            return entry
        row = self._put(part.task_id, "artifact", entry.number, entry.attempt, content)
        if row is None:
            return entry
        into.append(row)
        slim = _without_bytes(entry.body)
        return LogEntry(entry.number, entry.kind, entry.attempt, entry.at, slim)

    def _moved_chunk(
        self, part: FarPart, chunk: tuple[Any, ...], into: list[BlobRow]
    ) -> tuple[Any, ...]:
        task_id, number, last, kind, attempt, count, body, checksum = chunk
        is_far = kind == "item" and attempt in part.item_attempts
        if not is_far or len(body) < self.policy.chunk_bytes:
            return chunk
        row = self._put(task_id, "item", number, attempt, body)
        if row is None:
            return chunk
        into.append(row)
        return task_id, number, last, kind, attempt, count, b"", checksum

    def _put(
        self, task_id: str, kind: str, number: int, attempt: int, content: bytes
    ) -> BlobRow | None:
        if time.monotonic() < self._rests_until:
            return None
        blob = new_blob(content)
        try:
            self.blobs.put(blob, content)
        except (ZscrapeError, OSError) as error:
            self._rests_until = time.monotonic() + _REST_S
            self._tell(error)
            return None
        self._tell(None)
        return BlobRow(task_id, kind, number, attempt, blob)

    def _remove(self, keys: Sequence[str]) -> None:
        try:
            self.blobs.remove(keys)
        except (ZscrapeError, OSError) as error:
            self._tell(error)

    def _listed(self, before: float) -> list[str]:
        try:
            return list(self.blobs.keys(before=before))
        except (ZscrapeError, OSError) as error:
            self._tell(error)
            return []

    def _tell(self, error: ZscrapeError | OSError | None) -> None:
        """Tell of a change from well to ill or back, on the loop."""
        if (error is not None) is self._is_faulty:
            return
        self._is_faulty = error is not None
        told = StorageFailed(reason=str(error)) if isinstance(error, OSError) else error
        self._loop.call_soon_threadsafe(self._on_fault, told)


def told_pieces(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield pieces; a disk that cannot be read is told as a file that is not there.

    Raises:
        BlobMissing, BlobDamaged, BlobUnavailable: They cannot be had.
    """
    try:
        yield from pieces
    except OSError as error:
        raise BlobMissing(key=error.strerror or type(error).__name__) from error


def _next_of(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)
