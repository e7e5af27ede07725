"""Questions to people in a database: opened once, ended once, answers kept while needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from zscrape.store.database import Database
from zscrape.store.handoffs import HandoffQuery, HandoffRow, HandoffStatus, HandoffStore
from zscrape.store.postgres import PostgresDatabase
from zscrape.store.volatile import VolatileDatabase


@pytest.fixture(params=["memory", "sql", pytest.param("postgres", marks=pytest.mark.system)])
async def store(
    request: pytest.FixtureRequest, new_file: Callable[[], Path]
) -> AsyncIterator[HandoffStore]:
    """Return a store without any question."""
    if request.param == "memory":
        yield HandoffStore(VolatileDatabase(("handoffs",)))
        return
    is_far = request.param == "postgres"
    url = request.getfixturevalue("postgres").url() if is_far else ""
    database = PostgresDatabase(url) if is_far else Database(new_file())
    try:
        yield HandoffStore(database)
    finally:
        await database.close()


def question(number: int = 1, *, attempt: int = 1, **values: object) -> HandoffRow:
    """Return a question of the task `t`."""
    row = HandoffRow(
        id=f"h{attempt}.{number}",
        task_id="t",
        attempt=attempt,
        request=number,
        script_name="shop",
        client="me",
        mark="m",
        created_at=float(number),
        expires_at=100.0,
        question=b'{"prompt":"?"}',
    )
    return msgspec.structs.replace(row, **values)


async def test_a_question_is_opened_once(store: HandoffStore) -> None:
    """The same question again is the one that is known, with its answer."""
    await store.open(question())
    await store.end("h1.1", HandoffStatus.ANSWERED, at=5.0, actor="ann", answer=b'{"a":1}')

    again = await store.open(question(created_at=50.0))

    assert (again.status, again.answer, again.created_at) == ("answered", b'{"a":1}', 1.0)
    assert await store.count("t", 1) == 1


async def test_the_first_end_counts(store: HandoffStore) -> None:
    """Whoever comes second changes nothing, and is told so."""
    await store.open(question())

    first = await store.end("h1.1", HandoffStatus.DISMISSED, at=5.0, actor="ann")
    second = await store.end("h1.1", HandoffStatus.ANSWERED, at=6.0, answer=b"{}")
    found = await store.get("h1.1")

    assert (first, second) == (True, False)
    assert found is not None
    assert (found.status, found.actor, found.ended_at) == ("dismissed", "ann", 5.0)


async def test_answers_of_a_lost_attempt_are_given_again(store: HandoffStore) -> None:
    """The n-th of equal questions takes the n-th of equal answers; without that word, none."""
    for number in (1, 2):
        await store.open(question(number))
        answer = b'{"n":%d}' % number
        await store.end(f"h1.{number}", HandoffStatus.ANSWERED, at=5.0, answer=answer)

    told = [
        await store.open(question(number, attempt=2), is_answer_kept=True) for number in (1, 2, 3)
    ]
    other = await store.open(question(4, attempt=2, mark="other"), is_answer_kept=True)
    fresh = await store.open(question(1, attempt=3))

    assert [row.answer for row in told] == [b'{"n":1}', b'{"n":2}', b""]
    assert [row.status.value for row in told] == ["answered", "answered", "open"]
    assert (other.status, fresh.status) == ("open", "open")


async def test_a_task_that_ends_leaves_no_answers(store: HandoffStore) -> None:
    """What is open of it is gone, and what was answered says no more than that."""
    await store.open(question(1))
    await store.open(question(2))
    await store.end("h1.1", HandoffStatus.ANSWERED, at=5.0, answer=b'{"password":"x"}')

    await store.close_task("t", at=9.0)
    rows = await store.page(HandoffQuery(task_id="t"))

    assert [(row.id, row.status.value, row.answer) for row in rows] == [
        ("h1.2", "gone", b""),
        ("h1.1", "answered", b""),
    ]


async def test_a_new_attempt_closes_what_the_last_one_asked(store: HandoffStore) -> None:
    """Only what earlier attempts have open is closed, and answers stay."""
    await store.open(question(1))
    await store.open(question(1, attempt=2))

    await store.close_task("t", at=9.0, attempt=2)

    assert (await store.get("h1.1")).status == "gone"  # type: ignore[union-attr]
    assert (await store.get("h2.1")).status == "open"  # type: ignore[union-attr]


async def test_page(store: HandoffStore) -> None:
    """A page has what fits and may be seen, the newest first, up to its limit."""
    for number in range(1, 6):
        await store.open(question(number, client="me" if number % 2 else "you"))
    await store.end("h1.1", HandoffStatus.DISMISSED, at=5.0)

    opened = await store.page(HandoffQuery(status=HandoffStatus.OPEN, limit=3))
    mine = await store.page(HandoffQuery(client="me"))
    seen = await store.page(HandoffQuery(limit=2), lambda row: row.request < 3)

    assert [row.request for row in opened] == [5, 4, 3]
    assert [row.request for row in mine] == [5, 3, 1]
    assert [row.request for row in seen] == [2, 1]


async def test_old_questions_are_forgotten(store: HandoffStore) -> None:
    """What was asked before a moment is gone."""
    await store.open(question(1))
    await store.open(question(2))

    await store.forget(1.5)

    assert [row.request for row in await store.page(HandoffQuery())] == [2]
