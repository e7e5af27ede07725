"""The two seams of `ctx.http`: who is asked before a request goes out, and who is told of it.

A `Gate` stands before every request that reaches the network, each redirect and each retry
included: it waits until the site may be asked, and hears how the site answered. A `Recorder`
hears each exchange once its body is read. A `Tape` answers in place of the network.

Standard library only; nothing here is imported by a child that does not use `ctx.http`.
"""

from __future__ import annotations

import threading
import time
from typing import NamedTuple, Protocol


class Exchange(NamedTuple):
    """One question to a site and its answer."""

    method: str
    url: str
    request_headers: list[tuple[str, str]]
    request_body: bytes  # empty if it was streamed
    status: int  # 0: there was no answer, and `error` says why
    headers: list[tuple[str, str]]  # as they came: they may tell of a compression
    body: bytes  # decompressed
    is_cut: bool  # there was more of the answer than `body`
    error: str
    elapsed_s: float


# A site that answers so, or tells when to come again, is asked too much.
_COMPLAINTS = (429, 503)


def is_complaint(status: int, retry_after: object) -> bool:
    """True iff an answer slows the whole cluster; `retry_after`: what it says of that, or None."""
    return status in _COMPLAINTS or retry_after is not None


class Gate(Protocol):
    """Who says when a site may be asked. Methods are called from several threads at once."""

    def prepare(self) -> None:
        """Learn what is the same for all sites, so that the first one need not wait for it."""

    def before(self, url: str) -> None:
        """Wait until `url` may be asked; what is raised here ends the request."""

    def after(self, url: str, status: int, retry_after_s: float | None) -> None:
        """Hear the end of what `before` has let pass: called once for each, its body read.

        It may take its time only if the answer is a complaint.

        Args:
            url: As `before` had it.
            status: The HTTP status, 0 if there was no answer.
            retry_after_s: What the site's `Retry-After` asks for.
        """

    def robots(self, origin: str) -> str | None:
        """Return the site's robots.txt, empty if it has none; None: fetch it yourself.

        Args:
            origin: Scheme, host and port, such as `https://example.com`.
        """

    def wants_gap(self, origin: str, gap_s: float) -> None:
        """Hear of the `Crawl-delay` of a site, once, before the first page of it is asked."""


class Recorder(Protocol):
    """Who keeps what was asked and answered."""

    body_limit_bytes: int  # of each body; what is beyond is cut

    def note(self, exchange: Exchange) -> None:
        """Keep one exchange."""


class Tape(Protocol):
    """Who answers in place of the network."""

    def answer(self, method: str, url: str, body: bytes) -> Exchange | None:
        """Return what was answered then; None: ask the network. May raise to refuse."""


class LocalGate:
    """The gate of an attempt that has nobody to ask: it only heeds `Crawl-delay`, by itself."""

    def __init__(self, ends_at: float) -> None:
        self.ends_at = ends_at  # monotonic seconds
        self._gaps_s: dict[str, float] = {}  # by origin
        self._free_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Do nothing: there is nobody to ask."""

    def before(self, url: str) -> None:
        """Wait until the site's gap is over, at most until the attempt's end."""
        if not self._gaps_s:
            return
        origin = origin_of(url)
        gap_s = self._gaps_s.get(origin)
        if gap_s is None:
            return
        with self._lock:
            now = time.monotonic()
            turn_at = max(self._free_at.get(origin, now), now)
            self._free_at[origin] = turn_at + gap_s
        # The script's own process, waiting on its own time.
        time.sleep(max(min(turn_at, self.ends_at) - now, 0.0))  # noqa: TID251

    def after(self, url: str, status: int, retry_after_s: float | None) -> None:
        """Do nothing: nobody else asks this site through us."""

    def robots(self, origin: str) -> str | None:
        """Know nothing."""
        return None

    def wants_gap(self, origin: str, gap_s: float) -> None:
        """Leave `gap_s` between the starts of two requests."""
        self._gaps_s[origin] = gap_s


def origin_of(url: str) -> str:
    """Return scheme, host and port of an address, in lower case."""
    scheme, _, rest = url.partition("://")
    for each in "/?#":
        rest = rest.partition(each)[0]
    return f"{scheme}://{rest.rpartition('@')[2]}".lower()
