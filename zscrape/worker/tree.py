"""The processes of one attempt, as the kernel tells of them: how many, how large, how busy."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# Places in /proc/PID/stat behind the name, which may hold anything: see proc(5).
_STATE, _UTIME, _STIME, _THREAD_COUNT, _BORN, _RESIDENT = 0, 11, 12, 17, 19, 21
_OVER = (b"Z", b"X")
_WITH_OTHERS = 2  # threads, of which the first may be over
_NEARLY_FULL_BYTES = _PAGE_BYTES // 2
_MORE_BYTES = 65536
_COUNTED = (b"Pss_Anon:", b"Pss_Shmem:")
_COUNTED_EACH = (b"RssAnon:", b"RssShmem:")


class Process(Struct, frozen=True):
    """One process at one moment. Its number and its birth together are never given again."""

    pid: int
    born: int
    is_stray: bool  # not below the attempt's child any more
    is_zombie: bool
    thread_count: int
    cpu_s: float
    resident_bytes: int
    has_lost_first_thread: bool = False  # and goes on in others


class Eye:
    """What the kernel tells of one process, kept open: it costs a third of opening it each time.

    It goes on telling of this process, or of none: never of a later one with the same number.
    """

    __slots__ = ("_children_fd", "_pid", "_stat_fd")

    def __init__(self, pid: int) -> None:
        """Open it.

        Raises:
            OSError: There is no such process, or there are no descriptors left.
        """
        self._pid = pid
        self._stat_fd = _opened(f"/proc/{pid}/stat")
        try:
            self._children_fd = _opened(f"/proc/{pid}/task/{pid}/children")
        except FileNotFoundError:  # it has just ended, or this kernel does not tell them
            self._children_fd = -1
        except OSError:
            os.close(self._stat_fd)
            raise

    def children(self) -> bytes:
        """Return the numbers of its first thread's children as they are told; of none, nothing."""
        try:
            return _told(self._children_fd)
        except OSError:  # it has ended
            return b""

    def alone_s(self, limit_bytes: float) -> float | None:
        """Return the processor time that the process has used.

        None iff it is over, is not alone, by threads or by children of its first one, or has more
        than so much in memory.
        """
        try:
            told = os.pread(self._stat_fd, _PAGE_BYTES, 0)  # it takes much less
            words = _words(told)
            if words[_THREAD_COUNT] != b"1" or words[_STATE] in _OVER:
                return None
            if self._children_fd >= 0 and os.pread(self._children_fd, 1, 0):
                return None
        except OSError:  # it has ended
            return None
        if int(words[_RESIDENT]) * _PAGE_BYTES > limit_bytes:
            return None
        return (int(words[_UTIME]) + int(words[_STIME])) / _TICKS_PER_S

    def close(self) -> None:
        """Look no more: from now on there is nothing to be seen."""
        for fd in (self._stat_fd, self._children_fd):
            if fd >= 0:
                os.close(fd)
        self._stat_fd = self._children_fd = -1


def look(child_pid: int, stray_pids: Iterable[int], limit_count: int) -> list[Process]:
    """Return the processes below a child and its strays, those included.

    It stops once it has seen more than `limit_count`: how many there are beyond does not
    matter. Strays that have ended do not count, whoever adopted them is about to reap them.
    """
    waiting = [(pid, True) for pid in stray_pids]
    waiting.append((child_pid, False))
    found: list[Process] = []
    left_count = limit_count
    while waiting and left_count >= 0:
        pid, is_stray = waiting.pop()
        process = _process(pid, is_stray)
        if process is None:
            continue
        found.append(process)
        left_count -= not (is_stray and process.is_zombie)
        waiting += [(inner, is_stray) for inner in children(pid, process.thread_count)]
    return found


def children(pid: int, thread_count: int) -> list[int]:
    """Return the children of every thread of a process; of one that has ended, none."""
    if thread_count <= 1:
        return _children_of_thread(pid, str(pid))
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - often, and names only
    except OSError:
        return []
    return [child for thread in threads for child in _children_of_thread(pid, thread)]


def held_bytes(processes: Iterable[Process]) -> int:
    """Return the memory that these processes hold together, each page counted once.

    That is what no file on a disk backs: their own pages and what they share with each other, of
    pages shared with others (their template, most of all, and its joined libraries) only their
    part.
    """
    return sum(_held_bytes(process.pid) for process in processes)


def most_bytes(processes: Iterable[Process]) -> int:
    """Return what `held_bytes` may be at most, for little: pages count once for each process."""
    return sum(_most_bytes(process.pid) for process in processes)


def _most_bytes(pid: int) -> int:
    try:
        told = _read(f"/proc/{pid}/status")
        if b"\nRssAnon:" not in told:
            told = _read(f"{_thread_left(pid)}/status")
    except OSError:  # it has ended
        return 0
    return _sum_bytes(told, _COUNTED_EACH)


def _sum_bytes(told: bytes, names: tuple[bytes, ...]) -> int:
    # By this sign alone: the name of a process, which is told first, may hold any other.
    lines = [line.split(None, 2) for line in told.split(b"\n")]
    return sum(int(line[1]) * 1024 for line in lines if line and line[0] in names)


def _held_bytes(pid: int) -> int:
    place = f"/proc/{pid}"
    try:
        try:
            told = _read(f"{place}/smaps_rollup")
        except ProcessLookupError:
            place = _thread_left(pid)
            told = _read(f"{place}/smaps_rollup")
    except (FileNotFoundError, ProcessLookupError):  # it has ended, and holds nothing any more
        return 0
    except OSError:  # it has made itself unreadable: some of its pages may count twice
        return _unbacked_bytes(place)
    return _sum_bytes(told, _COUNTED)


def _unbacked_bytes(place: str) -> int:
    try:
        _, resident, shared, *_ = _read(f"{place}/statm").split()
    except OSError:
        return 0
    return (int(resident) - int(shared)) * _PAGE_BYTES


def _thread_left(pid: int) -> str:
    """Return where the kernel tells of a process whose first thread has left the others.

    Raises:
        FileNotFoundError: No thread is left.
    """
    for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - often, and names only
        place = f"/proc/{pid}/task/{thread}"
        if _words(_read(f"{place}/stat"))[_STATE] not in _OVER:
            return place
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"/proc/{pid}/task")


def _process(pid: int, is_stray: bool) -> Process | None:
    try:
        process = _parsed(_read(f"/proc/{pid}/stat"), pid, is_stray=is_stray)
        if process.has_lost_first_thread:  # with it what the others hold is told as nothing
            told = _words(_read(f"{_thread_left(pid)}/stat"))
            process = replace(process, resident_bytes=int(told[_RESIDENT]) * _PAGE_BYTES)
    except OSError:
        return None
    return process


def _parsed(told: bytes, pid: int, *, is_stray: bool) -> Process:
    words = _words(told)
    thread_count = int(words[_THREAD_COUNT])
    is_first_over = words[_STATE] in _OVER
    return Process(
        pid,
        int(words[_BORN]),
        is_stray,
        is_first_over and thread_count < _WITH_OTHERS,
        thread_count,
        (int(words[_UTIME]) + int(words[_STIME])) / _TICKS_PER_S,
        int(words[_RESIDENT]) * _PAGE_BYTES,
        is_first_over and thread_count >= _WITH_OTHERS,
    )


def _words(told: bytes) -> list[bytes]:
    return told.rpartition(b") ")[2].split(None, _RESIDENT + 1)  # nothing beyond is looked at


def _children_of_thread(pid: int, thread: str) -> list[int]:
    try:
        return [*map(int, _read(f"/proc/{pid}/task/{thread}/children").split())]
    except OSError:
        return []


def _read(path: str) -> bytes:
    fd = _opened(path)
    try:
        return _told(fd)
    finally:
        os.close(fd)


def _opened(path: str) -> int:
    # A file object would ask for the size and the place too, which say nothing here.
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _told(fd: int) -> bytes:
    """Return what the kernel tells now, from the beginning."""
    told = more = os.pread(fd, _PAGE_BYTES, 0)
    # As much as fits into a page is told at once: below that there is no more to come.
    while len(more) > _NEARLY_FULL_BYTES:
        more = os.pread(fd, _MORE_BYTES, len(told))
        told += more
    return told
