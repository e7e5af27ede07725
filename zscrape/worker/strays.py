"""Ending what is left of attempts whose template is gone, by the mark that it carries.

As long as a template lives it does this itself (`zscrape.runtime.template`). What outlives it
becomes this worker's own (`processes.adopt`); what outlives the worker too is found by the next
one that starts on the same folder.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from pathlib import Path

from zscrape.runtime import marker
from zscrape.runtime.strays import end_group_of

_ADOPTED_LIMIT_S = 0.1
_MARKED_LIMIT_S = 5.0
_PAUSE_MS = 2
_adopting = threading.Lock()  # a number that one thread has waited for must not be hit by another
_WHOLE_GROUP = 4  # PIDFD_SIGNAL_PROCESS_GROUP, since Linux 6.9


def end_adopted(owner: int) -> int:
    """Kill and reap our own children that bear `owner`'s mark; return how many it found.

    Templates bear none. Goes round until there is nothing or a moment has passed: what is
    killed leaves its own children to us.
    """
    ends_at = time.monotonic() + _ADOPTED_LIMIT_S
    seen: set[int] = set()
    with _adopting:
        while True:
            found = [pid for pid in _children() if marker.read(pid)[0] == owner]
            for pid in found:
                end_group_of(pid)
            left = [pid for pid in found if not _reap(pid)]
            if not found or time.monotonic() >= ends_at:
                return len(seen)
            if left:
                _wait(left, seen)
            seen.update(found)


def end_marked(owner: int) -> int:
    """Kill every process of this machine that bears the mark of a dead worker.

    Returns how many were still there after some seconds of trying.
    """
    ends_at = time.monotonic() + _MARKED_LIMIT_S
    seen: set[int] = set()
    while True:
        found = marked(owner)
        if not found or time.monotonic() >= ends_at:
            return len(found)
        for pid in found:
            _kill_marked(pid, owner)
        _wait(found, seen)


def marked(owner: int) -> list[int]:
    """Return every process that bears this mark and runs: zombies are their parent's matter."""
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit()
        and marker.read(int(entry.name))[0] == owner
        and not _is_zombie(int(entry.name))
    ]


def _kill_marked(pid: int, owner: int) -> None:
    """Kill a process that is no child of ours, surely the one that bears the mark."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:  # it has ended
        return
    try:
        if marker.read(pid)[0] != owner:  # read again: the number may have been another's
            return
        try:  # all of a group dies at once, forks included
            signal.pidfd_send_signal(pidfd, signal.SIGKILL, None, _WHOLE_GROUP)
        except OSError:  # this kernel does not know that yet
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except OSError:  # it has ended, or is another user's
        return
    finally:
        os.close(pidfd)


def _wait(pids: list[int], seen: set[int]) -> None:
    """Return when one of these has ended, or a little later; at once if there are new ones.

    Only whoever is quick hits one of a chain of forks.
    """
    if not seen.issuperset(pids):
        seen.update(pids)
        return
    try:
        pidfd = os.pidfd_open(pids[0])
    except OSError:  # it has ended
        return
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(_PAUSE_MS)
    finally:
        os.close(pidfd)


def _children() -> list[int]:
    """Return the children of every thread of this process."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        try:
            found += map(int, (task / "children").read_bytes().split())
        except OSError:  # a thread that has just ended
            continue
    return found


def _reap(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def _is_zombie(pid: int) -> bool:
    try:
        told = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True
    return told.rpartition(b") ")[2][:1] in b"ZX"
