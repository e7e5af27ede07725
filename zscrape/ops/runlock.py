"""One run of a verb and scope at a time on this machine: a lock that dies with its holder.

The key is `script:<name>:<scope>:<yyyy-mm-dd-hh>`, the hour being the one in which the run
began. What is locked is the name and the scope: a run that goes on past the hour keeps a
second one out all the same.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from zscrape.errors import ConfigError
from zscrape.errors.requests import RunHeld

_TRY_COUNT: Final = 100  # a file that its holder removes between our opening and locking it


def lock_key(name: str, scope: str, now: datetime) -> str:
    """Return the key under which a run is told of."""
    return f"script:{name}:{scope}:{now.astimezone(UTC):%Y-%m-%d-%H}"


class RunLock:
    """Holds one scope of a verb until it is released or this process dies.

    Args:
        folder: Where the lock's file stands.
        name: The verb.
        scope: What the run is about; another scope is another lock.
        run_id: Whose it is.
        now: When the run began.

    Raises:
        RunHeld: Another run of the same scope is under way.
        ConfigError: The folder cannot be written.
    """

    def __init__(self, folder: Path, name: str, scope: str, run_id: str, now: datetime) -> None:
        self.key = lock_key(name, scope, now)
        mark = hashlib.sha256(f"{name}\0{scope}".encode()).hexdigest()[:16]
        readable = re.sub(r"[^a-z0-9]+", "-", name.lower())
        self._path = folder / f"{readable}-{mark}.lock"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = self._hold()
            note = {"key": self.key, "run_id": run_id, "pid": os.getpid(), "since": now}
            self._file.seek(0)
            self._file.truncate()
            self._file.write(msgspec.json.encode(note))
            self._file.flush()
        except OSError as error:
            reason = error.strerror or str(error)
            raise ConfigError(source=str(self._path), reason=reason) from error

    def _hold(self) -> IO[bytes]:
        """Open and lock the file.

        Raises:
            RunHeld: Another process has it.
        """
        for _ in range(_TRY_COUNT):
            file = self._path.open("a+b")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with file:
                    raise self._held(file) from None
            # Its last holder may have removed it meanwhile: then this is nobody's file.
            if _is_same(file, self._path):
                return file
            file.close()
        raise RunHeld(key=self.key, run_id="?", holder_pid=0, since="?")

    def _held(self, file: IO[bytes]) -> RunHeld:
        file.seek(0)
        try:
            note: dict[str, Any] = msgspec.json.decode(file.read(), type=dict[str, Any])
        except msgspec.MsgspecError:  # it is being written right now
            note = {}
        return RunHeld(
            key=str(note.get("key", self.key)),
            run_id=str(note.get("run_id", "?")),
            holder_pid=int(note.get("pid", 0)),
            since=str(note.get("since", "?")),
        )

    def release(self) -> None:
        """Let the next run begin."""
        if not self._file.closed:
            self._path.unlink(missing_ok=True)
            self._file.close()


def _is_same(file: IO[bytes], path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(file.fileno()), there)
