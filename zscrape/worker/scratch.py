"""The private folders that attempts work in.

A child's folder is its working directory, HOME and TMPDIR. One that a script has not touched
is given to a later child as it is; any other is removed, in a thread and without recursion:
a script may have nested folders thousands deep or taken away their permissions.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import os
import stat
import time
from pathlib import Path

from zscrape.runtime import marker
from zscrape.worker.isolation import STAGING
from zscrape.worker.leftovers import Leftovers
from zscrape.worker.processes import end_processes_in
from zscrape.worker.strays import end_marked

_MODE = 0o700
_ROOT_MODE = 0o711  # each folder in it may belong to a user of its own, who must pass
_REUSE_LIMIT_COUNT = 64
# A file system stamps changes by a clock that stands still for up to 10 ms: two changes within
# that may look like one.
_TICK_NS = 50_000_000
_CLOSE_TRIES_COUNT = 20
_CLOSE_PAUSE_S = 0.05


class Scratch:
    """The folders of one worker process, all inside one folder of its own."""

    def __init__(self, base: Path, leftovers: Leftovers | None = None) -> None:
        self._base = base
        self.leftovers = leftovers or Leftovers()
        self.root = str(base / f"{os.getpid()}-{_birth(os.getpid())}")
        self.owner = marker.owner_of(self.root)  # whose mark the children bear
        self._made_count = 0
        self._numbers: list[int] = []  # a heap of those that have become free again
        self._first_uid: int | None = None
        self._free: list[tuple[str, tuple[int, bool]]] = []  # name, and what was noted of it
        # Name to change time (ns) as it was given out, and whether any later change must show.
        self._given: dict[str, tuple[int, bool]] = {}
        self._removals: set[asyncio.Task[None]] = set()

    @property
    def used_count(self) -> int:
        """Folders that belong to a child now."""
        return len(self._given)

    async def open(self) -> None:
        """Make this worker's own folder; end and remove what dead workers left in others."""
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        self._base.mkdir(parents=True, exist_ok=True)
        self.leftovers.add(_sweep(self._base))
        Path(self.root).mkdir()
        Path(self.root).chmod(_ROOT_MODE)
        (Path(self.root) / STAGING).mkdir(mode=_MODE)

    def give_to(self, first_uid: int) -> None:
        """From now on, folder number N belongs to the user `first_uid` + N."""
        self._first_uid = first_uid

    def take(self) -> str:
        """Return the name of an empty folder under `root`."""
        if self._free:
            name, noted = self._free.pop()
            is_telling = noted[1]  # once it is, it stays so
            self._given[name] = noted if is_telling else _noted(noted[0])
            return name
        number = self._number()
        name = str(number)
        try:
            self._given[name] = _noted(self._make(number))
        except OSError:
            heapq.heappush(self._numbers, number)
            raise
        return name

    def _make(self, number: int) -> int:
        """Make an empty folder; return when it was changed, in ns."""
        path = f"{self.root}/{number}"
        os.mkdir(path, _MODE)  # noqa: PTH102 - four times cheaper than through a Path
        if self._first_uid is not None:
            uid = self._first_uid + number
            os.chown(path, uid, uid)
        return os.stat(path).st_ctime_ns  # noqa: PTH116 - as above

    def _number(self) -> int:
        """Return the least number that is free: users are few, and go by it."""
        if self._numbers:
            return heapq.heappop(self._numbers)
        self._made_count += 1
        return self._made_count

    def is_untouched(self, name: str) -> bool:
        """True iff nothing has ever been changed in a folder since it was given out."""
        before_at, is_telling = self._given[name]
        path = f"{self.root}/{name}"
        try:
            if is_telling:
                return os.stat(path).st_ctime_ns == before_at  # noqa: PTH116 - as above
            now = time.time_ns()  # first: a change after the looks may look like none
            if os.stat(path).st_ctime_ns != before_at or os.listdir(path):  # noqa: PTH116, PTH208 - as above
                return False
        except OSError:
            return False
        self._given[name] = (before_at, _is_telling(before_at, now))
        return True

    def release(self, name: str) -> None:
        """Take back a folder whose child, and all that it started, has ended."""
        path, noted = f"{self.root}/{name}", self._given.pop(name)
        try:
            if len(self._free) < _REUSE_LIMIT_COUNT:
                before_at, is_telling = noted
                is_same = os.stat(path).st_ctime_ns == before_at  # noqa: PTH116 - as above
                # What `is_untouched` does; once a change must show, there is no more to look at.
                if is_same and (is_telling or not os.listdir(path)):  # noqa: PTH208 - as above
                    self._free.append((name, noted))
                    return
            os.rmdir(path)  # noqa: PTH106 - as above
        except FileNotFoundError:
            pass
        except OSError:  # not empty, or not even readable any more
            removal = asyncio.get_running_loop().create_task(self._remove(path, int(name)))
            self._removals.add(removal)
            removal.add_done_callback(self._removals.discard)
            return
        heapq.heappush(self._numbers, int(name))

    async def _remove(self, path: str, number: int) -> None:
        if await _remove_aside(path):
            heapq.heappush(self._numbers, number)

    async def close(self) -> None:
        """Remove every folder."""
        if self._removals:
            await asyncio.wait(self._removals)
        self._free.clear()
        for _ in range(_CLOSE_TRIES_COUNT):  # what was killed a moment ago may have written still
            if await _remove_aside(self.root):
                return
            await asyncio.sleep(_CLOSE_PAUSE_S)


async def _remove_aside(path: str) -> bool:
    return await asyncio.to_thread(remove_tree, path)


def _noted(changed_at: int) -> tuple[int, bool]:
    return changed_at, _is_telling(changed_at, time.time_ns())


def _is_telling(changed_at: int, now: int) -> bool:
    """True iff any change from `now` on shows, by another time of change (both in ns)."""
    is_of_whole_seconds = changed_at % 1_000_000_000 == 0  # as some file systems tell them
    return not is_of_whole_seconds and now - changed_at > _TICK_NS


def opened(path: str) -> int:
    """Return a descriptor of a folder: its name may soon be that of another child's.

    Raises:
        OSError: It is not there, cannot be read, or there are no descriptors left.
    """
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def is_empty(folder: int) -> bool:
    """True iff there is nothing in an open folder; how much there is costs nothing."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return False


def is_emptied(folder: int) -> bool:
    """Remove everything from an open folder and close it; True iff nothing is left."""
    try:
        _flatten(folder)
        return is_empty(folder)
    except OSError:
        return False
    finally:
        os.close(folder)


def remove_tree(path: str) -> bool:
    """Remove a folder and all that is in it; return False if something could not be removed.

    Never raises and never recurses: sub-folders are moved up to the top one by one, so depth
    costs neither stack nor descriptors nor path length. Links are removed, not followed.
    """
    try:
        os.chmod(path, _MODE)  # noqa: PTH101 - as above
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return not os.path.lexists(path)
    try:
        _flatten(top)
    except OSError:
        return False
    finally:
        os.close(top)
    try:
        os.rmdir(path)  # noqa: PTH106 - as above
    except OSError:
        return False
    return True


def _flatten(top: int) -> None:
    """Empty the open folder `top`."""
    moved_count = 0
    folders = _clear_files(top)
    while folders:
        name = folders.pop()
        os.chmod(name, _MODE, dir_fd=top)
        inner = os.open(
            name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top
        )
        try:
            for sub in _clear_files(inner):
                os.chmod(sub, _MODE, dir_fd=inner)  # moving a folder rewrites its `..`
                moved_count += 1
                lifted = f".moved-{os.getpid()}-{moved_count}"
                os.rename(sub, lifted, src_dir_fd=inner, dst_dir_fd=top)
                folders.append(lifted)
        finally:
            os.close(inner)
        os.rmdir(name, dir_fd=top)


def _clear_files(folder: int) -> list[str]:
    """Unlink everything in the open folder that is not a folder; return the names of those."""
    folders: list[str] = []
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        with contextlib.suppress(FileNotFoundError):  # somebody else has removed it
            if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                folders.append(name)
            else:
                os.unlink(name, dir_fd=folder)
    return folders


# ---- what a dead worker left behind ---------------------------------------------------


def _sweep(base: Path) -> int:
    """Remove the folders of workers that are no more, and end processes that work in them.

    Returns how many processes bore the mark of such a worker.
    """
    ended: set[int] = set()
    for left in base.iterdir():
        pid_text, _, birth = left.name.partition("-")
        if not pid_text.isdigit() or not birth.isdigit():
            continue  # not ours
        if _birth(int(pid_text)) == birth:
            continue  # its worker lives
        end_processes_in(left)
        end_marked(marker.owner_of(str(left)), ended)
        remove_tree(str(left))
    return len(ended)


def _birth(pid: int) -> str:
    """Return the start time of a process as the kernel counts it, empty if none lives.

    With it a process number cannot be taken for a later process of the same number.
    """
    try:
        told = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    words = told.rpartition(b")")[2].split()
    is_over = words[0] in (b"Z", b"X")  # nobody has waited for it yet
    return "" if is_over else words[19].decode()
