"""Mistyped names."""

from __future__ import annotations

from zscrape.spelling import most_like, nearest


def test_nearest_is_a_likely_name() -> None:
    """A slip of the finger is mended; a name that is like none is left alone."""
    assert nearest("prce_watch", ("steps", "price_watch")) == "price_watch"
    assert nearest("xyz", ("steps", "price_watch")) == ""


def test_most_like_always_answers() -> None:
    """Where one of a few names must be meant, the best guess is told."""
    assert most_like("xyz", ("steps", "lazy")) == "lazy"
    assert most_like("xyz", ()) == ""


def test_endless_name_is_cut() -> None:
    """A name of a megabyte costs no more than one of a line."""
    assert nearest("x" * 1_000_000, ("x" * 128,)) == "x" * 128
