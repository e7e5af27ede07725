"""How much an attempt keeps in its private folder, held against its limits once a second.

Whatever a script makes of its folder, looking at it is bounded: in depth by going up and down
with few descriptors, in width by stopping at the limit, in time by being done in a thread.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Iterable
from typing import Final

from zscrape.model import Limits, OutcomeCode
from zscrape.worker.watch import Over

_INTERVAL_S = 1.0
_SHARE = 0.1  # of the time that may be spent on looking
_BLOCK_BYTES = 512  # st_blocks counts these, whatever the file system does: stat(2)
_HELD_COUNT = 16  # folders on the way down that stay open; deeper ones are found again by `..`
_DESCRIPTOR_LIMIT_COUNT = 4096
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READABLE = 0o500


class FolderWatch:
    """Watches the private folder of one attempt."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        path: str,
        *,
        pids: Callable[[], Iterable[int]],
        end: Over,
    ) -> None:
        self._limits = limits
        self._path = path
        self._pids = pids
        self._end = end
        self._loop = loop
        self._task = loop.create_task(self._run())

    def close(self) -> None:
        """Stop watching."""
        self._task.cancel()

    async def _run(self) -> None:
        pause_s = _INTERVAL_S
        while True:
            await asyncio.sleep(pause_s)
            begun_at = self._loop.time()
            usage = FolderUsage(self._limits.folder_file_count, self._limits.folder_size_bytes)
            await asyncio.to_thread(usage.measure, self._path, tuple(self._pids()))
            if usage.is_over:
                self._end(OutcomeCode.OUTPUT_LIMIT, usage.fields())
                return
            pause_s = max(_INTERVAL_S, (self._loop.time() - begun_at) / _SHARE)


class _Level:
    """A folder on the way down: open or not, and what is still to be looked at in it."""

    __slots__ = ("fd", "identity", "names")

    def __init__(self, fd: int, names: list[str]) -> None:
        self.fd = fd
        self.identity = _identity(os.fstat(fd))
        self.names = names


class FolderUsage:
    """What is in a folder: entries, and what they take on the disk. Sparse files are small."""

    def __init__(self, limit_count: int, limit_bytes: int) -> None:
        self._limit_count = limit_count
        self._limit_bytes = limit_bytes
        self._seen: set[tuple[int, int]] = set()  # files that may be met again
        self.entry_count = 0
        self.size_bytes = 0

    @property
    def is_over(self) -> bool:
        """True iff one of the limits is passed; what lies beyond was not looked at."""
        return self.entry_count > self._limit_count or self.size_bytes > self._limit_bytes

    def fields(self) -> dict[str, str | int | float]:
        """Return what is told of the limit that is passed; `what` chooses the words."""
        if self.entry_count > self._limit_count:
            return {"what": "folder_files", "limit_count": self._limit_count}
        sizes = {"size_bytes": self.size_bytes, "limit_bytes": self._limit_bytes}
        return {"what": "folder_size", **sizes}

    def measure(self, path: str, pids: Iterable[int]) -> None:
        """Look at a folder, and at files that have no name any more but are still open.

        A script may change the folder meanwhile: what is moved or removed may be missed, or
        be counted where it was and where it went.
        """
        try:
            top = _open(path, None)
        except OSError:  # it has removed its own folder
            return
        device = os.fstat(top).st_dev
        self._walk(top)
        for pid in pids:
            self._add_unnamed(pid, device)

    def _walk(self, top: int) -> None:
        levels: list[_Level] = []
        self._enter(levels, top)
        while levels:
            level = levels[-1]
            if not level.names or self.is_over:
                _leave(levels)
                continue
            try:
                inner = _open(level.names.pop(), level.fd)
            except OSError:  # it is gone, or something else by now
                continue
            if len(levels) > _HELD_COUNT:
                os.close(level.fd)
                level.fd = -1
            self._enter(levels, inner)

    def _enter(self, levels: list[_Level], fd: int) -> None:
        level = _Level(fd, [])
        levels.append(level)
        with os.scandir(fd) as entries:
            for entry in entries:
                if self.is_over:
                    return
                self.entry_count += 1
                try:
                    found = entry.stat(follow_symlinks=False)
                except OSError:  # it went away while it was looked at
                    continue
                if self._add(found):
                    level.names.append(entry.name)

    def _add(self, found: os.stat_result) -> bool:
        """Count what a file takes, once for all of its names; return True iff it is a folder."""
        is_folder = stat.S_ISDIR(found.st_mode)
        if found.st_nlink != 1 and not is_folder:
            identity = _identity(found)
            if identity in self._seen:
                return False
            self._seen.add(identity)
        self.size_bytes += found.st_blocks * _BLOCK_BYTES
        return is_folder

    def _add_unnamed(self, pid: int, device: int) -> None:
        """Count what a process holds open that has been removed: it is on the disk until then."""
        try:
            names = os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208 - often, and names only
        except OSError:  # it has ended, or hides them
            return
        for name in names[:_DESCRIPTOR_LIMIT_COUNT]:
            try:
                found = os.stat(f"/proc/{pid}/fd/{name}")  # noqa: PTH116 - as above
            except OSError:
                continue
            if found.st_dev == device and found.st_nlink == 0 and stat.S_ISREG(found.st_mode):
                self._add(found)


def _leave(levels: list[_Level]) -> None:
    """Go up one folder; if that has been moved away meanwhile, its rest is left out."""
    done = levels.pop()
    if levels and levels[-1].fd < 0:
        above = levels[-1]
        above.fd = _parent(done.fd, above.identity)
        if above.fd < 0:
            above.names.clear()
    if done.fd >= 0:
        os.close(done.fd)


def _parent(fd: int, identity: tuple[int, int]) -> int:
    """Return the open folder above an open one, or -1 if it is not the one that it was."""
    if fd < 0:
        return -1
    try:
        above = os.open("..", _FOLDER, dir_fd=fd)
    except OSError:
        return -1
    if _identity(os.fstat(above)) == identity:
        return above
    os.close(above)
    return -1


def _open(name: str, above: int | None) -> int:
    """Open a folder to look into it, and make it readable first where that is needed.

    A script of the worker's own user could hide what it keeps from the worker otherwise. The
    folder is taken hold of before its mode is changed, so that nothing else is hit.
    """
    held = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        mode = stat.S_IMODE(os.fstat(held).st_mode)
        if mode & _READABLE != _READABLE and os.geteuid() != 0:
            os.chmod(f"/proc/self/fd/{held}", mode | _READABLE)  # noqa: PTH101 - as above
        return os.open(".", _FOLDER, dir_fd=held)
    finally:
        os.close(held)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
