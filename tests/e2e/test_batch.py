"""A batch over a gateway that is killed under it, and workers that die."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from signal import SIGKILL

import pytest

from tests.e2e.cluster import Cluster
from tests.ops.standard import summary_of

pytestmark = pytest.mark.e2e


def start(
    cluster: Cluster, tmp_path: Path, count: int, seconds: float = 0.1
) -> subprocess.Popen[str]:
    """Start a batch of so many targets that take so long each."""
    rows = ({"number": number, "seconds": seconds} for number in range(count))
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "zscrape", "batch", "slow_items", str(tmp_path / "t.jsonl")),
            *("--verbose", "--concurrency", "6", "--home", str(tmp_path / "batch")),
            *("--json-output", str(tmp_path / "s.json")),
            *("--url", str(cluster.http.base_url), "--key", cluster.key),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def until_ends(batch: subprocess.Popen[str], count: int) -> None:
    """Read its log until so many targets have ended."""
    assert batch.stderr is not None
    for line in batch.stderr:
        count -= '"target_ended"' in line
        if count <= 0:
            return
    raise AssertionError("it ended too soon")


def test_a_batch_outlives_its_gateway(cluster: Cluster, tmp_path: Path) -> None:
    """Killed and started again under it: every target ends well, each as one task."""
    cluster.start_worker("steady", slots=4)
    with start(cluster, tmp_path, 40) as batch:
        until_ends(batch, 5)
        cluster.restart_gateway()
        assert batch.stderr is not None
        batch.stderr.read()
        code = batch.wait(60)

    tasks = cluster.http.get("/v1/tasks", params={"limit": 200}).json()["tasks"]
    summary = summary_of(tmp_path / "s.json")
    assert code == 0
    assert (summary["succeeded_total"], summary["failed_total"]) == (40, 0)
    assert len(tasks) == 40


def test_a_batch_outlives_a_worker(cluster: Cluster, tmp_path: Path) -> None:
    """What a killed worker had is run by another; the summary counts it as retried."""
    doomed = cluster.start_worker("doomed", slots=2)
    cluster.start_worker("steady", slots=2)
    with start(cluster, tmp_path, 30, seconds=0.5) as batch:
        until_ends(batch, 5)
        doomed.signal(SIGKILL)
        assert batch.stderr is not None
        batch.stderr.read()
        code = batch.wait(60)

    summary = summary_of(tmp_path / "s.json")
    assert code == 0
    assert summary["succeeded_total"] == 30
    assert summary["retried_total"] >= 1
