"""What a worker says of itself, in Hello once and in beats as it changes."""

from __future__ import annotations

from zscrape.model import Attempt, Load, WorkerFacts, WorkerId
from zscrape.wire import PROTOCOL, Heartbeat, Hello


class Profile:
    """Who this worker is, how busy, and which scripts it has ready."""

    def __init__(
        self,
        *,
        worker_id: WorkerId,
        session: str,
        slots: int,
        tags: tuple[str, ...],
        facts: WorkerFacts,
    ) -> None:
        self.session = session
        self.slots = slots
        self.load = Load()
        self.warm: tuple[str, ...] = ()
        # What the gateway has for certain: an acknowledged beat told it. None: nothing yet.
        self.warm_known: tuple[str, ...] | None = None
        self._worker_id = worker_id
        self._tags = tags
        self.facts = facts

    def hello(
        self,
        *,
        limit: int,
        running: tuple[Attempt, ...],
        finished: tuple[Attempt, ...],
        is_draining: bool,
        connection: int,
    ) -> Hello:
        """Return the first words of a connection."""
        return Hello(
            PROTOCOL,
            self._worker_id,
            self.session,
            self.slots,
            limit,
            self._tags,
            self.facts,
            running,
            finished,
            self.warm,
            is_draining,
            connection,
        )

    def beat(
        self, seq: int, *, limit: int, running: tuple[Attempt, ...], is_draining: bool
    ) -> Heartbeat:
        """Return a beat; it carries the warm scripts until they are known to have arrived."""
        warm = None if self.warm == self.warm_known else self.warm
        return Heartbeat(self.session, seq, limit, running, self.load, warm, is_draining)
