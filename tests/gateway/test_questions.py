"""Questions of running scripts: answered once, over the latest connection, until they are over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest

from zscrape.core.effects import Question, TaskAssigned, TaskFinished, TaskQueued
from zscrape.errors.requests import NotFound
from zscrape.gateway.asked import Asked, Questions
from zscrape.model import Outcome, OutcomeCode, Pin, RunSpec
from zscrape.wire import Ask, Tell

RUN = RunSpec(Pin("r", "shop", "1.0.0", "sha256:0"))


def question(
    request: int = 1, *, attempt: int = 1, kind: str = "state", peer: bytes = b"a"
) -> Question:
    """Return a question of the task `t`."""
    return Question(peer, "w", Ask("t", attempt, request, kind, b'{"key":1}'), RUN)


class Desk:
    """`Questions` with answers that the test gives."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.cancelled: list[int] = []
        self.told: list[tuple[bytes, Tell]] = []
        self.over: list[tuple[str, int]] = []
        self.reported: list[Exception] = []
        self.heard: set[type] = set()  # kinds of facts that are listened to
        self.may_answer = asyncio.Event()
        self.answer: Callable[[Asked], bytes] = lambda asked: asked.body
        self.questions = Questions(
            {"state": self._state},
            tell=lambda peer, tell: self.told.append((peer, tell)),
            report=lambda asked, error: self.reported.append(error),
            lang="en",
            facts=self,
        )
        self.questions.over_listeners.append(lambda *over: self.over.append(over))

    def listen(self, hearer: Callable[[Any], None], kinds: Iterable[type]) -> None:
        """Note what is listened to."""
        assert hearer == self.questions.note
        self.heard |= {*kinds}

    def leave(self, hearer: Callable[[Any], None], kinds: Iterable[type]) -> None:
        """Note what is not listened to any more."""
        assert hearer == self.questions.note
        self.heard -= {*kinds}

    async def _state(self, asked: Asked) -> bytes:
        self.asked.append(asked)
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.cancelled.append(asked.attempt)
            raise
        return self.answer(asked)

    async def settle(self) -> None:
        """Let everything run that can."""
        for _ in range(5):
            await asyncio.sleep(0)

    def words(self) -> list[Any]:
        """Return what was told, with its code."""
        return [(tell.code, msgspec.json.decode(tell.body)) for _, tell in self.told]


@pytest.fixture
async def desk() -> Desk:
    """Questions whose answers wait for `may_answer`."""
    return Desk()


async def test_question_is_answered_once(desk: Desk) -> None:
    """A repeated question is not begun again, and its answer goes to the latest connection."""
    desk.questions.hear(question())
    await desk.settle()
    desk.questions.hear(question(peer=b"b"))
    desk.may_answer.set()
    await desk.settle()

    assert [asked.script_name for asked in desk.asked] == ["shop"]
    assert desk.told == [(b"b", Tell("t", 1, 1, b'{"key":1}'))]


async def test_answered_question_may_come_again(desk: Desk) -> None:
    """An answer that was lost on its way is given anew."""
    desk.may_answer.set()
    for _ in range(2):
        desk.questions.hear(question())
        await desk.settle()

    assert len(desk.told) == 2


@pytest.mark.parametrize(
    "fact",
    [
        TaskFinished("t", 1, "w", Outcome(OutcomeCode.OK)),
        TaskQueued("t", 1),
        TaskAssigned("t", 2, "w"),
    ],
    ids=lambda fact: type(fact).__name__,
)
async def test_attempt_that_is_over_is_not_answered(desk: Desk, fact: Any) -> None:
    """The end of an attempt ends its questions, and is told to those who keep things for it."""
    desk.questions.hear(question())
    await desk.settle()
    desk.questions.note(fact)
    await desk.settle()
    desk.questions.note(fact)

    assert desk.cancelled == [1]
    assert desk.told == []
    assert desk.over == [("t", 1)]


async def test_facts_are_heard_only_while_somebody_has_asked(desk: Desk) -> None:
    """Most tasks ask nothing: their facts take no step here."""
    heard = [{*desk.heard}]
    for attempt in (1, 2):
        desk.questions.hear(question(attempt=attempt))
        heard.append({*desk.heard})
    desk.questions.note(TaskFinished("t", 2, "w", Outcome(OutcomeCode.OK)))
    heard.append({*desk.heard})
    desk.questions.hear(question())
    heard.append({*desk.heard})
    await desk.questions.close()

    asking = {TaskQueued, TaskAssigned, TaskFinished}
    assert [*heard, desk.heard] == [set(), asking, asking, set(), asking, set()]


async def test_question_of_a_later_attempt_ends_the_earlier_ones(desk: Desk) -> None:
    """A gateway that was told of the next attempt by nothing else hears it by its question."""
    desk.questions.hear(question())
    await desk.settle()
    desk.questions.hear(question(attempt=2))
    await desk.settle()

    assert desk.cancelled == [1]
    assert desk.over == [("t", 1)]
    assert [asked.attempt for asked in desk.asked] == [1, 2]


async def test_refusal_has_its_code_and_words(desk: Desk) -> None:
    """What cannot be answered is refused with the words of the error."""

    def refuse(asked: Asked) -> bytes:
        raise NotFound(kind="secret", name="last")

    desk.answer = refuse
    desk.may_answer.set()
    desk.questions.hear(question())
    await desk.settle()

    ((code, body),) = desk.words()
    assert code == "not_found"
    assert "last" in body["message"]


async def test_fault_is_reported_and_tells_the_script_nothing_of_it(desk: Desk) -> None:
    """A fault of the gateway's own is in its log; the script hears that there was one."""

    def fail(asked: Asked) -> bytes:
        raise ZeroDivisionError("a path of ours")

    desk.answer = fail
    desk.may_answer.set()
    desk.questions.hear(question())
    await desk.settle()

    ((code, body),) = desk.words()
    assert code == "internal"
    assert "path" not in body["message"]
    assert [type(error) for error in desk.reported] == [ZeroDivisionError]


async def test_unknown_question_is_refused(desk: Desk) -> None:
    """A gateway older than its workers says so."""
    desk.questions.hear(question(kind="oracle"))
    await desk.settle()

    ((code, body),) = desk.words()
    assert code == "unsupported"
    assert "oracle" in body["message"]


async def test_closing_ends_what_is_being_answered(desk: Desk) -> None:
    """Nothing is left of questions when the gateway stops."""
    desk.questions.hear(question())
    await desk.settle()
    await desk.questions.close()

    assert desk.cancelled == [1]
    assert desk.told == []
