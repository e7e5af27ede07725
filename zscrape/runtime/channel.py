"""The one channel between a child and its worker: frames over a stream socket.

A frame is four bytes of length (big endian, kind and payload), one byte of kind, then the
payload. The worker trusts nothing that comes out of a child, so nothing here is signed or
checked: the worker bounds and checks every frame itself.
"""

from __future__ import annotations

import _thread
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zscrape.runtime.encode import Pieces

# What a child says. The first frame that a child hears is its request, of kind REQUEST.
REQUEST = b"q"
# Its modes. RUN_PLAIN: the code is that of a plain script. REPLAY: sites answer as they did once.
RUN, RUN_PLAIN, COMPILE, REPLAY = b"r", b"p", b"c", b"y"
# Or, before it and with nothing in it: nobody needs this child yet.
AT_REST = b"\0\0\0\1z"
LOG = b"l"
PROGRESS = b"p"
ITEM = b"i"
ARTIFACT = b"a"
ANSWER = b"r"
RECORDING = b"c"  # before the answer of an attempt that has failed
ASK = b"k"  # what is told in return is a frame of kind TELL
TELL = b"t"

ARTIFACT_LIMIT_BYTES = 8 * 1024 * 1024  # of one file, before it is written as text

# A request is small, and untouched memory is dear in a fresh process: no larger than what holds
# a script of some ten lines.
_FIRST_READ_BYTES = 2048 - 33
_READ_BYTES = 65536
# Each module that a child looks something up in is a page more that it copies.
_read, _write = os.read, os.write
_PARTS_COUNT = 512  # of one call; the system takes up to 1024
_JOIN_BYTES = 65536  # below it one copy is cheaper than a second system call


class Channel:
    """The child's end. Threads of a script may all speak: a frame is never torn."""

    __slots__ = ("_fd", "_lock")

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = _thread.allocate_lock()

    @property
    def fd(self) -> int:
        """The descriptor of the socket."""
        return self._fd

    def send(self, kind: bytes, payload: bytes, more: bytes | Pieces = b"") -> None:
        """Write one frame, waiting for the worker when it is slow to read.

        Args:
            kind: What it is.
            payload: What is in it.
            more: The rest of that: what is large need not be copied to be joined.
        """
        size = len(payload) + len(more)
        head = (size + 1).to_bytes(4, "big") + kind
        with self._lock:
            if not isinstance(more, bytes):
                self._write_pieces(head + payload, more)
            elif size <= _JOIN_BYTES:
                data = head + payload + more
                sent = _write(self._fd, data)
                if sent < len(data):
                    self._write(memoryview(data)[sent:])
            else:
                self._write_all((head, payload, more))

    def receive(self) -> bytes | None:
        """Return the payload of the next frame, or None when the worker has hung up."""
        data = _read(self._fd, _FIRST_READ_BYTES)
        if data[:4] == (len(data) - 4).to_bytes(4, "big", signed=True):  # the rule: that is all
            return data[5:]
        while data[:5] == AT_REST and len(data) > 5:  # something has come since: that counts
            data = data[5:]
        while len(data) < 4:
            more = os.read(self._fd, _READ_BYTES)
            if not more:
                return None
            data += more
        end = 4 + int.from_bytes(data[:4], "big")
        parts, size = [data], len(data)
        while size < end:
            more = os.read(self._fd, min(end - size, _READ_BYTES))
            if not more:
                return None
            parts.append(more)
            size += len(more)
        return b"".join(parts)[5:end]

    def _write_pieces(self, head: bytes, pieces: Pieces) -> None:
        held, size = [head], 0
        for piece in pieces:
            held.append(piece)
            size += len(piece)
            if size >= _JOIN_BYTES or len(held) >= _PARTS_COUNT:
                self._write_all(held)
                held, size = [], 0
        self._write_all(held)

    def _write_all(self, parts: Sequence[bytes]) -> None:
        sent = os.writev(self._fd, parts) if parts else 0
        for part in parts:
            if sent < len(part):
                self._write(memoryview(part)[sent:])
            sent = max(sent - len(part), 0)

    def _write(self, rest: memoryview) -> None:
        while rest:
            rest = rest[os.write(self._fd, rest) :]
