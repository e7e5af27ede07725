"""The mark that tells whose a process is, wherever it has gone.

It is a resource limit that the kernel has not used since 2.4 (`RLIMIT_LOCKS`), set to a number
made of the worker and of the child. It is inherited by every process that the child starts,
through `exec`, `setsid` and any number of forks, can only be lowered, and is read from outside.

Where each child has a user of its own, which no script can change either, that tells the
children from each other: their template sets the mark, the same for all, and bears it itself.
"""

from __future__ import annotations

import resource

RLIMIT_LOCKS = 10
_LINE = b"Max file locks"
_USER_LINE = b"\nUid:"  # the name of a process, which is told first, holds no end of a line
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
    """Return what a child of a worker is marked with; 0 as its id where its user tells it."""
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
    """Return the owner and the child that a process belongs to; zeros if it is of no child.

    The child is told by its id, or by the number of its own user.
    """
    try:
        mark = resource.prlimit(pid, RLIMIT_LOCKS)[1]
    except PermissionError:  # it is another user's
        mark = _told(pid, "limits", _LINE, 1)
    except OSError:  # it is gone
        return 0, 0
    if mark <= 0 or mark >> _ID_BITS > _OWNER_MASK:
        return 0, 0
    child = mark & _ID_MASK or _told(pid, "status", _USER_LINE, 0)  # a template's is root: 0
    return (mark >> _ID_BITS, child) if child else (0, 0)


def _told(pid: int, name: str, line: bytes, place: int) -> int:
    """Return a number from a line of a file about a process; 0 if it tells none."""
    try:
        with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:  # noqa: PTH123 - pathlib is not loaded where templates run
            told = file.readall()
    except OSError:
        return 0
    words = told.partition(line)[2].split(None, place + 1)[place : place + 1]
    return int(words[0]) if words and words[0].isdigit() else 0
