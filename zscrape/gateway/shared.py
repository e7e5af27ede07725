"""Joins a gateway's parts to the other gateways on its database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from zscrape.core.dispatcher import Dispatcher
from zscrape.errors import StorageError
from zscrape.gateway.deliveries import Deliveries
from zscrape.gateway.recovery import Recovered
from zscrape.gateway.router import Router
from zscrape.gateway.sharedlocks import SharedLocks
from zscrape.gateway.tasks import TaskService
from zscrape.model import HeartbeatPolicy, TaskId
from zscrape.store.gateways import Adopted
from zscrape.store.postgres import PostgresDatabase
from zscrape.store.sql import SqlTaskStore

_NONE = Recovered(0, 0, 0, 0)


class SharedTasks:
    """The parts of a gateway that hold tasks, as `Ownership` changes whose they are.

    `dispatcher` makes one with no task, for another life of the gateway, by its boot.
    """

    def __init__(
        self,
        *,
        database: PostgresDatabase,
        store: SqlTaskStore,
        router: Router,
        service: TaskService,
        deliveries: Deliveries,
        heartbeat: HeartbeatPolicy,
        dispatcher: Callable[[str], Dispatcher],
        locks: SharedLocks,
    ) -> None:
        self._database = database
        self._store = store
        self._router = router
        self._service = service
        self._deliveries = deliveries
        self._heartbeat = heartbeat
        self._dispatcher = dispatcher
        self.cancel = router.cancel
        self.changing_hands = locks.changing_hands
        self._locks = locks

    async def take_up(self, adopted: Adopted | None) -> Recovered:
        """Go on with tasks of a dead gateway; with None, with what is this gateway's own.

        Raises:
            StorageError: The database cannot be read.
        """
        seqs = None if adopted is None else adopted.live
        unsent = () if adopted is None else adopted.unsent
        owed = await self._store.look_up(unsent) if unsent else []
        found = _NONE
        if seqs is None or seqs:
            await self._locks.load()
            found = await self._service.recover(
                self._store, self._router, self._heartbeat, seqs=seqs, is_shared=True
            )
            self._locks.taken_up()
        self._deliveries.adopt(owed)
        self._store.try_again()
        return found

    def fence(self, task_id: TaskId) -> asyncio.Future[None] | None:
        """Return what must be stored before an attempt of this task may be sent."""
        stored = self._service.fence(task_id)
        row = self._service.live(task_id)
        locked = None if row is None else self._locks.fence(row)
        if stored is None or locked is None:
            return stored or locked
        return asyncio.ensure_future(_both(stored, locked))  # noqa: TID251 - kept by who waits

    def drop_all(self, boot: str, error: StorageError) -> None:
        """Let go of every task, and go on as a life of this gateway called `boot`."""
        self._router.reset(self._dispatcher(boot))
        self._service.drop_all()
        self._store.forget_all(error)
        self._locks.forget_all()
        if self._database.fence is not None:
            self._database.fence = (self._database.fence[0], boot)


async def _both(stored: asyncio.Future[None], locked: asyncio.Future[None]) -> None:
    await stored
    await locked
