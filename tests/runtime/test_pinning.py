"""Pages that a fork copies at once, where the kernel has io_uring and where not."""

from __future__ import annotations

import subprocess
import sys

import pytest

_COUNT = 64

# A process with some pages, forks that write to all of them, and what that takes.
_TELL = f"""
import mmap, os, resource
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
    done = pinning.pin_written_by(ring_fd, pid)
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
    ["ring_fd = -1", "os.close(ring_fd)", "pinning._written_by = lambda pid: [(8192, 4096)]"],
)
def test_what_the_kernel_refuses_changes_nothing(arrange: str) -> None:
    """Without a ring, or with memory that is not there, forks copy what they write to as ever."""
    is_done, *counts, first, last = _tell(arrange)

    assert not is_done
    assert min(counts) >= _COUNT
    assert (first, last) == (1, 1)
