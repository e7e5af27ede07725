"""The ROUTER shell around the Dispatcher: the only file that touches that socket.

It does five things: receive, decode, feed, perform, re-arm one timer. What to do is decided
in `zscrape.core.dispatcher`; what has happened is told once, in order. Who may speak at all, and
for whom, is decided in `zscrape.gateway.gatekeeper`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeAlias, TypeGuard

import msgspec
import zmq

from zscrape import wire
from zscrape.core.dispatcher import Dispatcher
from zscrape.core.effects import (
    DispatcherEffect,
    GiveScript,
    Ignored,
    Question,
    Send,
    TaskAssigned,
)
from zscrape.core.history import History
from zscrape.core.snapshots import Explanation, LockSnapshot, Snapshot
from zscrape.errors import ConfigError, StorageError, WireError
from zscrape.gateway.facts import Hearers, tell
from zscrape.gateway.gatekeeper import Gatekeeper, Passage
from zscrape.gateway.guard import Guard
from zscrape.gateway.handshakes import Handshakes, close_in
from zscrape.gateway.linkkeys import LinkKeys
from zscrape.gateway.routeroptions import ROUTER_OPTIONS
from zscrape.gateway.severing import remote_of, sever
from zscrape.machine import keep_freed_memory
from zscrape.model import Attempt, RunSpec, TaskId, TaskSpec, WorkerId

# Plain ints: building pyzmq's flag enums costs more than the call (10 % of a worker's samples).
_NOBLOCK = int(zmq.NOBLOCK)
_MORE_NOBLOCK = int(zmq.SNDMORE) | _NOBLOCK
_EVENTS = int(zmq.EVENTS)
_POLLIN = int(zmq.POLLIN)
# Messages read, or sent, before the loop gets a turn: a flood must not starve HTTP.
_TURN_LIMIT_COUNT = 64
# A deadline that the loop has passed by this much without a tick: the timer is broken.
_OVERDUE_S = 5.0
# A timer that is this late means that the process stood still: stopped by a signal, swapped
# out, or its machine suspended. A busy loop is late by milliseconds.
_STALL_S = 1.0
# Of a thousand workers one is to be looked at each millisecond: they are looked at together.
_TICK_GAP_S = 0.02

# Connections whose sender is remembered; beyond that it is asked of libzmq again.
_PASSAGE_LIMIT_COUNT = 65_536
# Between telling a worker that it is revoked and cutting its connection.
_LAST_WORD_S = 0.2

# A message of up to this size is copied out of libzmq's: a view of it costs more than that.
_COPIED_BYTES = 65_536
_BIND_AGAIN_S = 0.02
# While no task is open, nobody waits for what workers say: it is read in bursts. Each on its
# own would cost a gateway of a thousand idle workers a wake-up for every beat.
_REST_S = 0.01

# What somebody says of who it is.
_INTRODUCTIONS: Final = (wire.Hello, wire.Join)

# What says when the number of a task's attempt is stored: None when it need not be, or is.
Fence: TypeAlias = Callable[[TaskId], "asyncio.Future[None] | None"]


def _grant_nothing(_run: RunSpec) -> dict[str, str]:
    """Grant no secret: a gateway without any."""
    return {}


def _know_nothing(_run: RunSpec) -> None:
    """Tell of no sites: attempts ask which have a budget."""


def _send_at_once(_task_id: TaskId) -> None:
    """Hold nothing back: the fence of a gateway that promises nothing beyond its own life."""


class Router:
    """Owns the ROUTER socket and the dispatcher behind it; made and used in one running loop.

    `hearers` are called in the loop's thread with every fact of their kinds, also before `submit`
    returns; a kind that nobody hears of is a KeyError. `pack` gives the bytes of a script by
    digest, or None. `fence` is asked with every Run: what it returns must be done before the Run
    may leave. `secrets_for` gives the values that a Run takes along, `budgeted_for` the sites that
    it must ask with care.
    `on_question` hears what attempts ask; the answer is given by `tell`.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        *,
        bind: str,
        gatekeeper: Gatekeeper,
        keys: LinkKeys,
        hearers: Hearers,
        pack: Callable[[str], Awaitable[bytes | None]],
    ) -> None:
        self.fence: Fence = _send_at_once
        self.secrets_for: Callable[[RunSpec], dict[str, str]] = _grant_nothing
        self.budgeted_for: Callable[[RunSpec], tuple[str, ...] | None] = _know_nothing
        self.on_question: Callable[[Question], None] = self._answer_nothing
        self._dispatcher = dispatcher
        self._bind = bind
        self._hearers = hearers
        self._pack = pack
        self._gatekeeper = gatekeeper
        self._keys = keys
        self._passages: dict[bytes, Passage] = {}
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.ROUTER)
        # The backend's own: what stands before it only serves options of drafts.
        self._send_frame = super(zmq.Socket, self._socket).send
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        self._ticked_at = float("-inf")
        self._resting: asyncio.TimerHandle | None = None  # iff the socket is not listened to
        self._read_at = float("-inf")
        self._beside: set[asyncio.Task[None]] = set()
        self._handshakes = Handshakes(
            self._context,
            admits=self._admits,
            on_refused=self._refused,
        )
        self._heard: dict[int, Passage] = {}  # by descriptor
        # What is decided is sent together: each message on its own would wake libzmq's thread.
        self._outbox: deque[Send] = deque()
        self._is_settling = False  # at the end of this turn of the loop
        self._has_sent = False  # in this turn, past the outbox
        self._guard = Guard(self._socket, heard=self._heard_count, on_cut=self._cut)
        self._garbage_count = 0
        self.endpoint = bind

    # ---- life ------------------------------------------------------------------------

    async def prove(self) -> None:
        """Prove that strangers are refused; to be called before `start`.

        Raises:
            ConfigError: They are not.
        """
        await self._handshakes.prove(self._keys.pair)

    def start(self) -> None:
        """Bind and begin to listen.

        Raises:
            ConfigError: The address cannot be bound.
        """
        close_in(self._socket, self._keys.pair)
        for option, value in ROUTER_OPTIONS:
            self._socket.setsockopt(option, value)
        if "[" in self._bind:
            self._socket.setsockopt(zmq.IPV6, 1)
        try:
            self._socket.bind(self._bind)
        except zmq.ZMQError as error:
            raise ConfigError(source=f"link {self._bind}", reason=str(error)) from error
        self.endpoint = str(self._socket.getsockopt_string(zmq.LAST_ENDPOINT)).rstrip("\0")
        self._loop.add_reader(self._socket.fileno(), self._on_readable)
        self._guard.start(self._port)
        self._tick()

    def stop(self) -> None:
        """Close the socket; workers notice by silence. Again is no error."""
        if self._socket.closed:
            return
        try:
            while self._outbox:
                self._post()
        finally:
            self._close()

    def _close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        if self._resting is not None:
            self._resting.cancel()
        self._guard.stop()
        self._handshakes.stop()
        if self._timer is not None:
            self._timer.cancel()
        for task in self._beside:
            task.cancel()
        # Closes the socket with its LINGER; a socket left open would hang term().
        self._context.destroy()

    # ---- what the gateway asks -------------------------------------------------------

    @property
    def garbage_count(self) -> int:
        """Frames that were no message of ours."""
        return self._garbage_count

    @property
    def _port(self) -> int:
        return int(self.endpoint.rpartition(":")[2])

    def fault(self) -> str:
        """Return why the link does not work: `closed`, `stalled`, or an empty text."""
        if self._socket.closed:
            return "closed"
        deadline = self._dispatcher.next_deadline()
        if deadline is not None and time.monotonic() - deadline > _OVERDUE_S:
            return "stalled"
        return ""

    def submit(self, spec: TaskSpec, *, is_free: bool = False) -> None:
        """Accept a task; of one that `is_free` no fence would hold back the first Run.

        Raises:
            QueueFull, LockHeld, Draining: It was not accepted and nothing has changed.
        """
        effects = self._dispatcher.submit(spec, now=time.monotonic())
        try:
            first = effects[0]
            if is_free and type(first) is TaskAssigned and first.task_id == spec.id:
                self._hand_on(effects)
        finally:  # it is accepted, whatever that has come to
            self._act(effects)

    def client_counts(self) -> dict[str, int]:
        """Return how many tasks of each client have not ended here."""
        return self._dispatcher.client_counts()

    def count_elsewhere(self, counts: Mapping[str, int]) -> None:
        """Count these tasks of clients too, which other gateways look after."""
        self._dispatcher.count_elsewhere(counts)

    def cancel(self, task_id: TaskId) -> None:
        """End a task; one that is unknown or final is left alone."""
        self._act(self._dispatcher.cancel(task_id, now=time.monotonic()))

    def wake(self, task_id: TaskId) -> None:
        """Queue a parked task again; see `Dispatcher.wake`."""
        self._act(self._dispatcher.wake(task_id, now=time.monotonic()))

    def restore(
        self, spec: TaskSpec, *, attempt: int, worker_id: WorkerId | None, history: History
    ) -> None:
        """Take up a task from before a restart; see `Dispatcher.restore`."""
        now = time.monotonic()
        restore = self._dispatcher.restore
        self._act(restore(spec, attempt=attempt, worker_id=worker_id, history=history, now=now))

    def restore_lock(self, key: str, holder: TaskId) -> None:
        """Hold a key whose holder ended just before a restart."""
        self._act(self._dispatcher.restore_lock(key, holder=holder, now=time.monotonic()))

    def hold_back(self, key: str, holder: TaskId) -> None:
        """Keep a key for a lease that a task of another gateway holds."""
        self._act(self._dispatcher.hold_back(key, holder=holder, now=time.monotonic()))

    def let_in(self, key: str) -> None:
        """Give a key that was held back to the first who waits for it."""
        self._act(self._dispatcher.let_in(key, now=time.monotonic()))

    def held_back(self) -> dict[str, TaskId | None]:
        """Return the keys that are held back, each with the first who waits for it here."""
        return self._dispatcher.held_back()

    def held_keys(self) -> dict[str, TaskId]:
        """Return the keys that are held here, each with its holder."""
        return self._dispatcher.held_keys()

    def stored(self, attempts: Iterable[Attempt]) -> None:
        """Note that the ends of attempts are stored: their workers may forget them."""
        if not self._socket.closed:
            self._act(self._dispatcher.stored(attempts, now=time.monotonic()))

    def drain_worker(self, worker_id: WorkerId, *, is_draining: bool) -> None:
        """Let a worker finish what it runs and take nothing new, or take work again.

        Raises:
            NotFound: There is no such worker.
        """
        now = time.monotonic()
        self._act(self._dispatcher.drain_worker(worker_id, is_draining, now=now))

    def expel(self, key: str, worker_id: WorkerId) -> None:
        """Cut off whoever came by a key that is not to be known any more."""
        for peer, passage in [*self._passages.items()]:
            if passage.key == key and not passage.is_closed:
                passage.is_closed = True
                self._send(peer, wire.encode(wire.Reject("revoked")))
                self._sever_soon(passage)
        self._look_again()
        self._act(self._dispatcher.expel(worker_id, now=time.monotonic()))

    def _sever_soon(self, passage: Passage) -> None:
        """Cut a connection once a last word has left; nothing that comes until then is heard."""
        self._loop.call_later(_LAST_WORD_S, sever, passage.descriptor, passage.remote, self._port)

    def tell_keys(self) -> None:
        """Tell every worker by which keys this gateway can be known."""
        told = wire.encode(wire.Keys(self._keys.public_keys))
        for peer, passage in [*self._passages.items()]:
            if passage.worker_id and not passage.is_closed:
                self._send(peer, told)
        self._look_again()

    async def change_key(self) -> None:
        """Listen by the key that is in use now; workers come back and what they run goes on."""
        self._socket.unbind(self.endpoint)
        self._socket.setsockopt(zmq.CURVE_SECRETKEY, self._keys.pair.secret)
        while not self._socket.closed:
            try:
                self._socket.bind(self.endpoint)
            except zmq.ZMQError:  # the old listener is closed by another thread, a moment later
                await asyncio.sleep(_BIND_AGAIN_S)
            else:
                return

    def prefetch(self, run: RunSpec, requires: frozenset[str]) -> tuple[WorkerId, ...]:
        """Have every worker that could run this get ready for it; returns which."""
        worker_ids = self._dispatcher.matching(requires)
        self._act(self._dispatcher.prefetch(run, worker_ids, now=time.monotonic()))
        return worker_ids

    def warm_on(self, digest: str) -> tuple[WorkerId, ...]:
        """Return the workers that have a script ready."""
        return self._dispatcher.warm_on(digest)

    def reset(self, dispatcher: Dispatcher) -> None:
        """Go on as another life of this gateway, with no task; workers notice by its boot.

        What the life before has decided and not sent yet is not sent any more.
        """
        self._outbox.clear()
        self._dispatcher = dispatcher
        self._arm()

    def refuse_new(self) -> None:
        """Take no further task: `submit` raises Draining from now on."""
        self._dispatcher.refuse_new(now=time.monotonic())
        self._arm()

    def snapshot(self) -> Snapshot:
        """Return the dispatcher at this moment."""
        return self._dispatcher.snapshot(now=time.monotonic())

    def locks(self) -> list[LockSnapshot]:
        """Return every key that is held, the longest held first."""
        return self._dispatcher.locks(now=time.monotonic())

    def break_lock(self, key: str, *, is_forced: bool) -> None:
        """End the holder of a key; see `Dispatcher.break_lock`.

        Raises:
            NotFound: Nobody holds this key.
        """
        now = time.monotonic()
        self._act(self._dispatcher.break_lock(key, is_forced=is_forced, now=now))

    def explain(self, task_id: TaskId) -> Explanation | None:
        """Say why a task waits or where it is; None once it is final or unknown."""
        return self._dispatcher.explain(task_id, now=time.monotonic())

    # ---- the pump --------------------------------------------------------------------

    def _on_readable(self) -> None:
        """Read at once, or with what else comes soon while nobody waits for what workers say."""
        if not self._dispatcher.tasks:
            rest_s = self._read_at + _REST_S - time.monotonic()
            if rest_s > 0:
                self._loop.remove_reader(self._socket.fileno())
                self._resting = self._loop.call_later(rest_s, self._wake)
                return
        self._drain()

    def _wake(self) -> None:
        """Listen again, and read what has come meanwhile."""
        if self._resting is not None and not self._socket.closed:
            self._resting.cancel()
            self._resting = None
            self._loop.add_reader(self._socket.fileno(), self._on_readable)
            self._drain()

    def _drain(self) -> None:
        """Read until the socket would block: its descriptor is edge-triggered."""
        if self._socket.closed:
            return  # a turn that was asked for before `stop`
        try:
            is_more = self._read_some()
            if (self._outbox and self._has_more()) or is_more:
                self._loop.call_soon(self._drain)
        finally:  # whatever one effect has come to, the others leave and the dispatcher ticks on
            if self._outbox:
                self._settle_later()
            if self._dispatcher.alarm.at < self._timer_at:
                self._arm()

    def _has_more(self) -> bool:
        """Send what waits, then look for messages: a send eats the edge that announces one."""
        if self._outbox:
            self._post()
        return bool(int(self._socket.getsockopt(_EVENTS)) & _POLLIN)

    def _read_some(self) -> bool:
        """Read until the socket would block; True when it is others' turn before that."""
        socket = self._socket
        for count in range(_TURN_LIMIT_COUNT):
            # Mostly one message comes alone. To be told so costs less than half of `Again`; to ask
            # before each of many would cost more.
            if count == 1 and not self._has_more():
                self._read_at = time.monotonic()
                return False
            try:
                peer = socket.recv(_NOBLOCK)
            except zmq.Again:
                if count:  # else a connection has come, and what it says is not to wait
                    self._read_at = time.monotonic()
                return False
            frame = socket.recv(_NOBLOCK, copy=False)
            passage = self._passages.get(peer)
            if passage is None:
                passage = self._let_in(peer, frame)
            is_more = frame.more
            if len(frame) <= _COPIED_BYTES:
                body: bytes | memoryview = frame.bytes
            else:
                keep_freed_memory()
                body = frame.buffer
            del frame  # a large one is held by its view, and not longer
            if is_more:
                while socket.recv(_NOBLOCK, copy=False).more:
                    pass
                self._garbage(peer, "more than one frame")
            else:
                self._hear(peer, passage, body)
        return True

    def _let_in(self, peer: bytes, frame: zmq.Frame) -> Passage:
        """Note what libzmq knows of the sender of a connection's first message.

        Who it is was proven in the handshake, so it holds for all that comes over it.
        """
        passage = self._gatekeeper.passage(str(frame.get("User-Id")))
        with suppress(zmq.ZMQError):  # a build that does not tell: what is unheard stays dialled
            passage.descriptor = int(frame.get("__fd"))
            passage.remote = remote_of(passage.descriptor)
        if len(self._passages) >= _PASSAGE_LIMIT_COUNT:  # a dropped one is looked up again
            del self._passages[next(iter(self._passages))]
        self._passages[peer] = self._heard[passage.descriptor] = passage
        return passage

    def _heard_count(self, descriptor: int) -> int:
        passage = self._heard.get(descriptor)
        return 0 if passage is None else passage.heard_count

    def _cut(self, address: str, reason: str) -> None:
        tell(
            Ignored(peer=b"", kind="connection", reason=f"{reason}, from {address}"), self._hearers
        )

    def _hear(self, peer: bytes, passage: Passage, frame: bytes | memoryview) -> None:
        passage.heard_count += 1
        try:
            message = wire.decode_worker(frame)
        except WireError as error:
            self._garbage(peer, error.reason)
            return
        # Nearly always somebody who has joined, and says nothing of who that is.
        is_stranger = passage.is_closed or not passage.worker_id
        if (is_stranger or isinstance(message, _INTRODUCTIONS)) and not self._is_passed_on(
            message, peer, passage
        ):
            return
        effects = self._dispatcher.receive(peer, message, now=time.monotonic())
        if effects:  # most beats change nothing
            self._perform(effects)

    def _is_passed_on(
        self, message: wire.Spoken, peer: bytes, passage: Passage
    ) -> TypeGuard[wire.WorkerMessage]:
        """Refuse what a connection may not say; True iff this is for the dispatcher."""
        reason = self._gatekeeper.refusal(passage, message)
        if reason:
            tell(Ignored(peer, type(message).__name__, reason), self._hearers)
            self._send(peer, wire.encode(wire.Reject(reason)))
            if passage.is_closed:
                self._sever_soon(passage)
            return False
        if isinstance(message, wire.Join):
            self._join(peer, passage, message)
            return False
        return True

    def _admits(self, key: bytes) -> str:
        """Return the user id of a key; whoever comes in does not wait for the socket's rest."""
        user_id = self._gatekeeper.admits(key, time.time())
        if user_id:
            self._loop.call_soon(self._expect)  # what it reads is not to hold up the answer
        return user_id

    def _expect(self) -> None:
        """Read now, and next time at once: somebody has come in and is about to speak."""
        self._wake()
        self._read_at = float("-inf")

    def _refused(self, address: str) -> None:
        """A key that nobody knows: its connection was never opened."""
        tell(
            Ignored(peer=b"", kind="handshake", reason=f"unknown key from {address}"), self._hearers
        )

    def _join(self, peer: bytes, passage: Passage, join: wire.Join) -> None:

        async def answer() -> None:
            try:
                reject = await self._gatekeeper.join(passage, join, time.time())
            except StorageError:
                return  # told by the store; the worker asks again
            if not self._socket.closed:
                self._send(peer, wire.encode(reject or wire.Joined(join.worker_id)))
                self._look_again()
            if reject is not None:
                tell(Ignored(peer, "Join", reject.reason), self._hearers)

        self._do_beside(answer(), "join")

    def _do_beside(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = self._loop.create_task(work, name=name)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    def _garbage(self, peer: bytes, reason: str) -> None:
        """A stranger costs one counted line, never the loop."""
        self._garbage_count += 1
        tell(Ignored(peer=peer, kind="garbage", reason=reason[:200]), self._hearers)

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._timer_at > _STALL_S:
            self._dispatcher.resumed(now=now)
        self._timer, self._timer_at, self._ticked_at = None, float("inf"), now
        self._act(self._dispatcher.tick(now=now))
        self._arm()

    def _hand_on(self, effects: list[DispatcherEffect]) -> None:
        """Send the Run of a task that has found a slot at once: what is told of it can wait.

        It stands behind the word of the slot. At once only the first of a turn is sent, since each
        message on its own wakes libzmq's thread, and only one that nothing is to be sent before.
        One that cannot leave stays among the effects.
        """
        send = effects[1]
        if type(send) is not Send:
            return
        if self._is_settling or self._outbox:
            self._outbox.append(send)
            del effects[1]
            return
        run, passage = send.message, self._passages.get(send.peer)
        if type(run) is not wire.Run or run.run.secrets:
            return
        if passage is not None and passage.is_closed:
            return
        if self._send(send.peer, wire.encode(self._complete(run) if run.run.kit else run)):
            self._has_sent = True
            del effects[1]

    def _act(self, effects: list[DispatcherEffect]) -> None:
        """Perform outside of `_drain`, which looks for more by itself."""
        try:
            self._perform(effects)
        finally:  # whatever one effect has come to
            if not self._is_settling:
                if self._outbox or self._has_sent or self._resting is not None:
                    self._settle_later()
                elif self._dispatcher.alarm.at < self._timer_at:
                    self._arm()

    def _look_again(self) -> None:
        """Read what has come: a send eats the edge that announces it (50 of 50, measured)."""
        self._has_sent = True
        self._settle_later()

    def _settle_later(self) -> None:
        """Send, look for messages and set the timer once for all that a turn has done."""
        if not self._is_settling:
            self._is_settling = True
            self._loop.call_soon(self._settle)

    def _settle(self) -> None:
        has_sent, self._has_sent, self._is_settling = self._has_sent, False, False
        if self._socket.closed:
            return
        is_more = False
        try:
            if self._outbox or has_sent:
                is_more = self._has_more()
        finally:  # as in `_drain`
            if self._outbox:
                self._settle_later()
            if self._dispatcher.alarm.at < self._timer_at:
                self._arm()
        if self._resting is not None:
            if self._dispatcher.tasks:
                self._wake()
        elif is_more:
            self._on_readable()

    def _perform(self, effects: list[DispatcherEffect]) -> None:
        """Note what is to be sent, and tell the facts."""
        hearers = self._hearers
        for effect in effects:
            hearing = hearers.get(type(effect))
            if hearing is not None:  # most are facts
                for hear in hearing:
                    hear(effect)
            elif type(effect) is Send:
                run = effect.message
                if type(run) is wire.Run and (stored := self.fence(run.task_id)) is not None:
                    self._hold(effect, run, stored)
                else:
                    self._outbox.append(effect)
            elif type(effect) is GiveScript:
                self._give(effect)
            elif type(effect) is Question:
                self.on_question(effect)
            else:  # nobody hears of it (yet): it would be lost
                raise KeyError(type(effect))

    def _post(self) -> None:
        """Send what waits for it, as much as a turn allows."""
        outbox = self._outbox
        room_count = _TURN_LIMIT_COUNT
        while outbox and room_count:
            send = outbox.popleft()
            peer, message = send.peer, send.message
            passage = self._passages.get(peer)
            if passage is not None and passage.is_closed:  # it has had its last word
                continue
            if type(message) is wire.Run and ((run := message.run).secrets or run.kit):
                message = self._complete(message)
            if self._send(peer, wire.encode(message)):
                room_count -= 1
                if type(message) is wire.Welcome:
                    self._send(peer, wire.encode(wire.Keys(self._keys.public_keys)))
            else:  # who is next is tried at once
                self._perform(self._dispatcher.undelivered(peer, message, now=time.monotonic()))

    def _complete(self, message: wire.Run) -> wire.Run:
        """Put into a Run what nothing that is kept has: values of secrets, and what holds now."""
        run = message.run
        return msgspec.structs.replace(
            message,
            secrets=self.secrets_for(run) if run.secrets else {},
            budgeted=self.budgeted_for(run) if run.kit else None,
        )

    def _hold(self, send: Send, run: wire.Run, stored: asyncio.Future[None]) -> None:
        """Hold a Run back until its number is stored: it fences every earlier attempt."""

        def release(done: asyncio.Future[None]) -> None:
            if done.cancelled() or done.exception() is not None or self._socket.closed:
                return
            if self._dispatcher.sent(run.task_id, run.attempt, now=time.monotonic()):
                self._outbox.append(send)
                self._settle_later()

        self._dispatcher.held(run.task_id, run.attempt)
        stored.add_done_callback(release)

    def _send(self, peer: bytes, frame: bytes) -> bool:
        if self._socket.closed:  # what ends after the link has is not told there any more
            return False
        try:
            self._send_frame(peer, _MORE_NOBLOCK)
            self._send_frame(frame, _NOBLOCK)
        except zmq.ZMQError as error:
            # EHOSTUNREACH: the peer is gone. EAGAIN: it has not read for 2,000 messages.
            if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                raise
            if error.errno == zmq.EHOSTUNREACH:
                self._passages.pop(peer, None)
            return False
        return True

    def tell(self, peer: bytes, tell: wire.Tell) -> None:
        """Answer what an attempt has asked; one whose connection is gone asks again."""
        self._act([Send(peer, tell)])

    def _answer_nothing(self, question: Question) -> None:
        """Refuse what nobody here answers."""
        ask = question.ask
        tell(Ignored(question.peer, ask.kind, "unsupported"), self._hearers)

    def _give(self, effect: GiveScript) -> None:

        async def give() -> None:
            body = await self._pack(effect.digest)
            # A worker that has gone meanwhile asks again over its next connection.
            self._act([Send(effect.peer, wire.Give(effect.request, body))])

        self._do_beside(give(), f"give {effect.digest}")

    def _arm(self) -> None:
        """Keep one timer for the dispatcher's next deadline; early is harmless."""
        deadline = self._dispatcher.next_deadline()
        if deadline is None or deadline >= self._timer_at or self._socket.closed:
            return
        at = max(deadline, self._ticked_at + _TICK_GAP_S)
        if at >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_later(max(0.0, at - time.monotonic()), self._tick)
