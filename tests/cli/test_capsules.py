"""`tasks capsule` and `run --replay`: a failed attempt looked at, and done again here."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tests.cli.conftest import Zscrape, write_script


def failed(zscrape: Zscrape, url: str) -> str:
    """Run a script that fails; return its task's id."""
    return str(
        zscrape.json("run", "broken", "-p", f"url={url}", "-p", "token=hush", code=1)["request_id"]
    )


def test_capsule_and_replay(on_cluster: Zscrape, site_url: str, tmp_path: Path) -> None:
    """The capsule is a file, and the replay repeats the failure without the site."""
    task_id = failed(on_cluster, f"{site_url}/")
    path = tmp_path / "c.zip"

    written = on_cluster("tasks", "capsule", task_id, "-o", str(path))
    by_id = on_cluster.json("run", "--replay", task_id, code=1)
    by_file = on_cluster("run", "--replay", str(path))

    assert written.exit_code == 0
    assert "recording.json" in zipfile.ZipFile(path).namelist()
    assert "no price on" in by_id["error"]["message"]
    assert "no price on" in by_file.stderr
    assert "give them with -p: token" in by_file.stderr


def test_edited_script(on_cluster: Zscrape, site_url: str, tmp_path: Path) -> None:
    """A mended script runs on the same answers; what was not asked then is refused."""
    task_id = failed(on_cluster, f"{site_url}/")
    mended = write_script(
        tmp_path,
        "broken",
        "def run(url: str, token: str, ctx):\n    return ctx.http.get(url).status\n",
        kit=["http"],
        network="any",
    )
    ran = on_cluster.json("run", mended, "--replay", task_id)
    refused = on_cluster("run", mended, "--replay", task_id, "-p", f"url={site_url}/other")
    live = on_cluster("run", mended, "--replay", task_id, "--live", "-p", f"url={site_url}/shop")

    assert ran["data"] == 200
    assert refused.exit_code == 1
    assert "is not in the recording" in refused.stderr
    assert live.exit_code == 0, live.stderr


def test_usage(on_cluster: Zscrape, tmp_path: Path) -> None:
    """What does not go together is 3, and so is a capsule that is none."""
    spoilt = tmp_path / "c.zip"
    spoilt.write_bytes(b"no zip")

    assert on_cluster("run").exit_code == 3
    assert on_cluster("run", "steps", "--replay", "t").exit_code == 3
    assert on_cluster("run", "--replay", "t", "--detach").exit_code == 3
    assert on_cluster("run", "steps", "--live").exit_code == 3
    assert on_cluster("run", "--replay", str(spoilt)).exit_code != 0
    assert on_cluster("tasks", "capsule", "unknown").exit_code == 3
