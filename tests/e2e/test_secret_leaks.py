"""Nothing that a cluster keeps or tells has a secret in it, whatever a script lets slip.

Everything below the test's folder is searched, and every answer of the HTTP API: what is kept
or told in a new place is searched as well, without a word here.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zipfile import ZipFile

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.conftest import SCRIPTS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

VALUES = {"shop.password": 'p"a55/wörd of the=shop', "api_token": "tok_4f9a8b7c6d5e4f3a2b1c"}
# It goes everywhere that the secrets go and is none: where it is found, the search has looked.
MARK = "PLAINMARK7"
WAYS = (
    *("output", "children", "files", "items", "errors", "groups", "loops", "failing"),
    *("leaving", "results", "asking", "dying"),
)


def forms() -> Iterator[bytes]:
    """Yield how the values might stand somewhere, by themselves or inside of something."""
    for value in VALUES.values():
        raw = value.encode()
        texts = {value, json.dumps(value)[1:-1], repr(value)[1:-1], quote(value), quote(value, "")}
        yield from (text.encode() for text in texts)
        yield from (raw.hex().encode(), value.encode("utf-16-le"))
        for start in range(3):  # wherever it begins in what base64 puts into four letters
            told = base64.b64encode(b"\0" * start + raw)
            yield told[(0, 2, 3)[start] + 2 : -4]


def zscrape(home: Path, *arguments: str, stdin: str = "") -> str:
    """Run the command line on the gateway's machine; returns all that it says."""
    told = subprocess.run(
        [sys.executable, "-m", "zscrape", *arguments, "--home", str(home)],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return told.stdout + told.stderr


def readable(cluster: Cluster, task_ids: list[str]) -> Iterator[str]:
    """Yield every path that can be read, for each task, as the gateway's own document has them."""
    names = {
        "name": ("telltale", "page.bin", "typed.txt", "--------.txt"),
        "key": ("cursor", "key ********"),
        "task_id": task_ids,
        "worker_id": ("none",),
    }
    for path, operations in cluster.http.get("/openapi.json").json()["paths"].items():
        if "get" in operations and not path.startswith("/login"):
            yield from _filled(path, names)


def _filled(path: str, names: dict[str, Any]) -> Iterator[str]:
    before, _, rest = path.partition("{")
    if not rest:
        yield path
        return
    name, _, after = rest.partition("}")
    for value in names.get(name, ("none",)):
        yield from _filled(before + quote(value, "") + after, names)


def answers(cluster: Cluster, task_ids: list[str]) -> dict[str, bytes]:
    """Return everything that the gateway tells, by its path; streams end as their tasks have."""
    found = {}
    for path in readable(cluster, task_ids):
        with cluster.http.stream("GET", path) as answer:
            found[path] = answer.read()
            found[f"headers of {path}"] = str(answer.headers).encode()
    for form in ("json", "jsonl", "csv", "xlsx"):
        for task_id in task_ids:
            path = f"/v1/tasks/{task_id}/items?format={form}"
            found[path] = cluster.http.get(path).content
    return found


def unpacked(found: dict[str, bytes]) -> dict[str, bytes]:
    """Return what stands in archives (capsules, tables) among these, each file by itself."""
    inside: dict[str, bytes] = {}
    for where, raw in found.items():
        if raw.startswith(b"PK\x03\x04"):
            with ZipFile(BytesIO(raw)) as archive:
                inside |= {f"{where} {name}": archive.read(name) for name in archive.namelist()}
    return inside


def test_no_secret_is_kept_or_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Not in answers, events, logs, summaries, errors, file names or a byte of any file."""
    cluster = Cluster(tmp_path, SCRIPTS, {"ZSCRAPE_MAX_WAIT_S": "1"})  # of endless streams
    home = tmp_path / "gateway"
    said = []
    try:
        cluster.start_worker("one", slots=2)
        for name, value in VALUES.items():
            given = ("secrets", "set", name, "--script", "telltale")
            said.append(zscrape(home, *given, stdin=value + "\n"))
        envelopes = {}
        for way in WAYS:
            parameters = {"way": way, "mark": MARK}
            body = {"script_name": "telltale", "parameters": parameters, "retry": {"max": 0}}
            envelopes[way] = cluster.http.post("/scrape", json=body).json()
        rows = [{"way": way, "mark": MARK} for way in ("errors", "failing", "items")]
        targets = tmp_path / "targets.jsonl"
        targets.write_text("".join(json.dumps(row) + "\n" for row in rows))
        summary = ("--json-output", str(tmp_path / "summary.json"))
        junit = ("--junit-output", str(tmp_path / "junit.xml"))
        output = ("--output", str(tmp_path / "rows.jsonl"))
        said.append(zscrape(home, "batch", "telltale", str(targets), *summary, *junit, *output))
        said.append(zscrape(home, "run", "telltale", "-p", "way=errors", "-p", f"mark={MARK}"))
        tasks = cluster.http.get("/v1/tasks", params={"limit": 100}).json()["tasks"]
        told = answers(cluster, [task["request_id"] for task in tasks])
        alive = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    finally:
        cluster.close()

    output_text = capfd.readouterr()
    searched: dict[str, bytes] = {f"while it runs: {path}": raw for path, raw in alive.items()}
    for path in tmp_path.rglob("*"):
        searched[f"name: {path}"] = str(path).encode()
        if path.is_file():
            searched[str(path)] = path.read_bytes()
    searched |= told
    searched |= {f"command {place}": text.encode() for place, text in enumerate(said)}
    searched["stdout"], searched["stderr"] = output_text.out.encode(), output_text.err.encode()
    searched |= unpacked(searched)
    leaks = [
        (where, raw[max(0, raw.find(form) - 80) : raw.find(form) + 80])
        for where, raw in searched.items()
        for form in forms()
        if form in raw
    ]
    seen = {where for where, raw in searched.items() if MARK.encode() in raw}
    ended = {way: (each["error"] or {}).get("code", "ok") for way, each in envelopes.items()}
    assert ended == {
        **dict.fromkeys(("output", "children", "files", "items"), "ok"),
        **dict.fromkeys(("errors", "groups", "loops", "leaving"), "script_error"),
        "failing": "blocked",
        "results": "result_invalid",
        "dying": "crashed",
        "asking": "script_error",
    }
    assert leaks == []
    assert {str(home / "zscrape.db"), str(tmp_path / "summary.json")} <= seen
    assert "/v1/handoffs" in seen
    assert any("/capsule " in where for where in seen)
    del envelopes["asking"]  # it says nothing but its question
    for way, envelope in envelopes.items():
        parts = ("logs", "result", "items", "events", "artifacts/page.bin")
        assert any(f"/v1/tasks/{envelope['request_id']}/{part}" in seen for part in parts), way
