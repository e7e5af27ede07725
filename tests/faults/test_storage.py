"""Rows of the promise table about what lasts: the gateway dies, or its disk does."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.accounting import settle
from tests.faults.notes import read_notes
from tests.faults.services import Cluster, pause, until
from tests.faults.traffic import Traffic
from tests.faults.volumes import Volume, needs_volumes, volume

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

DATABASE = "zscrape.db"
# Longer than a gateway takes to start where much else runs, and a worker to dial it again.
with_a_long_lease = pytest.mark.parametrize(
    "cluster", [{"ZSCRAPE_HEARTBEAT_LEASE_S": "60"}], indirect=True, ids=["long lease"]
)
INVALID = 3  # exit code of the contract's section 5: invalid input or environment


def starts(cluster: Cluster) -> list[tuple[str, int]]:
    """Return the attempts that have begun, by what the scripts say."""
    return [(note.task, note.attempt) for note in read_notes(cluster.notes, "start")]


def same_ends(cluster: Cluster, kept: list[dict[str, Any]]) -> bool:
    """True iff these tasks end, or have ended, as they were told to have ended.

    What was told and not yet written is taken again from its worker: hence the wait.
    """
    names = ("request_id", "status", "data", "error", "worker_id", "attempts")
    found = [cluster.look(task["request_id"], wait_s=30) for task in kept]
    return [[task[name] for name in names] for task in found] == [
        [task[name] for name in names] for task in kept
    ]


# ---- the gateway dies ----------------------------------------------------------------


@with_a_long_lease
def test_gateway_killed_and_restarted(cluster: Cluster) -> None:
    """Results are kept, queued tasks run, and running attempts are adopted, not repeated."""
    worker = cluster.start_worker("worker", slots=4)
    over = [cluster.accept(cluster.task(number)) for number in range(10)]
    kept = [cluster.look(task_id, wait_s=30) for task_id in over]
    running = [cluster.accept(cluster.task(number, hold="go")) for number in range(10, 14)]
    until(lambda: len(starts(cluster)) == 14)
    queued = [cluster.accept(cluster.task(number, 0.1)) for number in range(14, 60)]

    cluster.restart_gateway()
    are_kept = same_ends(cluster, kept)
    cluster.wait_for_worker(worker)
    cluster.let_go("go")
    ended = [cluster.look(task_id, wait_s=60) for task_id in running + queued]

    assert are_kept
    assert {task["status"] for task in ended} == {"completed"}
    assert [task["data"]["number"] for task in ended] == list(range(10, 60))
    assert [task["attempts"] for task in ended[:4]] == [1, 1, 1, 1]
    assert sorted(starts(cluster)) == sorted((task_id, 1) for task_id in over + running + queued)


@with_a_long_lease
def test_outcome_of_a_dead_gateways_task_is_taken_once(cluster: Cluster) -> None:
    """What ends while the gateway is away is kept by its worker and told to the next one."""
    cluster.start_worker("worker", slots=2)
    running = [cluster.accept(cluster.task(number, hold="go")) for number in range(2)]
    until(lambda: len(starts(cluster)) == 2)

    cluster.gateway.kill()
    cluster.let_go("go")
    until(lambda: len(read_notes(cluster.notes, "end")) == 2)
    assert cluster.start_gateway_again().is_ready
    ended = [cluster.look(task_id, wait_s=30) for task_id in running]

    assert [(task["status"], task["attempts"]) for task in ended] == [("completed", 1)] * 2
    assert len(starts(cluster)) == 2


def test_gateway_and_worker_killed_together(cluster: Cluster) -> None:
    """Nothing but the disk is left, and everything accepted still ends."""
    worker = cluster.start_worker("worker", slots=2)
    accepted = [cluster.accept(cluster.task(number, 1.0)) for number in range(10)]
    until(lambda: len(starts(cluster)) >= 2)

    cluster.gateway.kill()
    worker.kill()
    assert cluster.start_gateway_again().is_ready
    cluster.start_worker("worker", slots=2)
    ended = [cluster.look(task_id, wait_s=90) for task_id in accepted]

    assert {task["status"] for task in ended} == {"completed"}


def test_lock_survives_a_restart(cluster: Cluster) -> None:
    """Who holds a lock across a restart still holds it, and nobody runs beside it."""
    cluster.start_worker("worker", slots=2)
    bodies = [
        cluster.task(number, 1.5, alone="k", lock_key="k", overlap="queue_all")
        for number in range(4)
    ]
    accepted = [cluster.accept(body) for body in bodies]
    until(lambda: starts(cluster))

    cluster.restart_gateway()
    ended = [cluster.look(task_id, wait_s=90) for task_id in accepted]

    assert {task["status"] for task in ended} == {"completed"}
    assert not read_notes(cluster.notes, "overlap")


def test_every_accepted_task_outlives_kills_at_any_moment(cluster: Cluster) -> None:
    """The gateway is killed again and again under load; the books are exact at the end."""
    for name in ("a", "b"):
        cluster.start_worker(name, slots=4)
    traffic = Traffic(cluster, seed=5)
    traffic.start()
    rng = random.Random(5)

    for _ in range(8):
        pause(rng.uniform(0.3, 2.0))
        cluster.restart_gateway()
    until(lambda: len(traffic.told.accepted) > 100)
    traffic.stop()
    account = settle(cluster, traffic.told)

    assert not account.faults, str(account)
    assert account.accepted_count > 100


@with_a_long_lease
def test_gateway_killed_during_a_synchronous_call(cluster: Cluster) -> None:
    """The caller finds its task by its Idempotency-Key; it has run once and is not run again."""
    cluster.start_worker("worker", slots=1)
    body = cluster.task(1, hold="go")
    headers = {"Idempotency-Key": "mine"}

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(cluster.http.post, "/scrape", json=body, headers=headers)
        until(lambda: starts(cluster))
        pause(1)  # open calls are written a moment after they begin: they do not wait for it
        cluster.restart_gateway()
        with pytest.raises(httpx.TransportError):
            call.result()
    cluster.let_go("go")
    again = cluster.http.post("/scrape", json=body, headers=headers)

    assert again.status_code == 200
    assert (again.json()["status"], again.json()["attempts"]) == ("completed", 1)
    assert again.json()["request_id"] == starts(cluster)[0][0]
    assert len(starts(cluster)) == 1


@with_a_long_lease
def test_task_of_a_broken_stream_is_found_by_its_id(cluster: Cluster) -> None:
    """A stream that ends with its gateway has told X-Request-Id: the task is found by it."""
    cluster.start_worker("worker", slots=1)
    accept = {"Accept": "text/event-stream"}

    body = cluster.task(1, hold="go")
    with cluster.http.stream("POST", "/scrape", json=body, headers=accept) as stream:
        task_id = stream.headers["X-Request-Id"]
        until(lambda: starts(cluster))
        pause(1)  # open calls are written a moment after they begin: they do not wait for it
        cluster.restart_gateway()
    cluster.let_go("go")
    ended = cluster.look(task_id, wait_s=30)

    assert (ended["status"], ended["attempts"]) == ("completed", 1)
    assert len(starts(cluster)) == 1


def test_second_gateway_on_one_home_is_refused(cluster: Cluster) -> None:
    """Two gateways never write to one database: the second says so and ends with 3."""
    second = cluster.start_gateway("127.0.0.1:0", "tcp://127.0.0.1:0")

    code, words = second.refusal()
    assert code == INVALID
    assert str(cluster.home) in words
    assert cluster.http.get("/ready").status_code == 200


# ---- the disk ------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Cluster, Volume]]:
    """A gateway whose home is a file system of 8 MB."""
    with volume(tmp_path / "gateway", 8_000_000) as mounted:
        cluster = Cluster(tmp_path, launcher=mounted.launcher, view=mounted.view)
        cluster.start_worker("worker", slots=2)
        yield cluster, mounted
        cluster.close()


def hand_in(cluster: Cluster, number: int) -> httpx.Response:
    """Hand in a task that takes up room."""
    body = cluster.task(number, metadata={"ballast": "x" * 50_000})
    return cluster.http.post("/v1/tasks", json=body)


def hand_in_until_refused(cluster: Cluster) -> list[httpx.Response]:
    """Hand tasks in until one is not taken; returns all answers, the refusal last."""
    answers = [hand_in(cluster, 1)]
    while answers[-1].status_code == 202:
        assert len(answers) < 1_000, "there is no end to this disk"
        answers.append(hand_in(cluster, 1 + len(answers)))
    return answers


@pytest.mark.system
@needs_volumes
def test_disk_full(small: tuple[Cluster, Volume]) -> None:
    """New work is refused with 503 storage_full; nothing is lost; it recovers by itself."""
    cluster, mounted = small
    running = cluster.accept(cluster.task(0, 3.0))
    until(lambda: starts(cluster))
    mounted.fill()

    *taken, answer = hand_in_until_refused(cluster)
    accepted = [each.json()["request_id"] for each in taken]
    health = cluster.http.get("/health").json()
    until(lambda: len(read_notes(cluster.notes, "end")) == 1 + len(accepted))
    mounted.make_room()
    until(lambda: hand_in(cluster, 1_000).status_code == 202)
    ended = [cluster.look(task_id, wait_s=30) for task_id in [running, *accepted]]

    assert answer.status_code == 503
    assert "storage_full" in answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert (health["status"], health["components"]["store"]) == ("degraded", "storage_full")
    assert {task["status"] for task in ended} == {"completed"}
    assert {task["attempts"] for task in ended} == {1}
    cluster.restart_gateway()
    assert same_ends(cluster, ended)


@pytest.mark.system
@needs_volumes
def test_gateway_killed_on_a_full_disk(small: tuple[Cluster, Volume]) -> None:
    """Killed while nothing could be written, it comes back with all that it had promised."""
    cluster, mounted = small
    accepted = [cluster.accept(cluster.task(number)) for number in range(20)]
    kept = [cluster.look(task_id, wait_s=30) for task_id in accepted]
    mounted.fill()
    hand_in_until_refused(cluster)

    cluster.gateway.kill()
    mounted.make_room()
    assert cluster.start_gateway_again().is_ready

    assert same_ends(cluster, kept)


@pytest.mark.system
@needs_volumes
def test_home_that_is_read_only(small: tuple[Cluster, Volume]) -> None:
    """A gateway does not start on a home that it cannot write to: exit 3, and the path is named."""
    cluster, mounted = small
    task_id = cluster.accept(cluster.task(1))
    kept = cluster.look(task_id, wait_s=30)
    cluster.gateway.kill()
    mounted.set_read_only(True)

    code, words = cluster.start_gateway_again().refusal()
    mounted.set_read_only(False)
    allowed = cluster.start_gateway_again()

    assert code == INVALID
    assert str(cluster.root / "gateway") in words
    assert allowed.is_ready
    assert same_ends(cluster, [kept])


def test_database_locked(cluster: Cluster) -> None:
    """Another process holds the database for 10 s: 503 with the reason or patience, no loss."""
    cluster.start_worker("worker", slots=2)
    before = cluster.accept(cluster.task(0, 2.0))
    address = f"file:{cluster.home / DATABASE}?mode=rw"  # never make one that is not there
    other = sqlite3.connect(address, uri=True, isolation_level=None, timeout=5)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(10.0, lambda: None)
    release.start()

    answers = []
    while release.is_alive():
        answers.append(cluster.http.post("/v1/tasks", json=cluster.task(1), timeout=30))
        assert cluster.http.get("/health", timeout=2).status_code == 200
        if len(answers) == 3:
            release.join()
    other.execute("ROLLBACK")
    other.close()
    after = until(lambda: _accepted(cluster, 2))

    codes = {answer.status_code for answer in answers}
    assert codes <= {202, 503}
    assert all("storage_locked" in each.text for each in answers if each.status_code == 503)
    accepted = [each.json()["request_id"] for each in answers if each.status_code == 202]
    ended = [cluster.look(task_id, wait_s=30) for task_id in [before, *accepted, after]]
    assert {task["status"] for task in ended} == {"completed"}


def _accepted(cluster: Cluster, number: int) -> str:
    answer = cluster.http.post("/v1/tasks", json=cluster.task(number))
    return str(answer.json()["request_id"]) if answer.status_code == 202 else ""


@pytest.fixture
def dead(cluster: Cluster) -> tuple[Cluster, list[dict[str, Any]]]:
    """A cluster with 40 finished tasks whose gateway has been killed, and those tasks."""
    cluster.start_worker("worker", slots=4)
    answer = cluster.http.post("/v1/tasks", json=[cluster.task(n) for n in range(40)])
    ids = [each["request_id"] for each in answer.raise_for_status().json()["tasks"]]
    kept = [cluster.look(task_id, wait_s=30) for task_id in ids]
    assert cluster.is_durable
    cluster.gateway.kill()
    return cluster, kept


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_truncated_wal(dead: tuple[Cluster, list[dict[str, Any]]], share: float) -> None:
    """With a torn log it starts on what is whole: no task is half there, new work is taken."""
    cluster, kept = dead
    wal = cluster.home / f"{DATABASE}-wal"
    if wal.exists():
        with wal.open("r+b") as file:
            file.truncate(int(wal.stat().st_size * share))

    assert cluster.start_gateway_again().is_ready
    after = cluster.look(cluster.accept(cluster.task(999)), wait_s=60)

    assert after["status"] == "completed"
    by_id = {task["request_id"]: task for task in kept}
    for summary in cluster.tasks():
        found = cluster.look(summary["request_id"], wait_s=60)
        if found["request_id"] in by_id:
            before = by_id[found["request_id"]]
            assert found["status"] == "completed"
            assert found["data"]["number"] == before["data"]["number"]


def write_over_header(path: Path) -> None:
    """Make it no database at all."""
    with path.open("r+b") as file:
        file.write(b"\xff" * 100)


def write_over_pages(path: Path) -> None:
    """Destroy all pages but the first."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(random.Random(1).randbytes(size - 4096))


def cut_in_half(path: Path) -> None:
    """Lose the second half of it."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // 4096 * 4096)


@pytest.mark.parametrize("damage", [write_over_header, write_over_pages, cut_in_half])
def test_corrupt_database(
    dead: tuple[Cluster, list[dict[str, Any]]], damage: Callable[[Path], None]
) -> None:
    """Corruption is said at start with the file and the repair, exit 3; nothing is recreated."""
    cluster, _ = dead
    path = cluster.home / DATABASE
    flush(path)
    damage(path)
    damaged = path.read_bytes()

    code, words = cluster.start_gateway_again().refusal()

    assert code == INVALID
    assert DATABASE in words
    assert "zscrape restore" in words
    assert path.read_bytes() == damaged


def flush(path: Path) -> None:
    """Bring everything from the log into the file."""
    with sqlite3.connect(f"file:{path}?mode=rw", uri=True) as database:
        assert database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    database.close()


def test_damaged_row_is_never_executed(cluster: Cluster) -> None:
    """A flipped bit in the parameters of a queued task ends that task, and no other."""
    answer = cluster.http.post("/v1/tasks", json=[cluster.task(n) for n in (4711, 4800)])
    damaged, well = [each["request_id"] for each in answer.raise_for_status().json()["tasks"]]
    cluster.gateway.kill()
    path = cluster.home / DATABASE
    flush(path)
    content = path.read_bytes()
    assert content.count(b'"number":4711') >= 1
    path.write_bytes(content.replace(b'"number":4711', b'"number":4719'))

    assert cluster.start_gateway_again().is_ready
    cluster.start_worker("worker", slots=2)
    ended = [cluster.look(task_id, wait_s=60) for task_id in (damaged, well)]

    assert [task["status"] for task in ended] == ["failed", "completed"]
    assert {note.number for note in read_notes(cluster.notes)} == {4800}
