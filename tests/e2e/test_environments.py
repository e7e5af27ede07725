"""A script with requirements, from the manifest through gateway and worker to its data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster
from tests.wheels import make_wheel

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster whose one worker installs from a folder of wheels, and three scripts."""
    for version in ("1.0", "2.0"):
        make_wheel(tmp_path / "links", "thing", version)
    for name, requirements in (
        ("old", "thing==1.0\n"),
        ("new", "thing>=2\n"),
        ("odd", "thing==1.0\nthing==2.0\n"),
    ):
        folder = tmp_path / "scripts" / name
        folder.mkdir(parents=True)
        manifest = {"name": name, "version": "1.0.0", "kit": []}
        (folder / "metadata.json").write_text(json.dumps(manifest))
        (folder / "requirements.txt").write_text(requirements)
        (folder / "main.py").write_text("import thing\ndef run():\n    return thing.VERSION\n")
    settings = {"ZSCRAPE_FIND_LINKS": str(tmp_path / "links"), "ZSCRAPE_OFFLINE": "true"}
    cluster = Cluster(tmp_path, tmp_path / "scripts", settings)
    cluster.start_worker("worker", slots=2)
    yield cluster
    cluster.close()


def scrape(cluster: Cluster, name: str) -> dict[str, Any]:
    """Run a script and return its envelope."""
    answer = cluster.http.post("/scrape", json={"script_name": name})
    envelope: dict[str, Any] = answer.raise_for_status().json()
    return envelope


def test_scripts_bring_what_they_need(shop: Cluster) -> None:
    """Two versions of one library serve two scripts; a conflict is told with the resolver's log."""
    old, new, odd = (scrape(shop, name) for name in ("old", "new", "odd"))
    logs = shop.http.get(f"/v1/tasks/{odd['request_id']}/logs").text

    assert (old["data"], new["data"]) == ("1.0", "2.0")
    assert odd["status"] == "failed"
    assert odd["error"]["code"] == "environment_error"
    assert "thing==1.0 and thing==2.0" in odd["error"]["message"]
    assert "unsatisfiable" in logs
