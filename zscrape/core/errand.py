"""What a worker keeps of its attempts, from `Run` until the gateway has the outcome."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from msgspec import Struct, field

from zscrape.core.ensure import ensure
from zscrape.core.evidence import FENCE_SHARE
from zscrape.model import MIB, Attempt, Outcome, Record
from zscrape.wire import Ask, Done, Events, Run

# Attempts are remembered this long at least after their end, against late duplicates.
MEMORY_S = 60.0

# Records of one message, unless a single one is larger: far below the limit of a frame.
EVENTS_LIMIT_BYTES = 4 * MIB


class Errand(Struct, eq=False):
    """One attempt at its worker. It fills a slot until it has an outcome."""

    run: Run
    connection: int  # on which it arrived
    fence_at: float = inf  # iff it has a lease: then it is ended, unless renewed before
    is_wanted: bool = True  # False: being ended, and nobody will take the outcome
    is_stopping: bool = False
    is_started: bool = False  # as the gateway knows, or is to know
    records: list[Record] = field(default_factory=list)
    sent_count: int = 0  # records sent once; what the gateway misses it asks for
    outcome: Outcome | None = None
    resend_at: float = inf  # iff it has an outcome
    asks: dict[int, Ask] = field(default_factory=dict)  # what it has asked and was not told
    kept_bytes: int = 0  # iff it is in the outbox: what it takes there

    @property
    def attempt(self) -> Attempt:
        """Which attempt of which task this is."""
        return self.run.task_id, self.run.attempt

    @property
    def size_bytes(self) -> int:
        """Memory that the outcome and the records take, about."""
        data = b"" if self.outcome is None else self.outcome.data or b""
        if not self.records:
            return len(data)
        return len(data) + sum(len(record.body) for record in self.records)

    def renew(self, since: float) -> None:
        """Begin the lease anew at `since`, when this worker last said that it had the attempt."""
        if self.run.lease_ms and self.is_wanted:
            fence_at = since + self.run.lease_ms / 1000 * FENCE_SHARE
            self.fence_at = fence_at if self.fence_at == inf else max(self.fence_at, fence_at)

    def disown(self) -> None:
        """Note that nobody will take the outcome."""
        self.is_wanted = False
        self.fence_at = inf

    @property
    def has_long_tail(self) -> bool:
        """True iff the records that were not sent are too many to go with the outcome."""
        size_bytes = 0
        for record in self.records[self.sent_count :]:
            size_bytes += len(record.body)
            if size_bytes > EVENTS_LIMIT_BYTES:
                return True
        return False

    def events(self) -> Events | None:
        """Return the next records that were not sent yet, or None; from now on they were."""
        if self.sent_count == len(self.records):
            return None
        first_index, size_bytes = self.sent_count, 0
        for record in self.records[first_index:]:
            if size_bytes and size_bytes + len(record.body) > EVENTS_LIMIT_BYTES:
                break
            size_bytes += len(record.body)
            self.sent_count += 1
        return Events(
            *self.attempt, first_index, tuple(self.records[first_index : self.sent_count])
        )

    def rewind(self, received_count: int) -> None:
        """Take the records from `received_count` on for not sent; the gateway misses them."""
        self.sent_count = min(received_count, len(self.records))

    def done(self) -> Done:
        """Return the outcome with the records that were not sent before it.

        Raises:
            AssertionError: There is no outcome yet.
        """
        if self.outcome is None:
            raise AssertionError(f"attempt {self.attempt} has not ended")
        run = self.run
        tail = tuple(self.records[self.sent_count :]) if self.records else ()
        return Done(run.task_id, run.attempt, self.outcome, self.sent_count, tail)


class Errands:
    """All attempts of one worker: those in its slots, and those whose outcome it still owes."""

    def __init__(self) -> None:
        self.running: dict[Attempt, Errand] = {}
        self.outbox: dict[Attempt, Errand] = {}
        self.outbox_bytes = 0
        self.forget_at = inf
        # No later than any moment of those that run, and of the outbox; early is harmless.
        self.wake_at = inf
        self.repeat_at = inf
        # Attempts that must not start (again): two generations, the older one dropped in turn.
        self._seen: set[Attempt] = set()
        self._seen_before: set[Attempt] = set()

    def rewind_wake(self) -> None:
        """Make that moment exact again, after what was due is done."""
        self.wake_at = self.next_wake_at()

    def rewind_repeat(self) -> None:
        """Make that moment exact again, after what was due is sent."""
        self.repeat_at = self.next_repeat_at()

    def next_wake_at(self) -> float:
        """Return the first moment of those that run."""
        return min((each.fence_at for each in self.running.values()), default=inf)

    def next_repeat_at(self) -> float:
        """Return the first moment of the outbox."""
        return min((each.resend_at for each in self.outbox.values()), default=inf)

    def see(self, attempt: Attempt) -> bool:
        """Never let `attempt` start from now on; True iff it never did, and was never refused."""
        is_new = attempt not in self._seen and attempt not in self._seen_before
        self._seen.add(attempt)
        return is_new

    def forget(self, now: float) -> None:
        """Forget what was seen long ago; to be called when `forget_at` has come."""
        self._seen_before, self._seen = self._seen, set(self.running)
        self.forget_at = now + MEMORY_S

    def keep(self, attempt: Attempt, errand: Errand, outcome: Outcome) -> None:
        """Keep an outcome until it is acknowledged."""
        errand.outcome = outcome
        if errand.run.lease_ms:
            errand.fence_at = inf
        self.outbox[attempt] = errand
        size_bytes = errand.size_bytes if errand.records else len(outcome.data or b"")
        errand.kept_bytes = size_bytes
        self.outbox_bytes += size_bytes

    def settle(self, attempt: Attempt) -> None:
        """Let go of an outcome: the gateway has it, or does not want it."""
        self.settle_all((attempt,))

    def settle_all(self, attempts: Iterable[Attempt]) -> None:
        """Let go of many: the gateway has stored them."""
        outbox = self.outbox
        for attempt in attempts:
            errand = outbox.pop(attempt, None)
            if errand is not None:
                self.outbox_bytes -= errand.kept_bytes

    def check(self, slots: int) -> None:
        """Prove the invariants.

        Raises:
            AssertionError: One is broken; its text says which.
        """
        ensure(len(self.running) <= slots, "0 <= running <= slots")
        ensure(not self.running.keys() & self.outbox.keys(), "what has ended does not run")
        ensure(self.wake_at <= self.next_wake_at(), "nothing that runs is due unnoticed")
        ensure(self.repeat_at <= self.next_repeat_at(), "no outcome is due unnoticed")
        seen = self._seen | self._seen_before
        ensure(seen >= self.running.keys(), "what runs cannot start again")
        for errand in (*self.running.values(), *self.outbox.values()):
            ensure(errand.sent_count <= len(errand.records), "only what exists was sent")
        for errand in self.running.values():
            has_lease = bool(errand.run.lease_ms) and errand.is_wanted
            ensure(has_lease == (errand.fence_at < inf), "what has a lock has a fence")
        for errand in self.outbox.values():
            ensure(errand.outcome is not None, "the outbox holds outcomes")
        size_bytes = sum(errand.size_bytes for errand in self.outbox.values())
        ensure(size_bytes == self.outbox_bytes, "the outbox is weighed")
