"""What a child is asked: the same for all attempts of a script, but for what is their own."""

from __future__ import annotations

from typing import Any

import pytest

from zscrape.core.effects import Assignment
from zscrape.model import Pin, RunSpec
from zscrape.runtime import channel as frames, child as child_runtime
from zscrape.worker.codes import Code
from zscrape.worker.requests import Form

RUN = RunSpec(Pin("dir", "sample", "1.0.0", "sha256:" + "0" * 64), timeout_s=30.0)
CODE = Code(False, b"code")
SECRETS = {"token": "hidden"}


def asked(
    form: Form,
    *,
    number: int = 1,
    timeout_s: float = 30.0,
    known: dict[str, Any] | None = None,
    is_replay: bool = False,
) -> tuple[dict[str, str], bytes]:
    """Return the fields of a request by name, and what follows them."""
    assignment = Assignment("t", number, RUN, b"{}", secrets=SECRETS, is_replay=is_replay)
    frame = form.request(assignment, timeout_s, 2, known)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert frame[4:5] == frames.REQUEST
    *fields, rest = frame[5:].split(b"\0", len(child_runtime.FIELDS))
    return dict(zip(child_runtime.FIELDS, map(bytes.decode, fields), strict=True)), rest


def test_attempts_differ_in_what_is_their_own() -> None:
    """Another number, another time that is left; all else is the same."""
    form = Form(RUN, "/scripts/sample", CODE)
    first, rest = asked(form)
    later, _ = asked(form, number=2, timeout_s=1.5)

    assert first["timeout_s"] == "30.000"
    assert rest == b'{}{"token":"hidden"}code'
    assert later == first | {"attempt": "2", "timeout_s": "1.500", "cpu_s": "4"}


@pytest.mark.parametrize(
    ("code", "is_replay", "mode"),
    [
        (None, False, frames.RUN),
        (CODE, False, frames.RUN),
        (Code(True, b"code"), False, frames.RUN_PLAIN),
        (CODE, True, frames.REPLAY),
    ],
)
def test_how_it_is_run(code: Code | None, is_replay: bool, mode: bytes) -> None:
    """A plain script as such; another may have sites answer as they did once."""
    told, _ = asked(Form(RUN, "/scripts/sample", code), is_replay=is_replay)

    assert told["mode"].encode() == mode
    assert told["code_size"] == ("0" if code is None else "4")


def test_what_only_compiles_is_told_no_secrets() -> None:
    """Nor anything of sites: it runs nothing."""
    form = Form(RUN, "/scripts/sample", is_compile_only=True)
    told, rest = asked(form, known={"sites": ["a.example"]})

    assert told["mode"].encode() == frames.COMPILE
    assert rest == b"{}"
