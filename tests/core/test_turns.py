"""Clients take turns: whoever asks a lot waits for itself, not the others for it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, strategies as st

from tests.core.rig import Rig, facts, spec
from zscrape.core.effects import TaskAssigned
from zscrape.core.turns import Turns
from zscrape.errors.refusals import ClientQueueFull
from zscrape.model import LockRequest, Overlap, QueuePolicy


def serve(rig: Rig, count: int, name: str = "a") -> list[str]:
    """Let a worker with one slot end its task `count` times; return the tasks it then got."""
    got: list[str] = []
    for _ in range(count):
        worker = rig.dispatcher._pool.workers[name]
        [task] = list(worker.tasks.values())
        got += [fact.task_id for fact in facts(rig.done(name, task.id), TaskAssigned)]
    return got


def busy(rig: Rig) -> None:
    """Let `a` join and be busy, so that what follows waits."""
    rig.join("a")
    rig.submit("first", client="first")


def test_two_clients_take_turns(rig: Rig) -> None:
    """A client that came later with little is served between the tasks of one with much."""
    busy(rig)
    for number in range(20):
        rig.submit(f"much{number}", client="much")
    for number in range(3):
        rig.submit(f"few{number}", client="few")

    got = serve(rig, 8)

    assert got == ["much0", "few0", "much1", "few1", "much2", "few2", "much3", "much4"]


def test_a_client_alone_is_served_in_order(rig: Rig) -> None:
    """Among its own tasks a client finds the order in which it asked."""
    busy(rig)
    for number in range(10):
        rig.submit(f"t{number}", client="c")

    assert serve(rig, 10) == [f"t{number}" for number in range(10)]


def test_priority_goes_before_turns(rig: Rig) -> None:
    """Turns are taken within a priority; a higher one is served first, whoever asks."""
    busy(rig)
    rig.submit("low", client="quiet")
    for number in range(3):
        rig.submit(f"high{number}", client="loud", priority=5)

    assert serve(rig, 4) == ["high0", "high1", "high2", "low"]


def test_shares_weigh_turns(rig: Rig) -> None:
    """A client with twice the share gets twice as many turns."""
    busy(rig)
    for number in range(30):
        rig.submit(f"one{number}", client="one")
        rig.submit(f"two{number}", client="two", share=2.0)

    counts = Counter(name[:3] for name in serve(rig, 30))

    assert counts == {"one": 10, "two": 20}


def test_being_away_saves_nothing_up(rig: Rig) -> None:
    """A client that comes back takes turns from now on: no arrears, no credit."""
    busy(rig)
    rig.submit("early", client="away")
    for number in range(20):
        rig.submit(f"s{number}", client="steady")
    serve(rig, 11)
    for number in range(3):
        rig.submit(f"b{number}", client="away")

    got = serve(rig, 6)

    assert [name[0] for name in got].count("b") == 3
    assert [name[0] for name in got].count("s") == 3


def test_what_nobody_can_run_holds_up_nothing(rig: Rig) -> None:
    """Tasks that wait for absent workers do not set back what their client asks of others."""
    busy(rig)
    for number in range(100):
        rig.submit(f"gpu{number}", client="c", requires=frozenset({"gpu"}), match_timeout_s=1e6)
        rig.submit(f"other{number}", client="other")
    rig.submit("mine", client="c")

    assert "mine" in serve(rig, 3)


def test_blocked_keys_hold_up_no_free_ones(rig: Rig) -> None:
    """A long line for one key delays neither the client's other tasks nor other clients."""
    busy(rig)
    line = LockRequest("key", Overlap.QUEUE_ALL)
    for number in range(50):
        rig.submit(f"blocked{number}", client="c", lock=line)
    rig.submit("free", client="c")
    rig.submit("other", client="other")

    assert serve(rig, 5) == ["blocked0", "other", "blocked1", "free", "blocked2"]


def test_a_released_task_is_served_in_the_next_round(rig: Rig) -> None:
    """Whoever waited for a lock does not wait for the whole queue again."""
    rig.join("a")
    line = LockRequest("key", Overlap.QUEUE_ALL)
    rig.submit("holder", client="c", lock=line)
    rig.submit("next", client="c", lock=line)
    for number in range(50):
        rig.submit(f"t{number}", client="c")

    assert "next" in serve(rig, 2)


def test_a_task_that_is_tried_again_keeps_its_turn(rig: Rig) -> None:
    """A lost attempt costs its task no place."""
    rig.join("a")
    rig.submit("t", client="c")
    for number in range(5):
        rig.submit(f"later{number}", client="c")

    rig.tick(3.0)
    effects = rig.join("b")

    assert [fact.task_id for fact in facts(effects, TaskAssigned)] == ["t"]


def test_clients_have_a_limit_of_their_own() -> None:
    """A client that has its fill is refused; others are not, and one end makes room."""
    rig = Rig(QueuePolicy(limit_count=10, client_limit_count=2))
    rig.join("a")
    rig.submit("t1", client="c")
    rig.submit("t2", client="c")

    with pytest.raises(ClientQueueFull):
        rig.submit("t3", client="c")

    rig.submit("u1", client="other")
    rig.done("a", "t1")
    rig.submit("t3", client="c")
    rig.cancel("t2")
    rig.submit("t4", client="c")


def test_clients_that_are_not_ahead_are_forgotten() -> None:
    """However many clients come and go, only those ahead of the present turn are remembered."""
    turns = Turns()
    for number in range(20_000):
        asked = spec(f"t{number}", client=f"c{number}")
        turn = turns.draw(asked, has_waited=False)
        turns.serve(asked, turn + 1.0)

    assert len(turns) <= 1_025


@given(st.lists(st.integers(0, 3), min_size=1, max_size=200), st.integers(1, 60))
def test_no_client_is_ahead_by_more_than_one_round(asks: list[int], served_count: int) -> None:
    """While two clients have tasks waiting, they have been served equally, give or take one."""
    rig = Rig()
    busy(rig)
    for number, client in enumerate(asks):
        rig.submit(f"{client}-{number}", client=str(client))
    left = Counter(asks)
    served: Counter[int] = Counter()

    for name in serve(rig, min(served_count, len(asks))):
        client = int(name[0])
        served[client] += 1
        left[client] -= 1
        waiting = [served[each] for each in left if left[each]]
        assert not waiting or max(waiting) - min(waiting) <= 1
