"""The post before one site: who waits there, and what is told of the requests that were let in.

All that has happened since is brought before the ledger in one turn, so that a crowd costs no
more than a few: what was heard of requests, who waits, and who may go now. In between the post
waits for news, or for the moment when the next token is due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from zscrape.core.siteline import SiteLine
from zscrape.core.sitepace import SiteState, Token
from zscrape.errors import StorageError
from zscrape.gateway.siteledger import SiteLedger
from zscrape.model import SiteBudget, TaskId

_RENEW_S: Final = 10.0  # well within `sitepace.HELD_S`
_AGAIN_S: Final = 1.0  # after the database did not answer
_SOON_S: Final = 0.001

BudgetOf: TypeAlias = Callable[[Sequence[SiteBudget]], SiteBudget]


class Report(Struct, frozen=True):
    """What is told of a request: it is on its way, it is over, or how the site took it."""

    event: Literal["used", "over", "complaint"]
    token_id: str = ""
    status: int = 0
    retry_after_s: float | None = None


class _Orders(Struct, frozen=True):
    """What one turn brings before the ledger."""

    reports: tuple[Report, ...]
    claims: tuple[tuple[str, SiteBudget], ...]
    held: frozenset[str]  # tokens that are open here, or waited for
    momentary: frozenset[str]  # of those that are waited for: tokens that nobody gives back
    line: SiteLine


class _Turned(Struct, frozen=True):
    """What came of a turn; `due_s` is infinite iff nobody waits."""

    given: tuple[tuple[TaskId, str], ...]
    due_s: float


class SitePost:
    """Lets requests to one site go, as the budget has it. One event loop uses it.

    `budget_of` gives the budget from what is claimed; `on_idle` is called when nothing is left
    to do, and the post may be forgotten.
    """

    def __init__(
        self,
        site: str,
        *,
        owner: str,
        ledger: SiteLedger,
        budget_of: BudgetOf,
        on_idle: Callable[[], object],
    ) -> None:
        self.site = site
        self.line = SiteLine()
        self._owner = owner
        self._ledger = ledger
        self._budget_of = budget_of
        self._on_idle = on_idle
        self._waiters: dict[str, asyncio.Future[None]] = {}
        self._momentary: set[str] = set()
        self._open: set[str] = set()
        self._reports: list[Report] = []
        self._claims: dict[str, SiteBudget] = {}
        self._has_news = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def take(
        self,
        task_id: TaskId,
        token_id: str,
        *,
        claims: dict[str, SiteBudget],
        is_held: bool,
    ) -> None:
        """Wait for a token. One that `is_held` is open until it is told to be over."""
        self._claims.update(claims)
        waiter = self._waiters[token_id] = asyncio.get_running_loop().create_future()
        if not is_held:
            self._momentary.add(token_id)
        self.line.join(task_id, token_id)
        self.look()
        try:
            await waiter
        except asyncio.CancelledError:
            self.hear(Report("over", token_id))  # it may have been given meanwhile
            raise
        finally:
            self.line.leave(task_id, token_id)
            self._waiters.pop(token_id, None)
            self._momentary.discard(token_id)

    def hear(self, report: Report) -> None:
        """Take in what is told of a request."""
        if report.event == "over":
            self._open.discard(report.token_id)
        self._reports.append(report)
        self.look()

    def look(self) -> None:
        """Look now: something may have changed."""
        self._has_news.set()
        if self._running is None:
            loop = asyncio.get_running_loop()
            self._running = loop.create_task(self._run(), name=f"site {self.site}")

    async def close(self) -> None:
        """Let nobody in any more."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    # ---- turns -----------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while self._reports or self._claims or self._open or len(self.line):
                await self._pause(await self._turn())
        except Exception as error:  # noqa: BLE001 - the task's outermost place: who waits is told
            for waiter in self._waiters.values():
                if not waiter.done():
                    waiter.set_exception(error)
        finally:
            self._running = None
            self._on_idle()

    async def _turn(self) -> float:
        """Bring before the ledger what has happened; return how long nothing more is due."""
        orders = _Orders(
            tuple(self._reports),
            tuple(self._claims.items()),
            frozenset(self._open | self._waiters.keys()),
            frozenset(self._momentary),
            self.line.copy(),
        )
        self._has_news.clear()
        try:
            turned = await self._ledger.change(
                self.site, lambda state, now: self._decide(state, now, orders)
            )
        except StorageError:
            return _AGAIN_S  # told where the tasks are kept; scripts wait meanwhile
        del self._reports[: len(orders.reports)]
        for name, budget in orders.claims:
            if self._claims.get(name) is budget:
                del self._claims[name]
        for task_id, token_id in turned.given:
            self._give(task_id, token_id, is_held=token_id not in orders.momentary)
        return turned.due_s

    def _decide(self, state: SiteState, now: float, orders: _Orders) -> _Turned:
        """Change a site's state; in the thread of a database, and maybe more than once."""
        for name, claim in orders.claims:
            state.claim(name, claim, now)
        for report in orders.reports:
            _apply(state, report, now)
        state.renew(self._owner, orders.held, now)
        budget = self._budget_of(state.claimed(now))
        line, given = orders.line.copy(), []
        while (first := line.first()) is not None:
            is_open = first[1] not in orders.momentary
            if not state.take(Token(first[1], self._owner, now, None, is_open), budget):
                break
            line.serve(*first)
            given.append(first)
        state.wait(self._owner, len(line), now)
        return _Turned(tuple(given), state.due_at(budget, now) - now if len(line) else inf)

    def _give(self, task_id: TaskId, token_id: str, *, is_held: bool) -> None:
        self.line.serve(task_id, token_id)
        waiter = self._waiters.get(token_id)
        if waiter is None or waiter.done():
            self._reports.append(Report("over", token_id))  # nobody waits for it any more
            self._has_news.set()
            return
        if is_held:
            self._open.add(token_id)
        waiter.set_result(None)

    async def _pause(self, due_s: float) -> None:
        limit_s = self._ledger.look_s if len(self.line) else _RENEW_S
        if due_s == inf and not (self._open or self._reports):
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(max(_SOON_S, min(due_s, limit_s, _RENEW_S))):
                await self._has_news.wait()


def _apply(state: SiteState, report: Report, now: float) -> None:
    match report.event:
        case "used":
            state.used(report.token_id, now)
        case "over":
            state.close(report.token_id, now)
        case "complaint":
            state.complain(
                report.status, now, token_id=report.token_id, retry_after_s=report.retry_after_s
            )
