"""What a serving verb tells the service manager that has started it (sd_notify(3)).

systemd hands a datagram socket to a unit of `Type=notify`, and with `WatchdogSec=` the time
within which it wants to hear again. The beats come from the event loop that does the work: one
that hangs falls silent, and is started anew. Without a manager nothing is told to nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Coroutine, Iterator, MutableMapping
from typing import Any, Final, TypeVar

from zscrape.log import get_logger

_BEATS_PER_LIMIT: Final = 3  # two may come late on a machine that is busy
_USEC: Final = 1_000_000

T = TypeVar("T")


class Systemd:
    """The service manager, if there is one.

    Args:
        address: Its socket: a path, or `@` and an abstract name. Empty: there is none.
        watchdog_s: The silence after which it takes this process for hung; 0.0: it does not.
    """

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = watchdog_s
        self._has_failed = False

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> Systemd:
        """Return the one that the environment names, and leave nothing of it to children."""
        address = environ.pop("NOTIFY_SOCKET", "")
        watchdog, meant = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        is_ours = not meant or meant == str(os.getpid())
        if not address.startswith(("/", "@")):  # vsock and the like: not of this machine
            return cls()
        limit_s = int(watchdog) / _USEC if watchdog.isdigit() and is_ours else 0.0
        return cls(address, limit_s)

    def ready(self, status: str) -> None:
        """Tell that the service has started, and how it is."""
        self._tell("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """Tell in a line how the service is."""
        self._tell(f"STATUS={status}")

    def stopping(self) -> None:
        """Tell that the service ends: it drains."""
        self._tell("STOPPING=1", "STATUS=draining")

    async def watch(self, serving: Coroutine[Any, Any, T]) -> T:
        """Serve, and beat meanwhile as often as the manager wants to hear."""
        with self._beating():
            return await serving

    @contextlib.contextmanager
    def _beating(self) -> Iterator[None]:
        if not (self._address and self.watchdog_s):
            yield
            return
        beating = asyncio.get_running_loop().create_task(self._beat(), name="watchdog")
        try:
            yield
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        while True:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / _BEATS_PER_LIMIT)

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as out:
                out.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            if not self._has_failed:  # every beat would say it
                self._has_failed = True
                reason = error.strerror or str(error)
                get_logger().warning("systemd_unreachable", reason=reason)
