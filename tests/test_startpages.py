"""Code of libraries that only the start has run."""

from __future__ import annotations

import ctypes
import io
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from zscrape import startpages

_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="by /proc")
_IN_MEMORY, _SWAPPED, _OF_FILE = 1 << 63, 1 << 62, 1 << 61

# Loads much, tells how much of files it has mapped, lets go of it, tells that again, and works on.
_START = """
import decimal, email.message, json, sqlite3
from zscrape import startpages
def of_files():
    lines = open("/proc/self/smaps_rollup").readlines()[1:]
    told = {line.split()[0]: int(line.split()[1]) for line in lines}
    return told["Rss:"] - told["Anonymous:"]
before = of_files()
size = startpages.let_go()
after = of_files()
assert size > 1024 * 1024, size
assert json.loads(json.dumps({"a": str(decimal.Decimal("0.1") * 3)})) == {"a": "0.3"}
assert sqlite3.connect(":memory:").execute("SELECT 40 + 2").fetchall() == [(42,)]
print(before, after)
"""
# Lets go again and again while a thread loads and unloads libraries, always others: those that are
# met are held. Where they have been, others have memory of their own.
_BESIDE = """
import _ctypes, _lzma, itertools, mmap, os, shutil, sys, threading
from zscrape import startpages
folder = sys.argv[1]
is_over = threading.Event()
faults, rounds = [], []
def load():
    for number in itertools.count():
        if is_over.is_set():
            return
        copy = shutil.copy(_lzma.__file__, f"{folder}/{number}.so")
        _ctypes.dlclose(_ctypes.dlopen(copy, os.RTLD_NOW))
        os.unlink(copy)
        rounds.append(number)
def fill():
    while not is_over.is_set():
        maps = [mmap.mmap(-1, 65536) for _ in range(8)]
        for each in maps:
            each[:] = b"x" * 65536
        faults.extend(1 for each in maps if each[:] != b"x" * 65536)
        for each in maps:
            each.close()
threads = [threading.Thread(target=run) for run in (load, fill, fill)]
for thread in threads:
    thread.start()
for _ in range(100):
    assert startpages.let_go()
is_over.set()
for thread in threads:
    thread.join()
assert rounds and not faults
"""
# Tells whether a library is still mapped after whoever has loaded it has closed it.
_CLOSED = """
import _ctypes, _lzma, shutil, sys
from zscrape import startpages
def is_mapped_after(look):
    copy = shutil.copy(_lzma.__file__, f"{sys.argv[1]}/{look.__name__}.so")
    library = _ctypes.dlopen(copy, 2)
    look()
    _ctypes.dlclose(library)
    return copy in open("/proc/self/maps", newline="\\n").read()
assert not is_mapped_after(list)
assert is_mapped_after(startpages.let_go)
"""
# Writes to the code of a library as a debugger would, behind its last instruction.
_WRITTEN = """
import _lzma, ctypes, mmap
from zscrape import startpages
_READ, _WRITE, _EXECUTE = 1, 2, 4
lines = [line.split() for line in open("/proc/self/maps")]
(span,) = (line[0] for line in lines if line[1] == "r-xp" and line[-1] == _lzma.__file__)
start, end = (int(address, 16) for address in span.split("-"))
mprotect = ctypes.CDLL(None, use_errno=True).mprotect
mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
page = (end - mmap.PAGESIZE, mmap.PAGESIZE)
before = ctypes.c_ubyte.from_address(end - 1)
assert before.value != 0xCC
assert mprotect(*page, _READ | _WRITE | _EXECUTE) == 0
before.value = 0xCC
assert mprotect(*page, _READ | _EXECUTE) == 0
assert startpages.let_go()
assert before.value == 0xCC
"""


def _run(program: str, *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@_LINUX
def test_a_process_works_on_with_less_of_its_libraries_mapped() -> None:
    """They are as usable as before."""
    before, after = map(int, _run(_START).split())

    assert after < before * 3 / 4


@_LINUX
def test_a_library_whose_code_was_let_go_of_is_never_unloaded(tmp_path: Path) -> None:
    """Or something else could come to lie there between a look and what follows from it."""
    _run(_CLOSED, str(tmp_path))


@_LINUX
def test_others_may_load_and_unload_libraries_meanwhile(tmp_path: Path) -> None:
    """What comes to lie where a library was is nobody's copy of a file."""
    _run(_BESIDE, str(tmp_path))


@_LINUX
def test_what_was_written_into_code_stays() -> None:
    """As the breakpoints of a debugger are."""
    _run(_WRITTEN)


@pytest.mark.parametrize(
    ("words", "is_copy"),
    [
        ((_IN_MEMORY | _OF_FILE, 0, _IN_MEMORY | _OF_FILE), True),
        ((0, 0, 0), True),
        ((_IN_MEMORY | _OF_FILE, _IN_MEMORY, 0), False),
        ((0, _SWAPPED, 0), False),
    ],
    ids=["copies", "not mapped", "written to", "swapped out"],
)
def test_pages_of_the_process_alone_are_known(words: tuple[int, ...], is_copy: bool) -> None:
    """In memory or not."""
    pages = io.BytesIO(struct.pack("5Q", _IN_MEMORY, *words, _SWAPPED))
    page_bytes = os.sysconf("SC_PAGE_SIZE")

    assert startpages.is_of_file(pages, page_bytes, 4 * page_bytes) is is_copy


def test_pages_of_which_nothing_is_told_are_the_process_s_own() -> None:
    """They stay."""
    page_bytes = os.sysconf("SC_PAGE_SIZE")

    assert not startpages.is_of_file(io.BytesIO(b""), 0, page_bytes)


@_LINUX
def test_a_library_in_a_folder_with_an_odd_name_is_no_obstacle(tmp_path: Path) -> None:
    """Its mapping is a line like others."""
    folder = tmp_path / "odd\rname"
    folder.mkdir()
    _run(_CLOSED, str(folder))


def test_a_c_library_without_the_calls_keeps_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is held or let go of."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())

    assert startpages.let_go() == 0
