"""When a site may be asked next: never more than its budget, and less once it complains."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from math import inf

import pytest

from zscrape.core.siteline import SiteLine
from zscrape.core.sitepace import (
    CLAIM_KEPT_S,
    CLAIM_LIMIT_COUNT,
    HELD_S,
    PAUSE_LIMIT_S,
    RECOVERY_S,
    SHARE_FLOOR,
    UNTOLD_S,
    SiteState,
    Token,
)
from zscrape.core.sites import pace_of
from zscrape.model import SiteBudget

FIVE = SiteBudget(rate_per_s=5.0)


def take(state: SiteState, name: str, now: float, budget: SiteBudget = FIVE) -> bool:
    """Ask for a token."""
    return state.take(Token(name, "g1", now), budget)


def test_requests_are_spread_over_the_second() -> None:
    """Without a burst the next token is due after its part of a second."""
    state = SiteState()

    assert take(state, "a", 10.0)
    assert not take(state, "b", 10.1)
    assert state.due_at(FIVE, 10.1) == pytest.approx(10.2)
    assert take(state, "b", 10.2)


def test_the_same_token_is_given_again() -> None:
    """A question that is repeated because its answer was lost costs nothing more."""
    state = SiteState()
    take(state, "a", 10.0)

    assert take(state, "a", 10.0)
    assert len(state.tokens) == 1


def test_a_burst_goes_at_once_after_a_rest() -> None:
    """As many as the burst go together, and then none until it has come in again."""
    state, budget = SiteState(), SiteBudget(rate_per_s=1.0, burst_count=3)

    given = [take(state, str(number), 0.0, budget) for number in range(4)]
    for number in range(3):
        state.used(str(number), 0.0)

    assert given == [True, True, True, False]
    assert state.due_at(budget, 0.0) == 3.0


def test_a_request_counts_from_when_it_was_on_its_way() -> None:
    """A request that leaves late pushes back the one that is a second behind it."""
    state = SiteState()
    for number in range(5):
        take(state, str(number), number * 0.2)
        state.used(str(number), number * 0.2 + 0.15)

    assert not take(state, "5", 1.1)
    assert state.due_at(FIVE, 1.1) == pytest.approx(1.15)
    assert take(state, "5", 1.15)


def test_a_token_nobody_tells_of_counts_as_used_late() -> None:
    """Its request may still be on its way; after a while it no longer can be."""
    state, budget = SiteState(), SiteBudget(rate_per_s=1.0)
    take(state, "a", 0.0, budget)

    assert state.due_at(budget, 1.0) == UNTOLD_S + 1.0


def test_a_gap_is_left_after_the_last_request() -> None:
    """With a gap the next one waits that long after the last one was on its way."""
    state, budget = SiteState(), SiteBudget(gap_s=2.0)
    take(state, "a", 0.0, budget)
    state.used("a", 0.5)
    state.used("a", 9.0)
    state.used("unknown", 9.0)

    assert state.due_at(budget, 0.5) == 2.5


def test_open_requests_are_bounded() -> None:
    """A place comes free when its request is over, or when nobody keeps it any more."""
    state, budget = SiteState(), SiteBudget(concurrency_count=2)
    take(state, "a", 0.0, budget)
    take(state, "b", 1.0, budget)

    assert not take(state, "c", 2.0, budget)
    assert state.due_at(budget, 2.0) == HELD_S
    state.close("a", 3.0)
    state.close("unknown", 3.0)
    assert state.open_count(3.0) == 1
    assert take(state, "c", 3.0, budget)


def test_a_gateway_says_which_of_its_requests_go_on() -> None:
    """What it holds is kept, what it no longer names is over, and others' are not its to end."""
    state, budget = SiteState(), SiteBudget(concurrency_count=9)
    for name in ("held", "gone", "closed"):
        take(state, name, 0.0, budget)
    state.close("closed", 0.0)
    state.take(Token("other", "g2", 0.0), budget)

    state.renew("g1", frozenset({"held"}), 20.0)

    assert state.open_count(20.0) == 2
    assert state.open_count(HELD_S) == 1


def test_a_complaint_halves_the_pace_and_rests() -> None:
    """A site that answers 429 is left alone as long as it says, then asked half as often."""
    state = SiteState()
    take(state, "a", 0.0)
    state.complain(429, 1.0, token_id="a", retry_after_s=7.0)

    assert state.due_at(FIVE, 1.0) == 8.0
    assert state.share_now(1.0) == 0.5
    assert state.is_slowed(1.0)
    assert state.complaint_status == 429


def test_requests_from_before_do_not_slow_it_again() -> None:
    """Ten requests on their way when the limit was hit are one mistake, not ten."""
    state, budget = SiteState(), SiteBudget(concurrency_count=9)
    for number in range(9):
        take(state, str(number), 0.0, budget)
    for number in range(9):
        state.complain(503, 1.0 + number / 10, token_id=str(number))

    assert state.share == 0.5


def test_a_site_that_goes_on_complaining_is_asked_ever_less() -> None:
    """The pace falls to a floor, rests grow to a limit, and a wild `Retry-After` is capped."""
    state = SiteState()
    for number in range(20):
        state.complain(429, float(number))

    rested_s = state.paused_until - 19.0
    state.complain(429, 20.0, retry_after_s=inf)
    assert state.share == SHARE_FLOOR
    assert rested_s == 60.0
    assert state.paused_until == 20.0 + PAUSE_LIMIT_S


def test_a_site_recovers_steadily() -> None:
    """The share comes back by and by, and is whole in the end."""
    state = SiteState()
    state.complain(429, 0.0, retry_after_s=-5.0)

    assert state.share_now(RECOVERY_S / 4) == 0.75
    assert state.share_now(RECOVERY_S / 2) == 1.0
    assert not state.is_slowed(RECOVERY_S / 2)


def test_who_waits_is_told_by_each_gateway() -> None:
    """The numbers of all gateways count, those of one that is silent only for a while."""
    state = SiteState()
    state.wait("g1", 3, 0.0)
    state.wait("g2", 2, 10.0)
    state.wait("g3", 1, 10.0)
    state.wait("g3", 0, 11.0)

    assert state.waiting_count(11.0) == 5
    assert state.waiting_count(HELD_S) == 2


def test_claims_hold_for_a_while() -> None:
    """What a script asks for holds while it asks, and a little longer; there is a limit to it."""
    state = SiteState()
    for number in range(CLAIM_LIMIT_COUNT + 5):
        state.claim(f"script{number}", FIVE, 0.0)
    state.claim("script9", SiteBudget(rate_per_s=1.0), 50.0)

    assert len(state.claimed(50.0)) == CLAIM_LIMIT_COUNT
    assert state.claimed(CLAIM_KEPT_S) == [SiteBudget(rate_per_s=1.0)]
    assert state.claimers(CLAIM_KEPT_S) == ("script9",)
    assert not state.is_idle(CLAIM_KEPT_S)
    assert state.is_idle(50.0 + CLAIM_KEPT_S)


@pytest.mark.parametrize("seed", range(30))
def test_random_life_keeps_to_the_budget_and_serves_all(seed: int) -> None:
    """Whatever links, scripts and the site do, the site sees no more than its budget."""
    chance = random.Random(seed)
    budget = SiteBudget(
        rate_per_s=chance.choice([None, 0.5, 2.0, 5.0, 20.0, 150.0]),
        concurrency_count=chance.choice([None, 1, 3]),
        burst_count=chance.choice([None, None, 4]),
        gap_s=chance.choice([None, 0.3]),
    )
    life = Life(chance, budget)
    for _ in range(600):
        life.step()
    life.finish()

    life.check()


class Life:
    """Tasks of two gateways before one site, over links that are late."""

    def __init__(self, chance: random.Random, budget: SiteBudget) -> None:
        self.chance = chance
        self.budget = budget
        self.state = SiteState()
        self.line = SiteLine()
        self.now = 1000.0
        self.count = 0
        self.arrived: list[float] = []
        self.served: Counter[str] = Counter()
        self.way: list[tuple[float, str, str]] = []  # when, what, token
        self.open_peak = 0

    def step(self) -> None:
        """Let a little time pass, and something happen."""
        self.now += self.chance.choice([0.0, 0.001, 0.03, 0.2])
        self._deliver()
        if len(self.line) < 20:
            task = self.chance.choice(["greedy", "greedy", "greedy", "modest"])
            self.line.join(task, f"{task}/{self.count}")
            self.count += 1
        if self.chance.random() < 0.01:
            self.state.complain(429, self.now, retry_after_s=self.chance.choice([None, 0.5]))
        self._serve()

    def finish(self) -> None:
        """Let time pass until nobody waits."""
        while len(self.line):
            due = self.state.due_at(self.budget, self.now)
            soon = min([due, *(when for when, _, _ in self.way)])
            self.now = max(self.now, soon) + 1e-9
            self._deliver()
            self._serve()

    def check(self) -> None:
        """Prove that the site has seen no more than its budget, and that all were served."""
        pace = pace_of(self.budget, 1.0)
        assert sum(self.served.values()) == self.count
        assert self.open_peak <= (self.budget.concurrency_count or self.open_peak)
        assert len(self.state.tokens) <= pace.remembered_count + self.open_peak + 1
        arrived = sorted(self.arrived)
        if pace.arrived is not None:
            count, span_s = pace.arrived
            for first, beyond in zip(arrived, arrived[count:], strict=False):
                assert beyond - first > span_s - 1e-6
        if pace.gap_s:
            for first, second in pairwise(arrived):
                assert second - first > pace.gap_s - 1e-6

    def _serve(self) -> None:
        while (first := self.line.first()) is not None:
            task, token_id = first
            owner = self.chance.choice(["g1", "g2"])
            if not self.state.take(Token(token_id, owner, self.now), self.budget):
                return
            self.line.serve(task, token_id)
            self.served[task] += 1
            sent_at = self.now + self.chance.random() * 0.2
            arrives_at = sent_at + self.chance.random() * 0.1
            ends_at = arrives_at + self.chance.random() * 0.5
            self.arrived.append(arrives_at)
            told_at = self.chance.choice([arrives_at + 0.01, ends_at])
            self.way += [(told_at, "used", token_id), (ends_at, "close", token_id)]
            self.open_peak = max(self.open_peak, self.state.open_count(self.now))

    def _deliver(self) -> None:
        due = sorted(each for each in self.way if each[0] <= self.now)
        self.way = [each for each in self.way if each[0] > self.now]
        for when, what, token_id in due:
            getattr(self.state, "used" if what == "used" else "close")(token_id, when)
