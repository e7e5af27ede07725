"""The mark that tells whose a process is, wherever it has gone.

Each child sets a resource limit that the kernel has not used since 2.4 (`RLIMIT_LOCKS`) to a
number made of its worker and of itself. It is inherited by every process that the child starts,
through `exec`, `setsid` and any number of forks, can only be lowered, and is read from outside.
"""

from __future__ import annotations

import resource

RLIMIT_LOCKS = 10
_LINE = b"Max file locks"
_ID_BITS = 32
_ID_MASK = (1 << _ID_BITS) - 1
_OWNER_MASK = (1 << 30) - 1  # with the id below the largest limit that every tool can print


def owner_of(root: str) -> int:
    """Return the number of the worker whose private folders lie in `root`, never zero."""
    number = 0x811C9DC5  # FNV-1a: what zlib's library maps would be part of every fork
    for byte in root.encode("utf-8", "surrogateescape"):
        number = (number ^ byte) * 0x01000193 & 0xFFFFFFFF
    return number & _OWNER_MASK or 1


def mark_of(owner: int, child_id: int) -> int:
    """Return what a child of a worker is marked with."""
    return owner << _ID_BITS | child_id & _ID_MASK


def put(owner: int, child_id: int) -> None:
    """Mark this process and all that it will start, for good.

    One that is under such a limit already keeps it: most likely it is the mark of another
    worker, in an attempt of which this one runs.
    """
    if resource.getrlimit(RLIMIT_LOCKS)[1] == resource.RLIM_INFINITY:
        mark = mark_of(owner, child_id)
        resource.setrlimit(RLIMIT_LOCKS, (mark, mark))


def read(pid: int) -> tuple[int, int]:
    """Return the owner and the child that a process belongs to; zeros if it bears no mark."""
    try:
        mark = resource.prlimit(pid, RLIMIT_LOCKS)[1]
    except PermissionError:  # it is another user's
        mark = _told(pid)
    except OSError:  # it is gone
        return 0, 0
    if mark <= 0 or mark >> _ID_BITS > _OWNER_MASK:
        return 0, 0
    return mark >> _ID_BITS, mark & _ID_MASK


def _told(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/limits", "rb", buffering=0) as file:  # noqa: PTH123 - pathlib is not loaded where templates run
            told = file.readall()
    except OSError:
        return 0
    _, _, rest = told.partition(_LINE)
    hard = rest.split(None, 2)[1:2]
    return int(hard[0]) if hard and hard[0].isdigit() else 0
