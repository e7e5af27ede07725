"""Facts of the dispatcher change the rows of live tasks, and of no others."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from zscrape.core.effects import (
    TaskAccepted,
    TaskAdopted,
    TaskAssigned,
    TaskFinished,
    TaskQueued,
    TaskRecords,
    TaskStarted,
    WorkerSuspected,
)
from zscrape.gateway.events import EventHub
from zscrape.gateway.ledger import Ledger
from zscrape.model import Outcome, OutcomeCode, Record, TaskState
from zscrape.store.memory import MemoryPolicy, MemoryTaskStore
from zscrape.store.tasks import KeptListener, TaskRow

END = TaskFinished("t", 1, "w", Outcome(code=OutcomeCode.OK, data=b"1"))


async def _ledger(store: MemoryTaskStore | None = None) -> tuple[Ledger, TaskRow]:
    store = store or MemoryTaskStore()
    row = TaskRow(id="t", script_name="page", created_at=100.0)
    await store.add(row)
    ledger = Ledger(store=store, hub=EventHub(), clock=lambda: 200.0)
    ledger.open(row)
    return ledger, row


@pytest.mark.parametrize(
    "fact",
    [
        TaskAccepted("x"),
        TaskQueued("x", 0),
        TaskAssigned("x", 1, "w"),
        TaskStarted("x", 1, "w"),
        TaskRecords("x", 1, 0, (Record("item", 1.0, b"1"),)),
        TaskFinished("x", 1, "w", Outcome(code=OutcomeCode.OK)),
        WorkerSuspected("w"),
    ],
)
async def test_facts_of_others(fact):
    """A fact about a task that is not live, or about no task, changes nothing."""
    ledger, row = await _ledger()
    before = repr(row)

    ledger.apply(fact)

    assert repr(row) == before
    assert ledger.live_count == 1


async def test_accepted_and_assigned_at_once():
    """One fact tells that a task was accepted and has found a slot; its log has both."""
    store = MemoryTaskStore()
    ledger, row = await _ledger(store)

    ledger.apply(TaskAssigned("t", 1, "w", is_accepted=True))

    assert row.status is TaskState.ASSIGNED
    entries = await store.entries("t", limit=9)
    assert [(each.number, each.attempt) for each in entries] == [(1, 0), (2, 1)]
    told = [msgspec.json.decode(each.body) for each in entries]
    assert [each["status"] for each in told] == ["queued", "assigned"]
    assert [each.get("worker_id") for each in told] == [None, "w"]


async def test_a_life():
    """A task goes through its states; each is stamped and logged."""
    ledger, row = await _ledger()
    seen = []
    for fact in (TaskAccepted("t"), TaskAssigned("t", 1, "w"), TaskStarted("t", 1, "w"), END):
        ledger.apply(fact)
        seen.append(row.status)

    assert seen == [
        TaskState.QUEUED,
        TaskState.ASSIGNED,
        TaskState.RUNNING,
        TaskState.COMPLETED,
    ]
    assert row.assigned_at == row.started_at == row.finished_at == 200.0
    assert row.last_number == 4
    assert ledger.live_count == 0


async def test_an_end_that_tells_the_start_too():
    """A task whose start comes with its end has been running all the same."""
    ledger, row = await _ledger()
    ledger.apply(TaskAssigned("t", 1, "w"))

    ledger.apply(TaskFinished("t", 1, "w", Outcome(code=OutcomeCode.OK), has_begun=True))

    assert (row.status, row.started_at, row.last_number) == (TaskState.COMPLETED, 200.0, 3)


async def test_who_waits_for_the_end_hears_it_first():
    """An answer does not wait for what is kept of the end; that is kept all the same."""
    store, hub = MemoryTaskStore(), EventHub()
    row = TaskRow(id="t", script_name="page", created_at=100.0)
    await store.add(row)
    told: list[tuple[str, TaskState, int]] = []
    ledger = Ledger(
        store=store,
        hub=hub,
        clock=lambda: 200.0,
        on_end=lambda ended: told.append(("end", ended.status, ended.last_number)),
    )
    ledger.open(row)
    hub.ends.listen("t", lambda: told.append(("answer", row.status, row.last_number)))

    ledger.apply(END)

    done = TaskState.COMPLETED
    assert told == [("answer", done, 0), ("end", done, 0)]
    assert row.last_number == 1


async def test_an_end_is_kept_whatever_comes_of_telling_it():
    """A fault of who hears of ends takes neither the answer nor what is kept of it."""
    store, hub = MemoryTaskStore(), EventHub()
    row = TaskRow(id="t", script_name="page", created_at=100.0)
    await store.add(row)

    def refuse(_row: TaskRow) -> None:
        raise RuntimeError

    ledger = Ledger(store=store, hub=hub, on_end=refuse)
    ledger.open(row)
    waiting = hub.ends.watch("t")

    with pytest.raises(RuntimeError):
        ledger.apply(END)

    assert waiting.done()
    assert [entry.kind for entry in await store.entries("t", limit=10)] == ["state"]


async def test_a_final_state_never_changes():
    """What is told of a task after its end is not heard."""
    ledger, row = await _ledger()
    ledger.apply(END)
    before = repr(row)

    for fact in (TaskQueued("t", 1), TaskAssigned("t", 2, "v"), TaskStarted("t", 2, "v"), END):
        ledger.apply(fact)

    assert repr(row) == before


async def test_another_attempt_begins_afresh():
    """What an earlier attempt had is no longer shown of the task once another is sent."""
    ledger, row = await _ledger()
    ledger.apply(TaskAssigned("t", 1, "w"))
    ledger.apply(TaskStarted("t", 1, "w"))
    progress = Record("progress", 1.0, b'{"fraction":0.5,"text":"half"}')
    ledger.apply(TaskRecords("t", 1, 0, (Record("item", 1.0, b"1"), progress)))
    ledger.apply(TaskQueued("t", 1, OutcomeCode.BLOCKED, 15.0, "Blocked: 403"))
    resting = (row.status, row.next_retry_at, row.last_error, row.item_count)
    said = row.last_error_message

    ledger.apply(TaskAssigned("t", 2, "v"))

    assert resting == (TaskState.QUEUED, 215.0, "blocked", 1)
    assert said == "Blocked: 403"
    assert (row.attempts, row.worker_id, row.item_count) == (2, "v", 0)
    assert (row.fraction, row.started_at, row.next_retry_at) == (None, None, None)


async def test_drained():
    """`drained` waits for the last live task, and for none when there is none."""
    ledger, _ = await _ledger()
    waiting = asyncio.create_task(ledger.drained())
    await asyncio.sleep(0)
    was_done = waiting.done()

    ledger.apply(END)
    await waiting

    assert not was_done
    await ledger.drained()


async def test_drained_of_a_store_that_stays():
    """Tasks that wait are left to the next process; calls and running attempts are waited for."""
    ledger, _ = await _ledger()
    for name, origin in (("waits", "task"), ("runs", "task"), ("call", "scrape")):
        ledger.open(TaskRow(id=name, script_name="page", created_at=1.0, origin=origin))
        ledger.apply(TaskAccepted(name))
    ledger.apply(TaskAssigned("runs", 1, "w"))
    ledger.close("t")
    waiting = asyncio.create_task(ledger.drained(is_kept=True))
    await asyncio.sleep(0)
    ledger.close("call")
    ledger.apply(TaskAssigned("waits", 1, "w"))
    await asyncio.sleep(0)
    was_done = waiting.done()

    ledger.apply(TaskQueued("runs", 1, OutcomeCode.BLOCKED, 15.0))
    await waiting

    assert not was_done
    assert ledger.live_count == 2


async def test_an_end_is_safe_though_its_task_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written with an attempt's end is told, whatever the task has said since."""
    told: list[tuple[str, int]] = []
    store = MemoryTaskStore()
    heard: list[KeptListener] = []
    monkeypatch.setattr(store, "hear_kept", heard.append)
    row = TaskRow(id="t", script_name="page", created_at=100.0)
    await store.add(row)
    ledger = Ledger(store=store, hub=EventHub(), on_stored=told.extend)
    ledger.open(row)
    ledger.apply(TaskAssigned("t", 1, "w"))
    ledger.apply(TaskQueued("t", 1, OutcomeCode.BLOCKED, 15.0))
    first_number = row.last_number
    ledger.apply(TaskAssigned("t", 2, "w"))
    ledger.apply(TaskFinished("t", 2, "w", Outcome(code=OutcomeCode.OK, data=b"1")))

    steps = []
    for number in (first_number - 1, first_number, row.last_number - 1, row.last_number):
        heard[0]([(row, number)])
        await asyncio.sleep(0)
        steps.append([*told])

    first, second = ("t", 1), ("t", 2)
    assert steps == [[], [first], [first], [first, second]]


async def test_a_loss_that_was_none():
    """An attempt that its worker still has is shown as running, and counts for no lost worker."""
    ledger, row = await _ledger()
    ledger.apply(TaskAssigned("t", 1, "w"))
    ledger.apply(TaskStarted("t", 1, "w"))
    ledger.apply(TaskQueued("t", 1, OutcomeCode.WORKER_LOST))
    lost = (row.status, row.lost_count, row.retry_count, row.last_error)

    ledger.apply(TaskAdopted("t", 1, "w", True))

    assert lost == (TaskState.QUEUED, 1, 1, "worker_lost")
    assert (row.status, row.worker_id) == (TaskState.RUNNING, "w")
    assert (row.lost_count, row.retry_count, row.last_error) == (0, 0, "")


async def test_items_count_only_when_they_are_kept():
    """An item beyond what is kept of one task is not promised by the count."""
    store = MemoryTaskStore(MemoryPolicy(task_bytes=4_000))
    row = TaskRow(id="t", script_name="page", created_at=100.0)
    await store.add(row)
    ledger = Ledger(store=store, hub=EventHub(), clock=lambda: 200.0)
    ledger.open(row)
    items = tuple(Record("item", 1.0, b'"' + b"x" * 998 + b'"') for _ in range(5))

    ledger.apply(TaskAssigned("t", 1, "w"))
    ledger.apply(TaskRecords("t", 1, 0, items))
    ledger.apply(TaskFinished("t", 1, "w", Outcome(code=OutcomeCode.OK, item_count=5)))

    assert row.dropped_count == 5 - row.item_count
    assert len(await store.items("t")) == row.item_count == 1


async def test_waiting_for_a_person():
    """A running attempt waits and goes on; another attempt, or one that has ended, does not."""
    ledger, row = await _ledger()
    ledger.apply(TaskAssigned("t", 1, "w"))
    ledger.apply(TaskStarted("t", 1, "w"))
    states = []
    ledger.park("t", 2, "h-0")
    states.append((row.status, row.handoff))
    ledger.park("t", 1, "h-1")
    states.append((row.status, row.handoff))
    number = row.last_number
    ledger.park("t", 1, "h-1")
    is_told_once = row.last_number == number
    ledger.apply(TaskStarted("t", 1, "w"))  # told again after a restart
    states.append((row.status, row.handoff))
    ledger.unpark("t", 1)
    states.append((row.status, row.handoff))
    ledger.apply(END)
    ledger.park("t", 1, "h-2")
    ledger.unpark("t", 1)

    assert states == [
        (TaskState.RUNNING, ""),
        (TaskState.WAITING, "h-1"),
        (TaskState.WAITING, "h-1"),
        (TaskState.RUNNING, ""),
    ]
    assert is_told_once
    assert row.status is TaskState.COMPLETED


async def test_a_lost_attempt_waits_for_nobody():
    """A task whose worker is lost while it waits is queued, and asks nobody any more."""
    ledger, row = await _ledger()
    ledger.apply(TaskAssigned("t", 1, "w"))
    ledger.park("t", 1, "h-1")
    ledger.apply(TaskQueued("t", 1, code=OutcomeCode.WORKER_LOST))

    assert (row.status, row.handoff) == (TaskState.QUEUED, "")


async def test_recordings_of_the_latest_attempts():
    """What failed attempts have recorded is known by attempt, and is no artifact."""
    ledger, row = await _ledger()
    body = b'{"name":"recording","size":1,"content_type":"x","sha256":"","data":"eA=="}'
    for attempt in range(1, 8):
        ledger.apply(TaskAssigned("t", attempt, "w"))
        ledger.apply(TaskRecords("t", attempt, 0, (Record("recording", 1.0, body),)))

    assert [each.attempt for each in row.recordings] == [3, 4, 5, 6, 7]
    assert row.artifacts == ()


async def test_drained_of_a_task_that_is_tried_again():
    """A task whose attempt has failed has not ended: it is waited for as before."""
    ledger, row = await _ledger()
    row.origin = "task"
    ledger.apply(TaskAssigned("t", 1, "w"))
    waiting = asyncio.create_task(ledger.drained())
    await asyncio.sleep(0)

    ledger.apply(TaskQueued("t", 1, OutcomeCode.BLOCKED, 15.0))
    await asyncio.sleep(0)
    was_done = waiting.done()
    ledger.apply(TaskAssigned("t", 2, "w"))
    ledger.apply(TaskFinished("t", 2, "w", Outcome(code=OutcomeCode.OK)))
    await waiting

    assert not was_done
