"""How often a client may call and a script be asked for, and how that is told.

This counts what its own gateway hears; where several share a database, what the others hear is
taken from the same buckets (`zscrape.gateway.sharedlimits`).

Headers: `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers (since its
version 7), and the three fields of the versions before, which more clients know.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Final, Protocol

from zscrape.core.bucket import Buckets, Rate, Verdict
from zscrape.errors.refusals import RateLimited

RATE: Final = "zscrape.rate"  # the name in the ASGI scope under which a verdict is left


class RequestLimiter(Protocol):
    """Counts calls of clients. `rate` is that of whoever has none of its own, if there is one."""

    rate: Rate | None

    def take(self, client_id: str, own: Rate | None = None) -> Verdict | None:
        """Count one call and say what becomes of it; None: there is no limit.

        `own` is the client's rate where its key has one.
        """
        ...


class LocalLimiter:
    """Counts the calls that this gateway hears."""

    def __init__(
        self, rate: Rate | None, clock: Callable[[], float], buckets: Buckets | None = None
    ) -> None:
        self.rate = rate
        self._clock = clock
        self._buckets = Buckets() if buckets is None else buckets

    def take(self, client_id: str, own: Rate | None = None) -> Verdict | None:
        """Count one call and say what becomes of it; None: there is no limit."""
        rate = own or self.rate
        if rate is None:
            return None
        return self._buckets.take(client_id, rate, now=self._clock())


def require(verdict: Verdict | None, what: str = "client") -> None:
    """Refuse a call that came too soon.

    Raises:
        RateLimited: It did; `what` says whose limit it was.
    """
    if verdict is not None and not verdict.is_allowed:
        raise RateLimited(
            what=what,
            limit=f"{verdict.rate.per_s:g}",
            wait_s=max(1, ceil(verdict.next_in_s)),
        )


def rate_headers(verdict: Verdict) -> list[tuple[bytes, bytes]]:
    """Return what tells a client how much it has left."""
    rate, reset_s = verdict.rate, ceil(verdict.full_in_s)
    left = verdict.left_count
    return [
        (b"ratelimit-policy", b'"client";q=%d;w=%d' % (rate.burst_count, rate.window_s)),
        (b"ratelimit", b'"client";r=%d;t=%d' % (left, reset_s)),
        (b"ratelimit-limit", b"%d" % rate.burst_count),
        (b"ratelimit-remaining", b"%d" % left),
        (b"ratelimit-reset", b"%d" % reset_s),
    ]
