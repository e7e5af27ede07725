"""What a list shows a client is what it may see one by one, whatever the rules and the names."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

from hypothesis import given, settings, strategies as st

from zscrape.gateway.clients import Client, pattern_of
from zscrape.store.memory import MemoryTaskStore
from zscrape.store.queries import _LIKE, _like
from zscrape.store.tasks import TaskQuery, TaskRow

NAMES = st.text("ab_-%!?[]*", min_size=1, max_size=4)
GLOBS = st.text("ab_-*", min_size=1, max_size=4)
CLIENTS = st.builds(
    Client,
    id=st.sampled_from(["one", "two"]),
    scopes=st.sampled_from([frozenset({"run"}), frozenset({"read"}), frozenset({"run", "read"})]),
    scripts=st.lists(GLOBS, max_size=3).map(tuple),
)
ROWS = st.lists(st.tuples(NAMES, st.sampled_from(["one", "two"])), max_size=8)


@settings(max_examples=200)
@given(client=CLIENTS, found=ROWS)
def test_lists_and_looks_agree(client: Client, found: list[tuple[str, str]]) -> None:
    """The store's filter and the check of a single task say the same."""
    rows = [
        TaskRow(id=str(number), script_name=name, created_at=0.0, client=owner)
        for number, (name, owner) in enumerate(found)
    ]
    seen = [row.id for row in rows if client.sees(row)][::-1]

    async def listed() -> list[str]:
        store = MemoryTaskStore()
        for row in rows:
            await store.add(row)
        return [row.id for row in (await store.page(client.within(TaskQuery()))).rows]

    assert asyncio.run(listed()) == seen


@settings(max_examples=300)
@given(names=st.lists(NAMES, min_size=1, max_size=20), glob=GLOBS)
def test_patterns_mean_the_same_in_the_database(names: list[str], glob: str) -> None:
    """No character of a name or of a pattern but `*` has a meaning of its own in SQL."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE tasks (place INTEGER, script_name TEXT)")
        connection.executemany("INSERT INTO tasks VALUES (?, ?)", enumerate(names))
        found = connection.execute(
            f"SELECT script_name FROM tasks WHERE {_LIKE} ORDER BY place", (_like(glob),)
        )

        assert [name for (name,) in found] == [
            name for name in names if pattern_of(glob).fullmatch(name)
        ]
