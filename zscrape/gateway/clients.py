"""Who calls, and what they may do and see."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from zscrape.errors.requests import Forbidden, GroupForbidden, ScriptForbidden
from zscrape.gateway.requests import TaskRequest
from zscrape.store.tasks import TaskQuery, TaskRow, group_of

Scope: TypeAlias = Literal["run", "read", "admin"]
SCOPES: Final[tuple[Scope, ...]] = ("run", "read", "admin")
ADMIN_ID: Final = "admin"  # of the key that the home folder has, or the settings


Asked = TypeVar("Asked", bound=TaskRequest)


class Client(Struct, frozen=True):
    """Whose key, token or session a call carries.

    `run` starts tasks, and follows, cancels and retries those of its own; `read` looks at
    everybody's; `admin` opens every door. `scripts` and `groups` narrow all of that to some
    scripts, and to tasks of some groups.
    """

    id: str
    scopes: frozenset[str] = frozenset({"admin"})
    scripts: tuple[str, ...] = ()  # names, `*` stands for any part; empty: all
    groups: tuple[str, ...] = ()  # of `metadata.group` of tasks, in full; empty: any and none
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

    @property
    def is_narrowed(self) -> bool:
        """True iff what is told of others may be none of its business."""
        return bool(self.scripts or self.groups) or self.is_own_only

    @property
    def reuses_own_only(self) -> bool:
        """True iff no earlier answer to another client may be given to it."""
        return self.is_own_only or bool(self.groups)

    def has_any(self, scopes: Iterable[str]) -> bool:
        """True iff it has one of these scopes."""
        return "admin" in self.scopes or not self.scopes.isdisjoint(scopes)

    def check_scopes(self, scopes: tuple[Scope, ...]) -> None:
        """Refuse what needs one of these scopes.

        Raises:
            Forbidden: It has none of them.
        """
        if "admin" not in self.scopes and not self.has_any(scopes):
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
        if self.scripts and not self.may_use(script_name):
            raise ScriptForbidden(
                scope="run", name=script_name[:80], allowed=", ".join(self.scripts)
            )

    def may_see_group(self, metadata: Mapping[str, Any] | None) -> bool:
        """True iff it may see tasks with this metadata."""
        return not self.groups or group_of(metadata) in self.groups

    def grouped(self, asked: Asked) -> Asked:
        """Return the request of a task; of one that says no group the key's only one is told.

        Raises:
            GroupForbidden: It is of a group that is none of this key's.
        """
        if not self.groups:
            return asked
        metadata = asked.metadata or {}
        if self.may_see_group(metadata):
            return asked
        if len(self.groups) > 1 or "group" in metadata:
            allowed = ", ".join(self.groups)
            raise GroupForbidden(scope="run", name=group_of(metadata)[:80], allowed=allowed)
        metadata = {**metadata, "group": self.groups[0]}
        return msgspec.structs.replace(asked, metadata=metadata)

    def narrowed(self, asked: Asked) -> Asked:
        """Return the request of a task as this client may make it.

        Raises:
            ScriptForbidden: The script is none of its own.
            GroupForbidden: The group is none of its own.
        """
        if self.scripts:
            self.check_script(asked.script_name)
        return self.grouped(asked) if self.groups else asked

    def check_shared(self, script_name: str) -> None:
        """Refuse what a script keeps for all of its groups to a key of some of them.

        Raises:
            ScriptForbidden: The script is none of this key's.
            GroupForbidden: The key is for some groups only.
        """
        self.check_script(script_name)
        if self.groups:
            name, allowed = script_name[:80], ", ".join(self.groups)
            raise GroupForbidden(scope="read", name=name, allowed=allowed, is_shared=True)

    def sees(self, row: TaskRow) -> bool:
        """True iff it may know of this task."""
        if self.is_own_only and row.client != self.id:
            return False
        return self.may_use(row.script_name) and self.may_see_group(row.metadata)

    def within(self, query: TaskQuery) -> TaskQuery:
        """Return a query for what is asked for and may be seen."""
        if not self.is_narrowed:
            return query
        own = self.id if self.is_own_only else ""
        return msgspec.structs.replace(query, client=own, scripts=self.scripts, groups=self.groups)


@lru_cache(maxsize=1_024)
def pattern_of(glob: str) -> re.Pattern[str]:
    """Return what matches the names, in lower case, that `glob` stands for."""
    return re.compile(".*".join(re.escape(part) for part in glob.lower().split("*")), re.DOTALL)
