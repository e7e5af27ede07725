"""What the gateway of the ladder promises beyond one plain call."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from unittest.mock import Mock

import pytest

from bench.floors.ladder import lives as ladder_lives, template, words
from bench.floors.ladder.asked import Key, Script, read_request
from bench.floors.ladder.cluster import Standing, instant, standing
from bench.floors.ladder.http import Connection, Door
from bench.floors.ladder.lives import Lives, Task
from bench.floors.ladder.places import PlacedLink
from bench.floors.ladder.rungs import Rung
from tests.bench.test_ladder import ADD, ask, later, until
from zscrape.errors.refusals import ClientQueueFull, Draining, QueueFull

SLOW = "import time\n\ndef run(s: float = 0.0):\n    time.sleep(s)\n    return s\n"


def test_a_failure_is_tried_again_and_then_a_dead_letter() -> None:
    """As often as the call says, and only after what it names."""
    source = "def run(n: int = 0):\n    raise ValueError(n)\n"
    with standing(Rung.WORKERS, source) as running:
        retry = {"max": 2, "backoff": [0.05]}
        assert ask(running, {"retry": retry})[1]["attempts"] == 3
        assert ask(running, {"retry": {**retry, "on": ["blocked"]}})[1]["attempts"] == 1
        once, thrice, _ = until(lambda: _ended(running, 3))

    assert (once["dropped_reason"], thrice["dropped_reason"]) == ("", "retry_exhausted")
    states = [state for state, *_ in thrice["states"]]
    assert states == ["queued", "assigned", "running"] * 3 + ["failed"]
    assert [number for _, _, number, *_ in thrice["states"]] == [*range(1, 11)]


def test_a_lock_keeps_tasks_from_overlapping() -> None:
    """One is refused with the holder's name, one waits in line, one replaces them all."""
    with standing(Rung.WORKERS, SLOW) as running:
        held: dict[str, Any] = {"lock_key": "one"}
        first = later(running, {**held, "parameters": {"s": 2.0}})
        until(lambda: _assigned(running, 2))
        status, told = ask(running, {"lock_key": "one"})
        assert (status, told["error"]["code"]) == (409, "lock_held")
        assert ask(running, {"lock_key": "two"})[0] == 200
        waits = later(running, {**held, "overlap": "queue_all"})
        assert (first(), waits()) == ((200, "completed"),) * 2

        last = later(running, {**held, "parameters": {"s": 30}})
        until(lambda: _assigned(running, 5))
        assert ask(running, {"lock_key": "one", "overlap": "replace"})[1]["status"] == "completed"
        assert last() == (200, "cancelled")


def test_an_answer_serves_again_and_a_task_is_followed() -> None:
    """An answer that is not too old, and states as they come."""
    with standing(Rung.WORKERS, ADD) as running:
        pid = running.data()[1]
        until(lambda: _ended(running, 2))
        assert ask(running, {"max_age": 60})[1]["data"][1] == pid
        assert ask(running, {"max_age": 0})[1]["data"][1] != pid
    with standing(Rung.WORKERS, SLOW) as running:
        answer = later(running, {"parameters": {"s": 0.5}})
        task_id = until(lambda: _assigned(running, 2))
        told = ask(running, path=f"/v1/tasks/{task_id}/events")[1]
        assert answer() == (200, "completed")

    said = [json.loads(line[6:]) for line in told.splitlines() if line.startswith("data: ")]
    assert [state for state, *_ in said] == ["queued", "assigned", "running", "completed"]


def _ended(running: Standing, count: int) -> Any:
    rows = ask(running, path="/v1/tasks")[1]
    return rows if len(rows) == count and all(row["finished_at"] for row in rows) else None


def _assigned(running: Standing, count: int) -> Any:
    """Return the id of the latest of so many tasks once it has begun.

    Rows are written behind what they tell: that of an earlier one, which has ended, may say yet
    that it runs.
    """
    rows = ask(running, path="/v1/tasks")[1]
    latest = rows[0] if len(rows) == count else {"status": ""}
    return latest["id"] if latest["status"] == "assigned" else None


def test_a_task_goes_to_a_worker_with_its_tags() -> None:
    """And is refused once nobody has come that has them."""
    with instant(Rung.PLACE, 3) as running:
        others = {ask(running)[1]["worker_id"] for _ in range(6)}
        found = [ask(running, {"tags": ["instant-1"]})[1]["worker_id"] for _ in range(3)]
        status, told = ask(running, {"tags": ["browser"]})

    assert found == ["instant-1"] * 3
    assert others == {"instant-0", "instant-1", "instant-2"}
    assert (status, told["error"]["code"]) == (503, "no_matching_worker")


def test_an_edited_script_is_run_by_the_next_call() -> None:
    """And checked as it is now."""
    with instant(Rung.FRESH, 1) as running:
        assert ask(running, {"parameters": {"n": 1}})[0] == 422
        before = ask(running)[1]["digest"]
        (running.folder / "script" / "main.py").write_text("def run(n: int):\n    return n\n")
        status, told = ask(running, {"parameters": {"n": 1}})

    assert status == 200
    assert told["digest"] != before


def test_every_answer_has_its_lines_and_only_hosts_of_ours_are_served() -> None:
    """By name; a page of a stranger could otherwise lead here."""
    with instant(Rung.DOOR, 1) as running:
        with closing(HTTPConnection("127.0.0.1", running.port, timeout=15)) as connection:
            connection.request("GET", "/metrics", headers={"Authorization": "Bearer key"})
            headers = connection.getresponse().headers
        with closing(HTTPConnection("127.0.0.1", running.port, timeout=15)) as connection:
            connection.request("GET", "/metrics", headers={"Host": "elsewhere.example"})
            refused = connection.getresponse().status

    assert all(headers[it] for it in ("Date", "X-Content-Type-Options", "Cache-Control"))
    assert refused == 421


def test_a_gateway_that_is_to_end_answers_what_it_has_taken() -> None:
    """And refuses what is new."""
    with standing(Rung.DOOR, SLOW) as running:
        answer = later(running, {"parameters": {"s": 1.0}})
        until(lambda: _assigned(running, 2))
        with socket.create_connection(("127.0.0.1", running.port), 10) as client:
            os.kill(running.roles["gateway"], signal.SIGTERM)
            body = b'{"script_name":"noop"}'
            head = (
                b"POST /scrape HTTP/1.1\r\nAuthorization: Bearer key\r\nContent-Length: %d\r\n\r\n"
            )
            told = b""
            for _ in range(3):  # the signal may come behind the first
                client.sendall(head % len(body) + body)
                told = client.recv(65_536)
                if b"503" in told[:20]:
                    break
        assert b"draining" in told
        assert answer() == (200, "completed")


def test_a_connection_ends_that_takes_too_long() -> None:
    """With its head, or with reading; not while it waits for an answer."""

    async def check() -> None:
        door = Door(asyncio.get_running_loop(), has_limits=True)

        def connected() -> tuple[Connection, Mock]:
            connection, transport = Connection(lambda *_: None, door), Mock()
            connection.connection_made(transport)
            return connection, transport

        (slow, slow_wire), (waiting, waiting_wire) = connected(), connected()
        deaf, deaf_wire = connected()
        slow.data_received(b"POST / HTTP/1.1\r\nHost: loc")
        waiting.data_received(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        deaf.pause_writing()
        assert deaf_wire.pause_reading.called
        for wire, s in ((slow_wire, 11), (deaf_wire, 61)):
            for each in door.connections:
                each.look(door.now + s - 2)
            assert not wire.abort.called
            for each in door.connections:
                each.look(door.now + s)
            assert wire.abort.called
        assert not waiting_wire.abort.called

    asyncio.run(check())


# ---- tasks without processes ---------------------------------------------------------


def _in_loop(work: Callable[[Lives], Awaitable[None]]) -> None:
    async def run() -> None:
        lives = Lives(asyncio.get_running_loop(), tell=Mock(), note=Mock())
        lives.run, lives.stop, lives.matches = Mock(), Mock(), Mock(return_value=True)
        await work(lives)

    asyncio.run(run())


def _accept(lives: Lives, key: Key, **fields: Any) -> None:
    request = read_request(json.dumps({"script_name": "noop", **fields}).encode())
    script = Mock(spec=Script, run=b"", is_plain=True, requires=frozenset(), prefers=frozenset())
    script.pin.digest = "sha256:1"
    given: dict[str, Any] = {"parameters": b"{}", "trace_id": "", "waiter": Mock(spec=Connection)}
    lives.accept(request, script, key=key, now=time.time(), **given)


def test_only_so_many_tasks_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a client, and of all that wait; none while the gateway ends."""
    monkeypatch.setattr(ladder_lives, "LIMIT_COUNT", 3)
    monkeypatch.setattr(ladder_lives, "CLIENT_LIMIT_COUNT", 2)

    async def check(lives: Lives) -> None:
        lives.run = lives.wait
        first, second = (Key(b"", name, frozenset()) for name in "ab")
        _accept(lives, first)
        _accept(lives, first)
        with pytest.raises(ClientQueueFull):
            _accept(lives, first)
        _accept(lives, second)
        with pytest.raises(QueueFull):
            _accept(lives, second)
        drained = lives.drain()
        with pytest.raises(Draining):
            _accept(lives, second)
        for task in [*lives.waiting()]:
            lives.cancel(task)
        await drained
        assert first.live_count == second.live_count == 0

    _in_loop(check)


def test_clients_take_turns_within_a_priority() -> None:
    """However many tasks one has asked for before the other."""

    async def check(lives: Lives) -> None:
        link = PlacedLink(0, lives)
        lives.run, lives.stop, lives.matches = link.run, link.stop, link.matches
        link.listen()
        sent: list[words.Run] = []

        def send(_peer: bytes, frame: bytes) -> bool:
            said = words.of_gateway.decode(frame)
            if type(said) is words.Run:
                sent.append(said)
            return True

        vars(link.socket)["send"] = send
        greedy, other = Key(b"", "greedy", frozenset()), Key(b"", "other", frozenset())
        for _ in range(3):
            _accept(lives, greedy)
        _accept(lives, other)
        _accept(lives, greedy, priority=5)
        told: list[tuple[str, int]] = []
        tasks: dict[str, Task] = {task.id: task for task in lives.waiting()}
        link.socket.hear(b"w", words.encode(words.Hello("w", "1", 1)))
        while len(told) < len(tasks):
            said = sent[-1]
            task = tasks[said.task_id]
            told.append((task.key.client, task.request.priority))
            link.socket.hear(b"w", words.encode(words.Done(said.task_id, 1, "ok", b"null", 0.1)))
        assert told[0] == ("greedy", 5)
        assert [client for client, _ in told[1:]] == ["greedy", "other", "greedy", "greedy"]
        link.socket.close()

    _in_loop(check)


def test_a_script_that_is_ready_somewhere_runs_there() -> None:
    """Among those with the least to do."""

    async def check(lives: Lives) -> None:
        link = PlacedLink(0, lives)
        lives.run, lives.stop, lives.matches = link.run, link.stop, link.matches
        link.listen()
        peers: list[bytes] = []

        def send(peer: bytes, _frame: bytes) -> bool:
            peers.append(peer)
            return True

        vars(link.socket)["send"] = send
        for name in ("a", "b"):
            link.socket.hear(name.encode(), words.encode(words.Hello(name, "1", 2)))
        link.socket.hear(b"b", words.encode(words.Beat(1, 2, ("sha256:1",))))
        peers.clear()
        key = Key(b"", "client", frozenset())
        for _ in range(3):
            _accept(lives, key)
        assert peers[:2] == [b"b", b"a"]
        link.socket.close()

    _in_loop(check)


def test_the_template_knows_the_rungs_by_their_numbers() -> None:
    """It is started without what they are written in."""
    told = (template.DEADLINE, template.OUTPUT, template.FOLDER, template.LAYERS, template.CONTEXT)
    assert told == tuple(Rung)[Rung.DEADLINE :]
