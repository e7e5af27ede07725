"""`keys`, `audit` and `dashboard` against a real gateway."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Cluster, Zscrape


def test_a_key_from_its_making_to_its_end(on_cluster: Zscrape, cluster: Cluster) -> None:
    """Standard output has the key alone; it does what it is for, until it is revoked."""
    made = on_cluster("keys", "create", "--name", "n", "--script", "ste*", "--expires-in", "12h")
    key = made.stdout.strip()
    keys = on_cluster.json("keys", "list")["keys"]
    (known,) = [each for each in keys if key.startswith(each.get("prefix", "-"))]
    table = on_cluster("keys", "list", "--lang", "en").stdout

    ran = on_cluster("run", "steps", "--key", key)
    other = on_cluster("run", "big", "--key", key, "--lang", "en")
    workers = on_cluster("workers", "list", "--key", key, "--lang", "ko")
    revoked = on_cluster.json("keys", "revoke", known["id"])
    after = on_cluster("run", "steps", "--key", key, "--lang", "en")

    assert made.stdout.startswith("zs_")
    assert (known["scopes"], known["scripts"], known["name"]) == (["run"], ["ste*"], "n")
    assert known["expires_at"] is not None
    assert known["id"] in table
    assert key not in table
    assert ran.exit_code == 0
    assert (other.exit_code, workers.exit_code, after.exit_code) == (3, 3, 3)
    assert "may not use big" in other.stderr
    assert "`read` 권한이 없습니다" in workers.stderr
    assert revoked["status"] == "revoked"
    assert "revoked" in after.stderr


@pytest.mark.parametrize("span", ["90", "0d", "1y", "-1d", "d"])
def test_spans_that_are_none(on_cluster: Zscrape, span: str) -> None:
    """A life that cannot be read is a usage error, and no key is made."""
    refused = on_cluster("keys", "create", f"--expires-in={span}", "--lang", "en")

    assert refused.exit_code == 3
    assert "expected a span" in refused.stderr


def test_the_audit_is_listed_and_exported(on_cluster: Zscrape, tmp_path: Path) -> None:
    """What was done is shown, filtered, and written whole as lines or as a table."""
    made = on_cluster.json("keys", "create", "--scope", "read", "--scope", "run")
    on_cluster("keys", "revoke", made["id"])
    file = tmp_path / "audit.csv"

    listed = on_cluster.json("audit", "list", "--action", "keys.create", "--limit", "1")
    shown = on_cluster("audit", "list", "--since", "1h").stdout
    nothing = on_cluster("audit", "list", "--actor", "nobody", "--lang", "en")
    lines = on_cluster("audit", "export", "--action", "keys.revoke").stdout.splitlines()
    written = on_cluster.json("audit", "export", "-o", str(file))
    rows = list(csv.DictReader(io.StringIO(file.read_text())))

    assert [line["target"] for line in listed["audit"]] == [made["id"]]
    assert "keys.revoke" in shown
    assert "Nothing" in nothing.stderr
    assert made["id"] in {json.loads(line)["target"] for line in lines}
    assert written["format"] == "csv"
    assert {"keys.create", "keys.revoke"} <= {row["action"] for row in rows}


def test_dashboard_prints_a_link_that_signs_in(on_cluster: Zscrape) -> None:
    """The link alone stands on standard output; a browser is signed in by it, once."""
    link = on_cluster("dashboard").stdout.strip()
    told = on_cluster.json("dashboard")

    with httpx.Client(trust_env=False, headers={"Accept-Language": "en"}) as browser:
        page = browser.get(link, follow_redirects=True)
        again = browser.get(link)

    assert (page.status_code, page.history[0].status_code) == (200, 303)
    assert any(name.startswith("zscrape_") for name in browser.cookies)
    assert again.status_code == 410
    assert told["url"].endswith(told["path"])
    assert told["url"] != link
