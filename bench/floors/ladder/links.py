"""The gateway's half of the link: as the floors have it, and with the promise `WORKERS`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from math import inf
from typing import Any, Protocol

import zmq
from msgspec import Struct

from bench.floors.gateway import NUMBER_BYTES
from bench.floors.ladder import words
from bench.floors.ladder.lives import Lives, Task
from bench.floors.ladder.told import checked
from bench.floors.ladder.words import BEAT_S, MISSED_COUNT, Attempt
from zscrape.config.keyfiles import new_pair

_NOBLOCK = int(zmq.NOBLOCK)
_MORE = int(zmq.SNDMORE) | _NOBLOCK
_EVENTS, _POLLIN = int(zmq.EVENTS), int(zmq.POLLIN)
_LOST_LIMIT_COUNT = 3
_TURN_COUNT = 64  # messages: a flood of them must not starve who calls


class Link(Protocol):
    """What a gateway asks of its link."""

    socket: Router

    def listen(self) -> None:
        """Read by the running loop from now on."""

    def run(self, task: Task) -> None:
        """Have a task run."""

    def matches(self, task: Task) -> bool:
        """True iff some worker could run a task."""

    def stop(self, task: Task) -> None:
        """End what runs of it."""

    def stored(self, tasks: Sequence[Task]) -> None:
        """Tell that the ends of tasks are safe."""


class Router:
    """The socket. `hear` is told of each message, by its sender."""

    def __init__(self, hear: Callable[[bytes, bytes], None]) -> None:
        self.pair = new_pair()
        self.hear = hear
        self._is_looking = False  # for what has come, now or at the end of this turn
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.CURVE_SERVER, 1)  # and whoever has a key may come in
        self._socket.setsockopt(zmq.CURVE_SECRETKEY, self.pair.secret)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        # The backend's own, as ours: what stands before it only serves options of drafts.
        self._send = super(zmq.Socket, self._socket).send  # type: ignore[misc]
        self._socket.bind("tcp://127.0.0.1:*")
        self.endpoint: str = self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")

    def meet(self, count: int) -> list[tuple[bytes, bytes]]:
        """Wait for the first word of so many; returns who they are, and that word."""
        found = [self._socket.recv_multipart() for _ in range(count)]
        return [(each[0], each[1]) for each in found]

    def listen(self) -> None:
        """Read by the running loop from now on."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._drain)
        self._drain()

    def close(self) -> None:
        """Close it."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def send(self, peer: bytes, frame: bytes) -> bool:
        """Send a message; False if that peer is gone, or does not read."""
        try:
            self._send(peer, _MORE)
            self._send(frame, _NOBLOCK)
        except (zmq.Again, zmq.ZMQError):  # EHOSTUNREACH: silence tells the rest
            return False
        if not self._is_looking:  # the descriptor will not tell of what has come meanwhile
            self._is_looking = True
            self._loop.call_soon(self._look)
        return True

    def _look(self) -> None:
        self._is_looking = False
        if int(self._socket.get(_EVENTS)) & _POLLIN:
            self._drain()

    def _drain(self) -> None:
        receive, get, hear = self._socket.recv, self._socket.get, self.hear
        was_looking, self._is_looking = self._is_looking, True  # by what follows each message
        try:
            for _ in range(_TURN_COUNT):
                try:
                    peer = receive(_NOBLOCK)
                except zmq.Again:  # a connection has come or gone
                    break
                frame = receive(_NOBLOCK, copy=False)
                if frame.more:  # none of ours, and nothing of it may be taken for the next one
                    while receive(_NOBLOCK, copy=False).more:
                        pass
                else:
                    hear(peer, frame.bytes)
                if not int(get(_EVENTS)) & _POLLIN:
                    break
            else:
                self._loop.call_soon(self._drain)
        finally:
            self._is_looking = was_looking


class PlainLink:
    """As the floors': workers in turn, a number and a body, a number and data."""

    def __init__(self, worker_count: int, told: Callable[[Any, bytes], None]) -> None:
        self.socket = Router(self._hear)
        self._worker_count, self._told = worker_count, told
        self._waiting: dict[bytes, Any] = {}
        self._count = 0

    def listen(self) -> None:
        """Read by the running loop from now on."""
        self._peers = cycle([peer for peer, _ in self.socket.meet(self._worker_count)])
        self.socket.listen()

    def ask(self, owner: Any, body: bytes) -> None:
        """Send a body; its owner is told the data."""
        self._count += 1
        number = self._count.to_bytes(NUMBER_BYTES, "big")
        self._waiting[number] = owner
        self.socket.send(next(self._peers), number + body)

    def run(self, task: Task) -> None:
        """Have a task run."""
        self.ask(task, b'{"parameters":%b}' % task.parameters)

    def matches(self, _task: Task) -> bool:
        """True: the first that comes."""
        return True

    def stop(self, task: Task) -> None:
        """Let it run to its end: what it says then nobody hears."""

    def stored(self, tasks: Sequence[Task]) -> None:
        """Tell nobody: outcomes are sent once."""

    def _hear(self, _peer: bytes, frame: bytes) -> None:
        self._told(self._waiting.pop(frame[:NUMBER_BYTES]), frame[NUMBER_BYTES:])


class Worker(Struct, eq=False):
    """A worker as its gateway knows it."""

    id: str
    session: str
    peer: bytes
    limit: int
    heard_at: float
    # Those like it with a free slot, by how many attempts they have; who was given one longest
    # ago comes first.
    free: list[dict[Worker, None]]
    tags: tuple[str, ...] = ()
    seq: int = 0
    warm: tuple[str, ...] = ()
    running: dict[str, Task] = {}  # by id; whose attempt is the task's latest, or was ended here


class SureLink:
    """Workers chosen by free slots, known to live, whose outcomes are repeated until stored."""

    def __init__(self, worker_count: int, lives: Lives) -> None:
        self.socket = Router(self._hear)
        self._worker_count, self._lives = worker_count, lives
        self._by_peer: dict[bytes, Worker] = {}
        self._by_id: dict[str, Worker] = {}
        self._free: list[dict[Worker, None]] = [{}]  # see `Worker`
        self._queue: deque[Task] = deque()
        self._now = 0.0
        self.unreadable_count = 0

    def listen(self) -> None:
        """Read by the running loop from now on."""
        self._loop = asyncio.get_running_loop()
        first = self.socket.meet(self._worker_count)
        self.socket.listen()
        for peer, frame in first:
            self._hear(peer, frame)
        self._loop.call_later(BEAT_S, self._beat)

    # ---- tasks -----------------------------------------------------------------------

    def run(self, task: Task) -> None:
        """Send a task to the worker with the fewest attempts, or let it wait for one."""
        for free in self._free:
            if free:
                self._send(next(iter(free)), task)
                return
        self._queue.append(task)
        self._lives.wait(task)

    def matches(self, _task: Task) -> bool:
        """True iff some worker could run a task."""
        return True

    def _send(self, worker: Worker, task: Task) -> None:
        self._count(worker, task, is_more=True)
        self._lives.assigned(task, worker.id)
        script, remaining_ms = task.script, None
        if task.due_at != inf:
            remaining_ms = max(int((task.due_at - self._loop.time()) * 1000), 1)
        facts = remaining_ms, script.run, task.parameters, task.key.client
        said = words.Run(task.id, task.attempts, *facts)
        if not self.socket.send(worker.peer, words.encode(said)):
            self._take_back(worker, task)

    def _take_back(self, worker: Worker, task: Task) -> None:
        """Give another worker what has not left; this one nothing until it is heard of again."""
        self._count(worker, task, is_more=False)
        self._set_limit(worker, 0)
        self._lives.lost(task)
        self.run(task)

    def _count(self, worker: Worker, task: Task, *, is_more: bool) -> None:
        """Add an attempt to a worker, or take one away; note where it stands."""
        running, free = worker.running, worker.free
        before = len(running)
        if before < worker.limit:
            free[before].pop(worker, None)
        if is_more:
            running[task.id] = task
        else:
            running.pop(task.id, None)
        if len(running) < worker.limit:
            free[len(running)][worker] = None

    def stop(self, task: Task) -> None:
        """Have its attempt ended."""
        worker = self._by_id.get(task.worker_id or "")
        if worker is not None and worker.running.get(task.id) is task:
            self.socket.send(worker.peer, words.encode(words.Cancel(task.id, task.attempts)))

    def stored(self, tasks: Sequence[Task]) -> None:
        """Tell workers that the ends of tasks are safe: many by one message."""
        found: dict[str, list[Attempt]] = {}
        for task in tasks:
            if task.worker_id is not None:
                found.setdefault(task.worker_id, []).append((task.id, task.attempts))
        for worker_id, attempts in found.items():
            worker = self._by_id.get(worker_id)
            if worker is not None:
                self.socket.send(worker.peer, words.encode(words.Stored(tuple(attempts))))

    # ---- workers ---------------------------------------------------------------------

    def _hear(self, peer: bytes, frame: bytes) -> None:
        try:
            said = words.of_worker.decode(frame)
        except words.UNREADABLE:
            self.unreadable_count += 1
            return
        kind = type(said)
        worker = self._by_peer.get(peer)
        if kind is words.Hello:
            self._welcome(peer, said)
            return
        if worker is None:
            self.socket.send(peer, words.encode(words.Who()))
            return
        worker.heard_at = self._loop.time()
        if kind is words.Done:
            self._done(worker, said)
        elif kind is words.Said:
            task = worker.running.get(said.task_id)
            if task is not None and task.attempts == said.attempt:
                task.records = [*task.records, *said.records]
        else:
            self._beaten(worker, said)

    def _beaten(self, worker: Worker, said: words.Beat) -> None:
        worker.seq, worker.warm = said.seq, said.warm
        self._set_limit(worker, said.limit)

    def _done(self, worker: Worker, said: words.Done) -> None:
        task = worker.running.get(said.task_id)
        if task is None or task.attempts != said.attempt or task.finished_at is not None:
            # Superseded, or told before: whoever repeats it may forget it.
            stored = words.Stored(((said.task_id, said.attempt),))
            self.socket.send(worker.peer, words.encode(stored))
            if task is None or task.attempts != said.attempt:
                return
        else:
            task.run_s, task.error = said.run_s, said.error
            task.cpu_s, task.memory_bytes = said.cpu_us / 1e6, said.memory_bytes
            if said.records:
                task.records = [*task.records, *said.records]
        self._count(worker, task, is_more=False)
        self._lives.answered(task, *checked(said.code, said.data))
        self._give(worker)

    def _give(self, worker: Worker) -> None:
        """Give a worker what waits."""
        queue = self._queue
        while queue and len(worker.running) < worker.limit:
            task = queue.popleft()
            if task.finished_at is None:
                self._send(worker, task)

    def _welcome(self, peer: bytes, said: words.Hello) -> None:
        worker = self._by_id.get(said.worker_id)
        if worker is not None and worker.session != said.session:
            self._lose(worker)
            worker = None
        if worker is None:
            free = self._free_for(said.tags)
            now = self._loop.time()
            worker = Worker(said.worker_id, said.session, peer, 0, now, free, tags=said.tags)
            self._by_id[worker.id] = worker
        self._by_peer.pop(worker.peer, None)
        worker.peer, worker.heard_at = peer, self._loop.time()
        self._by_peer[peer] = worker
        known = {*said.running, *said.finished}
        lost = [it for it in worker.running.values() if (it.id, it.attempts) not in known]
        keep = [(it.id, it.attempts) for it in worker.running.values() if it.finished_at is None]
        self.socket.send(peer, words.encode(words.Welcome(tuple(keep))))
        for task in lost:
            self._count(worker, task, is_more=False)
            self._again(task)
        self._set_limit(worker, said.slots)

    def _free_for(self, _tags: Iterable[str]) -> list[dict[Worker, None]]:
        """Return where a worker stands while it has a free slot."""
        return self._free

    def _set_limit(self, worker: Worker, limit: int) -> None:
        places = worker.free
        if limit != worker.limit:
            places[min(len(worker.running), len(places) - 1)].pop(worker, None)
            worker.limit = limit
            places += [{} for _ in range(limit + 1 - len(places))]
            if len(worker.running) < limit:
                places[len(worker.running)][worker] = None
        self._give(worker)

    def _lose(self, worker: Worker) -> None:
        for free in worker.free:
            free.pop(worker, None)
        self._by_peer.pop(worker.peer, None)
        self._by_id.pop(worker.id, None)
        for task in [*worker.running.values()]:
            self._again(task)

    def _again(self, task: Task) -> None:
        """Have a task run again whose attempt is gone."""
        if task.finished_at is not None:
            return
        task.lost_count += 1
        if task.lost_count >= _LOST_LIMIT_COUNT:
            self._lives.end(task, "worker_lost")
            return
        self._lives.lost(task)
        self.run(task)

    def _beat(self) -> None:
        self._loop.call_later(BEAT_S, self._beat)
        silent_since = self._loop.time() - BEAT_S * MISSED_COUNT
        for worker in [*self._by_id.values()]:
            if worker.heard_at < silent_since:
                self._lose(worker)
            else:
                self.socket.send(worker.peer, words.encode(words.Pulse(worker.seq)))
