"""The shared memory of a view: files in a `/dev/shm` that one template and its children have.

Programs remove what they make there, unless they are ended before. It lies in memory and
counts as that of no process, so it must not stay for long.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FOLDER = "/dev/shm"


class SharedMemory:
    """What is in there, and whose it may be. To be made while it is empty."""

    def __init__(self) -> None:
        self._free_count = os.statvfs(FOLDER).f_ffree

    def remove_of(self, uids: Iterable[int]) -> None:
        """Remove all that belongs to some users."""
        if self._is_any_left():
            owners = set(uids)
            self._remove(lambda found: found.st_uid in owners)

    def remove_older(self, than_ns: int) -> None:
        """Remove all that was last touched before a moment of the clock."""
        if self._is_any_left():
            self._remove(lambda found: found.st_ctime_ns < than_ns)

    def _is_any_left(self) -> bool:
        # Asked after every attempt, of which few have left anything.
        return os.statvfs(FOLDER).f_ffree != self._free_count

    def _remove(self, is_left: Callable[[os.stat_result], bool]) -> None:
        for entry in os.scandir(FOLDER):
            try:
                if is_left(entry.stat(follow_symlinks=False)):
                    os.unlink(entry.path)
            except OSError:  # its owner was faster, or it is a folder: Landlock allows none here
                continue
