"""Modules that are loaded at their first use."""

from __future__ import annotations

import sys

import pytest

from zscrape.onuse import on_use


def test_a_module_is_loaded_at_its_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """To name it loads nothing; what is used of it is the module's own."""
    named = on_use("colorsys")
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)

    assert "colorsys" not in sys.modules
    assert named.rgb_to_hls is sys.modules["colorsys"].rgb_to_hls


def test_what_a_module_does_not_have() -> None:
    """It is told as the module itself tells it."""
    named = on_use("colorsys")

    with pytest.raises(AttributeError, match="colorsys"):
        _ = named.nothing
