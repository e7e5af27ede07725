"""Has anything in a folder changed since it was read? By `stat` alone, without reading.

Folders are looked at too: a file added, removed or renamed changes its folder's times. That
makes a listing unnecessary: a look costs one `stat` per file and per folder.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Final

from msgspec import Struct

# The kernel stamps files with a clock that moves in steps of 1 to 10 ms, so a change within
# one step of the last leaves no trace in the times (Git calls such an entry "racily clean").
# A fingerprint taken this soon after a change is not relied on.
SETTLED_AFTER_NS = 50_000_000

_Stamp = tuple[int, int, int, int]
_stamp: Final[Callable[[os.stat_result], _Stamp]] = attrgetter(
    "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"
)


class Fingerprint(Struct, frozen=True):
    """What `stat` said of files and folders at one moment."""

    paths: tuple[str, ...]
    stamps: tuple[_Stamp, ...]
    is_settled: bool

    @classmethod
    def take(cls, paths: Iterable[str]) -> Fingerprint:
        """Look at every path (links are not followed).

        Raises:
            OSError: One of them cannot be looked at.
        """
        now_ns = time.time_ns()
        listed = tuple(paths)
        stats = [os.stat(path, follow_symlinks=False) for path in listed]  # noqa: PTH116 - no Path for each
        newest_ns = max((max(each.st_mtime_ns, each.st_ctime_ns) for each in stats), default=0)
        return cls(
            paths=listed,
            stamps=tuple(_stamp(each) for each in stats),
            is_settled=abs(now_ns - newest_ns) > SETTLED_AFTER_NS,
        )

    def covers(self, other: Fingerprint) -> bool:
        """True iff `other` says nothing that this one does not say as well."""
        own = dict(zip(self.paths, self.stamps, strict=True))
        said = zip(other.paths, other.stamps, strict=True)
        return other.is_settled and all(own.get(path) == stamp for path, stamp in said)

    def holds(self) -> bool:
        """True iff nothing has changed since; False also when that cannot be said."""
        if not self.is_settled:
            return False
        try:  # every step in C: it is asked with each call
            return tuple(map(_stamp, map(os.lstat, self.paths))) == self.stamps
        except OSError:
            return False
