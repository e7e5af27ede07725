"""`tasks list show logs cancel retry explain` against a real gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.cli.conftest import Cluster, Zscrape
from zscrape.cli.selecting import age, moment_of
from zscrape.cli.verbs import UsageFault
from zscrape.client import Client, find_gateway

NOW = datetime(2026, 2, 10, 12, 0, tzinfo=UTC)


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Client]:
    """A client of the cluster."""
    with Client(find_gateway(home=cluster.home, environ={})) as client:
        yield client


@pytest.fixture
def done_id(client: Client) -> str:
    """The id of a task that has completed."""
    return str(client.run("steps")["request_id"])


def test_list_shows_newest_first(on_cluster: Zscrape, client: Client) -> None:
    """The history is a table with the newest task on top."""
    older_id, newer_id = (client.run("steps")["request_id"] for _ in range(2))

    result = on_cluster("tasks", "list", "--limit", "2")

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0].split()[:4] == ["id", "status", "script", "version"]
    assert lines[1].startswith(f"{newer_id}  completed  steps")
    assert lines[2].startswith(f"{older_id}  completed  steps")
    assert len(lines) == 3


def test_list_pages_and_filters(on_cluster: Zscrape, client: Client, done_id: str) -> None:
    """Filters reach the gateway, and a page says how to get the next."""
    client.run("steps", {"fail": True})

    failed = on_cluster.json("tasks", "list", "--status", "failed", "--script", "steps")
    page = on_cluster("tasks", "list", "--limit", "1", "--since", "1h", "--origin", "scrape")

    assert {task["status"] for task in failed["tasks"]} == {"failed"}
    cursor = page.stderr.split("--cursor ")[1].strip()
    following = on_cluster.json("tasks", "list", "--limit", "1", "--cursor", cursor)
    assert following["tasks"][0]["request_id"] == done_id


def test_empty_list_says_what_to_do(on_cluster: Zscrape) -> None:
    """No match is no error."""
    result = on_cluster("tasks", "list", "--status", "waiting")

    assert result.exit_code == 0
    assert result.stdout == ""
    assert "zscrape run" in result.stderr


def test_show_tells_all_of_a_task(on_cluster: Zscrape, cluster: Cluster, done_id: str) -> None:
    """One task with its facts and its data; the machine's view is the API's own."""
    shown = on_cluster("tasks", "show", done_id)
    document = on_cluster.json("tasks", "show", done_id)

    assert done_id in shown.stdout
    assert cluster.worker_id in shown.stdout
    assert '"text": "한글"' in shown.stdout
    assert document["status"] == "completed"


def test_show_tells_of_a_failure_in_korean(on_cluster: Zscrape, client: Client) -> None:
    """A failed task shows its error and traceback in the language asked for."""
    task_id = client.run("steps", {"fail": True})["request_id"]

    shown = on_cluster("tasks", "show", task_id, "--lang", "ko")

    assert "상태" in shown.stdout
    assert "실패" in shown.stdout
    assert "예외가 발생했습니다" in shown.stderr
    assert 'File "main.py"' in shown.stderr


def test_show_names_saved_files(on_cluster: Zscrape, client: Client) -> None:
    """What a script saved is listed."""
    task_id = client.run("kept")["request_id"]

    assert "a.txt" in on_cluster("tasks", "show", task_id).stdout


def test_show_tells_how_far_a_running_task_is(on_cluster: Zscrape, client: Client) -> None:
    """A task that runs shows its progress."""
    task_id = client.submit("steps", {"pause_s": 30})["request_id"]
    next(event for event in client.events(task_id) if event.kind == "progress")

    shown = on_cluster("tasks", "show", task_id)

    client.cancel(task_id)
    assert "33 % step 1" in shown.stdout


def test_unknown_task_is_3(on_cluster: Zscrape) -> None:
    """A task that is not known is the caller's to mend."""
    result = on_cluster("tasks", "show", "nope")

    assert result.exit_code == 3
    assert "nope" in result.stderr
    assert on_cluster.json("tasks", "show", "nope", code=3)["error"]["code"] == "not_found"


def test_logs_are_lines(on_cluster: Zscrape, done_id: str) -> None:
    """Logs are lines for people, and JSON lines for machines."""
    told = on_cluster("tasks", "logs", done_id)
    lines = on_cluster("tasks", "logs", done_id, "--json").stdout.splitlines()

    assert "printed line" in told.stdout
    assert "step done  number=3" in told.stdout
    assert [json.loads(line)["message"] for line in lines].count("step done") == 3


def test_followed_logs_end_with_the_task(on_cluster: Zscrape, client: Client) -> None:
    """`--follow` goes on while the task runs and leaves out its items."""
    task_id = client.submit("steps", {"pause_s": 0.1})["request_id"]

    result = on_cluster("tasks", "logs", "--follow", task_id)

    assert result.exit_code == 0
    assert result.stderr.count("step done") == 3
    assert "item" not in result.stderr


def test_cancel_ends_a_task(on_cluster: Zscrape, client: Client) -> None:
    """A running task is ended; cancelling it again is no error."""
    task_id = client.submit("steps", {"pause_s": 30})["request_id"]

    first = on_cluster("tasks", "cancel", task_id)
    again = on_cluster.json("tasks", "cancel", task_id)

    assert first.stdout == f"{task_id}: cancelled\n"
    assert again["tasks"] == [{"request_id": task_id, "status": "cancelled"}]


def test_cancel_of_many_tells_which_failed(on_cluster: Zscrape, done_id: str) -> None:
    """Some failed is 2, all failed is 1, a single unknown one is 3."""
    some = on_cluster("tasks", "cancel", done_id, "nope")
    every = on_cluster("tasks", "cancel", "nope", "nada")
    one = on_cluster("tasks", "cancel", "nope")

    assert (some.exit_code, every.exit_code, one.exit_code) == (2, 1, 3)
    assert "nope" in some.stderr
    codes = [
        task.get("error", {}).get("code")
        for task in on_cluster.json("tasks", "cancel", done_id, "nope", code=2)["tasks"]
    ]
    assert codes == [None, "not_found"]


def test_cancel_by_filter(on_cluster: Zscrape, client: Client) -> None:
    """A filter ends what fits it; nothing selected, and too much, is 3."""
    task_ids = [client.submit("picky")["request_id"] for _ in range(3)]

    limited = on_cluster.json("tasks", "cancel", "--script", "picky", "--limit", "1")
    rest = on_cluster("tasks", "cancel", "--script", "picky", "--status", "queued", "--lang", "ko")
    nothing = on_cluster("tasks", "cancel")
    both = on_cluster("tasks", "cancel", "--all", task_ids[0])

    assert [task["request_id"] for task in limited["tasks"]] == [task_ids[2]]
    assert rest.stdout.split() == [f"{task_ids[1]}:", "취소됨", f"{task_ids[0]}:", "취소됨"]
    assert "취소한 작업: 2개" in rest.stderr
    assert (nothing.exit_code, both.exit_code) == (3, 3)
    assert "--all" in nothing.stderr


def test_retry_does_a_task_again(on_cluster: Zscrape, client: Client, done_id: str) -> None:
    """An ended task is done again as a new one; unknown ones are told."""
    told = on_cluster("tasks", "retry", done_id)
    answer = on_cluster.json("tasks", "retry", done_id, "nope", code=2)

    new_id = told.stdout.split()[1]
    new = client.task(new_id, wait_s=10)
    assert (new["status"], new["retry_of"]) == ("completed", done_id)
    assert answer["tasks"][0]["retried_as"] not in (done_id, new_id)
    assert answer["tasks"][1]["error"]["code"] == "not_found"


def test_explain_says_why_a_task_waits(on_cluster: Zscrape, client: Client) -> None:
    """A task that no worker can run says what is missing."""
    task_id = client.submit("picky")["request_id"]

    told = on_cluster("tasks", "explain", task_id)
    document = on_cluster.json("tasks", "explain", task_id)

    client.cancel(task_id)
    assert "moon" in told.stdout
    assert document["reason"] == "no_matching_worker"


# ---- time ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "moment"),
    [
        ("90s", "2026-02-10T11:58:30+00:00"),
        ("2h", "2026-02-10T10:00:00+00:00"),
        ("7d", "2026-02-03T12:00:00+00:00"),
        ("2026-02-01", "2026-02-01T00:00:00+00:00"),
        ("2026-02-01T09:00:00+09:00", "2026-02-01T00:00:00+00:00"),
    ],
)
def test_since_is_a_span_or_a_moment(since: str, moment: str) -> None:
    """A span counts back from now; a moment without a zone is UTC."""
    assert moment_of(since, NOW) == moment


def test_since_that_is_neither_is_refused() -> None:
    """Anything else is a usage error."""
    with pytest.raises(UsageFault):
        moment_of("yesterday")


@pytest.mark.parametrize(
    ("created_at", "told"),
    [
        ("2026-02-10T11:59:48Z", "12s"),
        ("2026-02-10T11:55:00Z", "5m"),
        ("2026-02-10T09:00:00Z", "3h"),
        ("2026-02-07T12:00:00Z", "3d"),
        ("2026-02-10T12:00:09Z", "0s"),
        (None, ""),
    ],
)
def test_age_is_short(created_at: str | None, told: str) -> None:
    """An age is one number and a unit; a clock ahead of ours is no negative age."""
    assert age(created_at, NOW) == told
