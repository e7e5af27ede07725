"""The moments at which attempts are to end, behind one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from zscrape.worker.alarms import Alarms


class Loop(asyncio.SelectorEventLoop):
    """A loop that is never run: its time is what a test says, and so is what is due."""

    now = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.timers: list[tuple[float, Callable[..., object]]] = []

    def time(self) -> float:
        """Return the time."""
        return self.now

    def call_at(self, when: float, callback, *args, context=None):  # type: ignore[no-untyped-def,override]
        """Note a timer."""
        self.timers.append((when, callback))
        return super().call_at(when, callback, *args, context=context)

    def go_to(self, now: float) -> None:
        """Let time pass, and the last timer ring if it is due."""
        self.now = now
        when, ring = self.timers[-1]
        if when <= now:
            ring()


class Sleeper:
    """Counts how often it was woken."""

    woken_count = 0

    def wake(self) -> None:
        """Count."""
        self.woken_count += 1


def test_each_is_woken_once_at_its_own_moment() -> None:
    """Whichever was set first; one that was set anew is woken by its later moment alone."""
    loop = Loop()
    alarms = Alarms(loop)
    late, early, moved, cleared = (Sleeper() for _ in range(4))
    alarms.set(late, 9.0)
    alarms.set(early, 3.0)
    alarms.set(moved, 4.0)
    alarms.set(moved, 8.0)
    alarms.set(cleared, 2.0)
    alarms.clear(cleared)
    alarms.clear(cleared)
    told = []
    for now in range(11):
        loop.go_to(float(now))
        told.append([each.woken_count for each in (late, early, moved, cleared)])
    loop.close()

    assert told[2] == [0, 0, 0, 0]
    assert told[3] == told[7] == [0, 1, 0, 0]
    assert told[8] == [0, 1, 1, 0]
    assert told[9] == told[10] == [1, 1, 1, 0]


def test_many_have_one_timer() -> None:
    """What begins later mostly ends later: nothing is set for it."""
    loop = Loop()
    alarms = Alarms(loop)
    for number in range(100):
        sleeper = Sleeper()
        alarms.set(sleeper, 10.0 + number)
        alarms.clear(sleeper)
    loop.go_to(10.0)
    alarms.set(Sleeper(), 11.0)
    alarms.close()
    timers = [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
    loop.close()

    assert len(loop.timers) == 2
    assert len(timers) == 1  # the first one, which was rung by hand


def test_one_that_is_woken_may_clear_and_set_others() -> None:
    """Also those that are due at the same moment."""
    loop = Loop()
    alarms = Alarms(loop)
    cleared, later, new = Sleeper(), Sleeper(), Sleeper()

    class Setting(Sleeper):
        def wake(self) -> None:
            super().wake()
            alarms.clear(cleared)
            alarms.set(later, 6.0)
            alarms.set(new, 6.0)

    setting = Setting()
    for sleeper in (setting, cleared, later):
        alarms.set(sleeper, 5.0)
    loop.go_to(5.0)
    at_once = [each.woken_count for each in (setting, cleared, later, new)]
    loop.go_to(6.0)
    loop.go_to(7.0)
    loop.close()

    assert at_once == [1, 0, 0, 0]
    assert [each.woken_count for each in (setting, cleared, later, new)] == [1, 0, 1, 1]


def test_one_that_fails_keeps_no_other_asleep() -> None:
    """They are woken by the next turn."""
    loop = Loop()
    alarms = Alarms(loop)

    class Failing(Sleeper):
        def wake(self) -> None:
            raise RuntimeError("oh")

    other = Sleeper()
    alarms.set(Failing(), 5.0)
    alarms.set(other, 5.0)
    with pytest.raises(RuntimeError, match="oh"):
        loop.go_to(5.0)
    loop.go_to(5.0)
    loop.close()

    assert other.woken_count == 1
