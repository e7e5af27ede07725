"""The link's door on real sockets: who gets in, for whom each may speak, and who is cut off."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio
from zmq.utils.monitor import parse_monitor_message

from tests.gateway.conftest import until
from tests.link_keys import local_door, make_known, show
from zscrape import wire
from zscrape.config.keyfiles import KeyPair, new_pair
from zscrape.core.dispatcher import Dispatcher
from zscrape.core.effects import DispatcherEffect, Ignored, WorkerJoined, WorkerLost
from zscrape.errors import ConfigError
from zscrape.gateway.facts import all_to
from zscrape.gateway.gatekeeper import Gatekeeper
from zscrape.gateway.joining import Joining
from zscrape.gateway.linkkeys import LinkKeys
from zscrape.gateway.router import Router
from zscrape.log import get_logger
from zscrape.model import (
    MIB,
    HeartbeatPolicy,
    Outcome,
    OutcomeCode,
    Pin,
    QueuePolicy,
    Record,
    RunSpec,
    TaskSpec,
)

_SILENCE_S = 0.4  # long enough for an answer on loopback, were there one


class Link:
    """A gateway's link, and what it has told."""

    def __init__(self, home: Path) -> None:
        self.told: list[DispatcherEffect] = []
        self.keys, self.door = local_door(home)
        self.dispatcher = Dispatcher(
            gateway_id="g", boot="b", heartbeat=HeartbeatPolicy(), queue=QueuePolicy()
        )
        self.router = Router(
            self.dispatcher,
            bind="tcp://127.0.0.1:0",
            gatekeeper=self.door,
            keys=self.keys,
            hearers=all_to(self.told.append),
            pack=self._pack,
        )
        self.joining = Joining(self.door, self.keys, self.router, (), get_logger())

    async def _pack(self, digest: str) -> bytes | None:
        return None

    def ignored(self, kind: str) -> list[str]:
        """Return why messages of a kind were ignored."""
        return [
            each.reason for each in self.told if isinstance(each, Ignored) and each.kind == kind
        ]

    def joined(self) -> list[str]:
        """Return who has joined."""
        return [each.worker_id for each in self.told if isinstance(each, WorkerJoined)]

    async def dealer(self, worker_id: str = "w") -> Dealer:
        """Return a connection by a key that is known for a worker."""
        pair = await make_known(self.keys, self.door, worker_id)
        return Dealer(self.router.endpoint, pair, self.keys.pair.public)


class Dealer:
    """A socket of whoever dials the link."""

    def __init__(self, endpoint: str, pair: KeyPair | None, server_key: bytes = b"") -> None:
        self.context = zmq.asyncio.Context()
        self.socket: Any = self.context.socket(zmq.DEALER)
        if pair is not None:
            show(self.socket, pair, server_key)
        self.monitor: Any = self.socket.get_monitor_socket()
        self.socket.connect(endpoint)

    async def say(self, *messages: wire.Spoken) -> None:
        """Send messages."""
        for message in messages:
            await self.socket.send(wire.encode(message))

    async def hear(self, kind: Any) -> Any:
        """Return the next message of a kind."""
        async with asyncio.timeout(40):
            while True:
                message = wire.decode_gateway(await self.socket.recv())
                if isinstance(message, kind):
                    return message

    async def until_event(self, event: int) -> None:
        """Wait until something has happened to the connection."""
        async with asyncio.timeout(40):
            while parse_monitor_message(await self.monitor.recv_multipart())["event"] != event:
                pass

    async def is_silent(self) -> bool:
        """True iff nothing comes."""
        return not await self.socket.poll(_SILENCE_S * 1000)

    def close(self) -> None:
        """Vanish."""
        self.context.destroy(linger=0)


@pytest.fixture
async def link(tmp_path: Path) -> AsyncIterator[Link]:
    """A link that listens."""
    link = Link(tmp_path)
    await link.router.prove()
    link.router.start()
    yield link
    link.joining.stop()
    link.router.stop()


def hello(worker_id: str = "w", session: str = "s") -> wire.Hello:
    """Return a worker's first words."""
    return wire.Hello(wire.PROTOCOL, worker_id, session, 1, 1)


# ---- strangers -----------------------------------------------------------------------


async def test_nobody_is_heard_without_encryption(link: Link) -> None:
    """A socket without CURVE gets no word in, and none out."""
    stranger = Dealer(link.router.endpoint, None)
    await stranger.until_event(int(zmq.EVENT_CONNECTED))

    stranger.socket.send(wire.encode(hello()), zmq.NOBLOCK)
    is_silent = await stranger.is_silent()
    stranger.close()

    assert is_silent
    assert link.told == []


async def test_a_wrong_server_key_opens_nothing(link: Link) -> None:
    """Whoever takes another for the gateway cannot even begin, known key or not."""
    pair = await make_known(link.keys, link.door, "w")
    stranger = Dealer(link.router.endpoint, pair, new_pair().public)

    await stranger.until_event(int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL))
    stranger.close()

    assert link.joined() == []


async def test_an_unknown_key_is_refused_in_the_handshake(link: Link) -> None:
    """It is told so by its own socket, the gateway tells one fact, and no message is read."""
    stranger = Dealer(link.router.endpoint, new_pair(), link.keys.pair.public)

    await stranger.until_event(int(zmq.EVENT_HANDSHAKE_FAILED_AUTH))
    stranger.close()

    assert link.ignored("handshake") == ["unknown key from 127.0.0.1"]
    assert link.router.garbage_count == 0


async def test_the_door_is_kept_by_one_after_the_other(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may come in may do so however many came before; strangers may at no time."""
    monkeypatch.setattr("zscrape.gateway.handshakes._FORMER_S", 0.0)
    handshakes = link.router._handshakes
    handshakes._shared_count = 2
    first = handshakes._sockets[-1]
    names = [f"w{number}" for number in range(7)]
    dealers = [await link.dealer(name) for name in names]
    for name, dealer in zip(names, dealers, strict=True):
        await dealer.say(hello(name))
        await dealer.hear(wire.Welcome)
    stranger = Dealer(link.router.endpoint, new_pair(), link.keys.pair.public)
    await stranger.until_event(int(zmq.EVENT_HANDSHAKE_FAILED_AUTH))

    for name, dealer in zip(names, dealers, strict=True):
        await dealer.say(hello(name))
        await dealer.hear(wire.Welcome)
    for dealer in (*dealers, stranger):
        dealer.close()

    assert link.joined() == names
    await until(lambda: len(handshakes._sockets) == 1)
    assert first.closed


async def test_the_door_is_kept_where_no_descriptor_is_free_for_the_next(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever kept it until then goes on, and a later one follows."""
    handshakes = link.router._handshakes
    handshakes._shared_count = 2
    first = handshakes._sockets[-1]
    made: list[str] = []

    class Scarce:
        def socket(self, kind: int) -> Any:
            made.append("socket")
            if len(made) == 1:
                raise zmq.ZMQError(24)
            return context.socket(kind)

    context = handshakes._context
    monkeypatch.setattr(handshakes, "_context", Scarce())
    for number in range(6):
        dealer = await link.dealer(f"w{number}")
        await dealer.say(hello(f"w{number}"))
        await dealer.hear(wire.Welcome)
        dealer.close()

    assert len(made) > 1
    assert handshakes._sockets[-1] is not first


async def test_many_questions_of_a_standstill_are_all_answered(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A door of before stays until nobody asks it any more."""
    monkeypatch.setattr("zscrape.gateway.handshakes._FORMER_S", 0.0)
    monkeypatch.setattr("zscrape.gateway.handshakes._DRAIN_LIMIT_COUNT", 1)
    link.router._handshakes._shared_count = 1
    pairs = [await make_known(link.keys, link.door, f"w{number}") for number in range(20)]
    dealers = [Dealer(link.router.endpoint, pair, link.keys.pair.public) for pair in pairs]

    for dealer in dealers:
        await dealer.until_event(int(zmq.EVENT_HANDSHAKE_SUCCEEDED))
    for dealer in dealers:
        dealer.close()

    assert link.ignored("handshake") == []


async def test_a_fault_in_one_answer_holds_up_no_other(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever it hit is refused and may dial again; the next one comes in."""
    admits, faults = link.router._handshakes._admits, ["once"]
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))

    def falter(key: bytes) -> str:
        if faults:
            raise RuntimeError(faults.pop())
        return admits(key)

    monkeypatch.setattr(link.router._handshakes, "_admits", falter)
    dealers = [await link.dealer(f"w{number}") for number in range(2)]
    for number, dealer in enumerate(dealers):
        await dealer.say(hello(f"w{number}"))
    # Which of the two it hits is not said: they dial at the same time.
    hearing = [asyncio.create_task(dealer.hear(wire.Welcome)) for dealer in dealers]
    welcomed, others = await asyncio.wait(hearing, return_when=asyncio.FIRST_COMPLETED)
    for each in others:
        each.cancel()
    await asyncio.wait(hearing)
    for dealer in dealers:
        dealer.close()

    assert [each.exception() for each in welcomed] == [None]
    assert [str(each["exception"]) for each in told] == ["once"]


async def test_a_door_that_lets_strangers_in_is_not_opened(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start-up test finds a handler that admits everybody."""
    monkeypatch.setattr(link.router._handshakes, "_admits", lambda key: "anybody")

    with pytest.raises(ConfigError, match="random key was let in"):
        await link.router.prove()


async def test_noise_on_the_port_is_no_message(link: Link) -> None:
    """HTTP, TLS, zeros and a claim of eight gibibytes end with their own connection."""
    host, _, port = link.router.endpoint.removeprefix("tcp://").rpartition(":")
    greeting = b"\xff" + b"\x00" * 8 + b"\x7f\x03\x01CURVE" + b"\x00" * 48
    for noise in (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x7f" * 500,
        b"\x00" * 4096,
        greeting + b"\x02" + (8 << 30).to_bytes(8, "big") + b"x" * 4096,
        greeting + b"\x06" + (8 << 30).to_bytes(8, "big") + b"x" * 4096,
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(noise)
        async with asyncio.timeout(40):
            try:
                writer.write_eof()
                while await reader.read(4096):
                    pass
            except OSError:
                pass  # reset or closed: either will do
        writer.close()

    assert link.told == []
    assert link.router.garbage_count == 0


# ---- for whom each may speak ---------------------------------------------------------


async def test_a_key_speaks_for_its_own_worker_only(link: Link) -> None:
    """A known key that says Hello as another worker is rejected; the other one is untouched."""
    first, second = await link.dealer("first"), await link.dealer("second")
    await first.say(hello("first"))
    await first.hear(wire.Welcome)

    await second.say(hello("first", "another"))
    reject = await second.hear(wire.Reject)
    snapshot = link.router.snapshot()
    first.close()
    second.close()

    assert reject.reason == "identity"
    assert link.joined() == ["first"]
    assert [worker.id for worker in snapshot.workers] == ["first"]


async def test_a_returning_id_with_another_key_does_not_join(link: Link) -> None:
    """An id belongs to the key that joined by it, also when a token lets another one knock."""
    await make_known(link.keys, link.door, "w")
    knocker = Dealer(link.router.endpoint, link.keys.local, link.keys.pair.public)

    await knocker.say(wire.Join(wire.PROTOCOL, "w", new_pair().public))
    reject = await knocker.hear(wire.Reject)
    knocker.close()

    assert reject.reason == "identity"


async def test_a_token_opens_nothing_but_joining(link: Link) -> None:
    """Over a token's connection only Join is heard; all else is refused and changes nothing."""
    knocker = Dealer(link.router.endpoint, link.keys.local, link.keys.pair.public)

    await knocker.say(hello(), wire.Need(1, "script", "sha256:0"))
    rejects = [await knocker.hear(wire.Reject) for _ in range(2)]
    knocker.close()

    assert [reject.reason for reject in rejects] == ["not_joined"] * 2
    assert link.joined() == []


async def test_answers_for_tasks_of_others_change_nothing(link: Link) -> None:
    """A worker that answers, refuses or tells of a task that another one runs is not believed."""
    owner, other = await link.dealer("owner"), await link.dealer("other")
    await owner.say(hello("owner"))
    await owner.hear(wire.Welcome)
    link.router.submit(TaskSpec(id="t", run=RunSpec(Pin("r", "s", "1.0.0", "sha256:0"))))
    run = await owner.hear(wire.Run)
    await other.say(hello("other"))
    await other.hear(wire.Welcome)

    await other.say(
        wire.Started("t", run.attempt),
        wire.Events("t", run.attempt, 0, ()),
        wire.Done("t", run.attempt, Outcome(OutcomeCode.OK, b'"forged"')),
        wire.Refused("t", run.attempt, "cannot"),
    )
    ack = await other.hear(wire.Ack)
    await owner.say(wire.Done("t", run.attempt, Outcome(OutcomeCode.OK, b"7")))
    stored = await owner.hear(wire.Stored)
    owner.close()
    other.close()

    assert ack.verdict == "stale"
    assert stored.attempts == (("t", run.attempt),)


async def test_the_same_hello_again_changes_nothing(link: Link) -> None:
    """A Hello that comes twice, also over another connection of the key, makes no second worker."""
    pair = await make_known(link.keys, link.door, "w")
    first = Dealer(link.router.endpoint, pair, link.keys.pair.public)
    again = Dealer(link.router.endpoint, pair, link.keys.pair.public)
    await first.say(hello(), hello())
    await first.hear(wire.Welcome)

    await again.say(hello())
    await until(lambda: bool(link.ignored("Hello")))
    snapshot = link.router.snapshot()
    first.close()
    again.close()

    assert link.ignored("Hello") == ["superseded"]
    assert [worker.id for worker in snapshot.workers] == ["w"]


async def test_giant_frames_cut_their_own_connection(link: Link) -> None:
    """A known worker that sends more than a frame may have is disconnected; others go on."""
    giant, other = await link.dealer("giant"), await link.dealer("other")
    await giant.say(hello("giant"))
    await giant.hear(wire.Welcome)
    giant.socket.send(bytes(wire.FRAME_LIMIT_BYTES + 1), zmq.NOBLOCK)

    await giant.until_event(int(zmq.EVENT_DISCONNECTED))
    await other.say(hello("other"))
    await other.hear(wire.Welcome)
    giant.close()
    other.close()

    assert link.joined() == ["giant", "other"]


async def test_a_busy_worker_is_not_cut(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever ends its messages may send any number of them."""
    monkeypatch.setattr("zscrape.gateway.guard.LIMIT_BYTES", 8 * MIB)
    monkeypatch.setattr("zscrape.gateway.guard._LOOK_S", 0.02)
    dealer = await link.dealer()
    await dealer.say(hello())
    await dealer.hear(wire.Welcome)

    for number in range(40):
        await dealer.say(wire.Events(f"t{number}", 1, 0, (Record("log", 0.0, bytes(MIB)),)))
    await until(lambda: len(link.ignored("Events")) == 40)
    dealer.close()

    assert link.ignored("connection") == []


async def test_connections_beyond_the_limit_are_cut(link: Link) -> None:
    """The newest go, whoever they are; those that are there stay."""
    dealer = await link.dealer()
    await dealer.say(hello())
    await dealer.hear(wire.Welcome)
    link.router._guard._limit_count = 3
    host, _, port = link.router.endpoint.removeprefix("tcp://").rpartition(":")

    idle = [socket.socket() for _ in range(6)]
    for each in idle:
        each.connect_ex((host, int(port)))  # one that is cut may hear of it while it connects
    await until(lambda: len(link.ignored("connection")) >= 4)
    await dealer.say(wire.Heartbeat("s", 1, 1))
    await dealer.hear(wire.GatewayHeartbeat)
    for each in idle:
        each.close()
    dealer.close()

    assert set(link.ignored("connection")) == {"too many connections, from 127.0.0.1"}


# ---- taking keys back ----------------------------------------------------------------


@pytest.mark.parametrize("act", ["revoke_worker", "remove_worker"])
async def test_a_live_connection_is_cut_at_once(link: Link, act: str) -> None:
    """A worker whose key is taken back is told, lost to the dispatcher, unheard, disconnected."""
    dealer = await link.dealer()
    await dealer.say(hello())
    await dealer.hear(wire.Welcome)
    link.router.submit(TaskSpec(id="t", run=RunSpec(Pin("r", "s", "1.0.0", "sha256:0"))))
    run = await dealer.hear(wire.Run)

    await getattr(link.joining, act)("w")
    await dealer.say(wire.Done("t", run.attempt, Outcome(OutcomeCode.OK, b'"late"')))
    reject = await dealer.hear(wire.Reject)
    await dealer.until_event(int(zmq.EVENT_DISCONNECTED))
    await dealer.until_event(int(zmq.EVENT_HANDSHAKE_FAILED_AUTH))
    workers = link.router.snapshot().workers
    dealer.close()

    assert reject.reason == "revoked"
    assert [each.reason for each in link.told if isinstance(each, WorkerLost)] == ["revoked"]
    assert link.ignored("Done") in (["revoked"], [])
    assert workers == ()


async def test_nothing_leaves_for_a_key_that_is_taken_back(link: Link) -> None:
    """What was decided before, and has not left, stays here: the refusal is the last word."""
    dealer = await link.dealer()
    await dealer.say(hello())
    await dealer.hear(wire.Welcome)
    peer, passage = next(iter(link.router._passages.items()))
    for number in range(300):
        link.router.tell(peer, wire.Tell("t", 1, number, b"1"))

    link.router.expel(passage.key, "w")
    await dealer.hear(wire.Reject)
    is_last = await dealer.is_silent()
    dealer.close()

    assert is_last


async def test_a_connection_from_before_is_cut_at_its_first_word(link: Link) -> None:
    """A handshake that was over before the key was taken back opens nothing after it."""
    dealer = await link.dealer()
    await dealer.until_event(int(zmq.EVENT_HANDSHAKE_SUCCEEDED))
    await link.joining.remove_worker("w")

    await dealer.say(hello())
    reject = await dealer.hear(wire.Reject)
    await dealer.until_event(int(zmq.EVENT_DISCONNECTED))
    dealer.close()

    assert reject.reason == "revoked"
    assert link.joined() == []


async def test_a_revoked_key_cannot_join_again(link: Link) -> None:
    """Neither by its own key nor, while it is remembered as revoked, by a token."""
    pair = await make_known(link.keys, link.door, "w")
    await link.joining.revoke_worker("w")
    knocker = Dealer(link.router.endpoint, link.keys.local, link.keys.pair.public)

    await knocker.say(wire.Join(wire.PROTOCOL, "w", pair.public))
    reject = await knocker.hear(wire.Reject)
    knocker.close()

    assert reject.reason == "revoked"


async def test_a_revoked_token_lets_nobody_in(link: Link) -> None:
    """Its open connections are cut too, and who has joined by it stays."""
    row, secret = await link.door.create_token("t", uses_limit_count=None, expires_at=None, now=1.0)
    token = _pair_of(secret)
    knocker = Dealer(link.router.endpoint, token, link.keys.pair.public)
    pair = new_pair()
    await knocker.say(wire.Join(wire.PROTOCOL, "w", pair.public))
    await knocker.hear(wire.Joined)

    await link.joining.revoke(row.id)
    await knocker.until_event(int(zmq.EVENT_HANDSHAKE_FAILED_AUTH))
    worker = Dealer(link.router.endpoint, pair, link.keys.pair.public)
    await worker.say(hello())
    welcome = await worker.hear(wire.Welcome)
    knocker.close()
    worker.close()

    assert welcome.gateway_id == "g"


# ---- another key of the gateway ------------------------------------------------------


async def test_workers_learn_the_next_key_before_it_is_taken(link: Link) -> None:
    """The next key is told to who is there and to who comes, and from the change on it serves."""
    pair = await make_known(link.keys, link.door, "w")
    dealer = Dealer(link.router.endpoint, pair, link.keys.pair.public)
    await dealer.say(hello())
    before = await dealer.hear(wire.Keys)
    link.joining.rotate(0.3)
    during = await dealer.hear(wire.Keys)
    await until(lambda: link.keys.next_pair is None)

    again = Dealer(link.router.endpoint, pair, during.keys[1])
    await again.say(hello(session="s2"))
    welcome = await again.hear(wire.Welcome)
    stale = Dealer(link.router.endpoint, pair, before.keys[0])
    await stale.until_event(int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL))
    for each in (dealer, again, stale):
        each.close()

    assert before.keys == during.keys[:1]
    assert link.keys.public_keys == during.keys[1:]
    assert welcome.gateway_id == "g"


async def test_a_change_that_was_announced_outlives_the_process(tmp_path: Path) -> None:
    """The next key and the moment are kept; a token made meanwhile carries both keys."""
    keys = LinkKeys(tmp_path)
    keys.announce(1_000.0)
    kept = LinkKeys(tmp_path)
    kept.switch()

    assert kept.public_keys == keys.public_keys[1:]
    assert LinkKeys(tmp_path).public_keys == keys.public_keys[1:]


def _pair_of(secret: bytes) -> KeyPair:
    from zscrape.config.keyfiles import pair_of

    return pair_of(secret)


def test_door_knows_nobody_at_first() -> None:
    """Without tokens and workers only the home folder's own token is admitted."""
    local = new_pair()
    door = Gatekeeper(local_key=local.public)

    assert door.admits(new_pair().public, 0.0) == ""
    assert door.admits(local.public, 0.0) != ""


def test_a_port_of_ours_alone_is_cut() -> None:
    """A descriptor that has meanwhile become another connection's is left alone."""
    from zscrape.gateway.severing import remote_of, sever

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        remote = remote_of(accepted.fileno())
        found = (
            sever(accepted.fileno(), remote, port + 1),
            sever(accepted.fileno(), ("127.0.0.1", 1), port),
            sever(accepted.fileno(), None, port),
            sever(accepted.fileno(), remote, port),
        )
        ended = client.recv(1)
        client.close()
        accepted.close()

    assert found == (False, False, False, True)
    assert ended == b""
