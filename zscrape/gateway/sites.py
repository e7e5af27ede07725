"""The budgets of sites over the whole cluster: who may ask which site now, and who waits.

Running scripts ask for a token before each request to a site that has a budget (`site`), and
tell how it went (`seen`). Which sites have one they learn with their first question, and again
every now and then; for all others nothing is asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import msgspec
from msgspec import Struct

from zscrape.budgets import EVERY_SITE, site_name
from zscrape.core.sitepace import SiteState
from zscrape.core.sites import bare_host, site_of, strictest
from zscrape.core.snapshots import Explanation
from zscrape.errors import StorageError
from zscrape.errors.requests import NotFound
from zscrape.gateway.asked import Asked
from zscrape.gateway.counters import LONG_S, Histogram
from zscrape.gateway.faults import field_fault
from zscrape.gateway.siteasks import ROBOTS, Seen, claims_of, decode_question, decode_seen
from zscrape.gateway.siteledger import SITE_LIMIT_COUNT, LocalLedger, SiteLedger
from zscrape.gateway.sitepost import Report, SitePost
from zscrape.gateway.siteview import SiteView, site_view
from zscrape.model import RunSpec, SiteBudget, TaskId
from zscrape.store.sites import BudgetRow, SiteBudgets
from zscrape.store.volatile import VolatileDatabase

BUDGET_LIMIT_COUNT: Final = 10_000
OPEN_LIMIT_COUNT: Final = 1_000  # requests of one attempt
_REFRESH_S: Final = 2.0
_SENT_LIMIT_COUNT: Final = 64  # with every attempt; of more, those who need them ask
_SWEEP_S: Final = 600.0
_COMPLAINTS: Final = frozenset({429, 503})


class _Held(Struct, eq=False):
    """The tokens of one attempt that are not told to be over, with their sites."""

    sites: dict[str, str] = {}


_ENCODE = msgspec.json.Encoder().encode


class Sites:
    """Knows the budgets, and lets requests go. One event loop uses it."""

    def __init__(
        self,
        *,
        budgets: SiteBudgets,
        ledger: SiteLedger,
        owner: str,
        clock: Callable[[], float] = time.time,
        is_shared: bool = False,
        is_live: Callable[[TaskId], bool] = lambda task_id: True,
        of_scripts: Mapping[str, Mapping[str, SiteBudget]] | None = None,
    ) -> None:
        self._of_scripts = (
            {} if of_scripts is None else of_scripts
        )  # from settings: above what manifests say
        self._budgets = budgets
        self._ledger = ledger
        self._owner = owner
        self._clock = clock
        self._is_shared = is_shared
        self._is_live = is_live
        self._rows: dict[str, BudgetRow] = {}
        self._active: frozenset[str] = frozenset()  # that some script or a complaint names
        self._posts: dict[str, SitePost] = {}
        self._held: dict[tuple[TaskId, int], _Held] = {}
        self._waits: dict[TaskId, tuple[str, float]] = {}  # since when (monotonic), the oldest
        self.waits = Histogram(LONG_S)  # of scripts for their tokens
        self._visit_count = 0
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the budgets, and follow what others change.

        Raises:
            StorageError: They cannot be read.
        """
        await self.load()
        loop = asyncio.get_running_loop()
        self._keeping = loop.create_task(self._keep_up(), name="sites")

    async def close(self) -> None:
        """Let nobody in any more."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        for post in list(self._posts.values()):
            await post.close()
        await self._ledger.close()

    async def load(self) -> None:
        """Read the budgets, and which sites are asked with care.

        Raises:
            StorageError: They cannot be read.
        """
        self._rows = {row.site: row for row in await self._budgets.all()}
        await self._look_around()

    async def _look_around(self) -> None:
        found = await self._ledger.recent()
        self._active = frozenset(
            site
            for site, (state, now) in found.items()
            if state.is_slowed(now) or state.claimed(now)
        )

    # ---- what scripts ask ------------------------------------------------------------

    async def answer(self, asked: Asked) -> bytes:
        """Answer `site`: let a request go once it is due, or say which sites have budgets.

        Raises:
            InvalidRequest: It is no such question.
        """
        question = decode_question(asked.body)
        named = self._named(asked.run)
        if not question.host:
            return _ENCODE({"sites": self._names(named)})
        host = site_name(question.host)
        if host is None or host == EVERY_SITE:
            raise field_fault("/host", "site_name", given=question.host[:80])
        site = self._site_of(host, named)
        claims = claims_of(asked.script_name, host, named, question.gap_s)
        if self._is_free(site, claims):
            return _ENCODE({"token": "", "site": site, "waited_s": 0.0})
        token_id = f"{asked.task_id}/{asked.attempt}/{asked.request}"
        since = time.monotonic()
        self._waits.setdefault(asked.task_id, (site, since))
        held = self._held.setdefault((asked.task_id, asked.attempt), _Held({}))
        if question.is_held:
            self._hold(held, token_id, site)
        try:
            await self._post(site).take(
                asked.task_id, token_id, claims=claims, is_held=question.is_held
            )
        except BaseException:
            held.sites.pop(token_id, None)
            raise
        finally:
            if self._waits.get(asked.task_id) == (site, since):
                del self._waits[asked.task_id]
        waited_s = round(time.monotonic() - since, 3)
        self.waits.add(waited_s)
        return _ENCODE({"token": token_id, "site": site, "waited_s": waited_s})

    def names_for(self, run: RunSpec) -> tuple[str, ...] | None:
        """Return the sites that have budgets, as `answer` tells them; None: too many to send."""
        named = self._named(run)
        # They overlap: the longest alone can tell, before a set of all is built for each Run.
        if max(len(named), len(self._rows), len(self._active)) > _SENT_LIMIT_COUNT:
            return None
        found = self._names(named)
        return tuple(found) if len(found) <= _SENT_LIMIT_COUNT else None

    def _names(self, named: Mapping[str, SiteBudget]) -> list[str]:
        return sorted({*named, *self._rows, *self._active})

    async def seen(self, asked: Asked) -> bytes:
        """Answer `seen`: take in how requests went.

        Raises:
            InvalidRequest: It is no such report.
        """
        told = decode_seen(asked.body)
        held = self._held.get((asked.task_id, asked.attempt), _Held({}))
        named = self._named(asked.run)
        own = f"{asked.task_id}/{asked.attempt}/"
        for each in told.reports:
            is_own = not each.token or each.token.startswith(own)
            if is_own:
                self._take_in(each, held, named)
        return b"{}"

    def _named(self, run: RunSpec) -> dict[str, SiteBudget]:
        """Return the budgets that a script brings along, by site."""
        return {**dict(run.sites), **self._of_scripts.get(run.pin.name, {})}

    @asynccontextmanager
    async def visit(self, host: str, run: RunSpec) -> AsyncIterator[None]:
        """Ask a site once for a script, from here, within its budget."""
        named = self._named(run)
        site = self._site_of(host, named)
        claims = claims_of(run.pin.name, host, named, None)
        if self._is_free(site, claims):
            yield
            return
        self._visit_count += 1
        token_id = f"{ROBOTS}/{self._owner}/{self._visit_count}"
        try:
            await self._post(site).take(ROBOTS, token_id, claims=claims, is_held=True)
            yield
        finally:
            self._post(site).hear(Report("over", token_id))

    def over(self, task_id: TaskId, attempt: int) -> None:
        """Hear that an attempt is over: with it, all of its requests."""
        held = self._held.pop((task_id, attempt), None)
        for token_id, site in (held.sites if held is not None else {}).items():
            post = self._posts.get(site)
            if post is not None:
                post.hear(Report("over", token_id))

    @property
    def waiting_count(self) -> int:
        """How many tasks wait for a site now."""
        return len(self._waits)

    def explain(self, task_id: TaskId) -> Explanation | None:
        """Say which site a running task waits for, if it does."""
        found = self._waits.get(task_id)
        post = self._posts.get(found[0]) if found is not None else None
        if found is None or post is None or task_id not in post.line.tasks:
            return None
        fields: dict[str, str | int | float] = {
            "site": found[0],
            "waited_s": round(time.monotonic() - found[1], 1),
            "ahead_count": post.line.tasks.index(task_id),
        }
        return Explanation("site_wait", fields)

    # ---- what operators ask ----------------------------------------------------------

    async def views(self) -> list[SiteView]:
        """Return every site that has a budget or was asked of late, by name.

        Raises:
            StorageError: They cannot be read.
        """
        await self.load()
        states = await self._ledger.recent()
        return [self._view(site, states.get(site)) for site in sorted({*self._rows, *states})]

    async def view(self, given: str) -> SiteView:
        """Return one site.

        Raises:
            NotFound: It has no budget, and was not asked of late.
            StorageError: It cannot be read.
        """
        name = site_name(given)
        for found in await self.views():
            if found.site == name:
                return found
        raise NotFound(kind="site", name=given[:80])

    async def put(self, given: str, budget: SiteBudget, *, by: str) -> SiteView:
        """Set the budget of a site; from now on no manifest has a say in it.

        Raises:
            FieldFault: It is no site, or there are too many.
            StorageError: It cannot be kept; what was there still is.
        """
        site = site_name(given)
        if site is None:
            raise field_fault("/site", "site_name", given=given[:80])
        if site not in self._rows and len(self._rows) >= BUDGET_LIMIT_COUNT:
            raise field_fault("/site", "site_count", limit=BUDGET_LIMIT_COUNT)
        row = BudgetRow(site, budget, self._clock(), by)
        await self._budgets.put(row)
        self._rows[site] = row
        self._look()
        return await self.view(site)

    async def remove(self, given: str) -> None:
        """Forget the budget of a site; manifests have their say again.

        Raises:
            NotFound: There is none.
            StorageError: It cannot be written; it is still there.
        """
        site = site_name(given) or ""
        if not await self._budgets.drop(site):
            raise NotFound(kind="site", name=given[:80])
        self._rows.pop(site, None)
        self._look()

    # ---- inside ----------------------------------------------------------------------

    def _site_of(self, host: str, named: Mapping[str, SiteBudget]) -> str:
        names = {*named, *self._rows, *self._active}
        return site_of(host, names) or bare_host(host)

    def _is_free(self, site: str, claims: Mapping[str, SiteBudget]) -> bool:
        """True iff nobody asks for care with a site, and it has not complained."""
        return not (claims or self._rows.keys() & {site, EVERY_SITE} or site in self._active)

    def _hold(self, held: _Held, token_id: str, site: str) -> None:
        """Note an open request; of an attempt that never ends any, the oldest is over."""
        held.sites[token_id] = site
        if len(held.sites) > OPEN_LIMIT_COUNT:
            oldest = next(iter(held.sites))
            self._post(held.sites.pop(oldest)).hear(Report("over", oldest))

    def _budget_of(self, site: str, claimed: Sequence[SiteBudget]) -> SiteBudget:
        """Return what holds for a site: what an operator says, else the strictest wish."""
        row = self._rows.get(site)
        if row is not None:
            return row.budget
        default = self._rows.get(EVERY_SITE)
        wished = [*claimed, *([default.budget] if default is not None else [])]
        return strictest(wished) or SiteBudget()

    def _post(self, site: str) -> SitePost:
        post = self._posts.get(site)
        if post is None:
            post = self._posts[site] = SitePost(
                site,
                owner=self._owner,
                ledger=self._ledger,
                budget_of=lambda claimed: self._budget_of(site, claimed),
                on_idle=lambda: self._posts.pop(site, None),
            )
        return post

    def _look(self) -> None:
        for post in self._posts.values():
            post.look()

    def _take_in(self, seen: Seen, held: _Held, named: Mapping[str, SiteBudget]) -> None:
        site = held.sites.get(seen.token)
        if site is None:  # one to a site without a budget, or by hand
            host = site_name(seen.host)
            if host is None:
                return
            site = self._site_of(host, named)
        has_complaint = seen.status in _COMPLAINTS or seen.retry_after_s is not None
        if not (seen.token or has_complaint):
            return
        if len(self._posts) >= SITE_LIMIT_COUNT and site not in self._posts:
            return
        post = self._post(site)
        if has_complaint and seen.event == "over":
            self._active |= {site}
            post.hear(Report("complaint", seen.token, seen.status, seen.retry_after_s))
        if seen.token:
            post.hear(Report(seen.event, seen.token))
        if seen.event == "over":
            held.sites.pop(seen.token, None)

    def _view(self, site: str, found: tuple[SiteState, float] | None) -> SiteView:
        state, now = found or (SiteState(), 0.0)
        row = self._rows.get(site)
        budget = self._budget_of(site, state.claimed(now))
        return site_view(site, state, now, budget=budget, row=row)

    async def _keep_up(self) -> None:
        swept_at = time.monotonic()
        while True:
            await asyncio.sleep(_REFRESH_S)
            for task_id, attempt in list(self._held):
                if not self._is_live(task_id):  # such as a gateway that has lost its lease
                    self.over(task_id, attempt)
            with suppress(StorageError):  # the next look tries again
                await (self.load() if self._is_shared else self._look_around())
                if time.monotonic() - swept_at > _SWEEP_S:
                    swept_at = time.monotonic()
                    await self._ledger.sweep()


def local_sites() -> Sites:
    """Return sites that are kept nowhere: for gateways of tests and of one task."""
    budgets = SiteBudgets(VolatileDatabase(("site_budgets",)))
    return Sites(budgets=budgets, ledger=LocalLedger(), owner="local")
