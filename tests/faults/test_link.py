"""Rows of the promise table about the link: cut, deaf, slow, torn, and spoken to by strangers."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import zmq

from tests.faults.cables import Cable, cable, needs_cables
from tests.faults.notes import read_notes
from tests.faults.proxy import Proxy
from tests.faults.services import Cluster, Service, pause, until
from tests.link_keys import join_by_hand, show
from zscrape import wire
from zscrape.config import parse_token
from zscrape.model import HeartbeatPolicy, Outcome, OutcomeCode

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

HEARTBEAT = HeartbeatPolicy()
# Longer than a worker takes to be given up and to come back where much else runs.
LONG_LEASE = {"ZSCRAPE_HEARTBEAT_LEASE_S": "90"}


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    """A proxy in front of the cluster's link."""
    proxy = Proxy(cluster.gateway.ready["link"])
    yield proxy
    for worker in cluster.workers.values():
        worker.end()  # while the way to the gateway is still there
    proxy.close()


@pytest.fixture
def wired(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Cluster, Cable]]:
    """A gateway that listens at the near end of a cable, by default with the usual lease."""
    with cable() as laid:
        cluster = Cluster(
            tmp_path,
            link=f"tcp://{laid.near}:0",
            settings={"ZSCRAPE_INSECURE": "true", **getattr(request, "param", {})},
        )
        yield cluster, laid
        laid.heal()
        cluster.close()


def wait_for_start(cluster: Cluster, task_id: str, attempt: int = 1) -> None:
    """Wait until the script itself says that an attempt runs."""
    until(
        lambda: any(
            (note.task, note.attempt) == (task_id, attempt)
            for note in read_notes(cluster.notes, "start")
        )
    )


@pytest.mark.system
@needs_cables
@pytest.mark.parametrize("wired", [LONG_LEASE], indirect=True, ids=["long lease"])
@pytest.mark.parametrize("ways", [("in", "out"), ("in",), ("out",)], ids=["both", "in", "out"])
def test_link_cut_then_healed_within_the_lease(
    wired: tuple[Cluster, Cable], ways: tuple[str, ...]
) -> None:
    """What runs under a lock goes on through a cut, is not run twice, and is told once."""
    cluster, laid = wired
    worker = cluster.start_worker("far", slots=1, launcher=laid.launcher)
    task_id = cluster.accept(cluster.task(1, alone="k", lock_key="k", hold="go"))
    wait_for_start(cluster, task_id)
    cluster.start_worker("idle", slots=1)

    laid.cut(*ways)
    cluster.wait_for_worker(worker, "gone")
    laid.heal()
    cluster.wait_for_worker(worker)
    cluster.let_go("go")
    ended = cluster.look(task_id, wait_s=60)

    assert (ended["status"], ended["attempts"]) == ("completed", 1)
    assert ended["worker_id"] == worker.ready["worker_id"]
    assert [note.what for note in read_notes(cluster.notes)] == ["start", "end"]


@pytest.mark.system
@needs_cables
def test_link_cut_for_longer_than_the_lease(wired: tuple[Cluster, Cable]) -> None:
    """A worker that is cut off ends what holds a lock before the gateway gives it to another."""
    cluster, laid = wired
    worker = cluster.start_worker("far", slots=1, launcher=laid.launcher)
    task_id = cluster.accept(cluster.task(1, alone="k", lock_key="k", hold="go"))
    wait_for_start(cluster, task_id)
    heir = cluster.start_worker("heir", slots=1)

    laid.cut("in", "out")
    wait_for_start(cluster, task_id, attempt=2)
    laid.heal()
    cluster.wait_for_worker(worker)
    cluster.let_go("go")
    ended = cluster.look(task_id, wait_s=60)

    assert (ended["status"], ended["attempts"]) == ("completed", 2)
    assert ended["worker_id"] == heir.ready["worker_id"]
    notes = read_notes(cluster.notes)
    assert not [note for note in notes if note.what == "overlap"]
    assert [note.attempt for note in notes if note.what == "stopped"] == [1]
    assert worker.events("attempt_fenced")


@pytest.mark.system
@needs_cables
def test_link_that_loses_a_fifth(wired: tuple[Cluster, Cable]) -> None:
    """A link that loses every fifth packet is slow, and nothing is lost with it."""
    cluster, laid = wired
    cluster.start_worker("far", slots=4, launcher=laid.launcher)
    laid.lose(20)

    accepted = [cluster.accept(cluster.task(number)) for number in range(60)]
    ended = [cluster.look(task_id, wait_s=60) for task_id in accepted]

    assert [task["status"] for task in ended] == ["completed"] * 60
    assert [task["data"]["number"] for task in ended] == list(range(60))


def reset(proxy: Proxy) -> None:
    """Reset the connections again and again."""
    for _ in range(10):
        proxy.reset()
        pause(0.3)


def delay(proxy: Proxy) -> None:
    """Hold everything back by 200 ms, both ways."""
    proxy.delay_s = 0.2
    pause(3)


def drip(proxy: Proxy) -> None:
    """Pass everything on byte by byte."""
    proxy.write_bytes = 1
    pause(3)


def throttle(proxy: Proxy) -> None:
    """Let through 20 kB a second."""
    proxy.write_bytes, proxy.rate_bytes_s = 1_000, 20_000
    pause(3)


def deafen(proxy: Proxy) -> None:
    """Leave the connections up and say nothing, for longer than it takes to be given up."""
    proxy.deafen()
    pause(HEARTBEAT.lost_after_s + 2)
    proxy.hear()


@pytest.mark.parametrize("fault", [reset, delay, drip, throttle, deafen])
def test_nothing_is_lost_on_a_bad_link(
    cluster: Cluster, proxy: Proxy, fault: Callable[[Proxy], None]
) -> None:
    """Tasks that run and that are sent while a link is bad all end once, with their own data."""
    worker = cluster.start_worker("worker", slots=4, join=proxy.address)
    accepted = [cluster.accept(cluster.task(number, 0.4)) for number in range(40)]

    fault(proxy)
    accepted += [cluster.accept(cluster.task(number, 0.1)) for number in range(40, 50)]
    ended = [cluster.look(task_id, wait_s=60) for task_id in accepted]

    assert [task["status"] for task in ended] == ["completed"] * 50
    assert [task["data"]["number"] for task in ended] == list(range(50))
    assert worker.is_running
    starts = [(note.task, note.attempt) for note in read_notes(cluster.notes, "start")]
    assert len(starts) == len(set(starts))


# ---- strangers -----------------------------------------------------------------------


class Stranger:
    """A DEALER that has joined in good order, and then says what it likes."""

    def __init__(self, token: str, worker_id: str) -> None:
        pair, given = join_by_hand(token, worker_id), parse_token(token)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        show(self._socket, pair, given.server_keys[0])
        self._socket.setsockopt(zmq.RCVTIMEO, 10_000)
        self._socket.connect(given.addresses[0])

    def say(self, *frames: bytes) -> None:
        """Send frames."""
        self._socket.send_multipart(frames)

    def hear(self) -> wire.Answered:
        """Return the next message."""
        return wire.decode_gateway(self._socket.recv())

    def close(self) -> None:
        """Vanish, once all has left."""
        self._context.destroy(linger=1_000)


@pytest.fixture
def stranger(cluster: Cluster) -> Iterator[Stranger]:
    """A worker of the cluster that means no good."""
    stranger = Stranger(cluster.token(), "newer")
    yield stranger
    stranger.close()


def knock(cluster: Cluster, *chunks: bytes) -> None:
    """Say something to the link's port that is no ZeroMQ at all."""
    host, _, port = cluster.gateway.ready["link"].removeprefix("tcp://").rpartition(":")
    with socket.create_connection((host, int(port)), 5) as raw:
        raw.settimeout(5)
        try:  # it may hang up before it has heard all
            for chunk in chunks:
                raw.sendall(chunk)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(4096):
                pass
        except OSError:  # reset or left without a word: either will do
            pass


def garbage_count(cluster: Cluster) -> int:
    """Return how much garbage the gateway says that it has heard."""
    return int(cluster.http.get("/status").json()["garbage_count"])


def test_garbage_on_the_link_is_a_counted_line(cluster: Cluster, stranger: Stranger) -> None:
    """Noise, HTTP, TLS and broken frames are counted; tasks run on and memory stays flat."""
    cluster.start_worker("worker", slots=1)
    cluster.scrape(cluster.task(0))
    running = cluster.accept(cluster.task(1, hold="go"))
    before_bytes = cluster.gateway.memory_bytes()

    for index in range(1_000):
        stranger.say(bytes([index % 256]) * 1_000)
        stranger.say(b"many", b"frames", b"\x00" * 100)
    knock(cluster, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    knock(cluster, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x7f" * 500)
    knock(cluster, b"\x00" * 4096, b"\xff" * 4096)
    until(lambda: garbage_count(cluster) >= 2_000)
    cluster.let_go("go")

    ended = cluster.look(running, wait_s=30)
    assert (ended["status"], ended["attempts"]) == ("completed", 1)
    lines = [e for e in cluster.gateway.events("message_ignored") if e["kind"] == "garbage"]
    assert 0 < len(lines) < 200
    assert cluster.gateway.memory_bytes() - before_bytes < 32_000_000


def test_versions_refuse_each_other_clearly(cluster: Cluster, stranger: Stranger) -> None:
    """A worker of another protocol version is told so, and the gateway's log tells it too."""
    hello = wire.Hello(wire.PROTOCOL + 1, "newer", "s", 1, 1)

    stranger.say(wire.encode(hello))
    answer = stranger.hear()

    assert isinstance(answer, wire.Reject)
    assert answer.reason == "protocol"
    assert str(wire.PROTOCOL + 1) in answer.detail
    ignored = until(lambda: cluster.gateway.events("message_ignored"))
    assert ignored[0]["reason"] == "protocol"


def test_replay_on_the_link_changes_nothing(cluster: Cluster, stranger: Stranger) -> None:
    """Outcomes that a stranger forges or repeats reach no task, running or ended."""
    worker = cluster.start_worker("worker", slots=2)
    over = cluster.accept(cluster.task(1))
    before = cluster.look(over, wait_s=30)
    running = cluster.accept(cluster.task(2, hold="go"))
    wait_for_start(cluster, running)

    forged = Outcome(OutcomeCode.OK, data=b'"forged"')
    for task_id in (over, running):
        stranger.say(wire.encode(wire.Done(task_id, 1, forged)))
        stranger.say(wire.encode(wire.Refused(task_id, 1, "cannot")))
    stranger.say(wire.encode(wire.Goodbye("s")))
    answer = stranger.hear()
    cluster.let_go("go")
    ended = cluster.look(running, wait_s=30)

    assert isinstance(answer, wire.Who)
    assert cluster.look(over) == before
    assert (ended["status"], ended["attempts"]) == ("completed", 1)
    assert ended["data"] == {"number": 2, "attempt": 1}
    assert ended["worker_id"] == worker.ready["worker_id"]


def test_recorded_connection_says_nothing_new(cluster: Cluster, proxy: Proxy) -> None:
    """The bytes of a worker's whole connection, sent again by a stranger, change nothing."""
    proxy.is_recording = True
    worker = cluster.start_worker("worker", slots=1, join=proxy.address)
    over = cluster.accept(cluster.task(1))
    before = cluster.look(over, wait_s=30)
    running = cluster.accept(cluster.task(2, hold="go"))
    wait_for_start(cluster, running)

    knock(cluster, bytes(proxy.seen))
    cluster.let_go("go")
    ended = cluster.look(running, wait_s=30)

    assert cluster.look(over) == before
    assert (ended["status"], ended["data"]["number"]) == ("completed", 2)
    assert is_served_by(cluster, worker)


def is_served_by(cluster: Cluster, worker: Service) -> bool:
    """Run one task; True iff this worker ran it and is the process that it was."""
    envelope = cluster.scrape(cluster.task(9))
    return bool(
        envelope["worker_id"] == worker.ready["worker_id"] and psutil.pid_exists(worker.pid)
    )
