"""Rows of the promise table about too much work and about scripts that mean harm."""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.services import SCRIPTS, Cluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

QUEUE_COUNT = 400


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster in which few tasks may wait."""
    cluster = Cluster(
        tmp_path,
        settings={
            "ZSCRAPE_QUEUE_LIMIT_COUNT": str(QUEUE_COUNT),
            "ZSCRAPE_TASK_KEPT_COUNT": "2000",
        },
    )
    cluster.start_worker("worker", slots=2)
    yield cluster
    cluster.close()


def test_overload(narrow: Cluster) -> None:
    """Beyond its queue it refuses with 503, the reason and Retry-After; its memory stays flat."""
    cluster = narrow
    first = cluster.accept(cluster.task(0, 3.0))
    refused_count = accepted_count = 0
    memories_bytes: list[int] = []
    latencies_s: list[float] = []

    for _ in range(40):
        batch = [cluster.task(number, 0.01) for number in range(500)]
        began_at = time.monotonic()
        answer = cluster.http.post("/v1/tasks", json=batch)
        latencies_s.append(time.monotonic() - began_at)
        if answer.status_code == 503:
            assert answer.json()["code"] == "queue_full"
            refused_count += len(batch)
        else:
            assert answer.status_code == 202
            refused_count += answer.json()["refused_count"]
            accepted_count += answer.json()["accepted_count"]
        if "error" in answer.text:
            assert int(answer.headers["Retry-After"]) > 0
        queue = cluster.http.get("/status").json()["queue_length"]
        assert queue <= QUEUE_COUNT
        memories_bytes.append(cluster.gateway.memory_bytes())

    one = cluster.http.post("/scrape", json=cluster.task(1))
    if one.status_code == 503:  # or the queue had room again by now
        assert one.json()["error"]["code"] == "queue_full"
        assert int(one.headers["Retry-After"]) > 0
    assert accepted_count + refused_count == 20_000
    assert accepted_count >= QUEUE_COUNT
    assert refused_count > 10_000
    assert max(memories_bytes[20:]) - max(memories_bytes[:20]) < 24_000_000
    assert statistics.median(latencies_s) < 2.0
    assert cluster.look(first, wait_s=30)["status"] == "completed"


def test_calls_have_a_bounded_latency_under_load(cluster: Cluster) -> None:
    """With 5 times as many callers as slots, each waits for those before it and no others."""
    cluster.start_worker("worker", slots=4)
    cluster.scrape(cluster.task(0))

    with ThreadPoolExecutor(20) as pool:
        ended = list(pool.map(lambda n: cluster.scrape(cluster.task(n, 0.2)), range(100)))

    assert {each["status"] for each in ended} == {"completed"}
    lines = sorted(
        (datetime.fromisoformat(each["created_at"]), each["queue_time"]) for each in ended
    )
    begun = [came_at + timedelta(seconds=waited_s) for came_at, waited_s in lines]
    overtaken = [one for n, one in enumerate(begun) if any(each < one for each in begun[n:])]
    assert overtaken == []


HOSTILE = {
    "memory": (
        "memory_limit",
        "def run():\n    x = []\n    while True:\n        x.append(bytearray(10**7))",
    ),
    "exit": ("crashed", "import os\ndef run():\n    os._exit(7)"),
    "abort": ("crashed", "import os\ndef run():\n    os.abort()"),
    "shout": ("timeout", "def run():\n    while True:\n        print('x' * 10_000)"),
    "deaf": (
        "timeout",
        "import signal, time\ndef run():\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    time.sleep(60)",
    ),
    "daemon": (
        "",
        "import os, subprocess\ndef run():\n"
        "    return subprocess.Popen(['sleep', '600'], start_new_session=True).pid",
    ),
    "closer": ("crashed", "import os\ndef run():\n    os.closerange(0, 1000)\n    os._exit(0)"),
    "liar": ("result_invalid", "def run():\n    return object()"),
    "syntax": ("script_error", "def run(:\n    pass"),
    "deep": ("script_error", "def run():\n    return run()"),
}


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster with scripts that mean harm beside the one that takes notes."""
    scripts = tmp_path / "scripts"
    shutil.copytree(SCRIPTS, scripts)
    for name, (code, source) in HOSTILE.items():
        folder = scripts / name
        folder.mkdir()
        limit_s = 3 if code == "timeout" else 60
        manifest = {"name": name, "version": "1.0.0", "kit": [], "timeout": limit_s}
        (folder / "metadata.json").write_text(json.dumps(manifest))
        (folder / "main.py").write_text(source)
    cluster = Cluster(tmp_path, scripts=scripts)
    cluster.start_worker("worker", slots=4)
    yield cluster
    cluster.close()


def test_hostile_script(hostile: Cluster) -> None:
    """Each ends with its own code; neighbours complete meanwhile, the worker does not notice."""
    worker = hostile.workers["worker"]
    neighbours = [hostile.accept(hostile.task(number, 1.0)) for number in range(8)]
    accepted = {name: hostile.accept({"script_name": name}) for name in HOSTILE}
    neighbours += [hostile.accept(hostile.task(number, 0.1)) for number in range(8, 20)]

    ended = {name: hostile.look(task_id, wait_s=60) for name, task_id in accepted.items()}
    codes = {name: task["error"]["code"] if task["error"] else "" for name, task in ended.items()}
    well = [hostile.look(task_id, wait_s=60) for task_id in neighbours]

    assert codes == {name: code for name, (code, _) in HOSTILE.items()}
    assert {task["status"] for task in well} == {"completed"}
    assert {task["attempts"] for task in well} == {1}
    assert worker.is_running
    assert not hostile.gateway.events("worker_lost")
    assert not hostile.gateway.events("worker_suspected")
