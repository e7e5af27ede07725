"""A process's memory in large pieces: the same values at the same addresses, or nothing changed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_GATHER = """
import hashlib, json, os, signal, sys, threading
from zscrape.runtime import folios, mappings

numbers = [[n, str(n), {{n: n * 1.5}}] for n in range(12_000)]
blob = bytearray(os.urandom(2 << 20))
before = hashlib.sha256(json.dumps(numbers).encode() + blob).hexdigest()
places = [id(each) for each in numbers]

def state():
    known = hashlib.sha256(json.dumps(numbers).encode() + blob).hexdigest() == before
    return known and places == [id(each) for each in numbers]

{arrange}
size = folios.gather()
is_same = state()
pid = os.fork()
if pid == 0:
    numbers.append([str(n) * 50 for n in range(20_000)])
    del numbers[::3]
    os._exit(sum(json.loads("[1, 2, 3]")))
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
numbers.append([0, "0", {{0: 0.0}}])
made = [bytes(n) for n in range(2000)]
del numbers[-1], made
{after}
print(json.dumps([size, is_same and state(), status]))
"""


def _tell(arrange: str = "", after: str = "") -> tuple[int, bool, int]:
    """Run it in an interpreter of its own; return the size, whether all is there, a fork's sum."""
    told = subprocess.run(
        [sys.executable, "-c", _GATHER.format(arrange=arrange, after=after)],
        capture_output=True,
        check=True,
        text=True,
    )
    assert not told.stderr
    size, is_same, status = json.loads(told.stdout)
    return size, is_same, status


def _gathered(size: int) -> int:
    if size == 0:
        pytest.skip("this machine gives no huge pages, or has another C library")
    return size


def test_all_that_was_made_is_there_afterwards() -> None:
    """Objects have their values and places, in the process and in a fork, and more can be made."""
    size, is_same, status = _tell()

    assert _gathered(size) > 2 << 20
    assert (is_same, status) == (True, 6)


def test_it_can_be_done_again() -> None:
    """What lies in large pieces can be put into new ones."""
    size, is_same, status = _tell("sizes = [folios.gather() for _ in range(5)]")

    _gathered(size)
    assert (is_same, status) == (True, 6)


def test_signals_wait_meanwhile() -> None:
    """A signal that comes amid the move is heard after it, and none is blocked afterwards."""
    size, is_same, status = _tell(
        "heard = []\n"
        "signal.signal(signal.SIGALRM, lambda *_: heard.append(1))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)\n"
        "sizes = [folios.gather() for _ in range(20)]",
        "signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "assert heard and not signal.pthread_sigmask(signal.SIG_BLOCK, [])",
    )

    _gathered(size)
    assert (is_same, status) == (True, 6)


def test_what_forks_shall_not_see_they_do_not_see() -> None:
    """Memory that is to be empty in forks, a library's random numbers say, still is."""
    size, is_same, status = _tell(
        "import mmap\n"
        "secret = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
        "secret.madvise(18)  # MADV_WIPEONFORK\n"
        "secret[:] = bytes([7]) * (1 << 20)",
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os._exit(secret[5])\n"
        "assert os.waitpid(pid, 0)[1] == 0 and secret[5] == 7",
    )

    _gathered(size)
    assert (is_same, status) == (True, 6)


@pytest.mark.parametrize(
    "arrange",
    [
        "import resource\n"
        "held = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (held + (16 << 20), -1))",
        "mappings._COLLAPSE = 9999",
        "mappings.syscalls.MACHINE = 'another'",
        "folios.ctypes.CDLL = lambda _: object()",
        "folios._worth_it = lambda: open('/nowhere')",
        "threading.Thread(target=threading.Event().wait, daemon=True).start()",
    ],
)
def test_what_the_machine_refuses_changes_nothing(arrange: str) -> None:
    """Without memory, huge pages, a known machine or C library, or with threads, all stays."""
    size, is_same, status = _tell(arrange)

    assert (size, is_same, status) == (0, True, 6)


def test_a_move_that_the_kernel_refuses_loses_nothing() -> None:
    """Where what was copied cannot be moved, the process goes on with what it had."""
    _size, is_same, status = _tell("mappings._MAY_MOVE_FIXED = 2")

    assert (is_same, status) == (True, 6)
