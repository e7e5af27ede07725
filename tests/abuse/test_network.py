"""Scripts that reach for what they may not, in a network of their own with stand-ins in it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.abuse.arena import Ran
from tests.abuse.cases import Case, all_cases
from tests.abuse.verdict import fault_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

CASES = tuple(case for case in all_cases() if case.place == "island")


class Island:
    """The process in its own network namespace, asked by lines."""

    def __init__(self, root: Path) -> None:
        known = str(Path("/proc/self/ns/net").readlink())
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.abuse.island", str(root), known],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.told = self._hear()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the island ended with {self._process.wait()}"
        told: dict[str, Any] = json.loads(line)
        return told

    def run(self, case: Case) -> tuple[Ran, list[str]]:
        """Run a case there; return what came of it and which stand-ins were reached."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(case.name) + "\n")
        self._process.stdin.flush()
        told = self._hear()
        return msgspec.convert(told["ran"], Ran), told["reached"]

    def close(self) -> None:
        """End it and its cluster."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=40)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def island(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Island]:
    """A network namespace with a cluster and stand-ins."""
    made = Island(tmp_path_factory.mktemp("island"))
    yield made
    made.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_abuse_reaches_nobody(island: Island, case: Case) -> None:
    """A script gets no connection and no datagram to where its policy does not let it."""
    if lacking := island.told.get("lacking"):
        pytest.skip(f"needs a network namespace of its own: {lacking}")
    if lacking := case.lacking(frozenset(island.told["layers"])):
        pytest.skip(lacking)

    ran, reached = island.run(case)

    fault = fault_of(case, ran)
    assert not fault, fault
    assert reached == sorted(case.reaches)
    assert island.told["canary"] not in ran.told
    assert all(envelope["error"] is None for envelope in ran.neighbours)
