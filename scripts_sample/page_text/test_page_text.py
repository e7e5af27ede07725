"""Tests of the sample script page_text."""

from __future__ import annotations

from typing import Any


def test_title_headings_text_and_links_are_read(site: str, run_script: Any) -> None:
    """A page gives its title, its headings, its text and its links as absolute addresses."""
    ran = run_script("page_text", url=f"{site}/")

    assert ran.code == "ok", ran.traceback
    assert ran.data["title"].startswith("온기상점")
    assert ran.data["headings"] == ["온기상점 Ongi Store", "Categories", "From the blog"]
    assert "차와 그릇" in ran.data["text"]
    assert f"{site}/shop?category=tea" in ran.data["links"]


def test_links_are_limited(site: str, run_script: Any) -> None:
    """No more links are returned than asked for."""
    ran = run_script("page_text", url=f"{site}/shop", max_links=3)

    assert len(ran.data["links"]) == 3


def test_a_missing_page_fails_with_its_status(site: str, run_script: Any) -> None:
    """A page that does not exist is a failure that names the status."""
    ran = run_script("page_text", url=f"{site}/missing")

    assert ran.code == "script_error"
    assert "404" in ran.message
