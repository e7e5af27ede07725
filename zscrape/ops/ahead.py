"""A process that is forked ahead of its role, and shares the memory of what both have loaded.

A gateway and a worker as two interpreters hold the same 10 MB of modules twice. A fork shares
them, and loads what else it needs while its parent starts. It is taken before the parent reads
a setting or a key, opens anything or has a second thread: there is nothing in it that a fresh
interpreter with the same environment would not have.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import IO, Final

import msgspec

# What gateways and workers both load; what these load in turn comes along.
_SHARED: Final = (
    *("uvloop", "zmq", "hashlib", "secrets", "concurrent.futures.thread", "ctypes", "dataclasses"),
    *("zscrape.config", "zscrape.config.keyfiles", "zscrape.log", "zscrape.machine"),
    *("zscrape.monitor", "zscrape.ops.role", "zscrape.scripts.cache", "zscrape.wire"),
    *("zscrape.core.admission", "zscrape.core.effects", "zscrape.core.ensure"),
    *("zscrape.core.nesting", "zscrape.runtime.channel", "zscrape.runtime.encode"),
    *("zscrape.runtime.recording", "zscrape.startpages"),
)
_ARGUMENTS: Final = slice(45, 47)  # arg_start and arg_end after the name: fields 48, 49, proc(5)


class Ahead:
    """A forked process that waits for its arguments; from then on like `subprocess.Popen`."""

    stderr: IO[str] | None = None  # it writes to its parent's

    def __init__(self, pid: int, stdin: IO[str], stdout: IO[str]) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self._pidfd = os.pidfd_open(pid)
        self._exit_code: int | None = None
        self._reaping = threading.Lock()

    @classmethod
    def fork(cls, main: Callable[[list[str]], None], module: str) -> Ahead | None:
        """Return a child that loads `module` now, and calls `main` with what `tell` hands it.

        In the child this does not return: the interpreter ends as `main` says.

        Returns:
            None where a fork would be no good: beside threads, which it would not have, without
            standard streams, and on systems whose libraries do not survive it.
        """
        has_streams = sys.stdin is not None and sys.stdout is not None
        if sys.platform != "linux" or threading.active_count() > 1 or not has_streams:
            return None
        for name in _SHARED:
            with contextlib.suppress(ImportError):  # uvloop is not made for every platform
                import_module(name)
        # The collector writes to what it looks at, and a page that is written to is not shared.
        gc.collect()
        gc.freeze()
        sys.stdout.flush()
        their_input, our_input = os.pipe()
        our_output, their_output = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(our_input)
            os.close(our_output)
            _wait_and_run(their_input, their_output, main, module)
        os.close(their_input)
        os.close(their_output)
        return cls(
            pid,
            os.fdopen(our_input, "w", encoding="utf-8"),
            os.fdopen(our_output, encoding="utf-8"),
        )

    def tell(self, arguments: Sequence[str]) -> None:
        """Hand it its arguments: from here on it has its role."""
        with contextlib.suppress(BrokenPipeError):  # it has ended: `wait` tells how
            # Past the file's buffer, which would fail once more when it is closed.
            os.write(self.stdin.fileno(), msgspec.json.encode(arguments) + b"\n")

    def poll(self) -> int | None:
        """Return its exit code, negative after a signal; None while it lives."""
        with self._reaping:
            if self._exit_code is None:
                try:
                    pid, status = os.waitpid(self.pid, os.WNOHANG)
                except ChildProcessError:  # SIGCHLD is ignored: the kernel has taken its end
                    pid, status = self.pid, 0
                if pid:
                    self._exit_code = os.waitstatus_to_exitcode(status)
            return self._exit_code

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code once it has ended.

        Raises:
            subprocess.TimeoutExpired: It lives on after `timeout` seconds.
        """
        end = select.poll()
        end.register(self._pidfd, select.POLLIN)
        end.poll(None if timeout is None else timeout * 1000)
        exit_code = self.poll()
        if exit_code is None:
            raise subprocess.TimeoutExpired("zscrape", timeout or 0.0)
        return exit_code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(9)


def _wait_and_run(
    their_input: int, their_output: int, main: Callable[[list[str]], None], module: str
) -> None:
    os.setsid()
    for descriptor, number in ((their_input, 0), (their_output, 1)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    import_module(module)
    told = _line()
    if not told:  # its parent has ended before it had a role for it
        os._exit(0)
    arguments = msgspec.json.decode(told, type=list[str])
    _show(arguments)
    main(arguments)
    raise SystemExit(0)


def _line() -> bytes:
    """Read one line, and nothing of what may follow it."""
    told = b""
    while not told.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return b""
        told += byte
    return told


def _show(arguments: Sequence[str]) -> None:
    """Have `ps` show what it does: over the parent's arguments, as far as there is room."""
    with contextlib.suppress(OSError):  # only for people's eyes
        after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = map(int, after_name[_ARGUMENTS])
        shown = b"\0".join(os.fsencode(each) for each in ("zscrape", *arguments))
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            memory.seek(start)
            memory.write(shown[: end - start - 1].ljust(end - start, b"\0"))
