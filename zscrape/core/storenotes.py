"""Telling workers that their outcomes are kept: soon, and many in one message.

Nobody waits for it (a worker frees memory, and does not repeat itself), so it may take a
moment; a message for each outcome would cost both sides as much as the outcome itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from zscrape.core.effects import Send
from zscrape.core.entities import Worker
from zscrape.core.lives import Lives
from zscrape.model import Attempt
from zscrape.wire import Stored

# Well below the worker's 2 s before it repeats an outcome. With a thousand workers each has one
# outcome now and then: told soon, each would cost a message more.
NOTE_DELAY_S = 0.5
# What is large fills the worker's memory meanwhile, and one that leaves waits for it.
NOTE_SOON_S = 0.05
NOTE_LARGE_BYTES = 32 * 1024
NOTE_LIMIT_COUNT = 256


class StoreNotes:
    """Outcomes that are kept, and whose workers have not been told yet."""

    def __init__(self, lives: Lives, *, beat_interval_s: float) -> None:
        self._lives = lives
        # A worker that is heard no more should have been told before it is given up.
        self._delay_s = min(NOTE_DELAY_S, beat_interval_s / 2)
        self._untold: dict[Worker, list[Attempt]] = {}
        # Heard and not stored yet: who has said it, and how large it is.
        self._owed: dict[Attempt, tuple[Worker, int]] = {}
        self.next_at = inf  # iff nothing is untold

    def owe(self, worker: Worker, attempt: Attempt, *, size_bytes: int) -> None:
        """Note that an outcome was heard and is to be stored."""
        self._owed[attempt] = worker, size_bytes

    def awaits(self, attempt: Attempt, worker: Worker) -> bool:
        """True iff an outcome was heard and is not stored yet; `worker` is who has said it."""
        owed = self._owed.get(attempt)
        if owed is None:
            return False
        self._owed[attempt] = worker, owed[1]  # it may have dialled anew
        return True

    def keep(self, attempts: Iterable[Attempt], now: float) -> None:
        """Note that outcomes are stored, where they were some: a task may end without any."""
        for attempt in attempts:
            owed = self._owed.pop(attempt, None)
            if owed is not None:
                self.add(owed[0], attempt, now, size_bytes=owed[1])

    def add(self, worker: Worker, attempt: Attempt, now: float, *, size_bytes: int) -> None:
        """Note that an outcome is kept."""
        attempts = self._untold.get(worker)
        if attempts is None:
            attempts = self._untold[worker] = []
        attempts.append(attempt)
        if self.next_at == inf:
            self.next_at = now + self._delay_s
        if worker.is_leaving or size_bytes >= NOTE_LARGE_BYTES:
            self.hasten(now)
        if len(attempts) >= NOTE_LIMIT_COUNT:
            self._tell(worker, attempts)
            attempts.clear()

    def hasten(self, now: float) -> None:
        """Tell soon what is untold: somebody waits for it."""
        if self._untold:
            self.next_at = min(self.next_at, now + NOTE_SOON_S)

    def hurry(self, now: float) -> None:
        """Wait for company no longer: this gateway is about to end, and workers wait for it."""
        self._delay_s = min(self._delay_s, NOTE_SOON_S)
        self.hasten(now)

    def tick(self, now: float) -> None:
        """Tell what is due."""
        if self.next_at > now:
            return
        self.next_at = inf
        for worker, attempts in self._untold.items():
            # One that was lost meanwhile asks by repeating its outcome.
            if attempts and self._lives.pool.workers.get(worker.id) is worker:
                self._tell(worker, attempts)
        self._untold.clear()

    def _tell(self, worker: Worker, attempts: list[Attempt]) -> None:
        self._lives.out.append(Send(worker.peer, Stored(tuple(attempts))))
