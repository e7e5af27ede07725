"""Whether a process that has run an attempt may run another one, for scripts that ask for it.

The next attempt finds the script loaded and what it keeps in its modules; that is what
`reuse` is for, and what it gives up. It must not find what would harm it without anybody having
meant it: threads at work, limits, timers and handlers that the last one has changed, descriptors
that pile up, memory that is nearly used up. A process that is not as it was is replaced. What
it says of itself only its own script could have forged; processes that were left behind are for
the worker to see.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # `signal` without the enums around it
import _thread
import os
import resource
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from zscrape.runtime import coroutine, limits
from zscrape.runtime.limits import HEADROOM_BYTES
from zscrape.runtime.shm import FOLDER

if TYPE_CHECKING:
    from zscrape.runtime.said import Said

_KINDS: Final = (  # that of core dumps is zero for good
    resource.RLIMIT_AS,
    resource.RLIMIT_DATA,
    resource.RLIMIT_FSIZE,
    resource.RLIMIT_NOFILE,
    resource.RLIMIT_NPROC,
    resource.RLIMIT_STACK,
)
_TIMERS: Final = (_signal.ITIMER_REAL, _signal.ITIMER_VIRTUAL, _signal.ITIMER_PROF)
_UNSET: Final = [(0.0, 0.0)] * len(_TIMERS)
_HANDLED: Final = (_signal.SIGTERM, _signal.SIGINT, _signal.SIGCHLD, _signal.SIGXCPU)
# More open descriptors than this, and the next attempt may find none: connections that a script
# keeps on purpose are fewer.
_LEFT_OPEN_COUNT: Final = 64
_SETTLE_S: Final = 0.1  # for threads of a loop that have nothing left to do
_LOOK_S: Final = 0.0005
_RLIMIT_CPU: Final = resource.RLIMIT_CPU
_getrlimit, _getsignal, _getitimer = resource.getrlimit, _signal.getsignal, _signal.getitimer


class Standing:
    """What a process has before its first attempt, and must have before each further one."""

    def __init__(self, cpu_s: int, left_count: int) -> None:
        """Begin the first of several attempts.

        Args:
            cpu_s: The processor time that each may use.
            left_count: How many may follow.
        """
        own, _ = limits.used()
        self._own_s, self._used_us = own[0] + own[1], 0  # until the latest attempt was over
        before = _getrlimit(_RLIMIT_CPU)
        self._cpu_limit = limits.apply_cpu_again(cpu_s, left_count, self._own_s, before)
        self._home = os.environ["HOME"]
        self._limits = [*map(_getrlimit, _KINDS)]
        self._hard_cpu_s = self._cpu_limit[1]
        self._handlers = [*map(_getsignal, _HANDLED)]
        self._blocked = _blocked()
        self._streams = _streams()
        self._first_fd = _lowest_fd()
        self._shared_count = _shared_count()
        self._memory_bytes = (resource.getrlimit(resource.RLIMIT_DATA)[1] - HEADROOM_BYTES) // 2

    def go_on(self, cpu_s: int, left_count: int) -> int:
        """Begin an attempt; return the processor time (us) that earlier ones have used."""
        before = self._cpu_limit
        if before[0] != int(self._own_s) + 1 + cpu_s:  # mostly it is the same second still
            self._cpu_limit = limits.apply_cpu_again(cpu_s, left_count, self._own_s, before)
        return self._used_us

    def is_kept(self, said: Said, own: Any, used_us: int) -> bool:
        """True iff another attempt may follow one that went well; makes ready for it.

        Args:
            said: What it has said.
            own: What this process has used by now.
            used_us: The processor time of that, and of what it has started and waited for.
        """
        if coroutine.last_loop is not None:
            _settle_loop(coroutine.last_loop)
        # `threading` need not be there.
        is_busy = _thread._count() or (said.asking is not None and not said.asking.is_settled)  # noqa: SLF001
        if is_busy or own.ru_maxrss * 1024 > self._memory_bytes > 0:
            return False
        self._cpu_limit = _getrlimit(_RLIMIT_CPU)  # the soft one is set anew for each attempt
        if [*map(_getrlimit, _KINDS)] != self._limits or self._cpu_limit[1] != self._hard_cpu_s:
            return False
        if [*map(_getsignal, _HANDLED)] != self._handlers or _blocked() != self._blocked:
            return False
        if [*map(_getitimer, _TIMERS)] != _UNSET or _streams() != self._streams:
            return False
        if _lowest_fd() - self._first_fd > _LEFT_OPEN_COUNT or _shared_count() > self._shared_count:
            return False
        self._own_s, self._used_us = own[0] + own[1], used_us
        os.umask(0o077)
        os.chdir(self._home)
        return True


def _settle_loop(loop: Any) -> None:
    """Let go of a script's event loop and of its threads, if they have nothing left to do."""
    import asyncio

    ending = loop.create_task(loop.shutdown_default_executor())
    done, _ = loop.run_until_complete(asyncio.wait({ending}, timeout=_SETTLE_S))
    if not done:
        return
    coroutine.last_loop = None
    asyncio.set_event_loop(None)
    loop.close()
    # A thread that was joined is still about to leave; nothing tells when it has.
    ends_at = time.monotonic() + _SETTLE_S
    while len(os.listdir("/proc/self/task")) > 1 and time.monotonic() < ends_at:  # noqa: PTH208 - pathlib is not loaded here
        time.sleep(_LOOK_S)  # noqa: TID251 - for what announces itself to nobody


def _blocked() -> set[int]:
    """Return the signals that are held back."""
    blocked: set[int] = _signal.pthread_sigmask(_signal.SIG_BLOCK, ())
    return blocked


def _streams() -> tuple[Any, ...]:
    """Return the streams themselves: a script that has put its own there has changed them."""
    return sys.stdin, sys.stdout, sys.stderr


def _shared_count() -> int:
    """Return how many files there are in shared memory, some of them perhaps of neighbours."""
    try:
        told = os.statvfs(FOLDER)
    except OSError:  # there is none for scripts
        return 0
    return told.f_files - told.f_ffree


def _lowest_fd() -> int:
    """Return the lowest descriptor that is free."""
    fd = os.dup(0)
    os.close(fd)
    return fd
