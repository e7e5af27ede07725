"""Browser slots: attempts with a browser are fewer than slots, and hold nobody else up."""

from __future__ import annotations

import pytest

from tests.core.rig import Rig
from zscrape.core.effects import TaskFinished
from zscrape.model import OutcomeCode

BROWSER = ("http", "browser")


@pytest.fixture
def rig() -> Rig:
    """A dispatcher without workers."""
    return Rig()


def test_browser_tasks_wait_for_a_browser_slot_and_others_do_not(rig: Rig) -> None:
    """Of four slots one is for browsers: the second such task waits, a plain one behind it runs."""
    rig.join("a", 4, browser_slots=1)

    first = rig.runs(rig.submit("b1", kit=BROWSER))
    second = rig.runs(rig.submit("b2", kit=BROWSER))
    plain = rig.runs(rig.submit("t1"))

    assert first == [("a", "b1", 1)]
    assert second == []
    assert plain == [("a", "t1", 1)]
    told = {"browser_slot_count": 1, "worker_count": 1, "ahead_count": 0}
    assert rig.why("b2") == ("browsers_busy", told)


def test_browser_slot_that_comes_free_goes_to_the_task_that_waits(rig: Rig) -> None:
    """In the order of acceptance; the end of a plain attempt frees none."""
    rig.join("a", 4, browser_slots=1)
    for task_id in ("b1", "b2", "b3"):
        rig.submit(task_id, kit=BROWSER)
    rig.submit("t1")

    after_plain = rig.runs(rig.done("a", "t1"))
    after_first = rig.runs(rig.done("a", "b1"))
    after_second = rig.runs(rig.done("a", "b2"))

    assert after_plain == []
    assert after_first == [("a", "b2", 1)]
    assert after_second == [("a", "b3", 1)]


def test_browser_task_goes_where_a_browser_slot_is_free(rig: Rig) -> None:
    """The least loaded worker is passed over when its browsers are busy, or when it has none."""
    rig.join("none", 8)
    rig.join("one", 8, browser_slots=1)
    rig.join("two", 2, browser_slots=2)
    rig.submit("b1", kit=BROWSER)
    rig.submit("b2", kit=BROWSER)

    (third,) = rig.runs(rig.submit("b3", kit=BROWSER))
    fourth = rig.runs(rig.submit("b4", kit=BROWSER))

    assert third[0] == "two"
    assert fourth == []
    assert rig.why("b4")[0] == "browsers_busy"


def test_slots_still_bound_browser_tasks(rig: Rig) -> None:
    """More browser slots than slots are no more room; what is short is told."""
    rig.join("a", 1, browser_slots=3)
    rig.submit("b1", kit=BROWSER)
    rig.submit("b2", kit=BROWSER)

    assert rig.why("b2")[0] == "slots_busy"


def test_browser_task_without_a_worker_that_has_one_fails(rig: Rig) -> None:
    """Nobody has a Chromium: after its patience `no_matching_worker`, naming what is missing."""
    rig.join("a", 4)
    rig.submit("b1", kit=BROWSER, match_timeout_s=3.0)

    reason, fields = rig.why("b1")
    ends = [
        each
        for each in rig.pass_time(4.0, "a")
        if isinstance(each, TaskFinished) and each.task_id == "b1"
    ]

    assert (reason, fields["missing"]) == ("no_matching_worker", "kit:browser")
    assert [each.outcome.code for each in ends] == [OutcomeCode.NO_MATCHING_WORKER]


def test_busy_browsers_are_no_missing_worker(rig: Rig) -> None:
    """A task that waits for a browser slot is not told that nobody could run it."""
    rig.join("a", 4, browser_slots=1)
    rig.submit("b1", kit=BROWSER)
    rig.submit("b2", kit=BROWSER, match_timeout_s=3.0)
    rig.now = 1.0
    for second in range(2, 8):
        rig.tick(float(second))
        rig.beat("a", ("b1", 1), limit=4)

    assert rig.why("b2")[0] == "browsers_busy"


def test_tag_of_browsers_cannot_be_claimed(rig: Rig) -> None:
    """A worker that only says so with a tag gets no such task."""
    rig.join("a", 4, tags=("kit:browser",))

    assert rig.runs(rig.submit("b1", kit=BROWSER)) == []
    assert rig.why("b1")[0] == "no_matching_worker"
