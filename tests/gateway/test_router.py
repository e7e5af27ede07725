"""The ROUTER shell on a real socket, against plain DEALERs: what the dispatcher cannot see."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio

from tests.gateway.conftest import until
from tests.link_keys import local_door, make_known, show
from zscrape import wire
from zscrape.config.keyfiles import KeyPair, new_pair
from zscrape.core.dispatcher import Dispatcher
from zscrape.core.effects import (
    DispatcherEffect,
    Ignored,
    Send,
    TaskAssigned,
    TaskFinished,
    TaskQueued,
    WorkerJoined,
    WorkerLost,
    WorkerSuspected,
)
from zscrape.errors import ConfigError
from zscrape.gateway.facts import all_to
from zscrape.gateway.router import Router
from zscrape.model import (
    HeartbeatPolicy,
    Outcome,
    OutcomeCode,
    Pin,
    QueuePolicy,
    RunSpec,
    TaskSpec,
)

PIN = Pin("r", "script", "1.0.0", "sha256:0")


class Facts:
    """What the router has told, and a way to wait for more."""

    def __init__(self) -> None:
        self.seen: list[DispatcherEffect] = []
        self._news = asyncio.Event()

    def tell(self, fact: DispatcherEffect) -> None:
        """Take a fact."""
        self.seen.append(fact)
        self._news.set()

    async def wait_for(self, is_it: Callable[[Any], bool]) -> Any:
        """Return the first fact that fits, waiting for it."""
        async with asyncio.timeout(40):
            while True:
                for fact in self.seen:
                    if is_it(fact):
                        return fact
                self._news.clear()
                await self._news.wait()


class Dealer:
    """A worker's end of the link, spoken by hand."""

    def __init__(self, router: Router, pair: KeyPair) -> None:
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(zmq.DEALER)
        show(self._socket, pair, router._keys.pair.public)
        self._socket.connect(router.endpoint)

    @classmethod
    async def of(cls, router: Router, worker_id: str = "w") -> Dealer:
        """Connect by a key that is known for a worker."""
        return cls(router, await make_known(router._keys, router._gatekeeper, worker_id))

    async def say(self, message: wire.WorkerMessage) -> None:
        """Send a message."""
        await self._socket.send(wire.encode(message))

    async def send_raw(self, *frames: bytes) -> None:
        """Send anything."""
        await self._socket.send_multipart(frames)

    async def hear(self, kind: Any) -> Any:
        """Return the next message of a kind."""
        async with asyncio.timeout(40):
            while True:
                message = wire.decode_gateway(await self._socket.recv())
                if isinstance(message, kind):
                    return message

    def close(self) -> None:
        """Vanish."""
        self._context.destroy(linger=0)


@pytest.fixture
async def facts() -> Facts:
    """Everything that the router tells."""
    return Facts()


@pytest.fixture
async def router(facts: Facts, tmp_path: Path) -> AsyncIterator[Router]:
    """A router on a free port; it can give one script."""

    async def pack(digest: str) -> bytes | None:
        return b"bytes of it" if digest == PIN.digest else None

    dispatcher = Dispatcher(
        gateway_id="g", boot="b", heartbeat=HeartbeatPolicy(interval_s=0.1), queue=QueuePolicy()
    )
    keys, door = local_door(tmp_path)
    router = Router(
        dispatcher,
        bind="tcp://127.0.0.1:0",
        gatekeeper=door,
        keys=keys,
        hearers=all_to(facts.tell),
        pack=pack,
    )
    router.start()
    yield router
    router.stop()


@pytest.fixture
async def dealer(router: Router) -> AsyncIterator[Dealer]:
    """A connection to the router."""
    dealer = await Dealer.of(router)
    yield dealer
    dealer.close()


def hello(worker_id: str = "w") -> wire.Hello:
    """Return a worker's first words."""
    return wire.Hello(wire.PROTOCOL, worker_id, "s", 1, 1)


def spec(task_id: str) -> TaskSpec:
    """Return a task that any worker can run."""
    return TaskSpec(id=task_id, run=RunSpec(PIN), match_timeout_s=60.0)


@pytest.mark.parametrize("is_free", [False, True])
async def test_a_thousand_workers_that_went_at_once(
    router: Router, facts: Facts, is_free: bool
) -> None:
    """A task for whom one worker after the other turns out to be gone waits in the end."""
    for number in range(1_200):
        hello = wire.Hello(wire.PROTOCOL, f"gone-{number}", "s", 1, 1)
        router._dispatcher.receive(b"gone-%d" % number, hello, now=time.monotonic())

    router.submit(spec("t"), is_free=is_free)
    await asyncio.sleep(0)  # what is decided leaves at the end of the turn

    suspected = [fact for fact in facts.seen if isinstance(fact, WorkerSuspected)]
    assert len(suspected) == 1_200
    assert facts.seen[0] == TaskAssigned("t", 1, "gone-0", is_accepted=True)
    assert router.explain("t") is not None


async def test_what_idle_workers_say_is_read_in_bursts(
    router: Router, dealer: Dealer, facts: Facts
) -> None:
    """Without a task the socket rests after it was read; what comes meanwhile is not lost."""
    await until_resting(router, dealer)
    for number in range(200):
        await dealer.say(wire.Events(f"t{number}", 1, 0, ()))

    await facts.wait_for(lambda _fact: superseded_count(facts) == 200)
    router.submit(spec("t"))
    run = await dealer.hear(wire.Run)

    assert run.task_id == "t"
    assert not is_resting(router)


async def test_whoever_comes_in_is_heard_at_once(router: Router, dealer: Dealer) -> None:
    """A handshake of a known key ends the rest, and so does no other; a vain look begins none."""
    pair = await make_known(router._keys, router._gatekeeper, "next")
    await until_resting(router, dealer)

    refused = router._admits(new_pair().public)
    assert not refused
    assert is_resting(router)
    admitted = router._admits(pair.public)
    await asyncio.sleep(0)  # the turn in which it is heard
    router._on_readable()

    assert admitted
    assert not is_resting(router)


async def test_more_than_a_turn_allows_leaves_in_order(router: Router, dealer: Dealer) -> None:
    """What is decided at once leaves by parts, and all of it before the link ends."""
    await dealer.say(hello())
    await dealer.hear(wire.Welcome)
    peer = next(iter(router._passages))
    answers = [wire.Tell("t", 1, number, b"1") for number in range(600)]

    for answer in answers[:300]:
        router.tell(peer, answer)
    heard = [await dealer.hear(wire.Tell) for _ in range(300)]
    for answer in answers[300:]:
        router.tell(peer, answer)
    router.stop()
    heard += [await dealer.hear(wire.Tell) for _ in range(300)]

    assert heard == answers


async def until_resting(router: Router, dealer: Dealer) -> None:
    """Speak for an idle worker until the router rests."""
    await dealer.say(hello())
    await dealer.hear(wire.Welcome)
    async with asyncio.timeout(20):
        while not is_resting(router):
            await dealer.say(wire.Heartbeat("s", 1, 1))
            await asyncio.sleep(0)


def is_resting(router: Router) -> bool:
    """True iff the router does not listen for a moment."""
    return router._resting is not None


def superseded_count(facts: Facts) -> int:
    """Return how many messages were told to be of no attempt in flight."""
    return sum(type(fact) is Ignored and fact.reason == "superseded" for fact in facts.seen)


async def test_task_goes_out_and_its_outcome_comes_back(
    router: Router, dealer: Dealer, facts: Facts
) -> None:
    """A task that waits reaches a worker that joins, and what it answers is told."""
    router.submit(spec("t"))
    await dealer.say(hello())
    run = await dealer.hear(wire.Run)
    await dealer.say(wire.Done("t", run.attempt, Outcome(OutcomeCode.OK, b"7")))
    finished = await facts.wait_for(lambda fact: isinstance(fact, TaskFinished))
    stored = await dealer.hear(wire.Stored)

    assert finished == TaskFinished("t", 1, "w", Outcome(OutcomeCode.OK, b"7"))
    assert stored.attempts == (("t", 1),)


async def test_sites_with_budgets_go_along(router: Router, dealer: Dealer) -> None:
    """A script that may ask sites is told which have a budget; one without a client is not."""
    router.budgeted_for = lambda run: ("shop.example",)
    router.submit(TaskSpec(id="t", run=RunSpec(PIN, kit=("http",)), match_timeout_s=60.0))
    router.submit(TaskSpec(id="u", run=RunSpec(PIN, kit=()), match_timeout_s=60.0))
    await dealer.say(hello())
    first = await dealer.hear(wire.Run)
    await dealer.say(wire.Done("t", first.attempt, Outcome(OutcomeCode.OK, b"7")))
    second = await dealer.hear(wire.Run)

    assert [first.budgeted, second.budgeted] == [("shop.example",), None]


async def test_garbage_costs_a_counted_fact_and_nothing_else(
    router: Router, dealer: Dealer, facts: Facts
) -> None:
    """Frames that are no message, and messages of many frames, are told and forgotten."""
    await dealer.send_raw(b"\xc1 not msgpack")
    await dealer.send_raw(wire.encode(hello()), b"and", b"more")
    await dealer.send_raw(b"")
    await dealer.say(hello())
    await facts.wait_for(lambda fact: isinstance(fact, WorkerJoined))

    garbage = [fact for fact in facts.seen if isinstance(fact, Ignored)]
    assert [fact.kind for fact in garbage] == ["garbage"] * 3
    assert router.garbage_count == 3


async def test_stranger_is_asked_who_it_is(dealer: Dealer) -> None:
    """Whoever speaks before Hello is asked for it."""
    await dealer.say(wire.Heartbeat("s", 1, 1))

    assert await dealer.hear(wire.Who) == wire.Who()


async def test_what_a_turn_decides_leaves_with_it_in_order(router: Router, dealer: Dealer) -> None:
    """Messages of one turn of the loop leave at its end, in the order of their deciding."""
    await dealer.say(wire.Hello(wire.PROTOCOL, "w", "s", 3, 3))
    await dealer.hear(wire.Welcome)

    for task_id in ("a", "b", "c"):
        router.submit(spec(task_id))

    runs = [await dealer.hear(wire.Run) for _ in range(3)]
    assert [run.task_id for run in runs] == ["a", "b", "c"]


async def test_a_fact_that_nobody_bears_holds_up_no_message(
    router: Router, dealer: Dealer, facts: Facts
) -> None:
    """What was decided leaves, also when who hears of it has a fault."""
    await dealer.say(hello())
    await dealer.hear(wire.Welcome)

    def fail(fact: DispatcherEffect) -> None:
        raise LookupError(fact)

    router._hearers = all_to(fail)
    router._outbox.append(Send(next(iter(router._passages)), wire.Drain(is_draining=True)))
    with pytest.raises(LookupError):
        router.submit(spec("t"))

    assert (await dealer.hear(wire.Drain)).is_draining


async def test_what_was_decided_leaves_before_the_link_ends(router: Router, dealer: Dealer) -> None:
    """A router that stops sends first what its last turn has decided."""
    await dealer.say(hello())
    await dealer.hear(wire.Welcome)

    router.drain_worker("w", is_draining=True)
    router.stop()

    assert (await dealer.hear(wire.Drain)).is_draining


async def test_a_run_that_nothing_holds_back_leaves_before_its_facts(
    router: Router, dealer: Dealer, facts: Facts
) -> None:
    """Its worker begins while they are told: whoever has a fault then holds up no Run."""
    router.budgeted_for = lambda run: ("shop.example",)
    await dealer.say(wire.Hello(wire.PROTOCOL, "w", "s", 3, 3))
    await dealer.hear(wire.Welcome)

    def fail(fact: DispatcherEffect) -> None:
        facts.tell(fact)
        raise LookupError(fact)

    router._hearers = all_to(fail)
    with pytest.raises(LookupError):
        router.submit(TaskSpec(id="first", run=RunSpec(PIN, kit=("http",))), is_free=True)
    router._hearers = all_to(facts.tell)
    router.submit(spec("second"), is_free=True)
    router.submit(spec("third"), is_free=True)
    runs = [await dealer.hear(wire.Run) for _ in range(3)]

    assert [run.task_id for run in runs] == ["first", "second", "third"]
    assert runs[0].budgeted == ("shop.example",)
    assert facts.seen[-3:] == [
        TaskAssigned("first", 1, "w", is_accepted=True),
        TaskAssigned("second", 1, "w", is_accepted=True),
        TaskAssigned("third", 1, "w", is_accepted=True),
    ]


async def test_a_fault_before_a_run_that_leaves_at_once(
    router: Router, dealer: Dealer, facts: Facts
) -> None:
    """Its task is accepted and told all the same; the Run is tried once more, and leaves."""
    await dealer.say(wire.Hello(wire.PROTOCOL, "w", "s", 3, 3))
    await dealer.hear(wire.Welcome)
    faults = [LookupError("no budgets now")]

    def budgeted(_run: RunSpec) -> tuple[str, ...]:
        if faults:
            raise faults.pop()
        return ()

    router.budgeted_for = budgeted
    with pytest.raises(LookupError):
        router.submit(TaskSpec(id="t", run=RunSpec(PIN, kit=("http",))), is_free=True)
    run = await dealer.hear(wire.Run)

    assert run.task_id == "t"
    assert facts.seen[-1] == TaskAssigned("t", 1, "w", is_accepted=True)


async def test_no_run_overtakes_what_was_decided_before(router: Router, dealer: Dealer) -> None:
    """What is to be sent first leaves first; a worker that is shut out gets nothing."""
    router.secrets_for = lambda run: dict.fromkeys(run.secrets, "of the moment")
    await dealer.say(wire.Hello(wire.PROTOCOL, "w", "s", 3, 3))
    await dealer.hear(wire.Welcome)

    router.drain_worker("w", is_draining=True)
    router.drain_worker("w", is_draining=False)
    router.submit(TaskSpec(id="t", run=RunSpec(PIN, secrets=("PASSWORD",))), is_free=True)
    said = [await dealer.hear(wire.Drain | wire.Run) for _ in range(3)]
    passage = next(iter(router._passages.values()))
    passage.is_closed = True
    router.submit(spec("late"), is_free=True)
    await asyncio.sleep(0)
    passage.is_closed = False
    router.drain_worker("w", is_draining=True)

    assert [type(each) for each in said] == [wire.Drain, wire.Drain, wire.Run]
    assert said[2].secrets == {"PASSWORD": "of the moment"}
    assert isinstance(await dealer.hear(wire.Drain | wire.Run), wire.Drain)


async def test_script_bytes_are_given(dealer: Dealer) -> None:
    """A worker gets the bytes of a digest that the gateway has, and None for others."""
    await dealer.say(hello())
    await dealer.say(wire.Need(1, "script", PIN.digest))
    await dealer.say(wire.Need(2, "script", "sha256:f"))

    assert await dealer.hear(wire.Give) == wire.Give(1, b"bytes of it")
    assert await dealer.hear(wire.Give) == wire.Give(2, None)


@pytest.mark.parametrize("is_free", [False, True])
async def test_run_that_cannot_leave_costs_its_task_nothing(
    router: Router, facts: Facts, is_free: bool
) -> None:
    """A worker that has vanished is suspect, and the task sent to it waits for another."""
    gone = await Dealer.of(router, "gone")
    await gone.say(hello("gone"))
    await facts.wait_for(lambda fact: isinstance(fact, WorkerJoined))
    gone.close()
    await facts.wait_for(lambda fact: isinstance(fact, WorkerSuspected))

    router.submit(spec("t"), is_free=is_free)
    heir = await Dealer.of(router, "heir")
    await heir.say(hello("heir"))
    run = await heir.hear(wire.Run)
    heir.close()

    assert run.task_id == "t"
    assert not [fact for fact in facts.seen if isinstance(fact, TaskQueued) and fact.code]


async def test_many_messages_at_once_are_all_heard(dealer: Dealer, facts: Facts) -> None:
    """More messages than one turn of the loop reads lose nothing to the descriptor's edge."""
    await dealer.say(hello())
    for number in range(500):
        await dealer.say(wire.Started(f"t{number}", 1))
    await facts.wait_for(lambda _: sum(isinstance(fact, Ignored) for fact in facts.seen) == 500)

    assert len([fact for fact in facts.seen if isinstance(fact, Ignored)]) == 500


async def test_address_in_use_is_a_clear_error(router: Router) -> None:
    """A second gateway at the same address is refused by name."""
    second = Router(
        Dispatcher(gateway_id="g", boot="b", heartbeat=HeartbeatPolicy(), queue=QueuePolicy()),
        bind=router.endpoint,
        gatekeeper=router._gatekeeper,
        keys=router._keys,
        hearers=all_to(lambda _: None),
        pack=router._pack,
    )

    with pytest.raises(ConfigError, match="in use"):
        second.start()
    second.stop()


async def test_standstill_of_the_gateway_is_not_the_workers_silence(
    router: Router, dealer: Dealer, facts: Facts
) -> None:
    """A process that was stopped for longer than its patience gives its workers their time anew."""
    await dealer.say(hello())
    await facts.wait_for(lambda fact: isinstance(fact, WorkerJoined))

    threading.Event().wait(1.5)  # nothing here runs meanwhile, as after SIGSTOP
    await dealer.hear(wire.GatewayHeartbeat)

    assert [worker.id for worker in router.snapshot().workers] == ["w"]
    await facts.wait_for(lambda fact: isinstance(fact, WorkerLost))


async def test_router_knows_when_it_does_not_work(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A timer that keeps up with the deadlines is well; one that was lost is not."""
    dealer = await Dealer.of(router)
    await dealer.say(wire.Hello(wire.PROTOCOL, "w", "s", 1, 1))
    await dealer.hear(wire.Welcome)
    well = router.fault()
    monkeypatch.setattr("zscrape.gateway.router._OVERDUE_S", 0.05)
    assert router._timer is not None
    router._timer.cancel()
    await until(lambda: bool(router.fault()))
    dealer.close()

    assert (well, router.fault()) == ("", "stalled")


async def test_stopped_router_is_closed(facts: Facts, tmp_path: Path) -> None:
    """Without its socket it says so."""

    async def pack(digest: str) -> bytes | None:
        return None

    dispatcher = Dispatcher(
        gateway_id="g", boot="b", heartbeat=HeartbeatPolicy(), queue=QueuePolicy()
    )
    keys, door = local_door(tmp_path)
    router = Router(
        dispatcher,
        bind="tcp://127.0.0.1:0",
        gatekeeper=door,
        keys=keys,
        hearers=all_to(facts.tell),
        pack=pack,
    )
    router.start()
    router.stop()

    assert router.fault() == "closed"


async def test_a_run_waits_for_its_fence(router: Router, dealer: Dealer, facts: Facts) -> None:
    """A Run leaves once the number of its attempt is stored; one that was cancelled never does."""
    fences: dict[str, asyncio.Future[None]] = {}

    def fence(task_id: str) -> asyncio.Future[None]:
        fences[task_id] = asyncio.get_running_loop().create_future()
        return fences[task_id]

    router.fence = fence
    await dealer.say(hello())
    await dealer.hear(wire.Welcome)
    router.submit(spec("gone"))
    router.cancel("gone")
    await dealer.hear(wire.Cancel)
    await dealer.say(wire.Refused("gone", 1, "stale"))
    router.submit(spec("kept"))
    await facts.wait_for(lambda fact: isinstance(fact, TaskAssigned) and fact.task_id == "kept")

    fences["gone"].set_result(None)
    router.drain_worker("w", is_draining=True)
    first = await dealer.hear(wire.Run | wire.Drain)
    fences["kept"].set_result(None)
    run = await dealer.hear(wire.Run)

    assert isinstance(first, wire.Drain)
    assert (run.task_id, run.attempt) == ("kept", 1)


async def test_a_fence_that_is_never_done(router: Router, dealer: Dealer) -> None:
    """What could not be stored is not sent; the link goes on."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    router.fence = lambda task_id: future
    await dealer.say(hello())
    await dealer.hear(wire.Welcome)
    router.submit(spec("t"))

    future.cancel()
    router.drain_worker("w", is_draining=True)

    assert isinstance(await dealer.hear(wire.Run | wire.Drain), wire.Drain)


async def test_what_ends_after_the_link_is_told_to_nobody(
    router: Router, dealer: Dealer, facts: Facts
) -> None:
    """A router that has stopped sends nothing more, and never looks at its clock again."""
    await dealer.say(hello())
    await facts.wait_for(lambda fact: isinstance(fact, WorkerJoined))
    router.stop()
    router.submit(spec("t"))
    router.cancel("t")

    assert router.fault() == "closed"
    assert router._timer is None or router._timer.cancelled()
