"""Tests of the sample script captcha_page."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's package chromium"),
]


def test_checkbox_is_clicked_and_what_is_behind_it_read(site: str, run_script: Any) -> None:
    """The page shows its words only after a click that a browser trusts."""
    ran = run_script("captcha_page", url=f"{site}/check")

    assert ran.code == "ok", ran.traceback
    assert ran.data == {"text": "환영합니다. 오늘의 암호는 온기입니다.", "was_challenged": True}
