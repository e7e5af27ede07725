"""A small file system of its own under one folder, in a mount namespace that a holder keeps."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.services import until

_CHUNK_BYTES = 65_536


def missing() -> str:
    """Return why nothing can be mounted here, or an empty text."""
    if os.geteuid() != 0:
        return "mount namespaces need root"
    words = ("unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt")
    tried = subprocess.run(words, check=False, capture_output=True)
    return "" if tried.returncode == 0 else "this kernel lets nobody mount in a namespace"


needs_volumes = pytest.mark.skipif(bool(missing()), reason=missing())


class Volume:
    """A tmpfs on `path` that only processes started by `launcher` see."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        path.mkdir()
        self._path = path
        mount = f"mount -t tmpfs -o size={size_bytes},mode=700 none '{path}'"
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", f"{mount} && touch '{path}/.up' && exec sleep 3600"]
        )
        self.view = f"/proc/{self._holder.pid}/root"
        self.launcher = ("nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "--")
        self.seen = Path(f"{self.view}{path}")
        until((self.seen / ".up").exists)

    def fill(self) -> None:
        """Leave no room at all."""
        with suppress(OSError), (self.seen / "filler").open("ab", buffering=0) as filler:
            while True:
                filler.write(b"\0" * _CHUNK_BYTES)
        with suppress(OSError), (self.seen / "filler").open("ab", buffering=0) as filler:
            while True:
                filler.write(b"\0")

    def make_room(self) -> None:
        """Give back what `fill` has taken."""
        (self.seen / "filler").unlink()

    def set_read_only(self, is_read_only: bool) -> None:
        """Mount it so; nothing on it may be open for writing."""
        how = "remount,ro" if is_read_only else "remount,rw"
        subprocess.run([*self.launcher, "mount", "-o", how, str(self._path)], check=True)

    def close(self) -> None:
        """Let go of it: it vanishes with its last process."""
        self._holder.kill()
        self._holder.wait()


@contextmanager
def volume(path: Path, size_bytes: int) -> Iterator[Volume]:
    """Mount one, and let it go at the end."""
    mounted = Volume(path, size_bytes)
    try:
        yield mounted
    finally:
        mounted.close()
