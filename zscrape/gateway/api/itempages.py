"""Items of an ended task, read page by page: as many as there are, a few at a time in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import Response, StreamingResponse

from zscrape.gateway.api.exchange import one_line
from zscrape.gateway.tables import Names, chosen
from zscrape.model import TaskId
from zscrape.store.tasks import TaskStore

# Fewer are read at once: that costs least, and an answer of known length tells more.
WHOLE_COUNT: Final = 2_000
_FIRST_COUNT: Final = 100  # until their size is known
_PAGE_BYTES: Final = 4 * 1024 * 1024
_PAGE_LIMIT_COUNT: Final = 10_000


async def pages(
    store: TaskStore, task_id: TaskId, offset: int, limit: int | None, names: Names
) -> AsyncIterator[list[bytes]]:
    """Yield items in pages of a few MiB."""
    count = _FIRST_COUNT
    left_count = limit
    while left_count is None or left_count > 0:
        wanted_count = count if left_count is None else min(count, left_count)
        found = await store.items(task_id, offset=offset, limit=wanted_count)
        if not found:
            return
        size_bytes = max(1, sum(map(len, found)))
        yield await asyncio.to_thread(chosen, found, names) if names.choose_any else found
        offset += len(found)
        left_count = None if left_count is None else left_count - len(found)
        count = max(1, min(_PAGE_LIMIT_COUNT, len(found) * _PAGE_BYTES // size_bytes))


async def paged_answer(
    found: AsyncIterator[list[bytes]], *, is_array: bool, headers: dict[str, str]
) -> Response:
    """Answer with pages of items: an array, or one JSON document a line.

    Raises:
        TaskDamaged, BlobMissing, BlobDamaged, BlobUnavailable: Of the first page: nothing was
            sent. Of a later one: the connection is cut, so that nobody takes a part for all.
    """
    first: list[bytes] = await anext(found, [])
    if is_array:
        kind, body = "application/json", _array(first, found)
    else:
        kind, body = "application/x-ndjson; charset=utf-8", _lines(first, found)
    return StreamingResponse(body, headers=headers, media_type=kind)


async def _array(first: list[bytes], rest: AsyncIterator[list[bytes]]) -> AsyncIterator[bytes]:
    yield b"[" + b",".join(first)
    async for page in rest:
        yield b"," + b",".join(page)
    yield b"]"


async def _lines(first: list[bytes], rest: AsyncIterator[list[bytes]]) -> AsyncIterator[bytes]:
    yield _told(first)
    async for page in rest:
        yield _told(page)


def _told(page: list[bytes]) -> bytes:
    return b"".join([one_line(item) + b"\n" for item in page])
