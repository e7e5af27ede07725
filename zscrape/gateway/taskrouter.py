"""What the gateway's tasks need of whatever brings them to workers."""

from __future__ import annotations

from typing import Protocol

from zscrape.core.snapshots import Explanation, LockSnapshot, Snapshot
from zscrape.model import RunSpec, TaskId, TaskSpec, WorkerId


class TaskRouter(Protocol):
    """What the gateway needs of the router."""

    @property
    def garbage_count(self) -> int:
        """Frames that were no message."""
        ...

    def fault(self) -> str:
        """Return why the link does not work: `closed`, `stalled`, or an empty text."""
        ...

    def submit(self, spec: TaskSpec, *, is_free: bool = False) -> None:
        """Accept a task, or raise QueueFull, LockHeld or Draining with nothing changed.

        Of one that `is_free` nothing has to be stored before it is begun.
        """
        ...

    def cancel(self, task_id: TaskId) -> None:
        """End a task; one that is unknown or final is left alone."""
        ...

    def wake(self, task_id: TaskId) -> None:
        """Queue a parked task again; one that is not parked is left alone."""
        ...

    def drain_worker(self, worker_id: WorkerId, *, is_draining: bool) -> None:
        """Drain a worker or put it to work again, or raise NotFound."""
        ...

    def prefetch(self, run: RunSpec, requires: frozenset[str]) -> tuple[WorkerId, ...]:
        """Have every worker that could run this get ready for it; returns which."""
        ...

    def warm_on(self, digest: str) -> tuple[WorkerId, ...]:
        """Return the workers that have a script ready."""
        ...

    def snapshot(self) -> Snapshot:
        """Return the dispatcher at this moment."""
        ...

    def locks(self) -> list[LockSnapshot]:
        """Return every key that is held, the longest held first."""
        ...

    def break_lock(self, key: str, *, is_forced: bool) -> None:
        """End the holder of a key, or raise NotFound."""
        ...

    def explain(self, task_id: TaskId) -> Explanation | None:
        """Say why a task waits or where it is; None once it is final or unknown."""
        ...
