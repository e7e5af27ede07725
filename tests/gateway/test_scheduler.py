"""The scheduler: each due moment is dealt with once, whatever happens, and that is on record."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.gateway.conftest import LIMIT_S, Gateway, until
from tests.gateway.loop_router import ending, hold
from zscrape.errors.storage import StorageFull
from zscrape.gateway.plans import KeptSchedule, encode_kept
from zscrape.gateway.schedulebody import ScheduleRequest
from zscrape.model import OutcomeCode, TaskSpec, TaskState
from zscrape.store.database import Database
from zscrape.store.memory import MemoryTaskStore
from zscrape.store.schedules import (
    Claim,
    Occurrence,
    OccurrenceStatus,
    ScheduleRecord,
    ScheduleStore,
)
from zscrape.store.tasks import TaskRow
from zscrape.store.volatile import VolatileDatabase

T0 = 1_800_000_000.0  # a whole minute


class Clock:
    """A wall clock and a monotonic one that go as the test says."""

    def __init__(self) -> None:
        self.now = T0
        self.mono = 1_000.0

    def wall(self) -> float:
        """Return the time of day."""
        return self.now

    def monotonic(self) -> float:
        """Return the time since some moment."""
        return self.mono

    def go(self, gateway: Gateway, seconds: float) -> None:
        """Let time pass."""
        self.mono += seconds
        self.set(gateway, self.now + seconds)

    def set(self, gateway: Gateway, now: float) -> None:
        """Set the wall clock alone, and let the scheduler look."""
        self.now = now
        gateway.scheduler._wake.set()


@pytest.fixture
def clock() -> Clock:
    """Return a clock of the test's own."""
    return Clock()


@pytest.fixture
def kept() -> ScheduleStore:
    """Return a store that outlives the gateways of a test."""
    return ScheduleStore(VolatileDatabase(("gateways", "schedules", "occurrences")))


@pytest.fixture
async def gateway(make: Any, clock: Clock, kept: ScheduleStore) -> Gateway:
    """Return a gateway whose scheduler runs by the test's clock."""
    made: Gateway = make(schedules=kept, clock=clock.wall, monotonic=clock.monotonic)
    await made.scheduler.start()
    return made


async def restart(make: Any, clock: Clock, kept: ScheduleStore) -> Gateway:
    """Return another gateway on the same store."""
    made: Gateway = make(schedules=kept, clock=clock.wall, monotonic=clock.monotonic)
    made.worker()
    await made.scheduler.start()
    return made


async def add(gateway: Gateway, name: str = "s", **more: Any) -> str:
    """Make a schedule of every minute; return its id."""
    asked = {"name": name, "script_name": "anything", "interval": 60, **more}
    async with gateway.client() as client:
        answer = await client.post("/v1/schedules", json=asked)
    assert answer.status_code == 201, answer.text
    schedule_id: str = answer.json()["id"]
    return schedule_id


async def told(kept: ScheduleStore, schedule_id: str, count: int) -> list[Occurrence]:
    """Return what became of a schedule's moments, oldest first, once `count` are settled."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            found = await kept.occurrences(schedule_id, limit=1_000)
            if sum(each.status is not OccurrenceStatus.CLAIMED for each in found) >= count:
                return found[::-1]
            await asyncio.sleep(0.005)


def short(occurrences: list[Occurrence]) -> list[tuple[int, str]]:
    """Return minutes and what became of each."""
    return [(round((each.due_at - T0) / 60), each.status.value) for each in occurrences]


async def test_prototype_interval_updates_its_state(gateway, clock, kept):
    """Scheduler prototype 4.1: an interval of a minute makes a task a minute, and records it."""
    gateway.worker()
    schedule_id = await add(gateway)

    found: list[Occurrence] = []
    for count in range(1, 4):
        clock.go(gateway, 60)
        found = await told(kept, schedule_id, count)

    assert short(found) == [(1, "fired"), (2, "fired"), (3, "fired")]
    task = await gateway.service.get(found[0].task_id)
    assert (task.origin, task.schedule_id) == ("schedule", schedule_id)


async def test_prototype_a_held_lock_is_a_skip_on_record(gateway, clock, kept):
    """Scheduler prototype 2.4: a moment whose lock is held is `skipped_due_to_lock`."""
    worker = gateway.worker(hold)
    schedule_id = await add(gateway)

    clock.go(gateway, 60)
    [first] = await told(kept, schedule_id, 1)
    clock.go(gateway, 60)
    second = (await told(kept, schedule_id, 2))[1]
    worker.ok(await worker.runs.get())
    clock.go(gateway, 60)
    third = (await told(kept, schedule_id, 3))[2]

    assert (first.status, second.status, third.status) == (
        OccurrenceStatus.FIRED,
        OccurrenceStatus.SKIPPED_DUE_TO_LOCK,
        OccurrenceStatus.FIRED,
    )
    assert second.reason == "lock_held"
    assert first.task_id.encode() in second.detail


@pytest.mark.parametrize(
    ("overlap", "statuses", "live_count"),
    [
        ("skip", ["fired", "skipped_due_to_lock", "skipped_due_to_lock"], 1),
        ("queue_one", ["fired", "fired", "skipped_due_to_lock"], 2),
        ("queue_all", ["fired", "fired", "fired"], 3),
        ("replace", ["fired", "fired", "fired"], 1),
        ("allow", ["fired", "fired", "fired"], 3),
    ],
)
async def test_overlap_policies(gateway, clock, kept, overlap, statuses, live_count):
    """Three moments while the first task still runs, by each policy."""
    gateway.worker(hold)
    schedule_id = await add(gateway, overlap=overlap)

    found: list[Occurrence] = []
    for count in range(1, 4):
        clock.go(gateway, 60)
        found = await told(kept, schedule_id, count)

    assert [each.status.value for each in found] == statuses
    assert gateway.service.live_count == live_count


async def test_scrapydweb_30_a_lock_outlives_the_call(gateway, clock, kept):
    """The task holds the lock until it ends, long after what made it has returned."""
    gateway.worker(hold)
    schedule_id = await add(gateway)
    async with gateway.client() as client:
        await client.post("/v1/schedules/s/trigger")

    clock.go(gateway, 60)

    found = await told(kept, schedule_id, 2)
    assert [each.status.value for each in found] == ["fired", "skipped_due_to_lock"]


# ---- restarts ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"misfire": "run_last"}, [(1, "missed"), (2, "missed"), (3, "missed"), (4, "fired")]),
        ({"misfire": "skip"}, [(1, "missed"), (2, "missed"), (3, "missed"), (4, "missed")]),
        (
            {"misfire": "all", "overlap": "allow"},
            [(1, "fired"), (2, "fired"), (3, "fired"), (4, "fired")],
        ),
        (
            {"misfire": "all", "misfire_window": 150, "overlap": "allow"},
            [(1, "missed"), (2, "missed"), (3, "fired"), (4, "fired")],
        ),
        (
            {"misfire": "run_last", "misfire_window": 0},
            [(1, "missed"), (2, "missed"), (3, "missed"), (4, "missed")],
        ),
    ],
)
async def test_restart_across_due_moments(make, gateway, clock, kept, asked, expected):
    """What was due while no gateway was there follows the misfire policy, each on record."""
    schedule_id = await add(gateway, **asked)
    await gateway.scheduler.close()
    clock.now += 4 * 60 + 45
    clock.mono += 4 * 60 + 45

    await restart(make, clock, kept)

    assert short(await told(kept, schedule_id, 4)) == expected


async def test_prefect_15886_a_long_downtime_is_no_storm(make, gateway, clock, kept):
    """After a month of a schedule of seconds one task is made, and the rows are bounded."""
    schedule_id = await add(gateway, interval=1)
    await gateway.scheduler.close()
    clock.now += 30 * 86_400

    restarted = await restart(make, clock, kept)
    found = await told(kept, schedule_id, 101)

    counts = Counter(each.status.value for each in found)
    assert counts == {"missed": 100, "fired": 1}
    assert found[0].reason == "missed_many"
    async with restarted.client() as client:
        view = (await client.get("/v1/schedules/s/occurrences?limit=1000")).json()["occurrences"]
    assert "too many to list" in view[-1]["message"]


async def test_dkron_349_restart_does_not_silence_a_schedule(make, gateway, clock, kept):
    """A gateway that died while a task held the lock leaves nothing that stops the next one."""
    gateway.worker(hold)
    schedule_id = await add(gateway)
    clock.go(gateway, 60)
    await told(kept, schedule_id, 1)
    await gateway.scheduler.close()

    again = await restart(make, clock, kept)
    clock.go(again, 60)

    assert short(await told(kept, schedule_id, 2)) == [(1, "fired"), (2, "fired")]


@pytest.mark.parametrize(
    ("age_s", "is_made", "status"),
    [(10, False, "fired"), (10, True, "fired"), (7_200, False, "missed")],
)
async def test_a_claim_that_was_cut_off(make, gateway, clock, kept, age_s, is_made, status):
    """A moment claimed by a gateway that died is fired once: not again if its task was made."""
    schedule_id = await add(gateway, interval=86_400)
    task_id = "0190-claimed"
    if is_made:
        async with gateway.client() as client:
            answer = await client.post("/v1/tasks", json={"script_name": "anything"})
        task_id = answer.json()["request_id"]
    occurrence = Occurrence(
        schedule_id=schedule_id,
        due_at=clock.now - age_s,
        status=OccurrenceStatus.CLAIMED,
        at=clock.now - age_s,
        task_id=task_id,
    )
    claim = Claim(
        schedule_id=schedule_id, revision=1, cursor_at=clock.now, occurrences=(occurrence,)
    )
    await kept.claim([claim])
    await gateway.scheduler.close()

    again: Gateway = make(
        schedules=kept, store=gateway.store, clock=clock.wall, monotonic=clock.monotonic
    )
    await again.scheduler.start()
    [found] = await told(kept, schedule_id, 1)

    assert found.status.value == status
    assert found.task_id == ("" if status == "missed" else task_id)
    assert again.service.live_count == (not is_made and status == "fired")


# ---- clocks --------------------------------------------------------------------------


async def test_a_clock_set_forward_is_lateness(gateway, clock, kept):
    """An hour that the clock leaves out is treated as an hour of downtime."""
    gateway.worker()
    schedule_id = await add(gateway, interval=600)

    clock.set(gateway, clock.now + 3_600)
    found = await told(kept, schedule_id, 6)

    assert [each.status.value for each in found] == ["missed"] * 5 + ["fired"]
    assert any(event == "clock_jumped" for event, _ in gateway.log.told)


async def test_a_clock_set_back_fires_nothing_twice(gateway, clock, kept):
    """Moments that come again because the clock was set back have fired, and do not again."""
    gateway.worker()
    schedule_id = await add(gateway)
    for count in (1, 2):
        clock.go(gateway, 60)
        await told(kept, schedule_id, count)

    clock.set(gateway, T0 + 30)
    await until(lambda: any(event == "clock_jumped" for event, _ in gateway.log.told))
    for _ in range(3):
        clock.go(gateway, 60)
        await asyncio.sleep(0.02)
    found = await told(kept, schedule_id, 3)

    assert short(found) == [(1, "fired"), (2, "fired"), (3, "fired")]


async def test_a_clock_that_was_wrong_for_a_while(gateway, clock, kept):
    """A year of the future that is taken back does not silence a schedule for a year."""
    gateway.worker()
    schedule_id = await add(gateway, misfire="skip")
    clock.set(gateway, T0 + 365 * 86_400)
    await told(kept, schedule_id, 101)

    clock.set(gateway, T0 + 90)
    await until(lambda: sum(event == "clock_jumped" for event, _ in gateway.log.told) == 2)
    clock.go(gateway, 30)

    found = await told(kept, schedule_id, 102)
    assert short(found)[:2] == [(1, "missed"), (2, "fired")]


# ---- what goes wrong -----------------------------------------------------------------


async def test_a_script_that_is_gone_is_told(gateway, clock, kept, folder):
    """A moment whose task cannot be made is `failed_to_start`, with the reason in words."""
    gateway.worker()
    schedule_id = await add(gateway, pause_on_failure=2)
    shutil.rmtree(folder / "scripts" / "anything")

    clock.go(gateway, 60)
    [first] = await told(kept, schedule_id, 1)
    clock.go(gateway, 60)
    await told(kept, schedule_id, 2)
    async with gateway.client() as client:
        view = (await client.get("/v1/schedules/s/occurrences")).json()["occurrences"][0]
        await until(lambda: len(gateway.scheduler) == 0)
        schedule = (await client.get("/v1/schedules/s")).json()

    assert first.status is OccurrenceStatus.FAILED_TO_START
    assert (view["code"], view["request_id"]) == ("script_not_found", None)
    assert "anything" in view["message"]
    assert (schedule["paused"], schedule["pause_reason"]) == (True, "failures")


async def test_a_success_begins_the_count_anew(gateway, clock, kept):
    """Failures that do not come in a row pause nothing."""
    codes = [OutcomeCode.BLOCKED, OutcomeCode.OK, OutcomeCode.BLOCKED]

    def script(worker: Any, run: Any) -> None:
        code = codes.pop(0)
        ending(code)(worker, run) if code is not OutcomeCode.OK else worker.ok(run)

    gateway.worker(script)
    schedule_id = await add(gateway, pause_on_failure=2)
    for count in range(1, 4):
        clock.go(gateway, 60)
        await told(kept, schedule_id, count)
        await until(lambda: gateway.service.live_count == 0)

    assert len(gateway.scheduler) == 1
    record = await kept.find("s")
    assert record is not None
    assert not record.is_paused


async def test_windmill_2958_a_resumed_schedule_keeps_its_policy(gateway, clock, kept):
    """What passed while it was paused is not made up for, and overlap holds afterwards."""
    gateway.worker(hold)
    schedule_id = await add(gateway)
    async with gateway.client() as client:
        await client.post("/v1/schedules/s/pause")
        clock.go(gateway, 300)
        await client.post("/v1/schedules/s/resume")
    clock.go(gateway, 60)
    await told(kept, schedule_id, 1)
    clock.go(gateway, 60)

    found = await told(kept, schedule_id, 2)
    assert short(found) == [(6, "fired"), (7, "skipped_due_to_lock")]


async def test_storage_down_is_told_at_once(make, clock, tmp_path):
    """While nothing can be kept nothing fires and calls are refused at once; then it goes on."""
    database = Database(tmp_path / "zscrape.db")
    kept = ScheduleStore(database)
    gateway: Gateway = make(schedules=kept, clock=clock.wall, monotonic=clock.monotonic)
    gateway.worker()
    await gateway.scheduler.start()
    schedule_id = await add(gateway)
    database._writer.execute("PRAGMA query_only=ON")

    async with gateway.client() as client:
        refused = await client.post(
            "/v1/schedules", json={"name": "x", "script_name": "anything", "interval": 60}
        )
    clock.go(gateway, 60)
    await until(lambda: any(event == "schedules_held_up" for event, _ in gateway.log.told))
    database._writer.execute("PRAGMA query_only=OFF")
    found = await told(kept, schedule_id, 1)
    await gateway.scheduler.close()
    await database.close()

    assert (refused.status_code, refused.json()["code"]) == (503, "storage_read_only")
    assert short(found) == [(1, "fired")]
    assert ("schedules_go_on", {}) in gateway.log.told


async def test_a_damaged_schedule_stops_no_other(make, clock, kept):
    """A document that cannot be read is told, and every other schedule fires."""
    for name, body in (("bad", b"{"), ("good", b"")):
        await kept.add(record(name, body))

    gateway = await restart(make, clock, kept)
    clock.go(gateway, 60)

    assert short(await told(kept, "id-good", 1)) == [(1, "fired")]
    assert [fields["name"] for event, fields in gateway.log.told if event == "schedule_damaged"]
    async with gateway.client() as client:
        listed = (await client.get("/v1/schedules")).json()["schedules"]
        triggered = await client.post("/v1/schedules/bad/trigger")
        removed = await client.delete("/v1/schedules/bad")
    assert [(each["name"], each["damaged"]) for each in listed] == [("bad", True), ("good", False)]
    assert (triggered.status_code, triggered.json()["code"]) == (500, "schedule_damaged")
    assert removed.status_code == 200


# ---- many ----------------------------------------------------------------------------


def record(name: str, body: bytes = b"", **more: Any) -> ScheduleRecord:
    """Return a schedule of every minute as it is kept."""
    asked = {"script_name": "anything", "interval": 60.0, **more}
    kept = KeptSchedule(asked=ScheduleRequest(name=name, **asked), anchor_at=T0, client="admin")
    return ScheduleRecord(
        id=f"id-{name}",
        name=name,
        script_name="anything",
        body=body or encode_kept(kept),
        created_at=T0,
        updated_at=T0,
        cursor_at=T0,
    )


async def test_two_gateways_fire_each_moment_once(make, gateway, clock, kept):
    """Two schedulers on one store that wake at the same moment make one task of each moment."""
    other = await restart(make, clock, kept)
    gateway.worker()
    ids = [await add(gateway, f"s{number}") for number in range(20)]
    for schedule_id in ids:
        found = await kept.find(schedule_id)
        assert found is not None
        other.scheduler.plan(found)

    for count in range(1, 6):
        clock.go(gateway, 60)
        other.scheduler._wake.set()
        for schedule_id in ids:
            await told(kept, schedule_id, count)
    await until(lambda: gateway.service.live_count + other.service.live_count == 0)

    made = gateway.router.submitted_count + other.router.submitted_count
    assert made == 100


async def test_a_gateway_that_missed_a_pause_fires_nothing(make, gateway, clock, kept):
    """What another gateway has paused is not fired by one that has not heard of it."""
    other = await restart(make, clock, kept)
    schedule_id = await add(gateway)
    found = await kept.find(schedule_id)
    assert found is not None
    other.scheduler.plan(found)
    async with gateway.client() as client:
        await client.post("/v1/schedules/s/pause")

    clock.go(other, 60)
    await until(lambda: len(other.scheduler) == 0)

    assert await kept.occurrences(schedule_id, limit=9) == []


async def test_gateways_that_share_a_store_hear_of_each_other(make, gateway, clock, kept):
    """A schedule made, changed or removed by one gateway is so for the others within seconds."""
    other = await among_others(make, clock, kept)
    counts: list[float | None] = []

    schedule_id = await add(gateway)
    for change in ("made", "changed", "removed"):
        async with gateway.client() as client:
            if change == "changed":
                await client.patch("/v1/schedules/s", json={"interval": 3_600})
            elif change == "removed":
                await client.delete("/v1/schedules/s")
        gateway.scheduler.forget(schedule_id)
        async with refreshed(other):
            clock.go(other, 11)
        plan = other.scheduler._agenda.get(schedule_id)
        counts.append(None if plan is None else plan.table.interval_s)

    assert counts == [60.0, 3_600.0, None]


@contextlib.asynccontextmanager
async def refreshed(gateway: Gateway) -> AsyncIterator[None]:
    """Wait until a gateway has looked at what others have changed, and taken it in."""
    done, refresh = asyncio.Event(), gateway.scheduler._refresh

    async def look(now: float) -> None:
        await refresh(now)
        done.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gateway.scheduler, "_refresh", look)
        yield
        async with asyncio.timeout(LIMIT_S):
            await done.wait()


@pytest.mark.parametrize("change", ["made", "changed"])
async def test_what_changes_here_while_others_are_heard_of_stays(make, clock, kept, change):
    """What was read of the schedules before one was made or changed here does not undo that."""
    other = await among_others(make, clock, kept)
    read, may_go = asyncio.Event(), asyncio.Event()
    schedule_id = "" if change == "made" else await add(other)
    name = "revisions" if change == "made" else "find"
    ask = getattr(kept, name)

    async def stale(*given: Any) -> Any:
        found = await ask(*given)
        read.set()
        await may_go.wait()
        return found

    async with refreshed(other):
        with pytest.MonkeyPatch.context() as patch:
            if change == "changed":  # by another gateway, and then here
                await kept._database.write(bump)
            patch.setattr(kept, name, stale)
            clock.go(other, 11)
            await asyncio.wait_for(read.wait(), LIMIT_S)
        if change == "made":
            schedule_id = await add(other)
        else:
            async with other.client() as client:
                await client.patch("/v1/schedules/s", json={"interval": 3_600})
        may_go.set()

    plan = other.scheduler._agenda.get(schedule_id)
    assert plan is not None
    assert plan.table.interval_s == (60.0 if change == "made" else 3_600.0)


def bump(writer: sqlite3.Connection) -> None:
    """Change every schedule, as another gateway does."""
    writer.execute("UPDATE schedules SET revision = revision + 1")


async def among_others(make: Any, clock: Clock, kept: ScheduleStore, life: str = "b") -> Gateway:
    """Return a gateway on a store that others use as well, in a life that has its lease."""
    made: Gateway = make(
        schedules=kept, clock=clock.wall, monotonic=clock.monotonic, life=lambda: life
    )
    made.worker()
    await lease(kept, life)
    async with refreshed(made):
        await made.scheduler.start()
    return made


async def lease(kept: ScheduleStore, life: str) -> None:
    """Let a gateway live by what others see of it."""

    def let_live(writer: sqlite3.Connection) -> None:
        writer.execute("INSERT INTO gateways VALUES (?, ?, 0)", (life, life))

    await kept._database.write(let_live)


async def test_an_abandoned_claim_is_fired_by_another(make, gateway, clock, kept):
    """What a gateway that is gone has claimed is fired by one that shares its store, once."""
    schedule_id = await add(gateway, interval=86_400)
    occurrence = Occurrence(
        schedule_id=schedule_id,
        due_at=clock.now - 1,
        status=OccurrenceStatus.CLAIMED,
        at=clock.now - 1,
        task_id="0190-claimed",
    )
    claim = Claim(
        schedule_id=schedule_id, revision=1, cursor_at=clock.now, occurrences=(occurrence,)
    )
    await kept.claim([claim])
    await gateway.scheduler.close()
    other = await among_others(make, clock, kept)

    early = await kept.unsettled(before=clock.now)
    clock.go(other, 310)
    [found] = await told(kept, schedule_id, 1)

    assert [each.task_id for each in early] == ["0190-claimed"]
    assert (found.status, found.task_id) == (OccurrenceStatus.FIRED, "0190-claimed")
    assert other.router.submitted_count == 1


async def test_a_claim_of_a_dead_life_is_fired_within_seconds(make, gateway, clock, kept):
    """No more than a look at the leases tells that a claimer is over; one that lives is let be."""
    ids = [await add(gateway, name, interval=86_400) for name in ("dead", "alive")]
    await gateway.scheduler.close()
    await lease(kept, "alive")
    for schedule_id, life in zip(ids, ("dead", "alive"), strict=True):
        occurrence = Occurrence(
            schedule_id=schedule_id,
            due_at=clock.now - 1,
            status=OccurrenceStatus.CLAIMED,
            at=clock.now - 1,
            task_id=f"0190-{life}",
            claimer=life,
        )
        claim = Claim(
            schedule_id=schedule_id, revision=1, cursor_at=clock.now, occurrences=(occurrence,)
        )
        await kept.claim([claim])

    await among_others(make, clock, kept, "third")
    [found] = await told(kept, ids[0], 1)
    [other] = await kept.occurrences(ids[1], limit=9)

    assert (found.status, found.task_id) == (OccurrenceStatus.FIRED, "0190-dead")
    assert (found.claimer, other.claimer) == ("third", "alive")
    assert other.status is OccurrenceStatus.CLAIMED


async def test_a_store_that_fails_between_claim_and_task(make, clock, kept):
    """A moment whose task cannot be kept stays claimed, counts as no failure, and fires later."""
    tasks = _Refusing()
    gateway: Gateway = make(
        schedules=kept, store=tasks, clock=clock.wall, monotonic=clock.monotonic
    )
    gateway.worker()
    await gateway.scheduler.start()
    schedule_id = await add(gateway, pause_on_failure=1)

    clock.go(gateway, 60)
    await until(lambda: any(event == "schedules_held_up" for event, _ in gateway.log.told))
    before = [each.status.value for each in await kept.occurrences(schedule_id, limit=9)]
    tasks.error = None
    gateway.scheduler._wake.set()
    found = await told(kept, schedule_id, 1)

    assert before == ["claimed"]
    assert short(found) == [(1, "fired")]
    assert gateway.router.submitted_count == 1


async def test_failures_in_a_row_are_counted_over_all_gateways(make, clock, kept):
    """A success at one gateway begins the count anew that failures at the other have begun."""
    await kept.add(record("s", pause_on_failure=2))
    gateways = [await among_others(make, clock, kept, life) for life in ("a", "b")]

    async def end(number: int, status: TaskState) -> int:
        row = TaskRow(id="0190", script_name="anything", created_at=T0, schedule_id="id-s")
        row.status = status
        gateways[number].scheduler.ended(row)
        await until(lambda: gateways[number].scheduler._firing.is_idle)
        found = await kept.find("id-s")
        assert found is not None
        return -1 if found.is_paused else found.failure_count

    counts = [
        await end(*each)
        for each in (
            (0, TaskState.FAILED),
            (1, TaskState.COMPLETED),
            (0, TaskState.FAILED),
            (1, TaskState.FAILED),
        )
    ]

    assert counts == [1, 0, 1, -1]


class _Refusing(MemoryTaskStore):
    """A store of tasks that takes none for a while."""

    def __init__(self) -> None:
        super().__init__(None)
        self.error: StorageFull | None = StorageFull(reason="no room")

    async def add(self, row: TaskRow, spec: TaskSpec | None = None) -> None:
        if self.error is not None:
            raise self.error
        await super().add(row, spec)


async def test_windmill_10917_no_moment_goes_missing_among_10000(make, clock, kept):
    """Of 10,000 schedules due in one minute every moment is on record, and fired once."""
    for number in range(10_000):
        await kept.add(record(f"{number:05}", start=f"{clock_text(number % 60)}"))
    gateway = await restart(make, clock, kept)

    clock.go(gateway, 60)
    await until(lambda: gateway.router.submitted_count == 10_000)
    await until(lambda: gateway.service.live_count == 0 and gateway.scheduler._firing.is_idle)
    counts: Counter[str] = Counter()
    for number in range(10_000):
        for each in await kept.occurrences(f"id-{number:05}", limit=9):
            counts[each.status.value] += 1

    assert counts == {"fired": 10_000}


def clock_text(second: int) -> str:
    """Return a moment of the first minute of the tests, as a schedule's start."""
    return f"2027-01-15T08:00:{second:02}+00:00"
