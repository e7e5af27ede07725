"""Deadlines: nothing is looked at too late, and cleared moments do not pile up."""

from __future__ import annotations

from math import inf

from hypothesis import given, strategies as st

from zscrape.core.deadlines import Deadlines


@given(
    st.lists(
        st.tuples(st.sampled_from(["wake", "clear", "due"]), st.integers(0, 5), st.integers(0, 50)),
        max_size=80,
    )
)
def test_deadlines_are_a_dictionary_of_minima(steps: list[tuple[str, int, int]]) -> None:
    """Each key is told once, at the earliest moment asked for since it was told or cleared."""
    deadlines: Deadlines[int] = Deadlines()
    model: dict[int, float] = {}
    for name, key, at in steps:
        if name == "wake":
            deadlines.wake(key, float(at))
            model[key] = min(model.get(key, inf), at)
        elif name == "clear":
            deadlines.clear(key)
            model.pop(key, None)
        else:
            due = deadlines.due(float(at))
            assert sorted(due) == sorted(each for each, moment in model.items() if moment <= at)
            model = {each: moment for each, moment in model.items() if moment > at}

        first = min(model.values(), default=inf)
        assert (at if name == "due" else -1) < deadlines.next_at <= first
        assert all(deadlines.at(each) == model.get(each, inf) for each in range(6))


def test_never_is_no_moment() -> None:
    """An infinite moment needs no look."""
    deadlines: Deadlines[str] = Deadlines()

    deadlines.wake("a", inf)

    assert deadlines.next_at == inf
    assert deadlines.due(1e9) == []


def test_cleared_entries_do_not_pile_up() -> None:
    """A million short lives with far deadlines leave a small heap behind."""
    deadlines: Deadlines[int] = Deadlines()
    deadlines.wake(-1, 1e9)
    for key in range(10_000):
        deadlines.wake(key, 1e6)
        deadlines.clear(key)

    assert len(deadlines._heap) <= 70
    assert deadlines.due(1e6) == []
    assert deadlines.next_at == 1e9
