"""Whose turn it is: within a priority, clients take turns, however much each of them asks.

Start-time fair queueing: a task's turn is fixed when it enters the queue. It is one step after
its client's last one, and never before the turn that is being served, so that who was away
neither saves up turns nor pays for having been away. A client alone is served in order.

Steps are counted apart for each set of required tags: what waits for workers that are not
there does not hold up what the same client asks of others.

Source: Goyal, Vin, Cheng, "Start-time Fair Queueing" (SIGCOMM 1996).
"""

from __future__ import annotations

from typing import TypeAlias

from zscrape.model import TaskSpec

# Below this many clients nothing is gained by forgetting those that are not ahead.
_FORGET_FLOOR_COUNT = 1_024

Line: TypeAlias = tuple[int, str, frozenset[str]]  # priority, client, required tags


class Turns:
    """The next turn of every client that is ahead of the one being served."""

    def __init__(self) -> None:
        self._served: dict[int, float] = {}  # by priority: the latest turn that was served
        self._next: dict[Line, float] = {}
        self._limit_count = _FORGET_FLOOR_COUNT

    def __len__(self) -> int:
        """Return how many clients are remembered."""
        return len(self._next)

    def draw(self, spec: TaskSpec, *, has_waited: bool) -> float:
        """Return the turn of a task that enters the queue; smaller comes first.

        A task that `has_waited` for its lock is served in the next round at the latest: its
        turn came while it could not take it. Not in this one, or a long line for one key would
        go before all that is free.
        """
        line = (spec.priority, spec.client, spec.requires)
        served = self._served.get(spec.priority, 0.0)
        step = 1.0 / spec.share
        following = self._next
        turn = following.get(line, 0.0)
        if turn < served:
            turn = served
        following[line] = turn + step
        if len(following) > self._limit_count:
            self._forget()
        return min(turn, served + step) if has_waited else turn

    def serve(self, spec: TaskSpec, turn: float) -> None:
        """Note that a task with this turn is sent to a worker."""
        if turn > self._served.get(spec.priority, 0.0):
            self._served[spec.priority] = turn

    def _forget(self) -> None:
        """Let go of clients that are not ahead: for them it is as if they were new."""
        served = self._served
        self._next = {
            line: turn for line, turn in self._next.items() if turn > served.get(line[0], 0.0)
        }
        self._limit_count = max(_FORGET_FLOOR_COUNT, 2 * len(self._next))
