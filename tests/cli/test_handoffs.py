"""`handoffs list show answer dismiss` against a real gateway and a script that asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.cli.conftest import Zscrape
from zscrape.cli import handoffs
from zscrape.cli.live import Live
from zscrape.cli.terminal import Terminal
from zscrape.client import Event

FIELDS = {"code": {"type": "string", "title": "Code"}, "count": {"type": "integer"}}


def until(look: Callable[[], Any]) -> Any:
    """Return what `look` finds, once it finds something."""
    ends_at, pause = time.monotonic() + 60, threading.Event()
    while time.monotonic() < ends_at:
        found = look()
        if found:
            return found
        pause.wait(0.05)
    raise AssertionError("nothing was found")


def ask(zscrape: Zscrape) -> tuple[str, str]:
    """Start a script that asks; return its task's id and the question's, once it is open."""
    task_id = zscrape.json("run", "asks", "--detach")["request_id"]
    rows = until(lambda: zscrape.json("handoffs", "list", "--task", task_id)["handoffs"])
    return task_id, rows[0]["id"]


def ended(zscrape: Zscrape, task_id: str) -> dict[str, Any]:
    """Return a task once it has ended."""

    def look() -> Any:
        told = zscrape.json("tasks", "show", task_id)
        return told if told["status"] in ("completed", "failed") else None

    found: dict[str, Any] = until(look)
    return found


def test_answer(on_cluster: Zscrape, tmp_path: Path) -> None:
    """A person lists, looks, gets the picture, answers; the script goes on with the answer."""
    task_id, handoff_id = ask(on_cluster)
    listed = on_cluster("handoffs", "list", "--task", task_id)
    shown = on_cluster("handoffs", "show", handoff_id, "--image", str(tmp_path))
    state = on_cluster.json("tasks", "show", task_id)["status"]
    wrong = on_cluster("handoffs", "answer", handoff_id, "-p", "code=1", "-p", "count=x")
    right = on_cluster("handoffs", "answer", handoff_id, "-p", "code=01", "-p", "count=2")
    late = on_cluster("handoffs", "answer", handoff_id, "-p", "code=1", "-p", "count=2")

    assert state == "waiting"
    assert handoff_id in listed.stdout
    assert "Which code?" in shown.stdout
    assert "code (string) Code" in shown.stdout
    assert (tmp_path / "handoff-1.png").read_bytes().startswith(b"\x89PNG")
    assert (wrong.exit_code, right.exit_code, late.exit_code) == (3, 0, 3)
    assert ended(on_cluster, task_id)["data"] == {"code": "01", "count": 2}


def test_dismiss(on_cluster: Zscrape) -> None:
    """A question that nobody answers is told to the script, and shown no more."""
    task_id, handoff_id = ask(on_cluster)
    dismissed = on_cluster("handoffs", "dismiss", handoff_id, "--lang", "ko")
    error = ended(on_cluster, task_id)["error"]
    left = on_cluster("handoffs", "list", "--task", task_id)

    assert dismissed.exit_code == 0
    assert "답 없이 닫았습니다" in dismissed.stdout
    assert (error["code"], error["type"].rpartition(".")[2]) == ("script_error", "AskRefused")
    assert "Nobody is asked anything" in left.stderr


def test_who_follows_is_told_how_to_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """A task that waits for a person names the verb that lets it go on."""
    with Live(Terminal.now(), "asks", shows_records=False) as live:
        live.show(Event("state", "5", {"status": "waiting", "handoff": "h-1"}))
        live.show(Event("state", "6", {"status": "running"}))

    assert capsys.readouterr().err.count("zscrape handoffs answer h-1") == 1


def test_unknown_question_is_3(on_cluster: Zscrape) -> None:
    """A question that is not known is the caller's to mend."""
    result: Result = on_cluster("handoffs", "show", "h-none")

    assert result.exit_code == 3


def test_terminal_asks_for_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal each field that was not given is asked for, and read as what it is."""
    typed = iter(("0123", "4"))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.prompt", lambda *_args, **_options: next(typed))
    row = {"id": "h", "prompt": "?", "status": "open"}

    answer = handoffs._asked(Terminal.now(), row, FIELDS, {})

    assert answer == {"code": "0123", "count": 4}
