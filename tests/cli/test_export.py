"""`tasks export` against a real gateway."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Cluster, Zscrape
from zscrape.client import Client, find_gateway


@pytest.fixture
def failed_id(cluster: Cluster) -> Iterator[str]:
    """The id of a task that has failed."""
    with Client(find_gateway(home=cluster.home, environ={})) as client:
        yield str(client.run("steps", {"fail": True})["request_id"])


def test_lines_to_standard_output(on_cluster: Zscrape, failed_id: str) -> None:
    """Each task is a JSON line, the newest first."""
    result = on_cluster("tasks", "export", "--status", "failed", "--limit", "1")

    [task] = [json.loads(line) for line in result.stdout.splitlines()]
    assert task["request_id"] == failed_id
    assert 'File "main.py"' in task["error"]["traceback"]


def test_table_to_a_file(on_cluster: Zscrape, failed_id: str, tmp_path: Path) -> None:
    """The file's ending chooses the format; nothing but the file is left."""
    path = tmp_path / "out" / "tasks.csv"
    path.parent.mkdir()

    result = on_cluster("tasks", "export", "-o", path, "--script", "steps", "--since", "1h")
    document = on_cluster.json("tasks", "export", "-o", path, "--data")

    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert result.exit_code == 0
    assert str(path) in result.stderr
    assert rows[0]["request_id"] == failed_id
    assert "data" in rows[0]
    assert document["size_bytes"] == path.stat().st_size
    assert list(path.parent.iterdir()) == [path]


def test_file_that_cannot_be_written(on_cluster: Zscrape, tmp_path: Path) -> None:
    """A folder that is not there is told, with the name."""
    result = on_cluster("tasks", "export", "-o", tmp_path / "no" / "tasks.csv")

    assert result.exit_code == 3
    assert "tasks.csv" in result.stderr
