"""Pages that each child is given by its fork, since nearly each child writes to them.

A fork shares the pages of its parent; whoever writes to one first takes a fault, in which it is
copied. If only to count references, every child writes to nearly two hundred pages of its
template. But what a device may be using cannot be shared: the fork copies that at once, without a
fault, before anybody waits for the child.
For the kernel the buffers of an io_uring are such memory, so the template registers those pages
with one. A page that is given costs about half of what the fault does, so it pays where more than
half of the children write to it.

That is all the ring is there for. It is made before the filters that refuse io_uring, switched
off, and nobody can switch it on; a child closes its descriptor before anything else. A template
that runs others' code, a script's packages or what it has preloaded, is given none: through a ring
memory stays that its process has given back.

Where the kernel has no io_uring, keeps it from this user, or does not let this much memory be
pinned, children copy what they write to, as ever.

Sources: io_uring_setup(2), io_uring_register(2); the kernel's Documentation/admin-guide/mm/
pagemap.rst, Documentation/core-api/pin_user_pages.rst, and `copy_present_page` in mm/memory.c.
"""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

from zscrape.runtime import syscalls
from zscrape.runtime.child import CHANNEL_FD
from zscrape.runtime.mappings import mappings

if TYPE_CHECKING:
    from typing import NoReturn

_SWITCHED_OFF = 1 << 6  # IORING_SETUP_R_DISABLED
_PARAMETERS_BYTES, _FLAGS_AT = 120, 8  # of struct io_uring_params
_ENTRY_BYTES = 8  # of a pagemap, for a page
# In the last byte of an entry: there, of a file or shared on purpose, in no other process.
_PRESENT, _SHARED, _ALONE = 0x80, 0x20, 0x01
_RUN_BYTES = 16  # of struct iovec
_OUTPUT_FD = 1


def make_ring() -> int:
    """Return the descriptor of a ring that can only hold pages, kept by an exec; -1: no ring."""
    flags = bytes(_FLAGS_AT) + _SWITCHED_OFF.to_bytes(4, "little")
    parameters = ctypes.create_string_buffer(flags, _PARAMETERS_BYTES)
    ring_fd: int = syscalls.call(syscalls.IO_URING_SETUP, 1, parameters)
    if ring_fd < 0:
        return -1
    os.set_inheritable(ring_fd, True)
    return ring_fd


def pin(ring_fd: int, runs: bytes) -> bool:
    """Have all later forks copy pages at once, as `written_by` tells; True iff the kernel agrees.

    A page that is shared is copied to be pinned, and then is no longer part of a larger one, of
    which a fork would copy everything.
    """
    arguments = ring_fd, syscalls.REGISTER_BUFFERS, runs, len(runs) // _RUN_BYTES
    result: int = syscalls.call(syscalls.IO_URING_REGISTER, *arguments)
    return result == 0


def written_by(pid: int) -> bytes:
    """Return which pages a fork of this process has copied, in runs, as the kernel reads them.

    Each has an address and a size. The fork must still be there, and another process that holds
    what the two have begun with and has done nothing since: else what this one writes to looks
    like the fork's.

    Raises:
        OSError: Nobody may look.
    """
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    runs: list[tuple[int, int]] = []
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:  # noqa: PTH123 - pathlib is not loaded here
        for each in mappings():
            if each.rights != "rw-p":
                continue
            pagemap.seek(each.start // page_bytes * _ENTRY_BYTES)
            told = pagemap.read((each.end - each.start) // page_bytes * _ENTRY_BYTES)
            for number, entry in enumerate(told[_ENTRY_BYTES - 1 :: _ENTRY_BYTES]):
                if entry & (_PRESENT | _SHARED | _ALONE) == _PRESENT | _ALONE:
                    _add(runs, each.start + number * page_bytes, page_bytes)
    return b"".join(word.to_bytes(8, "little") for run in runs for word in run)


def _add(runs: list[tuple[int, int]], address: int, size: int) -> None:
    if runs and sum(runs[-1]) == address:
        address, before = runs.pop()
        size += before
    runs.append((address, size))


def stay(status: int) -> NoReturn:
    """Tell that all is done, and wait to be ended, or for the template's end. See `child.serve`."""
    os.write(_OUTPUT_FD, b".")
    try:
        os.read(CHANNEL_FD, 1)
    finally:
        os._exit(status)
