"""What the worker must know of processes: those that lost their template, those of its user."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

from zscrape.config.values import SettingError

_PR_SET_CHILD_SUBREAPER = 36
_ADOPTION = "prctl(PR_SET_CHILD_SUBREAPER)"
_COUNT_MAX_AGE_S = 1.0

_counted_at = float("-inf")
_counted = 0


def adopt() -> None:
    """Have the kernel give us the children of a template that dies, instead of to init.

    A process number cannot be reused before its parent has waited for it, so what is adopted
    can be signalled without hitting a stranger.

    Raises:
        ConfigError: The kernel does not; one that is only emulated (qemu-user) may not.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise SettingError(source=_ADOPTION, reason=reason, fault="kernel", value=_ADOPTION)


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
