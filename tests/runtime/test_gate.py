"""The gate of an attempt that has nobody to ask."""

from __future__ import annotations

import time

import pytest

from zscrape.runtime.gate import LocalGate, origin_of


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://A.example/x?y=http://b/#z", "http://a.example"),
        ("https://user:secret@shop.example:8443/", "https://shop.example:8443"),
        ("http://shop.example?q=a@b", "http://shop.example"),
    ],
)
def test_origin_is_scheme_host_and_port(url: str, origin: str) -> None:
    """Neither the path nor the query nor a name and password is part of an origin."""
    assert origin_of(url) == origin


def test_gap_holds_for_its_site_only() -> None:
    """The gap is between the starts of two requests to its site; another need not wait."""
    gate = LocalGate(time.monotonic() + 60)
    gate.wants_gap("http://a.example", 0.2)

    began = time.monotonic()
    gate.before("http://b.example/1")
    gate.before("http://b.example/2")
    gate.before("http://a.example/1")
    gate.before("http://a.example/2")
    took_s = time.monotonic() - began

    assert took_s >= 0.19  # what it waits at least; a slow machine may take longer


def test_gap_never_outlasts_the_attempt() -> None:
    """A gap that is longer than what the attempt has left ends with the attempt."""
    gate = LocalGate(time.monotonic() + 0.05)
    gate.wants_gap("http://a.example", 3600.0)

    gate.before("http://a.example/1")
    gate.before("http://a.example/2")

    assert gate.robots("http://a.example") is None
