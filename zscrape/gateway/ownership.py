"""A gateway among others on one database: it keeps its lease, and takes over from the dead.

Nothing that it sends can be a dead gateway's word: a durable attempt leaves after its number
is stored, which the database refuses without a lease, and any other only while this process
knows by its own clock that the lease is good.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from zscrape.errors import StorageError
from zscrape.errors.storage import LeaseLost
from zscrape.gateway.recovery import Recovered
from zscrape.model import TaskId
from zscrape.store.gateways import Adopted, GatewayLease

RENEW_S: Final = 2.0
_ADOPT_COUNT: Final = 500  # at once: the other gateways want some, and calls their turn
_ID_FILE: Final = "gateway.id"


class Keeper(Protocol):
    """What ownership changes hands of: the parts of a gateway that hold tasks."""

    def changing_hands(self) -> AbstractAsyncContextManager[None]:
        """Let no lock change hands beside, from before tasks do until they are taken up."""
        ...

    async def take_up(self, adopted: Adopted | None) -> Recovered:
        """Go on with tasks of a dead gateway; with None, with what is this gateway's own."""
        ...

    def drop_all(self, boot: str, error: StorageError) -> None:
        """Let go of every task, and go on as a life of this gateway called `boot`."""
        ...

    def cancel(self, task_id: TaskId) -> None:
        """End a task; one that is not here is left alone."""
        ...

    def fence(self, task_id: TaskId) -> asyncio.Future[None] | None:
        """Return what must be stored before an attempt of this task may be sent."""
        ...


def gateway_id_of(home: Path, name: str) -> str:
    """Return the id of the gateway of a home folder; it stays the same over restarts.

    Raises:
        OSError: The folder cannot be used.
    """
    path = home / _ID_FILE
    with contextlib.suppress(FileNotFoundError):
        known = path.read_text(encoding="ascii", errors="replace").strip()
        if known:
            return known[:64]
    made = f"{name[:40]}-{secrets.token_hex(4)}"
    path.write_text(made + "\n", encoding="utf-8")
    return made


class Ownership:
    """Keeps one gateway's lease; made and used in one event loop."""

    def __init__(self, lease: GatewayLease, keeper: Keeper, log: Any) -> None:
        self._lease = lease
        self._keeper = keeper
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._sure_until = 0.0
        self._renewed: asyncio.Future[None] = self._loop.create_future()
        self._is_due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._step = self._renew
        self._pending: Adopted | None = None  # own by the database, and not taken up yet
        self.is_adopting = True
        self.other_count = 0

    async def begin(self) -> None:
        """Take up this gateway's own tasks, then keep the lease until `close`.

        Raises:
            StorageError: The database cannot be reached or read.
        """
        self._note_renewed(self._loop.time())
        async with self._keeper.changing_hands():
            await self._take_up(None)
        self._task = self._loop.create_task(self._keep(), name="gateway-lease")
        self.look()  # only a renewal tells how many others there are

    async def close(self) -> None:
        """Keep the lease no longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def look(self) -> None:
        """Look now what there is to do: another gateway has said so."""
        self._is_due.set()

    def fence(self, task_id: TaskId) -> asyncio.Future[None] | None:
        """Return what must be done before an attempt of this task may be sent."""
        stored = self._keeper.fence(task_id)
        if stored is not None or self._loop.time() < self._sure_until:
            return stored
        return self._renewed

    # ---- the lease -------------------------------------------------------------------

    async def _keep(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RENEW_S):
                    await self._is_due.wait()
            self._is_due.clear()
            await self._guarded(self._step)

    async def _guarded(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except LeaseLost as error:
            await self._begin_anew(error)
        except StorageError:
            pass  # told by the store; the next turn tries again
        except Exception:  # noqa: BLE001 - the task's outermost place: without it no lease
            self._log.error("lease_broken", exc_info=True)

    async def _renew(self) -> None:
        began_at = self._loop.time()
        if self._pending is not None:
            async with self._keeper.changing_hands():
                await self._take_up(self._pending)
        renewal = await self._lease.renew()
        self._note_renewed(began_at)
        self.other_count = renewal.other_count
        for gateway_id in renewal.expired:
            self._log.warning("gateway_expired", gateway_id=gateway_id)
        for task_id in renewal.cancelled:
            self._keeper.cancel(task_id)
        if renewal.dead_count and self.is_adopting:
            await self._adopt()

    def _note_renewed(self, began_at: float) -> None:
        self._sure_until = began_at + self._lease.lease_s
        renewed, self._renewed = self._renewed, self._loop.create_future()
        if not renewed.done():
            renewed.set_result(None)

    async def _adopt(self) -> None:
        """Take over from the dead what this gateway gets of it, before the next renewal."""
        async with self._keeper.changing_hands():
            adopted = await self._lease.adopt(_ADOPT_COUNT)
            if not adopted.is_empty:
                self._pending = adopted
                await self._take_up(adopted)
                self.look()  # there may be more

    async def _take_up(self, adopted: Adopted | None) -> None:
        began_at = self._loop.time()
        found = await self._keeper.take_up(adopted)
        self._pending = None
        if not found.is_empty:
            event = "tasks_restored" if adopted is None else "tasks_adopted"
            told = msgspec.structs.asdict(found)
            self._log.info(event, **told, seconds=self._loop.time() - began_at)

    async def _begin_anew(self, error: LeaseLost) -> None:
        """Drop all, and begin another life: others have this one's tasks, or will."""
        self._log.error("lease_lost", gateway_id=self._lease.gateway_id)
        self._sure_until = 0.0
        self._renewed.cancel()
        self._lease.boot = secrets.token_hex(8)
        self._pending = None
        self._keeper.drop_all(self._lease.boot, error)
        self._step = self._begin_again
        self.look()

    async def _begin_again(self) -> None:
        began_at = self._loop.time()
        async with self._keeper.changing_hands():
            await self._lease.register()
            self._note_renewed(began_at)
            await self._take_up(None)
        self._step = self._renew
