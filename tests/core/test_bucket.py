"""Token buckets: never more than the rate, whatever the clock and the callers do."""

from __future__ import annotations

import random

import pytest

from zscrape.core.bucket import Buckets, Rate, rate_of


def test_a_burst_and_then_the_rate() -> None:
    """As many as the burst are let through at once, then one each time a token has come in."""
    buckets, rate = Buckets(), Rate(2.0, 3)

    first = [buckets.take("a", rate, now=0.0).is_allowed for _ in range(4)]
    later = [buckets.take("a", rate, now=0.5 * step).is_allowed for step in (1, 2, 3)]

    assert first == [True, True, True, False]
    assert later == [True, True, True]


def test_a_verdict_says_when_to_come_again() -> None:
    """Who is refused learns when the next call is allowed, and when all are."""
    buckets, rate = Buckets(), Rate(0.5, 2)
    buckets.take("a", rate, now=0.0)
    buckets.take("a", rate, now=0.0)

    refused = buckets.take("a", rate, now=1.0)

    assert (refused.is_allowed, refused.left_count) == (False, 0)
    assert (refused.next_in_s, refused.full_in_s) == (1.0, 3.0)
    assert buckets.take("a", rate, now=2.0).is_allowed


def test_clients_do_not_pay_for_each_other() -> None:
    """Each name has a bucket of its own."""
    buckets, rate = Buckets(), Rate(1.0, 1)
    buckets.take("a", rate, now=0.0)

    assert buckets.take("b", rate, now=0.0).is_allowed


def test_a_clock_set_back_gives_nothing() -> None:
    """Time that runs backwards neither fills nor empties."""
    buckets, rate = Buckets(), Rate(1.0, 1)
    buckets.take("a", rate, now=100.0)

    assert not buckets.take("a", rate, now=50.0).is_allowed
    assert buckets.take("a", rate, now=51.0).is_allowed


def test_memory_is_bounded() -> None:
    """However many names come, no more than the limit are remembered; full ones go first."""
    buckets, rate = Buckets(limit_count=100), Rate(1.0, 5)
    for number in range(10_000):
        buckets.take(f"client {number}", rate, now=number / 1000)

    assert len(buckets) <= 100

    for number in range(60):
        buckets.take(f"late {number}", rate, now=1000.0)
    assert len(buckets) <= 60


@pytest.mark.parametrize("seed", range(5))
def test_never_more_than_the_rate(seed: int) -> None:
    """In any stretch of time no more is let through than the burst and the rate allow."""
    chance = random.Random(seed)
    buckets, rate, now = Buckets(), Rate(5.0, 7), 0.0
    allowed: list[float] = []
    for _ in range(2_000):
        now += chance.choice((0.0, 0.01, 0.1, 0.5))
        if buckets.take("a", rate, now=now).is_allowed:
            allowed.append(now)

    for first in range(0, len(allowed), 50):
        for last in range(first, min(first + 200, len(allowed))):
            assert last - first + 1 <= 7 + 5.0 * (allowed[last] - allowed[first]) + 1e-6


def test_no_rate_is_no_limit() -> None:
    """Nothing a second means that nobody counts; a burst is two seconds' worth by itself."""
    assert rate_of(0.0) is None
    assert rate_of(2.5) == Rate(2.5, 5)
    assert rate_of(0.1) == Rate(0.1, 1)
    assert Rate(2.0, 10).window_s == 5


def test_what_others_have_taken_is_a_debt() -> None:
    """A bucket that is shared is worth what all have left of it; an unknown one stays unknown."""
    buckets, rate = Buckets(), Rate(1.0, 5)
    buckets.take("a", rate, now=0.0)
    buckets.settle("a", -2.0, now=0.0)
    buckets.settle("nobody", 3.0, now=0.0)

    assert not buckets.take("a", rate, now=2.5).is_allowed
    assert buckets.take("a", rate, now=3.5).is_allowed
    assert buckets.rate_of("a") == rate
    assert buckets.rate_of("nobody") is None
    assert len(buckets) == 1
