"""The Python client against a real cluster, with and without an event loop."""

from __future__ import annotations

import asyncio
import inspect
import re
import textwrap
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

import zscrape
from tests.cli.conftest import Cluster
from tests.client.consumer import use, use_async
from zscrape.client import AsyncClient, Client, ClientError, Task, batching, streaming

EXPECTED = [
    "completed",
    "content of a.txt",
    "content of a.txt",
    "[1, 2, 3]",
    "['completed', 'completed', 'completed']",
    "True",
    "script_error",
    "True",
]


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Client]:
    """A client that finds the gateway by its home folder."""
    with zscrape.Client(home=cluster.home) as client:
        yield client


def test_program_of_a_user_runs(client: Client, tmp_path: Path) -> None:
    """Each verb does what its type says."""
    assert use(client, tmp_path) == EXPECTED


async def test_program_of_a_user_runs_in_a_loop(cluster: Cluster, tmp_path: Path) -> None:
    """The async client does the very same."""
    async with AsyncClient(home=cluster.home) as client:
        assert await use_async(client, tmp_path) == EXPECTED


async def test_items_come_while_the_script_runs(cluster: Cluster) -> None:
    """The first item is there long before the last; leaving the stream ends the task."""
    async with AsyncClient(home=cluster.home) as client:
        endless = {"count": 1_000, "pause_s": 1.0}
        key = "left-early"
        async with aclosing(client.stream("steps", endless, idempotency_key=key)) as rows:
            first = await anext(rows)
        task = await client.submit("steps", endless, idempotency_key=key)
        ended = await client.wait(task.id, timeout_s=30)

    assert first["number"] == 1
    assert ended.status == "cancelled"


def test_leaving_a_stream_ends_its_task(client: Client) -> None:
    """A `break` is enough."""
    endless = {"count": 1_000, "pause_s": 1.0}
    for _ in client.stream("steps", endless, idempotency_key="sync-left-early"):
        break
    task = client.submit("steps", endless, idempotency_key="sync-left-early")

    assert client.wait(task.id, timeout_s=30).status == "cancelled"


async def test_cancelled_listener_ends_the_task(cluster: Cluster) -> None:
    """A program that gives up waiting, by a timeout of its own, leaves nothing running."""
    endless = {"count": 1_000, "pause_s": 1.0}
    begun = asyncio.Event()
    async with AsyncClient(home=cluster.home) as client:

        async def listen() -> None:
            async for _ in client.stream("steps", endless, idempotency_key="given-up"):
                begun.set()

        listening = asyncio.create_task(listen())
        await begun.wait()
        listening.cancel()
        await asyncio.wait([listening])
        task = await client.submit("steps", endless, idempotency_key="given-up")
        ended = await client.wait(task.id, timeout_s=30)

    assert listening.cancelled()
    assert ended.status == "cancelled"


def test_large_data_is_to_be_had(client: Client) -> None:
    """What is too large for an answer is a call of its own."""
    task = client.run("big")

    assert task.data is None
    assert client.data(task.id) == "x" * 2_000_000
    assert task.id in [each.id for each in client.all_tasks(script="big", limit=1)]


def test_wait_that_is_over_leaves_the_task_running(client: Client) -> None:
    """The error says that the task goes on, and what can be done."""
    task = client.submit("steps", {"count": 1_000, "pause_s": 1.0})

    with pytest.raises(ClientError, match="It goes on") as caught:
        client.wait(task.id, timeout_s=0.01)
    client.cancel(task.id)

    assert (caught.value.code, caught.value.request_id) == ("wait_over", task.id)
    assert client.wait(task.id, timeout_s=30).status == "cancelled"


def test_batch_tells_which_parameters_failed(client: Client) -> None:
    """Parameters that do not fit, and scripts that fail, are one outcome each among the others."""
    asked: list[dict[str, Any]] = [{"count": 1}, {"count": "x"}, {"count": 1, "fail": True}]

    ended = {each.index: each for each in client.batch("steps", asked)}

    codes = [ended[index].task.error for index in range(3)]
    assert [each and each.code for each in codes] == [None, "params_invalid", "script_error"]
    assert ended[1].parameters == {"count": "x"}


async def test_many_calls_share_one_async_client(cluster: Cluster) -> None:
    """Calls of one client run beside each other."""
    async with AsyncClient(home=cluster.home) as client:
        tasks = await asyncio.gather(*(client.run("steps", {"count": n}) for n in range(1, 6)))

    assert [len(task.rows) for task in tasks] == [1, 2, 3, 4, 5]


def test_download_leaves_nothing_of_a_file_that_is_not_there(
    client: Client, tmp_path: Path
) -> None:
    """What cannot be had is an error, and no file."""
    task = client.run("steps", {"count": 1})

    with pytest.raises(ClientError) as caught:
        client.download(task.id, "none.csv", tmp_path / "none.csv")

    assert caught.value.code == "not_found"
    assert caught.value.request_id
    assert list(tmp_path.iterdir()) == []


def examples() -> Iterator[tuple[str, str]]:
    """Yield the programs in docstrings of the client."""
    for thing in (zscrape.client, Client, AsyncClient, Task):
        for block in re.findall(r"(?:\n\n|\A)((?: {4}.+\n?)+)", inspect.getdoc(thing) or ""):
            yield getattr(thing, "__name__", ""), textwrap.dedent(block)


@pytest.mark.parametrize(("name", "code"), list(examples()))
def test_examples_of_docstrings_run(
    name: str, code: str, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the words show works as it stands, with a script that is there."""
    monkeypatch.setenv("ZSCRAPE_HOME", str(cluster.home))
    code = code.replace('"price_watch", {"url": "https://example.com"}', '"steps", {"count": 1}')
    known: dict[str, Any] = {"Client": Client, "AsyncClient": AsyncClient}
    if name == "AsyncClient":
        code = f"async def main() -> None:\n{textwrap.indent(code, '    ')}\nasyncio.run(main())"
    with Client() as client:
        exec(code, {**known, "asyncio": asyncio, "client": client, "print": str})

    assert "steps" in code


def test_both_clients_have_the_same_verbs() -> None:
    """What one can do the other can, with the same words and parameters."""
    own = {name for name in vars(Client) if not name.startswith("_")}

    assert own == {name for name in vars(AsyncClient) if not name.startswith("_")}
    for name in own - {"close"}:
        mine, other = getattr(Client, name), getattr(AsyncClient, name)
        assert mine.__doc__ == other.__doc__
        assert inspect.signature(mine) == inspect.signature(other)
        assert next(iter(inspect.signature(mine).parameters)) == "self"
    assert Client.batch.__doc__ == batching.batch.__doc__
    assert Client.stream.__doc__ == streaming.stream.__doc__
