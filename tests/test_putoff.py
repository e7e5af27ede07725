"""Modules of others that are put off until something of them is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from zscrape.putoff import put_off

_PUT_OFF = """
import sys, threading
from zscrape.putoff import put_off

for name in ("html", "http.client", "multiprocessing"):
    put_off(name)
"""


def _told(program: str) -> str:
    command = [sys.executable, "-c", _PUT_OFF + program]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def test_a_module_that_is_put_off_runs_when_it_is_used() -> None:
    """Neither to import it nor a module beside it runs it; what is used of it is its own."""
    told = _told("""
import html, http.client
import html
before = "html.entities" in sys.modules, "email.parser" in sys.modules
print(before, html.escape("<"), "html.entities" in sys.modules, type(html).__name__)
print(http.client.responses[404], sys.modules["http"].client is http.client)
""")

    assert told == "(False, False) &lt; True module\nNot Found True\n"


def test_a_package_that_is_put_off_gives_modules_without_being_run() -> None:
    """What is inside of it can be imported by itself; a name that it lacks runs it, and is told."""
    told = _told("""
from multiprocessing.process import BaseProcess
import multiprocessing
print("multiprocessing.context" in sys.modules)
print(hasattr(multiprocessing, "nothing"), "multiprocessing.context" in sys.modules)
from multiprocessing import current_process
print(isinstance(current_process(), BaseProcess))
""")

    assert told == "False\nFalse True\nTrue\n"


def test_all_threads_wait_until_a_module_has_run() -> None:
    """Whoever uses it at the same time sees the whole of it."""
    told = _told("""
import html
seen = []
barrier = threading.Barrier(8)
def use():
    barrier.wait()
    seen.append(html.unescape("&lt;"))
threads = [threading.Thread(target=use) for _ in range(8)]
for each in threads: each.start()
for each in threads: each.join()
print(set(seen), len(seen))
""")

    assert told == "{'<'} 8\n"


def test_a_module_that_could_not_run_is_tried_again() -> None:
    """Where it fails (no descriptor is left, say) its next use tries once more."""
    told = _told("""
import html
sys.modules["html.entities"] = None
try:
    html.escape
except ImportError:
    print("failed")
del sys.modules["html.entities"]
print(html.escape(">"))
""")

    assert told == "failed\n&gt;\n"


def test_what_is_loaded_or_not_there() -> None:
    """A module that has been loaded stays as it is; one that is not there is told at once."""
    before = sys.modules["subprocess"]

    put_off("subprocess")

    assert sys.modules["subprocess"] is before
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        put_off("no_such_module")
