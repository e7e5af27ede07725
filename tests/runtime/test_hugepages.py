"""The interpreter's code in huge pages, where the machine has them and where not."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from zscrape.runtime.hugepages import _blocks
from zscrape.runtime.mappings import BLOCK_BYTES, Mapping

_ENLARGE = """
import json, os, resource, sys
from zscrape.runtime import hugepages, mappings

def of_code():
    return [line for line in open("/proc/self/maps") if "r-xp" in line]

before = of_code()
{arrange}
size = hugepages.enlarge_code(*hugepages.find_code())
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
    if size == 0:
        pytest.skip("this machine gives no huge pages, or the code does not fill one")

    assert size % BLOCK_BYTES == 0
    assert (status, is_as_it_was) == (6, False)


@pytest.mark.parametrize(
    "arrange",
    [
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 20, -1))",
        "mappings._COLLAPSE = 9999",
        "mappings._MAY_MOVE_FIXED = 2",
        "mappings.syscalls.MACHINE = 'another'",
    ],
)
def test_what_the_machine_refuses_changes_nothing(arrange: str) -> None:
    """Without memory, huge pages or a known machine the code stays where it was, and runs."""
    size, status, is_as_it_was = _tell(arrange)

    assert size == 0
    assert (status, is_as_it_was) == (6, True)


def test_what_nobody_may_read_is_no_part_of_the_code() -> None:
    """Some linkers leave holes between the parts of a library: they are not copied."""
    known = ctypes.cast(ctypes.pythonapi.Py_GetVersion, ctypes.c_void_p).value or 0
    block = known // BLOCK_BYTES * BLOCK_BYTES
    base = block - 4 * BLOCK_BYTES
    parts = [
        Mapping(block - BLOCK_BYTES, block, base, "---p", "lib"),
        Mapping(block, block + BLOCK_BYTES, base, "r-xp", "lib"),
        Mapping(block + BLOCK_BYTES, block + 2 * BLOCK_BYTES, base, "---p", "lib"),
        Mapping(block + 2 * BLOCK_BYTES, block + 3 * BLOCK_BYTES, base, "r--p", "lib"),
    ]

    assert _blocks(parts) == (block, block + BLOCK_BYTES)
