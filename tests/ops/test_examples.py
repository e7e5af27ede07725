"""The examples of automation (manual 5, 9.7): read, expanded, parsed, and verified."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from zscrape.cli import main

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "configs" / "operations"
WORKFLOW = ROOT / ".github" / "workflows" / "nightly-batch.yml"
CRON_FIELDS = (r"[\d*/,-]+", r"[\d*/,-]+", r"[\d*/,-]+", r"[\d*/,-]+", r"[\d*/,-]+")


def parse(arguments: list[str]) -> dict[str, Any]:
    """Parse a command line as zscrape would, without running it."""
    command: click.Command = main
    ctx = click.Context(command, info_name="zscrape")
    while isinstance(command, click.Group):
        name, found, arguments = command.resolve_command(ctx, arguments)
        assert found is not None
        command = found
        if isinstance(command, click.Group):
            ctx = click.Context(command, info_name=name, parent=ctx)
    return dict(command.make_context(command.name, arguments, parent=ctx).params)


def expanded(script: str, environ: dict[str, str]) -> Iterator[list[str]]:
    """Run a step's shell with a zscrape that only tells its arguments."""
    tell = "zscrape() { printf '%s\\037' \"$@\" >&3; printf '\\n' >&3; }\n"
    told = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", f"exec 3>&1 >/dev/null\n{tell}{script}"],
        capture_output=True,
        text=True,
        check=True,
        env=environ | {"PATH": "/usr/bin:/bin"},
    )
    for line in told.stdout.splitlines():
        yield line.split("\x1f")[:-1]


@pytest.fixture
def workflow() -> dict[Any, Any]:
    """The workflow of the nightly batch."""
    yaml = pytest.importorskip("yaml")
    loaded: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text())
    return loaded


def test_manual_5_2_workflow_runs_what_there_is(workflow: dict[Any, Any]) -> None:
    """Every step's commands parse, with and without the optional inputs; gates are passed on."""
    environ = {"LIMIT": "10", "MAX_FAILED": "50", "MAX_RETRY_RATIO": "20", "CONCURRENCY": "8"}
    more = {"RESUME": "20260210T143001Z-8f1c", "ALERT": "https://hooks.example/x"}
    steps = [step["run"] for step in workflow["jobs"]["batch"]["steps"] if "run" in step]

    plain = [parse(each) for step in steps for each in expanded(step, environ)]
    full = [parse(each) for step in steps for each in expanded(step, environ | more)]

    assert [len(plain), len(full)] == [3, 3]
    assert (plain[1]["max_failed"], plain[1]["max_retry_ratio_pct"]) == (50, 20)
    assert (plain[1]["resume"], full[1]["resume"]) == (None, more["RESUME"])
    assert full[1]["alert_webhook"] == more["ALERT"]
    assert plain[2]["rounds"] == 2


def test_manual_9_7_workflow_keeps_reports_whatever_happens(workflow: dict[Any, Any]) -> None:
    """Artifacts are uploaded after failures too, and two never overlap."""
    *_, keep = workflow["jobs"]["batch"]["steps"]

    assert keep["if"] == "always()"
    assert "out/" in keep["with"]["path"]
    assert workflow["concurrency"]["cancel-in-progress"] is False


def test_manual_9_9_workflow_lets_partial_failures_pass_within_gates(
    workflow: dict[Any, Any],
) -> None:
    """Exit code 2 goes on, 1 and 3 stop the pipeline."""
    step = next(
        each["run"]
        for each in workflow["jobs"]["batch"]["steps"]
        if "zscrape batch" in each.get("run", "")
    )
    codes = {}
    for code in (0, 1, 2, 3, 130):
        script = f"zscrape() {{ return {code}; }}\n{step}"
        codes[code] = subprocess.run(["bash", "-e", "-c", script], check=False).returncode

    assert {code for code, end in codes.items() if end == 0} == {0, 2}


def test_example_does_not_run_by_itself(workflow: dict[Any, Any]) -> None:
    """It is begun by hand or by another workflow, with the same inputs, and by nothing else."""
    begins = workflow[True]  # YAML 1.1 reads `on` as a truth

    assert set(begins) == {"workflow_call", "workflow_dispatch"}
    assert begins["workflow_call"]["inputs"] == begins["workflow_dispatch"]["inputs"]
    assert set(begins["workflow_dispatch"]["inputs"]) == {"limit", "max_failed", "resume"}


def test_cron_lines_parse() -> None:
    """Five fields, a user, and a command that zscrape knows."""
    lines = (FOLDER / "zscrape.cron").read_text().splitlines()
    entries = [line for line in lines if line and not line.startswith("#") and "=" not in line[:20]]

    for entry in entries:
        *fields, user, command = entry.split(None, 6)
        words = shlex.split(command.partition(" 2>>")[0])
        assert all(re.fullmatch(*pair) for pair in zip(CRON_FIELDS, fields, strict=True))
        assert user == "zscrape"
        assert words[0] == "zscrape"
        assert parse(words[1:])["json_output"] is not None
    assert len(entries) == 4


def read_unit(name: str) -> configparser.ConfigParser:
    """Read a unit of systemd."""
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # names have capitals
    unit.read_string((FOLDER / name).read_text())
    return unit


def test_units_of_systemd_fit_together() -> None:
    """The timer begins the service of its name; its command parses; 2 is no failure."""
    service, timer = read_unit("zscrape-batch.service"), read_unit("zscrape-batch.timer")
    words = shlex.split(service["Service"]["ExecStart"])

    assert parse(words[1:])["max_failed"] == 50
    assert words[0] == "/usr/local/bin/zscrape"
    assert service["Service"]["SuccessExitStatus"] == "2"
    assert timer["Timer"]["Persistent"] == "true"
    assert timer["Install"]["WantedBy"] == "timers.target"


@pytest.mark.system
def test_systemd_verifies_the_units(tmp_path: Path) -> None:
    """Systemd itself finds no fault with the service and its timer."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze: apt-get install systemd")
    units = []
    for name in ("zscrape-batch.service", "zscrape-batch.timer"):
        unit = tmp_path / name
        # It looks whether the program is there, which is installed nowhere yet.
        unit.write_text((FOLDER / name).read_text().replace("/usr/local/bin/zscrape", "/bin/true"))
        units.append(str(unit))

    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (told.returncode, told.stderr) == (0, "")


@pytest.mark.system
def test_systemd_reads_the_calendar() -> None:
    """Systemd itself understands when the timer is due."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze: apt-get install systemd")
    moment = read_unit("zscrape-batch.timer")["Timer"]["OnCalendar"]

    told = subprocess.run(
        ["systemd-analyze", "calendar", moment], capture_output=True, text=True, check=True
    )

    assert "Next elapse" in told.stdout
