"""Tests of the sample script screenshot_pdf."""

from __future__ import annotations

import base64
import shutil
from typing import Any

import pytest

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's package chromium"),
]


def test_page_is_kept_as_picture_and_document(site: str, run_script: Any) -> None:
    """Both artifacts are what their names say, and the title is the page's."""
    ran = run_script("screenshot_pdf", url=f"{site}/shop")

    assert ran.code == "ok", ran.traceback
    assert ran.data["url"] == f"{site}/shop"
    saved = {each["name"]: base64.b64decode(each["data"]) for each in ran.said("artifact")}
    assert saved["page.png"].startswith(b"\x89PNG")
    assert saved["page.pdf"].startswith(b"%PDF-")
