"""Answers that are files: streamed piece by piece, whole or one range of them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from zscrape.gateway.api.exchange import gateway_of
from zscrape.store.blobs import PIECE_BYTES, Blob

_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


async def blob_answer(
    request: Request, blob: Blob, media_type: str, headers: Mapping[str, str]
) -> Response:
    """Answer with what is kept outside of the database.

    Raises:
        BlobMissing, BlobDamaged, BlobUnavailable: It cannot be given; nothing has been sent.
    """
    store = gateway_of(request).store
    is_ranged = await store.check_blob(blob)
    told = {**headers, "ETag": f'"{blob.sha256}"'}
    if request.headers.get("if-none-match") == told["ETag"]:
        return Response(status_code=304, headers=told)
    asked = request.headers.get("range") if is_ranged else None
    found = None if asked is None else range_of(asked, blob.size_bytes)
    if is_ranged:
        told["Accept-Ranges"] = "bytes"
    if found is None or request.headers.get("if-range", told["ETag"]) != told["ETag"]:
        told["Content-Length"] = str(blob.size_bytes)
        pieces = await _begun(store.stream(blob))
        return StreamingResponse(pieces, headers=told, media_type=media_type)
    start, stop = found
    if start >= stop:
        told["Content-Range"] = f"bytes */{blob.size_bytes}"
        return Response(status_code=416, headers=told)
    told["Content-Range"] = f"bytes {start}-{stop - 1}/{blob.size_bytes}"
    told["Content-Length"] = str(stop - start)
    pieces = await _begun(store.stream(blob, start, stop))
    return StreamingResponse(pieces, 206, headers=told, media_type=media_type)


def bytes_answer(body: bytes, media_type: str, headers: Mapping[str, str]) -> Response:
    """Answer with bytes in pieces, so that a slow reader does not make the server hold it twice."""
    told = {**headers, "Content-Length": str(len(body))}
    if len(body) <= PIECE_BYTES:
        return Response(body, headers=told, media_type=media_type)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), PIECE_BYTES):
            yield body[start : start + PIECE_BYTES]

    return StreamingResponse(pieces(), headers=told, media_type=media_type)


def range_of(asked: str, size_bytes: int) -> tuple[int, int] | None:
    """Return the one range that is asked for; None when it is no such range: all is given.

    An empty one cannot be satisfied. Source: RFC 9110, section 14.
    """
    found = _RANGE.fullmatch(asked.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:  # the last so many
        return max(0, size_bytes - int(found[2])), size_bytes
    start = int(found[1])
    stop = min(int(found[2]) + 1, size_bytes) if found[2] else size_bytes
    if found[2] and int(found[2]) < start:
        return None
    return start, max(start, stop) if start < size_bytes else start


async def _begun(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Return an iterator whose first piece has come: what fails until then has its own answer."""
    first = await anext(pieces, b"")

    async def rest() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return rest()
