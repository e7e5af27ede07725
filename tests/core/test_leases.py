"""Leases of attempts with a lock, between a gateway and a worker that are both well."""

from __future__ import annotations

import pytest

from tests.core.rig import Rig, spec
from zscrape.core.dispatcher import Dispatcher
from zscrape.core.effects import (
    Assignment,
    AttemptFenced,
    DispatcherEffect,
    LinkEffect,
    Send,
    SendUp,
)
from zscrape.core.link import WorkerLink
from zscrape.model import (
    HeartbeatPolicy,
    LockRequest,
    Overlap,
    QueuePolicy,
    ReconnectPolicy,
    WorkerFacts,
)
from zscrape.wire import GatewayMessage, Heartbeat, WorkerMessage

WAY_S = 0.001


class Pair:
    """A gateway and a worker, and the way between them."""

    def __init__(self, heartbeat: HeartbeatPolicy) -> None:
        self.rig = Rig()
        self.rig.dispatcher = Dispatcher(
            gateway_id="g", boot="b1", heartbeat=heartbeat, queue=QueuePolicy()
        )
        self.link = WorkerLink(
            worker_id="w",
            session="s",
            slots=1,
            tags=(),
            facts=WorkerFacts(),
            reconnect=ReconnectPolicy(),
            spread=0.0,
        )
        self.down: list[tuple[float, GatewayMessage]] = []
        self.up: list[tuple[float, WorkerMessage]] = []
        self.started_count = self.fenced_count = self.beat_count = 0

    def take_down(self, effects: list[DispatcherEffect]) -> None:
        """Send on what the gateway says to the worker."""
        self.down += [
            (self.rig.now + WAY_S, each.message)
            for each in effects
            if isinstance(each, Send) and each.peer == b"w"
        ]

    def take_up(self, effects: list[LinkEffect], now: float) -> None:
        """Send on what the worker says to the gateway, and count the rest."""
        for each in effects:
            if isinstance(each, SendUp):
                self.up.append((now + WAY_S, each.message))
                self.beat_count += isinstance(each.message, Heartbeat)
            self.started_count += isinstance(each, Assignment)
            self.fenced_count += isinstance(each, AttemptFenced)

    def pass_time(self, at: float) -> None:
        """Do all that is due until then, in order."""
        while True:
            moments = [
                self.rig.dispatcher.next_deadline(),
                self.link.next_deadline(),
                self.down[0][0] if self.down else None,
                self.up[0][0] if self.up else None,
            ]
            now = max(self.rig.now, min(each for each in moments if each is not None))
            if now > at:
                break
            self.rig.now = now
            if self.down and self.down[0][0] <= now + 1e-6:  # what has come is heard first
                self.take_up(self.link.receive(self.down.pop(0)[1], now=now), now)
            elif self.up and self.up[0][0] <= now:
                self.take_down(self.rig.hear("w", self.up.pop(0)[1]))
            else:
                self.take_down(self.rig.call(self.rig.dispatcher.tick))
                self.take_up(self.link.tick(now=now), now)
        self.rig.now = at


def lived(heartbeat: HeartbeatPolicy, joins: int, begins: int) -> Pair:
    """Return a pair after a long attempt with a lock; both phases are tenths of an interval."""
    pair = Pair(heartbeat)
    tenth_s = heartbeat.interval_s / 10
    pair.rig.join("other", limit=0)  # from now on the gateway beats
    pair.rig.now = joins * tenth_s
    pair.take_up(pair.link.opened(now=pair.rig.now), pair.rig.now)
    pair.pass_time((50 + begins) * tenth_s + 0.01)
    asked = spec("t", lock=LockRequest("key", Overlap.QUEUE_ALL))
    pair.take_down(pair.rig.call(pair.rig.dispatcher.submit, asked))
    pair.pass_time(300 * tenth_s)
    return pair


@pytest.mark.parametrize(
    ("interval_s", "missed_count", "lease_s"),
    [(1, 3, 10), (4.5, 2, 10), (5, 1, 10), (1, 2, 2.4), (1, 2, 2.01), (1, 3, 3.1), (2, 3, 10)],
)
def test_lease_of_a_worker_that_is_heard_never_ends(
    interval_s: float, missed_count: int, lease_s: float
) -> None:
    """Whenever a worker has joined and a task begins, its lease is renewed in good time."""
    heartbeat = HeartbeatPolicy(interval_s, missed_count, lease_s)

    pairs = [lived(heartbeat, joins, begins) for joins in range(10) for begins in (0, 4, 9)]

    assert [pair.fenced_count for pair in pairs] == [0] * 30
    assert {pair.started_count for pair in pairs} == {1}


def test_worker_with_a_long_lease_beats_once_an_interval() -> None:
    """What short leases cost is not paid where the answers to the gateway's beats will do."""
    pair = lived(HeartbeatPolicy(), 3, 3)

    assert 28 <= pair.beat_count <= 32


def test_worker_that_has_no_lease_beats_seldom() -> None:
    """Where leases are short, a worker beats in each part of an interval only while it has one."""
    pair = Pair(HeartbeatPolicy(1.0, 2, 2.1))
    pair.rig.now = 0.0
    pair.take_up(pair.link.opened(now=0.0), 0.0)

    pair.pass_time(30.0)

    assert 55 <= pair.beat_count <= 65
