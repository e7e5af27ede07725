"""Conversations without a socket: what is sent, what is waited for, and when it is enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from zscrape.client import NO_RETRY, ClientError, Retry
from zscrape.client.batching import batch
from zscrape.client.calls import Answer, Broken, Call, call
from zscrape.client.manner import Manner
from zscrape.client.streaming import all_tasks, items, stream
from zscrape.client.submitting import retry, run, submission, submit_many
from zscrape.client.talk import Give, Left, Lines, Open, Pause, Send, patiently
from zscrape.client.taskcalls import task

MANNER = Manner("http://gateway", retry=Retry(count=3, first_s=1.0, cap_s=10.0))
GONE = Broken("reset")
UNSENT = Broken("refused", is_unsent=True)


def answer(status: int = 200, content: Any = None, **headers: str) -> Answer:
    """Return an answer with JSON in it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, msgspec.json.encode(content if content is not None else {}))


class Played:
    """A conversation that was given these answers, one for each call and each piece."""

    def __init__(self, talk: Any, *came: Any, take: int | None = None) -> None:
        self.calls: list[Call[Any]] = []
        self.waits: list[float] = []
        self.given: list[Any] = []
        self.value: Any = None
        self._came = list(came)
        self._take = take
        try:
            self._play(talk)
        except StopIteration as end:
            self.value = end.value
        except Left:
            self.value = Left

    def _play(self, talk: Any) -> None:
        effect = next(talk)
        while True:
            sent: Any = None
            if isinstance(effect, Give):
                self.given.append(effect.value)
                if len(self.given) == self._take:
                    effect = talk.throw(Left())
                    continue
            elif isinstance(effect, Pause):
                self.waits.append(effect.wait_s)
            else:
                if isinstance(effect, Send | Open):
                    self.calls.append(effect.call)
                sent = self._came.pop(0)
            effect = talk.send(sent)


@pytest.mark.parametrize(
    "described",
    [task("t"), run("s"), submission("s"), submit_many([{"script_name": "s"}]), retry("t")],
)
def test_lost_answer_is_asked_for_again_with_the_same_key(described: Call[Any]) -> None:
    """A call that does no harm twice is made again, the very same, until it is answered."""
    good = answer(200, {"request_id": "t", "status": "queued", "error": None, "tasks": []})

    played = Played(patiently(MANNER, described), GONE, GONE, good)

    assert played.calls == [described] * 3
    assert 0.5 <= played.waits[0] <= 1.0
    assert 1.0 <= played.waits[1] <= 2.0


def test_keys_are_new_for_each_request() -> None:
    """Two requests never share a key; one's own key is kept."""
    keys = {submission("s").headers["Idempotency-Key"] for _ in range(20)}
    own = submission("s", idempotency_key="mine")

    assert len(keys) == 20
    assert own.headers["Idempotency-Key"] == "mine"
    assert "idempotency_key" not in own.body


def test_harmful_call_is_not_made_twice() -> None:
    """Without a key nobody knows what became of it, unless nothing has been sent."""
    change = call("POST", "/v1/schedules", body={})

    with pytest.raises(ClientError, match="reset"):
        Played(patiently(MANNER, change), GONE)
    played = Played(patiently(MANNER, change), UNSENT, answer())

    assert len(played.calls) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_refusal_that_passes_is_waited_out(status: int) -> None:
    """A gateway that is full is asked again after the time that it names, also without a key."""
    full = answer(status, {"code": "queue_full", "detail": "full"}, retry_after="4")

    played = Played(patiently(MANNER, call("POST", "/v1/schedules")), full, full, answer())

    assert played.waits == [4.0, 4.0]


def test_patience_ends() -> None:
    """The refusal itself is told in the end, with everything that belongs to it."""
    full = answer(503, {"code": "queue_full", "detail": "full"}, retry_after="1", x_request_id="r9")

    with pytest.raises(ClientError) as caught:
        Played(patiently(MANNER, task("t")), *[full] * 4)

    error = caught.value
    assert (error.code, error.status, error.request_id) == ("queue_full", 503, "r9")
    assert error.retry_after_s == 1.0
    assert repr(error) == "ClientError('queue_full', 'full', status=503, request_id='r9')"


def test_wait_that_is_too_long_is_not_begun() -> None:
    """A client is not held for an hour that it did not ask for."""
    full = answer(429, {"code": "rate_limited", "detail": "slow"}, retry_after="3600")

    with pytest.raises(ClientError, match="slow"):
        Played(patiently(MANNER, task("t")), full)


def test_run_returns_a_refused_envelope() -> None:
    """`run` tells how it went by the task: also when the gateway would not have it."""
    manner = Manner("http://gateway", retry=NO_RETRY)
    refused = {"request_id": "t", "status": "failed", "error": {"code": "queue_full"}}

    played = Played(patiently(manner, run("s")), answer(503, refused))

    assert played.value.error.code == "queue_full"


def test_lines_are_cut_at_line_ends_alone() -> None:
    """A text may hold what some call the end of a line; pieces may end in a character."""
    raw = '"a\u2028b"\r\n"한"\nlast'.encode()
    cut = Lines()

    found = [line for start in range(len(raw)) for line in cut.feed(raw[start : start + 1])]

    assert [*found, *cut.end()] == ['"a\u2028b"', '"한"', "last"]


def test_stream_that_breaks_is_told() -> None:
    """Items that end too early are no whole list."""
    with pytest.raises(ClientError, match="reset"):
        Played(items(MANNER, "t"), answer(), b'{"n":1}\n', GONE)


def event(number: int, kind: str, data: Any) -> bytes:
    """Return one server-sent event."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, kind.encode(), msgspec.json.encode(data))


def test_stream_gives_items_and_goes_on_where_it_broke() -> None:
    """Each item comes once, whatever the connection does."""
    queued = answer(202, {"request_id": "t", "status": "queued"})
    end = event(3, "result", {"request_id": "t", "status": "completed"})

    played = Played(
        stream(MANNER, "s"),
        queued,
        answer(),
        event(1, "item", {"n": 1}),
        GONE,
        answer(),
        event(2, "item", {"n": 2}) + end,
    )

    assert played.given == [{"n": 1}, {"n": 2}]
    assert [each.headers.get("Last-Event-ID") for each in played.calls] == [None, None, "1"]


def test_stream_tells_of_a_failure_after_the_items() -> None:
    """A list of items that is not whole never looks as if it were."""
    queued = answer(202, {"request_id": "t", "status": "queued"})
    error = {"code": "blocked", "message": "the site refused"}
    end = event(2, "result", {"request_id": "t", "status": "failed", "error": error})

    with pytest.raises(ClientError, match="the site refused") as caught:
        Played(stream(MANNER, "s"), queued, answer(), event(1, "item", 1) + end)

    assert (caught.value.code, caught.value.request_id) == ("blocked", "t")


def test_stream_that_is_left_ends_its_task() -> None:
    """Nothing goes on running for somebody who has gone."""
    queued = answer(202, {"request_id": "t", "status": "queued"})

    played = Played(stream(MANNER, "s"), queued, answer(), event(1, "item", 1), queued, take=1)

    assert played.value is Left
    assert played.calls[-1].path == "/v1/tasks/t/cancel"


# ---- batches -------------------------------------------------------------------------


def accepted(*task_ids: str) -> Answer:
    """Return what is told of tasks that were queued."""
    return answer(202, {"tasks": [{"request_id": each, "status": "queued"} for each in task_ids]})


def ended(*task_ids: str) -> Answer:
    """Return what is told of tasks that have ended."""
    tasks = [{"request_id": each, "status": "completed"} for each in task_ids]
    return answer(200, {"tasks": tasks, "pending_count": 0})


def pages(count: int) -> list[dict[str, int]]:
    """Return parameters for so many tasks."""
    return [{"page": number} for number in range(count)]


def test_batch_keeps_a_window_full() -> None:
    """No more than the window is under way, and the next begin as others end."""
    played = Played(
        batch(MANNER, "s", pages(3), window=2, timeout=5),
        accepted("a", "b"),
        ended("b"),
        accepted("c"),
        ended("a", "c"),
    )

    sent = [each.body["tasks"] for each in played.calls if each.path.endswith("batch")]
    assert [each.index for each in played.given] == [1, 0, 2]
    assert [len(tasks) for tasks in sent] == [2, 1]
    assert sent[1][0]["parameters"] == {"page": 2}
    assert sent[1][0]["timeout"] == 5
    assert len({each["idempotency_key"] for tasks in sent for each in tasks}) == 3


def test_batch_tells_of_misfits_and_goes_on() -> None:
    """Parameters that do not fit cost their own task alone."""
    problems = [{"pointer": "/tasks/1/parameters/page", "reason": "must be text"}]
    refused = answer(422, {"code": "params_invalid", "detail": "no", "problems": problems})

    played = Played(batch(MANNER, "s", pages(3)), refused, accepted("a", "c"), ended("a", "c"))

    misfit = played.given[0]
    assert [each.index for each in played.given] == [1, 0, 2]
    assert misfit.task.error.code == "params_invalid"
    assert misfit.task.error.message == "/parameters/page must be text"


def test_batch_submits_again_what_found_no_room() -> None:
    """A full queue takes what it can, and the rest when others have ended."""
    full = {"error": {"code": "queue_full", "message": "full"}}
    some = answer(202, {"tasks": [{"request_id": "a", "status": "queued"}, full]})

    played = Played(batch(MANNER, "s", pages(2)), some, ended("a"), accepted("b"), ended("b"))

    assert [each.index for each in played.given] == [0, 1]


def test_batch_waits_for_a_gateway_that_is_full() -> None:
    """It is no reason to give up."""
    manner = Manner("http://gateway", retry=NO_RETRY)
    full = answer(503, {"code": "queue_full", "detail": "full"})

    played = Played(batch(manner, "s", pages(1)), full, accepted("a"), ended("a"))

    assert [each.index for each in played.given] == [0]
    assert len(played.waits) == 1


@pytest.mark.parametrize("take", [None, 1])
def test_batch_that_is_over_ends_what_is_under_way(take: int | None) -> None:
    """Neither an error nor a listener who leaves lets tasks run for nobody."""
    gone = answer(403, {"code": "forbidden", "detail": "no"})
    came = [accepted("a", "b", "c"), ended("a"), gone if take is None else answer()]

    def play() -> Played:
        more = [answer()] if take is None else []
        return Played(batch(MANNER, "s", pages(3)), *came, *more, take=take)

    if take is None:
        with pytest.raises(ClientError, match="no"):
            play()
    else:
        last = play().calls[-1]
        assert last.path == "/v1/tasks/cancel"
        assert last.body == {"ids": ["b", "c"]}


def test_endless_parameters_are_taken_as_they_are_needed() -> None:
    """A generator is read no further than the window."""
    taken: list[int] = []

    def endless() -> Any:
        while True:
            taken.append(len(taken))
            yield {"page": len(taken)}

    reading: Callable[..., Any] = batch
    Played(
        reading(MANNER, "s", endless(), window=2), accepted("a", "b"), ended("a"), answer(), take=1
    )

    assert len(taken) == 2


def test_listener_who_has_gone_is_told_of_no_error() -> None:
    """Ending what nobody waits for any more is tried once, and is not worth an error."""
    queued = answer(202, {"request_id": "t", "status": "queued"})

    played = Played(stream(MANNER, "s"), queued, answer(), event(1, "item", 1), GONE, take=1)

    assert played.value is Left
    assert played.waits == []


def test_history_is_gone_through_page_by_page() -> None:
    """Every task comes once, whatever the size of a page."""
    first = answer(200, {"tasks": [{"request_id": "b"}], "next_cursor": "c"})
    last = answer(200, {"tasks": [{"request_id": "a"}], "next_cursor": None})

    played = Played(all_tasks(MANNER, status="failed"), first, last)

    assert [each.id for each in played.given] == ["b", "a"]
    assert [each.params.get("cursor") for each in played.calls] == [None, "c"]
    assert {each.params["status"] for each in played.calls} == {"failed"}


def test_batch_asks_for_more_at_once_the_faster_they_end() -> None:
    """Thousands of short tasks do not cost a call each."""
    names = [str(number) for number in range(7)]

    played = Played(
        batch(MANNER, "s", pages(7)),
        accepted(*names),
        ended("0"),
        ended("1", "2"),
        ended(*names[3:]),
    )

    counts = [each.body["count"] for each in played.calls if each.path.endswith("wait")]
    assert counts == [1, 2, 4]
    assert len(played.given) == 7
