"""The overview: figures of the last hour, one reading for all who look."""

from __future__ import annotations

import json
from typing import Any

import pytest

from zscrape.core.snapshots import Snapshot
from zscrape.gateway.pulse import Pulse
from zscrape.model import TaskState
from zscrape.store.memory import MemoryTaskStore
from zscrape.store.tasks import StateChange, TaskRow

NOW = 1_800_000_030.0
IDLE = Snapshot(
    queued_count=3,
    assigned_count=0,
    running_count=2,
    slot_count=2,
    free_slot_count=0,
    oldest_queued_s=1.0,
    workers=(),
)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        """Return the moment."""
        return self.now


async def ended(store: MemoryTaskStore, name: str, status: TaskState, at: float, s: float) -> None:
    """Keep a task that ended at a moment, `s` after it came."""
    row = TaskRow(id=name, script_name="page", created_at=at - s)
    await store.add(row)
    row.status, row.finished_at = status, at
    store.note(row, at, StateChange(row.id, row.status, 1))


async def look(pulse: Pulse) -> dict[str, Any]:
    """Return the hour that is told."""
    hour: dict[str, Any] = json.loads(await pulse.document(lambda: {"mine": 1}))["hour"]
    return hour


async def test_ends_are_counted_by_the_minute():
    """Each end stands in its minute, once, with the percentiles of how long it took."""
    store, clock = MemoryTaskStore(), Clock()
    pulse = Pulse(store, lambda: IDLE, clock=clock)
    await ended(store, "old", TaskState.COMPLETED, NOW - 7200, 1)
    for number in range(100):
        await ended(store, f"t{number}", TaskState.COMPLETED, NOW - 60, (number + 1) / 100)
    await ended(store, "bad", TaskState.FAILED, NOW - 1, 2)
    first = await look(pulse)
    await ended(store, "late", TaskState.TIMED_OUT, NOW - 0.5, 3)
    await ended(store, "cut", TaskState.CANCELLED, NOW - 0.5, 3)
    clock.now += 1
    second = await look(pulse)

    assert len(first["minutes"]) == 60
    assert [each["completed_count"] for each in first["minutes"]][-2:] == [100, 0]
    assert (first["minutes"][-2]["p50_s"], first["minutes"][-2]["p99_s"]) == (0.5, 0.99)
    assert (first["completed_count"], first["failed_count"]) == (100, 1)
    assert (first["minutes"][-1]["queue_length"], first["minutes"][-1]["running_count"]) == (3, 2)
    assert first["minutes"][0]["p50_s"] is None
    assert (second["completed_count"], second["failed_count"]) == (100, 2)
    assert second["cancelled_count"] == 1


async def test_who_looks_at_once_is_told_the_same_bytes():
    """A further open page costs no further reading."""
    store, clock = MemoryTaskStore(), Clock()
    pulse = Pulse(store, lambda: IDLE, clock=clock)
    first = await pulse.document(lambda: {"look": 1})
    same = await pulse.document(lambda: {"look": 2})
    clock.now += 1
    other = await pulse.document(lambda: {"look": 3})

    assert same is first
    assert json.loads(other)["look"] == 3


async def test_minutes_pass():
    """What is older than an hour is told no more, and forgotten."""
    store, clock = MemoryTaskStore(), Clock()
    pulse = Pulse(store, lambda: IDLE, clock=clock)
    await ended(store, "t", TaskState.COMPLETED, NOW, 1)
    before = await look(pulse)
    clock.now += 3700
    after = await look(pulse)

    assert (before["completed_count"], after["completed_count"]) == (1, 0)
    assert len(pulse._minutes) == 1


async def test_the_stream_tells_what_has_changed(gateway):
    """Over a socket: the first event at once, another when a task has ended; closing ends it."""
    gateway.worker()
    counts: list[int] = []
    async with (
        gateway.served() as served,
        served.client() as client,
        client.stream("GET", "/v1/overview/events") as events,
    ):
        async for line in events.aiter_lines():
            if not line.startswith("data: "):
                continue
            counts.append(json.loads(line[6:])["hour"]["completed_count"])
            if counts[-1]:
                break
            await client.post("/scrape", json={"script_name": "page", "parameters": {"url": "u"}})

    assert events.headers["content-type"].startswith("text/event-stream")
    assert counts[0] == 0
    assert counts[-1] >= 1


@pytest.mark.parametrize("scope", ["run", "read"])
async def test_the_overview_is_for_all_who_may_look(gateway, client, scope):
    """It tells sums alone: a key for its own tasks may see them too."""
    made = (await client.post("/v1/keys", json={"scopes": [scope]})).json()
    answer = await client.get("/v1/overview", headers={"Authorization": f"Bearer {made['key']}"})

    assert answer.status_code == 200
    assert {"queue_length", "slot_count", "active_workers", "hour"} <= set(answer.json())
