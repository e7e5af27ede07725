"""Scripts that are broken or hostile: each hurts its own attempt, and nobody else."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.abuse import watch
from tests.abuse.arena import (
    GONE_WITHIN_S,
    NEIGHBOUR_LIMIT_S,
    SETTLE_S,
    Arena,
    Ran,
)
from tests.abuse.cases import Case, all_cases
from tests.abuse.verdict import fault_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

CASES = tuple(case for case in all_cases() if case.place == "machine")
MIX_COUNT = 1000
KEPT = "a secret of the victim"
MIX_SEED = 20_261_121


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_abuse_hurts_nobody(arena: Arena, case: Case) -> None:
    """A script ends as its folder says, what it started goes, and its neighbour is fine."""
    if lacking := case.lacking(arena.layers):
        pytest.skip(lacking)

    ran = arena.run(case)

    assert_ended(case, ran)
    assert arena.canary not in ran.told
    assert_neighbours(ran)
    assert_victim(ran)
    assert_gone(arena, ran)


def test_nothing_is_left_after_the_suite(arena: Arena) -> None:
    """Same worker, as many processes, descriptors, folders, mounts, cgroups; it still works."""
    assert_unchanged(arena)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_nothing_is_left_after_a_thousand_mixed_attempts(arena: Arena) -> None:
    """A thousand attempts, abusive and normal, end as each must and change nothing for good."""
    quick = [case for case in CASES if case.is_quick and not case.lacking(arena.layers)]
    chance = random.Random(MIX_SEED)
    mix = [chance.choice(quick) if chance.random() < 0.7 else None for _ in range(MIX_COUNT)]

    def run(case: Case | None) -> str:
        if case is None:
            envelope = arena.scrape("neighbour", {"number": 12, "seconds": 0.0})
            return "" if (envelope["data"] or {}).get("square") == 144 else str(envelope)
        envelope = arena.attack(case, "zsmixture", {})
        return fault_of(case, Ran(envelope, "", "zsmixture", [], None, frozenset()))

    with ThreadPoolExecutor(2) as pool:
        faults = [fault for fault in pool.map(run, mix) if fault]

    assert faults == []
    assert_unchanged(arena)


# ---- what must hold -------------------------------------------------------------------


def assert_ended(case: Case, ran: Ran) -> None:
    """It ended with one of its codes, in time, and told what it must."""
    fault = fault_of(case, ran)
    assert not fault, fault
    for text in case.says:
        assert text in ran.told
    for text in case.hides:
        assert text not in ran.told


def assert_neighbours(ran: Ran) -> None:
    """Whoever ran in the other slot has answered right, in time, from a folder of its own."""
    for number, envelope in enumerate(ran.neighbours, start=2):
        right = {"square": number * number, "was": [], "is": ["mine.txt"], "kept": True}
        assert envelope["data"] == right, envelope
        assert envelope["execution_time"] < NEIGHBOUR_LIMIT_S


def assert_victim(ran: Ran) -> None:
    """The victim was not ended, signalled, stopped, read or written to."""
    if ran.victim is None:
        return
    assert ran.victim["was_alive"], ran.victim
    report = ran.victim["data"]
    assert ran.victim["status"] == "completed"
    assert report.pop("longest") < NEIGHBOUR_LIMIT_S
    assert report == {
        "heard": [],
        "file": KEPT,
        "memory": KEPT,
        "folder": ["secret.txt"],
    }
    assert KEPT not in ran.told


def assert_gone(arena: Arena, ran: Ran) -> None:
    """Nothing that carries the attempt's mark is left, and no file of it."""
    within_s = GONE_WITHIN_S["tree" in arena.layers]
    assert watch.until(lambda: not watch.marked(ran.mark), within_s), watch.marked(ran.mark)
    assert set(watch.litter()) <= ran.litter
    assert (arena.home / "key.pem").read_text() == arena.canary


def assert_unchanged(arena: Arena) -> None:
    """The machine is as it was when the worker had just started."""
    seen = [arena.state()]

    def is_as_before() -> bool:
        seen[0] = watch.look(arena.worker.pid, arena.home)
        return seen[0] == arena.before

    watch.until(is_as_before, SETTLE_S)

    assert seen[0] == arena.before
