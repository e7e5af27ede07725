"""Locks as a person sees them, and taking one from its holder.

A broken lock is taken in two steps. The holder is ended at once, and what it still says is
refused by the number of its attempt. The key is free as soon as that attempt is known to be
over: its worker says so, or its lease has run out, by when the worker has ended it by itself.
Only by force the key is free before that, and then two attempts may overlap.
"""

from __future__ import annotations

from zscrape.core.entities import Lock
from zscrape.core.lives import Lives
from zscrape.core.snapshots import LockSnapshot
from zscrape.errors.requests import NotFound
from zscrape.model import Outcome, OutcomeCode


def locks(lives: Lives, *, now: float) -> list[LockSnapshot]:
    """Return every key that is held, the longest held first."""
    found = sorted(lives.locks.by_key.values(), key=lambda lock: lock.since)
    return [_snapshot(lives, lock, now) for lock in found]


def _snapshot(lives: Lives, lock: Lock, now: float) -> LockSnapshot:
    return LockSnapshot(
        key=lock.key,
        holder=lock.holder,
        age_s=max(0.0, now - lock.since),
        fence=lock.fence,
        is_closing=lock.is_closing,
        waiting=tuple(lock.line),
        is_far=lock.key in lives.leases.strange,
    )


def break_lock(lives: Lives, key: str, *, is_forced: bool, now: float) -> None:
    """End the holder of a key; the first in its line has it next.

    A key that a task of another gateway holds stays held back, by force or not.

    Raises:
        NotFound: Nobody holds this key.
    """
    lock = lives.locks.by_key.get(key)
    if lock is None:
        raise NotFound(kind="lock", name=key[:80])
    if key in lives.leases.strange:
        return
    fence = lock.fence
    holder = lives.tasks.get(lock.holder)
    if holder is not None and holder.lock is lock:
        fields: dict[str, str | int | float] = {"what": "lock_broken", "key": key}
        lives.abort(holder, Outcome(OutcomeCode.CANCELLED, fields=fields), now=now)
    is_held = lives.locks.by_key.get(key) is lock and lock.fence == fence
    if is_held and is_forced:
        _wrest(lives, lock)


def _wrest(lives: Lives, lock: Lock) -> None:
    """Free a key although the attempt that keeps it may still run."""
    for leftover, kept in list(lives.leases.orphans.items()):
        if kept is lock:
            del lives.leases.orphans[leftover]
            lives.deadlines.clear(leftover)
    for worker in lives.pool.workers.values():
        for leftover in worker.leftovers.values():
            if leftover.lock is lock:
                leftover.lock = None
    lives.release(lock)
