"""Two gateways on one PostgreSQL: whom one shuts out, the other one shuts out within seconds."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.faults.services import Cluster, pause, until
from tests.postgres import Server

pytestmark = [pytest.mark.e2e, pytest.mark.system, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL server."""
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def gateways(
    tmp_path_factory: pytest.TempPathFactory, server: Server
) -> Iterator[tuple[Cluster, Cluster]]:
    """Two gateways on one database."""
    settings = {"ZSCRAPE_DATABASE_URL": server.url()}
    first, second = (
        Cluster(tmp_path_factory.mktemp(name), settings=settings) for name in ("first", "second")
    )
    yield first, second
    second.close()
    first.close()


def test_a_worker_revoked_at_one_is_cut_at_the_other(gateways: tuple[Cluster, Cluster]) -> None:
    """A worker that has only ever spoken to one gateway ends when the other one revokes it."""
    here, there = gateways
    worker = there.start_worker("far", slots=1)
    there.wait_for_worker(worker)
    revoke = f"/v1/workers/{worker.ready['worker_id']}/revoke"

    answer = until(lambda: (found := here.http.post(revoke)).status_code == 200 and found)
    code = worker.wait()

    assert answer.json()["status"] == "revoked"
    assert code != 0
    assert there.gateway.events("worker_key_revoked")


def test_a_key_of_one_is_a_key_of_the_other(gateways: tuple[Cluster, Cluster]) -> None:
    """An API key made at one gateway opens the other one, until it is revoked there."""
    here, there = gateways
    made = here.http.post("/v1/keys", json={"scopes": ["read"]}).json()
    headers = {"X-Api-Key": made["key"]}

    def status(cluster: Cluster) -> int:
        return httpx.get(f"{cluster.gateway.ready['http']}/v1/tasks", headers=headers).status_code

    until(lambda: status(there) == 200)
    there.http.delete(f"/v1/keys/{made['id']}").raise_for_status()
    until(lambda: status(here) == 401)

    assert status(there) == 401


def test_calls_and_tasks_are_counted_over_both(gateways: tuple[Cluster, Cluster]) -> None:
    """A key's rate and its limit of tasks hold for both gateways together."""
    here, there = gateways
    wanted = {"scopes": ["read"], "rate": "1/h"}
    slow = [here.http.post("/v1/keys", json=wanted).json()["key"] for _ in range(20)]
    limited = {"scopes": ["run", "read"], "task_limit": 20}
    few = here.http.post("/v1/keys", json=limited).json()["key"]

    def look(cluster: Cluster, key: str) -> httpx.Response:
        url = f"{cluster.gateway.ready['http']}/v1/me"
        return httpx.get(url, headers={"X-Api-Key": key})

    def submit(cluster: Cluster) -> httpx.Response:
        url = f"{cluster.gateway.ready['http']}/v1/tasks"
        return httpx.post(url, json=cluster.task(1), headers={"X-Api-Key": few})

    until(lambda: look(there, few).status_code == 200)  # both know all of them by now
    used_up = [look(here, key).status_code for key in slow]
    accepted = [submit(here).status_code for _ in range(20)]
    first_calls, further = [], []
    for key in slow:  # the gateways settle twice a second
        pause(1.0)
        first_calls.append(look(there, key))
        further.append(submit(there))
        if first_calls[-1].status_code == further[-1].status_code == 429:
            break

    assert used_up == [200] * 20
    assert accepted == [202] * 20
    assert first_calls[-1].json()["code"] == "rate_limited"
    assert int(first_calls[-1].headers["retry-after"]) > 3_000
    assert further[-1].json()["code"] == "client_queue_full"
    assert len(further) < 20
