"""Each rung of the ladder keeps its promise, and those below."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from bench.floors.ladder.cluster import Standing, instant, standing
from bench.floors.ladder.gateway import READER_KEY, SLOW_KEY
from bench.floors.ladder.rungs import EDGE, Rung
from bench.stages import below

CALL = {"script_name": "noop", "parameters": {}}
ADD = (
    "import os\n\ndef run(text: str = 'x', count: int = 1):\n"
    "    return [text * count, os.getpid()]\n"
)
LINGER = (
    "import os, time\n\ndef run(s: float = 0.0):\n"
    "    if s:\n        os.fork()\n        time.sleep(s)\n"
)


def ask(
    running: Standing,
    body: Any = None,
    *,
    path: str = "/scrape",
    key: bytes = b"key",
    raw: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, Any]:
    """Return status and body of a call."""
    with closing(HTTPConnection("127.0.0.1", running.port, timeout=15)) as connection:
        sent = raw if raw is not None else json.dumps(CALL | (body or {}))
        told: dict[str, str | bytes] = {"Authorization": b"Bearer " + key, **(headers or {})}
        connection.request("POST" if path == "/scrape" else "GET", path, sent, told)
        answer = connection.getresponse()
        data = answer.read()
        is_json = data.startswith((b"{", b"[", b"null"))
        return answer.status, json.loads(data) if is_json else data.decode()


def until(look: Callable[[], Any]) -> Any:
    """Return what `look` finds, once it does."""
    ends_at = time.monotonic() + 40
    while not (found := look()):
        assert time.monotonic() < ends_at
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("rung", Rung)
def test_a_rung_runs_a_script_in_a_process_of_its_own(rung: Rung) -> None:
    """By as many calls at once as there are spares and more."""
    with standing(rung, ADD) as running:
        assert len(running.drive(in_flight=12, seconds=0.2)) > 0
        first, second = running.data({"text": "tea"}), running.data({"text": "tea", "count": 2})

    assert (first[0], second[0]) == ("tea", "teatea")
    assert first[1] != second[1]


@pytest.mark.parametrize("rung", EDGE)
def test_a_rung_answers_by_workers_that_answer_at_once(rung: Rung) -> None:
    """The gateway alone."""
    with instant(rung, 2) as running:
        assert [running.data() for _ in range(4)] == [None] * 4


def test_calls_of_one_connection_are_answered_in_order() -> None:
    """Whole, in pieces, and one behind the other; what is no HTTP is refused."""
    with instant(Rung.ENVELOPE, 1) as running:
        body = json.dumps(CALL).encode()
        head = b"POST /scrape HTTP/1.1\r\nAuthorization: Bearer key\r\nContent-Length: %d\r\n\r\n"
        request = head % len(body) + body
        with socket.create_connection(("127.0.0.1", running.port), 10) as client:
            client.sendall(request)
            client.sendall(request * 2 + request[:50])
            client.sendall(request[50:] + request[:30])
            client.sendall(request[30:])
            said = b""
            while said.count(b'"status":"completed"') < 5:
                said += client.recv(65536)
            client.sendall(b"nonsense\r\n\r\n")
            assert b"400 Bad Request" in client.recv(65536)


def test_a_call_needs_a_key_that_is_known_and_for_it() -> None:
    """Refused: none, a wrong one, one without the scope; and one that comes too often."""
    with instant(Rung.KEY, 1) as running:
        statuses = [ask(running, key=key)[0] for key in (b"", b"wrong", READER_KEY, b"another key")]
        rate = [ask(running, key=SLOW_KEY)[0] for _ in range(4)]

    assert statuses == [401, 401, 403, 200]
    assert rate[0] == 200
    assert rate[-1] == 429


def test_a_body_is_refused_with_the_names_of_what_is_wrong() -> None:
    """Fields, parameters, depth, size; a script that is not there is a failure."""
    with standing(Rung.BODY, ADD) as running:

        def pointer(body: Any) -> tuple[int, str]:
            status, told = ask(running, body)
            return status, told["error"]["problems"][0]["pointer"]

        assert pointer({"timeout": -1}) == (422, "/timeout")
        assert pointer({"tmeout": 1})[0] == 422
        assert pointer({"parameters": {"count": "two"}}) == (422, "/parameters/count")
        assert pointer({"parameters": {"extra": 1}})[0] == 422
        assert ask(running, raw=b"{")[0] == 400
        assert ask(running, {"metadata": {"x": "y" * 1_100_000}})[0] == 413
        assert ask(running, {"version": "1.0.0"})[0] == 200
        status, told = ask(running, {"script_name": "other"})
        assert (status, told["error"]["code"]) == (200, "script_not_found")


def test_a_task_ends_at_its_deadline_or_when_it_is_cancelled_and_once() -> None:
    """Whatever its worker says later."""
    source = "import time\n\ndef run(s: float = 0.0):\n    time.sleep(s)\n    return 'late'\n"
    with standing(Rung.STORE, source) as running:
        status, told = ask(running, {"parameters": {"s": 0.3}, "timeout": 0.1})
        assert (status, told["status"]) == (504, "timed_out")
        assert ask(running, {"parameters": {"s": 0.5}})[0] == 200  # the late answer has come
        _, row, _ = until(lambda: _ended(running, 3))

    assert [state for state, *_ in row["states"]] == ["queued", "assigned", "timed_out"]
    assert row["finished_at"] > row["created_at"]


@pytest.mark.parametrize("rung", [Rung.ENVELOPE, Rung.DEADLINE])
def test_a_task_is_cancelled_by_its_id(rung: Rung) -> None:
    """Its caller is told, and its process is killed from the rung that can."""
    with standing(rung, LINGER) as running:
        answer = later(running, {"parameters": {"s": 60 if rung >= Rung.DEADLINE else 9}})
        row = until(lambda: _running(running))
        assert ask(running, path=f"/v1/tasks/{row['id']}/cancel")[0] == 200
        assert answer() == (200, "cancelled")
        if rung >= Rung.DEADLINE:
            template = running.roles["template"]
            until(lambda: not [it for it in _tree(template) if "sleep" in _waits(it)])


def _running(running: Standing) -> Any:
    """Return the second task's row; that of the first, which has ended, may not tell so yet."""
    rows = ask(running, path="/v1/tasks")[1]
    return rows[0] if len(rows) == 2 and rows[0]["status"] == "assigned" else None


def _ended(running: Standing, count: int) -> Any:
    rows = ask(running, path="/v1/tasks")[1]
    return rows if len(rows) == count and all(row["finished_at"] for row in rows) else None


def test_states_are_kept_and_a_row_that_was_changed_shows() -> None:
    """In the database, with their times."""
    with instant(Rung.STORE, 1) as running:
        running.data()
        rows = until(lambda: _ended(running, 1))
        found = ask(running, path=f"/v1/tasks/{rows[0]['id']}")[1]
        with closing(sqlite3.connect(running.folder / "tasks.db")) as connection:
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            (kept,) = connection.execute("SELECT status FROM tasks").fetchone()

    assert (mode, kept) == ("wal", "completed")
    assert found == rows[0]
    assert [state for state, *_ in found["states"]] == ["queued", "assigned", "completed"]


def test_the_whole_answer_is_told_and_counted() -> None:
    """Every field of the contract, the caller's trace, metrics."""
    trace = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    with instant(Rung.ENVELOPE, 1) as running:
        _, told = ask(running, headers=trace)
        metrics = ask(running, path="/metrics")[1]
        rows = until(lambda: _ended(running, 1))

    assert {*told} == {
        *("request_id", "status", "data", "error", "execution_time", "script_name", "version"),
        *("digest", "worker_id", "attempts", "item_count", "artifacts", "created_at"),
        *("finished_at", "queue_time"),
    }
    assert rows[0]["trace_id"] == "a" * 32
    assert 'scraping_requests_total{script_name="noop",status="completed",client_id="admin"} 1' in (
        metrics
    )


def test_an_outcome_is_told_once_though_its_worker_was_cut_off() -> None:
    """A worker that stood still, and was given up, may say it again when its task has ended."""
    source = "import time\n\ndef run(s: float = 0.0):\n    time.sleep(s)\n"
    with standing(Rung.WORKERS, source) as running:
        worker = running.roles["worker"]
        os.kill(worker, signal.SIGSTOP)
        try:
            answer = later(running, {})
            # Once at first, once after three beats.
            task_id = until(lambda: _id_of_queued_twice(running))
        finally:
            os.kill(worker, signal.SIGCONT)
        assert answer() == (200, "completed")
        rows = until(lambda: _ended(running, 2))

    # Which of its attempts ended it is the order in which they are heard of.
    states = next(_states(row) for row in rows if row["id"] == task_id)
    assert states.count("completed") == 1
    assert states[-1] == "completed"


def _id_of_queued_twice(running: Standing) -> Any:
    rows = ask(running, path="/v1/tasks")[1]
    return next((row["id"] for row in rows if _states(row).count("queued") > 1), None)


def _states(row: dict[str, Any]) -> list[str]:
    return [state for state, *_ in row["states"]]


def later(running: Standing, body: Any) -> Callable[[], tuple[int, str]]:
    """Ask beside the test; returns what waits for the answer."""
    pool = ThreadPoolExecutor(1)
    asked = pool.submit(ask, running, body)

    def told() -> tuple[int, str]:
        with pool:
            status, answer = asked.result(20)
        return status, answer["status"]

    return told


@pytest.mark.parametrize("rung", [Rung.DEADLINE, Rung.CONTEXT])
def test_an_attempt_is_killed_at_its_limit_with_all_that_it_has_started(rung: Rung) -> None:
    """Its group, its usage told; the limit is the manifest's."""
    with standing(rung, LINGER, {"timeout": 0.5}) as running:
        status, told = ask(running, {"parameters": {"s": 60}})
        assert (status, told["error"]["code"]) == (504, "timeout")
        assert running.data() is None
        template = running.roles["template"]
        until(lambda: not [it for it in _tree(template) if "sleep" in _waits(it)])


def _tree(pid: int) -> Iterator[int]:
    for each in below(pid):
        yield each
        with suppress(FileNotFoundError):
            yield from _tree(each)


def _waits(pid: int) -> str:
    """Return what a process waits for; nothing of one that is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/wchan").read_text()
    return ""


def test_what_is_printed_is_told_before_the_result_within_bounds() -> None:
    """Both streams, of one that fails too; long lines are cut, and a shouting script ends."""
    source = (
        "import sys\n\ndef run(n: int = 0, fail: bool = False):\n    print('out')\n"
        "    print('err', file=sys.stderr)\n    print('y' * n)\n"
        "    print('z\\n' * n)\n    assert not fail\n"
    )
    with standing(Rung.OUTPUT, source) as running:
        ask(running, {"parameters": {"n": 300_000}})
        assert ask(running, {"parameters": {"fail": True}})[1]["error"]["type"] == "AssertionError"
        failed, long, _ = until(lambda: _ended(running, 3))

    assert {tuple(each) for each in failed["records"]} >= {("stdout", "out"), ("stderr", "err")}
    lengths = [len(text) for _stream, text in long["records"]]
    assert max(lengths) < 70_000
    assert len(lengths) > 300_000


def test_a_folder_is_private_empty_and_removed() -> None:
    """What one attempt has left the next does not find; a changed script is not run."""
    source = (
        "import os\n\ndef run():\n    found = os.listdir('.')\n    open('left', 'w').close()\n"
        "    return [os.getcwd(), found, os.environ['HOME'] == os.getcwd()]\n"
    )
    with standing(Rung.FOLDER, source) as running:
        told = [running.data() for _ in range(12)]
        until(lambda: not Path(told[0][0], "left").exists())
        (running.folder / "script" / "main.py").write_text("def run():\n    return 'changed'\n")
        changed = ask(running)[1]["error"]["code"]

    assert all(found == [] and is_home for _, found, is_home in told)
    assert changed == "integrity_error"


def test_a_script_is_kept_from_what_is_not_its_own() -> None:
    """As the product keeps it: files, users, system calls, processes, addresses."""
    source = (
        "import os, socket, resource\n\ndef run(secret: str = ''):\n    tries = {\n"
        "        'read': lambda: open(secret).read(),\n"
        "        'write': lambda: open('/tmp/ladder-was-here', 'w'),\n"
        "        'kill': lambda: os.kill(os.getppid(), 9),\n"
        "        'mount': lambda: os.chroot('/'),\n"
        "        'connect': lambda: socket.create_connection(('127.0.0.1', 9), 2),\n    }\n"
        "    told = {}\n    for name, attempt in tries.items():\n        try:\n"
        "            attempt()\n            told[name] = 'done'\n"
        "        except OSError as error:\n            told[name] = error.errno\n"
        "    told['own'] = open('own', 'w').write('x')\n"
        "    told['sid'] = os.getsid(0) == os.getpid()\n"
        "    told['cpu'] = resource.getrlimit(resource.RLIMIT_CPU)[0]\n"
        "    told['fds'] = len(os.listdir('/proc/self/fd'))\n    return told\n"
    )
    with standing(Rung.LAYERS, source) as running:
        secret = running.folder / "secret"
        secret.write_text("x")
        secret.chmod(0o644)
        told = running.data({"secret": str(secret)})

    assert {told[name] for name in ("read", "write", "kill", "mount", "connect")} <= {1, 2, 13, 30}
    assert (told["own"], told["sid"], told["cpu"]) == (1, True, 300)
    assert told["fds"] <= 5


def test_a_script_is_given_its_context() -> None:
    """Parameters, log, progress, items; and it may end by a code of its own."""
    source = (
        "def run(n: int = 1, *, ctx):\n    ctx.log.info('begun', n=ctx.params)\n"
        "    ctx.progress(0.5)\n    if n > 5:\n        ctx.fail('blocked', 'by them')\n"
        "    for each in range(n):\n        yield [each, ctx.attempt, ctx.deadline > 1]\n"
    )
    with standing(Rung.CONTEXT, source) as running:
        items = running.data({"n": 2})
        failed = ask(running, {"parameters": {"n": 9}})[1]
        rows = until(lambda: _ended(running, 3))

    assert items == [[0, 1, True], [1, 1, True]]
    assert (failed["error"]["code"], failed["error"]["message"]) == ("blocked", "by them")
    assert [kind for kind, _ in rows[1]["records"]] == ["l", "p", "i", "i"]
    assert json.loads(rows[1]["records"][0][1])["n"] == {"n": 2}
