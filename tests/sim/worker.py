"""A worker process of the simulation: its link, its children and its connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from tests.sim.ensure import ensure
from zscrape.core import effects as fx
from zscrape.core.link import WorkerLink
from zscrape.model import (
    Attempt,
    Outcome,
    OutcomeCode,
    Overlap,
    ReconnectPolicy,
    Record,
    WorkerFacts,
)
from zscrape.wire import Ask, Tell

if TYPE_CHECKING:
    from tests.sim.life import Life

GRACE_S = 1.0  # how long a child may take to die; less than a fifth of a lease


@dataclass
class Child:
    """One attempt that really runs."""

    attempt: Attempt
    key: str | None
    records: list[Record] = field(default_factory=list)
    is_tainted: bool = False  # its worker was frozen meanwhile: nobody could end it in time
    is_stopping: bool = False
    is_over: bool = False
    is_asking: bool = False  # it goes on when it has been told
    is_told: bool = False
    ends_as: OutcomeCode | None = None  # once it has been told
    parks: bool = False  # it ends to wait for a person


class SimWorker:
    """One worker process: a WorkerLink, its children, and a connection."""

    def __init__(self, life: Life, name: str, slots: int, tags: tuple[str, ...]) -> None:
        self.life = life
        self.name = name
        self.slots = slots
        self.tags = tags
        self.session_count = 0
        self.connection_count = 0
        self.is_up = False
        self.is_open = False  # the socket
        self.is_frozen = False
        self.is_cut_up = self.is_cut_down = False
        self.arrives_at = {"up": 0.0, "down": 0.0}
        self.backlog: list[Callable[[], None]] = []  # what happens once it thaws
        self.children: dict[Attempt, Child] = {}
        self.boot()

    def boot(self) -> None:
        """Start a new process."""
        self.session_count += 1
        self.is_up, self.is_frozen = True, False
        self.backlog.clear()
        self.link = WorkerLink(
            worker_id=self.name,
            session=f"{self.name}/{self.session_count}",
            slots=self.slots,
            tags=self.tags,
            facts=WorkerFacts(programs=("chromium",), browser_slots=1),
            reconnect=ReconnectPolicy(0.2, 2.0),
            spread=self.life.rng.random(),
        )
        self.open(self.link)

    def open(self, link: WorkerLink) -> None:
        """Open a fresh socket, unless the process that wanted it is gone."""
        if self.is_up and link is self.link:
            self.connection_count += 1
            self.is_open = True
            self.perform(link.opened(now=self.life.now))

    def reboot(self) -> None:
        """Start a new process if there is none."""
        if not self.is_up:
            self.boot()

    @property
    def peer(self) -> bytes:
        """The ROUTER's address of this connection; a new one after either end restarts."""
        return f"{self.name}#{self.connection_count}@{self.life.gateway.boot_count}".encode()

    def kill(self) -> None:
        """End the process and its children at once."""
        self.is_up = self.is_open = False
        for child in self.children.values():
            child.is_over = True
        self.children.clear()

    def soon(self, call: Callable[[], list[fx.LinkEffect]], link: WorkerLink) -> None:
        """Let the process do something, after its thaw if it is frozen, never after its end."""
        if not self.is_up or link is not self.link:
            return
        if self.is_frozen:
            self.backlog.append(partial(self.soon, call, link))
        else:
            self.perform(call())
            link.check()

    def thaw(self) -> None:
        """Go on after a freeze: what came meanwhile is done first."""
        self.is_frozen = False
        backlog, self.backlog = self.backlog, []
        for call in backlog:
            call()

    def tick(self) -> None:
        """Look at the clock."""
        self.perform(self.link.tick(now=self.life.now))
        self.link.check()

    def perform(self, effects: list[fx.LinkEffect]) -> None:
        """Do what the link says."""
        life, link = self.life, self.link
        for effect in effects:
            life.note(self.name, effect)
            match effect:
                case fx.SendUp(message):
                    if self.is_open:
                        life.send_up(self, message)
                case fx.Reopen(delay_s):
                    self.is_open = False
                    life.at(delay_s, partial(self.open, link))
                case fx.Assignment(task_id, attempt):
                    self.start(task_id, attempt)
                case fx.Stop(task_id, attempt, code, _):
                    self.stop((task_id, attempt), code)
                case fx.Told(tell):
                    self.told(tell)
                case fx.Exit(reason):
                    ensure(reason != "drained" or not self.children, "drained with children")
                    self.kill()
                    life.at(life.rng.uniform(0.1, 3), self.reboot)
                case _:
                    pass

    def start(self, task_id: str, number: int) -> None:
        """Begin an attempt, and decide how it will go."""
        life, rng, attempt = self.life, self.life.rng, (task_id, number)
        ensure(attempt not in life.started, f"{attempt} starts twice")
        life.started.add(attempt)
        spec = life.gateway.store[task_id].spec
        key = spec.lock.key if spec.lock and spec.lock.overlap is not Overlap.ALLOW else None
        child = Child(attempt, key, is_tainted=self.is_frozen)
        ensure(len(self.children) < self.slots, f"{self.name}: more attempts than slots")
        life.ensure_alone(child)
        self.children[attempt] = child
        if rng.random() < 0.05:
            refusal = partial(self.link.refuse, *attempt, "cannot")
            life.at(rng.uniform(0, 0.3), partial(self.refuse, child, self.link, refusal))
            return
        at = rng.uniform(0, 0.3)
        life.at(at, partial(self.say, child, self.link, "started"))
        for _ in range(rng.choice((0, 0, 1, 3))):
            at += rng.uniform(0, 0.8)
            life.at(at, partial(self.say, child, self.link, "emit"))
        code = rng.choice((OutcomeCode.OK, OutcomeCode.OK, OutcomeCode.OK, OutcomeCode.BLOCKED))
        child.parks = rng.random() < 0.15
        if rng.random() < 0.3:
            at += rng.uniform(0, 0.8)
            life.at(at, partial(self.ask, child, self.link))
        at += rng.choice((0.0, rng.uniform(0, 1), rng.uniform(0, 6), rng.uniform(0, 30)))
        life.at(at, partial(self.finish_when_told, child, self.link, code))

    def refuse(
        self, child: Child, link: WorkerLink, refusal: Callable[..., list[fx.LinkEffect]]
    ) -> None:
        """Find out that the attempt cannot run here."""
        if not child.is_over and not self.is_frozen:
            self.over(child)
            self.soon(lambda: refusal(now=self.life.now), link)
        elif not child.is_over:
            self.finish(child, link, OutcomeCode.CRASHED)

    def say(self, child: Child, link: WorkerLink, what: str) -> None:
        """Let a child that lives say that it began, or something on the way."""
        if child.is_over:
            return
        if what == "started":
            self.soon(lambda: link.started(*child.attempt, now=self.life.now), link)
            return
        body = f"{child.attempt[0]}:{child.attempt[1]}:{len(child.records)}".encode()
        record = Record("item", self.life.now, body)
        child.records.append(record)
        self.soon(lambda: link.emit(*child.attempt, (record,), now=self.life.now), link)

    def ask(self, child: Child, link: WorkerLink) -> None:
        """Let a child ask the gateway; it will not end by itself before it is told."""
        if not child.is_over:
            child.is_asking = True
            ask = Ask(*child.attempt, 1, "state", b"")
            self.soon(lambda: link.ask(ask, now=self.life.now), link)

    def told(self, tell: Tell) -> None:
        """Hear the answer to what a child has asked: once, and its own."""
        child = self.children.get((tell.task_id, tell.attempt))
        if child is None:
            return
        ensure(child.is_asking and not child.is_told, f"{child.attempt}: told twice")
        expected = f"{tell.task_id}:{tell.attempt}".encode()
        ensure(tell.body == expected, f"{child.attempt}: told {tell.body!r}")
        child.is_told = True
        if child.ends_as is not None:
            self.finish(child, self.link, child.ends_as)

    def finish_when_told(self, child: Child, link: WorkerLink, code: OutcomeCode) -> None:
        """End a child, unless it waits for an answer: then after that."""
        if child.is_asking and not child.is_told:
            child.ends_as = code
        else:
            self.finish(child, link, code)

    def finish(self, child: Child, link: WorkerLink, code: OutcomeCode) -> None:
        """End a child; its worker hears of it."""
        if child.is_over:
            return
        self.over(child)
        data = f"{child.attempt[1]}:{len(child.records)}".encode()
        outcome = Outcome(code, data=data)
        if child.parks and not child.is_stopping:
            outcome = Outcome(OutcomeCode.CANCELLED, parked_on=f"h{child.attempt[1]}")
        self.soon(lambda: link.finished(*child.attempt, outcome, now=self.life.now), link)

    def over(self, child: Child) -> None:
        """Note that a child runs no more."""
        child.is_over = True
        del self.children[child.attempt]

    def stop(self, attempt: Attempt, code: OutcomeCode) -> None:
        """Let a child die within its grace."""
        child = self.children.get(attempt)
        if child is not None and not child.is_stopping:
            child.is_stopping = True
            delay_s = self.life.rng.uniform(0, GRACE_S)
            self.life.at(delay_s, partial(self.finish, child, self.link, code))
