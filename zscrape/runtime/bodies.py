"""Bodies of answers: decompressed piece by piece and never beyond their limit.

httpx decompresses what a read brings at once, 64 KiB, of which gzip makes up to 64 MiB and
other codings any amount. Here a piece has an end, so that a bomb costs no more than its limit.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator

import httpx

from zscrape.runtime.httperrors import BodyTooLarge, HttpError

# What is asked for, and so all that has to be understood.
ACCEPTED = "gzip, deflate"
_PIECE_BYTES = 256 * 1024
_GZIP, _ZLIB, _RAW = 31, 15, -15  # window bits of zlib
_CODINGS_LIMIT_COUNT = 3


class Body(httpx.SyncByteStream):
    """One body on its way: at most `limit_bytes` come out, and nothing after `ends_at`.

    Args:
        stream: What comes in.
        method: What was asked for: HEAD has no body.
        url: Of whom.
        codings: What the headers tell of compression; so `length`.
        length: What they tell of its size.
        limit_bytes: How much may come out.
        ends_at: When the attempt ends, in monotonic seconds.
        on_close: Hears that it was read, or will not be.
    """

    def __init__(
        self,
        stream: httpx.SyncByteStream,
        method: str,
        url: str,
        *,
        codings: str,
        length: str,
        limit_bytes: int,
        ends_at: float,
        on_close: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._has_body = method != "HEAD"
        self._url = url
        self._limit_bytes = limit_bytes
        self._ends_at = ends_at
        self._on_close: Callable[[], None] | None = on_close
        self._codings = [name for name in map(str.strip, codings.lower().split(",")) if name]
        self._length = length

    def __iter__(self) -> Iterator[bytes]:
        pieces = self._raw()
        if self._codings and self._has_body:
            if len(self._codings) > _CODINGS_LIMIT_COUNT:
                raise self._refused(f"{len(self._codings)} compressions on one another")
            for coding in reversed(self._codings):
                pieces = self._inflated(coding, pieces)
        elif self._is_told_too_large():
            raise self._too_large()
        size_bytes = 0
        for piece in pieces:
            size_bytes += len(piece)
            if size_bytes > self._limit_bytes:
                raise self._too_large()
            yield piece

    def close(self) -> None:
        """Let go of the connection, and tell the gate."""
        told, self._on_close = self._on_close, None
        try:
            self._stream.close()
        finally:
            if told is not None:
                told()

    def _is_told_too_large(self) -> bool:
        told = self._length if self._has_body else ""
        return told.isdecimal() and int(told) > self._limit_bytes

    def _raw(self) -> Iterator[bytes]:
        ends_at, clock = self._ends_at, time.monotonic
        for chunk in self._stream:
            if clock() > ends_at:
                raise HttpError(self._url, 0, "the attempt's time is up")
            yield chunk

    def _inflated(self, coding: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        if coding == "identity":
            yield from chunks
            return
        if coding not in ("gzip", "x-gzip", "deflate"):
            raise self._refused(f"compressed by {coding}, which was not asked for")
        inflater = _Inflater(is_gzip=coding != "deflate")
        try:
            for chunk in chunks:
                yield from inflater.feed(chunk)
        except zlib.error as error:
            raise self._refused(f"not {coding}, as its header says: {error}") from error
        if not inflater.is_whole:
            raise self._refused(f"cut off in the middle of its {coding}")

    def _refused(self, why: str) -> httpx.DecodingError:
        return httpx.DecodingError(f"the body is {why}")

    def _too_large(self) -> BodyTooLarge:
        reason = (
            f"the body has more than {self._limit_bytes} bytes; "
            "allow more by limit_bytes, or take it by ctx.http.download"
        )
        return BodyTooLarge(self._url, 0, reason)


class _Inflater:
    """Undoes gzip, of one member or several, or deflate, with its header or without."""

    def __init__(self, *, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._engine = zlib.decompressobj(_GZIP if is_gzip else _ZLIB)
        self._is_begun = False

    @property
    def is_whole(self) -> bool:
        """True iff nothing is missing at the end."""
        return self._engine.eof or not self._is_begun

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what comes of a chunk, in pieces of bounded size."""
        while chunk:
            if self._engine.eof:
                if not self._is_gzip or chunk[:1] != b"\x1f":
                    return  # browsers ignore what stands behind the end, too
                self._engine = zlib.decompressobj(_GZIP)
            piece = self._first(chunk) if not self._is_begun else self._more(chunk)
            if piece:
                yield piece
            chunk = self._engine.unused_data or self._engine.unconsumed_tail

    def _first(self, chunk: bytes) -> bytes:
        self._is_begun = True
        try:
            return self._more(chunk)
        except zlib.error:
            if self._is_gzip:
                raise
            self._engine = zlib.decompressobj(_RAW)  # some servers leave out the header
            return self._more(chunk)

    def _more(self, chunk: bytes) -> bytes:
        return self._engine.decompress(chunk, _PIECE_BYTES)
