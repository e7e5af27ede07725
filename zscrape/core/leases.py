"""Locks of those who cannot be heard: each is kept until a lease is over, and then goes on.

An attempt whose worker is lost may still run, and so may one of a process before this one, or of
a task of another gateway. Until its lease has ended its key is not given to anybody.
"""

from __future__ import annotations

from collections.abc import Callable

from zscrape.core.deadlines import Deadlines
from zscrape.core.entities import Leftover, Lock, Task
from zscrape.core.locks import Locks
from zscrape.model import HeartbeatPolicy, TaskId


class Leases:
    """What keeps locks for a lease. `release` gives a lock to the first in its line."""

    def __init__(
        self,
        locks: Locks,
        deadlines: Deadlines[Task | Leftover],
        heartbeat: HeartbeatPolicy,
        *,
        release: Callable[[Lock], None],
    ) -> None:
        self.orphans: dict[Leftover, Lock] = {}  # without a worker: they only keep a lock
        self.strange: dict[str, Leftover] = {}  # what keeps keys that another gateway holds
        self._locks = locks
        self._deadlines = deadlines
        self._heartbeat = heartbeat
        self._release = release

    def abandon(self, leftover: Leftover, lock: Lock) -> None:
        """Let a leftover that is out of sight keep its lock until its lease has ended."""
        self.orphans[leftover] = lock
        self._deadlines.wake(leftover, leftover.lease_until + self._heartbeat.margin_s)

    def orphan(self, task: Task) -> Leftover | None:
        """Return what keeps the lock of a task whose attempt may run on, out of our sight."""
        if task.lock is None:
            return None
        leftover = Leftover(task.current, task.is_listed, task.lease_until, task.lock)
        self.abandon(leftover, task.lock)
        return leftover

    def expire(self, leftover: Leftover) -> None:
        """Free the lock of an abandoned leftover: by now its worker has ended it."""
        lock = self.orphans.pop(leftover)
        self.strange.pop(lock.key, None)
        self._release(lock)

    def reserve(self, key: str, holder: TaskId, *, now: float) -> None:
        """Keep a key for a lease: an attempt from before a restart may still hold it."""
        if key in self._locks.by_key:
            return
        lock = self._locks.reserve(key, holder, since=now)
        lease_until = now + self._heartbeat.lease_s
        self.abandon(Leftover((holder, 0), lease_until=lease_until, lock=lock), lock)

    # ---- keys of other gateways ------------------------------------------------------

    def hold_back(self, key: str, holder: TaskId, *, now: float) -> None:
        """Keep a key for a lease that a task of another gateway holds; again to keep it longer."""
        leftover = self.strange.pop(key, None)
        lock = self._locks.by_key.get(key)
        if leftover is not None and lock is not None:
            lock.holder = holder
            del self.orphans[leftover]
            self._deadlines.clear(leftover)
        elif lock is not None:
            return
        else:
            lock = self._locks.reserve(key, holder, since=now)
        lease_until = now + self._heartbeat.lease_s
        leftover = self.strange[key] = Leftover((holder, 0), lease_until=lease_until, lock=lock)
        self.abandon(leftover, lock)

    def seize(self, task: Task, key: str) -> None:
        """Give a key to a task whose attempt has it already, before anyone in line here."""
        leftover = self.strange.pop(key, None)
        if leftover is None:
            self._locks.claim(task, key)
        else:
            self._deadlines.clear(leftover)
            self._locks.give(self.orphans.pop(leftover), task)

    def let_in(self, key: str) -> None:
        """Give a key that was held back to the first who waits for it."""
        leftover = self.strange.get(key)
        if leftover is not None:
            self._deadlines.clear(leftover)
            self.expire(leftover)
