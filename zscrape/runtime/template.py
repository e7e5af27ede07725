"""The warm process that children are forked from.

It imports what its scripts will need, freezes the collector, then does three things for
its worker: fork spare children, signal them, and tell how they ended. It is the subreaper of
everything below it, so whatever a script starts ends up here and can be ended. When the
worker's end of the control socket closes, it ends all of that and itself.

Lean on purpose: every page that this loop writes to is copied again after each fork. That is
why it has no signal handler: it reaps when it is spoken to, and the worker, which sees
channels close, speaks to it when there is something to reap.

Control messages are short ASCII datagrams of lines, ids are the worker's:

    to the template                             from the template
    F processes limits id folder ...            R                         ready
      (three descriptors per child; limits      E text                    cannot be used
      are memory,files,size, or - for those     P id pid                  forked
      that the template itself has)             N id errno                not forked
    K id signal                                 X id status cpu_us kb     ended and reaped
    S id ...  end strays; ids are the           S count                   strays seen
      attempts that may own one
    W  (nothing but reap)

Before all that, `launch.py prepare` may say `L number`: see `notify.hand_over`.
"""

from __future__ import annotations

import _socket
import gc
import os
import sys
from typing import Any

from zscrape.runtime import child, limits

_MESSAGE_LIMIT_BYTES = 65536
_FD_LIMIT_COUNT = 253  # SCM_MAX_FD of the kernel
_EXEC_ARGUMENTS = ("-I", "-B")
# Enough for the interpreter to have specialised all that a child does.
_REHEARSALS_COUNT = 60


class Template:
    """The loop and what it knows: the children that it has not yet reaped."""

    def __init__(self, control_fd: int, scratch: str, isolation: str, kit: str) -> None:
        null = os.open("/dev/null", os.O_RDWR)
        self._null, self._errors = _lift(null), _lift(2)
        self._control = _socket.socket(fileno=_lift(control_fd))
        os.close(null)
        os.close(control_fd)
        os.dup2(self._null, child.CHANNEL_FD, False)
        self._scratch = scratch.encode()
        self._is_exec = isolation == "exec"
        self._kit = kit
        self._is_root = os.geteuid() == 0  # the kernel does not hold root to a process count
        self._ids: dict[int, bytes] = {}  # pid to id
        self._pids: dict[bytes, int] = {}
        self._strays: dict[int, frozenset[bytes]] = {}  # pid to the attempts that may own it
        self._told: list[bytes] = []

    def serve(self) -> None:
        """Obey the worker until it is gone, then leave nothing behind."""
        try:
            self._control.send(b"R")
            self._obey()
        except OSError:  # it has gone while we spoke
            pass
        self._end_all()

    def _obey(self) -> None:
        receive, send, told = self._control.recvmsg, self._control.send, self._told
        room = _socket.CMSG_SPACE(4 * _FD_LIMIT_COUNT)
        while True:
            message, ancillary, _flags, _address = receive(_MESSAGE_LIMIT_BYTES, room)
            if not message:
                return
            words = message.split()
            word = words[0]
            if word == b"F":
                self._fork_all(words, ancillary)
            elif word == b"K":
                self._kill(words[1], int(words[2]))
            elif word == b"S":
                self._end_strays(frozenset(words[1:]))
            self._reap()
            if told:
                send(b"\n".join(told))
                told.clear()

    # ---- children --------------------------------------------------------------------

    def _fork_all(self, words: list[bytes], ancillary: list[Any]) -> None:
        """Fork a batch. All that a fork can inherit is set here first, where it costs less."""
        fds = memoryview(ancillary[0][2]).cast("i")
        at = 0
        for index in range(3, len(words), 2):
            child_id = words[index]
            self._move_to(words[index + 1])
            os.dup2(fds[at], child.CHANNEL_FD, False)
            os.dup2(fds[at + 1], 1)
            os.dup2(fds[at + 2], 2)
            at += 3
            try:
                pid = os.fork()
            except OSError as error:
                self._told.append(b"N %b %d" % (child_id, error.errno or 0))
                continue
            if pid == 0:
                self._become(words)
            self._ids[pid] = child_id
            self._pids[child_id] = pid
            self._told.append(b"P %b %d" % (child_id, pid))
        os.dup2(self._null, child.CHANNEL_FD, False)
        os.dup2(self._null, 1)
        os.dup2(self._errors, 2)
        for fd in fds:
            os.close(fd)

    def _move_to(self, folder: bytes) -> None:
        home = self._scratch + b"/" + folder
        os.chdir(home)
        # What `os.environ[...] = ...` does, at a third of the pages that it touches.
        known = os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001
        for name in (b"HOME", b"TMPDIR"):
            os.putenv(name, home)
            known[name] = home

    def _become(self, words: list[bytes]) -> None:
        """Turn this fork into a spare child: in its own session, limited, with nothing of ours."""
        try:
            os.setsid()
            os.closerange(child.CHANNEL_FD + 1, 65536)
            if words[2] != b"-":
                limits.apply(limits.Limits(*map(int, words[2].split(b","))))
            if not self._is_root:
                limits.apply_process_count(int(words[1]))
            if self._is_exec:
                self._become_fresh()
            child.serve()
        except Exception as error:  # noqa: BLE001 - a child that cannot be set up must say why
            os.write(2, f"zscrape: {type(error).__name__}: {error}".encode("utf-8", "replace"))
        finally:
            os._exit(1)

    def _become_fresh(self) -> None:
        os.set_inheritable(child.CHANNEL_FD, True)
        launch = f"{os.path.dirname(__file__)}/launch.py"  # noqa: PTH120 - pathlib is not loaded here
        os.execv(sys.executable, [sys.executable, *_EXEC_ARGUMENTS, launch, "child", self._kit])  # noqa: S606 - a fresh interpreter is what `exec` asks for

    def _kill(self, child_id: bytes, number: int) -> None:
        pid = self._pids.get(child_id)
        if pid is None:  # already reaped
            return
        try:
            os.killpg(pid, number)
        except ProcessLookupError:  # forked a moment ago: its session is not there yet
            os.kill(pid, number)

    # ---- their ends ------------------------------------------------------------------

    def _reap(self) -> None:
        """Tell of every child that has ended, once nothing is left of its group."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            pid = ended.si_pid
            child_id = self._ids.pop(pid, None)
            if child_id is not None:
                self._end_group(pid)  # before the wait: until then nobody can have its number
            _pid, status, used = os.wait4(pid, 0)
            if child_id is None:
                self._strays.pop(pid, None)
                continue
            del self._pids[child_id]
            cpu_us = int((used.ru_utime + used.ru_stime) * 1_000_000)
            self._told.append(b"X %b %d %d %d" % (child_id, status, cpu_us, used.ru_maxrss))

    def _end_group(self, pid: int) -> None:
        try:
            os.killpg(pid, 9)
        except OSError:  # it ended before it had a group of its own
            return

    # ---- strays: what left its attempt's session and lost its parent ------------------

    def _end_strays(self, active: frozenset[bytes]) -> None:
        """End every stray that no active attempt can own; tell how many were seen.

        A stray in the session of a living child is that child's business. Of any other it
        is only known that its owner was active when it was first seen, or has ended.
        """
        seen = 0
        for pid in _children():
            if pid in self._ids or self._has_living_session(pid):
                continue
            seen += 1
            owners = self._strays.get(pid, active) & active
            self._strays[pid] = owners
            if not owners:
                _kill_one(pid)
        self._told.append(b"S %d" % seen)

    def _has_living_session(self, pid: int) -> bool:
        try:
            return os.getsid(pid) in self._ids
        except OSError:
            return False

    def _end_all(self) -> None:
        """Kill until there is nobody left: what is killed leaves its own children to us."""
        for pid in list(self._ids):
            self._end_group(pid)
            _kill_one(pid)
        while True:
            for pid in _children():
                _kill_one(pid)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return


def _lift(fd: int) -> int:
    """Return a copy of `fd` above the place of a child's channel."""
    low = []
    while (copy := os.dup(fd)) <= child.CHANNEL_FD:
        low.append(copy)
    for each in low:
        os.close(each)
    return copy


def _children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children", "rb", buffering=0) as file:  # noqa: PTH123 - pathlib is not loaded here
        return [int(word) for word in file.readall().split()]


def _kill_one(pid: int) -> None:
    try:
        os.kill(pid, 9)
    except OSError:
        return


def warm(kit: str) -> None:
    """Import and try out what scripts with this kit will use, so that no child has to."""
    if "http" in kit.split(","):
        from zscrape.runtime import ctx_http

        ctx_http.warm()


def serve(arguments: list[str]) -> None:
    """Run as a template: control descriptor, scratch folder, isolation, kit, limits or `-`."""
    control_fd, scratch, isolation, kit, own_limits = int(arguments[0]), *arguments[1:5]
    os.set_inheritable(control_fd, False)
    os.umask(0o077)
    os.environ.pop("LD_BIND_NOW", None)  # it was for this process, not for what scripts start
    limits.forbid_core_dumps()
    try:
        if isolation == "fork":
            warm(kit)
            child.rehearse(scratch, _REHEARSALS_COUNT)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        _socket.socket(fileno=control_fd).send(b"E " + text.encode("utf-8", "replace")[:4096])
        raise
    if own_limits != "-":
        limits.apply(limits.Limits(*map(int, own_limits.split(","))))
    _prepare_interpreter()
    Template(control_fd, scratch, isolation, kit).serve()


def serve_child(arguments: list[str]) -> None:
    """Run as one child in a fresh interpreter: kit."""
    os.set_inheritable(child.CHANNEL_FD, False)
    warm(arguments[0])
    _prepare_interpreter()
    child.serve()


def _prepare_interpreter() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(  # type: ignore[union-attr]
            encoding="utf-8", errors="backslashreplace", line_buffering=True
        )
    child.install_sigterm()
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page it visits
    gc.disable()
