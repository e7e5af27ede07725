"""A gateway or a worker as a child process of this one, and how it ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Any, ClassVar, Final

import msgspec

from zscrape.errors import ZscrapeError
from zscrape.ops.ahead import Ahead

_END_GRACE_S: Final = 5.0
_ERROR_TAIL_COUNT: Final = 20
# A start takes a second or two, on a small and busy board or under emulation above a minute.
_READY_LIMIT_S: Final = 300.0


class RoleError(ZscrapeError):
    """Raised when a gateway or a worker ends before it is ready."""

    code: ClassVar[str] = "role_failed"
    role: str
    exit_code: int
    told: str  # its own words, or the last lines of its standard error
    limit_s: float = 0.0  # after which it was ended for not being ready; 0.0: it ended itself

    @property
    def text_key(self) -> str:
        """Say that it took too long where it did."""
        return "role_failed.late" if self.limit_s else self.code


class Role:
    """One `zscrape gateway` or `zscrape worker`, started by this process and ended with it.

    It runs in a session of its own, so that Ctrl-C reaches only the parent, which ends its
    roles in the right order. Its standard input is a lifeline: when this process dies,
    however it dies, the role reads its end and stops (`end_with_parent`).

    Args:
        verb: `gateway` or `worker`.
        arguments: Its further arguments.
        environ: Its environment; None means this process's.
        shares_errors: Its log goes to this process's standard error; else the last lines
            are kept and told when it fails.
        ahead: A process that waits for its role; it shares its errors and its environment.
    """

    def __init__(
        self,
        verb: str,
        arguments: Sequence[str],
        *,
        environ: Mapping[str, str] | None = None,
        shares_errors: bool = False,
        ahead: Ahead | None = None,
    ) -> None:
        self.verb = verb
        self._tail: list[str] = []
        self._process: subprocess.Popen[str] | Ahead
        if ahead is not None:
            ahead.tell([verb, "--tied", "--json", *arguments])
            self._process = ahead
        else:
            self._process = self._start(arguments, environ, shares_errors=shares_errors)
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()

    def _start(
        self,
        arguments: Sequence[str],
        environ: Mapping[str, str] | None,
        *,
        shares_errors: bool,
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "zscrape", self.verb, "--tied", "--json", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if shares_errors else subprocess.PIPE,
            env=None if environ is None else dict(environ),
            start_new_session=True,
            text=True,
            encoding="utf-8",
        )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def wait_ready(self, limit_s: float = _READY_LIMIT_S) -> dict[str, Any]:
        """Return what it says when it is ready.

        Raises:
            RoleError: It has ended instead, or was ended for not being ready in `limit_s`.
        """
        is_late = threading.Event()

        def end() -> None:
            is_late.set()
            self._process.kill()  # which ends its output, and so the wait

        timer = threading.Timer(limit_s, end)
        timer.daemon = True
        timer.start()
        try:
            ready = self._read_ready()
        finally:
            timer.cancel()
            timer.join()
        if ready is not None and not is_late.is_set():
            return ready
        exit_code = self._process.wait()
        self._reader.join()
        raise RoleError(
            role=self.verb,
            exit_code=exit_code,
            told="\n".join(self._tail),
            limit_s=limit_s if is_late.is_set() else 0.0,
        )

    def _read_ready(self) -> dict[str, Any] | None:
        """Read until it says that it is ready; None when its output ends before."""
        for line in self._pipe(self._process.stdout):
            said = msgspec.json.decode(line)
            if isinstance(said, dict) and said.get("event") == "ready":
                return said
            if isinstance(said, dict) and "error" in said:
                self._tail.append(str(said["error"]["message"]))
        return None

    def wait(self) -> int:
        """Wait until it has ended and return its exit code."""
        return self._process.wait()

    def stop(self) -> int:
        """End it: ask, ask again, kill. Returns its exit code once it is gone."""
        for number in (signal.SIGTERM, signal.SIGTERM):
            if self._process.poll() is None:
                self._process.send_signal(number)
            try:
                self._process.wait(_END_GRACE_S)
                break
            except subprocess.TimeoutExpired:
                continue
        if self._process.poll() is None:
            self._process.kill()
        exit_code = self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        return exit_code

    def _read_errors(self) -> None:
        """Keep its standard error from filling its pipe."""
        if self._process.stderr is None:
            return
        for line in self._process.stderr:
            self._tail.append(line.rstrip("\n"))
            del self._tail[:-_ERROR_TAIL_COUNT]

    @staticmethod
    def _pipe(stream: IO[str] | None) -> IO[str]:
        if stream is None:
            raise RuntimeError("started without a pipe")
        return stream


def end_with_parent() -> None:
    """End this process in an orderly way when its standard input closes: `--tied`.

    A second signal ends it at once where the first one only began a long draining.
    """

    def watch() -> None:
        # The descriptor, not `sys.stdin`: a thread that holds its lock when the interpreter
        # ends is a fatal error.
        while os.read(0, 4096):
            continue
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(_END_GRACE_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
