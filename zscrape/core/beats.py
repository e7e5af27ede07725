"""How workers learn that their gateway lives, in rounds, and that tasks wait."""

from __future__ import annotations

from zscrape.core.effects import Send
from zscrape.core.entities import Worker
from zscrape.core.lives import Lives
from zscrape.core.storenotes import StoreNotes
from zscrape.model import HeartbeatPolicy
from zscrape.wire import GatewayHeartbeat

# A worker is late that was not heard for so many intervals: one, and room for the way.
_LATE_BEATS = 1.5
# So many workers are told at once that this gateway lives; a fleet in parts, so far apart.
_PART_COUNT = 64
_PART_GAP_S = 0.05
# While no task is open nobody waits behind their answers: so many parts are told together, a
# thousand workers at once. Each burst begins with cold caches, which costs a gateway more than all
# that it does with a beat.
_PARTS_AT_REST_COUNT = 16
# Workers lose patience with a gateway after as few as two intervals.
_LONGEST_GAP_BEATS = 1.25


class Beats:
    """Tell every worker once an interval that this gateway lives, a fleet in parts."""

    def __init__(
        self, lives: Lives, store_notes: StoreNotes, *, boot: str, heartbeat: HeartbeatPolicy
    ) -> None:
        self._lives = lives
        self._store_notes = store_notes
        self._pool = lives.pool
        self._boot = boot
        self._heartbeat = heartbeat
        self.next_at = 0.0  # meaningful while any worker is known
        self._round_at = 0.0
        self._to_tell: list[Worker] = []  # in this round of beats
        self._part_count = _PART_COUNT  # of them are told at once
        self._most_parts = 1  # of this round
        self._is_urgent = False  # the next round tells all at once
        self.has_urged = False  # workers know, or need not know, that tasks wait

    def begin(self, now: float) -> None:
        """Count the time to the first round from now: there was no worker until here."""
        self.next_at = now + self._heartbeat.interval_s
        self._lives.alarm.by(self.next_at)

    def tell(self, now: float) -> None:
        """Tell every worker that this gateway lives, when it is time; suspects too.

        To a suspect it is the probe that finds out whether the connection is broken. Workers
        answer, so a large fleet is told in parts: each is heard as one burst, and none of them
        keeps what others say waiting for long.
        """
        if not self._pool.workers or self.next_at > now:
            return
        if not self._to_tell:
            self._begin_round(now)
        interval_s = self._heartbeat.interval_s
        together_count = 1 if self._lives.tasks else _PARTS_AT_REST_COUNT
        count, gap_s = self._part_count * together_count, _PART_GAP_S * together_count
        late_before = now + gap_s - _LONGEST_GAP_BEATS * interval_s
        while count < len(self._to_tell) and self._to_tell[count].told_at < late_before:
            count += 1
        told, self._to_tell = self._to_tell[:count], self._to_tell[count:]
        if self._to_tell:
            self.next_at += gap_s
        else:
            self.next_at = self._round_at + interval_s
        queued_count = len(self._lives.waiting)
        out = self._lives.out
        late_at = now - _LATE_BEATS * interval_s
        for worker in told:
            worker.told_at = now
            if worker.peer and self._pool.workers.get(worker.id) is worker:
                self._lives.missed_beat_count += worker.heard_at < late_at
                beat = GatewayHeartbeat(
                    self._boot, worker.beat_seq, queued_count, worker.is_draining
                )
                self._store_notes.tell(worker)  # right before: the two leave together
                out.append(Send(worker.peer, beat))

    def _begin_round(self, now: float) -> None:
        self._round_at = self.next_at = now
        self._to_tell = sorted(self._pool.workers.values(), key=lambda worker: worker.told_at)
        most = max(1, int(self._heartbeat.interval_s / _PART_GAP_S))
        # After all were told at once, none is to wait for its turn among many parts.
        self._most_parts = 1 if self._is_urgent else min(most, self._most_parts + max(1, most // 5))
        self._part_count = max(_PART_COUNT, -(-len(self._to_tell) // self._most_parts))
        self._is_urgent = False
        self._weigh_claims(now)
        self.has_urged = bool(self._lives.waiting)

    def _weigh_claims(self, now: float) -> None:
        """Ask again for attempts of other gateways, and give up those of which nothing is heard."""
        for task, until in [*self._lives.claims.items()]:
            worker = task.worker
            if worker is not None and until <= now:
                self._lives.detach(task, worker)
                self._lives.lose(task, may_run=True, now=now)
        if self._lives.claims:
            for worker in self._pool.workers.values():
                self._lives.ask_for(worker)

    def urge(self, now: float) -> None:
        """Tell at once that tasks wait, if a worker could give this gateway more of its slots."""
        self.has_urged = True
        workers = self._pool.workers.values()
        if any(worker.limit < worker.slots and not worker.is_leaving for worker in workers):
            self.next_at = now
            self._lives.alarm.by(now)
            self._to_tell.clear()
            self._is_urgent = True
