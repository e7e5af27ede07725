"""Keys of items as running scripts and people ask for them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from zscrape.errors import RequestError
from zscrape.gateway.asked import Asked
from zscrape.gateway.itemkeys import ItemKeys
from zscrape.gateway.remembering import remember
from zscrape.model import Pin, RunSpec, TaskState
from zscrape.runtime.emitting import key_digest
from zscrape.store.tasks import TaskRow

BASE = "/v1/scripts/shop/keys"


async def ask(keys: ItemKeys, task_id: str, *named: Any, kept_s: float | None = None) -> list[int]:
    """Ask as the script `shop` does; return which of the keys are known."""
    run = RunSpec(Pin("r", "shop", "1.0.0", "sha256:0"), key_kept_s=kept_s)
    body = msgspec.json.encode({"keys": [key_digest(each) for each in named]})
    told = await keys.answer(Asked(task_id, 1, 1, "key", body, "w", run))
    seen: list[int] = msgspec.json.decode(told)["seen"]
    return seen


async def end(keys: ItemKeys, task_id: str, status: TaskState = TaskState.COMPLETED) -> None:
    """Let a task end."""
    keys.ended(row(task_id, status))
    await keys.close()


def row(task_id: str, status: TaskState = TaskState.COMPLETED) -> TaskRow:
    """Return a task after its first attempt."""
    return TaskRow(id=task_id, script_name="shop", created_at=0.0, status=status, attempts=1)


@pytest.fixture
async def keys() -> ItemKeys:
    """Return keys in memory, which count for ten days."""
    return remember(key_kept_days=10).keys


@pytest.mark.parametrize("status", [TaskState.FAILED, TaskState.CANCELLED, TaskState.TIMED_OUT])
async def test_only_completed_tasks_make_keys_known(keys: ItemKeys, status: TaskState) -> None:
    """Whatever else became of a task, the next one brings its items."""
    await ask(keys, "t1", "a", 5, ["x", 1])
    await end(keys, "t1", status)
    again = await ask(keys, "t2", "a", 5, ["x", 1], "b")
    await end(keys, "t2")
    known = await ask(keys, "t3", "a", "c", 5, ["x", 1])

    assert again == []
    assert known == [0, 2, 3]


async def test_a_script_says_how_long_its_keys_count(keys: ItemKeys) -> None:
    """Zero is not at all, also for keys that are known."""
    await ask(keys, "t1", "a")
    await end(keys, "t1")
    await ask(keys, "t2", "b", kept_s=0.0)
    await end(keys, "t2")

    assert await ask(keys, "t3", "a", "b", kept_s=0.0) == []
    assert await ask(keys, "t3", "a", "b") == [0]


async def test_keys_of_tasks_that_ended_unheard_are_settled(keys: ItemKeys) -> None:
    """After a restart the tasks' rows say what became of each."""
    rows = {"done": row("done"), "failed": row("failed", TaskState.FAILED)}
    rows["live"] = row("live", TaskState.RUNNING)
    for task_id in (*rows, "unknown"):
        await ask(keys, task_id, task_id)
    keys.asking.clear()  # another process has taken over

    async def find(task_id: str) -> TaskRow | None:
        return rows.get(task_id)

    await keys.resume(find)
    await end(keys, "live")
    await end(keys, "unknown")

    assert await ask(keys, "t", "done", "failed", "live", "unknown") == [0, 2]


@pytest.mark.parametrize("body", [b"{}", b'{"keys":[]}', b'{"keys":["x"]}', b'{"keys":"a"}', b"["])
async def test_a_forged_question_is_refused(keys: ItemKeys, body: bytes) -> None:
    """Digests in their form, some and not too many."""
    run = RunSpec(Pin("r", "shop", "1.0.0", "sha256:0"))
    with pytest.raises(RequestError):
        await keys.answer(Asked("t", 1, 1, "key", body, "w", run))


async def test_people_look_and_forget(client: Any, gateway: Any) -> None:
    """Counted, found by the key as the script gave it, forgotten one by one or all."""
    keys = gateway.state.remembering.keys
    await ask(keys, "t1", "a/b", 5, "c")
    await end(keys, "t1")
    counted = (await client.get(BASE)).json()
    found = (await client.get(f"{BASE}/a/b")).json()
    number = (await client.get(f"{BASE}/5")).json()
    forgotten = await client.delete(f"{BASE}/a/b")
    missing = [await client.get(f"{BASE}/a/b"), await client.delete(f"{BASE}/a/b")]
    rest = (await client.delete(BASE)).json()

    assert counted == {"known_count": 3}
    assert found["request_id"] == number["request_id"] == "t1"
    assert forgotten.json() == {"removed_count": 1}
    assert [each.status_code for each in missing] == [404, 404]
    assert rest == {"removed_count": 2}
