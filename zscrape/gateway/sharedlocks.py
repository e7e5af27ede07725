"""Locks over several gateways: a key belongs to one of them in the database, then to its tasks.

The database has the holder before an attempt of it may be sent, so no two gateways ever run
the same key. Who is in line elsewhere waits here with a key that is held back, and looks for
it every second, or when another gateway says that it has freed some.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Protocol

from zscrape.errors import StorageError
from zscrape.errors.requests import LockHeld
from zscrape.errors.storage import LeaseLost
from zscrape.log import get_logger
from zscrape.model import Overlap, TaskId, TaskSpec
from zscrape.store.gateways import GatewayLease, HeldLock
from zscrape.store.tasks import TaskRow

_LOOK_S: Final = 1.0
# Keys that are tried for in one turn: a turn for each would wait behind all who ask for others,
# and what is not tried for in time is taken for free.
_TRY_COUNT: Final = 50
_AGAIN_S: Final = 0.25


class LockRouter(Protocol):
    """What locks need of the router."""

    def hold_back(self, key: str, holder: TaskId) -> None:
        """Keep a key for a lease that a task of another gateway holds."""
        ...

    def let_in(self, key: str) -> None:
        """Give a key that was held back to the first who waits for it."""
        ...

    def held_back(self) -> dict[str, TaskId | None]:
        """Return the keys that are held back, each with the first who waits for it here."""
        ...

    def held_keys(self) -> dict[str, TaskId]:
        """Return the keys that are held here, each with its holder."""
        ...


class SharedLocks:
    """The keys of this gateway, as the database has them; made and used in one event loop.

    `live` gives a task that has not ended here; `on_freed` is called when keys were freed that
    others may wait for; `ask_cancel` has another gateway end a task.
    """

    def __init__(
        self,
        lease: GatewayLease,
        router: LockRouter,
        *,
        live: Callable[[TaskId], TaskRow | None],
    ) -> None:
        self._lease = lease
        self._router = router
        self._live = live
        self._loop = asyncio.get_running_loop()
        # Keys of this gateway with their holders as the database has them; empty: not known.
        self._held: dict[str, TaskId] = {}
        self._entering: dict[TaskId, str] = {}  # keys of tasks that are let in, not queued yet
        self._coming: dict[str, TaskId] = {}  # keys of tasks that are still to be taken up
        self._has_nothing = False
        # A key is not freed while somebody enters by it, and neither while tasks change hands.
        self._turn = asyncio.Lock()
        self._changes_count = 0  # of those who change hands, or wait for their turn to
        self._is_settled = asyncio.Event()  # nobody does
        self._is_settled.set()
        self._is_due = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.on_freed: Callable[[], None] = lambda: None
        self.ask_cancel: Callable[[TaskId], None] = lambda task_id: None

    def start(self) -> None:
        """Begin to look after keys that are freed, here and elsewhere."""
        self._start(self._look_on())

    async def close(self) -> None:
        """Look no more; what is held is freed with this gateway's lease."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def look(self) -> None:
        """Look now: a key may have been freed."""
        if self._held or self._router.held_back():
            self._is_due.set()

    @contextlib.asynccontextmanager
    async def changing_hands(self) -> AsyncIterator[None]:
        """Let nobody take a key, and free none, from before tasks are this gateway's until here."""
        self._changes_count += 1
        self._is_settled.clear()
        try:
            async with self._turn:
                yield
        finally:
            self._changes_count -= 1
            if not self._changes_count:
                self._is_settled.set()

    @contextlib.asynccontextmanager
    async def _own_turn(self) -> AsyncIterator[None]:
        """Have the turn to take or free keys.

        Whoever changes hands goes before all who wait: the lease is not renewed meanwhile.

        Raises:
            LeaseLost: Tasks of this gateway are still to be taken up again, and may have any key.
        """
        while True:
            await self._is_settled.wait()
            async with self._turn:
                if not self._is_settled.is_set():
                    continue
                if self._has_nothing:
                    raise LeaseLost(reason="this gateway has lost its lease a moment ago")
                yield
                return

    async def load(self) -> None:
        """Learn which keys this gateway has: from its life before, or a dead one's.

        To be called while they change hands. Those of tasks that are not here yet stay theirs
        until `taken_up`, however long that takes.

        Raises:
            StorageError: The database cannot be reached.
        """
        self._held = await self._lease.locks()
        here = self._router.held_keys()
        self._coming = {key: task_id for key, task_id in self._held.items() if key not in here}

    def taken_up(self) -> None:
        """Note that the tasks whose keys were loaded are here by now."""
        self._coming, self._has_nothing = {}, False
        self.look()

    def forget_all(self) -> None:
        """Note that this gateway has nothing any more, until it has taken up what is its own."""
        self._held.clear()
        self._has_nothing = True

    # ---- acceptance ------------------------------------------------------------------

    async def admit(self, spec: TaskSpec) -> None:
        """Look whether a task may have its lock, or wait for it, before it is accepted.

        Raises:
            LockHeld: A task of another gateway has it, and this one would not wait.
            LeaseLost: Tasks of this gateway that may have it are still to be taken up again.
            StorageError: The database cannot be reached.
        """
        lock = spec.lock
        if lock is None or lock.overlap is Overlap.ALLOW:
            return
        self._entering[spec.id] = lock.key
        async with self._own_turn():
            found = await self._take(lock.key, spec.id, is_sure=False)
        if found is None:
            self._router.let_in(lock.key)
            return
        if lock.overlap is Overlap.SKIP:
            raise LockHeld(key=lock.key, holder=found.holder, age_s=found.age_s)
        if lock.overlap is Overlap.REPLACE:
            self.ask_cancel(found.holder)
        self._router.hold_back(lock.key, found.holder)

    async def _take(self, key: str, task_id: TaskId, *, is_sure: bool) -> HeldLock | None:
        """Take a key for a task, in a turn of one's own; return who has it that is not here."""
        if key in self._coming:
            return HeldLock(self._coming[key], 0.0)
        # Before it is known: who stops waiting here must not leave a key behind.
        self._held.setdefault(key, "")
        found = await self._lease.take_lock(key, task_id, is_sure=is_sure)
        if found is not None and not self._held.get(key):
            self._held.pop(key, None)
        return found

    def entered(self, task_id: TaskId) -> None:
        """Note that a task is queued by now, or will not be."""
        if self._entering.pop(task_id, None) is not None and self._live(task_id) is None:
            self.look()  # nobody may want its key

    # ---- before an attempt is sent ---------------------------------------------------

    def fence(self, row: TaskRow) -> asyncio.Future[None] | None:
        """Return what is done once the database has this task as the holder of its key."""
        key = row.lock_key
        if not key or row.overlap is Overlap.ALLOW or self._held.get(key) == row.id:
            return None
        return self._start(self._secure(key, row.id))

    async def _secure(self, key: str, task_id: TaskId) -> None:
        while self._live(task_id) is not None:  # else the attempt is over, and does not leave
            with contextlib.suppress(StorageError):
                if await self._lease.take_lock(key, task_id, is_sure=True) is None:
                    self._held[key] = task_id
                    return
            await asyncio.sleep(_AGAIN_S)

    # ---- keys that come free ---------------------------------------------------------

    async def _look_on(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._is_due.wait()
            self._is_due.clear()
            try:
                await self._free()
                await self._try_for()
            except StorageError:
                pass  # the next second tries again
            except Exception:  # noqa: BLE001 - the task's outermost place: others must be let in
                get_logger().error("sharing_broken", exc_info=True)

    async def _free(self) -> None:
        """Free the keys that no task here has or waits for any more."""
        async with self._own_turn():
            here = {*self._router.held_keys(), *self._entering.values(), *self._coming}
            gone = [key for key in self._held if key not in here]
            if not gone:
                return
            await self._lease.free_locks(gone)
            for key in gone:
                self._held.pop(key, None)
        self.on_freed()

    async def _try_for(self) -> None:
        """Try for the keys that are held back, for those who wait for them here."""
        # Where nobody waits: whoever comes looks by itself; then it ends by itself.
        wanted = [(key, first) for key, first in self._router.held_back().items() if first]
        for begin in range(0, len(wanted), _TRY_COUNT):
            async with self._own_turn():
                for key, first in wanted[begin : begin + _TRY_COUNT]:
                    await self._try(key, first)

    async def _try(self, key: str, first: TaskId) -> None:
        found = await self._take(key, first, is_sure=True)
        if found is None:
            self._held[key] = first
            self._router.let_in(key)
        else:
            self._router.hold_back(key, found.holder)

    def _start(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self._loop.create_task(work, name="shared-locks")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
