"""Errors of a cluster that will not take it now: the same call may do later."""

from __future__ import annotations

from typing import ClassVar

from zscrape.errors import RefusedError


class QueueFull(RefusedError):
    """Raised when as many tasks wait as the queue may hold."""

    code: ClassVar[str] = "queue_full"
    limit_count: int


class ClientQueueFull(RefusedError):
    """Raised when a client has as many tasks that have not ended as it may have."""

    code: ClassVar[str] = "client_queue_full"
    http_status: ClassVar[int] = 429
    limit_count: int
    is_of_key: bool = False  # the limit of its key, not of the settings

    @property
    def text_key(self) -> str:
        """The words of whose limit it is: each has another way out."""
        return "client_queue_full.key" if self.is_of_key else "client_queue_full"


class RateLimited(RefusedError):
    """Raised when calls come faster than they may. `what` is `client` or `script`."""

    code: ClassVar[str] = "rate_limited"
    http_status: ClassVar[int] = 429
    what: str
    limit: str  # a second
    wait_s: int

    @property
    def text_key(self) -> str:
        """The words of whose limit it is; the bare code is a script's own word."""
        return "rate_limited.script" if self.what == "script" else "rate_limited.client"


class TooManyConnections(RefusedError):
    """Raised when a call comes over a connection beyond the limit."""

    code: ClassVar[str] = "too_many_connections"
    limit_count: int


class Draining(RefusedError):
    """Raised when the gateway is shutting down and takes no new task."""

    code: ClassVar[str] = "draining"
