"""Whose turn it is before a site."""

from __future__ import annotations

from zscrape.core.siteline import SiteLine


def test_tasks_take_turns_however_much_they_ask() -> None:
    """A task that asks for ten goes no more often than one that asks for one at a time."""
    line = SiteLine()
    for number in range(3):
        line.join("greedy", f"g{number}")
    line.join("modest", "m0")

    tried = line.copy()
    assert [serve(tried) for _ in range(4)] == ["g0", "m0", "g1", "g2"]
    assert (len(tried), len(line)) == (0, 4)


def test_who_has_left_is_not_served() -> None:
    """A question that is taken back costs its task no turn, and others nothing."""
    line = SiteLine()
    for task, token in (("a", "a0"), ("b", "b0"), ("b", "b1")):
        line.join(task, token)
    line.leave("a", "a0")
    line.leave("a", "a0")
    line.leave("b", "b0")
    line.leave("b", "unknown")

    assert (line.tasks, line.first(), len(line)) == (("b",), ("b", "b1"), 1)


def test_nobody_is_first_in_an_empty_line() -> None:
    """Where nobody waits there is no turn."""
    line = SiteLine()

    line.serve("a", "a0")

    assert line.first() is None


def serve(line: SiteLine) -> str:
    """Give the next token."""
    first = line.first()
    assert first is not None
    line.serve(*first)
    return first[1]
