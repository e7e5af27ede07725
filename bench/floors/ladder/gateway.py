"""The gateway of a rung.

    python -m bench.floors.ladder.gateway RUNG FOLDER WORKERS

FOLDER has the folder `script` (`main.py`, perhaps `metadata.json`), and will have the database.
The gateway says where it listens as one line of JSON, and is ready when so many workers have said
a word.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from bench.floors.gateway import HEAD, TAIL
from bench.floors.ladder.asked import Catalogue, Key, Keys, digest_of, read_request
from bench.floors.ladder.http import Connection, Door, Request
from bench.floors.ladder.journal import Journal
from bench.floors.ladder.links import PlainLink, SureLink
from bench.floors.ladder.lives import COMPLETED, Lives, Task
from bench.floors.ladder.places import PlacedLink
from bench.floors.ladder.rungs import SCRIPT, Rung
from bench.floors.ladder.told import Metrics, envelope
from zscrape.errors import ScriptError, ZscrapeError
from zscrape.errors.requests import NotFound
from zscrape.gateway.envelope import refusal_envelope
from zscrape.gateway.identifiers import new_task_id

FIRST_KEY, OTHER_KEY, READER_KEY = b"key", b"another key", b"a reader's key"
SLOW_KEY = b"a slow key"
_TASKS = b"/v1/tasks/"
_STATUSES = {"timed_out": 504}
_REFUSALS = {"no_matching_worker": 503}


def _keys() -> Keys:
    everything = frozenset({"run", "read"})
    return Keys(
        [
            Key(digest_of(FIRST_KEY), "admin", everything),
            Key(digest_of(OTHER_KEY), "other", everything),
            Key(digest_of(READER_KEY), "reader", frozenset({"read"})),
            Key(digest_of(SLOW_KEY), "slow", everything, rate_per_s=0.1, tokens=2.0),
        ]
    )


class _Gateway:
    """Takes calls, and has them answered."""

    def __init__(self, rung: Rung, folder: Path, worker_count: int) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._has_body, self._has_record = rung >= Rung.BODY, rung >= Rung.RECORD
        self._keys = _keys() if rung >= Rung.KEY else None
        self._catalogue = Catalogue([folder / SCRIPT], loop if rung >= Rung.FRESH else None)
        self.door = Door(loop, has_limits=rung >= Rung.DOOR)
        self._metrics = Metrics() if rung >= Rung.ENVELOPE else None
        self._journal: Journal | None = None
        note: Callable[[Task], None] = _do_nothing
        if rung >= Rung.STORE:
            self._journal = Journal(folder / "tasks.db", loop, self._kept)
            note = self._journal.note
        self.lives = lives = Lives(loop, tell=self._tell, note=note)
        self.link: PlainLink | SureLink
        if rung < Rung.WORKERS:
            self.link = self._plain = PlainLink(worker_count, self._answered)
            lives.run = self._run_plain
        else:
            self.link = (SureLink if rung < Rung.PLACE else PlacedLink)(worker_count, lives)
            lives.run = self.link.run
        lives.stop, lives.matches = self.link.stop, self.link.matches

    def _kept(self, tasks: Sequence[Task]) -> None:
        self.link.stored(tasks)

    def _run_plain(self, task: Task) -> None:
        self.lives.assigned(task, None)
        self._plain.run(task)

    # ---- calls -----------------------------------------------------------------------

    def take(self, connection: Connection, request: Request, body: bytes) -> None:
        """Take a call."""
        if request.path != b"/scrape":
            self._look(connection, request)
            return
        keys, now = self._keys, time.time()
        try:
            key = None if keys is None else keys.enter(request.digest, "run", now)
            if not self._has_body:
                self._plain.ask(connection, body)
                return
            asked = read_request(body)
            if key is not None and key.scripts:
                key.check(asked.script_name)
            script = self._catalogue.resolve(asked)
            parameters = bytes(asked.parameters)
            script.check(parameters)
            if key is None or not self._has_record:
                self._plain.ask(connection, body)
                return
            accept = partial(
                self.lives.accept,
                asked,
                script,
                parameters=parameters,
                key=key,
                trace_id=request.trace_id,
                waiter=connection,
                now=now,
            )
            if asked.max_age is not None and self._journal is not None:
                since = now - asked.max_age
                look = partial(self._journal.answer, script.pin.digest, parameters, since)
                self._look_for_answer(connection, look, accept)
            else:
                accept()
        except ZscrapeError as error:
            _refuse(connection, error)

    def _look_for_answer(
        self, connection: Connection, look: Callable[[], bytes | None], accept: Callable[[], None]
    ) -> None:
        """Answer with what was answered to the same before, or accept if that is too old."""

        def told(looked: asyncio.Future[bytes | None]) -> None:
            data = looked.result()
            if data is not None:
                connection.answer(200, b"%b%b%b" % (HEAD, data, TAIL), b"age: 0\r\n")
                return
            try:
                accept()
            except ZscrapeError as error:
                _refuse(connection, error)

        self._loop.run_in_executor(None, look).add_done_callback(told)

    def _answered(self, owner: Task | Connection, data: bytes) -> None:
        """Hear what a worker of the floors has answered."""
        if type(owner) is Task:
            self.lives.end(owner, "ok", data)
        elif type(owner) is Connection:
            owner.answer(200, b"%b%b%b" % (HEAD, data, TAIL))

    def _tell(self, task: Task) -> None:
        """Answer the call of a task that has ended."""
        lines = b"x-request-id: %b\r\n" % task.id.encode()
        if self._metrics is not None:
            body = envelope(task)
            self._metrics.note(task)
        elif task.status == COMPLETED:
            body = b"%b%b%b" % (HEAD, task.data or b"null", TAIL)
        else:
            body = b'{"status":"%b"}' % task.status.encode()
        if task.waiter is not None:
            status = 200 if task.code == "ok" else _status_of(task)
            task.waiter.answer(status, body, lines)

    # ---- other calls, which nobody times ---------------------------------------------

    def _look(self, connection: Connection, request: Request) -> None:
        try:
            if self._keys is not None:
                self._keys.enter(request.digest, "read", time.time())
        except ZscrapeError as error:
            _refuse(connection, error)
            return
        path = request.path
        if path == b"/metrics" and self._metrics is not None:
            connection.answer(200, self._metrics.text().encode())
        elif path == b"/v1/tasks" and self._journal is not None:
            self._read(connection, partial(self._journal.latest, 50))
        elif path.startswith(_TASKS):
            self._look_at(connection, *path[len(_TASKS) :].decode().split("/"))
        else:
            _refuse(connection, NotFound(kind="path", name=path.decode()))

    def _look_at(self, connection: Connection, task_id: str, *verbs: str) -> None:
        task = self.lives.get(task_id)
        if task is not None and verbs == ("events",):
            self._follow(connection, task)
        elif task is not None:
            if verbs == ("cancel",):
                self.lives.cancel(task)
            shown = {"request_id": task.id, "status": task.status, "records": task.records}
            connection.answer(200, msgspec.json.encode(shown))
        elif self._journal is not None and not verbs:
            self._read(connection, partial(self._journal.find, task_id))
        else:
            _refuse(connection, NotFound(kind="task", name=task_id))

    def _follow(self, connection: Connection, task: Task) -> None:
        """Tell of a task as it goes on; of one follower at a time."""
        told_count = 0

        def tell(task: Task) -> None:
            nonlocal told_count
            for change in task.states[told_count:]:
                connection.say(b"event: state\ndata: %b\n\n" % msgspec.json.encode(change))
            told_count = len(task.states)
            if task.finished_at is not None or connection.is_gone:
                del self.lives.followed[task.id]
                connection.end()

        connection.stream()
        self.lives.followed[task.id] = tell
        tell(task)

    def _read(self, connection: Connection, look: Callable[[], Any]) -> None:
        """Answer with what the database has."""

        def told(looked: asyncio.Future[Any]) -> None:
            connection.answer(200, msgspec.json.encode(looked.result()))

        self._loop.run_in_executor(None, look).add_done_callback(told)


def _refuse(connection: Connection, error: ZscrapeError) -> None:
    body = refusal_envelope(new_task_id(), error, "en")
    status = 200 if isinstance(error, ScriptError) else error.http_status
    connection.answer(status, body)


def _status_of(task: Task) -> int:
    return _REFUSALS.get(task.code) or _STATUSES.get(task.status, 200)


def _do_nothing(_task: Task) -> None:
    """Keep nothing."""


async def _serve(rung: Rung, folder: Path, worker_count: int) -> None:
    gateway = _Gateway(rung, folder, worker_count)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    router = gateway.link.socket
    told = {
        "port": listener.getsockname()[1],
        "link": router.endpoint,
        "key": router.pair.public.hex(),
    }
    print(json.dumps(told), flush=True)
    gateway.link.listen()
    loop = asyncio.get_running_loop()
    make = partial(Connection, gateway.take, gateway.door)
    await loop.create_server(make, sock=listener)
    print("ready", flush=True)
    is_asked = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, is_asked.set)
    await is_asked.wait()
    if gateway.door.has_limits:
        await gateway.lives.drain()


def main(rung: str, folder: str, worker_count: str) -> None:
    """Serve until killed, or asked to end."""
    os.umask(0o077)
    uvloop.run(_serve(Rung(int(rung)), Path(folder), int(worker_count)))


if __name__ == "__main__":
    main(*sys.argv[1:4])
