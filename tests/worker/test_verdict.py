"""What a child claims of itself, as an outcome whose words are whole."""

from __future__ import annotations

import pytest

from zscrape.messages import CATALOGUE, placeholders, text
from zscrape.model import Limits, OutcomeCode, Pin, RunSpec
from zscrape.worker import verdict
from zscrape.worker.speech import Answer

RUN = RunSpec(
    Pin("test", "name", "1.0.0", "sha256:0"),
    entry_point="main.py:go",
    limits=Limits(memory_bytes=123_000, result_size_bytes=456_000),
)
# What every error of a task is told with; see the gateway's envelope.
COMMON = {"name": "n", "script_name": "s", "error_type": "t", "error_message": "m"}


@pytest.mark.parametrize("code", sorted(verdict._CODES))
@pytest.mark.parametrize("fields", [{}, {"limit_bytes": "x", "entry_point": 5, "more": 1}])
def test_claim_without_its_fields_has_whole_words(code: str, fields: dict[str, str | int]) -> None:
    """Every code that a child may claim is told without a bare placeholder, in both languages."""
    outcome = verdict.of_answer(Answer(code, fields=dict(fields)), RUN)
    words = [text(code, lang, **{**COMMON, **outcome.fields}) for lang in ("en", "ko")]

    assert outcome.code == code
    assert placeholders(CATALOGUE[code].en) <= {*COMMON, *outcome.fields}
    assert not any("{" in each for each in words)


@pytest.mark.parametrize(
    ("fields", "code", "question"),
    [
        ({"handoff": "h-0a1b"}, OutcomeCode.CANCELLED, "h-0a1b"),
        ({"handoff": "x"}, OutcomeCode.CRASHED, ""),
        ({"handoff": 7}, OutcomeCode.CRASHED, ""),
        ({}, OutcomeCode.CRASHED, ""),
    ],
)
def test_parked_attempt_names_its_question(
    fields: dict[str, str | int | float], code: OutcomeCode, question: str
) -> None:
    """An attempt that ends to wait for a person says for which question, or has crashed."""
    outcome = verdict.of_answer(Answer("parked", fields=fields), RUN)

    assert (outcome.code, outcome.parked_on) == (code, question)


def test_limits_are_ours_and_the_reason_is_the_childs() -> None:
    """A child cannot say what its limit was; why it failed, only it knows."""
    told = Answer("memory_limit", memory_bytes=5, fields={"limit_bytes": 1})
    memory = verdict.of_answer(told, RUN)
    output = verdict.of_answer(Answer("output_limit"), RUN)
    result = verdict.of_answer(Answer("result_invalid", fields={"reason": "why"}), RUN)

    assert memory.fields == {"limit_bytes": 123_000, "peak_bytes": 5}
    assert output.fields == {"limit_bytes": 456_000}
    assert (result.code, result.fields) == (OutcomeCode.RESULT_INVALID, {"reason": "why"})
