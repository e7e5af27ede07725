"""Who waits for news of tasks, and how they are woken.

A subscriber holds no queue, only the number of the last log entry that it has seen. A slow
one therefore costs nothing and blocks nobody; what it has missed it reads from the store.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from zscrape.model import TaskId

ANY: Final = ""  # in place of a task: news of whichever


class Bell:
    """Wakes those who wait for one kind of news, by task; lives in one event loop."""

    def __init__(self) -> None:
        # Empty iff nobody would hear it ring: whoever rings at every turn looks here first.
        self.waiting: dict[TaskId, list[asyncio.Future[None]]] = {}
        self._is_closed = False

    @property
    def waiting_count(self) -> int:
        """How many wait now."""
        return sum(len(futures) for futures in self.waiting.values())

    def is_watched(self, task_id: TaskId) -> bool:
        """True iff somebody waits for news of this task."""
        return task_id in self.waiting

    def watch(self, task_id: TaskId) -> asyncio.Future[None]:
        """Return what is done at the task's next news, or at once when the bell is closed.

        Whoever stops waiting earlier says so by `forget`.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._is_closed:
            future.set_result(None)
        else:
            self.waiting.setdefault(task_id, []).append(future)
        return future

    def forget(self, task_id: TaskId, future: asyncio.Future[None]) -> None:
        """Stop waiting."""
        waiting = self.waiting.get(task_id)
        if waiting is not None and future in waiting:
            waiting.remove(future)
            if not waiting:
                del self.waiting[task_id]

    def ring(self, task_id: TaskId) -> None:
        """Wake those who wait for this task, or for any."""
        if not self.waiting:
            return
        for name in (task_id, ANY):
            for future in self.waiting.pop(name, ()):
                if not future.done():
                    future.set_result(None)

    def close(self) -> None:
        """Wake everybody, now and from now on."""
        self._is_closed = True
        for task_id in [*self.waiting]:
            self.ring(task_id)


class EndBell(Bell):
    """Rings once for a task: whoever has made it may be called there and then."""

    def __init__(self) -> None:
        super().__init__()
        self._listening: dict[TaskId, Callable[[], None]] = {}

    @property
    def waiting_count(self) -> int:
        """How many wait now."""
        return super().waiting_count + len(self._listening)

    def is_watched(self, task_id: TaskId) -> bool:
        """True iff somebody waits for the end of this task."""
        return task_id in self._listening or super().is_watched(task_id)

    def listen(self, task_id: TaskId, listener: Callable[[], None]) -> None:
        """Call `listener` once, as the bell rings: there and then, so it may not raise.

        For the one who has made the task: a task has one such listener. Whoever stops listening
        earlier says so by `leave`; when the bell is closed it is called at once.
        """
        if self._is_closed:
            listener()
        else:
            self._listening[task_id] = listener

    def leave(self, task_id: TaskId) -> None:
        """Stop listening."""
        self._listening.pop(task_id, None)

    def ring(self, task_id: TaskId) -> None:
        """Call who listens, then wake those who wait for this task, or for any."""
        listener = self._listening.pop(task_id, None)
        if listener is not None:
            listener()
        if self.waiting:
            super().ring(task_id)

    def close(self) -> None:
        """Wake everybody, now and from now on."""
        super().close()
        for task_id in [*self._listening]:
            self.ring(task_id)


class EventHub:
    """The bells of a gateway, and its open streams."""

    def __init__(self) -> None:
        self.news = Bell()  # anything new in a task's log
        self.ends = EndBell()  # its end
        self.is_closed = False
        self._streams: set[asyncio.Timeout] = set()

    @property
    def stream_count(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def opened(self, guard: asyncio.Timeout) -> None:
        """Count a stream; `guard` is what ends it when its reader has stalled."""
        self._streams.add(guard)

    def ended(self, guard: asyncio.Timeout) -> None:
        """A stream has ended."""
        self._streams.discard(guard)

    def close(self, grace_s: float = 0.5) -> None:
        """End every stream and every wait; a reader that does not read is cut after `grace_s`."""
        self.is_closed = True
        self.news.close()
        self.ends.close()
        cut_at = asyncio.get_running_loop().time() + grace_s
        for guard in self._streams:
            reschedule(guard, cut_at)


def reschedule(guard: asyncio.Timeout, at: float | None) -> None:
    """Set when `guard` ends its stream; one that is ending it already is left to it."""
    # Between its expiry and its task's next turn a guard takes no other time (CPython 3.11).
    with contextlib.suppress(RuntimeError):
        guard.reschedule(at)
