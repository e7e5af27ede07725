"""Locks: at most one accepted task holds a key; the others are refused or stand in line.

A key is held from acceptance to the final state, and beyond it while the holder's last
attempt may still run: what a lock forbids is two attempts at once.
"""

from __future__ import annotations

from zscrape.core.entities import Lock, Task
from zscrape.errors.requests import LockHeld
from zscrape.model import LockRequest, Overlap, TaskId


class Locks:
    """Who holds which key, and who waits for it."""

    def __init__(self) -> None:
        self.by_key: dict[str, Lock] = {}
        self._fence = 0

    def refusal(self, request: LockRequest, *, now: float) -> LockHeld | None:
        """Return why a task that asks for this may not even wait, or None if it may."""
        lock = self.by_key.get(request.key)
        if lock is None:
            return None
        is_refused = request.overlap is Overlap.SKIP or (
            request.overlap is Overlap.QUEUE_ONE and bool(lock.line)
        )
        if not is_refused:
            return None
        return LockHeld(key=lock.key, holder=lock.holder, age_s=now - lock.since)

    def claim(self, task: Task, key: str) -> bool:
        """Give `task` the key, or a place at the end of its line. True iff it holds it now."""
        lock = self.by_key.get(key)
        if lock is None:
            lock = self.by_key[key] = Lock(key, task.id, task.accepted_at, 0)
            self._grant(lock, task)
            return True
        task.lock = lock
        lock.line[task.id] = task
        return False

    def reserve(self, key: str, holder: TaskId, *, since: float) -> Lock:
        """Hold a free key for a task that has ended but whose attempt perhaps has not."""
        self._fence += 1
        lock = self.by_key[key] = Lock(key, holder, since, self._fence, is_closing=True)
        return lock

    def leave(self, task: Task, lock: Lock) -> None:
        """Take `task` out of the line of `lock`, in which it stands."""
        del lock.line[task.id]
        task.lock = None

    def release(self, lock: Lock) -> Task | None:
        """Free the key. Return the task that holds it from now on, or None."""
        if not lock.line:
            del self.by_key[lock.key]
            return None
        _, task = lock.line.popitem(last=False)
        self._grant(lock, task)
        return task

    def give(self, lock: Lock, task: Task) -> None:
        """Let `task` hold a key that nothing here keeps any more, before those in its line."""
        self._grant(lock, task)

    def _grant(self, lock: Lock, task: Task) -> None:
        self._fence += 1
        lock.fence = self._fence
        lock.holder = task.id
        lock.since = task.accepted_at
        lock.is_closing = False
        task.lock = lock
