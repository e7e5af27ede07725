"""Tasks that give their slots back: parked on a question, woken by its end."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from tests.gateway.conftest import until
from tests.gateway.loop_router import ScriptedWorker, hold
from zscrape.errors.requests import HandoffDismissed, HandoffExpired, TooManyHandoffs
from zscrape.errors.storage import StorageFull
from zscrape.gateway import parked
from zscrape.gateway.asked import Asked
from zscrape.gateway.handoffs import QUESTION_LIMIT_COUNT, Handoffs
from zscrape.model import Outcome, OutcomeCode, Pin, RunSpec
from zscrape.store.handoffs import HandoffStore
from zscrape.wire import Run

RUN = RunSpec(Pin("r", "page", "1.0.0", "sha256:0"))
PARAMETERS = {"url": "https://example.com/"}


class Script:
    """A task of a worker with one slot, which asks and then gives its slot back."""

    def __init__(self, gateway: Any, client: Any, worker: ScriptedWorker) -> None:
        self._gateway = gateway
        self._client = client
        self.worker = worker
        self.task_id = ""
        self.attempt = 0

    async def submit(self) -> str:
        """Accept a task; return its id."""
        body = {"script_name": "page", "parameters": PARAMETERS}
        request_id: str = (await self._client.post("/v1/tasks", json=body)).json()["request_id"]
        return request_id

    async def run(self) -> Run:
        """Return what the worker is told to run next."""
        run = await asyncio.wait_for(self.worker.runs.get(), 20)
        self.task_id, self.attempt = run.task_id, run.attempt
        return run

    async def ask(self, prompt: str = "Which code?", place: int = 1, **more: Any) -> dict[str, Any]:
        """Ask; return what the script is told."""
        body = {"prompt": prompt, "fields": {"code": {}}, "free_slot": place, **more}
        question = msgspec.json.encode(body)
        asked = Asked(self.task_id, self.attempt, place, "person", question, "w1", RUN)
        told: dict[str, Any] = msgspec.json.decode(
            await self._gateway.handoffs.answer_script(asked)
        )
        return told

    def park(self, question: str) -> None:
        """End the attempt, to wait for this."""
        outcome = Outcome(OutcomeCode.CANCELLED, parked_on=question)
        self.worker.done(self.task_id, self.attempt, outcome)

    async def ask_and_park(self, **asked: Any) -> str:
        """Ask, and end; return the question's id."""
        question: str = (await self.ask(**asked))["parked"]
        self.park(question)
        return question

    async def answer(self, question: str, code: str = "1234") -> None:
        """Be the person."""
        told = await self._client.post(
            f"/v1/handoffs/{question}/answer", json={"answer": {"code": code}}
        )
        assert told.status_code == 200

    async def view(self) -> dict[str, Any]:
        """Return the task as it is shown."""
        found: dict[str, Any] = (await self._client.get(f"/v1/tasks/{self.task_id}")).json()
        return found


@pytest.fixture
async def script(gateway, client):
    """Start a task that runs in the only slot."""
    script = Script(gateway, client, gateway.worker(hold, slots=1))
    await script.submit()
    await script.run()
    yield script
    await client.post(f"/v1/tasks/{script.task_id}/cancel")
    await gateway.handoffs.close()


async def test_the_slot_is_free_until_a_person_answers(gateway, client, script):
    """Another task runs meanwhile; then the first is run again and has its answer at once."""
    first, other = script.task_id, await script.submit()
    question = await script.ask_and_park()
    waiting = await script.view()
    why = (await client.get(f"/v1/tasks/{first}/explain")).json()
    run = await script.run()
    await script.answer(question)
    await until(lambda: gateway.service.live(first).status == "queued")
    script.worker.ok(run)
    again = await script.run()
    told = await script.ask()
    script.worker.ok(again, told)
    ended = await script.view()

    assert (waiting["status"], waiting["handoff"]) == ("waiting", question)
    assert (waiting["worker_id"], waiting["retry_count"]) == (None, 0)
    assert (why["reason"], why["fields"]["handoff"]) == ("person", question)
    assert run.task_id == other
    assert (again.task_id, again.attempt) == (first, 2)
    assert told == {"answer": {"code": "1234"}}
    assert (ended["status"], ended["attempts"], ended["retry_count"]) == ("completed", 2, 0)


async def test_the_event_stream_tells_it(client, script):
    """Whoever follows the task reads that it waits, and that it is queued again."""
    question = await script.ask_and_park()
    await script.answer(question)
    script.worker.ok(await script.run())
    events = (await client.get(f"/v1/tasks/{script.task_id}/events")).text

    states = [
        msgspec.json.decode(line.removeprefix("data: "))
        for block in events.split("\n\n")
        if "event: state" in block
        for line in block.splitlines()
        if line.startswith("data: ")
    ]
    told = [(each["status"], each.get("handoff", "")) for each in states]
    assert told[-5:] == [
        ("waiting", question),
        ("queued", ""),
        ("assigned", ""),
        ("running", ""),
        ("completed", ""),
    ]


async def test_another_question_at_that_place_is_asked(client, script):
    """Answers go by place and by what was asked: another prompt or place is another question."""
    first = await script.ask_and_park()
    await script.answer(first)
    await script.run()

    picture = {"name": "handoff-1.png", "sha256": "1" * 64}
    same = await script.ask(image=picture)
    reworded = await script.ask("Which other code?")
    second = await script.ask(place=2)

    assert same == {"answer": {"code": "1234"}}
    assert reworded["parked"] != first
    assert second["parked"] not in (first, reworded["parked"])


async def test_answered_before_the_attempt_has_ended(client, script):
    """A person who is quicker than the end of the attempt is not overheard."""
    question = (await script.ask())["parked"]
    await script.answer(question)
    script.park(question)

    assert (await script.run()).attempt == 2
    assert await script.ask() == {"answer": {"code": "1234"}}


async def test_a_dismissed_question_wakes_it_too(client, script):
    """The script runs again and is told there, so that it can end as it likes."""
    question = await script.ask_and_park()
    await client.post(f"/v1/handoffs/{question}/dismiss")
    await script.run()

    with pytest.raises(HandoffDismissed):
        await script.ask()


async def test_nobody_answers(client, script):
    """When the time is up the script runs again and is told."""
    await script.ask_and_park(timeout_s=0.2)
    await script.run()

    with pytest.raises(HandoffExpired):
        await script.ask(timeout_s=0.2)


async def test_an_open_question_that_is_overdue_is_closed_when_it_is_asked(
    gateway, client, script, monkeypatch
):
    """An attempt that comes back late is told so, and is not parked for nothing."""
    await script.ask(timeout_s=60)
    later = gateway.handoffs._clock() + 61
    monkeypatch.setattr(gateway.handoffs, "_clock", lambda: later)

    with pytest.raises(HandoffExpired):
        await script.ask(timeout_s=60)


async def test_cancelled_it_ends_at_once(gateway, client, script):
    """Nobody is asked any more."""
    question = await script.ask_and_park()
    cancelled = (await client.post(f"/v1/tasks/{script.task_id}/cancel")).json()
    await gateway.handoffs.close()
    shown = (await client.get(f"/v1/handoffs/{question}")).json()

    assert cancelled["status"] == "cancelled"
    assert shown["status"] == "gone"


async def test_the_next_gateway_wakes_it(gateway, client, script):
    """The question stands in the database: whoever looks after the task waits for its end."""
    question = await script.ask_and_park()
    await gateway.handoffs.close()
    gateway.handoffs = gateway.state.handoffs = Handoffs(
        HandoffStore(gateway.tables), gateway.service
    )
    row = gateway.service.live(script.task_id)
    gateway.service._ledger.on_parked(row, False)
    await script.answer(question)

    assert (await script.run()).attempt == 2


async def test_what_waits_for_nothing_is_ended(client, script):
    """An attempt that makes up a question, or has its answer already, is not run for ever."""
    script.park("h-0")

    await until_ended(script)


async def test_what_was_woken_once_does_not_wait_for_the_same(client, script):
    """The answer is there: an attempt that parks on it again would run without any limit."""
    question = await script.ask_and_park()
    await script.answer(question)
    await script.run()
    script.park(question)

    await until_ended(script)


async def until_ended(script: Script) -> None:
    """Wait until the task is cancelled."""
    for _ in range(2_000):
        if (await script.view())["status"] == "cancelled":
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it goes on")


async def test_questions_of_a_task_have_a_limit(gateway, client, script):
    """Run again and again, a script that words each question anew is stopped."""
    gateway.service.live(script.task_id).handoff_count = QUESTION_LIMIT_COUNT

    with pytest.raises(TooManyHandoffs):
        await script.ask()


async def test_a_database_that_refuses_is_asked_again(gateway, client, script, monkeypatch):
    """A disk that is full for a while does not keep a task parked for ever."""
    monkeypatch.setattr(parked, "_AGAIN_S", 0.01)
    question = (await script.ask())["parked"]
    get, refusals = gateway.handoffs._store.get, [StorageFull(reason="full")]

    async def refuse_once(handoff_id: str) -> Any:
        if refusals:
            raise refusals.pop()
        return await get(handoff_id)

    monkeypatch.setattr(gateway.handoffs._store, "get", refuse_once)
    script.park(question)
    await until(lambda: not refusals)
    await script.answer(question)

    assert (await script.run()).attempt == 2
