"""The top rung's children run as many attempts as a manifest's `reuse` says, if all goes well."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

from bench.floors.ladder.cluster import Standing, standing
from bench.floors.ladder.gateway import FIRST_KEY, OTHER_KEY
from bench.floors.ladder.rungs import Rung

SOURCE = """
import os, resource, threading, time
from subprocess import Popen

count = 0

def lower():
    resource.setrlimit(resource.RLIMIT_NOFILE, (20, 256))

def stir():
    Popen(["sleep", "60"], start_new_session=True)

def linger():
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()

def write():
    open("left", "w").close()

def fail():
    raise ValueError

def run(what: str = "", *, ctx):
    global count
    count += 1
    if what:
        globals()[what]()
    return [os.getpid(), count, ctx.attempt, os.listdir("."), resource.getrlimit(7)[0]]
"""


def _reusing(reuse: int) -> Any:
    return standing(Rung.CONTEXT, SOURCE, {"reuse": reuse, "timeout": 20})


def _settled(running: Standing) -> int:
    """Return who runs attempts now: the first children were forked before that was asked for."""
    ends_at = time.monotonic() + 40
    seen = [running.data()[0]]
    while len(seen) < 2 or seen[-1] != seen[-2]:
        assert time.monotonic() < ends_at
        seen.append(running.data()[0])
    return int(seen[-1])


def test_a_child_runs_so_many_attempts_and_no_more() -> None:
    """What a script has loaded stays for the next, and only that long."""
    with _reusing(4) as running:
        for _ in range(3):
            _settled(running)
        told = [running.data() for _ in range(24)]

    for pid, count in {(told[n][0], told[n][1]) for n in range(24)}:
        assert count <= 4
        assert pid != os.getpid()
    assert max(count for _pid, count, *_ in told) == 4
    assert len({pid for pid, *_ in told}) <= 8


def test_a_child_that_is_not_as_it_was_is_replaced() -> None:
    """After a failure, too; a child that only ran is kept."""
    with _reusing(1000) as running:
        for what in ("", "lower", "stir", "linger", "write", "fail"):
            pid = _settled(running)
            running.data({"what": what})
            after = running.data()

            assert (after[0] == pid) is (what == ""), what
            assert after[2:4] == [1, []]
            assert after[4] > 20


def test_a_child_is_given_to_nobody_elses_call() -> None:
    """Not to that of another client; each has its own."""
    with _reusing(1000) as running:
        first = _settled(running)
        second = {_pid_of(running, OTHER_KEY) for _ in range(12)}

        assert first not in second
        assert _pid_of(running, FIRST_KEY) == first


def _pid_of(running: Standing, key: bytes) -> int:
    with closing(HTTPConnection("127.0.0.1", running.port, timeout=15)) as connection:
        body = json.dumps({"script_name": "noop", "parameters": {}})
        connection.request("POST", "/scrape", body, {"Authorization": b"Bearer " + key})
        return int(json.loads(connection.getresponse().read())["data"][0])


def test_children_are_reused_by_many_calls_at_once() -> None:
    """One for each slot, each with a folder of its own."""
    with _reusing(1000) as running:
        _settled(running)
        assert len(running.drive(in_flight=12, seconds=0.5)) > 0
        running.drive(in_flight=12, seconds=0.5)

        assert running.data()[3] == []
