"""Tests of the sample script infinite_scroll."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's package chromium"),
]


def test_whole_list_is_read(site: str, run_script: Any) -> None:
    """All sixty items come, though the page has twelve at first."""
    ran = run_script("infinite_scroll", url=f"{site}/live")

    assert ran.code == "ok", ran.traceback
    assert len(ran.items) == 60
    assert ran.items[0] == {"name": "우전 녹차 40g", "price": "38,000원"}
