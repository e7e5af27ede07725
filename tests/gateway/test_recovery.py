"""After a restart: who is adopted, who waits again, who ends, and in which order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from zscrape.core.effects import TaskFinished, TaskQueued
from zscrape.core.history import History
from zscrape.gateway.events import EventHub
from zscrape.gateway.ledger import Ledger
from zscrape.gateway.recovery import Recovered, recover
from zscrape.model import (
    HeartbeatPolicy,
    LockRequest,
    Outcome,
    OutcomeCode,
    Pin,
    RunSpec,
    TaskId,
    TaskSpec,
    TaskState,
    WorkerId,
)
from zscrape.store.database import Database, connect
from zscrape.store.sql import SqlTaskStore
from zscrape.store.tasks import StateChange, TaskRow

PIN = Pin("scripts", "page", "1.4.2", "sha256:0")
NOW = 1_000.0


class Call(Struct):
    """One task that was handed to the router."""

    spec: TaskSpec
    attempt: int
    worker_id: WorkerId | None
    history: History


class Notebook:
    """A router that only writes down what it is given, in order."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.locks: list[tuple[str, TaskId, int]] = []

    def restore(
        self, spec: TaskSpec, *, attempt: int, worker_id: WorkerId | None, history: History
    ) -> None:
        """Write down a task."""
        self.calls.append(Call(spec, attempt, worker_id, history))

    def restore_lock(self, key: str, holder: TaskId) -> None:
        """Write down a lock, and how many tasks came before it."""
        self.locks.append((key, holder, len(self.calls)))


class After:
    """What is there after a restart."""

    def __init__(self, path: Path) -> None:
        self.store = SqlTaskStore(Database(path))
        self.router = Notebook()
        self.stored: list[tuple[str, int]] = []
        self.ledger = Ledger(
            store=self.store,
            hub=EventHub(),
            clock=lambda: NOW,
            on_stored=self.stored.extend,
        )

    async def recover(self) -> Recovered:
        """Recover."""
        policy = HeartbeatPolicy()
        return await recover(self.store, self.router, self.ledger, policy, clock=lambda: NOW)

    async def code(self, task_id: str) -> str:
        """Return the error code with which a task stands."""
        row = await self.store.get(task_id)
        assert row is not None
        return row.error_code


def task(task_id: str, **fields: Any) -> tuple[TaskRow, TaskSpec]:
    """Return a task of a call that promises its end, unless told otherwise."""
    told = {"created_at": NOW - 20, "parameters": b'{"a":1}', **fields}
    row = TaskRow(id=task_id, script_name="page", digest=PIN.digest, **told)
    spec = TaskSpec(id=task_id, run=RunSpec(PIN), params=row.parameters, deadline_s=60.0)
    return row, spec


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Return a database with tasks of every kind, as a killed gateway leaves it."""
    path = tmp_path / "zscrape.db"
    store = SqlTaskStore(Database(path))
    flight = {"status": TaskState.RUNNING, "attempts": 2, "worker_id": "w"}
    await store.add_many(
        [
            task("waiting"),
            task("resting", next_retry_at=NOW + 5, last_error="blocked", try_count=1, attempts=1),
            task("running", received_count=3, lost_count=1, **flight),
            task("call-waiting", origin="scrape"),
            task("call-running", origin="scrape", lock_key="k", **flight),
            task("locked", lock_key="key", attempts=1),
        ]
    )
    ended = await store.get("locked")
    assert ended is not None
    ended.status, ended.finished_at = TaskState.CANCELLED, NOW - 3
    store.note(ended, NOW, StateChange(ended.id, ended.status, 1))
    await store.close()
    return path


@pytest.fixture
async def after(path: Path) -> AsyncIterator[After]:
    """Return the parts of a gateway on that database."""
    after = After(path)
    yield after
    await after.store.close()


async def test_attempts_come_first_then_locks_then_who_waits(after: After) -> None:
    """Attempts claim their locks before those that wait for them."""
    recovered = await after.recover()

    told = [(call.spec.id, call.attempt, call.worker_id) for call in after.router.calls]
    assert told == [
        ("running", 2, "w"),
        ("call-running", 2, "w"),
        ("waiting", 0, None),
        ("resting", 1, None),
    ]
    assert after.router.locks == [("key", "locked", 2)]
    assert recovered == Recovered(2, 2, 1, 0)


async def test_what_a_task_has_been_through(after: After) -> None:
    """Age, rest, counts and records come with each task; its spec is what it was."""
    await after.recover()

    calls = {call.spec.id: call for call in after.router.calls}
    assert calls["running"].history == History(age_s=20.0, received_count=3, lost_count=1)
    assert calls["resting"].history == History(
        age_s=20.0, rest_s=5.0, try_count=1, last_code=OutcomeCode.BLOCKED
    )
    assert calls["waiting"].spec == task("waiting")[1]


async def test_calls_of_the_process_before(after: After) -> None:
    """Nobody waits for them: one without an attempt ends, an attempt is heard to its own end."""
    await after.recover()
    last = after.router.calls[1]
    before = await after.code("call-running")

    lost = Outcome(OutcomeCode.WORKER_LOST)
    after.ledger.apply(TaskFinished("call-running", 2, None, lost))

    assert last.history.is_last
    assert last.spec.lock == LockRequest("k")
    assert last.spec.run.pin.digest == PIN.digest
    assert await after.code("call-waiting") == "gateway_lost"
    assert (before, await after.code("call-running")) == ("", "gateway_lost")


async def test_an_adopted_call_ends_as_it_ends(after: After) -> None:
    """What a worker delivers after the restart is the true end, and is told when it is safe."""
    await after.recover()

    after.ledger.apply(TaskFinished("call-running", 2, "w", Outcome(OutcomeCode.OK, b"7")))
    told_at_once = [*after.stored]
    waiting = after.store.kept("call-running")
    assert waiting is not None
    await waiting

    row = await after.store.get("call-running")
    assert row is not None
    assert (row.status, row.outcome) == (TaskState.COMPLETED, Outcome(OutcomeCode.OK, b"7"))
    assert told_at_once == []
    assert after.stored == [("call-running", 2)]


async def test_to_wait_on_is_no_news(after: After) -> None:
    """A task that waited before the restart gets no second `queued` in its log."""
    await after.recover()
    row = await after.store.get("resting")
    assert row is not None
    row.last_number = 4
    waiting = after.store.kept("resting")

    after.ledger.apply(TaskQueued("resting", 1))

    assert waiting is None
    assert row.last_number == 4
    assert after.store.kept("resting") is None


async def test_a_damaged_task_is_not_run(path: Path) -> None:
    """A task whose row is not what was written ends with an error that names it."""
    with closing(connect(path)) as connection:
        connection.execute("UPDATE tasks SET spec = x'00' WHERE id = 'waiting'")
    after = After(path)

    recovered = await after.recover()
    await after.store.close()

    assert recovered.damaged_count == 1
    assert "waiting" not in [call.spec.id for call in after.router.calls]
    again = After(path)
    assert await again.code("waiting") == "task_damaged"
    assert (await again.recover()).damaged_count == 0
    await again.store.close()


async def test_task_that_waits_for_a_person_is_in_flight(tmp_path: Path) -> None:
    """Its attempt waits at a worker: that one is looked for, and the task waits on meanwhile."""
    path = tmp_path / "zscrape.db"
    store = SqlTaskStore(Database(path))
    state = {"status": TaskState.WAITING, "attempts": 1, "worker_id": "w", "handoff": "h-1"}
    await store.add(*task("asking", **state))
    await store.close()
    after = After(path)

    await after.recover()
    after.ledger.park("asking", 1, "h-1")
    row = after.ledger.get("asking")
    await after.store.close()

    assert [(call.spec.id, call.worker_id) for call in after.router.calls] == [("asking", "w")]
    assert row is not None
    assert (row.status, row.handoff) == (TaskState.WAITING, "h-1")
    assert after.ledger.staying() == {"asking"}


async def test_parked_task_comes_before_those_that_wait(tmp_path: Path) -> None:
    """Without an attempt it holds its lock: it is parked again, and no drain waits for it."""
    path = tmp_path / "zscrape.db"
    store = SqlTaskStore(Database(path))
    state = {"status": TaskState.WAITING, "attempts": 1, "handoff": "h-1"}
    await store.add(*task("queued"))
    await store.add(*task("parked", **state))
    await store.add(*task("call", origin="scrape", **state))
    await store.close()
    after = After(path)
    heard: list[tuple[str, bool]] = []
    after.ledger.on_parked = lambda row, is_new: heard.append((row.id, is_new))

    recovered = await after.recover()
    after.ledger.apply(TaskQueued("parked", 1, parked_on="h-1"))
    staying = after.ledger.staying()
    await after.store.close()

    calls = [(call.spec.id, call.worker_id, call.history.parked_on) for call in after.router.calls]
    assert calls == [("parked", None, "h-1"), ("queued", None, "")]
    assert recovered == Recovered(2, 0, 1, 0)
    assert heard == [("parked", False)]
    assert staying == set()
