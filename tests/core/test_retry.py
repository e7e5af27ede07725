"""Retries: which failures, and how long a rest."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from zscrape.core import retry
from zscrape.model import Outcome, OutcomeCode, RetryPolicy


def test_only_named_codes_are_retried() -> None:
    """A policy without tries or without the code never retries."""
    on = frozenset({OutcomeCode.BLOCKED})

    assert retry.is_retryable(RetryPolicy(1, on=on), OutcomeCode.BLOCKED)
    assert not retry.is_retryable(RetryPolicy(1, on=on), OutcomeCode.TIMEOUT)
    assert not retry.is_retryable(RetryPolicy(0, on=on), OutcomeCode.BLOCKED)


@given(st.text(max_size=20), st.integers(1, 100))
def test_rest_is_a_share_of_the_backoff(task_id: str, try_count: int) -> None:
    """The list first, then doubled again and again up to the cap; of that, any share."""
    policy = RetryPolicy(9, (10.0, 100.0), cap_s=300.0)

    rest_s = retry.rest_s(policy, (task_id, try_count), try_count=try_count)

    bases_s = {1: 10.0, 2: 100.0, 3: 200.0}
    assert 0.0 <= rest_s <= bases_s.get(try_count, 300.0)
    assert rest_s == retry.rest_s(policy, (task_id, try_count), try_count=try_count)


@pytest.mark.parametrize(("try_count", "base_s"), [(1, 15), (2, 30), (3, 60), (4, 120), (9, 300)])
def test_rests_are_spread_over_the_whole_backoff(try_count: int, base_s: float) -> None:
    """Tasks that failed together come back evenly over the back-off, by the default policy."""
    names = [f"0192e8b0-{number:04x}-7000-8000-000000000000" for number in range(2_000)]

    rests = [retry.rest_s(RetryPolicy(9), (name, try_count), try_count=try_count) for name in names]

    quarters = [sum(part <= 4 * rest / base_s < part + 1 for rest in rests) for part in range(4)]
    assert all(400 < count < 600 for count in quarters)


def test_attempts_that_took_their_template_are_deadly() -> None:
    """A crash counts as deadly only where more than the script's own process has gone."""
    alone = Outcome(OutcomeCode.CRASHED, fields={"reason": "SIGSEGV"})
    with_template = Outcome(OutcomeCode.CRASHED, fields={"lost_with": "template"})

    assert retry.is_deadly(with_template)
    assert not retry.is_deadly(alone)


def test_rest_differs_between_tasks() -> None:
    """Tasks that failed together do not come back together."""
    policy = RetryPolicy(1, (10.0,))

    rests = {retry.rest_s(policy, (f"t{number}", 1), try_count=1) for number in range(100)}

    assert len(rests) > 90


def test_no_backoff_is_no_rest() -> None:
    """Without a back-off the next try comes at once."""
    assert retry.rest_s(RetryPolicy(1, ()), ("t", 1), try_count=1) == 0.0
