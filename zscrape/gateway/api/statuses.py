"""Which HTTP status tells of how a task has ended: one table, read in two ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from zscrape.model import OutcomeCode, TaskState
from zscrape.store.tasks import TaskRow

# Honest HTTP: whose fault an end is. What is not here is the script's: 500.
_STATUS_BY_CODE: Final[Mapping[OutcomeCode, int]] = {
    OutcomeCode.PARAMS_INVALID: 422,
    OutcomeCode.SCRIPT_NOT_FOUND: 404,
    OutcomeCode.VERSION_NOT_FOUND: 404,
    OutcomeCode.ENTRY_POINT_INVALID: 422,
    OutcomeCode.SIGNATURE_INVALID: 422,
    OutcomeCode.SECRET_DENIED: 403,
    OutcomeCode.INTEGRITY_ERROR: 502,
    OutcomeCode.TIMEOUT: 504,
    OutcomeCode.EXPIRED: 504,
    OutcomeCode.CANCELLED: 409,
    OutcomeCode.LOCK_HELD: 409,
    OutcomeCode.SKIPPED_DUE_TO_LOCK: 409,
    OutcomeCode.RATE_LIMITED: 429,
    OutcomeCode.WORKER_LOST: 502,
    OutcomeCode.NO_MATCHING_WORKER: 503,
    OutcomeCode.QUEUE_FULL: 503,
    OutcomeCode.BLOCKED: 502,
    OutcomeCode.CAPTCHA_REQUIRED: 502,
    OutcomeCode.ROBOTS_DISALLOWED: 502,
    OutcomeCode.LOGIN_EXPIRED: 502,
    OutcomeCode.EMPTY_RESULT: 502,
}
# Ends that an envelope tells by its status too: the cluster did not take the task.
_NOT_TAKEN: Final = frozenset(
    {
        OutcomeCode.NO_MATCHING_WORKER,
        OutcomeCode.QUEUE_FULL,
        OutcomeCode.LOCK_HELD,
        OutcomeCode.SKIPPED_DUE_TO_LOCK,
        OutcomeCode.RATE_LIMITED,
    }
)


def envelope_status(row: TaskRow) -> int:
    """Return the status of `POST /scrape`: a task that ran and failed is a 200 as well."""
    if row.status is TaskState.COMPLETED:  # nearly always
        return 200
    if not row.status.is_final:
        return 202
    if row.status is TaskState.TIMED_OUT:
        return 504
    if row.outcome is None or row.outcome.code not in _NOT_TAKEN:
        return 200
    return _STATUS_BY_CODE[row.outcome.code]


def failure_status(row: TaskRow) -> int:
    """Return the status of `POST /v1/scripts/{name}/run` for a task that did not end well."""
    if row.status is TaskState.TIMED_OUT:
        return 504
    code = row.outcome.code if row.outcome is not None else OutcomeCode.INTERNAL
    return _STATUS_BY_CODE.get(code, 500)
