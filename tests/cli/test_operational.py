"""The standard of operational verbs on the command line: options, exit codes, files."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from tests.cli.conftest import STEPS, Zscrape, write_script
from tests.ops.standard import check, report_of, summary_of
from zscrape.cli.operational import operational
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import Family, home_option
from zscrape.client import ClientError
from zscrape.ops.operation import Operation
from zscrape.ops.runlock import RunLock
from zscrape.ops.summary import utc_now

Body = Callable[[Operation], None]


def run(body: Body, home: Path, *arguments: object) -> Result:
    """Run a verb with this body as the command line would."""

    @operational("it", home_option(), help_key="cli.run")
    def it(terminal: Terminal, operation: Operation, *, home: Path) -> dict[str, Any]:
        body(operation)
        return {"more": 1}

    class One(Family):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            return it

    family = One("zscrape", help="cli.zscrape", lazy={"it": ""})
    given = ["it", "--home", str(home), *map(str, arguments)]
    return CliRunner(env={"LANG": "C.UTF-8"}).invoke(family, given)


def ends(*fates: str) -> Body:
    """Return a body whose targets end so."""

    def body(operation: Operation) -> None:
        operation.begin("all")
        for number, fate in enumerate(operation.chosen(fates)):
            if operation.stops:
                return
            operation.end(f"t{number}", fate, "" if fate == "succeeded" else "odd: why")  # type: ignore[arg-type]

    return body


def hit(number: int) -> Body:
    """Return a body that gets a signal after its first target."""

    def body(operation: Operation) -> None:
        operation.begin("all")
        operation.summary.targets_total = 2
        operation.end("t0")
        os.kill(os.getpid(), number)
        operation.end("t1")

    return body


def lose(operation: Operation) -> None:
    """Fail as a whole."""
    operation.begin("all")
    raise ClientError("gateway_unreachable", "no answer from the gateway")


@pytest.mark.parametrize(
    ("body", "arguments", "code"),
    [
        (ends(), [], 0),
        (ends("succeeded"), [], 0),
        (ends("succeeded", "skipped"), [], 0),
        (ends("failed", "failed"), [], 1),
        (ends("succeeded", "failed"), [], 2),
        (ends("failed", "succeeded"), ["--fail-fast"], 1),
        (ends("succeeded", "failed"), ["--max-failed", 1], 2),
        (ends("succeeded", "failed"), ["--max-failed", 0], 1),
        (ends("succeeded", "failed"), ["--max-dropped-total", 0], 1),
        (ends("succeeded"), ["--max-retry-ratio-pct", 0], 0),
        (ends("succeeded", "succeeded"), ["--timeout-sec", 1e-9], 1),
        (hit(signal.SIGINT), [], 130),
        (hit(signal.SIGTERM), [], 130),
        (lose, [], 1),
        (ends(), ["--limit", 0], 3),
        (ends(), ["--no-such"], 3),
    ],
)
def test_manual_2_2_exit_codes(
    body: Body, arguments: list[object], code: int, tmp_path: Path
) -> None:
    """0 all, 1 fatal or all failed or a gate, 2 some, 3 bad input, 130 interrupted."""
    assert run(body, tmp_path, *arguments).exit_code == code


def test_manual_2_1_files_are_written_whatever_the_end(tmp_path: Path) -> None:
    """Summary and report are there after a run that was interrupted, or failed as a whole."""
    paths = [tmp_path / "s.json", tmp_path / "r.xml"]
    arguments = ["--json-output", paths[0], "--junit-output", paths[1]]

    run(hit(signal.SIGTERM), tmp_path, *arguments)
    stopped, report = summary_of(paths[0]), report_of(paths[1])
    run(lose, tmp_path, *arguments)
    lost = summary_of(paths[0])

    assert (stopped["processed_total"], stopped["warnings"]) == (1, ["The run was interrupted."])
    assert [case.get("name") for case in report.findall("testcase")] == ["t0", "(not reached)"]
    assert lost["errors"][0]["target"] == "it"
    assert lost["errors"][0]["reason"].startswith("gateway_unreachable: ")


def test_json_is_the_summary_and_what_the_verb_adds(tmp_path: Path) -> None:
    """Standard output is one document with the fields of the schema; the log is elsewhere."""
    result = run(ends("succeeded", "failed"), tmp_path, "--json")

    document = json.loads(result.stdout)
    check(document)
    assert document["more"] == 1
    assert [json.loads(line)["event"] for line in result.stderr.splitlines()] == [
        "run_started",
        "target_ended",
        "run_ended",
    ]


def test_second_run_with_the_lock_held_is_3(tmp_path: Path) -> None:
    """Nothing was begun; who holds the lock is told, in the files too."""
    lock = RunLock(tmp_path / "runs" / "locks", "it", "all", "20260210T143001Z-8f1c", utc_now())
    told = run(ends("succeeded"), tmp_path, "--json", "--json-output", tmp_path / "s.json")
    lock.release()
    free = run(ends("succeeded"), tmp_path)

    assert told.exit_code == 3
    assert json.loads(told.stdout)["error"]["code"] == "lock_held"
    assert "20260210T143001Z-8f1c" in summary_of(tmp_path / "s.json")["errors"][0]["reason"]
    assert free.exit_code == 0


def test_output_that_cannot_be_written_is_3(tmp_path: Path) -> None:
    """The path and the reason are told."""
    (tmp_path / "file").touch()

    result = run(ends("succeeded"), tmp_path, "--json-output", tmp_path / "file" / "s.json")

    assert result.exit_code == 3
    assert "file/s.json" in result.stderr


def test_verify_keeps_the_standard(zscrape: Zscrape, tmp_path: Path) -> None:
    """`scripts verify`: summary, report, `--fail-fast`, and 2 for some."""
    bad = {"checksums": {"main.py": "sha256:" + "0" * 64}}
    damaged = write_script(tmp_path / "work", "damaged", STEPS, **bad)
    good = write_script(tmp_path / "work", "good", STEPS)
    files = ["--json-output", "s.json", "--junit-output", "r.xml"]

    some = zscrape("scripts", "verify", damaged, good, *files)
    summary, suite = summary_of(tmp_path / "s.json"), report_of(tmp_path / "r.xml")
    fast = zscrape("scripts", "verify", damaged, good, "--fail-fast", *files)

    assert (some.exit_code, fast.exit_code) == (2, 1)
    assert summary["script"] == "scripts verify"
    assert [each["target"] for each in summary["errors"]] == ["damaged"]
    assert suite.get("failures") == "1"
    assert summary_of(tmp_path / "s.json")["targets_total"] == 1


def test_cleanup_keeps_the_standard(zscrape: Zscrape, tmp_path: Path) -> None:
    """`scripts cleanup`: `--limit` bounds what goes, `--dry-run` removes nothing."""
    for number in range(3):
        script = write_script(tmp_path / "work", f"s{number}", STEPS + f"# {number}\n")
        zscrape("run", script, "-p", "count=1")
    for mark in (tmp_path / "home" / "cache" / "used").iterdir():
        os.utime(mark, (0, 0))

    would = zscrape.json("scripts", "cleanup", "--dry-run", "--limit", 2)
    done = zscrape.json("scripts", "cleanup", "--limit", 2)
    left = zscrape.json("scripts", "cleanup")

    check(would)
    assert (would["dry_run"], would["succeeded_total"]) == (True, 2)
    assert (done["succeeded_total"], done["kept_count"]) == (2, 1)
    assert (left["succeeded_total"], left["kept_count"]) == (1, 0)
