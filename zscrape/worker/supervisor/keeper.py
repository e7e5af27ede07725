"""The worker's end of its supervisor: it starts it, gives it listeners, and replaces it."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import subprocess
import time
from typing import Any, Final

from zscrape.log import get_logger
from zscrape.worker.addresses import AddressPolicy
from zscrape.worker.supervisor import starting

_RESTART_DELAY_S: Final = 1.0
_EXIT_TIMEOUT_S: Final = 5.0


class Supervisor:
    """Performs, in a process of its own, what the network filter of scripts stops.

    The worker keeps each listener as well. When the supervisor dies, what scripts ask for
    waits for the next one. What it had in hand at that moment is lost: that call waits until
    its script's time is up. All methods belong to one event loop's thread, which must be the
    main one: the process ends with the thread that has started it.
    """

    def __init__(self, policy: AddressPolicy, scratch_root: str) -> None:
        self._policy = policy
        self._scratch_root = scratch_root
        self._loop = asyncio.get_running_loop()
        self._listeners: set[int] = set()
        # Told of nothing but the end of a listener's last process.
        self._ends = select.epoll()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._pidfd = -1
        self._restart: asyncio.TimerHandle | None = None
        self._started_at = 0.0
        self._is_closed = False
        self._log: Any = get_logger()

    @property
    def pid(self) -> int:
        """The process's number; 0 while there is none."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start the process.

        Raises:
            OSError: It cannot be started.
        """
        self._loop.add_reader(self._ends.fileno(), self._on_ends)
        self._run()

    def add(self, listener_fd: int) -> None:
        """Have a listener served until no process is under its filter; it is ours from now on."""
        self._listeners.add(listener_fd)
        self._ends.register(listener_fd, 0)
        self._give(listener_fd)

    def close(self) -> None:
        """End the process. What scripts ask for from now on fails with ENOSYS."""
        self._is_closed = True
        if self._restart is not None:
            self._restart.cancel()
        self._loop.remove_reader(self._ends.fileno())
        for fd in self._listeners:
            os.close(fd)
        self._listeners.clear()
        self._ends.close()
        if self._process is not None:
            process, pidfd = self._process, os.dup(self._pidfd)
            self._let_go()
            ended = select.poll()
            ended.register(pidfd, select.POLLIN)
            if not ended.poll(_EXIT_TIMEOUT_S * 1000):
                process.kill()
            os.close(pidfd)
            process.wait()

    def _run(self) -> None:
        self._restart = None
        self._started_at = time.monotonic()
        self._process, self._control = starting.start_process(self._policy, self._scratch_root)
        self._control.setblocking(False)
        self._pidfd = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._pidfd, self._on_death)
        for fd in self._listeners:
            self._give(fd)

    def _give(self, listener_fd: int) -> None:
        if self._control is None:
            return
        try:
            socket.send_fds(self._control, [b"+"], [listener_fd])
        except OSError:  # it has died, or cannot keep up: the next one gets all of them
            if self._process is not None:
                self._process.kill()

    def _let_go(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        if self._control is not None:
            self._control.close()
        self._process = self._control = None

    def _on_death(self) -> None:
        if self._process is None or self._process.poll() is None:
            return
        status = self._process.returncode
        self._let_go()
        self._log.warning("supervisor_died", status=status)
        lived_s = time.monotonic() - self._started_at
        self._restart = self._loop.call_later(max(_RESTART_DELAY_S - lived_s, 0), self._run_again)

    def _run_again(self) -> None:
        try:
            self._run()
        except OSError as error:
            self._log.warning("supervisor_failed", reason=str(error))
            self._restart = self._loop.call_later(_RESTART_DELAY_S, self._run_again)

    def _on_ends(self) -> None:
        for fd, _events in self._ends.poll(0):
            self._ends.unregister(fd)
            self._listeners.discard(fd)
            os.close(fd)
