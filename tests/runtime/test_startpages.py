"""Pages of files that only a start has touched."""

from __future__ import annotations

import subprocess
import sys

import pytest

from zscrape.runtime.startpages import spans_of_files

_MAPPED = """\
10000-20000 r--p 00000000 fe:00 7                    /lib/a library.so
Rss:                  64 kB
Anonymous:             0 kB
VmFlags: rd mr mw me
20000-30000 r-xp 00010000 fe:00 7                    /lib/a library.so
Anonymous:             0 kB
30000-40000 r--p 00020000 fe:00 7                    /lib/a library.so
Anonymous:             8 kB
40000-50000 rw-p 00030000 fe:00 7                    /lib/a library.so
Anonymous:             0 kB
50000-60000 r--p 00000000 00:00 0
Anonymous:             0 kB
60000-70000 r-xp 00000000 00:00 0                    [vdso]
Anonymous:             0 kB
70000-80000 rw-s 00000000 fe:00 9                    /home/zscrape.db-shm
Anonymous:             0 kB
"""
# Loads much, tells how much of files is before it, lets go of it, tells that again, and works on.
_START = """
import decimal, email.message, json, sqlite3, sys
from zscrape.runtime import startpages
def of_files():
    lines = open("/proc/self/smaps_rollup").readlines()[1:]
    told = {line.split()[0]: int(line.split()[1]) for line in lines}
    return told["Rss:"] - told["Anonymous:"]
before = of_files()
startpages.let_go()
after = of_files()
assert json.loads(json.dumps({"a": str(decimal.Decimal("0.1") * 3)})) == {"a": "0.3"}
assert sqlite3.connect(":memory:").execute("SELECT 40 + 2").fetchall() == [(42,)]
print(before, after)
"""


def test_only_what_is_mapped_as_it_is_in_its_file_can_be_let_go() -> None:
    """Not what was changed, what can be written, or what is of no file."""
    spans = list(spans_of_files(_MAPPED.splitlines(keepends=True)))

    assert spans == [(0x10000, 0x20000), (0x20000, 0x30000)]


@pytest.mark.skipif(sys.platform != "linux", reason="by /proc")
def test_a_process_works_on_with_a_part_of_what_it_had_before_it() -> None:
    """The libraries are as usable as before, and the pages of their start are gone."""
    ran = subprocess.run([sys.executable, "-c", _START], capture_output=True, text=True, check=True)

    before, after = map(int, ran.stdout.split())
    assert after < before / 2
