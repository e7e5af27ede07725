"""Tasks of this gateway from acceptance to their answer.

Requests come in by `prepare` and `accept`; what the dispatcher decides comes back by `apply`,
in the loop's thread and sometimes before `accept` has returned. Nothing here waits for a
database on the way of an answer, and nothing polls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from zscrape.config.settings import ScriptDefaults
from zscrape.core.bucket import Buckets
from zscrape.core.effects import DispatcherEffect
from zscrape.core.snapshots import Explanation
from zscrape.errors import ScriptError
from zscrape.errors.requests import NotFound
from zscrape.errors.scripts import VersionInvalid
from zscrape.gateway.acceptance import Acceptance, Gate
from zscrape.gateway.elsewhere import Elsewhere, Nowhere
from zscrape.gateway.events import EventHub
from zscrape.gateway.intake import (
    ClientLimit,
    Intake,
    Origin,
    Prepared,
    TaskPolicy,
    no_limit,
    refuse_secrets,
)
from zscrape.gateway.ledger import (
    EndListener,
    InvalidListener,
    Ledger,
    ParkedListener,
    StoredListener,
    let_pass,
    tell_nobody,
)
from zscrape.gateway.recovery import Recovered, Restorer, recover
from zscrape.gateway.taskrouter import TaskRouter
from zscrape.model import FINAL_STATES, HeartbeatPolicy, RunSpec, TaskId, TaskState
from zscrape.scripts.catalogue import Catalogue
from zscrape.store.sql import SqlTaskStore
from zscrape.store.tasks import DURABLE_ORIGINS, TaskRow, TaskStore

__all__ = ["Origin", "Prepared", "TaskPolicy", "TaskRouter", "TaskService"]


_FAULT_LOOK_S: Final = 0.5  # between looks at a disk that takes its time
_CANCEL_KEPT_S: Final = 2.0  # a disk that refuses is no reason to let a person wait


class TaskService:
    """Accepts tasks, follows them, and answers those who wait for them."""

    def __init__(
        self,
        *,
        router: TaskRouter,
        catalogue: Catalogue,
        store: TaskStore,
        hub: EventHub,
        policy: TaskPolicy | None = None,
        defaults: Mapping[str, ScriptDefaults] | None = None,
        clock: Callable[[], float] = time.time,
        on_invalid: InvalidListener = tell_nobody,
        on_end: EndListener = let_pass,
        on_stored: StoredListener | None = None,
        check_secrets: Callable[[RunSpec], None] = refuse_secrets,
        script_buckets: Buckets | None = None,
        limit_of: ClientLimit = no_limit,
    ) -> None:
        self.elsewhere: Elsewhere = Nowhere()
        self._router = router
        self._store = store
        self._hub = hub
        self._clock = clock
        self._intake = Intake(
            catalogue=catalogue,
            policy=policy or TaskPolicy(),
            defaults=defaults or {},
            clock=clock,
            check_secrets=check_secrets,
            buckets=script_buckets,
            limit_of=limit_of,
        )
        self._ledger = Ledger(
            store=store,
            hub=hub,
            clock=clock,
            on_invalid=on_invalid,
            on_end=on_end,
            on_stored=on_stored,
        )
        self._acceptance = Acceptance(
            router=router, store=store, hub=hub, ledger=self._ledger, clock=clock, on_end=on_end
        )
        # Under the names by which callers know them: a call less on the way of every task.
        self.prepare = self._intake.prepare
        self.prepare_at_once = self._intake.prepare_at_once
        self.accept = self._acceptance.accept
        self.accept_at_once = self._acceptance.accept_at_once
        self.accept_many = self._acceptance.accept_many
        self.reattach = self._acceptance.reattach
        self.reused = self._acceptance.reused
        self.fail = self._acceptance.fail
        self.apply: Callable[[DispatcherEffect], None] = self._ledger.apply
        self.appliers = self._ledger.appliers  # the same, by the kind of a fact

    async def recover(
        self,
        store: SqlTaskStore,
        router: Restorer,
        heartbeat: HeartbeatPolicy,
        *,
        seqs: Sequence[int] | None = None,
        is_shared: bool = False,
    ) -> Recovered:
        """Take up the tasks of the process before; to be called before the router listens.

        With `seqs` those at these places, which were a dead gateway's; at any time.

        Raises:
            StorageError: The database cannot be read.
        """
        return await recover(
            store,
            router,
            self._ledger,
            heartbeat,
            clock=self._clock,
            seqs=seqs,
            is_shared=is_shared,
        )

    def drop_all(self) -> None:
        """Let go of every task: another gateway has them. Who waits for one looks there."""
        self._ledger.close_all()

    def live(self, task_id: TaskId) -> TaskRow | None:
        """Return a task that this gateway looks after and that has not ended."""
        return self._ledger.get(task_id)

    @property
    def live_count(self) -> int:
        """How many tasks have not ended."""
        return self._ledger.live_count

    def enter_by(self, gate: Gate) -> None:
        """Take tasks in by this gate from now on: other gateways share the database."""
        self._acceptance.gate = gate

    # ---- looking and ending ----------------------------------------------------------

    async def get(self, task_id: TaskId) -> TaskRow:
        """Return a task.

        Raises:
            NotFound: It is not known (any more).
        """
        row = self._ledger.get(task_id) or await self._store.get(task_id)
        if row is None:
            raise NotFound(kind="task", name=task_id[:80])
        return row

    async def cancel(self, task_id: TaskId) -> TaskRow:
        """End a task, gracefully then by force; one that has ended stays as it is.

        Raises:
            NotFound: It is not known (any more).
        """
        row = await self.get(task_id)
        if not row.status.is_final and self._ledger.get(task_id) is None:
            await self.elsewhere.cancel(row)
        elif not row.status.is_final:
            self._router.cancel(task_id)
            kept = self._store.kept(task_id, is_urgent=True)
            if kept is not None:  # else a restart would take it up again
                await asyncio.wait((kept,), timeout=_CANCEL_KEPT_S)
        return row

    def explain(self, row: TaskRow) -> Explanation:
        """Say why a task waits, where it is, or how it ended."""
        if row.status is TaskState.WAITING:
            fields = {"handoff": row.handoff, "worker_id": row.worker_id or "-"}
            return Explanation(reason="person", fields={"attempt": row.attempts, **fields})
        found = None if row.status.is_final else self._router.explain(row.id)
        if found is not None:
            return found
        if not row.status.is_final:
            return Explanation(reason="elsewhere", fields={"status": row.status.value})
        return Explanation(reason="finished", fields={"status": row.status.value})

    def park(self, task_id: TaskId, attempt: int, handoff_id: str) -> None:
        """Let a running task wait for a person."""
        self._ledger.park(task_id, attempt, handoff_id)

    def unpark(self, task_id: TaskId, attempt: int) -> None:
        """Let a task that waited for a person go on."""
        self._ledger.unpark(task_id, attempt)

    def hear_parked(self, listener: ParkedListener) -> None:
        """Tell this listener of tasks that wait for a person without a slot."""
        self._ledger.on_parked = listener

    def wake(self, task_id: TaskId) -> None:
        """Queue a parked task again."""
        self._router.wake(task_id)

    def drop_parked(self, task_id: TaskId) -> None:
        """End a task that is parked on nothing that could wake it."""
        self._router.cancel(task_id)

    def fence(self, task_id: TaskId) -> asyncio.Future[None] | None:
        """Return what must be done before an attempt of this task may be sent."""
        row = self._ledger.get(task_id)
        if row is None or row.origin not in DURABLE_ORIGINS:
            return None
        return self._store.kept(task_id, is_urgent=True)

    # ---- waiting ---------------------------------------------------------------------

    def watch_end(self, row: TaskRow) -> asyncio.Future[None]:
        """Return what is done when the task ends, or when the gateway closes.

        Whoever stops waiting earlier says so by `forget`.
        """
        self.elsewhere.follow(row)
        future = self._hub.ends.watch(row.id)
        if row.status.is_final:
            self._hub.ends.ring(row.id)
        return future

    def listen_end(self, row: TaskRow, listener: Callable[[], None]) -> None:
        """Call `listener` when the task ends, or when the gateway closes; see `EndBell.listen`.

        For a call that has made the task itself; when it stops waiting it says so by `leave_end`.
        """
        self.elsewhere.follow(row)
        ends = self._hub.ends
        ends.listen(row.id, listener)
        if row.status in FINAL_STATES:
            ends.ring(row.id)

    def leave_end(self, row: TaskRow) -> None:
        """Listen no longer."""
        self._hub.ends.leave(row.id)
        self.elsewhere.leave(row)

    async def settled(self, row: TaskRow) -> None:
        """Wait until a task's end may be told: a crash after that does not take it back.

        Only for tasks that somebody can ask for after a crash; a plain call's answer is its
        own. While the disk refuses, what is known is told: nobody is served by silence.
        """
        if not (row.status.is_final and (row.is_durable or row.idempotency_key)):
            return
        while not self._store.fault():
            kept = self._store.kept(row.id, is_urgent=True)
            if kept is None:
                return
            await asyncio.wait((kept,), timeout=_FAULT_LOOK_S)

    def forget(self, row: TaskRow, future: asyncio.Future[None]) -> None:
        """Stop waiting for the task's end."""
        self._hub.ends.forget(row.id, future)
        self.elsewhere.leave(row)

    def draining_count(self, *, is_kept: bool) -> int:
        """How many tasks `drained` would wait for."""
        return len(self._ledger.staying()) if is_kept else self.live_count

    async def drained(self, *, is_kept: bool = False) -> None:
        """Wait until every task has ended, or with `is_kept` every one that cannot be kept."""
        await self._ledger.drained(is_kept=is_kept)

    def close(self) -> None:
        """Wake everybody who waits and end every stream; nothing is accepted any more."""
        self._hub.close()


def is_request_fault(error: ScriptError) -> bool:
    """True iff the request, and not the script, is at fault: its version is no version."""
    return isinstance(error, VersionInvalid)
