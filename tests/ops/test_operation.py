"""One run of an operational verb: lock, isolation, log, gates, alert (manual 2, 5.3, 6)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.ops.standard import summary_of
from zscrape.errors.requests import NotFound, RunHeld
from zscrape.ops.operation import Operation, Standard
from zscrape.ops.runlock import RunLock, lock_key
from zscrape.ops.summary import Gates, TargetEnd

NOW = datetime(2026, 2, 10, 14, 59, tzinfo=UTC)


class Listener:
    """Takes alerts on loopback."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        taken = self.taken

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                taken.append(json.loads(self.rfile.read(length)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/s3cr3t-path"


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A webhook."""
    listener = Listener()
    thread = threading.Thread(target=listener.server.serve_forever, args=(0.05,))
    thread.start()
    yield listener
    listener.server.shutdown()
    thread.join()
    listener.server.server_close()


def act(target: int) -> TargetEnd:
    """Fail for every seventh, in several ways."""
    if target == 7:
        raise NotFound(kind="task", name="t7")
    if target % 7 == 0:
        raise ValueError("odd")
    return TargetEnd(f"org:{target}")


def name(target: int) -> str:
    """Name a target."""
    return f"org:{target}"


def test_lines_that_are_told_together_are_there_at_its_end(tmp_path: Path) -> None:
    """One write has the lines of many ends; a line told alone is in the file at once."""
    with Operation("evaluate", Standard(), home=tmp_path) as operation:
        operation.begin("all")
        log = operation.folder / "log.jsonl"
        with operation.together():
            for number in range(3):
                operation.end(f"target {number}")
        together = log.read_text().splitlines()
        operation.end("target 3")
        alone = log.read_text().splitlines()

    assert [json.loads(line)["target"] for line in together[1:]] == [
        f"target {n}" for n in range(3)
    ]
    assert json.loads(alone[-1])["target"] == "target 3"


def test_manual_3_1_a_failing_target_stops_no_other(tmp_path: Path) -> None:
    """100 targets of which 14 fail: all are processed, and each failure is named."""
    lines: list[str] = []
    standard = Standard(json_output=tmp_path / "out" / "summary.json", is_verbose=True)
    with Operation("evaluate", standard, home=tmp_path, tell=lines.append) as operation:
        operation.begin("all")
        operation.each(operation.chosen(range(1, 101)), act, name)
        operation.finish()

    document = summary_of(tmp_path / "out" / "summary.json")
    kept = (tmp_path / "runs" / document["run_id"] / "log.jsonl").read_text().splitlines()
    assert (document["processed_total"], document["failed_total"]) == (100, 14)
    assert document["errors"][0]["reason"].startswith("not_found: ")
    assert document["errors"][1] == {"target": "org:14", "reason": "internal: ValueError: odd"}
    assert kept == lines


def test_manual_2_6_log_lines_have_the_required_fields(tmp_path: Path) -> None:
    """Every line is JSON with the same fields; details stay at debug."""
    lines: list[str] = []
    with Operation("evaluate", Standard(), home=tmp_path, tell=lines.append) as operation:
        operation.begin("all")
        operation.each(operation.chosen([6, 7, 8]), act, name)
        operation.finish()

    told = [json.loads(line) for line in lines]
    required = {"run_id", "script", "target", "event", "status", "elapsed_ms"}
    assert all(required <= line.keys() for line in told)
    assert [(line["event"], line["target"], line["status"]) for line in told] == [
        ("run_started", "", "started"),
        ("target_ended", "org:7", "failed"),
        ("run_ended", "", "some_failed"),
    ]


def test_fail_fast_and_limit_leave_the_rest_unreached(tmp_path: Path) -> None:
    """After the first failure nothing is begun; a limit says what it left out."""
    with Operation("evaluate", Standard(is_fail_fast=True, limit=20), home=tmp_path) as operation:
        operation.begin("all")
        operation.each(operation.chosen(range(1, 101)), act, name)
        summary = operation.finish()

    assert (summary.targets_total, summary.processed_total, summary.failed_total) == (20, 7, 1)
    assert summary.warnings == ["20 of 100 targets were taken (--limit)."]


def test_time_limit_begins_nothing_more(tmp_path: Path) -> None:
    """What was not begun in time stays undone, and the summary says so."""
    with Operation("evaluate", Standard(timeout_s=1e-9), home=tmp_path) as operation:
        operation.begin("all")
        operation.each(operation.chosen([1, 2]), act, name)
        summary = operation.finish()

    assert (summary.targets_total, summary.processed_total) == (2, 0)
    assert operation.is_late
    assert "time limit" in summary.warnings[0]


def test_dry_run_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither lock nor folder nor log: only the files that were asked for."""
    home = tmp_path / "home"
    standard = Standard(is_dry_run=True, json_output=tmp_path / "summary.json")
    with Operation("evaluate", standard, home=home) as operation:
        operation.begin("all")
        operation.finish()

    assert summary_of(tmp_path / "summary.json")["dry_run"] is True
    assert not home.exists()


def test_manual_2_4_a_second_run_of_the_scope_does_not_start(tmp_path: Path) -> None:
    """The holder is named; another scope is another lock; the end of a run frees it."""
    with Operation("batch", Standard(), home=tmp_path) as first:
        first.begin("a")
        with Operation("batch", Standard(), home=tmp_path) as second:
            with pytest.raises(RunHeld) as caught:
                second.begin("a")
            second.begin("b")
        assert caught.value.run_id == first.summary.run_id
        assert caught.value.holder_pid == os.getpid()
    with Operation("batch", Standard(), home=tmp_path) as third:
        third.begin("a")

    assert not list((tmp_path / "runs" / "locks").iterdir())


def test_lock_key_is_the_manual_s_and_outlives_its_hour(tmp_path: Path) -> None:
    """`script:<name>:<scope>:<yyyy-mm-dd-hh>`; the next hour does not let a second run in."""
    lock = RunLock(tmp_path, "batch", "a", "r1", NOW)

    with pytest.raises(RunHeld) as caught:
        RunLock(tmp_path, "batch", "a", "r2", NOW.replace(hour=15))
    lock.release()

    assert lock_key("batch", "a", NOW) == "script:batch:a:2026-02-10-14"
    assert caught.value.key == "script:batch:a:2026-02-10-14"


def test_lock_is_free_when_its_holder_is_killed(tmp_path: Path) -> None:
    """No clean-up by hand after a crash: the kernel frees it."""
    source = (
        "import sys; from pathlib import Path; from datetime import UTC, datetime\n"
        "from zscrape.ops.runlock import RunLock\n"
        f"lock = RunLock(Path({str(tmp_path)!r}), 'batch', 'a', 'r1', datetime.now(UTC))\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunHeld) as caught:
            RunLock(tmp_path, "batch", "a", "r2", NOW)
        holder.kill()
        holder.wait()

    RunLock(tmp_path, "batch", "a", "r3", NOW).release()
    assert (caught.value.run_id, caught.value.holder_pid) == ("r1", holder.pid)


def test_manual_5_3_a_broken_gate_is_told(tmp_path: Path, listener: Listener) -> None:
    """One POST with words for a chat and the summary for a program; its address stays secret."""
    standard = Standard(gates=Gates(max_failed=0), alert_webhook=listener.url)
    with Operation("evaluate", standard, home=tmp_path) as operation:
        operation.begin("all")
        operation.each(operation.chosen([6, 7]), act, name)
        operation.warn("summary.alert_failed", reason=listener.url)
        summary = operation.finish()

    (alert,) = listener.taken
    assert alert["run_id"] == summary.run_id
    assert alert["breaches"] == [{"gate": "max_failed", "value": 1, "limit": 0}]
    assert "1 of 2 targets failed" in alert["text"]
    assert "s3cr3t" not in json.dumps(alert)


def test_alert_that_cannot_be_delivered_is_a_warning(tmp_path: Path) -> None:
    """The run ends as it ended; the summary says that nobody was told."""
    standard = Standard(gates=Gates(max_failed=0), alert_webhook="http://127.0.0.1:1/hook")
    with Operation("evaluate", standard, home=tmp_path) as operation:
        operation.each(operation.chosen([7]), act, name)
        summary = operation.finish()

    assert "could not be delivered" in summary.warnings[-1]


def test_no_alert_when_all_is_well(tmp_path: Path, listener: Listener) -> None:
    """Nobody is woken for a run within its gates."""
    standard = Standard(gates=Gates(max_failed=1), alert_webhook=listener.url)
    with Operation("evaluate", standard, home=tmp_path) as operation:
        operation.each(operation.chosen([6, 7]), act, name)
        operation.finish()

    assert listener.taken == []


def test_manual_6_4_history_of_runs_is_kept_for_a_month(tmp_path: Path) -> None:
    """A summary per run stays in the home folder; what is older than tasks goes."""
    old = tmp_path / "runs" / "20200101T000000Z-abcd"
    old.mkdir(parents=True)
    with Operation("evaluate", Standard(), home=tmp_path) as operation:
        operation.begin("all")
        summary = operation.finish()

    assert not old.exists()
    assert summary_of(tmp_path / "runs" / summary.run_id / "summary.json")["script"] == "evaluate"
