"""Whether a failed attempt is tried again, and after how long a rest."""

from __future__ import annotations

from zlib import crc32

from zscrape.model import Attempt, OutcomeCode, RetryPolicy

# Tasks that failed together must not come back together (the thundering herd).
_JITTER_SHARE = 0.2


def is_retryable(policy: RetryPolicy, code: OutcomeCode) -> bool:
    """True iff `policy` would try again after `code`, were there tries left."""
    return policy.max_count > 0 and code in policy.on


def rest_s(policy: RetryPolicy, attempt: Attempt, *, try_count: int) -> float:
    """Return how long to rest after the `try_count`-th try, 1 and up.

    The spread is up to a fifth either way, drawn from the attempt's own name: nothing random
    in here, and yet no two tasks alike.
    """
    if not policy.backoff_s:
        return 0.0
    base_s = policy.backoff_s[min(try_count, len(policy.backoff_s)) - 1]
    task_id, number = attempt
    share = crc32(f"{task_id}:{number}".encode()) / 0xFFFFFFFF  # 0 to 1
    return min(policy.cap_s, base_s * (1 + _JITTER_SHARE * (2 * share - 1)))
