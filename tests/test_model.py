"""The nouns and what they know of themselves."""

from __future__ import annotations

import pytest

from zscrape.model import (
    FINAL_STATES,
    HeartbeatPolicy,
    Outcome,
    OutcomeCode,
    TaskState,
)


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (OutcomeCode.OK, TaskState.COMPLETED),
        (OutcomeCode.TIMEOUT, TaskState.TIMED_OUT),
        (OutcomeCode.EXPIRED, TaskState.TIMED_OUT),
        (OutcomeCode.CANCELLED, TaskState.CANCELLED),
        (OutcomeCode.SCRIPT_ERROR, TaskState.FAILED),
    ],
)
def test_code_decides_the_final_state(code: OutcomeCode, state: TaskState) -> None:
    """Each outcome code leads to one final state; failures are `failed` unless said otherwise."""
    assert code.final_state is state


def test_every_code_ends_a_task() -> None:
    """No code leaves a task in a state that can change."""
    assert {code.final_state for code in OutcomeCode} <= FINAL_STATES


def test_final_states_are_known() -> None:
    """Exactly four states are final."""
    assert [state for state in TaskState if state.is_final] == [
        TaskState.COMPLETED,
        TaskState.FAILED,
        TaskState.TIMED_OUT,
        TaskState.CANCELLED,
    ]


def test_only_ok_is_ok() -> None:
    """An outcome is ok iff its code is."""
    assert [code for code in OutcomeCode if Outcome(code).is_ok] == [OutcomeCode.OK]


def test_silence_is_intervals() -> None:
    """A peer is lost after as many intervals as the policy says."""
    assert HeartbeatPolicy(interval_s=0.5, missed_count=4).lost_after_s == 2.0
