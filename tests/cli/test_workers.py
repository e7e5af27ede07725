"""`workers list drain resume` against a real gateway."""

from __future__ import annotations

from tests.cli.conftest import Cluster, Zscrape
from zscrape.cli.workers import _row


def test_list_shows_slots_and_tags(on_cluster: Zscrape, cluster: Cluster) -> None:
    """A worker is a row: its id, state, slots, tags and machine."""
    result = on_cluster("workers", "list")
    (worker,) = on_cluster.json("workers", "list")["workers"]

    assert cluster.worker_id in result.stdout
    assert "/2" in result.stdout
    assert worker["id"] == cluster.worker_id
    assert "test" in worker["tags"]


def test_drained_worker_takes_work_again_when_resumed(
    on_cluster: Zscrape, cluster: Cluster
) -> None:
    """`drain` and `resume` change the worker's state, and say so."""
    drained = on_cluster("workers", "drain", cluster.worker_id)
    between = on_cluster.json("workers", "list")["workers"][0]["status"]
    resumed = on_cluster("workers", "resume", cluster.worker_id, "--lang", "ko")
    after = on_cluster.json("workers", "list")["workers"][0]["status"]

    assert (drained.exit_code, resumed.exit_code) == (0, 0)
    assert "takes nothing new" in drained.stdout
    assert "다시 작업을 받습니다" in resumed.stdout
    assert (between, after) == ("draining", "live")


def test_unknown_worker_is_3(on_cluster: Zscrape) -> None:
    """A worker that is not known is the caller's to mend."""
    assert on_cluster.json("workers", "drain", "nobody", code=3)["error"]["code"] == "not_found"
    assert on_cluster("workers", "resume", "nobody").exit_code == 3


def test_list_shows_the_load_that_the_gateway_tells(on_cluster: Zscrape) -> None:
    """The load is the worker's own, as the API gives it."""
    (worker,) = on_cluster.json("workers", "list")["workers"]

    row = _row(worker | {"cpu_percent": 12.0, "memory_percent": 34.0})

    assert {"cpu_percent", "memory_percent"} <= worker.keys()
    assert "cpu 12 % mem 34 %" in row
