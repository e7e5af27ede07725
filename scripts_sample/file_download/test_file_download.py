"""Tests of the sample script file_download."""

from __future__ import annotations

import base64
from typing import Any


def test_the_file_is_kept_as_an_artifact(site: str, run_script: Any) -> None:
    """The artifact has the file's bytes, name and media type."""
    ran = run_script("file_download", url=f"{site}/files/price-list.csv")

    assert ran.code == "ok", ran.traceback
    (artifact,) = ran.said("artifact")
    content = base64.b64decode(artifact["data"]).decode("utf-8-sig")
    assert content.splitlines()[1] == "ujeon-green-tea,우전 녹차 40g,tea,38000,14"
    assert artifact["content_type"] == "text/csv; charset=utf-8"
    assert (ran.data["name"], ran.data["sha256"]) == ("price-list.csv", artifact["sha256"])


def test_another_name_is_made_safe(site: str, run_script: Any) -> None:
    """A name of one's own is used, without what a file name should not have."""
    ran = run_script("file_download", url=f"{site}/files/price-list.csv", name="가격표 2026/05.csv")

    assert ran.data["name"] == "_2026_05.csv"
