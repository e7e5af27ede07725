"""Marks of processes, and the end of all that a user runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zscrape.runtime import marker, strays


def test_process_without_a_mark_is_nobodys() -> None:
    """This process bears no mark, and one that does not exist bears none either."""
    assert marker.read(os.getpid()) == (0, 0)
    assert marker.read(2**22 + 1) == (0, 0)


def test_owner_is_told_by_its_folder() -> None:
    """The same folder gives the same owner, another one another."""
    assert marker.owner_of("/a/1-2") == marker.owner_of("/a/1-2") != marker.owner_of("/a/1-3")
    assert 0 < marker.owner_of("/a/1-2") < 2**30


@pytest.mark.parametrize("owner", [1, 2**30 - 1])
def test_groups_of_children_are_those_of_nobody_else(owner: int) -> None:
    """They lie above all that people and services get, and below the last group there is."""
    ids = [1, 2, marker.CHILD_COUNT - owner - 1, marker.CHILD_COUNT - 1]
    groups = {marker.group_of(owner, child_id) for child_id in ids}

    assert len(groups) == len(ids)
    assert min(groups) >= 1_000_000_000
    assert max(groups) < 2**32 - 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("child_id", [1, 1_000_000_007, marker.CHILD_COUNT - 1])
def test_child_under_the_mark_of_all_is_told_by_its_group(child_id: int) -> None:
    """Whichever its user is, which an earlier child may have been; and root is no child."""
    owner = marker.owner_of("/a/1-2")
    source = (
        f"import os\nfrom zscrape.runtime import marker\nmarker.put({owner}, 0)\n"
        "print(marker.read(os.getpid()))\n"
        f"os.setresgid(*[marker.group_of({owner}, {child_id})] * 3)\n"
        "os.setresuid(*[1_500_000_007] * 3)\nprint(marker.read(os.getpid()))\n"
    )
    told = subprocess.run([sys.executable, "-c", source], check=True, capture_output=True).stdout

    assert told.decode().splitlines() == ["(0, 0)", f"({owner}, {child_id})"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_all_of_a_user_ends_at_once() -> None:
    """A chain of forks that runs as a user of its own has no chance."""
    uid = 2_000_000_000 + os.getpid()  # nobody else's
    # The sleeper is there to be seen: a list of processes may miss every link of the chain.
    chain = (
        "import os, time\nif os.fork() == 0:\n    time.sleep(60)\n"
        "while True:\n    if os.fork(): os._exit(0)\n    os.setsid()"
    )
    first = subprocess.Popen(
        ["/usr/bin/python3", "-c", chain], user=uid, group=uid, extra_groups=[]
    )
    first.wait()
    before = _processes_of(uid)
    strays.end_user(uid)

    assert before
    assert _processes_of(uid) == []


def _processes_of(uid: int) -> list[int]:
    found = []
    for _ in range(3):  # the list may leave one out while others come and go
        for entry in Path("/proc").iterdir():
            try:
                told = (entry / "status").read_text() if entry.name.isdigit() else ""
            except OSError:
                continue
            if f"Uid:\t{uid}" in told and "State:\tZ" not in told:
                found.append(int(entry.name))
    return found
