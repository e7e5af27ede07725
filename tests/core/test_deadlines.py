"""Deadlines: nothing is looked at too late, and cleared moments do not pile up."""

from __future__ import annotations

from math import inf

from hypothesis import given, strategies as st
from msgspec import Struct

from zscrape.core.deadlines import Deadlines, Entry


class _Key(Struct, eq=False):
    promise: Entry | None = None


@given(
    st.lists(
        st.tuples(st.sampled_from(["wake", "clear", "due"]), st.integers(0, 5), st.integers(0, 50)),
        max_size=80,
    )
)
def test_deadlines_are_a_dictionary_of_minima(steps: list[tuple[str, int, int]]) -> None:
    """Each key is told once, at the earliest moment asked for since it was told or cleared."""
    deadlines: Deadlines[_Key] = Deadlines()
    keys = [_Key() for _ in range(6)]
    model: dict[_Key, float] = {}
    for name, number, at in steps:
        key = keys[number]
        if name == "wake":
            deadlines.wake(key, float(at))
            model[key] = min(model.get(key, inf), at)
        elif name == "clear":
            deadlines.clear(key)
            model.pop(key, None)
        else:
            due = deadlines.due(float(at))
            assert len(due) == len(set(due))
            assert [model[each] for each in due] == sorted(
                moment for moment in model.values() if moment <= at
            )
            model = {each: moment for each, moment in model.items() if moment > at}

        first = min(model.values(), default=inf)
        assert (at if name == "due" else -1) < deadlines.next_at <= first
        assert all(deadlines.at(each) == model.get(each, inf) for each in keys)


def test_never_is_no_moment() -> None:
    """An infinite moment needs no look."""
    deadlines: Deadlines[_Key] = Deadlines()

    deadlines.wake(_Key(), inf)

    assert deadlines.next_at == inf
    assert deadlines.due(1e9) == []


def test_short_lives_leave_no_more_than_one_entry_behind() -> None:
    """What is cleared is given to the next one, which is looked at when its own moment comes."""
    deadlines: Deadlines[_Key] = Deadlines()
    others = [_Key() for _ in range(1_000)]
    for other in others:
        deadlines.wake(other, 1e9)
    for number in range(10_000):
        key = _Key()
        deadlines.wake(key, 1e6 + number)
        deadlines.clear(key)
    last = _Key()
    deadlines.wake(last, 2e6)

    assert len(deadlines._heap) == 1_001
    assert deadlines.due(1.9e6) == []
    assert deadlines.next_at == 2e6
    assert deadlines.due(2e6) == [last]
    assert deadlines.next_at == 1e9


def test_cleared_entries_do_not_pile_up() -> None:
    """After many have gone at once, what is left is soon alone."""
    deadlines: Deadlines[_Key] = Deadlines()
    keys = [_Key() for _ in range(10_000)]
    for at, key in enumerate(keys):
        deadlines.wake(key, float(at))
    for key in keys[1:]:
        deadlines.clear(key)
    deadlines.wake(early := _Key(), 0.5)

    assert len(deadlines._heap) == 2
    assert deadlines._void == []
    assert deadlines.due(1e6) == [keys[0], early]
    assert deadlines.next_at == inf
    assert all(key.promise is None for key in keys)


def test_what_has_surfaced_is_not_given_away() -> None:
    """A void entry that has left the heap promises nothing to the next key."""
    deadlines: Deadlines[_Key] = Deadlines()
    gone, key = _Key(), _Key()
    deadlines.wake(gone, 1.0)
    deadlines.clear(gone)
    deadlines.due(1.0)

    deadlines.wake(key, 2.0)

    assert deadlines.next_at == 2.0
    assert deadlines.due(2.0) == [key]
