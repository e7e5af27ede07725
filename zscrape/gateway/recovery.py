"""After a restart: every task that had not ended is taken up, adopted or ended."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct

from zscrape.core.history import History
from zscrape.gateway.ledger import Ledger
from zscrape.model import (
    IN_FLIGHT_STATES,
    HeartbeatPolicy,
    LockRequest,
    OutcomeCode,
    Overlap,
    Pin,
    RunSpec,
    TaskId,
    TaskSpec,
    TaskState,
    WorkerId,
)
from zscrape.store.records import decode_spec
from zscrape.store.sql import SqlTaskStore, Taken
from zscrape.store.tasks import TaskRow


class Restorer(Protocol):
    """What recovery needs of the router."""

    def restore(
        self, spec: TaskSpec, *, attempt: int, worker_id: WorkerId | None, history: History
    ) -> None:
        """Take up a task from before a restart."""
        ...

    def restore_lock(self, key: str, holder: TaskId) -> None:
        """Hold a key whose holder ended just before a restart."""
        ...


class Recovered(Struct, frozen=True):
    """What became of the tasks of the process before."""

    queued_count: int
    running_count: int  # as far as was known
    ended_count: int  # nobody waits for them any more
    damaged_count: int

    @property
    def is_empty(self) -> bool:
        """True iff there was none."""
        return not any(msgspec.structs.astuple(self))


async def recover(
    store: SqlTaskStore,
    router: Restorer,
    ledger: Ledger,
    heartbeat: HeartbeatPolicy,
    *,
    clock: Callable[[], float] = time.time,
    seqs: Sequence[int] | None = None,
    is_shared: bool = False,
) -> Recovered:
    """Take up what the store has; to be called before the router listens.

    Workers that dial in afterwards say what they run and which outcomes they have; that is
    adopted. What none of them has within a lease and its margin is queued again. Where the
    database `is_shared` by several gateways, workers are asked for attempts that another one
    may have sent; with `seqs` the tasks at these places are taken up, a dead gateway's.

    Raises:
        StorageError: The database cannot be read.
    """
    # Nothing that is made here is garbage: looking for it among so many was half the time.
    gc.disable()
    try:
        return await _recover(store, router, ledger, heartbeat, clock(), seqs, is_shared)
    finally:
        gc.enable()


async def _recover(
    store: SqlTaskStore,
    router: Restorer,
    ledger: Ledger,
    heartbeat: HeartbeatPolicy,
    now: float,
    seqs: Sequence[int] | None,
    is_shared: bool,
) -> Recovered:
    # What can fail comes first: then it may be tried again.
    since = now - heartbeat.lease_s - heartbeat.margin_s
    ended = await store.ended_since(since) if seqs is None else []
    taken, damaged_count = await store.take_up(now, seqs)
    in_flight = [
        each for each in taken if each.row.status in IN_FLIGHT_STATES and each.row.worker_id
    ]
    # What waits for a person without an attempt holds its lock: it comes before those that wait.
    parked = [each for each in taken if _is_parked(each)]
    waiting = [
        each
        for each in taken
        if each.row.status not in IN_FLIGHT_STATES
        or (not each.row.worker_id and not _is_parked(each))
    ]
    for each in in_flight:
        _open(ledger, each)
        _restore(router, each, each.row.worker_id, now, is_adopted=is_shared)
    for each in parked:
        _open(ledger, each)
        _restore(router, each, None, now)
    _restore_locks(router, ended)
    ended_count = 0
    for each in waiting:
        _open(ledger, each)
        if each.spec is None:
            ledger.abandon(each.row)
            ended_count += 1
        else:
            _restore(router, each, None, now)
    queued_count = len(waiting) + len(parked) - ended_count
    return Recovered(queued_count, len(in_flight), ended_count, damaged_count)


def _is_parked(taken: Taken) -> bool:
    row = taken.row
    is_waiting = row.status is TaskState.WAITING and not row.worker_id
    return is_waiting and bool(row.handoff) and taken.spec is not None


def _open(ledger: Ledger, taken: Taken) -> None:
    if taken.spec is None:
        ledger.open_orphan(taken.row)
    else:
        ledger.open(taken.row)


def _restore(
    router: Restorer,
    taken: Taken,
    worker_id: WorkerId | None,
    now: float,
    *,
    is_adopted: bool = False,
) -> None:
    row = taken.row
    is_last = taken.spec is None
    spec = _spec_of(row) if taken.spec is None else decode_spec(taken.spec, row)
    history = History(
        age_s=max(0.0, now - row.created_at),
        received_count=row.received_count,
        try_count=row.try_count,
        lost_count=row.lost_count,
        rest_s=max(0.0, (row.next_retry_at or 0.0) - now),
        last_code=_code(row.last_error),
        is_last=is_last,
        is_adopted=is_adopted,
        parked_on=row.handoff if _is_parked(taken) else "",
    )
    router.restore(spec, attempt=row.attempts, worker_id=worker_id, history=history)


def _spec_of(row: TaskRow) -> TaskSpec:
    """Return as much of a spec as an attempt needs that is only to be heard to its end."""
    pin = Pin(row.repository, row.script_name, row.version, row.digest)
    lock = LockRequest(row.lock_key, row.overlap) if row.lock_key else None
    return TaskSpec(
        id=row.id, run=RunSpec(pin), priority=row.priority, lock=lock, trace_id=row.trace_id
    )


def _code(value: str) -> OutcomeCode | None:
    if not value:  # nearly always; being told by an exception is dear
        return None
    try:
        return OutcomeCode(value)
    except ValueError:
        return None


def _restore_locks(router: Restorer, ended: Iterable[TaskRow]) -> None:
    """Hold the keys of attempts that may go on although their tasks have ended."""
    for row in ended:
        if row.lock_key and row.overlap is not Overlap.ALLOW and row.attempts:
            router.restore_lock(row.lock_key, row.id)
