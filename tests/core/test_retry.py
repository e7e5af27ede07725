"""Retries: which failures, and how long a rest."""

from __future__ import annotations

from hypothesis import given, strategies as st

from zscrape.core import retry
from zscrape.model import OutcomeCode, RetryPolicy


def test_only_named_codes_are_retried() -> None:
    """A policy without tries or without the code never retries."""
    on = frozenset({OutcomeCode.BLOCKED})

    assert retry.is_retryable(RetryPolicy(1, on=on), OutcomeCode.BLOCKED)
    assert not retry.is_retryable(RetryPolicy(1, on=on), OutcomeCode.TIMEOUT)
    assert not retry.is_retryable(RetryPolicy(0, on=on), OutcomeCode.BLOCKED)


@given(st.text(max_size=20), st.integers(1, 20))
def test_rest_is_the_backoff_spread_by_a_fifth_and_capped(task_id: str, try_count: int) -> None:
    """The last value repeats; the spread is up to a fifth either way; the cap is hard."""
    policy = RetryPolicy(9, (10.0, 100.0), cap_s=110.0)

    rest_s = retry.rest_s(policy, (task_id, try_count), try_count=try_count)

    base_s = 10.0 if try_count == 1 else 100.0
    assert base_s * 0.8 <= rest_s <= min(110.0, base_s * 1.2)
    assert rest_s == retry.rest_s(policy, (task_id, try_count), try_count=try_count)


def test_rest_differs_between_tasks() -> None:
    """Tasks that failed together do not come back together."""
    policy = RetryPolicy(1, (10.0,))

    rests = {retry.rest_s(policy, (f"t{number}", 1), try_count=1) for number in range(100)}

    assert len(rests) > 90


def test_no_backoff_is_no_rest() -> None:
    """Without a back-off the next try comes at once."""
    assert retry.rest_s(RetryPolicy(1, ()), ("t", 1), try_count=1) == 0.0
