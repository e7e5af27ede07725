"""The mark that tells whose a process is, wherever it has gone.

It is a resource limit that the kernel has not used since 2.4 (`RLIMIT_LOCKS`), set to a number
made of the worker and of the child. It is inherited by every process that the child starts,
through `exec`, `setsid` and any number of forks, can only be lowered, and is read from outside.

Where the worker may give groups away, each child has one of its own, which tells it as well and
which nobody else gets again: then their template bears the mark, the same for all of them.
"""

from __future__ import annotations

import os
import resource

RLIMIT_LOCKS = 10
# Far above what people and services get, and below the last group of all. Other numbers than the
# users': those come back with a folder, while something of an earlier child may still be dying.
_FIRST_GROUP = 1_000_000_000
CHILD_COUNT = 3_000_000_000  # so many children have different marks; the first is number 1
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
    """Return what a child of a worker is marked with; 0 as its id where its group tells it."""
    return owner << _ID_BITS | child_id & _ID_MASK


def group_of(owner: int, child_id: int) -> int:
    """Return the group that tells a child of a worker; each worker begins at another one."""
    return _FIRST_GROUP + (owner + child_id) % CHILD_COUNT


def put(owner: int, child_id: int) -> None:
    """Mark this process and all that it will start, for good.

    One that is under such a limit already keeps it: most likely it is the mark of another
    worker, in an attempt of which this one runs.
    """
    if resource.getrlimit(RLIMIT_LOCKS)[1] == resource.RLIM_INFINITY:
        mark = mark_of(owner, child_id)
        resource.setrlimit(RLIMIT_LOCKS, (mark, mark))


def read(pid: int) -> tuple[int, int]:
    """Return the owner and the child that a process belongs to; zeros if it is of no child."""
    try:
        mark = resource.prlimit(pid, RLIMIT_LOCKS)[1]
    except PermissionError:  # it is another user's
        mark = _told(pid)
    except OSError:  # it is gone
        return 0, 0
    if mark <= 0 or mark >> _ID_BITS > _OWNER_MASK:
        return 0, 0
    owner, child_id = mark >> _ID_BITS, mark & _ID_MASK
    if not child_id:
        child_id = _told_by_group(pid, owner)
    return (owner, child_id) if child_id else (0, 0)


def _told_by_group(pid: int, owner: int) -> int:
    """Return the child of an owner that the group of a process tells; 0: it is a template."""
    try:
        group = os.stat(f"/proc/{pid}").st_gid  # noqa: PTH116 - pathlib is not loaded where templates run
    except OSError:
        return 0
    return (group - _FIRST_GROUP - owner) % CHILD_COUNT if group >= _FIRST_GROUP else 0


def _told(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/limits", "rb", buffering=0) as file:  # noqa: PTH123 - pathlib is not loaded where templates run
            told = file.readall()
    except OSError:
        return 0
    _, _, rest = told.partition(_LINE)
    hard = rest.split(None, 2)[1:2]
    return int(hard[0]) if hard and hard[0].isdigit() else 0
