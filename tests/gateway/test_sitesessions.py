"""The vault of sessions: lent, given back, freed however an attempt ends, and never shown."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from zscrape.errors.requests import InvalidRequest
from zscrape.errors.scripts import SessionDenied
from zscrape.errors.storage import SecretsSealed
from zscrape.gateway.asked import Asked
from zscrape.gateway.remembering import Remembering, remember
from zscrape.gateway.sessionbody import Cookie, SessionRequest
from zscrape.gateway.vault import Vault
from zscrape.model import Pin, RunSpec, TaskState
from zscrape.store.secrets import MemorySecrets
from zscrape.store.tasks import TaskRow
from zscrape.store.volatile import VolatileDatabase

SITE, ACCOUNT = "shop.example", "kim"
COOKIE = {"name": "sid", "value": "s3cret-of-kim", "domain": SITE}
BASE = f"/v1/sessions/{SITE}/{ACCOUNT}"


class Bench:
    """A vault of sessions, the tasks that it knows, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_000.0
        self.tasks: dict[str, TaskRow] = {}
        self.database = VolatileDatabase()
        self.memory = self.open(folder)
        self.sessions = self.memory.sessions

    def open(self, folder: Path) -> Remembering:
        """Return the memory of a gateway whose key is in a folder."""
        key = folder / "secrets.key"
        vault = Vault(MemorySecrets(), key, clock=time.time, report=lambda error: None)
        return remember(self.database, sealing=vault, find=self._find, clock=lambda: self.now)

    async def _find(self, task_id: str) -> TaskRow | None:
        return self.tasks.get(task_id)

    async def ask(self, task_id: str = "t1", *, attempt: int = 1, **question: Any) -> Any:
        """Ask as a script does."""
        run = RunSpec(Pin("r", question.pop("script", "shop"), "1.0.0", "sha256:0"))
        self.tasks.setdefault(
            task_id,
            TaskRow(
                id=task_id,
                script_name="shop",
                created_at=0.0,
                status=TaskState.RUNNING,
                attempts=attempt,
            ),
        )
        body = msgspec.json.encode({"site": SITE, "account": ACCOUNT, **question})
        asked = Asked(task_id, attempt, 1, "session", body, "w", run)
        return msgspec.json.decode(await self.sessions.answer(asked))

    async def lease(self, task_id: str = "t1", **more: Any) -> Any:
        """Lease the session."""
        return await self.ask(task_id, op="lease", **more)

    async def give_back(self, task_id: str = "t1", **more: Any) -> Any:
        """Give the session back."""
        return await self.ask(task_id, op="return", **more)


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    """Return a vault."""
    return Bench(tmp_path)


async def kept(bench: Bench, *scripts: str, **more: Any) -> None:
    """Keep a session."""
    cookies = (Cookie(name="sid", value="s3cret-of-kim", domain=SITE),)
    asked = SessionRequest(cookies=cookies, scripts=scripts or ("shop",), **more)
    await bench.sessions.put(SITE, ACCOUNT, asked)


async def test_a_login_of_one_run_is_the_session_of_the_next(bench: Bench) -> None:
    """What a script gives back is lent to the next one, and belongs to that script."""
    first = await bench.lease()
    await bench.give_back(cookies=[COOKIE])
    second = await bench.lease("t2")
    with pytest.raises(SessionDenied) as caught:
        await bench.lease("t3", script="other")

    assert first == {"status": "new", "cookies": []}
    assert second == {"status": "good", "cookies": [COOKIE]}
    assert caught.value.fields == {"site": SITE, "account": ACCOUNT, "script_name": "other"}


async def test_cookies_are_sealed(bench: Bench, tmp_path: Path) -> None:
    """The database has no value in the clear, and without the key nobody opens it."""
    await kept(bench)
    (row,) = [row for row, _ in await bench.sessions.all()]
    stranger = bench.open(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    bench.sessions = stranger.sessions

    assert b"s3cret" not in row.sealed
    with pytest.raises(SecretsSealed):
        await bench.lease()


async def test_who_waits_has_it_as_soon_as_it_is_given_back(bench: Bench) -> None:
    """An exclusive lease holds up the next one, until it ends."""
    await kept(bench)
    await bench.lease("t1")
    waiting = asyncio.create_task(bench.lease("t2"))
    shared = asyncio.create_task(bench.lease("t3", shared=True))
    done, _ = await asyncio.wait({waiting, shared}, timeout=0.05)
    await bench.give_back("t1", cookies=[COOKIE])
    async with asyncio.timeout(20):
        first = await waiting
        await bench.give_back("t2", cookies=[COOKIE])
        second = await shared

    assert done == set()
    assert first["status"] == second["status"] == "good"


@pytest.mark.parametrize("end", ["heard", "final", "queued", "next attempt", "forgotten"])
async def test_a_lease_ends_with_its_attempt_however_that_ends(bench: Bench, end: str) -> None:
    """Heard of or not, the next who wants the session has it."""
    await kept(bench)
    await bench.lease("t1")
    row = bench.tasks["t1"]
    if end == "heard":
        bench.sessions.over("t1", 1)
    elif end == "final":
        row.status = TaskState.FAILED
    elif end == "queued":
        row.status = TaskState.QUEUED
    elif end == "next attempt":
        row.attempts = 2
    else:
        del bench.tasks["t1"]
        bench.now += 100_000.0
    async with asyncio.timeout(20):
        told = await bench.lease("t2")
    await bench.sessions.close()

    assert told["status"] == "good"


async def test_leases_that_nobody_heard_the_end_of_are_swept(bench: Bench) -> None:
    """Those of attempts that are over end; one that runs keeps its own."""
    await kept(bench)
    for task_id in ("t1", "t2"):
        await bench.lease(task_id, shared=True)
    bench.tasks["t1"].status = TaskState.CANCELLED
    await bench.sessions.sweep()
    _, leases = await bench.sessions.get(SITE, ACCOUNT)

    assert [each.task_id for each in leases] == ["t2"]


async def test_a_bad_session_is_counted_and_not_lent(bench: Bench) -> None:
    """The next one has to log in; what it gives back is good again."""
    await kept(bench)
    await bench.lease("t1")
    await bench.give_back("t1", bad="login_expired", cookies=[COOKIE])
    bad, _ = await bench.sessions.get(SITE, ACCOUNT)
    lent = await bench.lease("t2")
    await bench.give_back("t2", cookies=[COOKIE])
    good, _ = await bench.sessions.get(SITE, ACCOUNT)

    assert (bad.status, bad.reason, bad.bad_count) == ("bad", "login_expired", 1)
    assert lent == {"status": "bad", "cookies": []}
    assert (good.status, good.reason, good.bad_count, good.use_count) == ("good", "", 1, 2)


async def test_sessions_and_cookies_age(bench: Bench) -> None:
    """A cookie past its end is not lent, and with none left, or past its age, a login is due."""
    await kept(bench)
    await bench.lease("t1")
    short = {**COOKIE, "name": "short", "expires": 1_010.0}
    await bench.give_back("t1", cookies=[COOKIE, short], max_age_s=100.0)
    bench.now = 1_050.0
    some = await bench.lease("t2")
    await bench.give_back("t2")
    bench.now = 1_100.0
    old = await bench.lease("t3")

    assert [each["name"] for each in some["cookies"]] == ["sid"]
    assert old == {"status": "expired", "cookies": []}


async def test_giving_back_twice_or_without_a_lease_changes_nothing(bench: Bench) -> None:
    """A question that comes again, or from who never had it, has no effect."""
    await kept(bench)
    await bench.lease("t1")
    told = [await bench.give_back("t1", cookies=[COOKIE]) for _ in range(2)]
    foreign = await bench.give_back("t9", bad="x")
    row, _ = await bench.sessions.get(SITE, ACCOUNT)

    assert [each["kept"] for each in (*told, foreign)] == [True, False, False]
    assert (row.status, row.bad_count) == ("good", 0)


async def test_a_login_that_never_came_leaves_no_session(bench: Bench) -> None:
    """A script that leased what is not there and gives nothing back leaves nothing."""
    await bench.lease("t1")
    await bench.give_back("t1", bad="login_expired")

    assert await bench.sessions.all() == []


@pytest.mark.parametrize(
    "question",
    [
        {"site": "Shop.Example"},
        {"site": ""},
        {"account": "a/b"},
        {"cookies": [{"name": "", "value": ""}]},
        {"cookies": [{"name": "a", "value": "b", "more": 1}]},
        {"op": "steal"},
        {"max_age_s": -1},
    ],
)
async def test_a_forged_question_is_refused(bench: Bench, question: dict[str, Any]) -> None:
    """What no script of ours asks is refused."""
    with pytest.raises(InvalidRequest):
        await bench.ask(**{"op": "return", **question})


@pytest.fixture
def vaulted(gateway: Any, bench: Bench) -> Any:
    """Give the gateway the vault."""
    gateway.state.remembering = bench.memory
    return gateway


async def test_people_keep_and_see_sessions_without_values(client: Any, vaulted: Any) -> None:
    """Kept, granted, listed, removed; no answer has a cookie's value."""
    made = await client.put(BASE, json={"cookies": [COOKIE], "max_age_s": 3_600})
    granted = await client.put(BASE, json={"scripts": ["shop_*"]})
    listed = await client.get("/v1/sessions", params={"site": SITE})
    other = await client.get("/v1/sessions", params={"site": "other.example"})
    shown = await client.get(BASE)
    removed = await client.delete(BASE)
    missing = [await client.get(BASE), await client.delete(BASE)]

    assert made.json()["cookie_count"] == granted.json()["cookie_count"] == 1
    assert listed.json()["sessions"] == [shown.json()]
    assert shown.json()["scripts"] == ["shop_*"]
    assert other.json() == {"sessions": []}
    assert "s3cret" not in made.text + granted.text + listed.text + shown.text
    assert removed.status_code == 204
    assert [each.status_code for each in missing] == [404, 404]


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        (BASE, {"scripts": ["shop"]}, "/cookies"),
        (BASE, {"cookies": [], "scripts": ["No Name"]}, "/scripts/0"),
        (BASE, {"cookies": [{"name": "a"}]}, "/cookies/0"),
        ("/v1/sessions/UP/kim", {"cookies": []}, "/site"),
        (f"/v1/sessions/{SITE}/%01", {"cookies": []}, "/account"),
    ],
)
async def test_what_cannot_be_kept_is_named(
    client: Any, vaulted: Any, path: str, body: Any, pointer: str
) -> None:
    """The place is named, in both languages."""
    for lang in ("en", "ko"):
        answer = await client.put(path, json=body, headers={"Accept-Language": lang})

        assert answer.status_code == 422
        assert answer.json()["problems"][0]["pointer"].startswith(pointer)


async def test_a_removed_session_does_not_come_back_with_its_lease(bench: Bench) -> None:
    """What people remove while it is lent is gone; who gives it back changes nothing."""
    await kept(bench)
    await bench.lease("t1")
    await bench.sessions.remove(SITE, ACCOUNT)
    told = await bench.give_back("t1", cookies=[COOKIE])

    assert told == {"kept": False}
    assert await bench.sessions.all() == []
