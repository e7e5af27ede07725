"""Runs uv (and what else builds an environment) as limited processes, and ends them for sure.

Nothing of the worker reaches them: a clean environment, an empty folder to work in, no
configuration files. They have their own session, so that all of it can be killed together.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from zscrape.errors.scripts import EnvironmentFailed
from zscrape.messages import text
from zscrape.worker.interpreters import PASSED_ENVIRON
from zscrape.worker.processes import reap_group

_LOOK_INTERVAL_S = 0.5
_OUTPUT_LIMIT_BYTES = 4_000_000
_READ_LIMIT_BYTES = 64_000
_KILL_TIMEOUT_S = 5.0  # what SIGKILL has not ended by then is stuck in the kernel
_REAP_COUNT = 50
_REAP_INTERVAL_S = 0.02
_NICENESS = 10


class Installer:
    """Runs the commands of one build, one after the other, until the build's time is up.

    `check` is called in a thread every now and then while a command runs; it raises
    EnvironmentFailed to end the build.
    """

    def __init__(
        self,
        staging: Path,
        *,
        ends_at: float,
        limit_s: float,
        file_limit_bytes: int,
        environ: dict[str, str],
        check: Callable[[], object],
    ) -> None:
        self._work = staging / "work"
        self._work.mkdir()
        self._log_path = staging / "log"
        self._log_path.touch(mode=0o600)
        self._ends_at = ends_at
        self._limit_s = limit_s
        self._file_limit_bytes = file_limit_bytes
        self._environ = environ
        self._check = check

    @property
    def log(self) -> str:
        """What the commands have said, the last of it."""
        with self._log_path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _READ_LIMIT_BYTES))
            return file.read().decode("utf-8", "replace")

    async def run(self, command: Sequence[str], *, is_background: bool = False) -> int:
        """Run a command to its end; return its exit status. Nothing of it is left running.

        Raises:
            EnvironmentFailed: It could not be started, took too long, said too much, was killed,
                or `check` says that it must end.
        """
        loop = asyncio.get_running_loop()
        process = self._start(command, is_background=is_background)
        pidfd = os.pidfd_open(process.pid)
        ended: asyncio.Future[None] = loop.create_future()
        loop.add_reader(pidfd, _settle, ended)
        try:
            await self._watch(ended)
        finally:
            # Before the wait: until then nobody else can have its number.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.wait((ended,), timeout=_KILL_TIMEOUT_S)
            loop.remove_reader(pidfd)
            os.close(pidfd)
            process.poll()
            await _reap(process.pid)
        if process.returncode is None or process.returncode < 0:
            name = signal.Signals(-(process.returncode or -signal.SIGKILL)).name
            raise EnvironmentFailed(reason=text("environment_error.killed", "en", signal=name))
        return process.returncode

    async def _watch(self, ended: asyncio.Future[None]) -> None:
        loop = asyncio.get_running_loop()
        while not ended.done():
            wait_s = min(_LOOK_INTERVAL_S, self._ends_at - loop.time())
            if wait_s <= 0:
                reason = text("environment_error.timeout", "en", limit_s=self._limit_s)
                raise EnvironmentFailed(reason=reason)
            await asyncio.wait((ended,), timeout=wait_s)
            if not ended.done():
                await asyncio.to_thread(self._look)

    def _start(self, command: Sequence[str], *, is_background: bool) -> subprocess.Popen[bytes]:
        try:
            with self._log_path.open("ab") as log:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self._work,
                    env=self._environ,
                    start_new_session=True,
                    umask=0o022,  # the children that use it are other users
                )
        except OSError as error:
            reason = text("environment_error.no_uv", "en", detail=f"{command[0]}: {error.strerror}")
            raise EnvironmentFailed(reason=reason) from error
        # It may have ended already.
        with contextlib.suppress(OSError):
            limit = (self._file_limit_bytes, self._file_limit_bytes)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limit)
            resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
            if is_background:
                os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
        return process

    def _look(self) -> None:
        if self._log_path.stat().st_size > _OUTPUT_LIMIT_BYTES:
            reason = text("environment_error.loud", "en", limit_bytes=_OUTPUT_LIMIT_BYTES)
            raise EnvironmentFailed(reason=reason)
        self._check()


def clean_environ(home: Path) -> dict[str, str]:
    """Return the environment of an installer: how to reach the network, and nothing else."""
    kept = {name: os.environ[name] for name in PASSED_ENVIRON if name in os.environ}
    # A home of its own: no `.netrc`, no `pip.conf`, no settings of the worker's user.
    return {**kept, "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8"}


def _settle(ended: asyncio.Future[None]) -> None:
    if not ended.done():
        ended.set_result(None)


async def _reap(group: int) -> None:
    """Wait for what the command has left: killed, it ends in milliseconds."""
    for _ in range(_REAP_COUNT):
        if reap_group(group):
            return
        await asyncio.sleep(_REAP_INTERVAL_S)
