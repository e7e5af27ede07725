"""The body of one answer while it comes: counted, unpacked, and taken up again where it broke."""

from __future__ import annotations

import re
import zlib
from typing import Final

import httpx
from msgspec import Struct

_CODINGS: Final = {"gzip", "x-gzip", "deflate"}
_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


class TooLarge(Exception):
    """Raised when a body is longer than it may be."""


class BrokenBody(Exception):
    """Raised when a body is not what its headers say; to be had again, perhaps whole."""


class Seen(Struct, frozen=True):
    """What a server told of the bytes at an address: a later request asks for other ones."""

    etag: str = ""
    modified: str = ""
    size_bytes: int = -1
    is_absent: bool = False

    @classmethod
    def of(cls, headers: httpx.Headers) -> Seen:
        """Return what these headers tell."""
        length = headers.get("content-length", "")
        return cls(
            etag=headers.get("etag", ""),
            modified=headers.get("last-modified", ""),
            size_bytes=int(length) if length.isdecimal() and len(length) < 19 else -1,
        )

    @property
    def conditions(self) -> dict[str, str]:
        """The headers that ask for other bytes than these only."""
        if self.etag:
            return {"If-None-Match": self.etag}
        return {"If-Modified-Since": self.modified} if self.modified else {}

    @property
    def identity(self) -> str:
        """A text that is another one for other bytes, as far as the server tells.

        A weak ETag counts as a strong one: servers weaken theirs on the way.
        """
        if self.is_absent:
            return "absent"
        return self.etag.removeprefix("W/") or f"{self.modified} {self.size_bytes}"


class Body:
    """Collects what comes, across several answers if a connection breaks."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._content = bytearray()
        self._raw_bytes = 0
        self._engine: zlib._Decompress | None = None  # of an answer that is packed on its way
        self._total_bytes: int | None = None  # None: not told
        self._strong_etag = ""
        self.seen = Seen()
        self.is_delimited = False

    @property
    def content(self) -> bytes:
        """All that came."""
        return bytes(self._content)

    @property
    def is_resumable(self) -> bool:
        """True iff the rest alone may be asked for (RFC 9110, 13.1.5: a strong ETag only)."""
        return bool(self._raw_bytes and self._strong_etag and self._engine is None)

    @property
    def has_begun(self) -> bool:
        """True iff some bytes have come."""
        return self._raw_bytes > 0

    @property
    def conditions(self) -> dict[str, str]:
        """The headers that ask for the rest; none: for the whole."""
        if not self.is_resumable:
            return {}
        return {"Range": f"bytes={self._raw_bytes}-", "If-Range": self._strong_etag}

    def restart(self) -> None:
        """Forget what came."""
        self._content.clear()
        self._raw_bytes = 0
        self._strong_etag = ""

    def begin(self, headers: httpx.Headers) -> None:
        """Begin with a whole answer.

        Raises:
            BrokenBody: It is packed in a way that was not asked for.
            TooLarge: It says that it is longer than it may be.
        """
        self.restart()
        coding = headers.get("content-encoding", "").strip().lower()
        if coding not in {"", "identity", *_CODINGS}:
            raise BrokenBody(f"it came with the content encoding {coding}, unasked")
        # 32: the header tells gzip from zlib.
        self._engine = zlib.decompressobj(wbits=47) if coding in _CODINGS else None
        self.seen = Seen.of(headers)
        self._total_bytes = self.seen.size_bytes if self.seen.size_bytes >= 0 else None
        self.is_delimited = self._total_bytes is not None or "transfer-encoding" in headers
        self._strong_etag = "" if self.seen.etag.startswith("W/") else self.seen.etag
        if self._total_bytes is not None and self._total_bytes > self._limit_bytes:
            raise TooLarge

    def resume(self, headers: httpx.Headers) -> None:
        """Go on with the rest.

        Raises:
            BrokenBody: It is not the rest that was asked for.
        """
        told = _RANGE.fullmatch(headers.get("content-range", ""))
        if not self.is_resumable or told is None or int(told[1]) != self._raw_bytes:
            self.restart()
            raise BrokenBody("it sent another part than the one that was asked for")
        if headers.get("etag", self._strong_etag) != self._strong_etag:
            self.restart()
            raise BrokenBody("it changed while it was read")
        if told[3] != "*":
            self._total_bytes = int(told[3])

    def add(self, chunk: bytes) -> None:
        """Take what came next.

        Raises:
            BrokenBody: It cannot be unpacked.
            TooLarge: It is too much, as it came or unpacked.
        """
        self._raw_bytes += len(chunk)
        room_bytes = self._limit_bytes + 1 - len(self._content)
        if self._engine is not None:
            try:
                chunk = self._engine.decompress(chunk, room_bytes)
            except zlib.error as error:
                self.restart()
                raise BrokenBody(f"it cannot be unpacked ({error})") from error
        self._content += chunk
        if max(len(self._content), self._raw_bytes) > self._limit_bytes:
            raise TooLarge

    def finish(self) -> None:
        """Make sure that it is whole.

        Raises:
            BrokenBody: It is not.
        """
        is_short = self._total_bytes is not None and self._raw_bytes != self._total_bytes
        if self._engine is not None and (not self._engine.eof or self._engine.unused_data):
            is_short = True
        if is_short:
            self.restart()
            raise BrokenBody("it ended too early")
