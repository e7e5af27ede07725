"""Tasks that another gateway on the same database looks after, for those who ask here.

What is true stands in the database and is looked at every second; between two looks the
gateways tell each other which tasks have changed (`NOTIFY`), a few times a second at most and
outside of every transaction that keeps something: its lock is one for the whole database.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from zscrape.errors import StorageError
from zscrape.gateway.events import EventHub
from zscrape.log import get_logger
from zscrape.model import TaskId
from zscrape.store.gateways import GatewayLease, HeldLock
from zscrape.store.postgres import Raw, connect
from zscrape.store.sql import SqlTaskStore
from zscrape.store.tasks import TaskRow

CHANNEL: Final = "zscrape"
_LOOK_S: Final = 1.0
# PostgreSQL's NOTIFY takes a lock of the whole database: 20 a second from each gateway.
_TELL_S: Final = 0.05
# A payload may have 8,000 bytes; beyond that everybody looks at all that they follow.
_TOLD_COUNT: Final = 120
_LOOK_COUNT: Final = 200  # tasks of one query
_CANCEL_S: Final = 2.0
_LISTEN_S: Final = 1.0  # between two looks whether it is over
_ALL: Final = "*"


class Neighbours:
    """The other gateways of a shared database; made and used in one event loop.

    `live` gives a task that this gateway looks after; `on_wish` is called when another one has
    left a wish in the database, `on_freed` when it has freed keys; `is_alone` says that there
    is nobody to tell.
    """

    def __init__(
        self,
        url: str,
        lease: GatewayLease,
        store: SqlTaskStore,
        hub: EventHub,
        *,
        live: Callable[[TaskId], TaskRow | None],
        on_wish: Callable[[], None],
        on_freed: Callable[[], None],
        is_alone: Callable[[], bool],
    ) -> None:
        self._url = url
        self._lease = lease
        self._store = store
        self._hub = hub
        self._live = live
        self._on_wish = on_wish
        self._on_freed = on_freed
        self._is_alone = is_alone
        self._loop = asyncio.get_running_loop()
        self._followed: dict[TaskId, list[TaskRow]] = {}
        self._news: set[TaskId] = set()  # of which to look, sooner than at all
        self._has_news = asyncio.Event()
        self._untold: set[TaskId] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._telling: asyncio.TimerHandle | None = None
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="store-listener", daemon=True)

    def start(self) -> None:
        """Begin to look and to listen."""
        self._start(self._look_on())
        self._thread.start()

    async def close(self) -> None:
        """Look and tell no more."""
        self._is_closed.set()
        if self._telling is not None:
            self._telling.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._loop.run_in_executor(None, self._thread.join)

    async def locks(self) -> list[HeldLock]:
        """Return the locks that tasks of other gateways have.

        Raises:
            StorageError: The database cannot be read.
        """
        try:
            return (
                await self._lease.other_locks()
            )  # who has come a moment ago may have some already
        except StorageError:
            if self._is_alone():  # what is held here is known without the database
                return []
            raise

    # ---- following -------------------------------------------------------------------

    def follow(self, row: TaskRow) -> None:
        """Keep this row up to date, and ring the bells of its task, until `leave`."""
        self._followed.setdefault(row.id, []).append(row)

    def leave(self, row: TaskRow) -> None:
        """Follow the row no longer."""
        rows = self._followed.get(row.id, [])
        for place, each in enumerate(rows):
            if each is row:
                del rows[place]
                break
        if not rows:
            self._followed.pop(row.id, None)

    async def cancel(self, row: TaskRow) -> None:
        """Have the gateway end the task that looks after it; a moment later the row says so.

        Raises:
            StorageError: The wish cannot be kept.
        """
        self.follow(row)
        ended = self._hub.ends.watch(row.id)
        try:
            await self._lease.ask_cancel(row.id)
            await self._lease.notify(CHANNEL, [f"{self._lease.gateway_id}|wish|"])
            await asyncio.wait((ended,), timeout=_CANCEL_S)
        finally:
            self._hub.ends.forget(row.id, ended)
            self.leave(row)

    async def _look_on(self) -> None:
        look_at = self._loop.time()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(look_at):
                    await self._has_news.wait()
            self._has_news.clear()
            news, self._news = self._news, set()
            if self._loop.time() >= look_at or _ALL in news:
                look_at = self._loop.time() + _LOOK_S
                news = set(self._followed)
            try:
                await self._look([each for each in news if each in self._followed])
            except StorageError:
                pass  # the next second tries again
            except Exception:  # noqa: BLE001 - the task's outermost place: others must be told
                get_logger().error("sharing_broken", exc_info=True)

    async def _look(self, task_ids: Sequence[TaskId]) -> None:
        strange: list[TaskId] = []
        for task_id in task_ids:
            own = self._live(task_id)
            if own is None:
                strange.append(task_id)
            else:
                self._refresh(own)
        for place in range(0, len(strange), _LOOK_COUNT):
            for row in await self._store.look_up(strange[place : place + _LOOK_COUNT]):
                if self._live(row.id) is None:  # else it has been taken over while we read
                    self._refresh(row)

    def _refresh(self, fresh: TaskRow) -> None:
        """Bring those who follow a task to what is known of it now, and wake them."""
        changed = [
            row
            for row in self._followed.get(fresh.id, ())
            if row is not fresh and not row.status.is_final and _is_newer(fresh, row)
        ]
        for row in changed:
            for name in TaskRow.__struct_fields__:
                setattr(row, name, getattr(fresh, name))
        if changed:
            self._hub.news.ring(fresh.id)
            if fresh.status.is_final:
                self._hub.ends.ring(fresh.id)

    # ---- telling ---------------------------------------------------------------------

    def tell(self, task_ids: Iterable[TaskId]) -> None:
        """Tell the others soon that tasks have changed."""
        if self._is_alone() or self._is_closed.is_set():
            return
        self._untold.update(task_ids)
        if self._telling is None:
            self._telling = self._loop.call_later(_TELL_S, self._tell)

    def _tell(self) -> None:
        self._telling = None
        untold, self._untold = self._untold, set()
        told = _ALL if len(untold) > _TOLD_COUNT else ",".join(untold)
        self._start(self._notify(f"{self._lease.gateway_id}|news|{told}"))

    def tell_freed(self) -> None:
        """Tell the others that keys are free."""
        if not self._is_alone():
            self._start(self._notify(f"{self._lease.gateway_id}|free|"))

    def ask_cancel(self, task_id: TaskId) -> None:
        """Have another gateway end a task, and wait for nothing."""
        self._start(self._ask_cancel(task_id))

    async def _ask_cancel(self, task_id: TaskId) -> None:
        with contextlib.suppress(StorageError):  # then it ends when it ends
            await self._lease.ask_cancel(task_id)
            await self._lease.notify(CHANNEL, [f"{self._lease.gateway_id}|wish|"])

    async def _notify(self, text: str) -> None:
        with contextlib.suppress(StorageError):  # they look by themselves
            await self._lease.notify(CHANNEL, [text])

    def _start(self, work: Any) -> None:
        task = self._loop.create_task(work, name="neighbours")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- listening -------------------------------------------------------------------

    def _hear(self, text: str) -> None:
        sender, _, rest = text.partition("|")
        kind, _, told = rest.partition("|")
        if sender == self._lease.gateway_id:
            return
        if kind in ("wish", "free"):
            (self._on_wish if kind == "wish" else self._on_freed)()
            return
        news = {_ALL} if told == _ALL else self._followed.keys() & set(told.split(","))
        if news:
            self._news |= news
            self._has_news.set()

    def _listen(self) -> None:
        """Listen in a thread of its own; a connection that breaks is made anew."""
        while not self._is_closed.is_set():
            try:
                raw = connect(self._url)
            except StorageError:
                self._is_closed.wait(_LISTEN_S)
                continue
            with contextlib.suppress(Exception), raw:  # polling goes on without it
                self._hear_on(raw)
            self._is_closed.wait(_LISTEN_S)

    def _hear_on(self, raw: Raw) -> None:
        raw.execute(f"LISTEN {CHANNEL}".encode())
        while not self._is_closed.is_set():
            for note in raw.notifies(timeout=_LISTEN_S):
                with contextlib.suppress(RuntimeError):  # the loop has closed
                    self._loop.call_soon_threadsafe(self._hear, note.payload)


def _is_newer(fresh: TaskRow, row: TaskRow) -> bool:
    return fresh.last_number > row.last_number or fresh.status != row.status
