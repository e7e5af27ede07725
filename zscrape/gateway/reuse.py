"""`max_age`: an earlier answer to the same question instead of another run.

What counts as the same: the bytes that run (the digest that the version resolved to) and the
parameters, in any order. Calls that come while such a task is on its way wait for that one;
this is known to this gateway alone, a finished answer to all that share the database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from zscrape.gateway.envelope import ReusedView
from zscrape.gateway.intake import Prepared
from zscrape.model import TaskId
from zscrape.store.records import result_key
from zscrape.store.tasks import TaskRow, TaskStore

_SPARE_COUNT: Final = 64  # flights that have ended, before they are swept


def reused_view(prepared: Prepared, row: TaskRow, now: float) -> ReusedView | None:
    """Return what is told when `row` serves in place of the task asked for; None if it is that."""
    if prepared.max_age_s is None or row.id == prepared.row.id:
        return None
    age_s = 0.0 if row.finished_at is None else max(0.0, now - row.finished_at)
    return ReusedView(request_id=row.id, age=round(age_s, 3))


class Reuse:
    """Finds the task that will do for a request with a `max_age`."""

    def __init__(
        self,
        store: TaskStore,
        live: Callable[[TaskId], TaskRow | None],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._live = live
        self._clock = clock
        self._flights: dict[bytes, TaskId] = {}  # the newest task that was asked with a `max_age`

    async def earlier(self, prepared: Prepared) -> TaskRow:
        """Return an earlier task that will do, else the new one.

        Whoever wants to be told by a webhook is told of a run of its own.
        """
        row = prepared.row
        if prepared.max_age_s is None or row.webhook_url:
            return row
        since = self._clock() - prepared.max_age_s
        client = row.client if prepared.is_own_only else ""
        found = await self._store.find_result(
            row.digest, row.parameters, since=since, client=client
        )
        if found is not None and found.script_name == row.script_name:
            return found
        return self._on_its_way(prepared) or row

    def note(self, prepared: Prepared) -> None:
        """Let others wait for this task, which was asked with a `max_age` and has been queued."""
        if len(self._flights) >= _SPARE_COUNT:
            self._flights = {
                key: task_id
                for key, task_id in self._flights.items()
                if self._live(task_id) is not None
            }
        self._flights[_key(prepared.row)] = prepared.row.id

    def _on_its_way(self, prepared: Prepared) -> TaskRow | None:
        """Return a task that has not ended and whose end will do for this request too."""
        if not prepared.max_age_s:  # 0 asks for a run of its own
            return None
        row = prepared.row
        found = self._live(self._flights.get(_key(row), ""))
        if (
            found is None
            or found.script_name != row.script_name
            or found.timeout_s != row.timeout_s  # else it might end by another's clock
            or (prepared.is_own_only and found.client != row.client)
            or (row.is_durable and not found.is_durable)  # that may go with its client
        ):
            return None
        return found


def _key(row: TaskRow) -> bytes:
    return result_key(row.digest, row.parameters)
