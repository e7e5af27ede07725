"""Hand-offs: a script asks, its task waits, a person answers by the API, and it goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from tests.gateway.conftest import until
from tests.gateway.loop_router import hold
from zscrape.errors.requests import (
    HandoffDismissed,
    HandoffExpired,
    HandoffInvalid,
    NotFound,
    TooManyHandoffs,
)
from zscrape.gateway.asked import Asked
from zscrape.gateway.handoffs import QUESTION_LIMIT_COUNT, Handoffs
from zscrape.model import OutcomeCode, Pin, RunSpec
from zscrape.store.handoffs import HandoffStore

RUN = RunSpec(Pin("r", "page", "1.0.0", "sha256:0"))
CODE = {"prompt": "Which code?", "fields": {"code": {}}}


class Script:
    """A task that runs, and asks by the gateway's own answerer."""

    def __init__(self, gateway: Any, task_id: str) -> None:
        self._gateway = gateway
        self.task_id = task_id
        self.attempt = 1

    def ask(self, body: Any = CODE, request: int = 1) -> asyncio.Task[bytes]:
        """Ask."""
        asked = Asked(
            self.task_id, self.attempt, request, "person", msgspec.json.encode(body), "w1", RUN
        )
        return asyncio.create_task(self._gateway.handoffs.answer_script(asked))


@pytest.fixture
async def script(gateway, client):
    """Start a task that a worker holds."""
    worker = gateway.worker(hold)
    told = await client.post(
        "/v1/tasks", json={"script_name": "page", "parameters": {"url": "https://example.com/"}}
    )
    await until(lambda: worker.runs.qsize() == 1)
    worker.started(worker.runs.get_nowait())
    script = Script(gateway, told.json()["request_id"])
    yield script
    await client.post(f"/v1/tasks/{script.task_id}/cancel")


async def opened(client: Any, count: int = 1) -> list[dict[str, Any]]:
    """Wait until so many questions are open, and return them."""
    for _ in range(2_000):
        rows: list[dict[str, Any]] = (await client.get("/v1/handoffs?status=open")).json()[
            "handoffs"
        ]
        if len(rows) >= count:
            return rows
        await asyncio.sleep(0.01)
    raise AssertionError("nothing is open")


async def test_a_person_answers(client, script):
    """The task waits, a person sees what is asked, and the script has the answer."""
    image = {"name": "handoff-1.png", "sha256": "0" * 64}
    asking = script.ask({**CODE, "image": image})
    (row,) = await opened(client)
    waiting = (await client.get(f"/v1/tasks/{script.task_id}")).json()
    why = (await client.get(f"/v1/tasks/{script.task_id}/explain")).json()

    answered = await client.post(row["links"]["answer"], json={"answer": {"code": "1234"}})
    told = await asking
    running = (await client.get(f"/v1/tasks/{script.task_id}")).json()

    assert row["prompt"] == "Which code?"
    assert row["fields"]["code"]["type"] == "string"
    assert row["image"]["link"] == f"/v1/tasks/{script.task_id}/artifacts/handoff-1.png"
    assert (waiting["status"], waiting["handoff"]) == ("waiting", row["id"])
    assert (why["reason"], why["fields"]["handoff"]) == ("person", row["id"])
    assert answered.json()["status"] == "answered"
    assert "1234" not in answered.text
    assert msgspec.json.decode(told) == {"code": "1234"}
    assert (running["status"], running["handoff"]) == ("running", None)


async def test_a_question_is_answered_once(client, script):
    """Whoever answers second is told 409 and by which end; `/resolve` is another word for it."""
    asking = script.ask()
    (row,) = await opened(client)

    first = await client.post(f"/v1/handoffs/{row['id']}/resolve", json={"answer": {"code": "1"}})
    second = await client.post(row["links"]["dismiss"])
    await asking

    assert first.status_code == 200
    assert (second.status_code, second.json()["code"]) == (409, "handoff_closed")


async def test_a_dismissed_question_reaches_the_script(client, script):
    """A person who will not answer ends the wait."""
    asking = script.ask()
    (row,) = await opened(client)
    await client.post(row["links"]["dismiss"])

    with pytest.raises(HandoffDismissed):
        await asking


async def test_nobody_answers(client, script):
    """When the time is up the script is told, and the question is closed."""
    asking = script.ask({**CODE, "timeout_s": 0.05})

    with pytest.raises(HandoffExpired):
        await asking
    (row,) = (await client.get("/v1/handoffs?status=expired")).json()["handoffs"]
    late = await client.post(row["links"]["answer"], json={"answer": {"code": "1"}})

    assert late.status_code == 409


async def test_asked_again_it_is_the_same_question(gateway, client, script):
    """A gateway that was restarted is asked again, and goes on with what stands there."""
    lost = script.ask()
    (row,) = await opened(client)
    await gateway.handoffs.close()
    lost.cancel()
    await asyncio.wait((lost,))
    gateway.handoffs = gateway.state.handoffs = Handoffs(
        HandoffStore(gateway.tables), gateway.service
    )

    asking = script.ask()
    (again,) = await opened(client)
    await client.post(again["links"]["answer"], json={"answer": {"code": "7"}})

    assert again["id"] == row["id"]
    assert msgspec.json.decode(await asking) == {"code": "7"}
    assert msgspec.json.decode(await script.ask()) == {"code": "7"}


async def test_an_attempt_that_ends_takes_its_question_along(gateway, client, script):
    """Nobody is asked for what no attempt waits for."""
    asking = script.ask()
    (row,) = await opened(client)
    asking.cancel()
    await asyncio.wait((asking,))
    await gateway.handoffs.close()

    shown = (await client.get(row["links"]["self"])).json()

    assert shown["status"] == "gone"


async def test_an_ended_task_keeps_no_answers(gateway, client, script):
    """What a person has typed is forgotten with the task that needed it."""
    asking = script.ask()
    (row,) = await opened(client)
    await client.post(row["links"]["answer"], json={"answer": {"code": "secret"}})
    await asking
    await client.post(f"/v1/tasks/{script.task_id}/cancel")
    await gateway.handoffs.close()

    kept = await HandoffStore(gateway.tables).get(row["id"])

    assert kept is not None
    assert kept.answer == b""


async def test_an_answer_outlives_a_lost_worker(gateway, client, script):
    """The attempt after a lost one has the answer at once; one after a failure asks anew."""
    asking = script.ask()
    (row,) = await opened(client)
    await client.post(row["links"]["answer"], json={"answer": {"code": "5"}})
    await asking
    task = gateway.service.live(script.task_id)
    task.attempts = script.attempt = 2
    task.last_error = OutcomeCode.WORKER_LOST.value
    told = await script.ask()
    task.attempts = script.attempt = 3
    task.last_error = OutcomeCode.BLOCKED.value
    anew = script.ask()
    rows = await opened(client)
    anew.cancel()

    assert msgspec.json.decode(told) == {"code": "5"}
    assert [each["attempt"] for each in rows] == [3]


@pytest.mark.parametrize(
    ("answer", "pointer"),
    [
        ({}, "/answer/count"),
        ({"count": "3"}, "/answer/count"),
        ({"count": True}, "/answer/count"),
        ({"count": 3, "size": "xl"}, "/answer/size"),
        ({"count": 3, "other": 1}, "/answer/other"),
    ],
)
async def test_an_answer_must_fit(client, script, answer, pointer):
    """What was not asked for, is missing or of another type is 422, and the question stays open."""
    fields = {"count": {"type": "integer"}, "size": {"enum": ["s", "m"], "required": False}}
    asking = script.ask({"prompt": "How many?", "fields": fields})
    (row,) = await opened(client)

    refused = await client.post(row["links"]["answer"], json={"answer": answer})
    taken = await client.post(row["links"]["answer"], json={"answer": {"count": 3, "size": "s"}})

    assert (refused.status_code, refused.json()["problems"][0]["pointer"]) == (422, pointer)
    assert taken.status_code == 200
    assert msgspec.json.decode(await asking) == {"count": 3, "size": "s"}


@pytest.mark.parametrize(
    "body",
    [
        {"fields": {}},
        {"prompt": "", "fields": {}},
        {"prompt": "?", "fields": {"a": {"type": "date"}}},
        {"prompt": "?", "fields": {"a b": {}}},
        {"prompt": "?", "fields": {}, "timeout_s": -1},
        {"prompt": "?", "fields": {}, "image": {"name": "../x"}},
        {"prompt": "?", "fields": {}, "other": 1},
    ],
)
async def test_what_is_no_question_is_refused(script, body):
    """A script is told what is wrong with what it asks."""
    with pytest.raises(HandoffInvalid):
        await script.ask(body)


async def test_no_attempt_asks_without_end(gateway, script):
    """Beyond a number of questions an attempt is refused."""
    body = {**CODE, "timeout_s": 0.001}
    for number in range(QUESTION_LIMIT_COUNT):
        with pytest.raises(HandoffExpired):
            await script.ask(body, request=number + 1)

    with pytest.raises(TooManyHandoffs):
        await script.ask(body, request=QUESTION_LIMIT_COUNT + 1)


async def test_an_unknown_task_asks_nobody(gateway):
    """A task that has ended, or never was, asks nobody."""
    with pytest.raises(NotFound):
        await Script(gateway, "unknown").ask()


async def test_a_key_sees_the_questions_of_its_own_tasks(gateway, client, script):
    """A key that only runs neither sees nor answers what others' tasks ask."""
    asking = script.ask()
    (row,) = await opened(client)
    made = await client.post("/v1/keys", json={"name": "runner", "scopes": ["run"]})
    async with gateway.client(Authorization=f"Bearer {made.json()['key']}") as own:
        listed = (await own.get("/v1/handoffs")).json()["handoffs"]
        shown = await own.get(row["links"]["self"])
        answered = await own.post(row["links"]["answer"], json={"answer": {"code": "1"}})
    asking.cancel()

    assert listed == []
    assert (shown.status_code, answered.status_code) == (404, 404)


async def test_state_events_name_the_question(client, script):
    """Whoever follows the task hears that it waits, and for which question."""
    asking = script.ask()
    (row,) = await opened(client)
    await client.post(row["links"]["answer"], json={"answer": {"code": "1"}})
    await asking
    await client.post(f"/v1/tasks/{script.task_id}/cancel")

    events = (await client.get(f"/v1/tasks/{script.task_id}/events")).text

    assert f'"status":"waiting","attempt":1,"worker_id":"w1","handoff":"{row["id"]}"' in events


async def test_bad_queries(client):
    """An unknown status, question or parameter is told as such."""
    bad = await client.get("/v1/handoffs?status=closed")
    unknown = await client.get("/v1/handoffs/h-none")

    assert (bad.status_code, unknown.status_code) == (422, 404)


async def test_a_key_of_some_groups_is_asked_nothing_of_others(gateway, client, script):
    """A question belongs to the group of its task: other groups' keys neither see nor answer it."""
    own_worker = gateway.worker(hold)
    metadata = {"group": "north"}
    body = {"script_name": "page", "parameters": {"url": "u"}, "metadata": metadata}
    told = (await client.post("/v1/tasks", json=body)).json()
    await until(lambda: own_worker.runs.qsize() == 1)
    own_worker.started(own_worker.runs.get_nowait())
    askings = [script.ask(), Script(gateway, told["request_id"]).ask()]
    rows = {row["request_id"]: row["id"] for row in await opened(client, 2)}
    asked = {"scopes": ["run", "read"], "groups": ["north"]}
    key = (await client.post("/v1/keys", json=asked)).json()["key"]
    async with gateway.client(Authorization=f"Bearer {key}") as own:
        seen = (await own.get("/v1/handoffs")).json()["handoffs"]
        foreign = f"/v1/handoffs/{rows[script.task_id]}"
        hidden = [await own.get(foreign), await own.post(f"{foreign}/dismiss")]
        answer = {"answer": {"code": "1"}}
        answered = await own.post(f"/v1/handoffs/{seen[0]['id']}/answer", json=answer)
    await client.post(f"{foreign}/dismiss")
    await asyncio.gather(*askings, return_exceptions=True)
    await client.post(f"/v1/tasks/{told['request_id']}/cancel")

    assert [row["id"] for row in seen] == [rows[told["request_id"]]]
    assert [each.status_code for each in hidden] == [404, 404]
    assert answered.status_code == 200


async def test_each_question_is_announced_once(gateway, client, script):
    """Who is to be told of a question hears of it once, while its task waits."""
    told: list[tuple[str, str]] = []
    gateway.handoffs = gateway.state.handoffs = Handoffs(
        HandoffStore(gateway.tables),
        gateway.service,
        on_open=lambda row: told.append((row.status.value, row.handoff)),
    )
    first = script.ask()
    (row,) = await opened(client)
    again = script.ask()
    await client.post(row["links"]["answer"], json={"answer": {"code": "1"}})
    await asyncio.gather(first, again)

    assert told == [("waiting", row["id"])]
