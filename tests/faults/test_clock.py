"""The row of the promise table about clocks: what they show may jump, what is measured may not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.notes import read_notes
from tests.faults.services import Cluster, pause, until

_LIBRARIES = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.system,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not _LIBRARIES, reason="needs the Debian package faketime"),
]


class Clock:
    """The wall clock of the processes that are started with `settings`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.show(0)
        self.settings = {
            "LD_PRELOAD": str(_LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(path),
            "FAKETIME_NO_CACHE": "1",
            # A jump of the monotonic clock does not exist: the kernel forbids it.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def show(self, hours: int) -> None:
        """Jump to this many hours beside the true time."""
        new = self._path.with_suffix(".new")
        new.write_text(f"{hours:+d}h\n")
        new.replace(self._path)  # at once: half a file would be another time


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    """A clock that can jump."""
    return Clock(tmp_path / "clock")


@pytest.fixture
def cluster(tmp_path: Path, clock: Clock) -> Iterator[Cluster]:
    """A gateway and a worker that believe this clock."""
    cluster = Cluster(tmp_path, settings=clock.settings)
    cluster.start_worker("worker", slots=2)
    yield cluster
    cluster.close()


def count_losses(cluster: Cluster) -> int:
    """Return how often one end of the link has taken the other for lost."""
    lost = cluster.workers["worker"].events("gateway_lost")
    return len(lost) + len(cluster.gateway.events("worker_lost"))


@pytest.mark.parametrize("hours", [1, -1])
def test_clock_jump(cluster: Cluster, clock: Clock, hours: int) -> None:
    """An hour forth or back loses no worker, ends no attempt early and none late."""
    before = cluster.look(cluster.accept(cluster.task(0)), wait_s=30)
    running = cluster.accept(cluster.task(1, 6.0, alone="k", lock_key="k", timeout=20))
    waiting = cluster.accept(cluster.task(2, alone="k", lock_key="k", overlap="queue_all"))
    endless = cluster.accept(cluster.task(3, 60.0, timeout=4.0))
    until(lambda: len(read_notes(cluster.notes, "start")) == 3)

    losses_before_count = count_losses(cluster)
    clock.show(hours)
    pause(5)  # longer than it takes to lose a worker
    timed_out = cluster.look(endless, wait_s=30)
    ended = [cluster.look(task_id, wait_s=30) for task_id in (running, waiting)]
    after = cluster.scrape(cluster.task(4))

    assert timed_out["status"] == "timed_out"
    assert [task["status"] for task in ended] == ["completed", "completed"]
    assert [task["attempts"] for task in ended] == [1, 1]
    assert 5.5 < ended[0]["execution_time"] < 60
    assert after["status"] == "completed"
    assert after["created_at"][:13] != before["created_at"][:13]  # the jump was real
    assert count_losses(cluster) == losses_before_count
    assert next(cluster.tasks())["request_id"] == after["request_id"]
