"""What makes forks of a template cheap: as ours does, so that no floor lacks it.

Code and objects lie in large pieces of memory (`hugepages`, `folios`), free memory in one place
(`room`): by the product's own functions. What every child writes to each fork copies at once, as
told in `zscrape.runtime.pinning`, which itself would bring all of the product's child: each
megabyte of a template costs its forks some 30 us.
"""

from __future__ import annotations

import _socket
import ctypes
import gc
import os
import sys

TYPE_CHECKING = False  # as in the templates
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn


class Without:
    """Keeps out, for a while, what modules load and a template has no use for: two megabytes."""

    TYPE_CHECKING = False
    Any = TypeAlias = Final = JSONDecoder = None
    NamedTuple = object

    def __enter__(self) -> None:
        self._absent = [name for name in ("typing", "json.decoder") if name not in sys.modules]
        for name in self._absent:
            sys.modules[name] = type(self)  # type: ignore[assignment]

    def __exit__(self, *_told: object) -> None:
        for name in self._absent:
            del sys.modules[name]


with Without():
    from zscrape.runtime import folios, hugepages, room, syscalls
    from zscrape.runtime.mappings import mappings

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))  # noqa: PTH120 - without pathlib
_SAMPLE_LIMIT_S = 5.0
_FIRST_FD, _CHANNEL_FD, _OUTPUT_FD = 5, 3, 1  # what lies below the first is a child's
_SWITCHED_OFF, _PARAMETERS_BYTES, _FLAGS_AT = 1 << 6, 120, 8  # of io_uring_setup
_PAGE_BYTES, _ENTRY_BYTES = 4096, 8
_PRESENT, _SHARED, _ALONE = 0x80, 0x20, 0x01  # in the last byte of an entry


def lift(fd: int) -> int:
    """Return a copy above the places of a child's descriptors: `fcntl` would be five mappings."""
    copy = os.dup(fd)
    if copy >= _FIRST_FD:
        return copy
    lifted = lift(fd)
    os.close(copy)
    return lifted


def make_ring() -> int:
    """Return the descriptor of a ring that can only hold pages, kept by an exec; -1: none."""
    flags = bytes(_FLAGS_AT) + _SWITCHED_OFF.to_bytes(4, "little")
    parameters = ctypes.create_string_buffer(flags, _PARAMETERS_BYTES)
    ring_fd: int = syscalls.call(syscalls.IO_URING_SETUP, 1, parameters)
    if ring_fd >= 0:
        os.set_inheritable(ring_fd, True)
    return ring_fd


def stay(_status: int) -> NoReturn:
    """Leave as a sample does: tell that all is done, and wait to be ended."""
    os.write(_OUTPUT_FD, b".")
    try:
        os.read(_CHANNEL_FD, 1)
    finally:
        os._exit(0)


def command(module: str, *options: str) -> list[str]:
    """Return how an interpreter becomes what a module's `main` is, by its arguments.

    Where the module has been imported here it is not compiled there: what the compiler leaves in
    memory would be part of every fork.
    """
    source = (
        f"import sys; sys.path.append({_ROOT!r}); from {module} import main; main(sys.argv[1:])"
    )
    return [sys.executable, "-I", *options, "-B", "-c", source]


class Means:
    """Made before anything is rehearsed: what is found out leaves holes in a heap.

    Args:
        ring_fd: As `make_ring` has returned it, before any filter was there.
    """

    def __init__(self, ring_fd: int) -> None:
        self._ring_fd = ring_fd
        if ring_fd >= 0:
            self._ring_fd = lift(ring_fd)
            os.close(ring_fd)
        self._code = hugepages.find_code()

    def freeze(self) -> None:
        """Leave to children what they can share, once everything has been loaded and rehearsed."""
        sys.path.remove(_ROOT)  # it is no script's
        gc.collect()
        room.gather()
        gc.freeze()
        gc.disable()
        hugepages.enlarge_code(*self._code)
        folios.gather()

    def pin(self, fork: Callable[[int, int], int], request: bytes) -> None:
        """Pin what a child writes to.

        Args:
            fork: Forks one with this channel and this output, that leaves by `stay`.
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
            _pin_written_by(ring_fd, pid)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        for end in (channel, its_channel, output):
            end.close()


def _pin_written_by(ring_fd: int, pid: int) -> None:
    runs: list[tuple[int, int]] = []
    for address in _written_by(pid):
        if runs and sum(runs[-1]) == address:
            runs[-1] = runs[-1][0], runs[-1][1] + _PAGE_BYTES
        else:
            runs.append((address, _PAGE_BYTES))
    buffers = b"".join(word.to_bytes(8, "little") for run in runs for word in run)
    register = syscalls.IO_URING_REGISTER
    syscalls.call(register, ring_fd, syscalls.REGISTER_BUFFERS, buffers, len(runs))


def _written_by(pid: int) -> Iterator[int]:
    """Yield the addresses of this process's pages that a fork of it has copied."""
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:  # noqa: PTH123 - without pathlib
        for each in mappings():
            if each.rights != "rw-p":
                continue
            pagemap.seek(each.start // _PAGE_BYTES * _ENTRY_BYTES)
            told = pagemap.read((each.end - each.start) // _PAGE_BYTES * _ENTRY_BYTES)
            for number, entry in enumerate(told[_ENTRY_BYTES - 1 :: _ENTRY_BYTES]):
                if entry & (_PRESENT | _SHARED | _ALONE) == _PRESENT | _ALONE:
                    yield each.start + number * _PAGE_BYTES
