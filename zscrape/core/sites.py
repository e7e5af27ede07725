"""Site budgets: which one holds for an address, and what is left of it while a site complains.

Budgets come from three places. What an operator has set for a site replaces all else. Where
none is set, the strictest of all that is asked holds, number by number: what the manifests of
the scripts that ask there want, the gap of the site's robots.txt, and the operator's default
for every site (`*`). A manifest may say `*`, too, for each site that it does not name.

A budget for `example.com` is one for all of its hosts together; the longest name that fits an
address is its site. A site without a budget is its host.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from math import ceil
from typing import Final

from msgspec import Struct

from zscrape.model import SiteBudget

_LABEL_LIMIT_COUNT: Final = 64
# Faster budgets are kept in parts of a second, each of no more than this many.
_WINDOW_LIMIT_COUNT: Final = 100


class Pace(Struct, frozen=True):
    """What a budget comes to at one moment: so many in each of several spans, and so many open.

    `spans` are pairs (count, seconds): in no span of so many seconds are there more than so
    many. The first spreads what is sent, the second bounds what arrives.
    """

    sent: tuple[int, float] | None = None
    arrived: tuple[int, float] | None = None
    gap_s: float = 0.0
    open_count: int | None = None

    @property
    def remembered_count(self) -> int:
        """How many of the last requests must be remembered to keep to this."""
        return max(1, *(span[0] for span in (self.sent, self.arrived) if span is not None), 1)


def pace_of(budget: SiteBudget, share: float) -> Pace:
    """Return what `share`, up to 1.0, of a budget comes to."""
    sent = arrived = None
    if budget.rate_per_s is not None:
        rate_per_s = budget.rate_per_s * share
        burst_count = budget.burst_count or 1
        sent = burst_count, burst_count / rate_per_s
        arrived = _window(rate_per_s, burst_count)
    open_count = budget.concurrency_count
    return Pace(
        sent=sent,
        arrived=arrived,
        gap_s=(budget.gap_s or 0.0) / share,
        open_count=None if open_count is None else max(1, int(open_count * share)),
    )


def _window(rate_per_s: float, burst_count: int) -> tuple[int, float]:
    """Return how many may arrive in which span: of whole rates, so many in any second."""
    if rate_per_s <= _WINDOW_LIMIT_COUNT:
        count = max(int(rate_per_s), burst_count, 1)
        return count, count / rate_per_s
    parts = ceil(rate_per_s / _WINDOW_LIMIT_COUNT)
    count = max(int(rate_per_s / parts), burst_count)
    return count, max(1.0 / parts, count / rate_per_s)


def strictest(budgets: Iterable[SiteBudget]) -> SiteBudget | None:
    """Return what keeps to all of these budgets; None if there is none."""
    found = list(budgets)
    if not found:
        return None
    bursts = [each.burst_count or 1 for each in found if each.rate_per_s is not None]
    return SiteBudget(
        rate_per_s=min((x.rate_per_s for x in found if x.rate_per_s is not None), default=None),
        concurrency_count=min(
            (x.concurrency_count for x in found if x.concurrency_count is not None), default=None
        ),
        burst_count=min(bursts, default=None),
        gap_s=max((x.gap_s for x in found if x.gap_s is not None), default=None),
    )


def site_of(host: str, names: Container[str]) -> str | None:
    """Return the longest of `names` that fits a host, which may have a port; None if none does."""
    bare = bare_host(host)
    if host in names:
        return host
    name = bare
    for _ in range(_LABEL_LIMIT_COUNT):
        if name in names:
            return name
        name = name.partition(".")[2]
        if not name:
            return None
    return None


def bare_host(host: str) -> str:
    """Return a host without its port."""
    head, colon, port = host.rpartition(":")
    return head if colon and port.isdigit() else host
