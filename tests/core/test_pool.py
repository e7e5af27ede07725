"""Placement: which worker gets a task."""

from __future__ import annotations

import pytest

from tests.core.rig import OK, Rig, facts, spec
from zscrape.core import pool as pool_module
from zscrape.core.effects import TaskFinished
from zscrape.core.entities import Worker
from zscrape.wire import Refused


def chosen(rig: Rig, task_id: str, **asked: object) -> str:
    """Submit a task and return the worker that got it."""
    ((worker, _, _),) = rig.runs(rig.submit(task_id, **asked))
    return worker


def test_least_loaded_worker_is_chosen(rig: Rig) -> None:
    """Load is attempts per slot, not attempts."""
    rig.join("small", 2)
    rig.join("big", 8)
    rig.submit("t1")  # small, which has stood there longest
    rig.submit("t2")  # big

    assert chosen(rig, "t3") == "big"  # 1/8 against 1/2


def test_equal_workers_take_turns(rig: Rig) -> None:
    """Among equals the one that has stood idle longest is next."""
    for name in ("a", "b", "c"):
        rig.join(name)

    order = []
    for number in range(6):
        worker = chosen(rig, f"t{number}")
        order.append(worker)
        rig.done(worker, f"t{number}")

    assert order == ["a", "b", "c", "a", "b", "c"]


def test_required_tags_and_programs_must_be_there(rig: Rig) -> None:
    """A worker's programs count as tags."""
    rig.join("a", tags=("kr",))
    rig.join("b", tags=("kr",), programs=("chromium",))

    assert chosen(rig, "t", requires=frozenset({"kr", "program:chromium"})) == "b"


def test_preferred_tags_go_before_load(rig: Rig) -> None:
    """More preferred tags win over less load; without room the next best is taken."""
    rig.join("plain", 4)
    rig.join("fast", 2, tags=("fast",))
    rig.join("both", 1, tags=("fast", "kr"))
    wish = frozenset({"fast", "kr"})

    workers = [chosen(rig, f"t{number}", prefers=wish) for number in range(4)]

    assert workers == ["both", "fast", "fast", "plain"]


def test_warm_worker_is_preferred_among_equally_loaded(rig: Rig) -> None:
    """The script's digest being ready decides between workers of equal load only."""
    rig.join("cold", 4)
    rig.join("warm", 4, warm=("sha256:0",))

    first, second = chosen(rig, "t1"), chosen(rig, "t2")

    assert (first, second) == ("warm", "cold")


def test_warm_worker_far_back_is_found(rig: Rig) -> None:
    """A few warm workers are found among many, from their own side."""
    for number in range(20):
        rig.join(f"w{number}")
    rig.beat("w19", warm=("sha256:0",))

    assert chosen(rig, "t1") == "w19"
    assert chosen(rig, "t2") == "w0"


def test_warmth_is_forgotten_when_it_is_gone(rig: Rig) -> None:
    """A beat that lists other digests replaces what was warm."""
    rig.join("a", warm=("sha256:0", "sha256:1"))
    rig.join("b", warm=("sha256:0",))
    rig.beat("b", warm=())

    rig.submit("t1")
    rig.done("a", "t1")

    assert chosen(rig, "t2") == "a"


def test_new_tag_regroups_workers(rig: Rig) -> None:
    """Workers whose tags nobody asked for are one kind, until somebody asks."""
    for number in range(4):
        rig.join(f"w{number}", tags=(f"host{number}",))
    kinds = rig.dispatcher._pool.kinds
    assert len(kinds) == 1

    assert chosen(rig, "t", requires=frozenset({"host2"})) == "w2"

    assert len(kinds) == 2


def test_idle_demands_are_forgotten(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Demands without tasks do not pile up; those with tasks stay, and workers still fit."""
    monkeypatch.setattr(pool_module, "_IDLE_DEMAND_COUNT", 4)
    rig.dispatcher._pool._sweep_at_count = 4
    rig.join("a", tags=("x1",))
    rig.submit("busy", requires=frozenset({"absent"}))
    for number in range(10):
        rig.submit(f"t{number}", requires=frozenset({f"x{number}"}), digest=f"sha256:{number}")
        rig.cancel(f"t{number}")

    assert len(rig.dispatcher._pool.demands) <= 5
    rig.done("a", "t1")
    assert chosen(rig, "again", requires=frozenset({"x1"})) == "a"
    assert rig.why("busy")[0] == "no_matching_worker"


def test_head_of_a_forgotten_demand_is_forgotten(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kind of worker remembers of a demand goes with the demand."""
    monkeypatch.setattr(pool_module, "_IDLE_DEMAND_COUNT", 2)
    rig.dispatcher._pool._sweep_at_count = 2
    rig.join("a")
    rig.submit("t0")
    rig.submit("t1", digest="sha256:1")
    rig.cancel("t1")
    for number in range(2, 5):
        rig.submit(f"t{number}", digest=f"sha256:{number}")

    (kind,) = rig.dispatcher._pool.kinds.values()
    assert all(demand.task_count for demand in kind.entry_by_demand)
    assert rig.runs(rig.done("a", "t0")) == [("a", "t2", 1)]


def test_worker_that_refused_keeps_other_scripts(rig: Rig) -> None:
    """Refusing one digest makes a worker another kind; it stays in the game for the rest."""
    rig.join("a")
    rig.submit("t")
    effects = rig.hear("a", Refused("t", 1, "cannot"))
    rig.cancel("t")

    assert not facts(effects, TaskFinished)
    assert chosen(rig, "other", digest="sha256:9") == "a"
    assert facts(rig.done("a", "other"), TaskFinished) == [TaskFinished("other", 1, "a", OK)]


def test_warmth_of_a_worker_of_no_kind_yet(rig: Rig) -> None:
    """What is known of an expected worker counts once it has said what it is."""
    pool, worker = rig.dispatcher._pool, Worker("a")

    pool.set_warm(worker, frozenset({"sha256:0"}))
    pool.settle(worker)

    assert worker.kind is not None
    assert worker.kind.warm["sha256:0"] == {"a": worker}


def test_demand_is_shared(rig: Rig) -> None:
    """Tasks that ask the same share one demand."""
    pool = rig.dispatcher._pool

    assert pool.demand(spec("a")) is pool.demand(spec("b"))
    assert pool.demand(spec("a")) is not pool.demand(spec("a", digest="sha256:1"))
