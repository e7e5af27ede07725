"""`configs/drill.sh`: a backup of a gateway at work becomes a gateway elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cluster, clean_environ
from zscrape.client import Client, find_gateway

DRILL = Path(__file__).parents[2] / "configs" / "drill.sh"


def drill(home: Path, *arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the drill as a person does, with this very zscrape on the PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", str(DRILL), "--home", str(home), *map(str, arguments)],
        env=clean_environ(PATH=path, **environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )


# Nine commands, each a process of its own.
@pytest.mark.timeout(180)
def test_backup_of_a_running_gateway_starts_elsewhere(cluster: Cluster, tmp_path: Path) -> None:
    """The drill passes while the gateway works, keeps the backup, and leaves the home alone."""
    with Client(find_gateway(home=cluster.home, environ={})) as client:
        task_id = client.run("steps", timeout=30)["request_id"]
        before = sorted(each.name for each in cluster.home.iterdir())

        done = drill(cluster.home, "--keep", tmp_path / "kept", ZSCRAPE_URL="http://127.0.0.1:9")

        assert done.returncode == 0, done.stdout + done.stderr
        assert f"the newest completed task is there: {task_id}" in done.stdout
        assert "drill: passed" in done.stdout
        assert (tmp_path / "kept" / "zscrape.bak").exists()
        assert sorted(each.name for each in cluster.home.iterdir()) == before
        assert client.task(task_id)["status"] == "completed"


def test_home_without_a_gateway_is_refused(tmp_path: Path) -> None:
    """There is nothing to drill, and that is said."""
    done = drill(tmp_path)

    assert done.returncode == 3
    assert "no gateway's database" in done.stderr
