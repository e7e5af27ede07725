"""The queue against a plain sorted list, and its bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from tests.core.rig import Rig, spec
from zscrape.core.entities import Demand, Kind, Task
from zscrape.core.queue import Queue
from zscrape.errors.refusals import ClientQueueFull
from zscrape.model import QueuePolicy


def demand_of(*kinds: Kind) -> Demand:
    """Return a demand that fits these kinds."""
    return Demand(frozenset(), frozenset(), "sha256:0", [(0, kind) for kind in kinds])


def task_of(demand: Demand, seq: int, priority: int = 0) -> Task:
    """Return a task that can stand in a queue."""
    return Task(spec(f"t{seq}", priority=priority), demand, seq, 0.0, 0.0, 0.0)


def new_kind() -> Kind:
    """Return a kind without members."""
    return Kind(frozenset(), frozenset())


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("push"), st.integers(0, 2), st.integers(-2, 2)),
            st.tuples(st.sampled_from(["take0", "take1"]), st.just(0), st.just(0)),
            st.tuples(st.just("remove"), st.integers(0, 20), st.just(0)),
            st.tuples(st.just("again"), st.integers(0, 20), st.just(0)),
        ),
        max_size=60,
    )
)
def test_queue_is_a_sorted_list(steps: list[tuple[str, int, int]]) -> None:
    """Each kind takes the first task, by priority and order, of the demands that it fits."""
    kinds = [new_kind(), new_kind()]
    demands = [demand_of(kinds[0]), demand_of(kinds[1]), demand_of(*kinds)]
    fits = [{0, 2}, {1, 2}]
    queue = Queue()
    tasks: list[Task] = []
    waiting: dict[int, Task] = {}
    where: dict[int, int] = {}
    for name, number, priority in steps:
        if name == "push":
            task = task_of(demands[number], len(tasks), priority)
            tasks.append(task)
            where[task.seq] = number
            waiting[task.seq] = task
            queue.push(task)
        elif name in ("remove", "again") and number < len(tasks):
            task = tasks[number]
            if name == "remove":
                waiting.pop(task.seq, None)
                queue.remove(task)
            elif task.seq not in waiting:
                waiting[task.seq] = task
                queue.push(task)
        elif name.startswith("take"):
            index = int(name[-1])
            fitting = [each for seq, each in waiting.items() if where[seq] in fits[index]]
            fitting.sort(key=lambda each: (-each.spec.priority, each.seq))
            expected = fitting[0] if fitting else None
            if expected is not None:
                del waiting[expected.seq]

            assert queue.take(kinds[index]) is expected

    assert sum(demand.queued_count for demand in demands) == len(waiting)


def test_removed_tasks_do_not_pile_up() -> None:
    """A heap of mostly dead entries is rebuilt; a task in it can come back."""
    queue, kind = Queue(), new_kind()
    demand = demand_of(kind)
    tasks = [task_of(demand, seq) for seq in range(200)]
    for task in tasks:
        queue.push(task)
    for task in tasks[1:]:
        queue.remove(task)

    assert len(demand.heap) <= 70
    queue.push(tasks[150])
    assert [queue.take(kind), queue.take(kind), queue.take(kind)] == [tasks[0], tasks[150], None]


def test_void_heads_do_not_pile_up() -> None:
    """A kind that never asks keeps one valid head per demand, and few void ones."""
    queue, kind = Queue(), new_kind()
    demand = demand_of(kind)
    for seq in range(500):
        queue.push(task_of(demand, seq, priority=seq))

    assert len(kind.heads) <= 70
    first = queue.take(kind)
    assert first is not None
    assert first.seq == 499


def test_new_kind_learns_what_waits() -> None:
    """A kind that comes later is told the head of each demand, and nothing of empty ones."""
    queue, kind = Queue(), new_kind()
    full, empty = demand_of(), demand_of()
    task = task_of(full, 1)
    queue.push(task)

    queue.introduce(kind, full)
    queue.introduce(kind, empty)

    assert queue.take(kind) is task
    assert queue.take(kind) is None


def test_a_task_that_leaves_its_demand_is_found_at_another() -> None:
    """A dead entry that it left behind stands for nothing any more."""
    kind, queue = new_kind(), Queue()
    first, second = demand_of(kind), demand_of(kind)
    task, other = task_of(first, 1), task_of(first, 2)
    for each in (task, other):
        queue.push(each)
    queue.remove(task)
    queue.leave(task)
    task.demand, task.seq = second, 3  # a place that no entry has had
    queue.push(task)

    assert [entry[3] for entry in first.heap] == [other]
    assert [queue.take(kind), queue.take(kind), queue.take(kind)] == [other, task, None]


def test_tasks_at_other_gateways_count() -> None:
    """A client's limit is one for all gateways that share what they know."""
    rig = Rig(QueuePolicy(client_limit_count=2))
    rig.submit("a", client="one")
    mine = rig.dispatcher.client_counts()
    rig.dispatcher.count_elsewhere({"one": 1})

    assert mine == {"one": 1}
    with pytest.raises(ClientQueueFull):
        rig.submit("b", client="one")
    rig.dispatcher.count_elsewhere({})
    rig.submit("b", client="one")


def test_a_keys_own_limit_counts_where_it_is_lower() -> None:
    """Of the limits of a client's key and of all clients the lower one holds."""
    rig = Rig(QueuePolicy(client_limit_count=2))
    rig.submit("a", client="one", client_limit_count=1)

    with pytest.raises(ClientQueueFull) as own:
        rig.submit("b", client="one", client_limit_count=1)
    rig.submit("c", client="one", client_limit_count=9)
    with pytest.raises(ClientQueueFull) as common:
        rig.submit("d", client="one", client_limit_count=9)

    assert own.value.fields["limit_count"] == 1
    assert common.value.fields["limit_count"] == 2
