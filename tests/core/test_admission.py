"""What a worker says of itself is bounded; what is not is rejected with its reason."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.core.rig import Rig, facts, sends
from zscrape.core.admission import hello_fault
from zscrape.core.effects import Ignored
from zscrape.model import Load, WorkerFacts
from zscrape.wire import PROTOCOL, WARM_LIMIT_COUNT, Hello, Reject

DIGEST = "sha256:" + "0" * 64
HELLO = Hello(
    PROTOCOL,
    "host-1.example_2",
    "0f" * 8,
    4,
    4,
    ("kr", "a tag"),
    WorkerFacts("host", "1.0", "3.11", "Linux", 4, 2**34, ("ffmpeg",), ("rlimits",)),
    warm=(DIGEST,),
)


def changed(**said: Any) -> Hello:
    """Return a good Hello that differs in this."""
    return msgspec.structs.replace(HELLO, **said)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"slots": 10_000},
        {"worker_id": "x" * 64},
        {"tags": ("t" * 200,) * 64},
        {"warm": (DIGEST,) * WARM_LIMIT_COUNT},
        {"facts": WorkerFacts()},
        {"finished": (("t" * 64, 1),) * 1_000},
    ],
)
def test_what_a_worker_says_is_fine(said: dict[str, Any]) -> None:
    """An ordinary Hello, and one at each bound."""
    assert hello_fault(changed(**said)) == ""


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"worker_id": ""}, "worker_id"),
        ({"worker_id": "x" * 65}, "worker_id"),
        ({"worker_id": "a\nb"}, "worker_id"),
        ({"worker_id": "../x"}, "worker_id"),
        ({"session": ""}, "session"),
        ({"session": "s" * 1_000}, "session"),
        ({"slots": 0}, "slots"),
        ({"slots": 10_001}, "slots"),
        ({"limit": -1}, "limit"),
        ({"running": (("t", 1),) * 5}, "running"),
        ({"tags": ("t",) * 65}, "tags"),
        ({"tags": ("",)}, "tags"),
        ({"tags": ("t" * 201,)}, "tags"),
        ({"tags": ("a\x1b[2J",)}, "tags"),
        ({"running": (("t" * 65, 1),)}, "task ids"),
        ({"finished": (("t" * 65, 1),)}, "task ids"),
        ({"warm": (DIGEST,) * (WARM_LIMIT_COUNT + 1)}, "warm"),
        ({"warm": ("x" * 1_000,)}, "warm"),
        ({"facts": WorkerFacts(programs=("p",) * 257)}, "programs"),
        ({"facts": WorkerFacts(isolation=("i" * 201,))}, "isolation"),
        ({"facts": WorkerFacts(hostname="h" * 201)}, "facts"),
        ({"facts": WorkerFacts(platform="a\x00b")}, "facts"),
        ({"facts": WorkerFacts(cpu_count=-1)}, "facts"),
        ({"facts": WorkerFacts(memory_bytes=2**60)}, "facts"),
    ],
)
def test_what_a_worker_says_is_too_much(said: dict[str, Any], named: str) -> None:
    """Each thing that is out of bounds is named."""
    assert named in hello_fault(changed(**said))


def test_hello_out_of_bounds_is_rejected(rig: Rig) -> None:
    """Nothing of it is kept, and its sender hears why."""
    effects = rig.hear("x", changed(tags=("t",) * 65))

    (reject,) = sends(effects, Reject)
    assert reject.reason == "hello_invalid"
    assert "tags" in reject.detail
    assert rig.dispatcher.snapshot(now=0.0).workers == ()


def test_beat_with_too_much_warm_still_counts(rig: Rig) -> None:
    """A list that is too long is passed over; the rest of the beat is heard."""
    rig.join("a", warm=(DIGEST,))

    effects = rig.beat("a", warm=(DIGEST,) * (WARM_LIMIT_COUNT + 1), load=Load(50.0, 50.0))

    (worker,) = rig.dispatcher.snapshot(now=0.0).workers
    assert facts(effects, Ignored) == [Ignored(b"a", "Heartbeat", "warm_invalid")]
    assert (worker.warm_count, worker.load.cpu_percent) == (1, 50.0)
