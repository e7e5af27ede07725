"""What makes forks of a template cheap: by the product's own means, so that no floor lacks them.

Code and objects lie in large pieces of memory (`hugepages`, `folios`), free memory in one place
(`room`), and what every child writes to each fork copies at once (`pinning`).
"""

from __future__ import annotations

import _socket
import fcntl
import gc
import os
import sys

from zscrape.runtime import folios, hugepages, pinning, room

TYPE_CHECKING = False  # as in the templates
if TYPE_CHECKING:
    from collections.abc import Callable

_SAMPLE_LIMIT_S = 5.0
_FIRST_FD = 5  # what lies below is a child's


class Means:
    """Found out before anything is rehearsed: it leaves holes in a heap.

    Args:
        root: Where this was imported from.
        ring_fd: The ring of `pinning`, made before any filter is there; -1: there is none.
    """

    def __init__(self, root: str, ring_fd: int) -> None:
        self._root, self._ring_fd = root, ring_fd
        if ring_fd >= 0:
            self._ring_fd = fcntl.fcntl(ring_fd, fcntl.F_DUPFD_CLOEXEC, _FIRST_FD)
            os.close(ring_fd)
        self._code = hugepages.find_code()

    def freeze(self) -> None:
        """Leave to children what they can share, once everything has been loaded and rehearsed."""
        sys.path.remove(self._root)  # it is no script's
        gc.collect()
        room.gather()
        gc.freeze()
        gc.disable()
        hugepages.enlarge_code(*self._code)
        folios.gather()

    def pin(self, fork: Callable[[int, int], int], request: bytes) -> None:
        """Pin what a child writes to.

        Args:
            fork: Forks one with this channel and this output, that leaves by `pinning.stay`.
            request: What that is to hear.
        """
        if self._ring_fd < 0:
            return
        for ring_fd in (-1, self._ring_fd):  # the first child finds things as no other will
            self._look_at_sample(fork, request, ring_fd)

    def _look_at_sample(
        self, fork: Callable[[int, int], int], request: bytes, ring_fd: int
    ) -> None:
        channel, its_channel = _socket.socketpair()
        output, its_output = _socket.socketpair()
        output.settimeout(_SAMPLE_LIMIT_S)
        channel.send(request)
        pid = fork(its_channel.fileno(), its_output.fileno())
        its_output.close()
        if output.recv(1):
            pinning.pin_written_by(ring_fd, pid)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        for end in (channel, its_channel, output):
            end.close()
