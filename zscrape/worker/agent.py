"""The DEALER shell around the WorkerLink: receive, decode, feed, perform, re-arm one timer.

The loop that beats never does the work: scripts run in children, hashing and building in
threads, so that nothing that works can block a heartbeat.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias, assert_never

import zmq

from zscrape import wire
from zscrape.core.credits import Side
from zscrape.core.effects import (
    Assignment,
    AttemptFenced,
    Exit,
    GatewayJoined,
    GatewayLost,
    Given,
    LinkEffect,
    Ready,
    Reopen,
    Seek,
    SendUp,
    Stop,
    Told,
)
from zscrape.core.errand import Errand
from zscrape.core.link import WorkerLink
from zscrape.errors import WireError
from zscrape.machine import Processors, memory_percent
from zscrape.model import Attempt, Load, Outcome, OutcomeCode, Pin, Record, RunSpec
from zscrape.monitor import event_of
from zscrape.worker.credentials import Credentials
from zscrape.worker.joining import JoinRefused, join

_NOBLOCK = int(zmq.NOBLOCK)
_EVENTS = int(zmq.EVENTS)
_POLLIN = int(zmq.POLLIN)
_POLLOUT = int(zmq.POLLOUT)
_DRAIN_LIMIT_COUNT = 64
# How long one question to the gateway may take, and how often it is asked again.
_NEED_TIMEOUT_S = 10.0
_NEED_TRY_COUNT = 3
_OBSERVE_INTERVAL_S = 1.0
# The gateway does not know our key; or what answers does not prove itself by the gateway's.
_FAILURES = int(zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
_NEXT_KEY_S = 0.2
# What is no part of the dialogue with the dispatcher.
_APART: Final = (wire.Keys, wire.Joined)
# The loop's timers count whole milliseconds from the start of a turn. One that came too early
# would find nothing due, and be set for no time at all until something is.
_TIMER_STEP_S = 0.001

# Every effect but those that most turns have: a send and a start.
_Deed: TypeAlias = (
    Ready | Stop | Reopen | Seek | Given | Told | Exit | GatewayJoined | GatewayLost | AttemptFenced
)

DEALER_OPTIONS: tuple[tuple[int, int], ...] = (
    # Nothing is queued for a gateway that is not connected: what waits would be stale by then,
    # and would reach a restarted gateway before Hello does (measured).
    (zmq.IMMEDIATE, 1),
    # libzmq dials again by itself, doubling up to the cap; WorkerLink opens a new socket when
    # the gateway is silent, which also covers a connection that is up but deaf.
    (zmq.RECONNECT_IVL, 200),
    (zmq.RECONNECT_IVL_MAX, 10_000),
    (zmq.MAXMSGSIZE, wire.FRAME_LIMIT_BYTES),
    (zmq.HANDSHAKE_IVL, 5_000),
    (zmq.SNDHWM, 10_000),
    (zmq.RCVHWM, 10_000),
    # WorkerLink hears when the gateway is silent: libzmq's own pings would tell nothing more.
    (zmq.TCP_KEEPALIVE, 1),
    # A socket that is given up takes nothing with it: the outbox sends again.
    (zmq.LINGER, 0),
)


class Work(Protocol):
    """What an agent has done at its gateway's word."""

    is_shared: bool  # by several agents

    def begin(self, assignment: Assignment, agent: Agent) -> None:
        """Run an attempt, which reports to `agent`."""
        ...

    def prepare(self, run: RunSpec) -> None:
        """Get a script ready."""
        ...

    def stop(self, task_id: str, attempt: int, code: OutcomeCode) -> None:
        """End an attempt."""
        ...

    def tell(self, tell: wire.Tell) -> None:
        """Answer what an attempt has asked."""
        ...

    def seek(self, attempt: Attempt, agent: Agent) -> None:
        """Give `agent` an attempt that another gateway has sent: its own has the task now."""
        ...

    def balance(self) -> None:
        """What this gateway has of the slots, or wants of them, may have changed."""
        ...


class Agent:
    """One worker's side of one link; made and used in one running event loop.

    `on_fact` hears GatewayJoined, GatewayLost and AttemptFenced; `warm` tells the digests of
    scripts that can start at once, `leftovers` how many processes attempts have left behind
    since it was asked last; `on_silence` hears the address of a gateway that does not
    answer a worker that it does not know yet.
    """

    def __init__(
        self,
        link: WorkerLink,
        *,
        credentials: Credentials,
        on_fact: Callable[[LinkEffect], None],
        on_silence: Callable[[str], None],
        warm: Callable[[], tuple[str, ...]],
        leftovers: Callable[[], int] = int,
    ) -> None:
        self._link = link
        self._credentials = credentials
        self._on_silence = on_silence
        self._is_refused = False  # the last connection was, or the last try to join
        self._joining: asyncio.Task[None] | None = None
        self._monitor: zmq.Socket[bytes] | None = None
        self._on_fact = on_fact
        self._warm = warm
        self._leftovers = leftovers
        self._leftover_count = 0  # told to this gateway
        self._work: Work  # given to `run`
        self._context = zmq.Context()
        self._hold(self._context.socket(zmq.DEALER))
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        self._needs: dict[int, asyncio.Future[bytes | None]] = {}
        self._exit: asyncio.Future[Exit] = self._loop.create_future()
        self._is_leaving = False
        self._server_key = b""  # by which the gateway proves itself now
        self._draining: asyncio.Handle | None = None  # set iff it is about to
        self._has_unsent = False  # something could not leave: the connection is not up yet
        self.garbage_count = 0
        self._processors = Processors()

    @property
    def side(self) -> Side:
        """What sharing the worker's slots goes by."""
        return self._link.side

    @property
    def granted_count(self) -> int:
        """How many attempts this gateway may have here at once."""
        return self._link.granted_count

    def grant(self, count: int) -> None:
        """Let this gateway have `count` attempts at once."""
        self._act(self._link.grant(count, now=time.monotonic()))

    def has(self, attempt: Attempt) -> bool:
        """True iff an attempt of this gateway runs, or its outcome is still owed."""
        return self._link.has(attempt)

    def part(self, attempt: Attempt) -> Errand | None:
        """Give an attempt away to another gateway; None iff it is not here, or ending."""
        return self._link.part(attempt)

    def take(self, errand: Errand) -> None:
        """Go on for this gateway with an attempt that another one has sent."""
        self._act(self._link.take(errand, now=time.monotonic()))

    def lack(self, attempt: Attempt) -> None:
        """Tell the gateway that an attempt which it asks for is nowhere here."""
        self._act(self._link.lack(attempt, now=time.monotonic()))

    async def run(self, work: Work) -> Exit:
        """Dial and serve until the link says to exit; returns why."""
        self._work = work
        self._observe()
        if self._credentials.is_known:
            self._open()
        else:
            self._join()
        try:
            return await self._exit
        finally:
            if self._joining is not None:
                self._joining.cancel()
                await asyncio.gather(self._joining, return_exceptions=True)
            self._stop_listening()
            if self._timer is not None:
                self._timer.cancel()
            # A Goodbye may still leave; nothing else matters any more.
            self._socket.setsockopt(zmq.LINGER, 300)
            self._context.destroy()

    def close(self) -> None:
        """Let go of the socket, also of an agent that was never run; again is no error."""
        self._context.destroy(linger=0)

    def drain(self) -> None:
        """Take nothing new; `run` returns once nothing is left."""
        self._act(self._link.drain(now=time.monotonic()))

    def prepare_to_leave(self) -> None:
        """Tell no more of what attempts say: they are about to be ended."""
        self._is_leaving = True

    def leave(self) -> None:
        """Say Goodbye, and let `run` return; to be called when no attempt runs any more.

        The gateway gives the attempts away as soon as it hears the Goodbye.
        """
        self._act(self._link.leave(now=time.monotonic()))

    async def fetch(self, pin: Pin) -> bytes | None:
        """Ask the gateway for a script's bytes; None when it does not have them or stays silent."""
        for _ in range(_NEED_TRY_COUNT):
            request, effects = self._link.need("script", pin.digest, now=time.monotonic())
            answer: asyncio.Future[bytes | None] = self._loop.create_future()
            self._needs[request] = answer
            self._act(effects)
            try:
                async with asyncio.timeout(_NEED_TIMEOUT_S):
                    return await answer
            except TimeoutError:
                continue  # the question or the answer was lost with its connection: ask again
            finally:
                del self._needs[request]
        return None

    # ---- SlotListener ----------------------------------------------------------------

    def on_started(self, task_id: str, attempt: int) -> None:
        """What comes next tells it: mostly the outcome."""

    def on_long(self, task_id: str, attempt: int) -> None:
        """The child runs the script, and is not about to be over."""
        if self._is_leaving:
            return
        self._act(self._link.started(task_id, attempt, now=time.monotonic()))

    def on_records(self, task_id: str, attempt: int, records: tuple[Record, ...]) -> None:
        """The attempt has said something."""
        if self._is_leaving:
            return
        self._act(self._link.emit(task_id, attempt, records, now=time.monotonic()))

    def on_ask(self, ask: wire.Ask) -> None:
        """The attempt asks the gateway for something."""
        if self._is_leaving:
            return
        self._act(self._link.ask(ask, now=time.monotonic()))

    def on_finished(self, task_id: str, attempt: int, outcome: Outcome) -> None:
        """The attempt has ended; the outcome is kept until the gateway has acknowledged it.

        While leaving it has not: it was ended, and another worker may run the task.
        """
        if self._is_leaving:
            return
        self._act(self._link.finished(task_id, attempt, outcome, now=time.monotonic()))
        if self._work.is_shared:
            self._work.balance()

    # ---- the pump --------------------------------------------------------------------

    def _join(self) -> None:
        """Have the gateway know this worker's key, then open the link by it."""

        async def join_then_open() -> None:
            try:
                await join(self._credentials, self._link.worker_id, on_silence=self._on_silence)
                self._is_refused = False
            except JoinRefused as refusal:
                # Perhaps it has joined and never heard so: a used-up token would not tell.
                if refusal.reason != "token" or self._is_refused:
                    self._end(refusal.reason, refusal.detail)
                    return
                self._is_refused = True
            self._joining = None
            self._reopen()

        self._joining = self._loop.create_task(join_then_open(), name="join")

    def _end(self, reason: str, detail: str) -> None:
        if not self._exit.done():
            self._exit.set_result(Exit(reason, detail))

    def _watch(self) -> None:
        """Hear how handshakes have failed."""
        while self._monitor is not None and not self._exit.done():
            try:
                event, _value = event_of(self._monitor.recv_multipart(_NOBLOCK))
            except zmq.Again:
                return
            if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                self._key_refused()
            elif self._credentials.has_choice:
                # It is not by this key that the gateway proves itself: try the next one, no
                # sooner than libzmq would try this one again.
                self._stop_watching()
                self._loop.call_later(_NEXT_KEY_S, self._reopen)

    def _key_refused(self) -> None:
        """The gateway does not know this worker's key (any more)."""
        if self._joining is None:
            if self._credentials.can_join and not self._is_refused:
                self._is_refused = True
                self._join()
            else:
                self._end("key", "")

    def _stop_listening(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._stop_watching()

    def _stop_watching(self) -> None:
        if self._monitor is not None:
            self._loop.remove_reader(self._monitor.fileno())
            self._socket.disable_monitor()
            self._monitor.close(linger=0)
            self._monitor = None

    def _open(self) -> None:
        self._server_key = self._credentials.apply(self._socket)
        for option, value in DEALER_OPTIONS:
            self._socket.setsockopt(option, value)
        if "[" in self._credentials.address:
            self._socket.setsockopt(zmq.IPV6, 1)
        self._monitor = self._socket.get_monitor_socket(_FAILURES)
        self._loop.add_reader(self._monitor.fileno(), self._watch)
        self._watch()  # its descriptor tells of nothing before a first look has found nothing
        self._socket.connect(self._credentials.address)
        self._loop.add_reader(self._socket.fileno(), self._drain)
        self._act(self._link.opened(now=time.monotonic()))

    def _reopen(self) -> None:
        """Give the socket up, with all that it still holds, for a new one."""
        if not self._exit.done() and self._joining is None:
            self._stop_listening()
            self._socket.close()
            self._hold(self._context.socket(zmq.DEALER))
            self._open()

    def _hold(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        # The backend's own: what stands before it only serves options of drafts.
        self._send_frame = super(zmq.Socket, socket).send

    def _has(self, event: int) -> bool:
        return int(self._socket.get(_EVENTS)) & event != 0

    def _drain(self) -> None:
        """Read until the socket would block: its descriptor is edge-triggered."""
        if self._draining is not None:  # to read in vain costs more than all else here
            self._draining.cancel()
            self._draining = None
        socket = self._socket
        if self._has_unsent and self._has(_POLLOUT):
            # The connection is up now: say Hello at once instead of at the next repetition.
            self._has_unsent = False
            self._perform(self._link.opened(now=time.monotonic()))
        for _ in range(_DRAIN_LIMIT_COUNT):
            try:
                message = wire.decode_gateway(socket.recv(_NOBLOCK))
            except zmq.Again:
                break
            except WireError:
                self.garbage_count += 1
                continue
            if isinstance(message, _APART):
                self._hear_apart(message)
            else:
                self._perform(self._link.receive(message, now=time.monotonic()))
            if socket is not self._socket or self._context.closed:
                return  # a message made us open a new socket, or leave
            # Mostly there is no second one: to look costs half of what failing to read does.
            if not self._has(_POLLIN):
                break
        else:
            self._drain_soon()
            return
        if self._work.is_shared:
            self._work.balance()

    def _hear_apart(self, message: wire.Keys | wire.Joined) -> None:
        """Hear what is no part of the dialogue with the dispatcher."""
        if isinstance(message, wire.Joined):
            self.garbage_count += 1
        elif self._server_key in message.keys:  # else it speaks of another gateway's
            self._credentials.remember(message.keys)

    def _tick(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        self._act(self._link.tick(now=time.monotonic()))
        if self._work.is_shared:
            self._work.balance()

    def _observe(self) -> None:
        """Take the machine's load and the warm scripts along with the next beat."""
        if self._exit.done():
            return
        self._loop.call_later(_OBSERVE_INTERVAL_S, self._observe)
        self._leftover_count += self._leftovers()
        load = Load(self._processors.percent(), memory_percent(), self._leftover_count)
        self._link.observe(load=load, warm=self._warm())

    def _act(self, effects: list[LinkEffect]) -> None:
        """Perform outside of `_drain`, which looks for more by itself."""
        # A send may have eaten the edge that announced a message (50 of 50 rounds, measured).
        if self._perform(effects) and not self._context.closed and self._has(_POLLIN):
            self._drain_soon()

    def _drain_soon(self) -> None:
        if self._draining is None:
            self._draining = self._loop.call_soon(self._drain_again)

    def _drain_again(self) -> None:
        self._draining = None
        if not self._context.closed:
            self._drain()

    def _perform(self, effects: list[LinkEffect]) -> bool:
        """Do what the link says, then re-arm the one timer; True iff something was sent."""
        has_sent = False
        try:
            for effect in effects:
                if isinstance(effect, SendUp):
                    has_sent = True
                    try:
                        self._send_frame(wire.encode(effect.message), _NOBLOCK)
                    except zmq.Again:
                        # Not connected, or the gateway does not read. Beats are made afresh, Hello
                        # and outcomes are repeated, records are asked for again: nothing is lost.
                        self._has_unsent = True
                elif isinstance(effect, Assignment):
                    self._work.begin(effect, self)
                else:
                    self._do(effect)
        finally:  # whatever one effect has come to, the link must go on beating
            if self._link.due_at < self._timer_at:
                self._arm()
        return has_sent

    def _do(self, effect: _Deed) -> None:
        match effect:
            case Ready(run=run):
                self._work.prepare(run)
            case Stop():
                self._work.stop(effect.task_id, effect.attempt, effect.code)
            case Seek(task_id=task_id, attempt=attempt):
                self._work.seek((task_id, attempt), self)
            case Reopen(delay_s=delay_s):
                self._loop.call_later(delay_s, self._reopen)
            case Given(request=request, body=body):
                self._answer(request, body)
            case Told(tell=tell):
                self._work.tell(tell)
            case Exit(reason=reason, detail=detail):
                self._end(reason, detail)
            case GatewayJoined() | GatewayLost() | AttemptFenced():
                self._note(effect)
            case _:
                assert_never(effect)

    def _note(self, fact: GatewayJoined | GatewayLost | AttemptFenced) -> None:
        if isinstance(fact, GatewayJoined):
            self._is_refused = False
            self._credentials.prefer(self._server_key)
        self._on_fact(fact)

    def _answer(self, request: int, body: bytes | None) -> None:
        answer = self._needs.get(request)
        if answer is not None and not answer.done():
            answer.set_result(body)

    def _arm(self) -> None:
        """Keep one timer, no later than the link's next deadline; early is harmless."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._link.due_at
        delay_s = max(0.0, self._timer_at - time.monotonic()) + _TIMER_STEP_S
        self._timer = self._loop.call_later(delay_s, self._tick)
