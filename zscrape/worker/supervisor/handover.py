"""How the listener of one template comes to the supervisor: its filter is on before it starts."""

from __future__ import annotations

import socket

from zscrape.worker.supervisor import kernel
from zscrape.worker.supervisor.keeper import Supervisor


class Handover:
    """Takes the listener of a process that calls `runtime.notify.hand_over`."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._ours, self._theirs = socket.socketpair()

    @property
    def answer_fd(self) -> int:
        """The descriptor that the process is to be started with."""
        return self._theirs.fileno()

    def started(self) -> None:
        """Note that the process has its descriptors."""
        self._theirs.close()

    def take(self, pidfd: int, fd: int) -> str:
        """Take the listener which a process has under a number; return why not, or nothing."""
        try:
            listener_fd = kernel.take_fd(pidfd, fd)
        except OSError as error:
            self._ours.close()
            return f"the listener of its network filter cannot be taken: {error.strerror}"
        self._supervisor.add(listener_fd)
        with self._ours as ours:
            ours.send(b"+")
        return ""

    def close(self) -> None:
        """Give up: the process ends if it has not handed anything over."""
        self._ours.close()
        self._theirs.close()
