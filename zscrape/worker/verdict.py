"""How an attempt ended: from what its child answered, how its process ended, or why it had none."""

from __future__ import annotations

import os
import re
import signal

from zscrape.core.effects import Assignment
from zscrape.errors import ZscrapeError
from zscrape.model import Outcome, OutcomeCode, RunSpec
from zscrape.runtime.limits import OUT_OF_MEMORY_STATUS
from zscrape.runtime.outcomes import FAIL_CODES
from zscrape.worker.children import Exit
from zscrape.worker.speech import Answer

# What a child may say of itself. Anything else, and `cancelled` that nobody asked for, means
# that its process was interfered with.
_CODES = {
    code: OutcomeCode(code)
    for code in (
        *FAIL_CODES,
        "environment_error",
        "params_invalid",
        "entry_point_invalid",
        "result_invalid",
        "output_limit",
        "memory_limit",
        "process_limit",
    )
}
# A script that ignores SIGXCPU is killed at its hard limit; the sum is read a moment later.
_CPU_SLACK_S = 0.5
_QUESTION = re.compile(r"h-[0-9a-f]{1,64}", re.ASCII)
_NO_REASON = "it gave no reason"


def of_answer(answer: Answer, run: RunSpec) -> Outcome:
    """Return the outcome that a child has told."""
    if answer.code == OutcomeCode.OK:
        if len(answer.data) > run.limits.result_size_bytes:
            return _failed(OutcomeCode.RESULT_INVALID, reason="it is too large")
        return Outcome(OutcomeCode.OK, data=answer.data)
    if answer.code == "parked":
        return _parked(answer)
    code = _CODES.get(answer.code)
    if code is None:
        return _failed(OutcomeCode.CRASHED, reason="it was ended by a signal that nobody sent here")
    return Outcome(
        code,
        fields=_fields(code, answer, run),
        error_type=answer.error_type,
        error_message=answer.error_message,
        traceback=answer.traceback,
    )


def _parked(answer: Answer) -> Outcome:
    """Return the end of an attempt whose task waits for a person without it.

    It goes by the name of a cancelled one, for whoever does not know of parking. That the
    question is open, and its task's, is for the gateway to see.
    """
    question = str(answer.fields.get("handoff", ""))
    if not _QUESTION.fullmatch(question):
        return _failed(OutcomeCode.CRASHED, reason="it waits for a question that nobody has asked")
    return Outcome(OutcomeCode.CANCELLED, parked_on=question)


def _fields(code: OutcomeCode, answer: Answer, run: RunSpec) -> dict[str, str | int | float]:
    """Return what the words for `code` need: from what we know, and only the reason as told."""
    match code:
        case OutcomeCode.MEMORY_LIMIT | OutcomeCode.PROCESS_LIMIT | OutcomeCode.OUTPUT_LIMIT:
            return _limit_fields(code, answer, run)
        case OutcomeCode.PARAMS_INVALID:
            return {"script_name": run.pin.name}
        case OutcomeCode.ENTRY_POINT_INVALID:
            reason = answer.fields.get("reason", _NO_REASON)
            return {"name": run.pin.name, "entry_point": run.entry_point, "reason": reason}
        case OutcomeCode.RESULT_INVALID | OutcomeCode.ENVIRONMENT_ERROR:
            return {"reason": answer.fields.get("reason", _NO_REASON)}
    return {}  # its words are the script's own message


def _limit_fields(code: OutcomeCode, answer: Answer, run: RunSpec) -> dict[str, str | int | float]:
    if code is OutcomeCode.PROCESS_LIMIT:
        return {"limit_count": run.limits.process_count}
    if code is OutcomeCode.OUTPUT_LIMIT:
        return {"limit_bytes": run.limits.result_size_bytes}
    return {"limit_bytes": run.limits.memory_bytes, "peak_bytes": answer.memory_bytes}


def of_exit(how: Exit, run: RunSpec) -> Outcome:
    """Return the outcome of an attempt whose child ended without an answer."""
    if how.status is None:
        if how.is_template_lost:
            return _failed(OutcomeCode.CRASHED, reason=how.reason, lost_with="template")
        return _failed(OutcomeCode.CRASHED, reason=how.reason)
    if not os.WIFSIGNALED(how.status):
        code = os.waitstatus_to_exitcode(how.status)
        if code == OUT_OF_MEMORY_STATUS:
            limit_bytes = run.limits.memory_bytes
            told = {"limit_bytes": limit_bytes, "peak_bytes": how.memory_bytes}
            return _failed(OutcomeCode.MEMORY_LIMIT, **told)
        return _failed(OutcomeCode.CRASHED, reason=f"it left with exit status {code}")
    number = os.WTERMSIG(how.status)
    limit_s = run.limits.cpu_s
    used_up = limit_s is not None and how.cpu_s >= limit_s - _CPU_SLACK_S
    if number == signal.SIGXCPU or (number == signal.SIGKILL and used_up):
        return _failed(OutcomeCode.CPU_LIMIT, limit_s=run.timeout_s if limit_s is None else limit_s)
    return _failed(OutcomeCode.CRASHED, reason=_signal_name(number))


def of_denial(assignment: Assignment) -> Outcome | None:
    """Return the outcome of an attempt that lacks a secret of its script; None if it has all."""
    for name in assignment.run.secrets:
        if name not in assignment.secrets:
            fields = {"name": name, "script_name": assignment.run.pin.name}
            return Outcome(OutcomeCode.SECRET_DENIED, fields=dict(fields))
    return None


def of_refusal(error: ZscrapeError) -> Outcome:
    """Return the outcome of an attempt whose script could not be had."""
    fields = {
        name: value for name, value in error.fields.items() if isinstance(value, (str, int, float))
    }
    try:
        code = OutcomeCode(error.code)
    except ValueError:  # an error of the catalogue that is no outcome by itself
        code, fields = OutcomeCode.ENVIRONMENT_ERROR, {"reason": str(error)}
    return Outcome(code, fields=fields, error_message=str(error))


def _failed(code: OutcomeCode, **fields: str | int | float) -> Outcome:
    return Outcome(code, fields=fields)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names
        return f"signal {number}"
