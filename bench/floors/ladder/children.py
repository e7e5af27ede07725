"""The children of a worker: forked ahead, each with a channel, its output, and a folder."""

from __future__ import annotations

import _socket
import array
import asyncio
import os
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from marshal import dumps, loads
from pathlib import Path
from typing import Any

import msgspec

import bench
from bench.floors import forks
from bench.floors.ladder import template
from bench.floors.ladder.rungs import Rung
from bench.floors.ladder.template import SIZE_BYTES
from bench.floors.ladder.words import Attempt
from zscrape.runtime import marker
from zscrape.worker.tree import Eye

_SPARE_COUNT, _BATCH_COUNT = 8, 6  # as ours has for four slots
_READ_BYTES = 65_536
_READ_COUNT = 4  # more than a pipe holds; who goes on printing is read with the next look
_ROOT = str(Path(bench.__file__).parents[1])
_OUTPUT_LIMIT_BYTES, _LINE_LIMIT_BYTES = 10 * 1024 * 1024, 64 * 1024
_CUT = " [cut]"
_MODE, _ROOT_MODE = 0o700, 0o711
_TICK_NS = 50_000_000  # of a file system's clock, and more: see `zscrape.worker.scratch`
_FREE_LIMIT_COUNT = 64
_REAP_FIRST_S, _REAP_CAP_S = 0.003, 0.1
_NEVER = float("inf")


class Child:
    """One forked process, or one that is about to be."""

    __slots__ = (
        *("attempt", "began_at", "code", "ends_at", "error_fd", "eye", "fd", "folder", "is_heard"),
        *("is_watched", "item_count", "left_bytes", "number", "out_fd", "output", "pid"),
        *("records", "run_count", "said", "started", "use", "wire"),
    )

    def __init__(self, number: int, wire: _socket.socket, folder: str) -> None:
        self.number, self.wire, self.folder = number, wire, folder
        self.fd = wire.fileno()
        self.out_fd = self.error_fd = -1
        self.output = select.poll()
        self.is_watched = False
        self.attempt: Attempt = ("", 0)
        self.began_at = self.ends_at = 0.0
        self.code = ""  # by which it is to end, once that is decided
        self.run_count = self.pid = 0  # the latter is told only where children are reused
        self.use = "", b""  # the client of its attempts, and what they run
        self.eye: Eye | None = None
        self.said = b""  # the beginning of a frame
        self.started: dict[int, bytes] = {}  # lines that have not ended, by descriptor
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what an attempt has said."""
        self.is_heard = True
        self.records: list[tuple[str, str]] = []
        self.item_count = 0
        self.left_bytes = _OUTPUT_LIMIT_BYTES

    def ask(self, request: tuple[Any, ...]) -> None:
        """Have it run an attempt."""
        said = dumps(request)
        self.wire.sendall(len(said).to_bytes(SIZE_BYTES, "big") + said)

    def capture(self) -> list[int]:
        """Take what it has printed; return where nobody is left to print.

        Most print nothing, which one look tells. `is_heard` iff that was all.
        """
        silent: list[int] = []
        for _ in range(_READ_COUNT):
            found = self.output.poll(0)
            full = [fd for fd, events in found if events & select.POLLIN]
            silent = [fd for fd, _events in found if fd not in full]
            self.is_heard = not found
            if not full:
                break
            for fd in full:
                self._add(fd, os.read(fd, _READ_BYTES))
        return silent

    def _add(self, fd: int, data: bytes) -> None:
        name = "stdout" if fd == self.out_fd else "stderr"
        *lines, rest = (self.started.get(fd, b"") + data).split(b"\n")
        if len(rest) > _LINE_LIMIT_BYTES:
            lines, rest = [*lines, rest], b""
        self.started[fd] = rest
        for line in lines:
            self._line(name, line)

    def _line(self, name: str, line: bytes) -> None:
        if self.left_bytes <= 0:  # drained, so that nothing waits for a reader
            return
        text = line[:_LINE_LIMIT_BYTES].decode("utf-8", "backslashreplace")
        self.left_bytes -= len(line)
        is_cut = len(line) > _LINE_LIMIT_BYTES or self.left_bytes <= 0
        self.records.append((name, text + _CUT if is_cut else text))

    def cut(self) -> None:
        """Take lines that will not end."""
        for fd, rest in self.started.items():
            if rest:
                self._line("stdout" if fd == self.out_fd else "stderr", rest)
        self.started.clear()


class Folders:
    """Private folders: one that nothing was changed in is given to another child as it is."""

    def __init__(self, root: str, first_uid: int | None) -> None:
        self._root, self._first_uid = root, first_uid
        self._made_count = 0
        self._free: list[tuple[str, int]] = []
        self._given: dict[str, tuple[int, bool]] = {}

    def take(self) -> str:
        """Return the name of an empty folder."""
        if self._free:
            name, changed_at = self._free.pop()
        else:
            self._made_count += 1
            name = str(self._made_count)
            path = f"{self._root}/{name}"
            os.mkdir(path, _MODE)  # noqa: PTH102 - four times cheaper than through a Path
            if self._first_uid is not None:
                uid = self._first_uid + self._made_count
                os.chown(path, uid, uid)
            changed_at = os.stat(path).st_ctime_ns  # noqa: PTH116 - as above
        self._given[name] = changed_at, time.time_ns() - changed_at > _TICK_NS
        return name

    def is_untouched(self, name: str) -> bool:
        """True iff nothing has been changed in a folder since it was given away."""
        changed_at, is_telling = self._given[name]
        path = f"{self._root}/{name}"
        now = time.time_ns()  # first: a change after the looks may look like none
        if os.stat(path).st_ctime_ns != changed_at:  # noqa: PTH116 - as above
            return False
        if is_telling:
            return True
        if os.listdir(path):  # noqa: PTH208 - as above
            return False
        self._given[name] = changed_at, now - changed_at > _TICK_NS
        return True

    def release(self, name: str) -> None:
        """Take one back; what a script has left there is removed elsewhere."""
        is_untouched = self.is_untouched(name)
        changed_at, _is_telling = self._given.pop(name)
        if is_untouched and len(self._free) < _FREE_LIMIT_COUNT:
            self._free.append((name, changed_at))
            return
        path = f"{self._root}/{name}"
        threading.Thread(target=shutil.rmtree, args=(path, True)).start()


class Spares:
    """A template and its children."""

    def __init__(self, rung: Rung, folder: Path, scratch: Path, poller: select.epoll) -> None:
        self._poller = poller
        self._has_ends, self._has_output = rung >= Rung.DEADLINE, rung >= Rung.OUTPUT
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control_fd = self._control.fileno()
        self._waiting: deque[Child] = deque()
        self._count = 0
        self.by_channel: dict[int, Child] = {}
        self.by_stream: dict[int, Child] = {}
        self._by_number: dict[int, Child] = {}  # those that have not ended
        self._leaving: dict[int, Child] = {}  # of these, who has answered or hung up
        self.reap_at, self._reap_delay_s = _NEVER, _REAP_FIRST_S
        self.tells_births = False
        self._root = ""
        self._folders: Folders | None = None
        before: list[str] = []
        environ: dict[str, str] = {}
        plan, first_uid = "", None
        if rung >= Rung.FOLDER:
            self._root = str(scratch)
            scratch.mkdir()
            scratch.chmod(_ROOT_MODE)
        if rung >= Rung.LAYERS:
            before, plan, environ, first_uid = self._layers(folder)
        if rung >= Rung.FOLDER:
            self._folders = Folders(self._root, first_uid)
        self._family = b""  # all that is below the template, when that was its children
        self._owner = marker.owner_of(self._root)
        with theirs:
            arguments = [str(int(rung)), str(theirs.fileno()), self._root, plan]
            process = subprocess.Popen(
                [*forks.command(template.__name__, "-S"), *before, *arguments],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**environ, "LD_BIND_NOW": "1"},  # as ours is started
                start_new_session=True,
            )
        assert self._control.recv(16) == b"ready"
        self._eye = Eye(process.pid)
        self._control.setblocking(False)
        poller.register(self.control_fd, select.EPOLLIN)

    def _layers(self, folder: Path) -> tuple[list[str], str, dict[str, str], int | None]:
        """Find out which layers this machine has, as ours does."""
        from zscrape.worker.isolation import STAGING, examine
        from zscrape.worker.network import Egress, NetworkPolicy

        (Path(self._root) / STAGING).mkdir(mode=_MODE)
        egress = Egress(NetworkPolicy())
        egress.open()
        found = asyncio.run(examine(sys.executable, self._root, (folder,)))
        told = msgspec.json.decode(found.plan(sys.executable, self._root))
        told["read"].append(_ROOT)
        told["layers"] = frozenset(told["layers"])
        first_uid = found.first_uid if found.has_own_users else None
        steps = [*egress.steps("public"), "prepare"]
        self._egress = egress
        return steps, dumps(told).hex(), egress.environ("public"), first_uid

    # ---- spares ----------------------------------------------------------------------

    def take(self) -> Child:
        """Return a child that waits, or is about to."""
        if not self._waiting:
            self._fork()
        return self._waiting.popleft()

    def refill(self) -> None:
        """Have as many forked as have been taken, once that is a batch."""
        if len(self._waiting) <= _SPARE_COUNT - _BATCH_COUNT:
            self._fork()

    def _fork(self) -> None:
        theirs: list[int] = []
        named = []
        for _ in range(_BATCH_COUNT):
            self._count += 1
            folder = "" if self._folders is None else self._folders.take()
            ours, other = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
            child = Child(self._count, ours, folder)
            theirs.append(other.detach())
            self._poller.register(child.fd, select.EPOLLIN)
            self.by_channel[child.fd] = child
            if self._has_output:
                self._connect_output(child, theirs)
            if self._has_ends:
                self._by_number[child.number] = child
            named.append((child.number, folder))
            self._waiting.append(child)
        descriptors = array.array("i", theirs)
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)]
        self._say([dumps(("F", named, self.tells_births))], rights)
        for fd in theirs:
            os.close(fd)
        self._reap_later()

    def _connect_output(self, child: Child, theirs: list[int]) -> None:
        child.out_fd, out = os.pipe2(os.O_CLOEXEC)
        child.error_fd, error = os.pipe2(os.O_CLOEXEC)
        for fd in (child.out_fd, child.error_fd):
            child.output.register(fd, select.POLLIN)
        theirs += (out, error)

    def watch(self, child: Child) -> None:
        """Hear at once of what a child prints. Most are over before that pays."""
        if self._has_output and not child.is_watched:
            child.is_watched = True
            for fd in (child.out_fd, child.error_fd):
                self._poller.register(fd, select.EPOLLIN)
                self.by_stream[fd] = child

    def unwatch(self, fd: int) -> None:
        """Hear no more of what nobody can print to."""
        if self.by_stream.pop(fd, None) is not None:
            self._poller.unregister(fd)

    def _say(self, parts: list[bytes], rights: Any = ()) -> None:
        while True:
            try:
                self._control.sendmsg(parts, rights)
            except BlockingIOError:  # it is busy forking
                select.select((), (self._control,), ())
            else:
                return

    # ---- ends ------------------------------------------------------------------------

    def hang_up(self, child: Child) -> None:
        """Close a child's channel, and have its end told soon."""
        if child.fd >= 0:
            del self.by_channel[child.fd]
            child.fd = -1
            child.wire.close()
            if child.number in self._by_number:
                self._leaving[child.number] = child
                self._reap_later()

    def release(self, child: Child) -> None:
        """Close all that is a child's; its folder is given back once it has ended."""
        self.hang_up(child)
        if child.out_fd >= 0:
            for fd in (child.out_fd, child.error_fd):
                self.by_stream.pop(fd, None)
                os.close(fd)
            child.out_fd = child.error_fd = -1

    def is_home_untouched(self, child: Child) -> bool:
        """True iff a child's folder is as it was given."""
        return self._folders is not None and self._folders.is_untouched(child.folder)

    def alone_s(self, child: Child, limit_bytes: float) -> float | None:
        """Return what a child has used; None if it has company, of threads too, or is over.

        None also if it holds more than so much.
        """
        if not child.pid or child.number not in self._by_number:
            return None
        try:
            eye = child.eye = child.eye or Eye(child.pid)
        except OSError:
            return None
        cpu_s = eye.alone_s(limit_bytes)
        return None if cpu_s is None or self._has_strays(child) else cpu_s

    def _has_strays(self, child: Child) -> bool:
        told = self._eye.children()
        if told == self._family:
            return False
        known = {each.pid for each in self._by_number.values()}
        strangers = {*map(int, told.split())} - known
        if not strangers:
            self._family = told
        mark = self._owner, child.number
        return any(marker.read(pid) == mark for pid in strangers)

    def forget(self, child: Child) -> None:
        """Let go of a spare that has ended by itself."""
        if child in self._waiting:
            self._waiting.remove(child)
            self.release(child)

    def kill(self, child: Child) -> None:
        """Kill a child's process group."""
        self._say([dumps(("K", child.number))])
        self._reap_delay_s = _REAP_FIRST_S
        self._leaving[child.number] = child
        self._reap_later()

    def _reap_later(self) -> None:
        """Ask for ends soon, unless the next batch does."""
        self._reap_delay_s = _REAP_FIRST_S
        self.reap_at = time.monotonic() + _REAP_FIRST_S if self._leaving else _NEVER

    def reap(self, now: float) -> float:
        """Ask the template for ends if it is time; return when it is time again."""
        if now >= self.reap_at:
            self._say([dumps(("W",))])
            self._reap_delay_s = min(self._reap_delay_s * 2, _REAP_CAP_S)
            self.reap_at = now + self._reap_delay_s
        return self.reap_at

    def ended(self) -> Iterator[tuple[Child, int, int, int]]:
        """Yield the children that have ended, with status, processor time and memory."""
        try:
            told = self._control.recv(_READ_BYTES)
        except BlockingIOError:
            return
        if not told:
            raise RuntimeError("the template has ended")
        births, ends = loads(told)
        for number, pid in births:
            self._by_number[number].pid = pid
        for number, status, cpu_us, memory_kb in ends:
            child = self._by_number.pop(number)
            self._leaving.pop(number, None)
            if child.eye is not None:
                child.eye.close()
            yield child, status, cpu_us, memory_kb
            if self._folders is not None:
                self._folders.release(child.folder)
        if not self._leaving:
            self.reap_at = _NEVER

    def close(self) -> None:
        """Have everything ended."""
        self._control.close()
