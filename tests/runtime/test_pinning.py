"""Pages that a fork copies at once, where the kernel has io_uring and where not."""

from __future__ import annotations

import subprocess
import sys

import pytest

_COUNT = 64

# A process with some pages, forks that write to all of them, and what that takes.
_TELL = f"""
import mmap, os, resource, struct
from zscrape.runtime import pinning

PAGE = mmap.PAGESIZE
made = mmap.mmap(-1, {_COUNT} * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

def write(value):
    for at in range(0, len(made), PAGE):
        made[at] = value

def fork(wait=False):
    read_fd, write_fd = os.pipe()
    hold_read_fd, hold_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        write(2)
        count = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        os.write(write_fd, b".")
        os.close(hold_fd)
        os.read(hold_read_fd, 1)
        os._exit(min(count, 255))
    os.read(read_fd, 1)
    done = pinning.pin(ring_fd, pinning.written_by(pid))
    os.close(hold_fd)
    return done, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

write(1)
ring_fd = pinning.make_ring()
{{arrange}}
done, shared_count = fork()
_, second_count = fork()
print(int(done), shared_count, second_count, made[0], made[-PAGE])
"""


def _tell(arrange: str) -> list[int]:
    """Return whether it was done, the faults of two forks, and what is in the first's pages."""
    done = subprocess.run(
        [sys.executable, "-c", _TELL.format(arrange=arrange)],
        capture_output=True,
        check=True,
        text=True,
    )
    return list(map(int, done.stdout.split()))


def test_what_a_fork_has_written_to_the_next_is_given() -> None:
    """The first takes a fault for each page, the next for none; what they write stays theirs."""
    is_done, first_count, next_count, *values = _tell("")
    if not is_done:
        pytest.skip("this kernel has no io_uring, or not for us")

    assert first_count >= _COUNT
    assert next_count < _COUNT // 4
    assert values == [1, 1]


@pytest.mark.parametrize(
    "arrange",
    [
        "ring_fd = -1",
        "os.close(ring_fd)",
        "pinning.written_by = lambda pid: struct.pack('<2Q', 8192, 4096)",
    ],
)
def test_what_the_kernel_refuses_changes_nothing(arrange: str) -> None:
    """Without a ring, or with memory that is not there, forks copy what they write to as ever."""
    is_done, *counts, first, last = _tell(arrange)

    assert not is_done
    assert min(counts) >= _COUNT
    assert (first, last) == (1, 1)


# A process that waits, a fork of it that writes to some pages, and a fork of that to others.
_TELL_APART = f"""
import ctypes, mmap, os, signal, struct
from zscrape.runtime import pinning

PAGE = mmap.PAGESIZE
made = [
    mmap.mmap(-1, {_COUNT} * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for _ in range(2)
]

def write(which, value):
    for at in range(0, {_COUNT} * PAGE, PAGE):
        made[which][at] = value

def pages(which):
    begin = ctypes.addressof(ctypes.c_char.from_buffer(made[which]))
    return range(begin, begin + {_COUNT} * PAGE, PAGE)

for which in range(2):
    write(which, 1)
looker = os.fork()
if looker:
    os._exit(os.waitstatus_to_exitcode(os.waitpid(looker, 0)[1]))
ready_fd, write_fd = os.pipe()
pid = os.fork()
if pid == 0:
    write(0, 2)
    os.write(write_fd, b".")
    signal.pause()
write(1, 2)
os.read(ready_fd, 1)
told = pinning.written_by(pid)
os.kill(pid, 9)
os.waitpid(pid, 0)
found = set()
for address, size in struct.iter_unpack("<2Q", told):
    found.update(range(address, address + size, PAGE))
print(*(len(found.intersection(pages(which))) for which in range(2)), flush=True)
os._exit(0)
"""


def test_what_the_parent_of_a_fork_writes_to_is_not_taken_for_the_forks() -> None:
    """As long as a third process holds what the two have begun with."""
    done = subprocess.run(
        [sys.executable, "-c", _TELL_APART], capture_output=True, check=True, text=True
    )

    assert done.stdout.split() == [str(_COUNT), "0"]
