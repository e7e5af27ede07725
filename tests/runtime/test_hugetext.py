"""The interpreter's code in huge pages: where the machine has them, and where it does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from zscrape.runtime.hugetext import BLOCK_BYTES

_ENLARGE = """
import json, os, resource, sys
from zscrape.runtime import hugetext

def of_code():
    return [line for line in open("/proc/self/maps") if "r-xp" in line]

before = of_code()
{arrange}
try:
    size = hugetext.enlarge()
except OSError:
    size = -1
pid = os.fork()
if pid == 0:
    os._exit(sum(json.loads("[1, 2, 3]")))
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(size, status, before == of_code())
"""


def _tell(arrange: str) -> tuple[int, int, bool]:
    """Run it in an interpreter of its own; return the size, a fork's result, whether all stayed."""
    command = [sys.executable, "-c", _ENLARGE.format(arrange=arrange)]
    told = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
    return int(told[0]), int(told[1]), told[2] == "True"


def test_code_in_huge_pages_still_runs() -> None:
    """An interpreter whose code has been put into huge pages works, and so do its forks."""
    size, status, is_as_it_was = _tell("")
    if size <= 0:
        pytest.skip("this machine gives no huge pages, or the code does not fill one")

    assert size % BLOCK_BYTES == 0
    assert (status, is_as_it_was) == (6, False)


@pytest.mark.parametrize(
    "arrange",
    [
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 20, -1))",
        "hugetext._COLLAPSE = 9999",
        "hugetext._MAY_MOVE_FIXED = 2",
        "hugetext.syscalls.MACHINE = 'another'",
    ],
)
def test_what_the_machine_refuses_changes_nothing(arrange: str) -> None:
    """Without memory, huge pages or a known machine the code stays where it was, and runs."""
    size, status, is_as_it_was = _tell(arrange)

    assert size <= 0
    assert (status, is_as_it_was) == (6, True)
