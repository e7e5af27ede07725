"""Keys of a gateway among others: none is freed too early, none is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import pytest

from tests.core.rig import spec
from tests.gateway.conftest import LIMIT_S
from zscrape.errors.storage import LeaseLost, StorageUnavailable
from zscrape.gateway.sharedlocks import SharedLocks
from zscrape.model import LockRequest, Overlap, TaskId
from zscrape.store.gateways import HeldLock

OWN = "own"


class Lease:
    """Locks of gateways by key, each with its gateway and its holder; answers when it is let."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[str, TaskId]] = {}
        self.asked: asyncio.Queue[str] = asyncio.Queue()
        self.told: list[str] = []  # all that was asked
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.is_cut = False  # what is done is kept, and whoever asked does not hear of it

    async def _answer(self, what: str) -> None:
        self.asked.put_nowait(what)
        self.told.append(what)
        await self.may_answer.wait()

    async def take_lock(self, key: str, holder: TaskId, *, is_sure: bool) -> HeldLock | None:
        """Take a key unless another gateway has it."""
        await self._answer("take")
        gateway, known = self.rows.setdefault(key, (OWN, holder))
        if gateway != OWN:
            return HeldLock(known, 1.0)
        if is_sure:
            self.rows[key] = OWN, holder
        if self.is_cut:
            raise StorageUnavailable(reason="cut")
        return None

    async def free_locks(self, keys: Sequence[str]) -> None:
        """Free keys of this gateway."""
        await self._answer("free")
        for key in keys:
            if self.rows.get(key, ("", ""))[0] == OWN:
                del self.rows[key]

    async def locks(self) -> dict[str, TaskId]:
        """Return the keys of this gateway, as they are when it is asked."""
        found = {key: holder for key, (gateway, holder) in self.rows.items() if gateway == OWN}
        await self._answer("locks")
        return found

    async def heard(self, what: str) -> None:
        """Wait until it is asked for something."""
        async with asyncio.timeout(LIMIT_S):
            while await self.asked.get() != what:
                pass


class Keys:
    """What tasks hold and wait for at this gateway."""

    def __init__(self) -> None:
        self.held: dict[str, TaskId] = {}
        self.waiting: dict[str, TaskId | None] = {}

    def hold_back(self, key: str, holder: TaskId) -> None:
        """Keep a key; who has it stands for who waits."""
        self.waiting.setdefault(key, holder)

    def let_in(self, key: str) -> None:
        """Give a key to who waits for it."""
        first = self.waiting.pop(key, None)
        if first is not None:
            self.held[key] = first

    def held_back(self) -> dict[str, TaskId | None]:
        """Return the keys that are kept."""
        return dict(self.waiting)

    def held_keys(self) -> dict[str, TaskId]:
        """Return the keys that are held."""
        return dict(self.held)


@pytest.fixture
def lease() -> Lease:
    """Return what stands for the database."""
    return Lease()


@pytest.fixture
def keys() -> Keys:
    """Return what stands for the router."""
    return Keys()


@pytest.fixture
async def locks(lease: Lease, keys: Keys) -> AsyncIterator[SharedLocks]:
    """Return the locks of a gateway whose tasks have all ended."""
    made = SharedLocks(cast("Any", lease), keys, live=lambda task_id: None)
    made.start()
    yield made
    await made.close()


def asking(key: str) -> Any:
    """Return a task that asks for a key."""
    return spec("t", lock=LockRequest(key, Overlap.QUEUE_ALL))


async def test_keys_of_tasks_that_could_not_be_read_stay_theirs(lease, keys, locks):
    """What a dead gateway's task has is neither freed nor given away before that task is here."""
    lease.rows = {"coming": (OWN, "old"), "ended": (OWN, "gone")}
    async with locks.changing_hands():
        await locks.load()
    await locks.admit(asking("coming"))
    await locks.admit(asking("other"))
    locks.entered("t")  # it was not queued: its key is free
    await lease.heard("free")
    during = dict(lease.rows)
    keys.held["coming"] = keys.waiting.pop("coming")
    locks.taken_up()
    await lease.heard("free")

    assert during == {"coming": (OWN, "old"), "ended": (OWN, "gone")}
    assert keys.held == {"coming": "old"}
    assert lease.rows == {"coming": (OWN, "old")}


async def test_nobody_takes_a_key_while_tasks_change_hands(lease, keys, locks):
    """Who asks for one meanwhile is served once the task that has it is here."""
    lease.may_answer.clear()
    async with locks.changing_hands():
        entering = asyncio.create_task(locks.admit(asking("new")))
        keys.waiting["coming"] = "next"
        locks.look()
        lease.rows["coming"] = OWN, "old"
        learning = asyncio.create_task(locks.load())
        await lease.heard("locks")
        during = list(lease.told)
        lease.may_answer.set()
        await learning
        del keys.waiting["coming"]
        keys.held["coming"] = "old"
        locks.taken_up()
    await entering

    assert during == ["locks"]
    assert lease.rows == {"coming": (OWN, "old"), "new": (OWN, "t")}


async def test_a_key_that_is_taken_while_others_are_learned_comes_free(lease, locks):
    """It is in no list that was read before it was taken, and its gateway still frees it."""
    lease.may_answer.clear()
    async with locks.changing_hands():
        learning = asyncio.create_task(locks.load())
        await lease.heard("locks")
        entering = asyncio.create_task(locks.admit(asking("new")))
        lease.may_answer.set()
        await learning
        locks.taken_up()
    await entering
    taken = dict(lease.rows)
    locks.entered("t")
    await lease.heard("free")

    assert taken == {"new": (OWN, "t")}
    assert lease.rows == {}


async def test_a_key_that_nobody_heard_was_taken_comes_free(lease, keys, locks):
    """The connection broke when a key was taken for who waited, and who waited is gone."""
    keys.waiting["new"] = "t"
    lease.is_cut = True
    locks.look()
    await lease.heard("take")
    taken = dict(lease.rows)
    keys.waiting.clear()
    locks.look()
    await lease.heard("free")

    assert taken == {"new": (OWN, "t")}
    assert lease.rows == {}


async def test_nobody_comes_in_before_a_new_life_has_its_tasks(lease, locks):
    """After a lost lease, keys of tasks that are still to be read are nobody else's."""
    locks.forget_all()
    with pytest.raises(LeaseLost):
        await locks.admit(asking("new"))
    lost = dict(lease.rows)
    async with locks.changing_hands():
        await locks.load()
        locks.taken_up()
    await locks.admit(asking("new"))

    assert lost == {}
    assert lease.rows == {"new": (OWN, "t")}


async def test_who_waits_while_the_lease_is_lost_takes_and_frees_nothing(lease, keys, locks):
    """A key of the earlier life is still its task's, whoever stood in line for it then."""
    lease.rows = {"old": (OWN, "old")}
    async with locks.changing_hands():
        await locks.load()
        keys.held["old"] = "old"
        locks.taken_up()
    lease.may_answer.clear()
    at_the_database = asyncio.create_task(locks.admit(asking("new")))
    await lease.heard("take")
    behind = asyncio.create_task(locks.admit(asking("old")))
    await asyncio.sleep(0)
    locks.look()  # a third waits for its turn: to free what nobody has
    await asyncio.sleep(0)
    keys.held.clear()
    locks.forget_all()
    lease.may_answer.set()
    await at_the_database
    with pytest.raises(LeaseLost):
        await behind
    lease.told.clear()
    async with locks.changing_hands():
        await locks.load()
        keys.held["old"] = "old"
        locks.taken_up()

    assert lease.told == ["locks"]
    assert lease.rows["old"] == (OWN, "old")


async def test_who_changes_hands_goes_before_all_who_wait(lease, locks):
    """Tasks of a dead gateway do not wait behind calls, nor does the next renewal."""
    lease.may_answer.clear()
    calls = [asyncio.create_task(locks.admit(asking(f"k{number}"))) for number in range(9)]
    await lease.heard("take")
    changed = asyncio.Event()

    async def change() -> list[str]:
        async with locks.changing_hands():
            changed.set()
            return list(lease.told)

    changing = asyncio.create_task(change())
    await asyncio.sleep(0)
    lease.may_answer.set()
    before = await changing
    await asyncio.gather(*calls)

    assert before == ["take"]
    assert lease.told == ["take"] * 9


async def test_keys_are_tried_for_together(lease, keys, locks):
    """What is held back for who waits here is tried for in one turn, not behind each caller."""
    keys.waiting = {f"far{number}": f"w{number}" for number in range(5)}
    lease.may_answer.clear()
    locks.look()
    await lease.heard("take")
    call = asyncio.create_task(locks.admit(asking("new")))
    await asyncio.sleep(0)
    lease.may_answer.set()
    await call

    assert list(lease.rows) == ["far0", "far1", "far2", "far3", "far4", "new"]
