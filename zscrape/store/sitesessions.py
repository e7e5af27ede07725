"""Sessions with sites as they are kept: sealed cookies, and who has them now.

A lease is a row. Whoever wants one locks the session's row first, so that of several gateways
at once one decides after the other; a session that is not there yet has a row without cookies.
"""

from __future__ import annotations

import sqlite3
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from zscrape.store.volatile import Tables

SessionStatus: TypeAlias = Literal["new", "good", "bad"]
_NAMES: Final = (
    *("site", "account", "sealed", "key_id", "scripts", "status", "reason", "cookie_count"),
    *("use_count", "bad_count", "revision", "created_at", "updated_at", "used_at", "expires_at"),
)
_COLUMNS: Final = ", ".join(_NAMES)
_SELECT: Final = f"SELECT {_COLUMNS} FROM site_sessions"  # noqa: S608 - constants
_INSERT: Final = (
    f"INSERT INTO site_sessions ({_COLUMNS})"  # noqa: S608 - constants
    f" VALUES ({', '.join('?' * len(_NAMES))}) ON CONFLICT (site, account)"
)
_CHANGES: Final = ", ".join(f"{name} = excluded.{name}" for name in _NAMES[2:])
_SELECT_LEASES: Final = (
    "SELECT site, account, task_id, attempt, is_exclusive, granted_at FROM session_leases"
)
_THIS: Final = " WHERE site = ? AND account = ?"
_read_scripts = msgspec.json.Decoder(tuple[str, ...]).decode


class SessionRow(Struct, frozen=True, kw_only=True):
    """One session of one account. `scripts` are names or patterns."""

    site: str
    account: str
    sealed: bytes = b""
    key_id: str = ""
    scripts: tuple[str, ...] = ()
    status: SessionStatus = "new"
    reason: str = ""  # why it is bad
    cookie_count: int = 0
    use_count: int = 0
    bad_count: int = 0
    revision: int = 0
    created_at: float = 0.0
    updated_at: float = 0.0
    used_at: float | None = None
    expires_at: float | None = None


class LeaseRow(Struct, frozen=True, kw_only=True):
    """An attempt that has a session."""

    site: str
    account: str
    task_id: str
    attempt: int
    is_exclusive: bool
    granted_at: float


class SiteSessionStore:
    """All sessions and leases in a database."""

    def __init__(self, database: Tables) -> None:
        self._database = database

    async def all(self) -> list[SessionRow]:
        """Return every session, by site and account.

        Raises:
            StorageError: They cannot be read.
        """

        def look(reader: sqlite3.Connection) -> list[SessionRow]:
            return [_row(each) for each in reader.execute(f"{_SELECT} ORDER BY site, account")]

        return await self._database.read(look)

    async def get(self, site: str, account: str) -> SessionRow | None:
        """Return one session.

        Raises:
            StorageError: It cannot be read.
        """
        return await self._database.read(lambda reader: _find(reader, site, account))

    async def put(self, row: SessionRow) -> None:
        """Keep a session, over the one of its site and account.

        Raises:
            StorageError: It cannot be written.
        """

        def work(writer: sqlite3.Connection) -> None:
            writer.execute(f"{_INSERT} DO UPDATE SET {_CHANGES}", _values(row))

        await self._database.write(work)

    async def remove(self, site: str, account: str) -> bool:
        """Forget a session, also one that is leased; False when there is none.

        Raises:
            StorageError: It cannot be written.
        """
        told: list[bool] = []

        def work(writer: sqlite3.Connection) -> None:
            writer.execute(f"DELETE FROM session_leases{_THIS}", (site, account))  # noqa: S608 - constants
            found = writer.execute(f"DELETE FROM site_sessions{_THIS}", (site, account))  # noqa: S608 - constants
            told.append(found.rowcount > 0)

        await self._database.write(work)
        return told[-1]

    async def leases(self) -> list[LeaseRow]:
        """Return every lease.

        Raises:
            StorageError: They cannot be read.
        """

        def look(reader: sqlite3.Connection) -> list[LeaseRow]:
            return _leases(reader, "", ())

        return await self._database.read(look)

    async def lease(self, wanted: LeaseRow, scripts: tuple[str, ...]) -> list[LeaseRow]:
        """Lease a session; return who is in the way, nobody when it is granted.

        Args:
            wanted: The lease; granted before, it is granted again.
            scripts: Who may have the session if it is not there yet.

        Raises:
            StorageError: It cannot be written.
        """
        told: list[list[LeaseRow]] = []

        def work(writer: sqlite3.Connection) -> None:
            told.append(_lease(writer, wanted, scripts))

        await self._database.write(work)
        return told[-1]

    async def give_back(
        self, site: str, account: str, attempt: tuple[str, int], changed: SessionRow | None
    ) -> bool:
        """End a lease, with the session as it is now; False when there was no such lease.

        Raises:
            StorageError: It cannot be written.
        """
        told: list[bool] = []

        def work(writer: sqlite3.Connection) -> None:
            freed = writer.execute(
                f"DELETE FROM session_leases{_THIS} AND task_id = ? AND attempt = ?",  # noqa: S608 - constants
                (site, account, *attempt),
            )
            if freed.rowcount and changed is not None:
                writer.execute(f"{_INSERT} DO UPDATE SET {_CHANGES}", _values(changed))
            told.append(freed.rowcount > 0)

        await self._database.write(work)
        return told[-1]

    async def free(self, task_id: str, attempt: int) -> int:
        """End all leases of a task up to an attempt; return how many.

        Raises:
            StorageError: It cannot be written.
        """
        told: list[int] = []

        def work(writer: sqlite3.Connection) -> None:
            query = "DELETE FROM session_leases WHERE task_id = ? AND attempt <= ?"
            told.append(writer.execute(query, (task_id, attempt)).rowcount)
            # A session that never came to have cookies leaves nothing behind.
            writer.execute(
                "DELETE FROM site_sessions WHERE status = 'new' AND NOT EXISTS (SELECT 1 FROM"
                " session_leases WHERE session_leases.site = site_sessions.site"
                " AND session_leases.account = site_sessions.account)"
            )

        await self._database.write(work)
        return told[-1]


def _lease(
    writer: sqlite3.Connection, wanted: LeaseRow, scripts: tuple[str, ...]
) -> list[LeaseRow]:
    this = (wanted.site, wanted.account)
    now = wanted.granted_at
    made = SessionRow(
        site=wanted.site, account=wanted.account, scripts=scripts, created_at=now, updated_at=now
    )
    writer.execute(f"{_INSERT} DO NOTHING", _values(made))
    alone = getattr(writer, "for_update", "")  # where transactions are not alone by themselves
    writer.execute(f"SELECT site FROM site_sessions{_THIS}{alone}", this).fetchone()  # noqa: S608 - constants
    others = []
    for each in _leases(writer, _THIS, this):
        if (each.task_id, each.attempt) == (wanted.task_id, wanted.attempt):
            return []
        if each.is_exclusive or wanted.is_exclusive:
            others.append(each)
    if not others:
        writer.execute(
            "INSERT INTO session_leases (site, account, task_id, attempt, is_exclusive, granted_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (*this, wanted.task_id, wanted.attempt, wanted.is_exclusive, now),
        )
        writer.execute(
            f"UPDATE site_sessions SET use_count = use_count + 1, used_at = ?{_THIS}",  # noqa: S608 - constants
            (now, *this),
        )
    return others


def _leases(reader: sqlite3.Connection, where: str, values: tuple[str, ...]) -> list[LeaseRow]:
    found = reader.execute(f"{_SELECT_LEASES}{where} ORDER BY granted_at", values)
    return [
        LeaseRow(
            site=site,
            account=account,
            task_id=task_id,
            attempt=attempt,
            is_exclusive=bool(is_exclusive),
            granted_at=granted_at,
        )
        for site, account, task_id, attempt, is_exclusive, granted_at in found
    ]


def _find(reader: sqlite3.Connection, site: str, account: str) -> SessionRow | None:
    found = reader.execute(_SELECT + _THIS, (site, account)).fetchone()
    return None if found is None else _row(found)


def _row(found: tuple[object, ...]) -> SessionRow:
    told = dict(zip(_NAMES, found, strict=True))
    told["sealed"] = bytes(told["sealed"])  # type: ignore[call-overload] # a column of bytes
    told["scripts"] = _read_scripts(str(told["scripts"]))
    return SessionRow(**told)  # type: ignore[arg-type] # columns have the fields' types


def _values(row: SessionRow) -> tuple[object, ...]:
    told = msgspec.structs.asdict(row)
    told["scripts"] = msgspec.json.encode(row.scripts).decode()
    return tuple(told[name] for name in _NAMES)
