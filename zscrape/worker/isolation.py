"""Which layers of isolation are in force on this worker, and what templates are told of them.

Each layer is tried at start in a process of its own. One that is missing is left out and told
to people; one that the settings require is a reason not to start.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from zscrape.model import LAYERS
from zscrape.runtime import limits
from zscrape.runtime.probed import GROUPS, PROCESSES

LAUNCH = str(Path(limits.__file__).with_name("launch.py"))
SKIPPED = "isolation.skip"  # the reason for a layer that the settings leave out
STAGING = "view"  # the folder in a worker's scratch folder that a view is built on

_TRIED = ("tree", "no_new_privileges", "user", "view", "landlock", "seccomp")

_PACKAGE = str(Path(limits.__file__).parents[1])
_PROBE_TIMEOUT_S = 20.0
# Far above what people and services get. A worker has a block of its own, by its process
# number, so that no two workers of one machine share a user.
_FIRST_UID = 1_000_000_000
_BLOCK_COUNT = 512
_BLOCK_MASK = (1 << 22) - 1  # process numbers end there (PID_MAX_LIMIT)
# Above those of all processes: blocks of who asks again in one process. The last number of all
# is not reached (2**32 - 2 is the largest).
_FURTHER_COUNT = 2_000_000
_SMALL_RANGE_RESERVE = 1024

_given = itertools.count()


class Isolation(Struct, frozen=True):
    """The layers of one worker. `missing` has a reason for each that is not in force."""

    script_roots: tuple[str, ...]
    missing: dict[str, str]
    first_uid: int
    hides_processes: bool = True  # the view does, where there is one
    has_groups: bool = False  # each child has a group of its own, where it has a user

    @property
    def active(self) -> tuple[str, ...]:
        """The layers in force."""
        return tuple(layer for layer in LAYERS if layer not in self.missing)

    @property
    def has_own_users(self) -> bool:
        """True iff each private folder belongs to a user of its own."""
        return "user" not in self.missing

    def with_network(self, strength: str, reason: str) -> Isolation:
        """Return the layers with the network's: in force unless only the kit holds the policy."""
        if strength != "kit":
            return self
        return msgspec.structs.replace(self, missing={**self.missing, "network": reason})

    def plan(self, python: str, scratch_root: str) -> str:
        """Return what a template of this interpreter is told (`zscrape.runtime.sandbox.Plan`)."""
        own = self.first_uid, self.has_groups
        return _plan(self.active, python, scratch_root, self.script_roots, *own)


async def examine(
    python: str,
    scratch_root: str,
    script_roots: tuple[Path, ...],
    *,
    skip: frozenset[str] = frozenset(),
) -> Isolation:
    """Try every layer with an interpreter, in this scratch folder.

    Args:
        python: The interpreter.
        scratch_root: An existing folder of ours with an empty folder `STAGING` in it.
        script_roots: Folders that scripts are read from.
        skip: Layers that are not wanted.

    Raises:
        OSError: The interpreter cannot be executed.
    """
    roots = tuple(str(root) for root in script_roots)
    uid = first_uid()
    wanted = tuple(layer for layer in _TRIED if layer not in skip)
    plan = _plan(wanted, python, scratch_root, roots, uid, has_groups=True)
    process = await asyncio.create_subprocess_exec(
        *(python, "-I", "-S", LAUNCH, "probe", plan),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={},
    )
    errors = b""
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT_S):
            out, errors = await process.communicate()
        told = msgspec.json.decode(out, type=dict[str, str])
    except TimeoutError:
        process.kill()
        await process.wait()
        told = dict.fromkeys(wanted, f"the trial did not end within {_PROBE_TIMEOUT_S:.0f} s")
    except msgspec.DecodeError:
        last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        told = dict.fromkeys(wanted, last or "the trial told nothing")
    hides_processes = told.pop(PROCESSES, "") == ""
    has_groups = told.pop(GROUPS, "none") == ""
    told.update(dict.fromkeys(skip, SKIPPED))
    missing = {layer: reason for layer, reason in told.items() if reason}
    return Isolation(roots, missing, uid, hides_processes, has_groups)


def first_uid() -> int:
    """Return the first number of a block of users, another one with each call.

    What shares a user is ended together: no two sets of slots may, not even in one process.
    """
    mapped_count = _mapped_count()
    block, number = os.getpid() & _BLOCK_MASK, next(_given)
    if number:
        block = _BLOCK_MASK + 1 + (block * 64 + number) % _FURTHER_COUNT
    wanted = _FIRST_UID + block * _BLOCK_COUNT
    if wanted + _BLOCK_COUNT <= mapped_count:
        return wanted
    # A container that has few users: its process numbers are its own, and few, too.
    return max(mapped_count - _SMALL_RANGE_RESERVE, 1)


def _mapped_count() -> int:
    """Return how many user numbers this user namespace has, from 0 on."""
    try:
        first = Path("/proc/self/uid_map").read_text(encoding="ascii").split()
    except OSError:
        return 0
    return int(first[2]) if first[:1] == ["0"] else 0


def _plan(
    layers: tuple[str, ...],
    python: str,
    scratch_root: str,
    script_roots: tuple[str, ...],
    uid: int,
    has_groups: bool,
) -> str:
    told = {
        "layers": layers,
        "read": _interpreter_paths(python),
        "script_roots": script_roots,
        "scratch": scratch_root,
        "staging": f"{scratch_root}/{STAGING}",
        "first_uid": uid,
        "has_groups": has_groups,
    }
    return msgspec.json.encode(told).decode()


def _interpreter_paths(python: str) -> list[str]:
    """Return what an interpreter and its packages consist of, as far as it is not the system's."""
    found = [_PACKAGE]
    place = Path(python)
    if place.is_absolute():
        found.append(str(place.parents[1]))  # <environment>/bin/python
        found.append(str(place.resolve().parents[1]))
    if python == sys.executable:
        found.extend((sys.prefix, sys.base_prefix))
    return [path for path in dict.fromkeys(found) if path != "/"]
