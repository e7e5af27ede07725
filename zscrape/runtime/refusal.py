"""Whether an error of a script means that it was refused another process or thread.

The kernel says `EAGAIN` to that, which Python raises as `BlockingIOError`, as it does for a
socket that has nothing to read. What was called tells the two apart: the innermost frame of the
traceback is the one that called into the kernel.
"""

from __future__ import annotations

from errno import EAGAIN
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# `_fork_exec`, `fork_exec`: what `subprocess` and `multiprocessing` start programs with.
_STARTERS = frozenset(
    {"fork", "forkpty", "posix_spawn", "posix_spawnp", "fork_exec", "_fork_exec", "spawnv_passfds"}
)
_NO_THREAD = "can't start new thread"  # Modules/_threadmodule.c
_errno_of: Callable[[BaseException], Any] = vars(OSError)["errno"].__get__
_arguments_of: Callable[[BaseException], Any] = vars(BaseException)["args"].__get__
_traceback_of: Callable[[BaseException], Any] = vars(BaseException)["__traceback__"].__get__


def is_process_refused(error: BaseException) -> bool:
    """True iff `error` was raised because there may be no further process or thread."""
    kind = type(error)
    if kind is RuntimeError:
        arguments = _arguments_of(error)
        return len(arguments) == 1 and type(arguments[0]) is str and arguments[0] == _NO_THREAD
    if kind is not BlockingIOError or _errno_of(error) != EAGAIN:
        return False
    trace = _traceback_of(error)
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    return not _STARTERS.isdisjoint(trace.tb_frame.f_code.co_names)
