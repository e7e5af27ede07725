"""What running attempts ask, as the dispatcher hears of it."""

from __future__ import annotations

from tests.core.rig import Rig, facts, spec
from zscrape.core.effects import Ignored, Question, TaskStarted
from zscrape.wire import Ask

ASK = Ask("t", 1, 7, "state", b"{}")


def test_question_of_a_running_attempt_is_handed_on(rig: Rig) -> None:
    """Whoever answers hears who asks; an attempt that asks has begun."""
    rig.join("a")
    rig.submit("t")

    first = rig.hear("a", ASK)
    again = rig.hear("a", ASK)

    question = Question(b"a", "a", ASK, spec("t").run)
    assert first == [TaskStarted("t", 1, "a"), question]
    assert again == [question]


def test_question_for_another_workers_attempt_is_ignored(rig: Rig) -> None:
    """Only the worker that has an attempt can ask for it."""
    rig.join("a")
    rig.submit("t")
    rig.join("b")

    effects = rig.hear("b", ASK)

    assert facts(effects, Question) == []
    assert effects[-1] == Ignored(b"b", "Ask", "superseded")
