"""Attempts on made-up data, before there are real ones.

In a template (`rehearse`): what runs often is specialised, its types and attributes are cached
and its allocations have their places, so that a child finds all that done: each page that it
does not write to is a page fault less.

In a child that waits (`rehearse_ahead`), when its worker has nothing else to do: of the faults
that are left most are over before the request comes. No script's code and no secret is there
yet, and nothing of it stays but the pages.
"""

from __future__ import annotations

import gc
import marshal
import os
import sys
from collections.abc import Callable

from zscrape.runtime import channel as frames, child, limits
from zscrape.runtime.channel import Channel
from zscrape.runtime.child import CHANNEL_FD
from zscrape.runtime.entry import compiled
from zscrape.runtime.said import Said

_SOURCE = """
def run(value, ctx=None):
    yield {"value": value}
    return {"value": value, "text": "text", "list": [1, 2.5, None, True]}

def nothing():
    pass
"""
_ENTRY_POINTS = (("main.py", b'{"value":1}'), ("main.py:nothing", b"{}"))
# What most scripts do, and no more: it takes a child as long as a third of a task.
_SOURCE_AHEAD = """
is_done = False

def run(value, ctx):
    global is_done
    is_done = True
    return {"value": value, "text": "text", "list": [1, 2.5, None, True]}
"""
# What nearly all scripts do: each fork copies at once the pages that this writes to. Most return
# something.
_SOURCE_OF_SAMPLE = """
def run():
    return {"value": 1, "text": "x" * 10_000}
"""
_MODULE = "main"
_NULL_FD = 0  # a template's standard input, and so a child's: the null device
_argv = [""]
_request_ahead = b""  # made by `rehearse`


def rehearse(scratch: str, times_count: int, confine: Callable[[str], None] | None = None) -> None:
    """Run small scripts `times_count` times in this process, a template, as a child would.

    Called before its first fork.
    """
    global _request_ahead  # noqa: PLW0603 - it is this process's, and its children's
    folder = f"{scratch}/rehearsal-{os.getpid()}"
    path = f"{folder}/main.py"
    os.mkdir(folder)  # noqa: PTH102 - pathlib is not loaded here
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib is not loaded here
        file.write(_SOURCE)
    code = bytes.fromhex(compiled(folder, "main.py")[1])
    requests = [
        _request_of(folder, entry_point, params, content)
        for entry_point, params in _ENTRY_POINTS
        for content in (b"", code)
    ]
    kept_path = list(sys.path)
    null = os.open("/dev/null", os.O_WRONLY)
    reader, writer = os.pipe()
    for request in requests * times_count:
        os.write(writer, (len(request) + 1).to_bytes(4, "big") + frames.REQUEST + request)
        child.answer(Said(Channel(null), 0), Channel(reader).receive() or b"", confine)
        limits.rehearse()
        sys.path[:] = kept_path
    del sys.modules[_MODULE]  # once: a child must not be the one that finds its table full
    os.close(reader)
    os.close(writer)
    os.close(null)
    sys.argv = _argv  # what this process was started with each child would let go of
    gc.disable()
    os.unlink(path)  # noqa: PTH108 - as above
    os.rmdir(folder)  # noqa: PTH106 - as above
    code = marshal.dumps(compile(_SOURCE_AHEAD, "main.py", "exec", dont_inherit=True))
    _request_ahead = _request_of("/", *_ENTRY_POINTS[0], code)


def rehearse_ahead() -> None:
    """Do what is next in this process, a child without a request; nothing if all is done.

    Raises:
        Exception: It did not go well: this process is none for an attempt.
    """
    if ahead:
        ahead.pop(0)()
        child.ahead_us = limits.usage(*limits.used())[0]


def _run_ahead() -> None:
    """Run a small script, and forget it."""
    said = child.inherited
    kept = os.dup(CHANNEL_FD)
    os.dup2(_NULL_FD, CHANNEL_FD, False)  # whatever it says
    child.answer(said, _request_ahead, None)
    os.dup2(kept, CHANNEL_FD, False)
    os.close(kept)
    limits.rehearse()
    del sys.path[0]
    sys.argv = _argv
    script = sys.modules.pop(_MODULE)
    if not script.is_done or said.is_cancelled:  # asked to end: that was not for this
        raise RuntimeError("a rehearsal was not done")


# What a child rehearses, one after the other, each when it is told to; a kit adds its own.
ahead: list[Callable[[], None]] = [_run_ahead]


def sample_request() -> bytes:
    """Return a request, as a frame, in which a child does what nearly every child does."""
    code = marshal.dumps(compile(_SOURCE_OF_SAMPLE, "main.py", "exec", dont_inherit=True))
    request = _request_of("/", _ENTRY_POINTS[0][0], b"{}", code, cpu_s=300)
    return (len(request) + 1).to_bytes(4, "big") + frames.REQUEST + request


def _request_of(
    folder: str, entry_point: str, params: bytes, code: bytes, *, cpu_s: int = 0
) -> bytes:
    """Return a request: see `child.FIELDS`."""
    told = ["0", "1", folder, entry_point, "rehearsal", "300.0", str(cpu_s)]
    told += ["512000000", "67108864"]
    told += [frames.RUN.decode(), str(len(code)), "0", "", "0", "0"]
    return "\0".join([*told, ""]).encode() + params + code
