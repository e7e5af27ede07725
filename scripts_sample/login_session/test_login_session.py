"""Tests of the sample script login_session."""

from __future__ import annotations

from typing import Any


def test_rows_behind_the_login_are_read(site: str, run_script: Any) -> None:
    """The script logs in and yields the member's orders."""
    ran = run_script("login_session", url=f"{site}/login")

    assert ran.code == "ok", ran.traceback
    assert len(ran.items) == 3
    assert ran.items[0] == {"Date": "2026-03-02", "Product": "메밀차 300g", "Count": "2"}


def test_wrong_password_has_an_outcome_of_its_own(site: str, run_script: Any) -> None:
    """A login that is refused is no mere error of the script."""
    wrong = {"user": "guest", "password": "coffee"}
    ran = run_script("login_session", url=f"{site}/login", account=wrong)

    assert ran.code == "login_expired"
    assert "the login was not accepted" in ran.message
