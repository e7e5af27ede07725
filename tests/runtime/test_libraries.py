"""A process's libraries in fewer mappings: the same bytes at the same addresses."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_JOIN = """
import ctypes, hashlib, json, os, resource, ssl, sys, zlib
from zscrape.runtime import libraries, mappings

def count():
    return sum(1 for _ in open("/proc/self/maps"))

def bytes_of(parts):
    return hashlib.sha256(b"".join(ctypes.string_at(a, b - a) for a, b in parts)).hexdigest()

fd = libraries.make_file()
{arrange}
places = [(each[0].start, each[-1].end) for each in libraries._libraries()]
before, digest = count(), bytes_of(places)
fewer = libraries.join(fd)
is_same = digest == bytes_of(places)
pid = os.fork()
if pid == 0:
    import array, bz2, unicodedata
    os._exit(len(zlib.decompress(zlib.compress(b"12345"))) + len(ssl.RAND_bytes(2)))
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(json.dumps([fewer, before - count(), is_same, status]))
"""


def _tell(arrange: str = "") -> tuple[int, int, bool, int]:
    """Run it in an interpreter of its own; return what it says, what is so, and a fork's sum."""
    done = subprocess.run(
        [sys.executable, "-c", _JOIN.format(arrange=arrange)],
        capture_output=True,
        check=True,
        text=True,
        env={"LD_BIND_NOW": "1"},
    )
    told, fewer, is_same, status = json.loads(done.stdout)
    return told, fewer, is_same, status


def test_libraries_are_what_they_were_in_fewer_mappings() -> None:
    """All their bytes are where they were, and they can be used in the process's forks."""
    told, fewer, is_same, status = _tell()
    if not told:
        pytest.skip("this machine has no files of memory, or lets none be executed")

    assert told >= 10
    assert (is_same, status) == (True, 7)
    assert fewer >= told // 2  # what was counted may have come to hold one more of its own


@pytest.mark.parametrize(
    "arrange",
    [
        "fd = -1",
        "os.close(fd)",
        "mappings.syscalls.MACHINE = 'another'",
        "fd = os.open('/proc/self/maps', os.O_RDONLY)",
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))",
        "import mmap; os.ftruncate(fd, 4096); held = mmap.mmap(fd, 4096)",
    ],
)
def test_what_the_machine_refuses_changes_nothing(arrange: str) -> None:
    """No file, another machine, no file of their size, or somebody may write to it: all stays."""
    told, _fewer, is_same, status = _tell(arrange)

    assert (told, is_same, status) == (0, True, 7)


def test_what_is_joined_can_be_written_by_nobody() -> None:
    """Who holds the file open cannot change what others execute."""
    told, _fewer, is_same, _status = _tell()
    if not told:
        pytest.skip("this machine has no files of memory, or lets none be executed")
    program = _JOIN.format(arrange="other = os.dup(fd)") + "os.pwrite(other, b'x', 0)\n"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, env={"LD_BIND_NOW": "1"}
    )

    assert is_same
    assert b"PermissionError" in done.stderr
