"""What a machine looks like from outside: processes, descriptors, folders, mounts, cgroups."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

# Where a script might leave a file; whatever one of ours makes there begins with PREFIX.
PREFIX = "zscrape-abuse-"
PUBLIC_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run", "/var/run", "/run/lock")
# The System V keys that our scripts use begin with this, in hexadecimal.
KEY_PREFIX = 0x7A5C
_PROC = Path("/proc")
# A cgroup that a worker has made; what a killed one left goes when any worker starts.
_OWNER = re.compile(r"zscrape-([0-9]+)-")
_LOOK_S = 0.02


class State(Struct, frozen=True):
    """What must be the same before and after."""

    worker_pid: int
    templates: tuple[int, ...]  # process ids of the worker's direct children
    process_count: int
    descriptor_count: int
    used_folders: tuple[str, ...]  # private ones with something in them
    mounts: tuple[str, ...]  # of the worker and of this process
    cgroups: tuple[str, ...]  # below the worker's, not another's, without a process in them
    litter: tuple[str, ...]


def look(worker_pid: int, home: Path) -> State:
    """Return the state of the machine as far as it is this worker's."""
    children = family(worker_pid)
    return State(
        worker_pid=worker_pid,
        templates=tuple(sorted(pid for pid, parent in children.items() if parent == worker_pid)),
        process_count=len(children),
        descriptor_count=len(list(Path(f"/proc/{worker_pid}/fd").iterdir())),
        used_folders=tuple(
            sorted({str(path.parent) for path in matching(home, "scratch/*/*/*/*")})
        ),
        mounts=tuple(sorted({*_mounts(worker_pid), *_mounts(os.getpid())})),
        cgroups=tuple(sorted(_empty_cgroups(worker_pid))),
        litter=tuple(sorted(litter())),
    )


def until(test: Callable[[], bool], within_s: float) -> bool:
    """Wait for a state of the machine that nothing announces; False if it does not come."""
    ends_at = time.monotonic() + within_s
    while not test():
        if time.monotonic() > ends_at:
            return False
        threading.Event().wait(_LOOK_S)
    return True


def family(pid: int) -> dict[int, int]:
    """Return every descendant of a process and its parent."""
    parents = dict(_parents())
    found: dict[int, int] = {}
    layer = {pid}
    while layer:
        below = {child: parent for child, parent in parents.items() if parent in layer}
        layer = set(below) - set(found)
        found.update(below)
    return found


def marked(mark: str) -> list[int]:
    """Return the processes that carry a mark: in their name or in their arguments."""
    wanted = mark.encode()
    found = []
    for entry in _processes():
        try:
            told = (entry / "comm").read_bytes() + (entry / "cmdline").read_bytes()
            state = (entry / "stat").read_bytes().rpartition(b")")[2].split()[0]
        except OSError:  # it has just ended
            continue
        if wanted in told and state != b"Z":  # a zombie is its parent's, and only a number
            found.append(int(entry.name))
    return found


def matching(home: Path, pattern: str) -> list[Path]:
    """Return what is there of a pattern; folders may go while they are looked at."""
    while True:
        try:
            return sorted(home.glob(pattern))
        except FileNotFoundError:
            continue


def litter() -> Iterator[str]:
    """Yield what our scripts have left in folders that everybody may write to."""
    for folder in (*PUBLIC_FOLDERS, str(Path.home())):
        try:
            names = [entry.name for entry in Path(folder).iterdir()]
        except OSError:
            continue
        yield from (f"{folder}/{name}" for name in names if name.startswith(PREFIX))
    for kind in ("shm", "msg", "sem"):
        try:
            lines = (_PROC / "sysvipc" / kind).read_text().splitlines()[1:]
        except OSError:
            continue
        keys = [int(line.split()[0]) for line in lines]
        yield from (f"{kind} {key:#x}" for key in keys if key >> 16 == KEY_PREFIX)


def clear_litter() -> None:
    """Remove files that an earlier, broken run has left."""
    for path in litter():
        if path.startswith("/"):
            Path(path).unlink(missing_ok=True)


def _processes() -> Iterator[Path]:
    return (entry for entry in _PROC.iterdir() if entry.name.isdigit())


def _parents() -> Iterator[tuple[int, int]]:
    for entry in _processes():
        try:
            told = (entry / "stat").read_bytes()
        except OSError:
            continue
        yield int(entry.name), int(told.rpartition(b")")[2].split()[1])


def _mounts(pid: int) -> set[str]:
    lines = (_PROC / str(pid) / "mountinfo").read_text().splitlines()
    return {line.split()[4] for line in lines}


def _empty_cgroups(pid: int) -> Iterator[str]:
    roots = {}
    for line in (_PROC / str(pid) / "mountinfo").read_text().splitlines():
        fields, _, kind = line.partition(" - ")
        if kind.split()[0] in ("cgroup", "cgroup2"):
            controllers = "" if kind.startswith("cgroup2") else kind.split()[2]
            roots[fields.split()[4]] = controllers
    for line in (_PROC / str(pid) / "cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        for root, options in roots.items():
            if (names == "" and options == "") or (names and names in options):
                yield from _empty_below(Path(f"{root}{path}"), pid)


def _empty_below(top: Path, pid: int) -> Iterator[str]:
    for folder, _inner, files in os.walk(top):
        if folder != str(top) and "cgroup.procs" in files:
            try:
                is_empty = not Path(folder, "cgroup.procs").read_bytes().strip()
            except OSError:
                continue
            owner = _OWNER.match(Path(folder).name)
            if is_empty and (owner is None or int(owner[1]) == pid):
                yield folder
