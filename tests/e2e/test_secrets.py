"""Secrets of a whole cluster: set by the command line, given to one attempt, found nowhere."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster

pytestmark = pytest.mark.e2e

VALUES = {"shop.password": "Pa55/wörd-of+the=shop", "api_token": "tok_4f9a8b7c6d5e4f3a2b1c"}


def zscrape(home: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command line on the gateway's machine."""
    return subprocess.run(
        [sys.executable, "-m", "zscrape", *arguments, "--home", str(home)],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def scrape(cluster: Cluster, how: str) -> Any:
    """Run the script that tells its secrets."""
    body = {"script_name": "secretive", "parameters": {"how": how}}
    return cluster.http.post("/scrape", json=body).json()


def forms() -> list[bytes]:
    """Return how the values might stand somewhere."""
    found = []
    for value in VALUES.values():
        raw = value.encode()
        found += [raw, raw.hex().encode(), base64.b64encode(raw).rstrip(b"=")[:-1]]
    return found


def test_secrets_are_found_nowhere_after_a_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Answers, errors, events, logs, items, files, the database and both processes have none."""
    cluster = Cluster(tmp_path, Path(__file__).parent / "scripts")
    home = tmp_path / "gateway"
    try:
        cluster.start_worker("one", slots=2)
        before = scrape(cluster, "say")
        for name, value in VALUES.items():
            told = zscrape(home, "secrets", "set", name, "--script", "secret*", stdin=value + "\n")
            assert told.returncode == 0, told.stderr
        listed = zscrape(home, "secrets", "list")
        envelopes = {how: scrape(cluster, how) for how in ("say", "raise", "fail", "number")}
        seen = [listed.stdout, str(before), str(envelopes)]
        for envelope in envelopes.values():
            path = f"/v1/tasks/{envelope['request_id']}"
            for part in ("", "/logs", "/items", "/result", "/artifacts/page.html", "/explain"):
                seen.append(cluster.http.get(path + part).text)
            headers = {"Accept": "text/event-stream"}
            seen.append(cluster.http.get(path + "/events", headers=headers).text)
        seen.append(cluster.http.get("/v1/secrets").text)
        backup = zscrape(home, "backup", str(tmp_path / "copy.db"))
        removed = zscrape(home, "secrets", "remove", "api_token")
        after = scrape(cluster, "say")
    finally:
        cluster.close()

    output = capfd.readouterr()
    files = {
        path: path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file() and path.name != "main.py"
    }
    everything = "\n".join((*seen, output.out, output.err)).encode() + b"".join(files.values())
    assert before["error"]["code"] == after["error"]["code"] == "secret_denied"
    assert envelopes["say"]["data"] == {"password": "********", "token": ["********"]}
    assert envelopes["raise"]["error"]["code"] == "script_error"
    assert "********" in envelopes["raise"]["error"]["message"]
    assert "shop.password" in listed.stdout
    assert "secrets.key" in backup.stdout
    assert removed.returncode == 0
    assert home / "zscrape.db" in files
    assert [form for form in forms() if form in everything] == []


def test_a_gateway_with_an_open_key_does_not_start(cluster: Cluster, tmp_path: Path) -> None:
    """A key that others can read is refused at the start, with the command that mends it."""
    home = tmp_path / "gateway"
    zscrape(home, "secrets", "set", "api_token", stdin=VALUES["api_token"])
    cluster.kill_gateway()
    (home / "secrets.key").chmod(0o644)
    refused = zscrape(home, "gateway", "--http", "127.0.0.1:0", "--link", "tcp://127.0.0.1:0")

    assert refused.returncode == 3
    assert "chmod 600" in refused.stderr
