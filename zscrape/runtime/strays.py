"""Ending processes that have lost their parent and become a subreaper's children."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # `signal` without the enums around it
import os
import time

# How long the template may do nothing else: a fork is late by that much at most, and the
# worker asks again for what is left.
_PATIENCE_S = 0.02
_PAUSE_S = 0.001
_USER_TRIES_COUNT = 3
_READ_BYTES = 4096


class Patience:
    """Waits for processes to end, in short pauses, until its time is up."""

    def __init__(self, limit_s: float = _PATIENCE_S) -> None:
        self._ends_at = time.monotonic() + limit_s
        self._seen: set[int] = set()

    def wait(self, found: list[int]) -> bool:
        """Return when one of those found may have ended; at once and False if the time is up."""
        if time.monotonic() >= self._ends_at:
            return False
        if not self._seen.issuperset(found):  # only whoever is quick hits a chain of forks
            self._seen.update(found)
            return True
        # Blocked for as long as we wait, or it would be thrown away: nothing handles it.
        before = _signal.pthread_sigmask(_signal.SIG_BLOCK, {_signal.SIGCHLD})
        try:
            _signal.sigtimedwait({_signal.SIGCHLD}, _PAUSE_S)
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
        return True


def children() -> set[int]:
    """Return the children of this process, which has one thread."""
    told = b""
    fd = os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY | os.O_CLOEXEC)
    try:
        while more := os.read(fd, _READ_BYTES):
            told += more
    finally:
        os.close(fd)
    return set(map(int, told.split()))


def kill(pid: int) -> None:
    """Kill a process, if it is still there."""
    try:
        os.kill(pid, _signal.SIGKILL)
    except OSError:
        return


def end_group_of(pid: int) -> None:
    """Kill a stray of ours and its process group: all of a group dies at once, forks included.

    A group lies within one session, and a session holds nothing but what its leader started:
    unless it is our own, it is all of the same attempt.
    """
    try:
        if os.getsid(pid) != os.getsid(0):
            os.killpg(os.getpgid(pid), _signal.SIGKILL)
    except OSError:  # the whole group has just ended
        pass
    kill(pid)


def end_user(uid: int) -> None:
    """Kill every process of a user that belongs to one attempt alone, all at the same moment.

    Only root can do this: a process of ours becomes that user and kills all that it may.
    Until it has, its victims may kill or stop it in turn; then it is tried again.
    """
    for _ in range(_USER_TRIES_COUNT):
        pid = os.fork()
        if pid == 0:
            _become_and_kill(uid)
        _, status = os.waitpid(pid, os.WUNTRACED)
        if os.WIFEXITED(status):
            return
        if os.WIFSTOPPED(status):
            os.kill(pid, _signal.SIGKILL)
            os.waitpid(pid, 0)


def _become_and_kill(uid: int) -> None:
    try:
        os.setgroups([])
        # Of the template's own group: by another it could be taken for a child (`marker`).
        os.setresuid(uid, uid, uid)
        os.kill(-1, _signal.SIGKILL)  # spares whoever sends it
    finally:
        os._exit(0)
