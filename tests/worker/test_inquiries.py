"""What a running script asks goes to its gateway, and what that says comes back to it."""

from __future__ import annotations

import json

import msgspec
import pytest

from tests.worker.conftest import Stage, until
from zscrape.model import OutcomeCode
from zscrape.wire import Ask, Tell
from zscrape.worker.inquiry import OPEN_LIMIT_COUNT

pytestmark = pytest.mark.asyncio(loop_scope="session")


def echo(ask: Ask) -> Tell:
    """Answer with what was asked."""
    return Tell(ask.task_id, ask.attempt, ask.request, ask.body)


def refuse(ask: Ask) -> Tell:
    """Refuse everything."""
    body = msgspec.json.encode({"message": "not today"})
    return Tell(ask.task_id, ask.attempt, ask.request, body, "rate_limited")


async def test_script_is_answered(stage: Stage) -> None:
    """A question travels to the gateway and its answer to the line that waits for it."""
    stage.answer = echo
    ran = await stage.run("def run(ctx):\n    return ctx._ask('state', {'key': '쪽'})")

    assert ran.data == {"key": "쪽"}
    assert [(ask.attempt, ask.kind) for ask in ran.asks] == [(1, "state")]


async def test_refusal_reaches_the_script(stage: Stage) -> None:
    """A script can tell by the code why it was refused."""
    stage.answer = refuse
    ran = await stage.run("""
        from zscrape.runtime.asking import AskRefused
        def run(ctx):
            try:
                ctx._ask("state", {})
            except AskRefused as error:
                return [error.code, str(error)]
    """)

    assert ran.data == ["rate_limited", "not today"]


async def test_many_threads_are_answered(stage: Stage) -> None:
    """Threads of a script ask at once, each of them often."""
    stage.answer = echo
    ran = await stage.run(
        """
        from concurrent.futures import ThreadPoolExecutor
        def run(ctx):
            with ThreadPoolExecutor(8) as pool:
                return list(pool.map(lambda n: ctx._ask("state", n), range(100)))
        """,
        kit=("http",),
    )

    assert ran.data == list(range(100))


async def test_waiting_script_can_be_cancelled(stage: Stage) -> None:
    """An attempt that waits for an answer which never comes ends like any other."""
    stage.answer = lambda ask: None
    ran = stage.begin(stage.write("def run(ctx):\n    ctx._ask('person', {})"))
    await ran.until(lambda ran: bool(ran.asks))
    stage.slots.stop(ran.assignment.task_id, 1, OutcomeCode.CANCELLED)
    await ran.finished.wait()

    assert ran.outcome.code == OutcomeCode.CANCELLED


async def test_secret_is_not_asked_about(stage: Stage) -> None:
    """What goes to a gateway's tables and pages has no secrets in it."""
    stage.answer = echo
    ran = await stage.run(
        "def run(ctx):\n    ctx._ask('state', {'key': 'my-' + ctx.secret('word')})",
        secrets=("word",),
        values={"word": "opensesame"},
    )

    assert "opensesame" not in json.dumps([ask.body.decode() for ask in ran.asks])


@pytest.mark.parametrize(
    "frame",
    [
        "b'{'",
        """b'{"request":1,"kind":"state"}'""",
        """b'{"request":-1,"kind":"state","body":1}'""",
        """b'{"request":1,"kind":"../state","body":1}'""",
        """b'{"request":1,"kind":"state","body":"%s"}' % (b"x" * 300_000)""",
        """b'{"request":1,"kind":"state","body":%s}' % (b"[" * 100_000 + b"]" * 100_000)""",
    ],
    ids=["torn", "no body", "no number", "no kind", "large", "deep"],
)
async def test_forged_question_ends_the_attempt(stage: Stage, frame: str) -> None:
    """A child that speaks past the runtime is not believed."""
    stage.answer = echo
    ran = await stage.run(f"""
        import os
        def run():
            told = b"k" + {frame}
            os.write(3, len(told).to_bytes(4, "big") + told)
            while True: os.read(3, 1)
    """)

    assert ran.outcome.code == OutcomeCode.CRASHED
    assert ran.asks == []


async def test_flood_of_questions_is_stemmed(stage: Stage) -> None:
    """An attempt may wait for so many answers and no more, whatever it does."""
    stage.answer = lambda ask: None
    ran = await stage.run("""
        import os
        def run():
            for number in range(1, 1000):
                told = b'k{"request":%d,"kind":"state","body":1}' % number
                os.write(3, len(told).to_bytes(4, "big") + told)
            while True: os.read(3, 1)
    """)

    assert ran.outcome.code == OutcomeCode.CRASHED
    assert len(ran.asks) == OPEN_LIMIT_COUNT


async def test_answers_are_kept_for_a_script_that_does_not_read(stage: Stage) -> None:
    """What was asked and not read yet waits, in order, and blocks nothing."""
    asked: list[Ask] = []

    def answer(ask: Ask) -> None:
        asked.append(ask)

    stage.answer = answer
    ran = stage.begin(
        stage.write("""
            from concurrent.futures import ThreadPoolExecutor
            def run(ctx):
                with ThreadPoolExecutor(50) as pool:
                    return sum(map(len, pool.map(lambda n: ctx._ask("state", n), range(50))))
        """),
        kit=("http",),
    )
    await until(lambda: len(asked) == 50)
    for ask in asked:
        stage.slots.tell(Tell(ask.task_id, 1, ask.request, msgspec.json.encode("x" * 200_000)))
    await ran.finished.wait()

    assert ran.data == 50 * 200_000
