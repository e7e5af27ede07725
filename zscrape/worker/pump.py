"""Many descriptors behind one: the readiness of every child in a single epoll set.

An attempt has three descriptors of its own. Registering each with the event loop costs more
than the system calls behind it; one nested epoll descriptor is registered once, works the
same under asyncio and uvloop, and adding to it is one cheap call.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable

_BATCH_COUNT = 64  # bounds one turn, so that the loop's other work is never far away


class Pump:
    """Calls back when a descriptor can be read (or, when asked, written).

    A callback must bear being called with nothing to read: a descriptor may have been closed
    and its number given away within the same turn.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        loop.add_reader(self._epoll.fileno(), self._ready)

    def add(self, fd: int, callback: Callable[[], None]) -> None:
        """Call `callback`, and nothing else, whenever `fd` can be read, until it is removed."""
        if fd not in self._callbacks:
            self._epoll.register(fd, select.EPOLLIN)
        self._callbacks[fd] = callback

    def watch_writing(self, fd: int, is_wanted: bool) -> None:
        """Call back also when `fd` can be written, or no longer so."""
        self._epoll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if is_wanted else 0))

    def remove(self, fd: int) -> None:
        """Forget `fd`; it must still be open."""
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def close(self) -> None:
        """Forget everything. The descriptors stay open: they are their owners'."""
        self._loop.remove_reader(self._epoll.fileno())
        self._callbacks.clear()
        self._epoll.close()

    def _ready(self) -> None:
        for fd, _events in self._epoll.poll(0, _BATCH_COUNT):
            callback = self._callbacks.get(fd)
            if callback is not None:
                callback()
