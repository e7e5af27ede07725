"""What one attempt prints, read from its pipes line by line.

Most attempts print nothing, and of those that do most are over soon: their pipes are looked at
when they say something else, and watched only where they go on for long.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable

from zscrape.worker.capture import Budget, Stream
from zscrape.worker.children import Child
from zscrape.worker.masking import Mask
from zscrape.worker.pump import Pump

_READ_BYTES = 65536
# A stream whose limit is spent is still drained, but only this often: a script that shouts
# is slowed down instead of its neighbours.
_DRAIN_PAUSE_S = 0.02


class Pipes:
    """A child's standard output and error, for one attempt."""

    __slots__ = ("_budget", "_is_closed", "_loop", "_pump", "_streams", "_tell")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pump: Pump,
        child: Child,
        budget: Budget,
        mask: Mask | None,
        line_limit_bytes: int,
        tell: Callable[[str, bytes], None],
    ) -> None:
        """Make one; `tell` is given each line as the kind and the body of a record."""
        self._loop = loop
        self._pump = pump
        self._budget = budget
        self._tell = tell
        self._is_closed = False
        self._streams = {
            child.out_fd: Stream("stdout", "info", budget, line_limit_bytes, mask),
            child.err_fd: Stream("stderr", "warning", budget, line_limit_bytes, mask),
        }

    def watch(self) -> None:
        """Read whenever something is printed, from now on."""
        for fd in self._streams:
            os.set_blocking(fd, False)
            self._watch(fd)

    def drain(self, fd: int) -> bool:
        """Take what one of them holds now, bounded; True iff it is open still, and empty.

        The script may be writing all the while.
        """
        os.set_blocking(fd, False)
        for _ in range(2):
            data = read(fd, _READ_BYTES)
            if not data:
                return data is None
            self._print(fd, data)
        return False

    def tell_last_lines(self) -> None:
        """Tell the lines that have no end."""
        for stream in self._streams.values():
            for body in stream.end():
                self._tell("log", body)

    def close(self) -> None:
        """Watch no more; both are still open."""
        self._is_closed = True
        for fd in self._streams:
            self._pump.remove(fd)

    def _read(self, fd: int) -> None:
        data = read(fd, _READ_BYTES)
        if data is None:
            return
        if not data:
            self._pump.remove(fd)
            return
        self._print(fd, data)
        if self._budget.is_spent:
            self._pump.remove(fd)
            self._loop.call_later(_DRAIN_PAUSE_S, self._watch, fd)

    def _watch(self, fd: int) -> None:
        if not self._is_closed:
            self._pump.add(fd, functools.partial(self._read, fd))

    def _print(self, fd: int, data: bytes) -> None:
        """Tell the lines that this completes of what is printed there."""
        for body in self._streams[fd].feed(data):
            self._tell("log", body)


def read(fd: int, limit_bytes: int) -> bytes | None:
    """Return what can be read now: None for nothing yet, empty for the end."""
    try:
        return os.read(fd, limit_bytes)
    except BlockingIOError:
        return None
    except OSError:  # a socket whose other end was cut off with data in it
        return b""
