"""Two gateways on one PostgreSQL with three workers: whoever dies, each task ends once."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.notes import read_notes
from tests.faults.pair import Pair
from tests.faults.services import Cluster, pause, until
from tests.postgres import Server

pytestmark = [pytest.mark.e2e, pytest.mark.system, pytest.mark.timeout(180)]

# A lease, its margin, a renewal, and the work of taking over.
TAKEN_OVER_S = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL server."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def pair(tmp_path: Path, server: Server) -> Iterator[Pair]:
    """Two gateways and their workers."""
    pair = Pair(tmp_path, server)
    yield pair
    pair.close()


class Load:
    """Threads that hand tasks in at both gateways until they are stopped."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        self._number = 0
        self.accepted: dict[str, int] = {}
        self.refused: set[str] = set()
        self.faults: list[str] = []
        self._threads = [
            threading.Thread(target=self._run, args=(each,)) for each in pair.both for _ in "ab"
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, cluster: Cluster) -> None:
        while not self._is_over.is_set():
            with self._lock:
                self._number += 1
                number = self._number
            body = self._pair.task(number, (number % 7) / 20)
            try:
                answer = cluster.http.post("/v1/tasks", json=body)
            except httpx.TransportError:
                pause(0.1)
                continue
            with self._lock:
                if answer.status_code == 202:
                    self.accepted[answer.json()["request_id"]] = number
                elif answer.status_code == 503:
                    self.refused.add(answer.json()["code"])
                else:
                    self.faults.append(answer.text)
            pause(0.02 if answer.status_code == 202 else 0.2)


def accepted(cluster: Cluster, body: dict[str, Any]) -> str:
    """Hand a task in; returns its id, or nothing while that is refused."""
    answer = cluster.http.post("/v1/tasks", json=body)
    return str(answer.json()["request_id"]) if answer.status_code == 202 else ""


def ended(cluster: Cluster, task_ids: list[str], within_s: float) -> dict[str, dict[str, Any]]:
    """Return the tasks once all of them have ended."""
    tasks: dict[str, dict[str, Any]] = {}

    def all_are() -> bool:
        tasks.update({each["request_id"]: each for each in cluster.tasks()})
        return all(
            tasks.get(task_id, {}).get("status") in ("completed", "failed") for task_id in task_ids
        )

    until(all_are, within_s)
    return {task_id: tasks[task_id] for task_id in task_ids}


def test_a_gateway_killed_under_load(pair: Pair) -> None:
    """`kill -9` of one: what it accepted ends exactly once, what runs goes on, nothing overlaps."""
    first, second = pair.both
    held = [first.accept(pair.task(10_000 + n, hold="go")) for n in range(4)]
    until(lambda: len(read_notes(first.notes, "start")) >= 4)
    with Load(pair) as load:
        until(lambda: len(load.accepted) > 200)
        first.gateway.kill()
        pause(3.0)

    waiting = [*load.accepted]
    until(lambda: second.gateway.events("gateway_expired"), TAKEN_OVER_S)
    done = ended(second, waiting, 90.0)
    before = [second.look(task_id)["status"] for task_id in held]
    first.let_go("go")
    kept = [second.look(task_id, wait_s=30) for task_id in held]

    notes = read_notes(first.notes)
    ends = [note for note in notes if note.what == "end"]
    assert load.faults == []
    assert {task["status"] for task in done.values()} == {"completed"}
    assert set(before) <= {"running", "assigned"}
    assert [(task["status"], task["attempts"]) for task in kept] == [("completed", 1)] * 4
    assert [note for note in notes if note.what == "overlap"] == []
    for task_id, task in done.items():
        assert (task_id, task["attempts"]) in {(note.task, note.attempt) for note in ends}
    again = {note.task for note in notes if note.what == "start" and note.attempt > 1}
    assert not again & set(held)


def test_a_gateway_that_stood_still_drops_what_is_not_its_own(pair: Pair) -> None:
    """Stopped for longer than its lease: its task goes on elsewhere, and it takes nothing back."""
    first, second = pair.both
    task_id = first.accept(pair.task(1, hold="go"))
    until(lambda: len(read_notes(first.notes, "start")) == 1)
    first.gateway.signal(signal.SIGSTOP)
    until(lambda: second.gateway.events("tasks_adopted"), TAKEN_OVER_S)
    first.gateway.signal(signal.SIGCONT)
    until(lambda: first.gateway.events("lease_lost"))
    until(lambda: first.http.get("/status").json()["running_count"] == 0)
    first.let_go("go")

    seen = [each.look(task_id, wait_s=30) for each in pair.both]
    other = first.look(until(lambda: accepted(first, pair.task(2))), wait_s=30)

    assert {(task["status"], task["attempts"]) for task in seen} == {("completed", 1)}
    assert other["status"] == "completed"
    assert len(read_notes(first.notes, "start")) == 2


def test_the_database_restarted_under_load(pair: Pair, server: Server) -> None:
    """Meanwhile work is refused with 503; nothing accepted is lost, and it goes on by itself."""
    held = pair.first.accept(pair.task(10_000, hold="go"))
    until(lambda: read_notes(pair.first.notes, "start"))
    with Load(pair) as load:
        until(lambda: len(load.accepted) > 50)
        server.stop("immediate")
        until(lambda: load.refused)
        pause(3.0)
        server.start()
        count = len(load.accepted)
        until(lambda: len(load.accepted) > count + 50)
    done = ended(pair.second, [*load.accepted], 60.0)
    pair.first.let_go("go")
    kept = pair.first.look(held, wait_s=30)

    assert load.faults == []
    assert load.refused == {"storage_unavailable"}
    assert {task["status"] for task in done.values()} == {"completed"}
    assert (kept["status"], kept["attempts"]) == ("completed", 1)
    assert read_notes(pair.first.notes, "overlap") == []
    for each in pair.both:
        assert each.gateway.events("gateway_expired") == []
        assert each.gateway.events("lease_lost") == []


def test_one_key_at_two_gateways_at_once(pair: Pair) -> None:
    """The same `Idempotency-Key` at both at the same time is one task, and one answer."""

    def call(number: int) -> list[tuple[str, Any]]:
        body = pair.task(number, 0.05)
        headers = {"Idempotency-Key": f"key-{number}"}
        with ThreadPoolExecutor(2) as both:
            answers = both.map(
                lambda each: each.http.post("/scrape", json=body, headers=headers), pair.both
            )
            return [(each.json()["request_id"], each.json()["data"]) for each in answers]

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(call, range(40)))

    starts = read_notes(pair.first.notes, "start")
    assert all(first == second for first, second in told)
    assert [data["number"] for (_, data), _ in told] == list(range(40))
    assert sorted(note.number for note in starts) == list(range(40))


def test_a_task_is_seen_and_ended_through_the_other_gateway(pair: Pair) -> None:
    """Looked at, waited for, followed and cancelled: on any gateway, within about a second."""
    first, second = pair.both
    waited, cancelled = (first.accept(pair.task(n, hold="go")) for n in range(2))
    until(lambda: len(read_notes(first.notes, "start")) == 2)
    shown = second.wait_for(waited, "running")
    why = second.http.get(f"/v1/tasks/{waited}/explain").json()
    gone = second.http.post(f"/v1/tasks/{cancelled}/cancel").json()
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(second.look, waited, 30.0)
        following = pool.submit(events_of, second, waited)
        pause(0.5)
        first.let_go("go")
        seen, events = waiting.result(), following.result()

    assert shown["status"] == "running"
    assert why["reason"] == "elsewhere"
    assert gone["status"] == first.look(cancelled)["status"] == "cancelled"
    assert (seen["status"], seen["data"]) == ("completed", {"number": 0, "attempt": 1})
    assert events[-2:] == ["completed", "completed"]  # the state, and the envelope of its end


def test_a_lock_is_one_over_all_gateways(pair: Pair) -> None:
    """A key has one holder: refused at the other with its name, in line there, never twice."""
    first, second = pair.both
    lock: dict[str, Any] = {"lock_key": "red", "alone": "red"}
    holder = first.accept(pair.task(0, hold="go", **lock))
    until(lambda: read_notes(first.notes, "start"))
    refused = second.http.post("/v1/tasks", json=pair.task(1, **lock, overlap="skip"))
    later = [
        cluster.accept(pair.task(n, 0.02, **lock, overlap="queue_all"))
        for n in range(2, 12)
        for cluster in pair.both
    ]
    first.let_go("go")
    done = ended(second, later, 60.0)
    free = second.http.post("/v1/tasks", json=pair.task(99, **lock, overlap="skip"))

    told = refused.json()
    assert (refused.status_code, told["code"]) == (409, "lock_held")
    assert holder in json.dumps(told)
    assert {task["status"] for task in done.values()} == {"completed"}
    assert free.status_code == 202
    assert second.look(free.json()["request_id"], wait_s=20)["status"] == "completed"
    assert read_notes(first.notes, "overlap") == []


def test_a_lock_outlives_its_gateway(pair: Pair) -> None:
    """The holder of a dead gateway is run to its end elsewhere before anyone in line there."""
    first, second = pair.both
    lock: dict[str, Any] = {"lock_key": "red", "alone": "red", "overlap": "queue_all"}
    holder = first.accept(pair.task(0, hold="go", **lock))
    until(lambda: read_notes(first.notes, "start"))
    later = [second.accept(pair.task(n, 0.02, **lock)) for n in range(1, 6)]
    first.gateway.kill()
    until(lambda: second.gateway.events("tasks_adopted"), TAKEN_OVER_S)
    first.let_go("go")
    done = ended(second, [holder, *later], 60.0)

    numbers = [note.number for note in read_notes(first.notes, "end")]
    assert {task["status"] for task in done.values()} == {"completed"}
    assert numbers[0] == 0
    assert sorted(numbers) == list(range(6))
    assert read_notes(first.notes, "overlap") == []


def events_of(cluster: Cluster, task_id: str) -> list[str]:
    """Follow a task to its end; returns the states that were told."""
    url = f"/v1/tasks/{task_id}/events"
    with cluster.http.stream("GET", url) as answer:
        lines = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
    return [json.loads(line).get("status", "") for line in lines]
