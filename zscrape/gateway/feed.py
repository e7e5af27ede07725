"""The overview as it changes: made once for all who watch, and less often the more they are.

Whoever watches waits for one future, and is woken with bytes that are ready to be sent. What
many open pages cost is therefore their sending alone, and that is bounded by coalescing: the
time between two events grows with the number of those that each of them goes to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from zscrape.gateway.events import ANY, EventHub

_SHORTEST_S: Final = 0.5  # between two events, however much happens
# Sending one takes a tenth of a millisecond: all of them together take a fiftieth of the time.
_EACH_S: Final = 0.005
_LONGEST_S: Final = 2.0  # what no news tells of: other gateways, workers that come and go


class Feed:
    """What is told to all who watch; lives in one event loop."""

    def __init__(self, hub: EventHub) -> None:
        self._hub = hub
        self._viewer_count = 0
        self._maker: asyncio.Task[None] | None = None
        self._next: asyncio.Future[bytes] | None = None

    @contextmanager
    def joined(self, make: Callable[[], Awaitable[bytes]]) -> Iterator[None]:
        """Watch; `make` returns a new reading. It is the first one's that is used."""
        self._viewer_count += 1
        if self._maker is None:
            self._maker = asyncio.create_task(self._follow(make), name="overview feed")
        try:
            yield
        finally:
            self._viewer_count -= 1
            if not self._viewer_count and self._maker is not None:
                self._maker.cancel()
                self._maker = None

    def next(self) -> asyncio.Future[bytes]:
        """Return what is done with the next event; it is empty when the gateway closes.

        It fails with what `make` has raised: after that, who still watches joins anew.
        """
        if self._next is None or self._next.done():
            self._next = asyncio.get_running_loop().create_future()
        return self._next

    async def _follow(self, make: Callable[[], Awaitable[bytes]]) -> None:
        loop = asyncio.get_running_loop()
        while not self._hub.is_closed:
            news = self._hub.news.watch(ANY)  # before the look: what comes meanwhile is not missed
            try:
                self._tell(b"event: overview\ndata: %s\n\n" % await make())
                rest_s = _SHORTEST_S + _EACH_S * self._viewer_count
                ends_at = loop.time() + max(_LONGEST_S, rest_s)
                await asyncio.sleep(rest_s)
                await asyncio.wait((news,), timeout=max(0.0, ends_at - loop.time()))
            except Exception as error:  # noqa: BLE001 - it is told to those who watch
                self._fail(error)
                return
            finally:
                self._hub.news.forget(ANY, news)
        self._tell(b"")

    def _tell(self, frame: bytes) -> None:
        if self._next is not None and not self._next.done():
            self._next.set_result(frame)

    def _fail(self, error: Exception) -> None:
        self._maker = None
        if self._next is not None and not self._next.done():
            self._next.set_exception(error)
            self._next.exception()  # those who wait are told; nobody may
