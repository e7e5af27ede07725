"""`demo`: everything once, offline, and nothing left behind."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import Zscrape, clean_environ
from zscrape.client import Client, find_gateway
from zscrape.ops.demo import browser_steps, steps


def test_demo_runs_every_sample_and_shows_its_rows(zscrape: Zscrape) -> None:
    """Each sample runs through HTTP, its rows are shown, and the exit code is 0."""
    zscrape.environ["ZSCRAPE_URL"] = "http://127.0.0.1:1"  # somebody's real cluster: not touched

    result = zscrape("demo", "--lang", "ko")

    assert result.exit_code == 0, result.output
    for step in steps(""):
        assert step.script in result.stdout
    assert "우전 녹차 40g" in result.stdout
    assert f"스크립트 {len(steps(''))}개를 HTTP로" in result.stdout


def test_demo_for_machines_is_json_lines(zscrape: Zscrape) -> None:
    """`--json` brings one envelope a line, then the count."""
    result = zscrape("demo", "--json")

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert [line["script_name"] for line in lines[:-1]] == [step.script for step in steps("")]
    assert {line["status"] for line in lines[:-1]} == {"completed"}
    assert lines[-1] == {"event": "done", "count": len(steps("")), "failed_count": 0}


@pytest.mark.system
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's package chromium")
@pytest.mark.timeout(180)  # every sample, with browsers among them
def test_demo_with_a_browser_runs_those_samples_too(zscrape: Zscrape) -> None:
    """With `--browser` the samples that need Chromium come behind the others."""
    result = zscrape("demo", "--browser", "--json")

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    names = [step.script for step in [*steps(""), *browser_steps("")]]
    assert result.exit_code == 0, result.output
    assert [line["script_name"] for line in lines[:-1]] == names
    assert {line["status"] for line in lines[:-1]} == {"completed"}


def test_kept_demo_stays_until_it_is_told_to_end(tmp_path: Path) -> None:
    """`--keep` leaves the cluster up for other terminals; then everything ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "zscrape", "demo", "--keep", "--json"],
        env=clean_environ(TMPDIR=str(tmp_path)),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    ready = next(said for said in map(json.loads, process.stdout) if said["event"] == "ready")
    with Client(find_gateway(home=Path(ready["home"]), environ={})) as client:
        status = client.run("noop", {"a": 1})["status"]
    family = psutil.Process(process.pid).children(recursive=True)

    process.send_signal(signal.SIGINT)

    process.stdout.read()
    process.stdout.close()
    assert process.wait(timeout=30) == 0
    assert status == "completed"
    _, alive = psutil.wait_procs(family, timeout=30)
    assert (alive, list(tmp_path.iterdir())) == ([], [])
