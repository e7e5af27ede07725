"""Who calls, and what they may do and see."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from zscrape.errors import Forbidden, ScriptForbidden
from zscrape.store.tasks import TaskQuery, TaskRow

Scope: TypeAlias = Literal["run", "read", "admin"]
SCOPES: Final[tuple[Scope, ...]] = ("run", "read", "admin")
ADMIN_ID: Final = "admin"  # of the key that the home folder has, or the settings


class Client(Struct, frozen=True):
    """Whose key, token or session a call carries.

    `run` starts tasks, and follows, cancels and retries those of its own; `read` looks at
    everybody's; `admin` opens every door. `scripts` narrows all of that to some scripts.
    """

    id: str
    scopes: frozenset[str] = frozenset({"admin"})
    scripts: tuple[str, ...] = ()  # names, `*` stands for any part; empty: all
    rate_per_s: float | None = None  # calls; None: as the gateway is set
    name: str = ""  # what people call it
    until: float | None = None  # Unix time at which it is over; None: never

    @property
    def is_admin(self) -> bool:
        """True iff every door is open to it."""
        return "admin" in self.scopes

    @property
    def is_own_only(self) -> bool:
        """True iff it sees no tasks but those that it has made."""
        return not self.scopes & {"read", "admin"}

    def has_any(self, scopes: Iterable[str]) -> bool:
        """True iff it has one of these scopes."""
        return self.is_admin or not self.scopes.isdisjoint(scopes)

    def check_scopes(self, scopes: tuple[Scope, ...]) -> None:
        """Refuse what needs one of these scopes.

        Raises:
            Forbidden: It has none of them.
        """
        if not self.has_any(scopes):
            raise Forbidden(scope=scopes[0])

    def may_use(self, script_name: str) -> bool:
        """True iff it may run this script and see its tasks."""
        return not self.scripts or any(
            pattern_of(glob).fullmatch(script_name.lower()) for glob in self.scripts
        )

    def check_script(self, script_name: str) -> None:
        """Refuse a script that is none of its own.

        Raises:
            ScriptForbidden: It may not use it.
        """
        if not self.may_use(script_name):
            raise ScriptForbidden(
                scope="run", name=script_name[:80], allowed=", ".join(self.scripts)
            )

    def sees(self, row: TaskRow) -> bool:
        """True iff it may know of this task."""
        if self.is_own_only and row.client != self.id:
            return False
        return self.may_use(row.script_name)

    def within(self, query: TaskQuery) -> TaskQuery:
        """Return a query for what is asked for and may be seen."""
        if not (self.scripts or self.is_own_only):
            return query
        own = self.id if self.is_own_only else ""
        return msgspec.structs.replace(query, client=own, scripts=self.scripts)


@lru_cache(maxsize=1_024)
def pattern_of(glob: str) -> re.Pattern[str]:
    """Return what matches the names, in lower case, that `glob` stands for."""
    return re.compile(".*".join(re.escape(part) for part in glob.lower().split("*")), re.DOTALL)
