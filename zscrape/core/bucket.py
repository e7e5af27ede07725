"""Token buckets: so many calls a second, and so many at once, for each of many callers.

Pure: the clock is a number. A bucket says how many tokens there were at a moment; what has
come in since is reckoned when somebody asks, so a bucket nobody asks costs nothing but its
place, and one that is full again need not be remembered at all.
"""

from __future__ import annotations

from collections import OrderedDict
from math import ceil
from typing import Final

from msgspec import Struct

NAME_LIMIT_COUNT: Final = 10_000
_FORGET_COUNT: Final = 4  # looked at with every new name: memory falls faster than it grows


class Rate(Struct, frozen=True):
    """So many a second, and as many as `burst_count` at once after a rest."""

    per_s: float
    burst_count: int

    @property
    def window_s(self) -> int:
        """Seconds in which an empty bucket fills."""
        return max(1, ceil(self.burst_count / self.per_s))


def rate_of(per_s: float, burst_count: int = 0) -> Rate | None:
    """Return a rate; 0 a second is none, and a burst of 0 is two seconds' worth."""
    if per_s <= 0:
        return None
    return Rate(per_s, burst_count or max(1, ceil(2 * per_s)))


class Verdict(Struct, frozen=True):
    """What becomes of a call, and what its caller may do next."""

    rate: Rate
    is_allowed: bool
    left_count: int
    full_in_s: float  # until nothing is missing
    next_in_s: float  # until one more is allowed; 0.0 iff one is now


class _Bucket(Struct):
    tokens: float
    at: float


class Buckets:
    """One bucket for each name, and no more than `limit_count` of them."""

    def __init__(self, limit_count: int = NAME_LIMIT_COUNT) -> None:
        self._limit_count = limit_count
        self._found: OrderedDict[str, tuple[_Bucket, Rate]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many names are remembered."""
        return len(self._found)

    def take(self, name: str, rate: Rate, *, now: float) -> Verdict:
        """Take a token from the bucket of `name`, if there is one."""
        bucket = self._bucket(name, rate, now)
        is_allowed = bucket.tokens >= 1.0
        if is_allowed:
            bucket.tokens -= 1.0
        missing = rate.burst_count - bucket.tokens
        return Verdict(
            rate=rate,
            is_allowed=is_allowed,
            left_count=max(0, int(bucket.tokens)),
            full_in_s=missing / rate.per_s,
            next_in_s=max(0.0, (1.0 - bucket.tokens) / rate.per_s),
        )

    def settle(self, name: str, tokens: float, *, now: float) -> None:
        """Say how many tokens a bucket really has: others take from it too. Unknown names stay so.

        Less than none is a debt, paid before anybody may take again.
        """
        known = self._found.get(name)
        if known is not None:
            bucket, rate = known
            bucket.tokens, bucket.at = min(tokens, float(rate.burst_count)), now

    def rate_of(self, name: str) -> Rate | None:
        """Return the rate at which a bucket was last asked; None for one that is not known."""
        known = self._found.get(name)
        return None if known is None else known[1]

    def _bucket(self, name: str, rate: Rate, now: float) -> _Bucket:
        known = self._found.get(name)
        if known is None:
            self._forget(now)
            bucket = _Bucket(float(rate.burst_count), now)
        else:
            bucket = known[0]
            self._fill(bucket, rate, now)
        self._found[name] = bucket, rate
        self._found.move_to_end(name)
        return bucket

    def _fill(self, bucket: _Bucket, rate: Rate, now: float) -> None:
        # A clock that has been set back gives nothing, and takes nothing away.
        bucket.tokens += max(0.0, now - bucket.at) * rate.per_s
        bucket.tokens = min(bucket.tokens, float(rate.burst_count))
        bucket.at = now

    def _forget(self, now: float) -> None:
        """Drop what is full again, the longest unused first; and room for one more."""
        for _ in range(min(_FORGET_COUNT, len(self._found))):
            name, (bucket, rate) = next(iter(self._found.items()))
            self._fill(bucket, rate, now)
            if bucket.tokens < rate.burst_count and len(self._found) < self._limit_count:
                return
            del self._found[name]
