"""What this worker's beats have said, and so what an acknowledgement of one proves."""

from __future__ import annotations

from typing import NamedTuple

from zscrape.model import Attempt

# Of a lease; the last fifth is for ending the attempt, so that it is gone when the lease is.
FENCE_SHARE = 0.8
# A gateway's beat is answered by ours: both sides wake once for two beats, and a gateway hears
# a fleet in bursts. Intervals until a worker beats although the gateway was not heard; a
# gateway leaves no more between its own.
_UNASKED_BEATS = 1.25
# Intervals between the beats of one that has a lease, where leases are as short as can be.
_CLOSEST_BEATS = 0.125


class Pace(NamedTuple):
    """How long after a beat a worker beats again by itself."""

    idle_s: float
    leased_s: float  # while it has an attempt with a lease


def pace_of(*, interval_s: float, lease_s: float) -> Pace:
    """Return the pace that keeps what proves a lease younger than its fence.

    An answer is acknowledged by the gateway's next beat, and proves until the one after that:
    its age reaches two gaps between them. Where a lease is too short for that, the worker
    beats in between as well, and what is acknowledged is never old.
    """
    gap_s = _UNASKED_BEATS * interval_s
    spare_s = FENCE_SHARE * lease_s - gap_s
    if spare_s >= 2 * gap_s:
        return Pace(gap_s, gap_s)
    leased_s = max(_CLOSEST_BEATS * interval_s, min(interval_s, spare_s) / 2)
    return Pace(interval_s / 2, leased_s)


class Beat(NamedTuple):
    """One beat, or the first Hello: what is acknowledged was heard after `sent_at`."""

    sent_at: float
    listed: tuple[Attempt, ...] = ()
    warm: tuple[str, ...] | None = None  # None: it told nothing of that


class Evidence:
    """The beats of the last lease. Beat 0 is the first Hello: nothing proves more age."""

    def __init__(self) -> None:
        self.seq = 0
        self._beats: dict[int, Beat] = {}

    def begin(self, now: float) -> None:
        """Note the first Hello of the session."""
        self._beats[0] = Beat(now)

    def note(self, beat: Beat, *, lease_s: float) -> int:
        """Note a beat and forget those older than a lease; return its number."""
        self.seq += 1
        self._beats[self.seq] = beat
        for seq, older in [*self._beats.items()]:
            if beat.sent_at - older.sent_at >= lease_s:
                del self._beats[seq]
        return self.seq

    def of(self, seq: int) -> Beat | None:
        """Return the beat of that number, or None if it is too old to prove anything."""
        return self._beats.get(seq)
