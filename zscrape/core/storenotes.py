"""Telling workers that their outcomes are kept: many in one message, and along with a beat.

Nobody waits for it (a worker frees memory, and does not repeat itself), so it may take a
moment; a message for each outcome would cost both sides as much as the outcome itself. With a
thousand workers each has one outcome now and then: what is said right before a beat leaves with
it, and wakes nobody on its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from msgspec import Struct

from zscrape.core.effects import Send
from zscrape.core.entities import Worker
from zscrape.core.lives import Lives
from zscrape.model import Attempt
from zscrape.wire import Stored

# So long an outcome waits for its worker's next beat: below the 2 s after which a worker repeats
# it, in seconds, and below the silence after which one is given up, in beats.
NOTE_DELAY_S = 1.25
NOTE_DELAY_BEATS = 1.25
# What is large fills the worker's memory meanwhile, and one that leaves waits for it.
NOTE_SOON_S = 0.05
NOTE_LARGE_BYTES = 32 * 1024
NOTE_LIMIT_COUNT = 256


class _Note(Struct):
    due_at: float  # unless a beat comes first
    attempts: list[Attempt]


class StoreNotes:
    """Outcomes that are kept, and whose workers have not been told yet."""

    def __init__(self, lives: Lives, *, beat_interval_s: float) -> None:
        self._lives = lives
        self._delay_s = min(NOTE_DELAY_S, NOTE_DELAY_BEATS * beat_interval_s)
        self._untold: dict[Worker, _Note] = {}  # the first due first
        self._owed: dict[Attempt, Worker] = {}  # heard and not stored yet, with who has said it
        self._large: set[Attempt] = set()  # of those, what fills its worker's memory
        self._all_at = inf  # when all are told, due or not
        self.next_at = inf  # no later than any of them is due; early is harmless

    def owe(self, worker: Worker, attempt: Attempt, data: bytes | None) -> None:
        """Note that an outcome was heard, with this answer, and is to be stored."""
        self._owed[attempt] = worker
        if data is not None and len(data) >= NOTE_LARGE_BYTES:
            self._large.add(attempt)

    def awaits(self, attempt: Attempt, worker: Worker) -> bool:
        """True iff an outcome was heard and is not stored yet; `worker` is who has said it."""
        if attempt not in self._owed:
            return False
        self._owed[attempt] = worker  # it may have dialled anew
        return True

    def keep(self, attempts: Iterable[Attempt], now: float) -> None:
        """Note that outcomes are stored, where they were some: a task may end without any."""
        owed, untold, large = self._owed, self._untold, self._large
        for attempt in attempts:
            worker = owed.pop(attempt, None)
            if worker is None:
                continue
            note = untold.get(worker)
            if note is None:
                note = untold[worker] = _Note(now + self._delay_s, [])
                self._wake_by(note.due_at)
            note.attempts.append(attempt)
            if worker.is_leaving or (large and attempt in large):
                large.discard(attempt)
                self.hasten(now)
            if len(note.attempts) >= NOTE_LIMIT_COUNT:
                self.tell(worker)

    def hasten(self, now: float) -> None:
        """Tell soon what is untold: somebody waits for it."""
        if self._untold:
            self._all_at = min(self._all_at, now + NOTE_SOON_S)
            self._wake_by(self._all_at)

    def hurry(self, now: float) -> None:
        """Wait for company no longer: this gateway is about to end, and workers wait for it."""
        self._delay_s = min(self._delay_s, NOTE_SOON_S)
        self.hasten(now)

    def _wake_by(self, at: float) -> None:
        self.next_at = min(self.next_at, at)
        self._lives.alarm.by(at)

    def tick(self, now: float) -> None:
        """Tell what is due."""
        if self.next_at > now:
            return
        by = inf if self._all_at <= now else now
        for worker, note in [*self._untold.items()]:
            if note.due_at > by:
                self.next_at = min(note.due_at, self._all_at)
                return
            self.tell(worker)
        self._all_at = self.next_at = inf

    def tell(self, worker: Worker) -> None:
        """Tell a worker now of what is untold, if there is anything."""
        note = self._untold.pop(worker, None)
        # One that was lost meanwhile asks by repeating its outcome.
        if note is not None and self._lives.pool.workers.get(worker.id) is worker:
            self._lives.out.append(Send(worker.peer, Stored(tuple(note.attempts))))
