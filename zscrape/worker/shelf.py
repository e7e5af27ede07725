"""Environments on disk, shared by every worker process of this machine that has the folder.

    <root>/ready/<digest>/        one environment, put there whole by a rename
    <root>/locks/<digest>         empty; whoever builds or removes that environment holds it alone,
                                  whoever uses it holds it together with others
    <root>/staging/<digest>.<n>/  being built or being removed
    <root>/logs/<digest>.log      what the last build that failed has said
    <root>/uv/                    uv's own cache

The kernel lets go of a lock with the process that held it, so what a killed worker leaves in
`staging` is known by its free lock. The time of a lock's file says when it was last used.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from zscrape.worker.processes import end_processes_in
from zscrape.worker.scratch import remove_tree

RECORD_FILE: Final = "environment.json"
LOG_FILE: Final = "build.log"
_LOG_COUNT = 100


class EnvironmentRecord(Struct, frozen=True):
    """What is kept beside an environment, for people and for its eviction."""

    requirements: tuple[str, ...]
    python: str  # the interpreter that it was made with
    version: str
    size_bytes: int
    built_s: float
    built_at: float


class Shelf:
    """The folder of environments. Its methods block, shortly unless they say otherwise."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._ready = self.root / "ready"
        self._locks = self.root / "locks"
        self._staging = self.root / "staging"
        self._logs = self.root / "logs"
        self.uv_cache = self.root / "uv"
        self._serials = itertools.count(1)

    def open(self) -> None:
        """Make the folders; end and remove what killed workers were building.

        Raises:
            OSError: The folder cannot be written.
        """
        for folder in (self._ready, self._locks, self._staging, self._logs, self.uv_cache):
            folder.mkdir(parents=True, exist_ok=True)
        for left in self._staging.iterdir():
            digest = left.name.partition(".")[0]
            lock = self.lock(digest, is_shared=False)
            if lock is not None:
                self.clear_staging(digest)
                os.close(lock)

    # ---- locks -----------------------------------------------------------------------

    def lock(self, digest: str, *, is_shared: bool) -> int | None:
        """Return a descriptor that holds an environment until it is closed; None: others do."""
        descriptor = os.open(self._locks / digest, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def touch(self, digest: str) -> None:
        """Note that an environment is used now."""
        with contextlib.suppress(OSError):
            os.utime(self._locks / digest)

    # ---- environments ----------------------------------------------------------------

    def folder(self, digest: str) -> Path:
        """Return where an environment is or would be."""
        return self._ready / digest

    def record(self, digest: str) -> EnvironmentRecord | None:
        """Return what is known of an environment; None: it is not there, or not whole."""
        try:
            raw = (self.folder(digest) / RECORD_FILE).read_bytes()
            record = msgspec.json.decode(raw, type=EnvironmentRecord)
        except (OSError, msgspec.MsgspecError):
            return None
        return record if (self.folder(digest) / "bin" / "python").exists() else None

    def stage(self, digest: str) -> Path:
        """Return a new empty folder to build an environment in; its lock is held alone."""
        self.clear_staging(digest)
        return self.stage_beside(digest)

    def stage_beside(self, digest: str) -> Path:
        """Return a new empty folder to work in while the environment is held."""
        folder = self._new_staging(digest)
        folder.mkdir(mode=0o755)
        return folder

    def publish(self, built: Path, digest: str) -> None:
        """Put a built environment in its place, from one moment to the next."""
        place = self.folder(digest)
        if place.exists():  # not whole, else it would not have been built again
            self._discard(digest)
        built.rename(place)

    def clear_staging(self, digest: str) -> None:
        """Remove what was left of building or removing an environment; its lock is held alone."""
        for left in self._staging.glob(f"{digest}.*"):
            # An installer outlives a worker that was killed; it works inside its folder.
            end_processes_in(left)
            remove_tree(str(left))

    def keep_log(self, digest: str, log: str) -> None:
        """Keep what a build that failed has said."""
        with contextlib.suppress(OSError):
            (self._logs / f"{digest}.log").write_text(log, encoding="utf-8")
            kept = sorted(self._logs.iterdir(), key=lambda path: path.stat().st_mtime)
            for old in kept[:-_LOG_COUNT]:
                old.unlink()

    def log(self, digest: str) -> str:
        """Return what the last build of an environment has said, whether it failed or not."""
        for path in (self.folder(digest) / LOG_FILE, self._logs / f"{digest}.log"):
            with contextlib.suppress(OSError):
                return path.read_text(encoding="utf-8", errors="replace")
        return ""

    # ---- cleaning (slow) --------------------------------------------------------------

    def evict(self, *, max_age_s: float, limit_bytes: int, now: float) -> tuple[str, ...]:
        """Remove what was not used for too long, then the least used beyond the size limit.

        What any process uses stays, whatever its age and size.

        Returns:
            The digests removed.
        """
        found = sorted((self._used_at(path.name), path.name) for path in self._ready.iterdir())
        sizes = {digest: self._size(digest) for _, digest in found}
        total_bytes = sum(sizes.values())
        removed = []
        for used_at, digest in found:
            is_old = now - used_at > max_age_s
            if (is_old or total_bytes > limit_bytes) and self._remove(digest):
                total_bytes -= sizes[digest]
                removed.append(digest)
        return tuple(removed)

    def _remove(self, digest: str) -> bool:
        lock = self.lock(digest, is_shared=False)
        if lock is None:
            return False
        try:
            self._discard(digest)
        finally:
            os.close(lock)
        return True

    def _discard(self, digest: str) -> None:
        """Take an environment away at once, then remove it; its lock is held alone."""
        aside = self._new_staging(digest)
        try:
            self.folder(digest).rename(aside)
        except FileNotFoundError:
            return
        remove_tree(str(aside))

    def _new_staging(self, digest: str) -> Path:
        # Between two processes the lock keeps names apart, within one the number does.
        return self._staging / f"{digest}.{os.getpid()}-{next(self._serials)}"

    def _used_at(self, digest: str) -> float:
        try:
            return (self._locks / digest).stat().st_mtime
        except OSError:
            return 0.0

    def _size(self, digest: str) -> int:
        record = self.record(digest)
        return 0 if record is None else record.size_bytes


def size_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder; what vanishes meanwhile counts nothing."""
    total = 0
    for inner, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(f"{inner}/{name}").st_size
    return total


def forbid_writing(folder: Path) -> None:
    """Make all that is in a folder read-only; the folder itself can still be renamed."""
    for inner, _, names in os.walk(folder):
        for name in names:
            path = f"{inner}/{name}"
            if not os.path.islink(path):  # noqa: PTH114 - thousands of them
                os.chmod(path, os.lstat(path).st_mode & 0o555)  # noqa: PTH101 - as above
        if inner != str(folder):
            os.chmod(inner, 0o555)  # noqa: PTH101, S103 - as above; others may run what is in it


def write_record(built: Path, record: EnvironmentRecord, log: str) -> None:
    """Write down what an environment is and what was said while it was built."""
    (built / LOG_FILE).write_text(log, encoding="utf-8")
    (built / RECORD_FILE).write_bytes(msgspec.json.encode(record))
