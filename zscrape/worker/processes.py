"""What the worker must know of processes: those that lost their template, those of its user."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import time
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_WAIT_S = 1.0  # what is killed ends in milliseconds; the loop is never held longer than this
_LOOK_S = 0.001
_COUNT_MAX_AGE_S = 1.0

_counted_at = float("-inf")
_counted = 0


def adopt() -> None:
    """Have the kernel give us the children of a template that dies, instead of to init.

    A process number cannot be reused before its parent has waited for it, so what is adopted
    can be signalled without hitting a stranger.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl PR_SET_CHILD_SUBREAPER")


def end_groups(pids: list[int]) -> None:
    """Kill and reap adopted children with all of their process groups."""
    ours = [pid for pid in pids if _is_child(pid)]
    for pid in ours:
        for kill in (os.killpg, os.kill):
            try:
                kill(pid, signal.SIGKILL)
            except OSError:  # no such group (yet), or it has ended
                continue
    ends_at = time.monotonic() + _WAIT_S
    for pid in ours:
        _reap(pid, max(ends_at - time.monotonic(), 0.0))
    # What a leader had started became ours as it ended: unreaped, it stays a zombie for as
    # long as this process lives.
    while not all(reap_group(pid) for pid in ours) and time.monotonic() < ends_at:
        select.select([], [], [], _LOOK_S)


def user_process_count() -> int:
    """Return how many threads run as this user, for `RLIMIT_NPROC`: the kernel counts those.

    Zero for root, whom the kernel does not hold to it. At most a second old.
    """
    global _counted_at, _counted
    if os.geteuid() == 0:
        return 0
    now = time.monotonic()
    if now - _counted_at > _COUNT_MAX_AGE_S:
        _counted_at, _counted = now, _count_of_user(os.geteuid())
    return _counted


def reap_group(group: int) -> bool:
    """Reap what has ended of a process group that was killed; True iff nothing of it is left.

    What its leader leaves behind becomes ours (`adopt`), and stays a zombie until it is
    waited for.
    """
    while True:
        try:
            pid, _ = os.waitpid(-group, os.WNOHANG)
        except ChildProcessError:
            return True
        if pid == 0:
            return False


def end_processes_in(folder: Path) -> None:
    """Kill every process that works in a folder or below it."""
    inside = f"{folder.resolve()}/"
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if f"{(entry / 'cwd').readlink()}/".startswith(inside):
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:  # it has ended, or is not ours to look at
            continue


def _is_child(pid: int) -> bool:
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _reap(pid: int, timeout_s: float) -> None:
    pidfd = os.pidfd_open(pid)
    try:
        if select.select([pidfd], [], [], timeout_s)[0]:
            os.waitpid(pid, 0)
    finally:
        os.close(pidfd)


def _count_of_user(uid: int) -> int:
    """Return how many threads run as `uid`: that is what the kernel counts."""
    count = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if entry.stat().st_uid == uid:
                count += len(os.listdir(entry / "task"))  # noqa: PTH208 - names only
        except OSError:  # it has just ended
            continue
    return count
