"""Schedules and their due moments: kept, claimed once, forgotten in time."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from zscrape.errors import StorageError
from zscrape.store.database import Database, Write, connect
from zscrape.store.postgres import PostgresDatabase
from zscrape.store.schedules import (
    Claim,
    Claimed,
    Occurrence,
    OccurrenceStatus,
    ScheduleRecord,
    ScheduleStore,
)
from zscrape.store.tasks import KeyTaken
from zscrape.store.volatile import VolatileDatabase

CLAIMED = OccurrenceStatus.CLAIMED


@pytest.fixture(
    params=["file", "memory", pytest.param("postgres", marks=pytest.mark.system)],
)
async def store(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[ScheduleStore]:
    """Return a store, on a file, in memory and on a server."""
    database: Any
    if request.param == "file":
        database = Database(path)
    elif request.param == "memory":
        database = VolatileDatabase(("gateways", "schedules", "occurrences"))
    else:
        database = PostgresDatabase(request.getfixturevalue("postgres").url())
    yield ScheduleStore(database)
    await database.close()


def record(name: str, /, **more: Any) -> ScheduleRecord:
    """Return a schedule."""
    told = {"id": f"id-{name}", "name": name, "script_name": "page", "body": b"{}"}
    moments = {"created_at": 1.0, "updated_at": 1.0, "cursor_at": 0.0}
    return ScheduleRecord(**{**told, **moments, **more})


def occurrence(name: str, due_at: float, **more: Any) -> Occurrence:
    """Return a due moment."""
    told = {"status": CLAIMED, "at": due_at, **more}
    return Occurrence(schedule_id=f"id-{name}", due_at=due_at, **told)


def claim(name: str, *due_ats: float, revision: int = 1, **more: Any) -> Claim:
    """Return a claim of moments."""
    return Claim(
        schedule_id=f"id-{name}",
        revision=revision,
        cursor_at=due_ats[-1],
        occurrences=tuple(occurrence(name, each, **more) for each in due_ats),
    )


async def test_a_schedule_is_found_by_id_and_by_name(store: ScheduleStore) -> None:
    """What is kept comes back whole; what was never kept does not."""
    kept = record("nightly", body=b'{"cron":"0 3 * * *"}', is_paused=True, pause_reason="failures")
    await store.add(kept)

    assert await store.find("id-nightly") == kept
    assert await store.find("nightly") == kept
    assert await store.find("daily") is None


async def test_names_are_taken_once(store: ScheduleStore) -> None:
    """A second schedule of a name is refused, and a change to a name that is taken as well."""
    await store.add(record("a"))
    await store.add(record("b"))

    with pytest.raises(KeyTaken):
        await store.add(record("a", id="other"))
    with pytest.raises(KeyTaken):
        await store.change(record("b", name="a", revision=2), revision=1)


async def test_a_change_must_know_the_last_one(store: ScheduleStore) -> None:
    """Of two changes to the same revision the second is refused."""
    await store.add(record("a"))

    assert await store.change(record("a", revision=2, is_paused=True), revision=1)
    assert not await store.change(record("a", revision=2), revision=1)
    found = await store.find("a")
    assert found is not None
    assert found.is_paused


async def test_pages_go_by_name(store: ScheduleStore) -> None:
    """A page begins after the last name of the one before; a script's own can be asked for."""
    for name in ("c", "a", "b"):
        await store.add(record(name, script_name="other" if name == "b" else "page"))

    assert [each.name for each in await store.page(limit=2)] == ["a", "b"]
    assert [each.name for each in await store.page(after="b", limit=2)] == ["c"]
    assert [each.name for each in await store.page(script_name="page", limit=9)] == ["a", "c"]


async def test_a_moment_is_claimed_once(store: ScheduleStore) -> None:
    """Of all who claim a moment at once one has it, whatever the others do."""
    await store.add(record("a"))

    answers = await asyncio.gather(*(store.claim([claim("a", 60.0)]) for _ in range(20)))

    assert sorted(len(answer[0].due_ats) for answer in answers) == [0] * 19 + [1]
    assert not any(answer[0].is_stale for answer in answers)


class Unheard:
    """A database whose connection breaks after each write, once it is kept: it is tried again."""

    def __init__(self, database: Any) -> None:
        self._database = database

    async def write(self, work: Write) -> None:
        """Do it, and again."""
        await self._database.write(work)
        await self._database.write(work)


async def test_a_claim_that_was_kept_unheard_is_its_claimers(store: ScheduleStore) -> None:
    """A moment is not lost because the answer to its claim was; another's stays another's."""
    await store.add(record("a"))
    await store.claim([claim("a", 60.0, task_id="other")])
    broken = ScheduleStore(cast("Any", Unheard(store._database)))

    [answer] = await broken.claim([claim("a", 60.0, 120.0, task_id="own")])

    assert answer == Claimed((120.0,))


async def test_two_connections_claim_a_moment_once(path: Path) -> None:
    """Two gateways on one database that claim the same 200 moments never both have one."""
    first, second = Database(path), Database(path)
    try:
        stores = [ScheduleStore(first), ScheduleStore(second)]
        await stores[0].add(record("a"))

        both = 0
        for number in range(200):
            answers = await asyncio.gather(
                *(each.claim([claim("a", 60.0 * number)]) for each in stores)
            )
            both += sorted(len(answer[0].due_ats) for answer in answers) != [0, 1]
    finally:
        await first.close()
        await second.close()

    assert both == 0


@pytest.mark.parametrize("change", ["paused", "changed", "removed"])
async def test_a_stale_claim_is_told(store: ScheduleStore, change: str) -> None:
    """Who has not heard of a pause, a change or a removal fires nothing."""
    await store.add(record("a"))
    if change == "removed":
        await store.remove("id-a")
    else:
        await store.change(record("a", revision=2, is_paused=change == "paused"), revision=1)

    assert await store.claim([claim("a", 60.0)]) == [Claimed(is_stale=True)]
    assert await store.occurrences("id-a", limit=9) == []


async def test_what_became_of_a_moment(store: ScheduleStore) -> None:
    """A claimed moment is unsettled until it is said what became of it."""
    await store.add(record("a"))
    await store.claim([claim("a", 60.0, 120.0, task_id="t")])

    assert [each.due_at for each in await store.unsettled(before=100.0)] == [60.0]
    fired = occurrence("a", 60.0, status=OccurrenceStatus.FIRED, task_id="t")
    await store.settle([fired])

    assert [each.due_at for each in await store.unsettled(before=200.0)] == [120.0]
    assert await store.occurrences("id-a", status="fired", limit=9) == [fired]
    told = await store.occurrences("id-a", limit=9)
    assert [each.due_at for each in told] == [120.0, 60.0]
    older = await store.occurrences("id-a", before_ms=120_000, limit=9)
    assert [each.due_at for each in older] == [60.0]
    found = await store.find("a")
    assert found is not None
    assert found.cursor_at == 120.0


async def test_an_abandoned_moment_is_taken_over_once(store: ScheduleStore) -> None:
    """Of gateways that find a claim of one that is gone, one takes it over."""
    await store.add(record("a"))
    await store.claim([claim("a", 60.0)])
    [found] = await store.unsettled(before=100.0)

    answers = await asyncio.gather(*(store.take_over(found, at=400.0) for _ in range(5)))

    assert sorted(answers) == [False] * 4 + [True]
    assert await store.unsettled(before=100.0) == []


async def test_a_claim_of_a_life_that_is_over_is_abandoned(store: ScheduleStore) -> None:
    """A claim is abandoned once its gateway has no lease, or after a while."""
    await store.add(record("s"))

    def let_live(writer: sqlite3.Connection) -> None:
        writer.execute("INSERT INTO gateways VALUES ('one', 'alive', 0.0)")

    await store._database.write(let_live)
    for due_at, claimer in ((60.0, "alive"), (120.0, "over"), (180.0, "")):
        await store.claim([claim("s", due_at, claimer=claimer)])

    soon = await store.abandoned(before=0.0)
    later = await store.abandoned(before=100.0)

    assert [each.claimer for each in soon] == ["over"]
    assert [each.claimer for each in later] == ["alive", "over"]


async def test_a_trigger_takes_no_moment_of_the_timetable(store: ScheduleStore) -> None:
    """What a person triggers on the stroke of a second, even twice, is on record beside it."""
    await store.add(record("s"))
    for _ in range(2):
        await store.note(occurrence("s", 60.0, status=OccurrenceStatus.FIRED, is_manual=True))

    [mine] = await store.claim([claim("s", 60.0)])
    found = await store.occurrences("id-s", limit=9)

    assert mine == Claimed((60.0,))
    assert [each.due_at for each in found] == [60.002, 60.001, 60.0]


async def test_revisions_are_those_of_what_fires(store: ScheduleStore) -> None:
    """What other gateways have changed is seen by the revisions of what is not paused."""
    await store.add(record("a"))
    await store.add(record("b", is_paused=True))
    await store.change(record("a", revision=2), revision=1)

    assert await store.revisions() == {"id-a": 2}


async def test_failures_in_a_row_pause(store: ScheduleStore) -> None:
    """The failure that reaches the limit pauses the schedule; a success begins anew."""
    await store.add(record("a"))

    told = [
        await store.note_end("id-a", is_ok=is_ok, limit=2, at=9.0)
        for is_ok in (False, True, False, False, False)
    ]
    found = await store.find("a")

    assert told == [False, False, False, True, False]
    assert found is not None
    assert (found.is_paused, found.pause_reason, found.revision) == (True, "failures", 2)


async def test_old_occurrences_are_forgotten(store: ScheduleStore) -> None:
    """What is too old goes, and of one schedule no more than so many stay."""
    await store.add(record("a"))
    await store.claim([claim("a", *(float(number) for number in range(10)))])

    await store.sweep(before=3.0, limit=5)

    left = await store.occurrences("id-a", limit=99)
    assert [each.due_at for each in left] == [9.0, 8.0, 7.0, 6.0, 5.0]
    await store.sweep(before=7.0)
    assert len(await store.occurrences("id-a", limit=99)) == 3
    await store.remove("id-a")
    assert await store.occurrences("id-a", limit=99) == []


async def test_a_flipped_bit_is_seen(path: Path) -> None:
    """A schedule whose document has changed on the disk is known as damaged."""
    database = Database(path)
    store = ScheduleStore(database)
    await store.add(record("a", body=b'{"interval":60}'))
    connection = connect(path)
    connection.execute("UPDATE schedules SET body = ?", (b'{"interval":61}',))
    connection.close()

    found = await store.find("a")
    await database.close()

    assert found is not None
    assert found.is_damaged


async def test_a_disk_that_refuses_is_told_at_once(path: Path) -> None:
    """Nothing is claimed while nothing can be kept."""
    database = Database(path)
    store = ScheduleStore(database)
    await store.add(record("a"))
    database._writer.execute("PRAGMA query_only=ON")

    with pytest.raises(StorageError):
        await store.claim([claim("a", 60.0)])

    database._writer.execute("PRAGMA query_only=OFF")
    assert await store.claim([claim("a", 60.0)]) == [Claimed((60.0,))]
    await database.close()


async def test_memory_says_what_a_file_says() -> None:
    """A statement that fails leaves nothing in memory, and is told as a file would."""
    database = VolatileDatabase(("schedules", "occurrences"))

    def work(writer: sqlite3.Connection) -> None:
        writer.execute("DELETE FROM schedules")
        writer.execute("nonsense")

    await ScheduleStore(database).add(record("a"))
    with pytest.raises(StorageError):
        await database.write(work)

    assert await ScheduleStore(database).find("a") is not None
    await database.close()
