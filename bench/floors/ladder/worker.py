"""The worker of a rung from `WORKERS` on: one loop between a DEALER and what runs the attempts.

    python -m bench.floors.ladder.worker RUNG ENDPOINT KEY FOLDER

FOLDER has the folder `script`, and will have one for the private folders of children.
"""

from __future__ import annotations

import _socket
import os
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import zmq

from bench.floors.ladder import words
from bench.floors.ladder.children import Child, Spares
from bench.floors.ladder.reusing import Reusing
from bench.floors.ladder.rungs import SCRIPT, Rung
from bench.floors.ladder.template import ANSWER, ERROR, ITEM, KEPT, SIZE_BYTES, USAGE_BYTES
from bench.floors.ladder.words import BEAT_S, MISSED_COUNT, Attempt
from bench.floors.worker import SLOT_COUNT
from zscrape.config.keyfiles import new_pair
from zscrape.model import RunSpec

_SCRATCH = "scratch"
_NOBLOCK = int(zmq.NOBLOCK)
_DONTWAIT = int(_socket.MSG_DONTWAIT)
_EVENTS, _POLLIN = int(zmq.EVENTS), int(zmq.POLLIN)
_READ_BYTES = 65_536
_FRAME_LIMIT_BYTES = 64 * 1024 * 1024
_USAGE = 1 << 64
_HANDSHAKE_MS = 5_000
_MEMORY_BYTES = 512_000_000
_WATCH_S = 0.025  # as ours
_NEVER = float("inf")


class _Link:
    """The DEALER: one connection after the other to one gateway."""

    def __init__(self, endpoint: str, key: bytes) -> None:
        self._endpoint, self._key, self._pair = endpoint, key, new_pair()
        self.dial()

    def dial(self) -> None:
        """Open a connection."""
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.setsockopt(zmq.CURVE_SERVERKEY, self._key)
        self._socket.setsockopt(zmq.CURVE_PUBLICKEY, self._pair.public)
        self._socket.setsockopt(zmq.CURVE_SECRETKEY, self._pair.secret)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
        self._socket.connect(self._endpoint)
        self.fd = int(self._socket.fileno())
        self.is_due = True  # to be looked at: its descriptor tells only of what comes after a look

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def say(self, frame: bytes) -> None:
        """Send a message; one that cannot leave is said again after the next `Hello`."""
        self.is_due = True
        try:
            self._socket.send(frame, _NOBLOCK)
        except zmq.Again:
            return

    def drain(self, hear: Callable[[Any], None]) -> None:
        """Hear what has come."""
        receive, get, decode = self._socket.recv, self._socket.get, words.of_gateway.decode
        while int(get(_EVENTS)) & _POLLIN:
            hear(decode(receive(_NOBLOCK)))
        self.is_due = False


class _Script:
    """A script in a folder, and how its files were when they were read."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)
        names = ("main.py", "metadata.json")
        self._paths = [str(folder / name) for name in names if (folder / name).exists()]
        self._seen = [*map(_mark, self._paths)]
        code = compile((folder / "main.py").read_text(), "main", "exec")
        from marshal import dumps

        self.code = dumps(code)

    def is_unchanged(self) -> bool:
        """True iff the files are those that were read, by what the kernel notes of them."""
        return [*map(_mark, self._paths)] == self._seen


def _mark(path: str) -> tuple[int, int, int, int]:
    told = os.stat(path)  # noqa: PTH116 - dearer through a Path
    return told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns


class _Worker:
    """Runs attempts in children, and tells of them until they are stored."""

    def __init__(self, rung: Rung, link: _Link, folder: Path) -> None:
        self._link, self._slots = link, SLOT_COUNT
        self._has_usage, self._has_output = rung >= Rung.DEADLINE, rung >= Rung.OUTPUT
        self._is_verifying = rung >= Rung.FOLDER
        self._script = _Script(folder / SCRIPT)
        self._poller = select.epoll()
        self._spares = Spares(rung, folder / SCRIPT, folder / _SCRATCH, self._poller)
        self._reusing = Reusing(self._spares, SLOT_COUNT, _MEMORY_BYTES)
        self._runs: dict[bytes, RunSpec] = {}  # as they come, encoded
        self._running: dict[Attempt, Child] = {}
        self._outbox: dict[Attempt, bytes] = {}
        self._id, self._session = os.urandom(6).hex(), os.urandom(6).hex()
        self._seq = 0
        self._heard_at = self._beat_at = self._wake_at = time.monotonic()
        self._poller.register(link.fd, select.EPOLLIN)
        self._poller.register(0, select.EPOLLHUP)
        self._words: dict[type, Callable[[Any], None]] = {
            words.Run: self._begin,
            words.Stored: self._stored,
            words.Cancel: self._cancel,
            words.Pulse: self._pulse,
            words.Welcome: self._welcomed,
            words.Who: lambda _said: self._hello(),
        }

    def run(self) -> None:
        """Begin what comes and tell what is over, until the standard input is closed."""
        poll, spares, reusing = self._poller.poll, self._spares, self._reusing
        link, hear = self._link, self._hear_gateway
        self._hello()
        while True:
            spares.refill()
            now = time.monotonic()
            if now >= self._wake_at:
                self._tick(now)
            if link.is_due:
                link.drain(hear)
            ready = {fd for fd, _ in poll(max(self._wake_at - now, 0.0))}
            if 0 in ready:
                spares.close()
                return
            link.is_due |= link.fd in ready
            for fd in ready:
                child = spares.by_channel.get(fd)
                if child is not None and child in reusing:  # it is to wait
                    reusing.drop(child)
                elif child is not None:
                    self._hear(child)
            if spares.control_fd in ready:  # after what those have said that have ended
                self._ended()
            if not spares.by_stream.keys().isdisjoint(ready):
                self._overhear(ready)

    # ---- the gateway -----------------------------------------------------------------

    def _hear_gateway(self, said: Any) -> None:
        self._words[type(said)](said)

    def _hello(self) -> None:
        running, finished = tuple(self._running), tuple(self._outbox)
        said = words.Hello(self._id, self._session, self._slots, running, finished)
        self._link.say(words.encode(said))

    def _welcomed(self, said: words.Welcome) -> None:
        self._heard_at = time.monotonic()
        for attempt in self._running.keys() - {*said.keep}:
            self._end(attempt, "cancelled")
        for frame in self._outbox.values():
            self._link.say(frame)

    def _pulse(self, _said: words.Pulse) -> None:
        self._heard_at = time.monotonic()

    def _stored(self, said: words.Stored) -> None:
        for task_id, attempt in said.attempts:
            self._outbox.pop((task_id, attempt), None)

    def _cancel(self, said: words.Cancel) -> None:
        self._end((said.task_id, said.attempt), "cancelled")

    def _tick(self, now: float) -> None:
        """Beat, dial again, end what takes too long, reap; find out when to wake up next."""
        if now >= self._beat_at:
            self._beat_at = now + BEAT_S
            if now - self._heard_at > BEAT_S * MISSED_COUNT:
                self._dial(now)
            self._seq += 1
            self._link.say(words.encode(words.Beat(self._seq, self._slots)))
        wake_at = self._beat_at
        if self._has_usage:
            for attempt, child in self._running.items():
                if now >= child.ends_at:
                    self._end(attempt, "timeout")
                watch_at = child.began_at + _WATCH_S
                if now >= watch_at:
                    self._spares.watch(child)
                    watch_at = _NEVER
                wake_at = min(wake_at, child.ends_at, watch_at)
            wake_at = min(wake_at, self._spares.reap(now), self._reusing.look(now))
        self._wake_at = wake_at

    def _dial(self, now: float) -> None:
        self._poller.unregister(self._link.fd)
        self._link.close()
        self._link.dial()
        self._poller.register(self._link.fd, select.EPOLLIN)
        self._heard_at = now
        self._hello()

    # ---- attempts --------------------------------------------------------------------

    def _begin(self, said: words.Run) -> None:
        attempt = said.task_id, said.attempt
        run = self._runs.get(said.run)
        if run is None:
            run = self._runs[said.run] = msgspec.msgpack.decode(said.run, type=RunSpec)
        if self._is_verifying and not self._script.is_unchanged():
            self._tell(attempt, words.Done(*attempt, "integrity_error", None, 0.0))
            return
        now = time.monotonic()
        child, code = self._child_for(said, run)
        child.attempt, child.began_at = attempt, now
        timeout_s = run.timeout_s
        if said.remaining_ms is not None:
            timeout_s = min(timeout_s, said.remaining_ms / 1000)
        self._running[attempt] = child
        child.ends_at = now + timeout_s
        self._wake_at = min(self._wake_at, child.ends_at, now + _WATCH_S)
        parameters = msgspec.json.decode(said.parameters)
        facts = said.task_id, said.attempt, timeout_s
        left_count = run.reuse_count - child.run_count
        child.ask((code, parameters, self._script.folder, facts, left_count))

    def _child_for(self, said: words.Run, run: RunSpec) -> tuple[Child, bytes]:
        """Return who is to run an attempt, and the code that it needs for that."""
        child, code = None, b""
        if run.reuse_count > 1:
            self._spares.tells_births = True
            child = self._reusing.take((said.client, said.run))
        if child is None:
            child, code = self._spares.take(), self._script.code
        child.use = said.client, said.run
        child.run_count += 1
        return child, code

    def _end(self, attempt: Attempt, code: str) -> None:
        """Kill what runs; its end is told once it is gone."""
        child = self._running.get(attempt)
        if child is not None and not child.code:
            child.code = code
            if self._has_usage:
                child.ends_at = float("inf")
                self._spares.kill(child)
                self._wake_at = min(self._wake_at, self._spares.reap_at)

    def _hear(self, child: Child) -> bool:
        """Hear a child: frames, or its end; False if there is nothing."""
        try:
            data = child.wire.recv(_READ_BYTES, _DONTWAIT)
        except BlockingIOError:
            return False
        if not data:
            self._hung_up(child)
            return False
        said = child.said = child.said + data if child.said else data
        while len(said) >= SIZE_BYTES:
            end = SIZE_BYTES + int.from_bytes(said[:SIZE_BYTES], "big")
            if end > _FRAME_LIMIT_BYTES:
                self._end(child.attempt, "result_invalid")
                return False
            if len(said) < end:
                return True
            kind, body = said[SIZE_BYTES : SIZE_BYTES + 1], said[SIZE_BYTES + 1 : end]
            said = child.said = said[end:]
            if kind in (ANSWER, KEPT, ERROR):
                self._answered(child, kind, body)
                return False
            child.records.append((kind.decode(), body.decode()))
            child.item_count += kind == ITEM
        return True

    def _answered(self, child: Child, kind: bytes, body: bytes) -> None:
        cpu_us = memory_bytes = 0
        if self._has_usage:
            cpu_us, memory_kb = divmod(int.from_bytes(body[:USAGE_BYTES], "big"), _USAGE)
            memory_bytes, body = memory_kb * 1024, body[USAGE_BYTES:]
        records: tuple[tuple[str, str], ...] = ()
        if self._has_output:
            child.capture()
            child.cut()
            records = tuple(child.records)
        elif child.records:
            records = tuple(child.records)
        now = time.monotonic()
        attempt, run_s, is_kept = child.attempt, now - child.began_at, False
        if child.code:  # it was to be ended, and has come first
            done = words.Done(*attempt, child.code, None, run_s, cpu_us, memory_bytes, records)
        elif kind != ERROR:
            is_kept = kind == KEPT and child.is_heard and not child.said
            done = words.Done(*attempt, "ok", body, run_s, cpu_us, memory_bytes, records)
        else:
            error = msgspec.json.decode(body)
            used = cpu_us, memory_bytes
            done = words.Done(*attempt, error["code"], None, run_s, *used, records, error)
        del self._running[attempt]
        self._tell(attempt, done)  # what follows nobody waits for
        if is_kept:
            child.begin_anew()
            self._reusing.offer(child.use, child, now)
        else:
            self._spares.release(child)
        self._wake_at = min(self._wake_at, self._spares.reap_at, self._reusing.look_at)

    def _tell(self, attempt: Attempt, done: words.Done) -> None:
        frame = self._outbox[attempt] = words.encode(done)
        self._link.say(frame)

    def _overhear(self, ready: set[int]) -> None:
        """Tell at once what running attempts print."""
        streams = self._spares.by_stream
        for fd in ready:
            child = streams.get(fd)
            if child is None:
                continue
            if child in self._reusing:  # it is to wait
                self._reusing.drop(child)
            elif child.attempt in self._running:
                for silent_fd in child.capture():
                    self._spares.unwatch(silent_fd)
                if child.records:
                    said = words.Said(*child.attempt, tuple(child.records))
                    child.records = []
                    self._link.say(words.encode(said))

    def _hung_up(self, child: Child) -> None:
        """Have the template tell how a child has ended that has not answered."""
        attempt = child.attempt
        if not self._has_usage:
            self._spares.release(child)
            self._spares.forget(child)
            if self._running.pop(attempt, None) is not None:
                self._tell(attempt, words.Done(*attempt, "crashed", None, 0.0))
            return
        self._spares.hang_up(child)
        self._wake_at = min(self._wake_at, self._spares.reap_at)

    def _ended(self) -> None:
        """Hear how children have ended."""
        for child, status, cpu_us, memory_kb in self._spares.ended():
            attempt = child.attempt
            if child in self._reusing:
                self._reusing.drop(child)
            while child.fd >= 0 and self._hear(child):
                pass  # what it has said before
            if self._running.pop(attempt, None) is None:
                self._spares.forget(child)
                continue
            if self._has_output:
                child.capture()
                child.cut()
            self._spares.release(child)
            code, run_s = child.code or "crashed", time.monotonic() - child.began_at
            told = words.Done(
                *attempt,
                code,
                None,
                run_s,
                cpu_us=cpu_us,
                memory_bytes=memory_kb * 1024,
                records=tuple(child.records),
                error={"code": code, "message": f"status {status}"},
            )
            self._tell(attempt, told)


def main(rung: str, endpoint: str, key: str, folder: str) -> None:
    """Work until the standard input is closed."""
    link = _Link(endpoint, bytes.fromhex(key))
    _Worker(Rung(int(rung)), link, Path(folder)).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
