"""A dispatcher on a bench: short words for what workers say, and `check()` after every call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zscrape.core.dispatcher import Dispatcher
from zscrape.core.effects import DispatcherEffect, Send
from zscrape.model import (
    Attempt,
    HeartbeatPolicy,
    Outcome,
    OutcomeCode,
    Pin,
    QueuePolicy,
    RunSpec,
    TaskSpec,
    WorkerFacts,
)
from zscrape.wire import (
    PROTOCOL,
    Done,
    GatewayHeartbeat,
    Heartbeat,
    Hello,
    Run,
    WorkerMessage,
)

OK = Outcome(OutcomeCode.OK, data=b"1")
HEARTBEAT = HeartbeatPolicy(interval_s=1.0, missed_count=3, lease_s=10.0, margin_s=2.0)


def spec(
    task_id: str, *, digest: str = "sha256:0", kit: tuple[str, ...] = (), **asked: Any
) -> TaskSpec:
    """Return a task that asks for nothing but what is said."""
    run = RunSpec(Pin("r", "script", "1.0.0", digest), kit=kit)
    return TaskSpec(id=task_id, run=run, **asked)


def sends(effects: list[DispatcherEffect], kind: type) -> list[Any]:
    """Return the messages of one kind that are to be sent."""
    return [
        effect.message
        for effect in effects
        if isinstance(effect, Send) and type(effect.message) is kind
    ]


def facts(effects: list[DispatcherEffect], kind: type) -> list[Any]:
    """Return the facts of one kind."""
    return [effect for effect in effects if type(effect) is kind]


def decisions(effects: list[DispatcherEffect]) -> list[DispatcherEffect]:
    """Return the effects without the heartbeats."""
    return [
        effect
        for effect in effects
        if not (isinstance(effect, Send) and isinstance(effect.message, GatewayHeartbeat))
    ]


class Rig:
    """One dispatcher; a worker `a` speaks through the connection `a`."""

    def __init__(
        self, queue: QueuePolicy | None = None, *, heartbeat: HeartbeatPolicy = HEARTBEAT
    ) -> None:
        self.dispatcher = Dispatcher(
            gateway_id="g", boot="b1", heartbeat=heartbeat, queue=queue or QueuePolicy()
        )
        self.now = 0.0
        self._seqs: dict[str, int] = {}

    def call(
        self, what: Callable[..., list[DispatcherEffect]], *args: Any, **kwargs: Any
    ) -> list[DispatcherEffect]:
        """Call a method of the dispatcher, and prove its invariants."""
        effects = what(*args, **kwargs, now=self.now)
        self.dispatcher.check()
        return effects

    def join(
        self,
        name: str,
        slots: int = 1,
        *,
        tags: tuple[str, ...] = (),
        programs: tuple[str, ...] = (),
        browser_slots: int = 0,
        session: str = "s1",
        peer: str = "",
        **hello: Any,
    ) -> list[DispatcherEffect]:
        """Let a worker say Hello."""
        message = Hello(
            hello.pop("protocol", PROTOCOL),
            name,
            session,
            slots,
            hello.pop("limit", slots),
            tags,
            WorkerFacts(programs=programs, browser_slots=browser_slots),
            **hello,
        )
        return self.hear(peer or name, message)

    def hear(self, peer: str, message: WorkerMessage) -> list[DispatcherEffect]:
        """Let a connection say something."""
        return self.call(self.dispatcher.receive, peer.encode(), message)

    def beat(
        self, name: str, *running: Attempt, limit: int = 1, session: str = "s1", **said: Any
    ) -> list[DispatcherEffect]:
        """Let a worker say that it lives."""
        self._seqs[name] = self._seqs.get(name, 0) + 1
        seq = said.pop("seq", self._seqs[name])
        return self.hear(name, Heartbeat(session, seq, limit, running, **said))

    def submit(self, task_id: str, **asked: Any) -> list[DispatcherEffect]:
        """Accept a task."""
        return self.call(self.dispatcher.submit, spec(task_id, **asked))

    def done(
        self, name: str, task_id: str, attempt: int = 1, outcome: Outcome = OK, **said: Any
    ) -> list[DispatcherEffect]:
        """Let a worker say how an attempt ended."""
        return self.hear(name, Done(task_id, attempt, outcome, **said))

    def cancel(self, task_id: str) -> list[DispatcherEffect]:
        """Cancel a task."""
        return self.call(self.dispatcher.cancel, task_id)

    def tick(self, at: float) -> list[DispatcherEffect]:
        """Let time pass, looking whenever the dispatcher asks for it."""
        effects: list[DispatcherEffect] = []
        while (deadline := self.dispatcher.next_deadline()) is not None and deadline <= at:
            self.now = max(self.now, deadline)
            effects += self.call(self.dispatcher.tick)
        self.now = at
        return effects

    def pass_time(self, at: float, *names: str, step_s: float = 1.0) -> list[DispatcherEffect]:
        """Let time pass while some workers beat, listing nothing."""
        effects: list[DispatcherEffect] = []
        while self.now < at:
            effects += self.tick(min(at, self.now + step_s))
            for name in names:
                effects += self.beat(name, limit=99)
        return effects

    def why(self, task_id: str) -> tuple[str, dict[str, Any]]:
        """Return why a task waits."""
        told = self.dispatcher.explain(task_id, now=self.now)
        assert told is not None
        return told.reason, told.fields

    def runs(self, effects: list[DispatcherEffect]) -> list[tuple[str, str, int]]:
        """Return who was told to run what."""
        return [
            (effect.peer.decode(), effect.message.task_id, effect.message.attempt)
            for effect in effects
            if isinstance(effect, Send) and isinstance(effect.message, Run)
        ]
