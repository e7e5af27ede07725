"""What this worker's beats have said, and so what an acknowledgement of one proves."""

from __future__ import annotations

from typing import NamedTuple

from zscrape.model import Attempt


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
