"""The worker's half of the dialogue with one gateway.

Pure: no socket, clock, log, randomness or await. Every method takes `now` (monotonic
seconds) and returns the effects to perform, in order.

Attempts go on while the link is down; their outcomes are kept and repeated until they are
acknowledged. Only an attempt with a lock has a lease: when no acknowledged beat has listed
it for too long, this worker ends it before the gateway gives it to another.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from math import inf
from typing import Any, Literal

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
from zscrape.core.ensure import ensure
from zscrape.core.errand import Errand, Errands
from zscrape.core.evidence import Beat, Evidence, pace_of
from zscrape.core.profile import Profile
from zscrape.core.questions import Questions
from zscrape.model import (
    MIB,
    Attempt,
    HeartbeatPolicy,
    Load,
    Outcome,
    OutcomeCode,
    ReconnectPolicy,
    Record,
    TaskId,
    WorkerFacts,
    WorkerId,
)
from zscrape.wire import (
    WARM_LIMIT_COUNT,
    Ack,
    Ask,
    Cancel,
    Claim,
    Drain,
    GatewayHeartbeat,
    GatewayMessage,
    Give,
    Goodbye,
    Prepare,
    Refused,
    Reject,
    Run,
    Started,
    Stored,
    Tell,
    Welcome,
    Who,
    WorkerMessage,
)

# A lost outcome is missed soon; a gateway that is busy storing is not flooded.
RESEND_S = 2.0
# A lost question is missed soon; one that a person answers is not asked too often.
ASK_AGAIN_S = 3.0
# Outcomes that wait for their Ack may take this much memory before new work is declined.
OUTBOX_LIMIT_BYTES = 64 * MIB


class _Phase(Enum):
    CLOSED = "closed"  # no socket
    GREETING = "greeting"  # Hello said, not yet welcome
    JOINED = "joined"


class WorkerLink:
    """Speak for one worker process with one gateway.

    `spread` (0 to 1) is this worker's place among its like: it staggers reconnects.
    """

    def __init__(
        self,
        *,
        worker_id: WorkerId,
        session: str,
        slots: int,
        tags: tuple[str, ...],
        facts: WorkerFacts,
        reconnect: ReconnectPolicy,
        spread: float,
    ) -> None:
        self.worker_id = worker_id
        self._profile = Profile(
            worker_id=worker_id, session=session, slots=slots, tags=tags, facts=facts
        )
        self._granted_count = slots
        self._queued_count = 0
        self._reconnect = reconnect
        self._spread = spread
        heartbeat = HeartbeatPolicy()  # until a Welcome says better
        self._interval_s = heartbeat.interval_s
        self._lost_after_s = heartbeat.lost_after_s
        self._lease_s = heartbeat.lease_s
        self._pace = pace_of(interval_s=self._interval_s, lease_s=self._lease_s)
        self._phase = _Phase.CLOSED
        self._connection = 0
        self._reopen_count = 0  # since the last Welcome
        self._boot = ""
        self._heard_at = 0.0
        self._greeted_at = 0.0
        self._beat_at = 0.0
        self._speak_at = 0.0  # next Hello or beat, by phase
        self._evidence = Evidence()
        self._errands = Errands()
        self._questions = Questions()
        self._ask_at = inf  # iff something that runs may wait for an answer
        self._is_draining = False  # this worker's own wish
        self._is_drained_by_gateway = False
        self._has_exited = False
        self._out: list[LinkEffect] = []
        # By when `tick` is to be called: no later than `next_deadline` says; early is harmless.
        self.due_at = inf
        self._handlers: dict[type, Callable[[Any, float], None]] = {
            Welcome: self._heard_welcome,
            GatewayHeartbeat: self._heard_heartbeat,
            Prepare: self._heard_prepare,
            Cancel: self._heard_cancel,
            Claim: self._heard_claim,
            Drain: self._heard_drain,
            Give: self._heard_give,
            Tell: self._heard_tell,
            Stored: self._heard_stored,
            Ack: self._heard_ack,
            Who: self._heard_who,
            Reject: self._heard_reject,
        }

    @property
    def running(self) -> tuple[Attempt, ...]:
        """Attempts that fill a slot, those that are being ended included."""
        return tuple(self._errands.running)

    @property
    def granted_count(self) -> int:
        """How many attempts the gateway may have here at once."""
        return self._granted_count

    @property
    def side(self) -> Side:
        """What sharing the worker's slots goes by."""
        is_joined = self._phase is _Phase.JOINED and not self._is_drained_by_gateway
        return Side(len(self._errands.running), self._queued_count, is_joined)

    # ---- calls from the socket -------------------------------------------------------

    def opened(self, *, now: float) -> list[LinkEffect]:
        """A fresh socket is open: say Hello."""
        if not self._connection:
            self._evidence.begin(now)
            self._errands.forget(now)
        self._greet(now)
        return self._flush()

    def receive(self, message: GatewayMessage, *, now: float) -> list[LinkEffect]:
        """Hear what the gateway said."""
        if self._phase is _Phase.CLOSED:
            return []
        self._heard_at = now
        if type(message) is Run:  # as most are; it has told its own moment
            return self._heard_run(message, now)
        self._handlers[type(message)](message, now)
        return self._flush()

    # ---- calls from the worker -------------------------------------------------------

    def started(self, task_id: TaskId, attempt: int, *, now: float) -> list[LinkEffect]:
        """The child runs the script, and is not about to be over.

        Of most this need not be said: what they say, or their outcome, tells it.
        """
        errand = self._errands.running.get((task_id, attempt))
        if errand is not None and errand.is_wanted and not errand.is_started:
            errand.is_started = True
            self._send_joined(Started(task_id, attempt))
        return self._taken()

    def emit(
        self, task_id: TaskId, attempt: int, records: tuple[Record, ...], *, now: float
    ) -> list[LinkEffect]:
        """The script has said something."""
        errand = self._errands.running.get((task_id, attempt))
        if errand is not None and errand.is_wanted:
            errand.is_started = True
            errand.records.extend(records)
            self._send_records(errand)
        return self._taken()

    def finished(
        self, task_id: TaskId, attempt: int, outcome: Outcome, *, now: float
    ) -> list[LinkEffect]:
        """The attempt has ended and its slot is free; all its records came before."""
        ended = task_id, attempt
        errand = self._errands.running.pop(ended, None)
        if errand is None:
            return []
        if errand.is_wanted:
            self._errands.keep(ended, errand, outcome)
            self._send_done(errand, now)
        else:
            # It may still count there as running, as after a fence: it is not.
            self._send(Refused(task_id, attempt, "stale"))
        return self._taken()

    def refuse(
        self,
        task_id: TaskId,
        attempt: int,
        reason: Literal["full", "draining", "cannot", "stale"],
        outcome: Outcome | None = None,
        *,
        now: float,
    ) -> list[LinkEffect]:
        """The worker does not take an attempt after all; its slot is free."""
        if self._errands.running.pop((task_id, attempt), None) is not None:
            self._send(Refused(task_id, attempt, reason, outcome))
        return self._flush()

    def has(self, attempt: Attempt) -> bool:
        """True iff an attempt runs here, or its outcome is still owed."""
        return attempt in self._errands.running or attempt in self._errands.outbox

    def part(self, attempt: Attempt) -> Errand | None:
        """Give an attempt away to another gateway's link; None iff it is not here, or ending.

        Should this gateway send it (again), it does not start.
        """
        self._errands.see(attempt)
        errand = self._errands.running.get(attempt) or self._errands.outbox.get(attempt)
        if errand is None or not errand.is_wanted:
            return None
        self._errands.running.pop(attempt, None)
        self._errands.settle(attempt)
        return errand

    def take(self, errand: Errand, *, now: float) -> list[LinkEffect]:
        """Go on for this gateway with an attempt that another one has sent."""
        self._errands.see(errand.attempt)
        errand.connection = self._connection
        errand.resend_at = inf
        if errand.outcome is None:
            self._errands.running[errand.attempt] = errand
            self._ask_at = now
            self._wake(errand.fence_at)
            self._tell_of(errand, now)
        else:
            self._errands.keep(errand.attempt, errand, errand.outcome)
            self._send_done(errand, now)
        return self._flush()

    def lack(self, attempt: Attempt, *, now: float) -> list[LinkEffect]:
        """Tell the gateway that no link has an attempt, and that it will never start here."""
        self._errands.see(attempt)
        self._send_joined(Refused(*attempt, "stale"))
        return self._flush()

    def need(
        self, kind: Literal["script"], key: str, *, now: float
    ) -> tuple[int, list[LinkEffect]]:
        """Ask the gateway for something; return the number that its `Given` will carry."""
        need = self._questions.ask(kind, key, now=now)
        self._send_joined(need)
        return need.request, self._flush()

    def ask(self, ask: Ask, *, now: float) -> list[LinkEffect]:
        """Ask the gateway for an attempt that runs; `Told` has the answer, unless it ends first."""
        errand = self._errands.running.get((ask.task_id, ask.attempt))
        if errand is not None and errand.is_wanted:
            errand.is_started = True
            errand.asks[ask.request] = ask
            self._send_joined(ask)
            self._ask_at = min(self._ask_at, now + ASK_AGAIN_S)
        return self._flush()

    def introduce(self, facts: WorkerFacts) -> None:
        """Change what this worker says of itself; before it is opened for the first time."""
        self._profile.facts = facts

    def grant(self, count: int, *, now: float) -> list[LinkEffect]:
        """Let this gateway have `count` attempts at once; more than that are refused."""
        if count != self._granted_count:
            self._granted_count = count
            if self._phase is _Phase.JOINED:
                self._beat(now)
        return self._flush()

    def observe(self, *, load: Load, warm: tuple[str, ...]) -> None:
        """Note what the next beat tells of this machine."""
        self._profile.load = load
        self._profile.warm = warm[-WARM_LIMIT_COUNT:]

    def drain(self, *, now: float) -> list[LinkEffect]:
        """Take nothing new; `Exit` comes once all has ended and every outcome is acknowledged.

        When the gateway is silent by then, the outcomes that are left die with the worker: the
        gateway, should it live, takes their attempts for lost.
        """
        self._is_draining = True
        if self._phase is _Phase.JOINED:
            self._beat(now)
        return self._flush()

    def leave(self, *, now: float) -> list[LinkEffect]:
        """Say Goodbye and go; to be called when no attempt runs any more."""
        self._send(Goodbye(self._profile.session))
        self._go("left")
        return self._flush()

    # ---- time ------------------------------------------------------------------------

    def tick(self, *, now: float) -> list[LinkEffect]:
        """Do what is due: Hello or beat, silence, leases, repetitions."""
        if self._errands.forget_at <= now:
            self._errands.forget(now)
        if self._errands.wake_at <= now:
            self._tick_running(now)
        if self._phase is _Phase.GREETING:
            self._tick_greeting(now)
        elif self._phase is _Phase.JOINED:
            self._tick_joined(now)
        return self._flush()

    def next_deadline(self) -> float | None:
        """Return the moment by which `tick` is to be called, or None while nothing waits.

        `due_at` tells it, too, and costs nothing.
        """
        if not self._connection:
            return None
        errands = self._errands
        if self._phase is _Phase.JOINED:
            return min(
                errands.forget_at,
                errands.wake_at,
                self._speak_at,
                self._heard_at + self._lost_after_s,
                self._questions.repeat_at,
                self._ask_at,
                errands.repeat_at,
            )
        if self._phase is _Phase.GREETING:
            silent_at = self._greeted_at + self._lost_after_s
            return min(errands.forget_at, errands.wake_at, self._speak_at, silent_at)
        return min(errands.forget_at, errands.wake_at)

    def _tick_running(self, now: float) -> None:
        for errand in [*self._errands.running.values()]:
            if errand.fence_at <= now:
                self._out.append(AttemptFenced(*errand.attempt))
                self._disown(errand)
        self._errands.rewind_wake()

    def _tick_greeting(self, now: float) -> None:
        if self._greeted_at + self._lost_after_s <= now:
            self._reopen()
        elif self._speak_at <= now:
            self._say_hello(now)

    def _tick_joined(self, now: float) -> None:
        if self._heard_at + self._lost_after_s <= now:
            self._out.append(GatewayLost(now - self._heard_at))
            self._reopen()
            return
        if self._speak_at <= now:
            self._beat(now)
        if self._errands.repeat_at <= now:
            self._send_again(now)
        if self._questions.repeat_at <= now:
            self._ask_again(now)
        if self._ask_at <= now:
            self._ask_for_attempts(now)

    def _send_again(self, now: float) -> None:
        for errand in self._errands.outbox.values():
            if errand.resend_at <= now:
                self._send_done(errand, now)
        self._errands.rewind_repeat()

    # ---- what the gateway said -------------------------------------------------------

    def _heard_welcome(self, welcome: Welcome, now: float) -> None:
        self._interval_s = welcome.interval_ms / 1000
        self._lost_after_s = self._interval_s * welcome.missed_count
        self._lease_s = welcome.lease_ms / 1000
        self._pace = pace_of(interval_s=self._interval_s, lease_s=self._lease_s)
        self._is_drained_by_gateway = welcome.is_draining
        if self._phase is _Phase.JOINED:
            return  # an answer to a repeated Hello: what it keeps is older than what runs
        self._phase = _Phase.JOINED
        self._reopen_count = 0
        is_restart = self._boot not in ("", welcome.boot)
        self._boot = welcome.boot
        self._out.append(GatewayJoined(welcome.gateway_id, is_restart))
        keep = set(welcome.keep)
        for errand in [*self._errands.running.values()]:
            if errand.attempt in keep or errand.connection == self._connection:
                self._resume(errand)
            else:
                self._disown(errand)
        for errand in self._errands.outbox.values():
            self._send_done(errand, now)
        self._ask_again(now)
        self._ask_for_attempts(now)
        self._profile.warm_known = None
        self._beat(now)

    def _resume(self, errand: Errand) -> None:
        """Tell again what the gateway may have missed of an attempt that goes on."""
        if errand.is_started and errand.is_wanted:
            self._send(Started(*errand.attempt))
            self._send_records(errand)

    def _heard_heartbeat(self, beat: GatewayHeartbeat, now: float) -> None:
        if self._phase is not _Phase.JOINED:
            return
        if beat.boot != self._boot:
            self._greet(now)
            return
        self._is_drained_by_gateway = beat.is_draining
        self._queued_count = beat.queued
        acked = self._evidence.of(beat.ack)
        if acked is not None:
            self._heard_proof(acked)
        if now - self._beat_at >= self._interval_s / 2:
            self._beat(now)

    def _heard_proof(self, acked: Beat) -> None:
        """Note that the gateway has heard a beat."""
        for attempt in acked.listed:
            errand = self._errands.running.get(attempt)
            if errand is not None:
                self._renew(errand, acked.sent_at)
        if acked.warm is not None:
            self._profile.warm_known = acked.warm

    def _heard_run(self, run: Run, now: float) -> list[LinkEffect]:
        attempt, errands = (run.task_id, run.attempt), self._errands
        if not errands.see(attempt):
            errand = errands.outbox.get(attempt)
            if errand is not None:
                self._send_done(errand, now)
            return self._taken()
        evidence = None
        if run.lease_ms:
            evidence = self._evidence.of(run.ack)
            if evidence is None or now - evidence.sent_at >= run.lease_ms / 1000:
                self._send(Refused(*attempt, "stale"))
                return self._taken()
        is_draining = self._is_draining or self._is_drained_by_gateway
        if is_draining or len(errands.running) >= self._granted_count:
            self._send(Refused(*attempt, "draining" if is_draining else "full"))
            return self._taken()
        errand = errands.running[attempt] = Errand(run, self._connection)
        if evidence is not None:
            self._renew(errand, evidence.sent_at)
            self._speak_at = min(self._speak_at, max(now, self._beat_at + self._pace.leased_s))
            self._due(self._speak_at)
        return [
            Assignment(
                run.task_id,
                run.attempt,
                run.run,
                run.params,
                None if run.remaining_ms is None else now + run.remaining_ms / 1000,
                evidence is not None,
                run.secrets,
                run.trace_id,
                run.client,
                budgeted=run.budgeted,
            )
        ]

    def _heard_cancel(self, cancel: Cancel, now: float) -> None:
        attempt = (cancel.task_id, cancel.attempt)
        errand = self._errands.running.get(attempt)
        if errand is not None:
            if not errand.is_stopping:
                errand.is_stopping = True
                self._out.append(Stop(*attempt, cancel.code, True))
        elif attempt in self._errands.outbox:
            self._send_done(self._errands.outbox[attempt], now)
        else:
            # Overtaken its Run, or late: either way it is not here and never will be.
            self._errands.see(attempt)
            self._send(Refused(*attempt, "stale"))

    def _heard_claim(self, claim: Claim, now: float) -> None:
        attempt = (claim.task_id, claim.attempt)
        if attempt in self._errands.running:
            self._tell_of(self._errands.running[attempt], now)
        elif attempt in self._errands.outbox:
            self._send_done(self._errands.outbox[attempt], now)
        else:
            self._out.append(Seek(*attempt))

    def _tell_of(self, errand: Errand, now: float) -> None:
        """Have the gateway know that an attempt runs here, and what it has said."""
        if self._phase is _Phase.JOINED:
            self._beat(now)
            self._resume(errand)

    def _heard_drain(self, drain: Drain, now: float) -> None:
        self._is_drained_by_gateway = drain.is_draining
        if self._phase is _Phase.JOINED:
            self._beat(now)

    def _heard_prepare(self, prepare: Prepare, now: float) -> None:
        if not self._is_draining:
            self._out.append(Ready(prepare.run))

    def _heard_give(self, give: Give, now: float) -> None:
        if self._questions.answer(give.request):
            self._out.append(Given(give.request, give.body))

    def _heard_tell(self, tell: Tell, now: float) -> None:
        errand = self._errands.running.get((tell.task_id, tell.attempt))
        if errand is not None and errand.asks.pop(tell.request, None) is not None:
            self._out.append(Told(tell))

    def _heard_ack(self, ack: Ack, now: float) -> None:
        attempt = (ack.task_id, ack.attempt)
        errand = self._errands.outbox.get(attempt)
        if ack.verdict == "resend":
            if errand is not None:
                errand.rewind(ack.received)
                self._send_done(errand, now)
            elif attempt in self._errands.running:
                self._errands.running[attempt].rewind(ack.received)
                self._send_records(self._errands.running[attempt])
        else:
            self._errands.settle(attempt)

    def _heard_stored(self, stored: Stored, now: float) -> None:
        self._errands.settle_all(stored.attempts)

    def _heard_who(self, who: Who, now: float) -> None:
        # While greeting, Hello is on its way or will be repeated in a moment.
        if self._phase is _Phase.JOINED:
            self._greet(now)

    def _heard_reject(self, reject: Reject, now: float) -> None:
        self._go(reject.reason, reject.detail)

    # ---- small parts -----------------------------------------------------------------

    def _go(self, reason: str, detail: str = "") -> None:
        self._phase = _Phase.CLOSED
        if not self._has_exited:
            self._has_exited = True
            self._out.append(Exit(reason, detail))

    def _greet(self, now: float) -> None:
        self._phase = _Phase.GREETING
        self._connection += 1
        self._greeted_at = now
        self._say_hello(now)

    def _say_hello(self, now: float) -> None:
        self._speak_at = now + self._interval_s
        self._send(
            self._profile.hello(
                limit=self._limit(),
                running=tuple(self._errands.running),
                finished=tuple(self._errands.outbox),
                is_draining=self._is_draining,
                connection=self._connection,
            )
        )

    def _beat(self, now: float) -> None:
        self._beat_at = now
        self._speak_at = now + self._rest_s()
        listed = tuple(self._errands.running)
        beat = Beat(now, listed, self._profile.warm)
        seq = self._evidence.note(beat, lease_s=self._lease_s)
        self._send(
            self._profile.beat(
                seq, limit=self._limit(), running=listed, is_draining=self._is_draining
            )
        )

    def _rest_s(self) -> float:
        """Return how long after a beat the next one is due, asked for or not."""
        if any(errand.fence_at < inf for errand in self._errands.running.values()):
            return self._pace.leased_s
        return self._pace.idle_s

    def _limit(self) -> int:
        declines = (
            self._is_draining
            or self._is_drained_by_gateway
            or self._errands.outbox_bytes > OUTBOX_LIMIT_BYTES
        )
        return 0 if declines else self._granted_count

    def _reopen(self) -> None:
        self._phase = _Phase.CLOSED
        if self._is_draining and not self._errands.running:
            self._go("drained")  # nobody is there to take what is left
            return
        policy = self._reconnect
        # Two to the 16th is beyond any cap; without a bound a float would overflow in the end.
        delay_s = min(policy.cap_s, policy.first_s * 2 ** min(self._reopen_count, 16))
        self._reopen_count += 1
        self._out.append(Reopen(delay_s * (1 - self._spread / 2)))

    def _disown(self, errand: Errand) -> None:
        """End an attempt whose outcome nobody will take. It keeps its slot until it has ended."""
        if errand.is_wanted:
            errand.disown()
            errand.is_stopping = True
            self._out.append(Stop(*errand.attempt, OutcomeCode.CANCELLED, False))

    def _renew(self, errand: Errand, since: float) -> None:
        errand.renew(since)
        self._wake(errand.fence_at)

    def _wake(self, at: float) -> None:
        if at < self._errands.wake_at:
            self._errands.wake_at = at
            self._due(at)

    def _due(self, at: float) -> None:
        if at < self.due_at:
            self.due_at = at

    def _ask_again(self, now: float) -> None:
        for need in self._questions.repeat(now=now):
            self._send(need)

    def _ask_for_attempts(self, now: float) -> None:
        asks = [ask for errand in self._errands.running.values() for ask in errand.asks.values()]
        for ask in asks:
            self._send(ask)
        self._ask_at = now + ASK_AGAIN_S if asks else inf

    def _send_records(self, errand: Errand) -> None:
        if self._phase is _Phase.JOINED:
            while (events := errand.events()) is not None:
                self._send(events)

    def _send_done(self, errand: Errand, now: float) -> None:
        errand.resend_at = now + RESEND_S
        if errand.resend_at < self._errands.repeat_at:
            self._errands.repeat_at = errand.resend_at
            self._due(errand.resend_at)
        if self._phase is _Phase.JOINED:
            if errand.records and errand.has_long_tail:
                self._send_records(errand)
            self._out.append(SendUp(errand.done()))

    def _send_joined(self, message: WorkerMessage) -> None:
        """Send what would only make a gateway that does not know us ask who speaks."""
        if self._phase is _Phase.JOINED:
            self._send(message)

    def _send(self, message: WorkerMessage) -> None:
        if self._phase is not _Phase.CLOSED:
            self._out.append(SendUp(message))

    def _flush(self) -> list[LinkEffect]:
        out = self._taken()
        deadline = self.next_deadline()
        self.due_at = inf if deadline is None else deadline
        return out

    def _taken(self) -> list[LinkEffect]:
        """Return what is to be done, where no moment is new but those that `_due` was told."""
        if self._is_draining and not self._has_exited:
            self._end_if_empty()
        out = self._out
        self._out = []
        return out

    def _end_if_empty(self) -> None:
        if not self._errands.running and not self._errands.outbox:
            self._send(Goodbye(self._profile.session))
            self._go("drained")

    def check(self) -> None:
        """Prove the invariants.

        Raises:
            AssertionError: One is broken; its text says which.
        """
        deadline = self.next_deadline()
        ensure(deadline is None or self.due_at <= deadline, "no moment is unnoticed")
        self._errands.check(self._profile.slots)
