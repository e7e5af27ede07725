"""What scripts remember: asked by a script, and by people over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from zscrape.errors.requests import InvalidRequest, StateFull
from zscrape.gateway import scriptstate
from zscrape.gateway.asked import Asked
from zscrape.gateway.remembering import remember
from zscrape.gateway.scriptstate import ScriptStates
from zscrape.model import Pin, RunSpec
from zscrape.runtime.state import State

BASE = "/v1/scripts/shop/state"


class Running:
    """A script's `ctx.state`, each call of it in a thread as in a child, without a child."""

    def __init__(self, states: ScriptStates, task_id: str = "t") -> None:
        self._states = states
        self._task_id = task_id
        self._count = 0
        self._loop = asyncio.get_running_loop()
        self.state = State(self._ask)

    def _ask(self, kind: str, body: Any, *, timeout_s: float | None = None) -> Any:
        assert kind == "state"
        self._count += 1
        run = RunSpec(Pin("r", "shop", "1.0.0", "sha256:0"))
        raw = msgspec.json.encode(body)
        asked = Asked(self._task_id, 1, self._count, kind, raw, "w", run)
        told = asyncio.run_coroutine_threadsafe(self._states.answer(asked), self._loop)
        return msgspec.json.decode(told.result(20))

    async def __call__(self, act: Callable[[State], Any]) -> Any:
        """Let the script do something with its state."""
        return await asyncio.to_thread(act, self.state)


@pytest.fixture
async def states() -> ScriptStates:
    """Return states in memory."""
    return remember().states


@pytest.fixture
async def run(states: ScriptStates) -> Running:
    """Return a running script."""
    return Running(states)


async def test_a_mapping_is_remembered(run: Running, states: ScriptStates) -> None:
    """What one run writes the next reads, value by value, as it was."""

    def first(state: State) -> None:
        state["cursor"] = {"page": 3, "글": [1.5, None, True]}
        state["gone"] = 1
        del state["gone"]

    def second(state: State) -> list[Any]:
        return [state["cursor"], state.get("gone", 7), "cursor" in state, "gone" in state]

    await run(first)
    told = await Running(states, "later")(second)

    assert told == [{"page": 3, "글": [1.5, None, True]}, 7, True, False]


async def test_null_is_a_value(run: Running) -> None:
    """None that was written is there; what was not written is not."""

    def act(state: State) -> list[Any]:
        state["n"] = None
        return ["n" in state, state.get("n", 5), state.get("other", 5), state.keys()]

    assert await run(act) == [True, None, 5, ["n"]]


async def test_what_is_not_there_is_a_key_error(run: Running) -> None:
    """Reading and forgetting what was never written raise as a dict does; `pop` does not."""
    with pytest.raises(KeyError, match="none"):
        await run(lambda state: state["none"])
    with pytest.raises(KeyError, match="none"):
        await run(lambda state: state.__delitem__("none"))

    assert await run(lambda state: state.pop("none", 3)) == 3


async def test_all_keys_are_found_over_pages(run: Running) -> None:
    """Keys come in pages, and a script sees all of them."""

    def act(state: State) -> tuple[int, list[str]]:
        for number in range(405):
            state[f"k{number:03}"] = number
        return len(state), state.keys()

    count, keys = await run(act)

    assert count == 405
    assert keys == [f"k{number:03}" for number in range(405)]


async def test_parallel_tasks_lose_no_change(states: ScriptStates) -> None:
    """Ten tasks that add one each, ten times, come to a hundred."""

    def add(state: State) -> None:
        for _ in range(10):
            state.change("n", lambda count: count + 1, 0)

    await asyncio.gather(*(Running(states, f"t{number}")(add) for number in range(10)))

    assert (await states.get("shop", "n")).value == b"100"


async def test_compare_and_set_is_for_what_is_expected(run: Running) -> None:
    """It writes over what is expected, and over nothing else."""

    def act(state: State) -> list[Any]:
        told = [state.compare_and_set("k", None, 1), state.compare_and_set("k", 2, 3)]
        return [*told, state.compare_and_set("k", 1, 4), state["k"]]

    assert await run(act) == [True, False, True, 4]


@pytest.mark.parametrize("key", ["", "x" * 201, "a\nb", "\x7f"])
async def test_a_key_that_cannot_be_is_refused_on_both_sides(
    run: Running, states: ScriptStates, key: str
) -> None:
    """The script hears it before it asks, and whoever asks all the same is refused."""
    with pytest.raises(ValueError, match="not a key"):
        await run(lambda state: state.get(key))
    with pytest.raises(InvalidRequest):
        await states.put("shop", key, b"1", revision=None, writer="w")


@pytest.mark.parametrize("value", [b'"' + b"x" * 65_535 + b'"', b"[" * 40 + b"]" * 40, b"nope"])
async def test_a_value_that_cannot_be_kept_is_refused(states: ScriptStates, value: bytes) -> None:
    """Too large, too deep, or no JSON: refused, and nothing is kept."""
    with pytest.raises(InvalidRequest):
        await states.put("shop", "k", value, revision=None, writer="w")

    assert await states.page("shop") == []


async def test_too_many_keys_are_told_with_the_limit(
    states: ScriptStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that remembers without end is stopped with the number and the next step."""
    monkeypatch.setattr(scriptstate, "KEY_LIMIT_COUNT", 1)
    await states.put("shop", "a", b"1", revision=None, writer="w1")
    with pytest.raises(StateFull) as caught:
        await states.put("shop", "b", b"1", revision=None, writer="w2")

    assert (caught.value.code, caught.value.limit_count) == ("state_full", 1)


async def test_people_read_and_change_it(client: Any) -> None:
    """Put, read, list, compare, remove, clear."""
    kept = await client.put(f"{BASE}/a/b c", json={"value": {"page": 3}})
    read = await client.get(f"{BASE}/a/b c")
    stale = await client.put(f"{BASE}/a/b c", json={"value": 1, "revision": 5})
    await client.put(f"{BASE}/z", json={"value": None})
    page = (await client.get(BASE, params={"limit": 1})).json()
    rest = (await client.get(BASE, params={"cursor": page["next_cursor"]})).json()
    removed = await client.delete(f"{BASE}/a/b c")
    again = await client.delete(f"{BASE}/a/b c")
    cleared = await client.delete(BASE)

    assert kept.status_code == 200
    assert read.json()["value"] == {"page": 3}
    assert read.json()["revision"] == kept.json()["revision"]
    assert (stale.status_code, stale.json()["code"]) == (409, "state_conflict")
    assert [each["key"] for each in page["state"]] == ["a/b c"]
    assert [each["key"] for each in rest["state"]] == ["z"]
    assert (removed.status_code, again.status_code) == (204, 404)
    assert cleared.json() == {"removed_count": 1}


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        (f"{BASE}/{'k' * 201}", {"value": 1}, "/key"),
        (f"{BASE}/k", {"value": "x" * 70_000}, "/value"),
        (f"{BASE}/k", {"valeu": 1}, "/valeu"),
        (f"{BASE}/k", {"value": 1, "revision": -1}, "/revision"),
    ],
)
async def test_what_cannot_be_kept_is_named(
    client: Any, path: str, body: Any, pointer: str
) -> None:
    """The place is named, in both languages."""
    for lang in ("en", "ko"):
        answer = await client.put(path, json=body, headers={"Accept-Language": lang})

        assert answer.status_code == 422
        assert answer.json()["problems"][0]["pointer"] == pointer
