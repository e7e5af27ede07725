"""The rows of the promise table that are about processes, done for real."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.faults.notes import read_notes
from tests.faults.services import Cluster, Service, pause, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

FREEZE_S = 10.0
LONG_LEASE = {"ZSCRAPE_HEARTBEAT_LEASE_S": "90"}  # longer than anything here is waited for


def wait_for_start(cluster: Cluster, task_id: str, attempt: int = 1) -> int:
    """Wait until the script itself says that an attempt runs; returns its process."""

    def pid() -> int:
        starts = read_notes(cluster.notes, "start")
        return next((s.pid for s in starts if (s.task, s.attempt) == (task_id, attempt)), 0)

    found: int = until(pid)
    return found


def templates_of(worker: Service) -> list[psutil.Process]:
    """Return a worker's templates: they are its children, scripts are theirs."""
    return psutil.Process(worker.pid).children()


@pytest.mark.parametrize("cluster", [LONG_LEASE], indirect=True, ids=["long lease"])
def test_worker_killed_mid_attempt(cluster: Cluster) -> None:
    """It is found out by its silence, not by its lease: its task runs again, its tree is gone."""
    doomed = cluster.start_worker("doomed")
    task_id = cluster.accept(cluster.task(1, child=True, hold="go"))
    pid = wait_for_start(cluster, task_id)
    child = until(lambda: read_notes(cluster.notes, "child"))[0]
    heir = cluster.start_worker("heir")

    doomed.kill()
    again_pid = wait_for_start(cluster, task_id, attempt=2)
    until(lambda: not psutil.pid_exists(pid) and not psutil.pid_exists(child.pid))
    cluster.let_go("go")
    ended = cluster.look(task_id, wait_s=30)

    assert cluster.gateway.events("worker_lost")
    assert again_pid != pid
    assert (ended["status"], ended["attempts"]) == ("completed", 2)
    assert ended["worker_id"] == heir.ready["worker_id"]
    assert ended["data"] == {"number": 1, "attempt": 2}


def test_lock_of_a_killed_worker_is_freed(cluster: Cluster) -> None:
    """What held a lock on a killed worker runs again after its lease; who waits for it, then."""
    doomed = cluster.start_worker("doomed", slots=1)
    first = cluster.accept(cluster.task(1, alone="k", lock_key="k", hold="go"))
    wait_for_start(cluster, first)
    second = cluster.accept(cluster.task(2, alone="k", lock_key="k", overlap="queue_all"))
    cluster.start_worker("heir", slots=2)

    doomed.kill()
    wait_for_start(cluster, first, attempt=2)
    cluster.let_go("go")
    ended = [cluster.look(task_id, wait_s=30) for task_id in (first, second)]

    assert [task["status"] for task in ended] == ["completed", "completed"]
    assert [task["attempts"] for task in ended] == [2, 1]
    assert not read_notes(cluster.notes, "overlap")


def test_task_that_outlives_three_workers_ends_as_worker_lost(cluster: Cluster) -> None:
    """A task whose attempts took three workers down is not sent to a fourth."""
    task_id = ""
    for number in range(1, 4):
        doomed = cluster.start_worker("doomed", slots=1)
        task_id = task_id or cluster.accept(cluster.task(1, 30.0))
        wait_for_start(cluster, task_id, attempt=number)
        doomed.kill()
    cluster.start_worker("fourth", slots=1)

    ended = cluster.look(task_id, wait_s=30)

    assert (ended["status"], ended["attempts"]) == ("failed", 3)
    assert ended["error"]["code"] == "worker_lost"
    assert len(read_notes(cluster.notes, "start")) == 3


def test_worker_frozen_then_resumed(cluster: Cluster) -> None:
    """A worker stopped for 10 s is replaced; its late outcome changes nothing and is counted."""
    frozen = cluster.start_worker("frozen", slots=1)
    task_id = cluster.accept(cluster.task(1, hold="go"))
    wait_for_start(cluster, task_id)
    heir = cluster.start_worker("heir", slots=1)

    frozen.signal(signal.SIGSTOP)
    pause(FREEZE_S)
    wait_for_start(cluster, task_id, attempt=2)
    cluster.let_go("go")
    ended = cluster.look(task_id, wait_s=30)
    until(lambda: len(read_notes(cluster.notes, "end")) == 2)  # the stopped worker's child too
    frozen.signal(signal.SIGCONT)
    cluster.wait_for_worker(frozen)
    with ThreadPoolExecutor(2) as pool:  # both at once need both workers
        both = list(pool.map(cluster.scrape, (cluster.task(2, 1.0), cluster.task(3, 1.0))))

    assert (ended["status"], ended["attempts"]) == ("completed", 2)
    assert ended["worker_id"] == heir.ready["worker_id"]
    assert cluster.look(task_id) == ended
    assert {each["status"] for each in both} == {"completed"}
    assert len({each["worker_id"] for each in both}) == 2
    ignored = cluster.gateway.events("message_ignored")
    assert ("Done", "superseded") in {(each["kind"], each["reason"]) for each in ignored}


def test_killed_child_is_a_crash_of_its_attempt_alone(cluster: Cluster) -> None:
    """`kill -9` of a script's process ends its attempt as crashed; its neighbour goes on."""
    worker = cluster.start_worker("worker", slots=2)
    killed, neighbour = (cluster.accept(cluster.task(number, hold="go")) for number in (1, 2))
    wait_for_start(cluster, neighbour)

    psutil.Process(wait_for_start(cluster, killed)).kill()
    cluster.wait_for(killed, "failed")
    cluster.let_go("go")
    ended = [cluster.look(task_id, wait_s=30) for task_id in (killed, neighbour)]

    assert [task["status"] for task in ended] == ["failed", "completed"]
    assert ended[0]["error"]["code"] == "crashed"
    assert worker.is_running


def test_killed_template_costs_its_attempts_and_no_more(cluster: Cluster) -> None:
    """`kill -9` of a template ends what it forked; the worker starts another and goes on."""
    worker = cluster.start_worker("worker", slots=2)
    task_id = cluster.accept(cluster.task(1, 30.0, child=True))
    pid = wait_for_start(cluster, task_id)
    child = until(lambda: read_notes(cluster.notes, "child"))[0]

    template = psutil.Process(pid).parent()
    assert template is not None
    template.kill()
    ended = cluster.look(task_id, wait_s=30)
    until(lambda: not psutil.pid_exists(pid) and not psutil.pid_exists(child.pid))
    after = cluster.scrape(cluster.task(2))

    assert ended["error"]["code"] == "crashed"
    assert "template" in ended["error"]["message"]
    assert after["status"] == "completed"
    assert templates_of(worker)


def test_stopped_child_ends_at_its_time_limit(cluster: Cluster) -> None:
    """A script that is stopped by a signal is ended by its deadline, and its slot is free again."""
    cluster.start_worker("worker", slots=1)
    task_id = cluster.accept(cluster.task(1, timeout=4.0, hold="never"))

    psutil.Process(wait_for_start(cluster, task_id)).suspend()
    ended = cluster.look(task_id, wait_s=30)
    after = cluster.scrape(cluster.task(2))

    assert ended["status"] == "timed_out"
    assert after["status"] == "completed"


def test_drain_and_rolling_upgrade(cluster: Cluster) -> None:
    """Workers are replaced one by one under load: every call succeeds, no attempt is repeated."""
    for name in ("a", "b"):
        cluster.start_worker(name)
    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(cluster.scrape, cluster.task(n, 0.3)) for n in range(60)]
        for name in ("a", "b"):
            old = cluster.workers[name]
            cluster.start_worker(f"{name}-new")
            old.signal(signal.SIGTERM)
            assert old.wait() == 0
        ended = [call.result() for call in calls]

    assert {each["status"] for each in ended} == {"completed"}
    assert {each["attempts"] for each in ended} <= {1, 2}  # 2: handed back before it began
    assert len(read_notes(cluster.notes, "start")) == len(read_notes(cluster.notes, "end")) == 60
    assert not read_notes(cluster.notes, "overlap")


def test_gateway_drains_before_it_ends(cluster: Cluster) -> None:
    """SIGTERM lets open calls end well; new ones are refused with 503, a reason and Retry-After."""
    cluster.start_worker("worker", slots=1)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(cluster.scrape, cluster.task(1, hold="go"))
        until(lambda: read_notes(cluster.notes, "start"))

        cluster.gateway.signal(signal.SIGTERM)
        until(lambda: cluster.http.get("/ready").status_code == 503)
        refused = cluster.http.post("/v1/tasks", json=cluster.task(2))
        cluster.let_go("go")
        envelope = call.result()

    assert envelope["status"] == "completed"
    assert refused.status_code == 503
    assert refused.json()["code"] == "draining"
    assert int(refused.headers["Retry-After"]) > 0
    assert cluster.gateway.wait() == 0
