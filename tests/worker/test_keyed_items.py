"""Items with keys, from a real child: asked for in batches, sent in order, counted as found."""

from __future__ import annotations

import json

import msgspec
import pytest

from tests.worker.conftest import Stage
from zscrape.model import Expect, OutcomeCode
from zscrape.runtime.emitting import key_digest
from zscrape.wire import Ask, Tell

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Keys:
    """A gateway that knows some keys."""

    def __init__(self, *known: object) -> None:
        self.known = {key_digest(each) for each in known}
        self.sizes: list[int] = []

    def __call__(self, ask: Ask) -> Tell:
        """Answer which are known."""
        asked = json.loads(ask.body)["keys"]
        self.sizes.append(len(asked))
        seen = [at for at, digest in enumerate(asked) if digest in self.known]
        body = msgspec.json.encode({"seen": seen})
        return Tell(ask.task_id, ask.attempt, ask.request, body)


def refuse(ask: Ask, code: str = "unsupported") -> Tell:
    """Refuse."""
    body = msgspec.json.encode({"message": "not here"})
    return Tell(ask.task_id, ask.attempt, ask.request, body, code)


async def test_known_items_are_left_out_and_the_rest_keeps_its_order(stage: Stage) -> None:
    """Items with and without keys come as they were emitted, known ones and repeated ones not."""
    stage.answer = Keys("b", 7)
    ran = await stage.run("""
        def run(ctx):
            ctx.emit("first")
            for name in ("a", "b", "a", "c"):
                ctx.emit(name, key=name)
                yield name + " follows"
            ctx.emit("seven", key=7)
            ctx.emit("list", key=["x", 1])
    """)
    told = ["first", "a", "a follows", "b follows", "a follows", "c", "c follows", "list"]

    assert ran.bodies("item") == told
    assert ran.data == told


async def test_many_keys_are_few_questions(stage: Stage) -> None:
    """Ten thousand items are asked for by the hundred, and each comes once."""
    keys = Keys(*range(0, 10_000, 2))
    stage.answer = keys
    ran = await stage.run("""
        def run(ctx):
            for number in range(10_000):
                ctx.emit(number, key=number)
    """)

    assert ran.bodies("item") == [*range(1, 10_000, 2)]
    assert sum(keys.sizes) == 10_000
    assert max(keys.sizes) <= 500
    assert len(keys.sizes) < 10_000


async def test_an_item_does_not_wait_for_the_next(stage: Stage) -> None:
    """What was emitted is told soon, also when the script then does something long."""
    stage.answer = Keys()
    name = stage.write("""
        import time
        def run(ctx):
            for number in range(3):
                ctx.emit(number, key=number)
            while not ctx.cancelled:
                time.sleep(0.01)
    """)
    ran = stage.begin(name, timeout_s=60.0)
    await ran.until(lambda ran: len(ran.bodies("item")) == 3)
    stage.slots.stop(ran.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await ran.finished.wait()

    assert ran.bodies("item") == [0, 1, 2]


async def test_without_a_gateway_an_attempt_knows_its_own_keys(stage: Stage) -> None:
    """The script runs all the same, and its log says what is not there."""
    stage.answer = refuse
    ran = await stage.run("""
        def run(ctx):
            for number in (1, 2, 1):
                ctx.emit(number, key=number)
    """)

    assert ran.data == [1, 2]
    assert ran.messages("log") == ["keys are known to this attempt alone"]


async def test_a_gateway_that_cannot_answer_fails_the_attempt(stage: Stage) -> None:
    """Better a retry than items that were brought before: the script sees the code."""
    stage.answer = lambda ask: refuse(ask, "storage_locked")
    ran = await stage.run("def run(ctx):\n    ctx.emit(1, key=1)\n")

    assert ran.outcome.code is OutcomeCode.SCRIPT_ERROR
    assert ran.outcome.error_type.endswith("AskRefused")
    assert ran.bodies("item") == []


async def test_a_key_without_a_form_is_a_type_error(stage: Stage) -> None:
    """What JSON cannot tell is no key."""
    ran = await stage.run("def run(ctx):\n    ctx.emit(1, key=object())\n")

    assert ran.outcome.error_type == "TypeError"


async def test_known_items_count_as_found(stage: Stage) -> None:
    """A run that finds only what is known has not found nothing."""
    stage.answer = Keys(1, 2)
    source = "def run(ctx):\n    ctx.emit(1, key=1)\n    ctx.emit(2, key=2)\n"
    ran = await stage.run(source, expect=Expect(2, ("name",)))
    more = await stage.run(source, expect=Expect(3))

    assert ran.outcome.is_ok
    assert more.outcome.code is OutcomeCode.EMPTY_RESULT
    assert more.outcome.fields["item_count"] == 2
