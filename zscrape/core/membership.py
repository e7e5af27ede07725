"""Who is a worker of this gateway, and whether it lives: the dialogue of Hello and beats."""

from __future__ import annotations

from math import inf

from zscrape.core import restoring
from zscrape.core.admission import hello_fault, warm_fits
from zscrape.core.beats import Beats
from zscrape.core.effects import Ignored, Send, WorkerJoined, WorkerLost, WorkerSuspected
from zscrape.core.entities import BROWSER_TAG, Leftover, Worker
from zscrape.core.lives import Lives
from zscrape.core.task import Place
from zscrape.model import Attempt, HeartbeatPolicy, WorkerId
from zscrape.wire import (
    PROTOCOL,
    Cancel,
    Goodbye,
    Heartbeat,
    Hello,
    Reject,
    Welcome,
    Who,
    WorkerMessage,
)

# Sessions of a worker that are remembered as replaced, so that two processes with one
# worker id do not push each other out for ever.
_PAST_SESSION_COUNT = 8


class Membership:
    """Bring workers in, hear that they live, and take their losses to `Lives`."""

    def __init__(
        self,
        lives: Lives,
        beats: Beats,
        *,
        gateway_id: str,
        boot: str,
        heartbeat: HeartbeatPolicy,
    ) -> None:
        self._lives = lives
        self._beats = beats
        self._pool = lives.pool
        self._gateway_id = gateway_id
        self._boot = boot
        self._heartbeat = heartbeat
        self._lost_after_s = heartbeat.lost_after_s
        self.next_look_at = inf  # when one of the workers may be silent for too long

    # ---- joining -------------------------------------------------------

    def expect(self, worker_id: WorkerId, now: float) -> Worker:
        """Return the worker of this id; one that is not known yet may still say Hello."""
        worker = self._pool.workers.get(worker_id)
        if worker is None:
            worker = Worker(worker_id, is_expected=True, heard_at=now)
            self._know(worker, now)
            # It may be dialling with its longest pause (10 s), and what it runs goes on.
            worker.expires_at = now + self._heartbeat.lease_s + self._heartbeat.margin_s
            self._look_by(worker.expires_at)
        return worker

    def hello(self, peer: bytes, hello: Hello, now: float) -> None:
        """Let a worker in, or back in, or say why not."""
        problem = self._problem(peer, hello)
        if problem:
            self._lives.out.append(Send(peer, Reject(*problem)))
            self.ignore(peer, hello, problem[0])
            return
        worker = self._pool.workers.get(hello.worker_id)
        is_return = worker is not None and worker.session == hello.session
        if worker is not None and is_return and worker.peer == peer:
            self._greet_again(worker, now)
            return
        if worker is not None and is_return and hello.connection <= worker.connection:
            self.ignore(peer, hello, "superseded")
            return
        if worker is None:
            worker = Worker(hello.worker_id)
            self._know(worker, now)
        elif not is_return and not worker.is_expected:
            past = (*worker.past_sessions, worker.session)[-_PAST_SESSION_COUNT:]
            self._lose(worker, "replaced", now)
            worker = Worker(hello.worker_id, past_sessions=past)
            self._know(worker, now)
        self._introduce(worker, peer, hello, now)
        self._lives.out.append(WorkerJoined(worker.id, is_return))
        keep = self._reconcile(worker, hello, now)
        self._welcome(worker, keep)
        self._lives.ask_for(worker)

    def _problem(self, peer: bytes, hello: Hello) -> tuple[str, str] | None:
        """Return why this Hello can never be accepted, as code and detail."""
        if hello.protocol != PROTOCOL:
            return "protocol", f"gateway speaks {PROTOCOL}, worker {hello.protocol}"
        fault = hello_fault(hello)
        if fault:
            return "hello_invalid", fault
        bound = self._pool.by_peer.get(peer)
        if bound is not None and bound.id != hello.worker_id:
            return "hello_invalid", "one connection speaks for one worker"
        known = self._pool.workers.get(hello.worker_id)
        if known is not None and hello.session in known.past_sessions and _is_well(known):
            return "replaced", "another process has joined with this worker id"
        return None

    def _know(self, worker: Worker, now: float) -> None:
        if not self._pool.workers:
            self._beats.begin(now)
        self._pool.workers[worker.id] = worker
        worker.told_at = now
        worker.expires_at = now + self._lost_after_s
        self._look_by(worker.expires_at)

    def _introduce(self, worker: Worker, peer: bytes, hello: Hello, now: float) -> None:
        """Note what a worker says of itself on a new connection."""
        programs = {f"program:{name}" for name in hello.facts.programs}
        browsers = {BROWSER_TAG} if hello.facts.browser_slots > 0 else frozenset()
        worker.session = hello.session
        worker.connection = hello.connection
        worker.slots = hello.slots
        worker.limit = hello.limit
        worker.own_tags = hello.tags
        worker.tags = frozenset(hello.tags).difference({BROWSER_TAG}).union(programs, browsers)
        worker.browser_slots = max(0, hello.facts.browser_slots)
        worker.facts = hello.facts
        worker.is_expected = worker.is_suspect = False
        worker.is_leaving = hello.is_draining
        worker.heard_at = now
        worker.expires_at = now + self._lost_after_s
        self._look_by(worker.expires_at)  # sooner than while it was expected
        self._pool.bind(worker, peer)
        self._pool.settle(worker)
        self._pool.set_warm(worker, frozenset(hello.warm))

    def _reconcile(self, worker: Worker, hello: Hello, now: float) -> tuple[Attempt, ...]:
        """Bring together what the gateway and the worker think it has; return what to keep."""
        running, finished = set(hello.running), set(hello.finished)
        for task in [*worker.tasks.values(), *worker.owed.values()]:
            claimed_until = self._lives.claims.get(task)
            self._lives.detach(task, worker)
            if task.current in running:
                worker.tasks[task.id] = task
            elif task.current in finished:
                worker.owed[task.id] = task
            elif claimed_until is not None:
                worker.owed[task.id] = task
                self._lives.claims[task] = claimed_until
            else:
                self._lives.lose(task, may_run=True, now=now)
                continue
            task.worker = worker
            task.evidence_at = now
            self._lives.running_count += task.place is Place.RUNNING
        for leftover in [*worker.leftovers.values()]:
            if leftover.attempt not in running:
                self._lives.drop(worker, leftover, may_run=True)
        for attempt in hello.finished:
            self._readopt(worker, attempt, is_owed=True, now=now)
        for attempt in hello.running:
            if not self._readopt(worker, attempt, is_owed=False, now=now):
                worker.leftovers.setdefault(attempt, Leftover(attempt)).is_listed = True
        self.rate(worker)
        return tuple(task.current for task in (*worker.tasks.values(), *worker.owed.values()))

    def _readopt(self, worker: Worker, attempt: Attempt, *, is_owed: bool, now: float) -> bool:
        """Take back a loss if `attempt` is one of this worker's. True iff it counts as its own."""
        task = self._lives.tasks.get(attempt[0])
        if task is None or task.attempt != attempt[1]:
            return False
        if task.worker is worker:
            self._lives.settle_claim(task, worker)
            return True
        # Nobody else can have it: a number is sent once. Place LINE is not for running.
        if not task.is_lost or task.place not in (Place.QUEUE, Place.LEASE):
            return False
        if not is_owed and worker.in_flight_count >= worker.slots:
            return False
        restoring.adopt(self._lives, task, worker, is_owed=is_owed, now=now)
        return True

    def _greet_again(self, worker: Worker, now: float) -> None:
        """Answer a repeated Hello, or one that revives a suspect; beats tell what it runs."""
        worker.heard_at = now
        worker.expires_at = now + self._lost_after_s
        if worker.is_suspect:
            worker.is_suspect = False
            self._lives.out.append(WorkerJoined(worker.id, True))
        self._welcome(
            worker, tuple(task.current for task in (*worker.tasks.values(), *worker.owed.values()))
        )
        self.rate(worker)

    def _welcome(self, worker: Worker, keep: tuple[Attempt, ...]) -> None:
        heartbeat = self._heartbeat
        welcome = Welcome(
            self._gateway_id,
            self._boot,
            round(heartbeat.interval_s * 1000),
            heartbeat.missed_count,
            round(heartbeat.lease_s * 1000),
            keep,
            worker.is_draining,
        )
        self._lives.out.append(Send(worker.peer, welcome))

    # ---- liveness ------------------------------------------------------

    def heartbeat(self, worker: Worker, beat: Heartbeat, now: float) -> None:
        """Hear what a worker runs, how busy it is and how much it takes."""
        if beat.session != worker.session or len(beat.running) > worker.slots or beat.limit < 0:
            self._lives.out.append(Send(worker.peer, Who()))
            self.ignore(worker.peer, beat, "unknown_session")
            return
        if beat.seq <= worker.beat_seq:
            self.ignore(worker.peer, beat, "duplicate")
            return
        worker.beat_seq = beat.seq
        worker.load = beat.load
        if beat.warm is not None:
            self._note_warm(worker, beat, beat.warm)
        if worker.is_suspect:
            # It can be heard, so perhaps it can be reached as well: its Hello will tell.
            self._lives.out.append(Send(worker.peer, Who()))
        has_news = beat.limit != worker.limit or beat.is_draining != worker.is_leaving
        if beat.running or worker.tasks or worker.leftovers:
            has_news = True
            self._weigh_evidence(worker, beat, now)
        if has_news:
            worker.is_leaving = beat.is_draining
            worker.limit = beat.limit
            self.rate(worker)

    def _note_warm(self, worker: Worker, beat: Heartbeat, warm: tuple[str, ...]) -> None:
        """Note which scripts are ready there; the rest of a beat with too many still counts."""
        if warm_fits(warm):
            self._pool.set_warm(worker, frozenset(warm))
        else:
            self.ignore(worker.peer, beat, "warm_invalid")

    def _weigh_evidence(self, worker: Worker, beat: Heartbeat, now: float) -> None:
        """Renew the leases of what a beat lists; notice what should be there and is not."""
        listed = set(beat.running)
        lease_until = now + self._heartbeat.lease_s
        for task in [*worker.tasks.values()]:
            if task.current in listed:
                task.evidence_at = now
                task.is_listed = True
                task.lease_until = lease_until
            elif now - task.evidence_at >= self._lost_after_s:
                self._lives.detach(task, worker)
                self._lives.lose(task, may_run=True, now=now)
        self._weigh_leftovers(worker, listed, lease_until)
        for attempt in beat.running:
            if attempt in worker.leftovers:
                continue
            if self._readopt(worker, attempt, is_owed=False, now=now):
                self._lives.tasks[attempt[0]].lease_until = lease_until
            else:
                worker.leftovers[attempt] = Leftover(attempt, True, lease_until)
                self._lives.out.append(Send(worker.peer, Cancel(*attempt)))

    def _weigh_leftovers(self, worker: Worker, listed: set[Attempt], lease_until: float) -> None:
        for leftover in [*worker.leftovers.values()]:
            if leftover.attempt in listed:
                leftover.is_listed = True
                leftover.lease_until = lease_until
            elif leftover.is_listed:
                self._lives.drop(worker, leftover, may_run=False)
                continue
            # Repeated with every beat until its end is known: the first one may be lost.
            self._lives.out.append(Send(worker.peer, Cancel(*leftover.attempt)))

    def suspect(self, worker: Worker, now: float) -> None:
        """Note that a send found nobody: nothing new for it, and less patience."""
        worker.expires_at = min(worker.expires_at, now + self._heartbeat.interval_s)
        self._look_by(worker.expires_at)
        if not worker.is_suspect:
            worker.is_suspect = True
            self._lives.out.append(WorkerSuspected(worker.id))
            self.rate(worker)

    def forgive(self, now: float) -> None:
        """Take every worker, and all that it runs, for heard just now."""
        for worker in self._pool.workers.values():
            worker.expires_at = max(worker.expires_at, now + self._lost_after_s)
            for task in worker.tasks.values():
                task.evidence_at = max(task.evidence_at, now)

    def look(self, now: float) -> None:
        """Give up the workers whose time has come, unless they were heard meanwhile.

        All are looked at together: as they are heard every second, that is once in about two,
        and costs a large fleet less than a place in the order of deadlines for each.
        """
        overdue: list[Worker] = []
        self.next_look_at = inf
        for worker in self._pool.workers.values():
            if worker.expires_at <= now:
                overdue.append(worker)
            elif worker.expires_at < self.next_look_at:
                self.next_look_at = worker.expires_at
        for worker in overdue:
            if worker.is_expected:
                self._lose(worker, "absent", now)
            else:
                self._lose(worker, "unreachable" if worker.is_suspect else "silent", now)

    def _lose(self, worker: Worker, reason: str, now: float) -> None:
        tasks = [*worker.tasks.values(), *worker.owed.values()]
        attempts = tuple(task.current for task in tasks)
        self._lives.out.append(WorkerLost(worker.id, reason, attempts))
        self._pool.remove(worker)
        for task in tasks:
            self._lives.detach(task, worker)
            self._lives.lose(task, may_run=reason != "left", now=now)
        for leftover in [*worker.leftovers.values()]:
            self._lives.drop(worker, leftover, may_run=reason != "left")

    def goodbye(self, worker: Worker, goodbye: Goodbye, now: float) -> None:
        """Let a worker go; what it still had is gone."""
        if goodbye.session == worker.session:
            self._lose(worker, "left", now)
        else:
            self.ignore(worker.peer, goodbye, "unknown_session")

    def expel(self, worker_id: WorkerId, now: float) -> None:
        """Give a worker up because it may no longer be one; nothing happens to others."""
        worker = self._pool.workers.get(worker_id)
        if worker is not None:
            self._lose(worker, "revoked", now)

    # ---- small parts -----------------------------------------------------------------

    def _look_by(self, at: float) -> None:
        self.next_look_at = min(self.next_look_at, at)
        self._lives.alarm.by(at)

    def stranger(self, peer: bytes, message: WorkerMessage) -> None:
        """Ask who speaks, unless it is leaving anyway."""
        if type(message) is not Goodbye:
            self._lives.out.append(Send(peer, Who()))
        self.ignore(peer, message, "unknown_session")

    def ignore(self, peer: bytes, message: WorkerMessage, reason: str) -> None:
        """Tell that a message changed nothing, and why."""
        self._lives.out.append(Ignored(peer, type(message).__name__, reason))

    def rate(self, worker: Worker) -> None:
        """Reckon the worker's room anew; if it has any, it may get work at the end of the call."""
        self._pool.rate(worker)
        if worker.level_bit:
            self._lives.freed.append(worker)


def _is_well(worker: Worker) -> bool:
    """True iff a worker has shown more than a Hello, which may be a dead process's last word."""
    return worker.beat_seq > 0 and not worker.is_suspect
