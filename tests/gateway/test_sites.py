"""Budgets of sites at a gateway: who goes when, and what is left once attempts are over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from zscrape.errors.requests import InvalidRequest
from zscrape.gateway import sites
from zscrape.gateway.asked import Asked
from zscrape.gateway.siteledger import LocalLedger
from zscrape.gateway.sites import Sites
from zscrape.model import Pin, RunSpec, SiteBudget
from zscrape.store.sites import SiteBudgets
from zscrape.store.volatile import VolatileDatabase

LIMIT_S = 20.0
ONE = SiteBudget(concurrency_count=1)
NEVER = SiteBudget(rate_per_s=1 / 3600)


class Desk:
    """The sites of a gateway, and scripts that ask for them."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.live = {"a", "b", "c"}
        self.of_scripts: dict[str, dict[str, SiteBudget]] = {}
        self.sites = Sites(
            budgets=SiteBudgets(VolatileDatabase(("site_budgets",))),
            ledger=LocalLedger(lambda: self.now),
            owner="g1",
            is_live=lambda task_id: task_id in self.live,
            of_scripts=self.of_scripts,
        )
        self._count = 0

    def asked(
        self, task_id: str, body: dict[str, Any], *, named: dict[str, SiteBudget] | None = None
    ) -> Asked:
        """Return a question of a task, of the script called as the task is."""
        self._count += 1
        pin = Pin("r", f"script-{task_id}", "1.0.0", "sha256:0")
        run = RunSpec(pin, sites=tuple((named or {}).items()))
        return Asked(task_id, 1, self._count, "site", msgspec.json.encode(body), "w", run)

    async def take(
        self, task_id: str, host: str = "a.example", *, named: dict[str, SiteBudget] | None = None
    ) -> str:
        """Ask for a token and wait for it."""
        told = await self.sites.answer(self.asked(task_id, {"host": host}, named=named))
        token: str = msgspec.json.decode(told)["token"]
        return token

    def taking(self, task_id: str, host: str = "a.example", **more: Any) -> asyncio.Task[str]:
        """Begin to ask for a token."""
        return asyncio.create_task(self.take(task_id, host, **more))

    async def tell(self, task_id: str, token: str, event: str = "over", **more: Any) -> None:
        """Tell how a request went."""
        report = {"event": event, "token": token, "host": "a.example", **more}
        await self.sites.seen(self.asked(task_id, {"reports": [report]}))

    async def names(self, named: dict[str, SiteBudget] | None = None) -> list[str]:
        """Ask which sites have a budget."""
        told = await self.sites.answer(self.asked("a", {}, named=named))
        found: list[str] = msgspec.json.decode(told)["sites"]
        return found


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """Return sites with no budget yet."""
    desk = Desk()
    yield desk
    await desk.sites.close()


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_site_without_a_budget_is_not_waited_for(desk: Desk) -> None:
    """Nobody has asked for care: requests go as they come."""
    async with asyncio.timeout(LIMIT_S):
        for _ in range(50):
            await desk.take("a")

    assert await desk.names() == []
    assert await desk.sites.views() == []


async def test_a_place_is_freed_by_the_end_of_the_request_or_of_the_attempt(desk: Desk) -> None:
    """One request at a time: the next goes when it is told over, or when its attempt ends."""
    await desk.sites.put("a.example", ONE, by="key")
    first = await desk.take("a")
    second = desk.taking("b")
    await settle()
    was_waiting = not second.done()
    await desk.tell("a", first)
    async with asyncio.timeout(LIMIT_S):
        await second
        third = desk.taking("c")
        desk.sites.over("b", 1)
        await third

    assert was_waiting


async def test_an_attempt_cannot_hold_places_without_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a script that never tells the end of its requests, the oldest is taken to be over."""
    monkeypatch.setattr(sites, "OPEN_LIMIT_COUNT", 3)
    await desk.sites.put("a.example", SiteBudget(concurrency_count=100), by="key")
    async with asyncio.timeout(LIMIT_S):
        for _ in range(10):
            await desk.take("a")
    await settle()

    assert (await desk.sites.view("a.example")).in_use_count == 3


async def test_a_question_that_is_taken_back_holds_nothing(desk: Desk) -> None:
    """An attempt that ends while it waits leaves its place to others."""
    await desk.sites.put("a.example", ONE, by="key")
    first, gone, second = await desk.take("a"), desk.taking("b"), desk.taking("c")
    await settle()
    gone.cancel()
    await settle()
    await desk.tell("a", first)

    async with asyncio.timeout(LIMIT_S):
        assert (await second).startswith("c/1/")


async def test_tasks_take_turns(desk: Desk) -> None:
    """Who asks for many waits no less for each than who asks for one."""
    await desk.sites.put("a.example", ONE, by="key")
    held, order = await desk.take("a"), []
    greedy = [desk.taking("b") for _ in range(3)]
    await settle()
    waiting = {*greedy, desk.taking("c")}
    async with asyncio.timeout(LIMIT_S):
        while waiting:
            await desk.tell(held[0], held)
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            (held,) = [each.result() for each in done]
            order.append(held[0])

    assert order == ["b", "c", "b", "b"]


async def test_a_manifest_holds_for_who_shares_the_site(desk: Desk) -> None:
    """The strictest manifest counts for all, and an operator's word counts for more."""
    wide, narrow = {"example": SiteBudget(concurrency_count=9)}, {"example": ONE}
    await desk.take("a", "www.a.example", named=wide)
    await desk.take("b", "a.example", named=wide)
    third = desk.taking("c", "a.example", named=narrow)
    await settle()
    was_waiting = not third.done()
    (told,) = await desk.sites.views()
    await desk.sites.put("example", SiteBudget(), by="key")
    async with asyncio.timeout(LIMIT_S):
        await third

    assert was_waiting
    assert (told.site, told.budget, told.source) == ("example", {"concurrency": 1}, "scripts")
    assert told.claimed_by == ("script-a", "script-b", "script-c")
    assert (told.in_use_count, told.waiting_count) == (2, 1)


async def test_settings_of_a_script_stand_above_its_manifest(desk: Desk) -> None:
    """What `[scripts.NAME]` says of a site holds in place of the manifest's word on it alone."""
    desk.of_scripts["script-a"] = {"a.example": ONE}
    wide = {"a.example": SiteBudget(concurrency_count=9), "b.example": ONE}
    await desk.take("a", named=wide)
    second = desk.taking("a", named=wide)
    await settle()
    was_waiting = not second.done()
    names = await desk.names()
    second.cancel()

    assert was_waiting
    assert names == ["a.example"]


async def test_a_default_holds_for_every_site(desk: Desk) -> None:
    """A budget for `*` is one for each site apart, where nobody has said anything else."""
    await desk.sites.put("*", ONE, by="key")
    await desk.take("a", "a.example:80")
    second = desk.taking("b", "a.example")
    async with asyncio.timeout(LIMIT_S):
        await desk.take("b", "b.example")
    await settle()

    assert not second.done()
    assert await desk.names() == ["*"]
    second.cancel()


async def test_a_script_may_be_gentle_with_every_site(desk: Desk) -> None:
    """A manifest that names `*` has each site of its script asked so; what it names counts more."""
    named = {"*": ONE, "b.example": SiteBudget()}
    await desk.take("a", "a.example", named=named)
    second = desk.taking("a", "a.example", named=named)
    async with asyncio.timeout(LIMIT_S):
        for _ in range(3):
            await desk.take("a", "b.example", named=named)

    assert not second.done()
    assert "*" in await desk.names(named)
    second.cancel()


async def test_a_complaint_slows_a_site_without_a_budget(desk: Desk) -> None:
    """A 429 seen by one script makes all wait for as long as the site says."""
    await desk.tell("a", "", status=429, retry_after_s=30.0)
    await settle()
    names, waiting = await desk.names(), desk.taking("b")
    await settle()
    was_waiting = not waiting.done()
    told = await desk.sites.view("a.example")
    explained = desk.sites.explain("b")
    desk.now += 31.0
    await desk.tell("b", "", status=0, retry_after_s=0.0)  # anything that is heard is looked at
    async with asyncio.timeout(LIMIT_S):
        await waiting

    assert (names, was_waiting) == (["a.example"], True)
    assert (told.paused_s, told.share, told.complaint) == (30.0, 0.5, {"status": 429, "age_s": 0.0})
    assert explained is not None
    assert explained.reason == "site_wait"
    assert (explained.fields["site"], explained.fields["ahead_count"]) == ("a.example", 0)


async def test_what_is_told_of_anothers_request_changes_nothing(desk: Desk) -> None:
    """An attempt can end its own requests alone, whatever it says."""
    await desk.sites.put("a.example", ONE, by="key")
    held, waiting = await desk.take("a"), desk.taking("b")
    await desk.tell("c", held)
    await settle()

    assert not waiting.done()
    waiting.cancel()


async def test_the_gap_of_robots_is_kept(desk: Desk) -> None:
    """What the site's robots.txt asks for is a budget of its own."""
    asked = desk.asked("a", {"host": "a.example", "gap_s": 5.0})
    await desk.sites.answer(asked)
    told = await desk.sites.view("a.example")

    assert (told.budget, told.claimed_by) == ({"gap": 5.0}, ("robots.txt",))


async def test_names_go_along_with_an_attempt(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script is told which sites have budgets, its own among them, unless they are very many."""
    named = {"b.example": ONE}
    before = desk.sites.names_for(desk.asked("a", {}).run)
    await desk.sites.put("a.example", ONE, by="key")
    names = desk.sites.names_for(desk.asked("a", {}, named=named).run)
    for number in range(100):
        await desk.sites.put(f"s{number}.example", ONE, by="key")

    monkeypatch.setattr(desk.sites, "_names", lambda named: pytest.fail("all were sorted"))

    assert before == ()
    assert names == ("a.example", "b.example")
    assert desk.sites.names_for(desk.asked("a", {}).run) is None


async def test_a_token_by_hand_is_not_held(desk: Desk) -> None:
    """`ctx.throttle` takes a turn; nobody tells when what follows is over."""
    await desk.sites.put("a.example", ONE, by="key")
    async with asyncio.timeout(LIMIT_S):
        for _ in range(3):
            await desk.sites.answer(desk.asked("a", {"host": "a.example", "is_held": False}))

    assert (await desk.sites.view("a.example")).in_use_count == 0


async def test_places_of_a_task_that_is_gone_are_freed(desk: Desk) -> None:
    """Whatever became of a task, its requests do not block a site for ever."""
    await desk.sites.put("a.example", ONE, by="key")
    await desk.sites.start()
    await desk.take("a")
    waiting = desk.taking("b")
    await settle()
    desk.live.discard("a")

    async with asyncio.timeout(LIMIT_S):
        await waiting


@pytest.mark.parametrize(
    "body", [{"host": "a b"}, {"host": "*"}, {"host": 5}, {"host": "x", "gap_s": -1}]
)
async def test_a_question_that_means_nothing_is_refused(desk: Desk, body: dict[str, Any]) -> None:
    """Who asks about what is no site is told so."""
    with pytest.raises(InvalidRequest):
        await desk.sites.answer(desk.asked("a", body))


async def test_sites_are_forgotten_in_time(desk: Desk) -> None:
    """A site that nobody has asked for an hour takes no memory."""
    ledger = LocalLedger(lambda: desk.now)
    for name in ("old", "new"):
        await ledger.change(name, lambda state, now: state.claim("script", ONE, now))
        desk.now += 4000.0
    await ledger.sweep()
    await ledger.change("new", lambda state, now: state.complain(429, now))
    await ledger.sweep()

    assert list(await ledger.recent()) == ["new"]
