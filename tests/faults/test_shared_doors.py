"""Two gateways on one PostgreSQL: whom one shuts out, the other one shuts out within seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.faults.services import Cluster, until
from tests.postgres import Server

pytestmark = [pytest.mark.e2e, pytest.mark.system, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL server."""
    server = Server()
    yield server
    server.close()


@pytest.fixture
def gateways(tmp_path: Path, server: Server) -> Iterator[tuple[Cluster, Cluster]]:
    """Two gateways on one database."""
    settings = {"ZSCRAPE_DATABASE_URL": server.url()}
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    first = Cluster(tmp_path / "first", settings=settings)
    second = Cluster(tmp_path / "second", settings=settings)
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
