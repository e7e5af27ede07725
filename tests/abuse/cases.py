"""The abuse suite's cases: a folder each, with a script and what must happen when it runs.

<name>/metadata.json    the manifest, as any script has one
<name>/main.py          what it tries; `probe.py` is put beside it when it is published
<name>/expect.json      what must come of it: a `Case`
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct

HERE = Path(__file__).parent
SUPPORT = HERE / "support"  # scripts that do no harm: the neighbour, the victim

# The layers that a worker may report, see `facts.isolation` of `GET /v1/workers`.
ORDINARY = "ordinary"  # no layer: the worker's user may do no more than anybody
LAYERS = frozenset(
    {
        ORDINARY,
        *("session", "rlimits", "no_new_privileges", "user", "descriptors", "environment"),
        *("folder", "landlock", "seccomp", "view", "network", "tree", "memory"),
    }
)
# What a filter answers; anything else has reached the code behind it.
DENIALS = frozenset({"EPERM", "EACCES", "ENOSYS", "EAFNOSUPPORT", "killed by 31"})


class Case(Struct, forbid_unknown_fields=True, kw_only=True):
    """What must happen when one script runs, as its `expect.json` says.

    A probing script returns a dictionary: what it tried, and the name of the errno that it
    got or `done: ...` where it succeeded.
    """

    what: str  # one sentence
    codes: list[str]  # how it may end
    needs: list[str] = []  # layers that it must meet; `a|b` where either will do, see LAYERS
    denied: list[str] = []  # keys of the data whose attempt a filter must have refused
    refused: list[str] = []  # keys of the data whose attempt must not be `done`
    errnos: dict[str, list[str]] = {}  # keys of the data, and the errnos that are right
    data: Any = UNSET  # what the data must be
    says: list[str] = []  # texts that the answer or the log must hold
    hides: list[str] = []  # texts that neither may hold
    told: list[str] = []  # parameters: what the script is told of the worker, see `Arena.facts`
    params: dict[str, Any] = {}  # further parameters, as they are
    victim: bool = False  # run beside a victim that must not be hurt
    reaches: list[str] = []  # on the island: the stand-ins that it gets to, and no others
    place: Literal["machine", "island"] = "machine"  # island: a network namespace of its own
    max_s: float = 5.0  # the attempt's own duration, its grace included
    is_quick: bool = False  # fit for the thousand
    name: str = ""
    limits: tuple[Any, ...] = ()  # what its manifest asks for: its kind of child

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return HERE / self.name

    def faults_of(self, data: Any) -> list[str]:
        """Return the keys of a probe's data that are not as they must be."""
        told: dict[str, Any] = data if isinstance(data, dict) else {}
        return [
            *(key for key in self.refused if str(told.get(key, "done")).startswith("done")),
            *(key for key in self.denied if told.get(key) not in DENIALS),
            *(key for key, right in self.errnos.items() if told.get(key) not in right),
        ]

    def lacking(self, layers: frozenset[str]) -> str:
        """Say which layer is missing for this case, or whose worker; empty: none."""
        is_root = os.geteuid() == 0
        for need in self.needs:
            if not is_root and ORDINARY in need.split("|"):
                continue
            if not layers.intersection(need.split("|")):
                return f"needs the layer {need.replace('|', ' or ')}"
        return ""


def _read(folder: Path) -> Case:
    case = msgspec.json.decode((folder / "expect.json").read_bytes(), type=Case)
    manifest = msgspec.json.decode((folder / "metadata.json").read_bytes())
    unknown = {layer for need in case.needs for layer in need.split("|")} - LAYERS
    assert not unknown, f"{folder.name}: no such layer: {unknown}"
    case.name = folder.name
    case.limits = (
        tuple(manifest.get("kit", ["http"])),
        manifest.get("memory_limit", ""),
        tuple(sorted(manifest.get("limits", {}).items())),
        manifest.get("network", "public"),
    )
    return case


@cache
def all_cases() -> tuple[Case, ...]:
    """Return every case, by name."""
    return tuple(_read(path.parent) for path in sorted(HERE.glob("*/expect.json")))
