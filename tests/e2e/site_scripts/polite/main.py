"""Asks one site again and again, as often as it may."""

from __future__ import annotations

from zscrape import Context


def run(url: str, pages: int, *, ctx: Context) -> int:
    """Return how many pages were had."""
    for number in range(pages):
        ctx.http.get(f"{url}/{number}")
    return pages
