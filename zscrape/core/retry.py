"""Whether a failed attempt is tried again, and after how long a rest."""

from __future__ import annotations

from zlib import crc32

from zscrape.model import Attempt, Outcome, OutcomeCode, RetryPolicy

# Far beyond any cap, and far from what a float cannot hold.
_DOUBLING_LIMIT_COUNT = 60


def is_retryable(policy: RetryPolicy, code: OutcomeCode) -> bool:
    """True iff `policy` would try again after `code`, were there tries left."""
    return policy.max_count > 0 and code in policy.on


def is_deadly(outcome: Outcome) -> bool:
    """True iff the attempt took what it ran in with it: it may do so again elsewhere."""
    return outcome.code is OutcomeCode.CRASHED and "lost_with" in outcome.fields


def rest_s(policy: RetryPolicy, attempt: Attempt, *, try_count: int) -> float:
    """Return how long to rest after the `try_count`-th try, 1 and up.

    The back-off is the policy's list, then doubles; the cap bounds it, and of what is left a
    share of 0 to 1 is taken ("full jitter": tasks that failed together must not come back
    together, and spreading over the whole span drains a herd fastest). The share is drawn
    from the attempt's own name: nothing is random in here, and yet no two tasks are alike,
    since the ids that come from the shell are random.

    Source: AWS Architecture Blog, "Exponential Backoff And Jitter" (2015).
    """
    if not policy.backoff_s:
        return 0.0
    doubling_count = min(max(0, try_count - len(policy.backoff_s)), _DOUBLING_LIMIT_COUNT)
    base_s = policy.backoff_s[min(try_count, len(policy.backoff_s)) - 1] * 2.0**doubling_count
    task_id, number = attempt
    share = crc32(f"{task_id}:{number}".encode()) / 0xFFFFFFFF  # 0 to 1
    return min(policy.cap_s, base_s) * share
