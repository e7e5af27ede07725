"""`batch` against a real gateway and worker (manual 2, 3.1, 9)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cluster, Zscrape, clean_environ
from tests.ops.standard import check, report_of, summary_of
from zscrape.client import Client, find_gateway
from zscrape.ops.runlock import RunLock
from zscrape.ops.summary import utc_now


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Client]:
    """A client of the cluster."""
    with Client(find_gateway(home=cluster.home, environ={})) as client:
        yield client


@pytest.fixture
def here(on_cluster: Zscrape, cluster: Cluster, tmp_path: Path) -> Zscrape:
    """The command line with a home of its own, and the cluster named by the environment."""
    gateway = find_gateway(home=cluster.home, environ={})
    on_cluster.environ |= {
        "ZSCRAPE_HOME": str(tmp_path / "home"),
        "ZSCRAPE_URL": gateway.url,
        "ZSCRAPE_API_KEY": gateway.key,
    }
    return on_cluster


def targets(path: Path, *rows: dict[str, Any]) -> Path:
    """Write a file of targets."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def hundred(path: Path) -> Path:
    """100 targets of which 7 fail."""
    return targets(
        path,
        *({"name": f"org:{n}", "fail": n % 15 == 3, "pause": n / 1e5} for n in range(100)),
    )


HUNDRED = ("-p", "count=1", "-p", "fail={fail}", "-p", "pause_s={pause}")


def tasks_of(client: Client, run_id: str) -> list[dict[str, Any]]:
    """Return the tasks of a run."""
    found = [client.task(each["request_id"]) for each in client.tasks(limit=200)["tasks"]]
    return [each for each in found if each["metadata"].get("run_id") == run_id]


def test_manual_3_1_a_hundred_targets_of_which_seven_fail(here: Zscrape, tmp_path: Path) -> None:
    """The others are done, the failed ones are named in both reports, and the code is 2."""
    path = hundred(tmp_path / "t.jsonl")
    files = ["--json-output", "s.json", "--junit-output", "r.xml", "--output", "rows.csv"]

    result = here("batch", "steps", path, *HUNDRED, *files)

    summary, suite = summary_of(tmp_path / "s.json"), report_of(tmp_path / "r.xml")
    counts = [summary[f"{name}_total"] for name in ("targets", "succeeded", "failed", "skipped")]
    failed = {error["target"] for error in summary["errors"]}
    assert result.exit_code == 2, result.output
    assert counts == [100, 93, 7, 0]
    assert failed == {f"org:{n}" for n in range(3, 100, 15)}
    assert all(each["reason"].startswith("script_error: ") for each in summary["errors"])
    assert suite.get("failures") == "7"
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 94
    assert f"zscrape batch --resume {summary['run_id']}" in result.stderr


def test_manual_9_9_gates(here: Zscrape, tmp_path: Path) -> None:
    """Within its gate a run that failed in part is 2, beyond it 1."""
    path = targets(tmp_path / "t.jsonl", {"fail": True}, {"fail": False})

    within = here("batch", "steps", path, "--max-failed", 1)
    beyond = here("batch", "steps", path, "--max-dropped-total", 0)

    assert (within.exit_code, beyond.exit_code) == (2, 1)
    assert "Gate max_failed: 1 is more than 0" in beyond.stderr


def test_retries_are_counted_for_the_ratio(here: Zscrape, tmp_path: Path) -> None:
    """A target whose task took several attempts counts as retried."""
    path = targets(tmp_path / "t.jsonl", *({"good_at": n} for n in (1, 2)))

    told = here.json("batch", "flaky", path, "--max-retry-ratio", 50)
    beyond = here("batch", "flaky", path, "--max-retry-ratio-pct", 49.9)

    assert (told["succeeded_total"], told["retried_total"]) == (2, 1)
    assert beyond.exit_code == 1


def test_fail_fast_begins_nothing_more(here: Zscrape, client: Client, tmp_path: Path) -> None:
    """With one task at a time the second is never begun."""
    path = targets(tmp_path / "t.jsonl", {"fail": True}, *({"count": n} for n in range(1, 5)))

    told = here.json("batch", "steps", path, "--fail-fast", "--concurrency", 1, code=1)

    assert (told["targets_total"], told["processed_total"]) == (5, 1)
    assert len(tasks_of(client, told["run_id"])) == 1


def test_dry_run_changes_nothing(here: Zscrape, client: Client, tmp_path: Path) -> None:
    """Targets and parameters are shown and checked; no task, no file, no lock."""
    path = targets(tmp_path / "t.jsonl", {"count": 1}, {"count": "many"})
    before = client.tasks(limit=1)["tasks"]

    told = here.json("batch", "steps", path, "--dry-run", code=2)
    shown = here("batch", "steps", path, "--dry-run", "--limit", 1)

    check(told)
    assert told["errors"][0]["reason"].startswith("params_invalid: /parameters/count")
    assert "1 tasks of steps would be run" in shown.stderr
    assert client.tasks(limit=1)["tasks"] == before
    assert not (tmp_path / "home").exists()


def test_manual_2_4_second_run_of_the_same_targets_is_3(here: Zscrape, tmp_path: Path) -> None:
    """The scope is the script and its targets, whatever their order."""
    path = targets(tmp_path / "t.jsonl", {"count": 1})
    run_id = here.json("batch", "steps", path)["run_id"]
    log = (tmp_path / "home" / "runs" / run_id / "log.jsonl").read_text()
    scope = json.loads(log.splitlines()[0])["scope"]

    lock = RunLock(tmp_path / "home" / "runs" / "locks", "batch", scope, "r1", utc_now())
    held = here("batch", "steps", path, "--json-output", "s.json")
    other = here("batch", "kept", path, "-p", "name=a{count}")
    lock.release()

    assert held.exit_code == 3
    assert "lock_held" in summary_of(tmp_path / "s.json")["errors"][0]["reason"]
    assert other.exit_code == 0


def test_targets_that_do_not_fit_stop_no_other(here: Zscrape, tmp_path: Path) -> None:
    """Parameters that the gateway refuses are the end of their target alone."""
    path = targets(
        tmp_path / "t.jsonl", {"count": "x"}, {"count": 1}, {"colour": "red"}, {"count": 2}
    )

    told = here.json("batch", "steps", path, code=2)

    assert (told["succeeded_total"], told["failed_total"]) == (2, 2)
    assert all(each["reason"].startswith("params_invalid") for each in told["errors"])


def test_twins_are_run_once(here: Zscrape, client: Client, tmp_path: Path) -> None:
    """The same target twice in one input is one task; the other is skipped."""
    path = targets(tmp_path / "t.jsonl", {"count": 1}, {"count": 1}, {"count": 2})

    told = here.json("batch", "steps", path)

    assert (told["processed_total"], told["skipped_total"]) == (2, 1)
    assert len(tasks_of(client, told["run_id"])) == 2


def test_groups_choose_among_targets(here: Zscrape, tmp_path: Path) -> None:
    """Several groups by commas or by giving the option again; an unknown one is told."""
    path = targets(
        tmp_path / "t.jsonl",
        *({"count": n, "org": org} for n, org in enumerate(["kr", "us", "jp"], 1)),
    )
    command = ("batch", "steps", path, "--group-by", "org")

    both = here.json(*command, "--group", "kr,us")
    again = here.json(*command, "--group", "kr", "--group", "jp", "--group", "us")
    none = here(*command, "--group", "xx")

    assert (both["targets_total"], again["targets_total"]) == (2, 3)
    assert none.exit_code == 3
    assert "There are: jp, kr, us" in none.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Give SCRIPT and TARGETS"),
        (["steps"], "Give SCRIPT and TARGETS"),
        (["steps", "nope.jsonl"], "nope.jsonl"),
        (["nobody", "t.jsonl"], "nobody"),
        (["steps@^9", "t.jsonl"], "^9"),
        (["steps", "t.jsonl", "--pace", "soon"], "--pace soon"),
        (["steps", "t.jsonl", "--pace", "0/s"], "--pace 0/s"),
        (["steps", "t.jsonl", "-p", "count={many}"], "no field many"),
        (["--resume", "20260210T143001Z-8f1c"], "no run 20260210T143001Z-8f1c"),
        (["--resume", "../../etc"], "no run"),
        (["--resume", "20260210T143001Z-8f1c", "--priority", "3"], "--priority"),
        (["steps", "t.jsonl", "--concurrency", "0"], "--concurrency"),
    ],
)
def test_bad_input_is_3(here: Zscrape, tmp_path: Path, arguments: list[str], told: str) -> None:
    """What, where and the next step; nothing is begun."""
    targets(tmp_path / "t.jsonl", {"count": 1})

    result = here("batch", *arguments)

    assert result.exit_code == 3
    assert told in result.stderr


def test_pace_spreads_beginnings(here: Zscrape, tmp_path: Path) -> None:
    """Five tasks at 20 in a second take at least the four gaps between them."""
    path = targets(tmp_path / "t.jsonl", *({"count": n} for n in range(1, 6)))

    told = here.json("batch", "steps", path, "--pace", "20/s")

    assert told["succeeded_total"] == 5
    assert told["duration_ms"] >= 200


def test_time_limit_cancels_what_is_under_way(
    here: Zscrape, client: Client, tmp_path: Path
) -> None:
    """What was begun is ended, what was not stays undone, and the run can be taken up."""
    path = targets(tmp_path / "t.jsonl", *({"pause_s": 30 + n} for n in range(3)))

    told = here.json("batch", "steps", path, "--timeout-sec", 1, code=1)

    assert told["processed_total"] == 0
    assert {each["status"] for each in tasks_of(client, told["run_id"])} == {"cancelled"}


# ---- stopped and taken up ------------------------------------------------------------


def start(here: Zscrape, *arguments: object) -> subprocess.Popen[str]:
    """Start a batch as a process of its own."""
    environ = clean_environ(**{name: value for name, value in here.environ.items() if value})
    return subprocess.Popen(
        [sys.executable, "-m", "zscrape", "batch", *map(str, arguments), "--verbose"],
        env=environ,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def until_ends(process: subprocess.Popen[str], count: int) -> str:
    """Read its log until so many targets have ended; returns the run's id."""
    assert process.stderr is not None
    for line in process.stderr:
        if '"target_ended"' in line:
            count -= 1
            if not count:
                return str(json.loads(line)["run_id"])
    raise AssertionError("it ended too soon")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_run_is_taken_up(
    here: Zscrape, client: Client, tmp_path: Path, number: signal.Signals
) -> None:
    """Whatever ended it: the rest is run once, what was done is not run again."""
    rows = [{"count": 1, "pause_s": 0.1 + n / 1000} for n in range(20)]
    path = targets(tmp_path / "t.jsonl", *rows)
    process = start(here, "steps", path, "--concurrency", 4, "-o", "rows.jsonl")
    with process:
        run_id = until_ends(process, 6)
        process.send_signal(number)
        assert process.stderr is not None
        process.stderr.read()
        code = process.wait(30)

    told = here.json("batch", "--resume", run_id, "-o", "rows.jsonl")

    tasks = tasks_of(client, run_id)
    completed = [json.dumps(each["parameters"]) for each in tasks if each["status"] == "completed"]
    assert code == (-9 if number == signal.SIGKILL else 130)
    assert told["run_id"] == run_id
    assert told["skipped_total"] >= 6
    assert told["skipped_total"] + told["succeeded_total"] == 20
    assert len(completed) == len(set(completed)) == 20
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 20


def test_what_failed_is_tried_again_and_what_is_done_is_not(
    here: Zscrape, client: Client, tmp_path: Path
) -> None:
    """The same input under `--resume` runs the failed ones alone, each as a new task."""
    path = targets(tmp_path / "t.jsonl", {"fail": True}, {"count": 1})
    run_id = here.json("batch", "steps", path, code=2)["run_id"]

    again = here.json("batch", "steps", path, "--resume", run_id, code=1)
    other = targets(tmp_path / "o.jsonl", {"count": 9})
    refused = here("batch", "steps", other, "--resume", run_id)

    assert (again["processed_total"], again["skipped_total"]) == (1, 1)
    assert len(tasks_of(client, run_id)) == 3
    assert refused.exit_code == 3
    assert "other targets" in refused.stderr


def test_manual_6_3_key_never_appears(here: Zscrape, tmp_path: Path) -> None:
    """Neither in what is kept of a run nor in what it writes."""
    key = here.environ["ZSCRAPE_API_KEY"] or ""
    path = targets(tmp_path / "t.jsonl", {"name": key, "zip": "1"})

    here("batch", "kept", path, "--json-output", "s.json", "-p", "zip={zip}")

    kept = [each for each in tmp_path.rglob("*.json*") if each.name not in ("t.jsonl",)]
    told = "".join(each.read_text() for each in kept if "targets" not in each.name)
    assert len(key) > 10
    assert key not in told
    assert (tmp_path / "s.json").exists()
