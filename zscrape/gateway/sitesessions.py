"""The vault of sessions: cookies by site and account, lent to one attempt or to several.

A lease ends with its attempt, however that ends: by the script's own return, by what this
gateway hears of the attempt, or, where nobody heard it, when the next one wants the session
and finds that the holder is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from fnmatch import fnmatchcase
from typing import Any, Final, Protocol

import msgspec
from msgspec.structs import replace

from zscrape.errors import StorageError
from zscrape.errors.requests import NotFound
from zscrape.errors.scripts import SessionDenied
from zscrape.gateway.asked import Asked
from zscrape.gateway.faults import field_fault
from zscrape.gateway.sealing import Sealer
from zscrape.gateway.sessionbody import (
    Cookie,
    SessionQuestion,
    SessionRequest,
    check_place,
    decode_cookies,
    decode_question,
    encode_cookies,
)
from zscrape.model import TaskId, TaskState
from zscrape.store.sitesessions import LeaseRow, SessionRow, SiteSessionStore
from zscrape.store.tasks import TaskRow

SESSION_LIMIT_COUNT: Final = 10_000
_LOOK_S: Final = 1.0  # at sessions that another gateway lends
_UNKNOWN_S: Final = 86_400.0  # no attempt runs longer
_encode = msgspec.json.Encoder().encode
Finder = Callable[[TaskId], Awaitable[TaskRow | None]]


class Sealing(Protocol):
    """Who has the key that cookies are sealed with."""

    async def sealer(self) -> Sealer:
        """Return what seals and opens."""
        ...


class SiteSessions:
    """The sessions of one cluster. One event loop uses it."""

    def __init__(
        self,
        store: SiteSessionStore,
        sealing: Sealing,
        *,
        find: Finder,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._sealing = sealing
        self._find = find
        self._clock = clock
        self._freed = asyncio.Event()  # set and replaced with every lease that ends here
        self._freeing: set[asyncio.Task[None]] = set()

    # ---- for people ------------------------------------------------------------------

    async def all(self) -> list[tuple[SessionRow, list[LeaseRow]]]:
        """Return every session, and who has it.

        Raises:
            StorageError: They cannot be read.
        """
        leases = await self._store.leases()
        return [
            (row, [each for each in leases if (each.site, each.account) == (row.site, row.account)])
            for row in await self._store.all()
        ]

    async def get(self, site: str, account: str) -> tuple[SessionRow, list[LeaseRow]]:
        """Return one session, and who has it.

        Raises:
            NotFound: There is none.
            StorageError: It cannot be read.
        """
        for row, leases in await self.all():
            if (row.site, row.account) == (site, account):
                return row, leases
        raise _unknown(site, account)

    async def put(self, site: str, account: str, asked: SessionRequest) -> SessionRow:
        """Keep a session; what is not given stays as it is.

        Raises:
            FieldFault: The names cannot be, or there is no session and no cookies.
            StorageError: It cannot be kept.
            SettingError, SecretsSealed, OSError: The key's file cannot be used.
        """
        check_place(site, account)
        now = self._clock()
        row = await self._store.get(site, account)
        if row is None:
            if asked.cookies is None:
                raise field_fault("/cookies", "session_new")
            if len(await self._store.all()) >= SESSION_LIMIT_COUNT:
                raise field_fault("/site", "session_count", limit=SESSION_LIMIT_COUNT)
            row = SessionRow(site=site, account=account, created_at=now)
        if asked.cookies is not None:
            row = await self._with_cookies(row, asked.cookies)
        if asked.scripts is not None:
            row = replace(row, scripts=asked.scripts)
        if asked.max_age_s is not None:
            row = replace(row, expires_at=now + asked.max_age_s)
        row = replace(row, updated_at=now)
        await self._store.put(row)
        return row

    async def remove(self, site: str, account: str) -> None:
        """Forget a session.

        Raises:
            NotFound: There is none.
            StorageError: It cannot be written.
        """
        if not await self._store.remove(site, account):
            raise _unknown(site, account)
        self._ring()

    # ---- for running scripts ---------------------------------------------------------

    async def answer(self, asked: Asked) -> bytes:
        """Answer a running script: lend it a session, or take one back.

        Raises:
            InvalidRequest: It asks for what cannot be.
            SessionDenied: The session is not granted to it.
            SecretsSealed: No key opens the cookies.
            StorageError: The store does not answer now.
        """
        question = decode_question(asked.body)
        if question.op == "return":
            return _encode({"kept": await self._take_back(asked, question)})
        return _encode(await self._lend(asked, question))

    def over(self, task_id: TaskId, attempt: int) -> None:
        """Hear that an attempt is over: its leases end."""
        task = asyncio.get_running_loop().create_task(self._free(task_id, attempt))
        self._freeing.add(task)
        task.add_done_callback(self._freeing.discard)

    async def sweep(self) -> None:
        """End the leases of attempts whose end nobody heard.

        Raises:
            StorageError: The store does not answer now.
        """
        for lease in await self._store.leases():
            await self._free_if_over(lease)

    async def close(self) -> None:
        """Wait for what is being freed."""
        await asyncio.gather(*self._freeing)

    async def _lend(self, asked: Asked, question: SessionQuestion) -> dict[str, Any]:
        site, account = question.site, question.account
        while True:
            freed = self._freed
            row = await self._store.get(site, account)
            if row is not None and not _is_granted(row, asked.script_name):
                raise SessionDenied(site=site, account=account, script_name=asked.script_name)
            wanted = LeaseRow(
                site=site,
                account=account,
                task_id=asked.task_id,
                attempt=asked.attempt,
                is_exclusive=not question.shared,
                granted_at=self._clock(),
            )
            holders = await self._store.lease(wanted, (asked.script_name,))
            if not holders:
                return await self._lent(site, account)
            if any([await self._free_if_over(each) for each in holders]):
                continue
            try:
                async with asyncio.timeout(_LOOK_S):
                    await freed.wait()
            except TimeoutError:
                continue

    async def _lent(self, site: str, account: str) -> dict[str, Any]:
        row = await self._store.get(site, account)
        now = self._clock()
        if row is None or row.status == "new":
            return {"status": "new", "cookies": []}
        if row.status == "bad":
            return {"status": "bad", "cookies": []}
        cookies = [
            each
            for each in await self._open(row)
            if each.expires is None or each.expires <= 0 or each.expires > now
        ]
        if not cookies or (row.expires_at is not None and row.expires_at <= now):
            return {"status": "expired", "cookies": []}
        return {"status": "good", "cookies": cookies}

    async def _take_back(self, asked: Asked, question: SessionQuestion) -> bool:
        row = await self._store.get(question.site, question.account)
        if row is None:  # two gateways may cross when one makes a session and one sweeps
            row = SessionRow(
                site=question.site,
                account=question.account,
                scripts=(asked.script_name,),
                created_at=self._clock(),
            )
        changed = await self._changed(row, question)
        attempt = (asked.task_id, asked.attempt)
        kept = await self._store.give_back(question.site, question.account, attempt, changed)
        if changed is None:  # nothing came of it: leave no empty session behind
            await self._store.free(*attempt)
        self._ring()
        return kept

    async def _changed(self, row: SessionRow, question: SessionQuestion) -> SessionRow | None:
        now = self._clock()
        if question.bad and row.status != "new":
            return replace(
                row,
                status="bad",
                reason=question.bad,
                bad_count=row.bad_count + 1,
                updated_at=now,
            )
        if not question.cookies:
            return None
        row = replace(await self._with_cookies(row, question.cookies), updated_at=now)
        if question.max_age_s is not None:
            row = replace(row, expires_at=now + question.max_age_s)
        return row

    async def _with_cookies(self, row: SessionRow, cookies: tuple[Cookie, ...]) -> SessionRow:
        sealer = await self._sealing.sealer()
        value = encode_cookies(cookies).decode()
        return replace(
            row,
            sealed=sealer.seal(_label(row), value),
            key_id=sealer.key_id,
            cookie_count=len(cookies),
            status="good",
            reason="",
            revision=row.revision + 1,
        )

    async def _open(self, row: SessionRow) -> tuple[Cookie, ...]:
        sealer = await self._sealing.sealer()
        return decode_cookies(sealer.open(_label(row), row.sealed))

    async def _free_if_over(self, lease: LeaseRow) -> bool:
        row = await self._find(lease.task_id)
        if row is None:  # a call is kept only once it has ended, and other gateways have some
            is_over = lease.granted_at < self._clock() - _UNKNOWN_S
        else:
            is_queued = row.status is TaskState.QUEUED
            is_over = row.status.is_final or row.attempts > lease.attempt or is_queued
        if is_over:
            await self._store.free(lease.task_id, lease.attempt)
            self._ring()
        return is_over

    async def _free(self, task_id: TaskId, attempt: int) -> None:
        try:
            freed_count = await self._store.free(task_id, attempt)
        except StorageError:  # told by the store; who wants the session finds its holder over
            return
        if freed_count:
            self._ring()

    def _ring(self) -> None:
        self._freed.set()
        self._freed = asyncio.Event()


def _is_granted(row: SessionRow, script_name: str) -> bool:
    return any(fnmatchcase(script_name, each) for each in row.scripts)


def _label(row: SessionRow) -> str:
    """Return what goes into the seal: no secret is called so."""
    return f"session\0{row.site}\0{row.account}"


def _unknown(site: str, account: str) -> NotFound:
    return NotFound(kind="session", name=f"{site}/{account}"[:80])
