"""Sharing slots among gateways: never too many, never kept back, and fair."""

from __future__ import annotations

from hypothesis import given, strategies as st

from zscrape.core.credits import Side, shares

SIDES = st.lists(
    st.builds(
        Side,
        running_count=st.integers(0, 4),
        queued_count=st.integers(0, 50),
        is_joined=st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


def side(running: int = 0, queued: int = 0, *, joined: bool = True) -> Side:
    """Return one gateway's state."""
    return Side(running, queued, joined)


@given(SIDES, st.integers(0, 12), st.integers(0, 7))
def test_shares_keep_their_promises(sides: list[Side], extra: int, turn: int) -> None:
    """All slots are given while a gateway is there, none twice; running attempts keep theirs."""
    slots = sum(each.running_count for each in sides) + extra
    limits = shares(slots, sides, turn=turn)

    assert all(limit >= each.running_count for limit, each in zip(limits, sides, strict=True))
    assert sum(limits) <= slots
    assert (sum(limits) == slots) == (extra == 0 or any(each.is_joined for each in sides))


@given(SIDES, st.integers(0, 12), st.integers(0, 7))
def test_slots_go_where_tasks_wait(sides: list[Side], extra: int, turn: int) -> None:
    """No gateway gets a slot for nothing while another that is there has more waiting than room."""
    slots = sum(each.running_count for each in sides) + extra
    limits = shares(slots, sides, turn=turn)
    given_counts = [limit - each.running_count for limit, each in zip(limits, sides, strict=True)]
    is_short = any(
        each.is_joined and count < each.queued_count
        for each, count in zip(sides, given_counts, strict=True)
    )

    assert not is_short or all(
        count <= each.queued_count for each, count in zip(sides, given_counts, strict=True)
    )


def test_gateways_that_want_the_same_get_the_same() -> None:
    """Two gateways under load have half of the slots each, whatever one of them had before."""
    assert shares(8, [side(queued=90), side(queued=3)]) == [5, 3]
    assert shares(8, [side(6, 90), side(queued=90)]) == [6, 2]
    assert sorted(shares(7, [side(queued=9), side(queued=9)])) == [3, 4]


def test_turn_decides_between_equals() -> None:
    """With one slot and two gateways that wait, each has it in its turn."""
    waiting = [side(queued=1), side(queued=1)]

    assert shares(1, waiting, turn=0) == [1, 0]
    assert shares(1, waiting, turn=1) == [0, 1]


def test_absent_gateway_keeps_what_runs_and_gets_nothing() -> None:
    """A gateway that is gone holds the slots of its attempts until they have ended."""
    assert shares(4, [side(1, 9, joined=False), side()]) == [1, 3]
    assert shares(4, [side(1, 9, joined=False)]) == [1]
