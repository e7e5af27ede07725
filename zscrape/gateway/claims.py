"""What becomes of the due moments of a plan, as a claim; and whether one is still in time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from zscrape.core.misfire import ON_TIME_S, Misfire
from zscrape.gateway.identifiers import new_task_id
from zscrape.gateway.plans import Plan
from zscrape.store.schedules import Claim, Occurrence, OccurrenceStatus

_ENCODE: Final = msgspec.json.Encoder().encode


def claim_of(plan: Plan, now: float, life: str) -> Claim:
    """Return the claim of what is due of a plan, by the life of the gateway that makes it."""
    look = plan.look(now)
    decision = look.decision
    missed = [
        _occurrence(plan.id, due_at, OccurrenceStatus.MISSED, now)
        for due_at in (*look.untold, *decision.missed)
    ]
    if look.untold:
        missed[0].reason = "missed_many"
        until_at = (*decision.missed, *decision.fire)[0]
        missed[0].detail = _ENCODE({"until_at": datetime.fromtimestamp(until_at, UTC)})
    fire = [
        _occurrence(plan.id, due_at, OccurrenceStatus.CLAIMED, now, new_task_id(), life)
        for due_at in decision.fire
    ]
    return Claim(
        schedule_id=plan.id,
        revision=plan.revision,
        cursor_at=look.cursor_at,
        occurrences=(*missed, *fire),
    )


def _occurrence(
    schedule_id: str,
    due_at: float,
    status: OccurrenceStatus,
    at: float,
    task_id: str = "",
    claimer: str = "",
) -> Occurrence:
    return Occurrence(
        schedule_id=schedule_id,
        due_at=due_at,
        status=status,
        at=at,
        task_id=task_id,
        claimer=claimer,
    )


def is_in_time(plan: Plan, occurrence: Occurrence, now: float) -> bool:
    """True iff a claimed moment that nobody has fired may still be fired."""
    allowed_s = ON_TIME_S
    if plan.misfire is not Misfire.SKIP:
        allowed_s = max(allowed_s, plan.kept.asked.misfire_window)
    return now - occurrence.due_at <= allowed_s + plan.table.jitter_s
