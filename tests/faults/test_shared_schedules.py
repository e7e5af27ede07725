"""Schedules of two gateways on one PostgreSQL: whoever dies, each due moment fires once."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from tests.faults.notes import read_notes
from tests.faults.pair import Pair
from tests.faults.services import Cluster, until
from tests.postgres import Server

pytestmark = [pytest.mark.e2e, pytest.mark.system, pytest.mark.timeout(300)]

# A lease, its margin, a look at the schedules of others, and what a busy machine adds.
TAKEN_OVER_S = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL server."""
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Pair]:
    """Two gateways and a worker; every test has schedules of its own."""
    pair = Pair(tmp_path_factory.mktemp("pair"), server, workers=("one",))
    yield pair
    pair.close()


def add(pair: Pair, name: str, **asked: Any) -> str:
    """Make a schedule at the first gateway, of every second; return its id."""
    body = {"name": name, "interval": 1, "overlap": "allow", **pair.task(1), **asked}
    answer = pair.first.http.post("/v1/schedules", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def moments(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    """Return what became of a schedule's moments, oldest first."""
    answer = cluster.http.get(f"/v1/schedules/{name}/occurrences?limit=1000").raise_for_status()
    found: list[dict[str, Any]] = answer.json()["occurrences"]
    return found[::-1]


def fired(cluster: Cluster, name: str) -> list[str]:
    """Return the tasks that a schedule has made."""
    return [each["request_id"] for each in moments(cluster, name) if each["status"] == "fired"]


def post(cluster: Cluster, path: str) -> int:
    """Call a schedule's verb; return the status of the answer."""
    return cluster.http.post(f"/v1/schedules/{path}").status_code


def test_each_due_moment_fires_once(pair: Pair) -> None:
    """Ten schedules of every second, known to both: each moment is one task and one run."""
    names = [f"s{number}" for number in range(10)]
    for name in names:
        add(pair, name)
    until(lambda: all(len(fired(pair.second, name)) >= 8 for name in names), TAKEN_OVER_S)
    for name in names:
        post(pair.second, f"{name}/pause")
    made = [task_id for name in names for task_id in fired(pair.first, name)]
    until(lambda: all(pair.first.look(each)["status"] == "completed" for each in made))

    dues = [(name, each["due_at"]) for name in names for each in moments(pair.first, name)]
    runs = Counter(note.task for note in read_notes(pair.first.notes, "start"))
    assert len(set(dues)) == len(dues)
    assert len(set(made)) == len(made)
    assert runs == Counter(made)
    assert {each["status"] for name in names for each in moments(pair.first, name)} == {"fired"}


def is_settled(cluster: Cluster, name: str) -> bool:
    """True iff it is known what became of every moment of a schedule."""
    return all(each["status"] != "claimed" for each in moments(cluster, name))


def has_fired(cluster: Cluster, name: str, goal_count: int) -> bool:
    """True iff a schedule has made so many tasks."""
    return len(fired(cluster, name)) >= goal_count


def test_a_gateway_killed_while_it_fires(pair: Pair) -> None:
    """Killed again and again in the middle of its claims: no moment is lost, none is doubled."""
    names = [f"k{number}" for number in range(8)]
    ids = {add(pair, name, misfire="all") for name in names}
    until(lambda: all(fired(pair.second, name) for name in names), TAKEN_OVER_S)
    for _ in range(2):
        goal = len(fired(pair.second, names[0])) + 1
        until(partial(has_fired, pair.second, names[0], goal), TAKEN_OVER_S)
        pair.first.restart_gateway()
    pair.first.gateway.kill()
    for name in names:
        assert post(pair.second, f"{name}/pause") == 200
    for name in names:
        until(partial(is_settled, pair.second, name), TAKEN_OVER_S)
    made = [task_id for name in names for task_id in fired(pair.second, name)]
    until(
        lambda: all(pair.second.look(each)["status"] == "completed" for each in made), TAKEN_OVER_S
    )

    assert pair.first.start_gateway_again().is_ready
    known = set(tasks_of(pair.first, ids))
    assert len(set(made)) == len(made)
    assert set(made) == known
    for name in names:
        dues = [each["due_at"] for each in moments(pair.second, name)]
        assert len(set(dues)) == len(dues)
        assert gaps(dues) == {1.0}


def test_a_gateway_killed_between_claim_and_task(pair: Pair) -> None:
    """What a dead life has claimed is made once, by the id that it chose, if it is not made yet."""
    ids = {name: add(pair, name, interval=None, cron="@yearly") for name in ("lost", "made")}
    answer = pair.second.http.post("/v1/schedules/made/trigger").raise_for_status()
    task_ids = {"lost": str(uuid.uuid4()), "made": answer.json()["request_id"]}
    claimed_at = time.time() - 1.0
    with psycopg.connect(pair.database_url) as connection:
        for name, schedule_id in ids.items():
            connection.execute(
                "INSERT INTO occurrences (schedule_id, due_ms, status, is_manual, task_id, at,"
                " reason, detail, claimer)"
                " VALUES (%s, %s, 'claimed', false, %s, %s, '', '{}'::bytea, 'over')",
                (schedule_id, int(claimed_at) * 1000, task_ids[name], claimed_at),
            )

    for name in ids:
        until(partial(is_settled, pair.first, name), TAKEN_OVER_S)
    ended = {name: pair.first.look(task_id, wait_s=30) for name, task_id in task_ids.items()}

    for name, schedule_id in ids.items():
        assert ended[name]["status"] == "completed"
        assert list(tasks_of(pair.first, {schedule_id})) == [task_ids[name]]
        assert set(fired(pair.first, name)) == {task_ids[name]}


def tasks_of(cluster: Cluster, schedule_ids: set[str]) -> Iterator[str]:
    """Return every task of these schedules that there is, on record there or not."""
    for task in cluster.tasks():
        task_id = task["request_id"]
        is_fired = task["origin"] == "schedule"
        if is_fired and cluster.look(task_id)["schedule_id"] in schedule_ids:
            yield task_id


def gaps(dues: list[str]) -> set[float]:
    """Return the seconds between moments."""
    seconds = [datetime.fromisoformat(each).timestamp() for each in dues]
    return {round(later - earlier, 3) for earlier, later in pairwise(seconds)}


def test_verbs_on_either_gateway(pair: Pair) -> None:
    """Made at one, a schedule is paused, resumed, triggered and removed at the other."""
    first, second = pair.both
    add(pair, "verbs")
    until(lambda: len(fired(second, "verbs")) >= 2)
    paused = post(second, "verbs/pause")
    count = len(moments(first, "verbs"))
    task_id = (
        second.http.post("/v1/schedules/verbs/trigger").raise_for_status().json()["request_id"]
    )
    until(lambda: first.look(task_id)["status"] == "completed", TAKEN_OVER_S)
    still = len(moments(first, "verbs"))
    resumed = post(first, "verbs/resume")
    until(lambda: len(moments(first, "verbs")) > still + 2, TAKEN_OVER_S)
    removed = second.http.delete("/v1/schedules/verbs").status_code

    assert (paused, resumed, removed) == (200, 200, 200)
    assert still == count + 1
    assert first.http.get("/v1/schedules/verbs").status_code == 404


def test_prototype_4_1_triggers_at_both_in_a_row_answer_409(pair: Pair) -> None:
    """Triggered at one while it runs by the other: 409 with its holder, and on record."""
    first, second = pair.both
    body = {"name": "manual", "cron": "@yearly", **pair.task(1, hold="go")}
    assert first.http.post("/v1/schedules", json=body).status_code == 201
    answers: list[Any] = []
    threads = [
        threading.Thread(
            target=lambda each=each: answers.append(each.http.post("/v1/schedules/manual/trigger"))
        )
        for each in pair.both
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken, refused = sorted(answers, key=lambda each: each.status_code)
    holder = taken.json()["request_id"]
    first.let_go("go")
    until(lambda: second.look(holder)["status"] == "completed", TAKEN_OVER_S)

    assert (taken.status_code, refused.status_code) == (202, 409)
    assert refused.json()["details"]["holder"] == holder
    assert [each["status"] for each in moments(first, "manual")].count("skipped_due_to_lock") == 1
