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
from collections.abc import Iterator
from pathlib import Path

from zscrape.runtime import marker
from zscrape.runtime.strays import end_group_of

_ADOPTED_LIMIT_S = 0.1
_MARKED_LIMIT_S = 5.0
_PAUSE_MS = 2
_CLEAN_LOOKS_COUNT = 3  # so many in a row that find nothing
_NEWEST_LOOKS_COUNT = 200
_NEWEST_COUNT = 4
_adopting = threading.Lock()  # a number that one thread has waited for must not be hit by another
_THREAD_COUNT = 17  # its place in /proc/PID/stat behind the name: see proc(5)
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


def end_marked(owner: int, seen: set[int] | None = None) -> int:
    """Kill every process of this machine that bears the mark of a dead worker.

    Returns how many were still there after some seconds of trying; `seen` gets all of them.
    """
    ends_at = time.monotonic() + _MARKED_LIMIT_S
    seen = set() if seen is None else seen
    clean_count = 0
    while clean_count < _CLEAN_LOOKS_COUNT:
        found = [pid for pid in _numbers() if _kill_marked(pid, owner)]
        clean_count = 0 if found else clean_count + 1
        if found and time.monotonic() >= ends_at:
            return len(found)
        if found:
            _wait(found, seen)
    return 0


def marked(owner: int) -> list[int]:
    """Return every process that bears this mark and runs: zombies are their parent's matter."""
    found = {pid for pid in _numbers() if marker.read(pid)[0] == owner and not _is_zombie(pid)}
    return sorted(found)


def _numbers() -> Iterator[int]:
    """Yield the numbers of all processes, and then for a moment the newest of them.

    The list is old before its end is reached: of a chain, in which each process forks once
    and ends, nobody in it is still there. Its next one is always among the newest.
    """
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            yield int(entry.name)
    loads = Path("/proc/loadavg")
    for _ in range(_NEWEST_LOOKS_COUNT):
        newest = int(loads.read_bytes().split()[-1])
        yield from range(newest, max(newest - _NEWEST_COUNT, 0), -1)


def _kill_marked(pid: int, owner: int) -> bool:
    """Kill a process that is no child of ours if it bears the mark and runs; True iff it did."""
    if marker.read(pid)[0] != owner or _is_zombie(pid):
        return False
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:  # it has ended
        return True
    try:
        if marker.read(pid)[0] != owner:  # read again: the number may have been another's
            return True
        try:  # all of a group dies at once, forks included
            signal.pidfd_send_signal(pidfd, signal.SIGKILL, None, _WHOLE_GROUP)
        except OSError:  # this kernel does not know that yet
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except OSError:  # it has ended, or is another user's
        return True
    finally:
        os.close(pidfd)
    return True


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
    words = told.rpartition(b") ")[2].split()
    # One whose first thread alone is over goes on in the others.
    return words[0] in (b"Z", b"X") and int(words[_THREAD_COUNT]) <= 1
