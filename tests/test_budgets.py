"""How budgets of sites are written."""

from __future__ import annotations

import pytest

from zscrape.budgets import rate_per_s, rate_text, site_name


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Example.COM.", "example.com"),
        ("example.com:8080", "example.com:8080"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]:8000", "[::1]:8000"),
        ("백.example", "xn--3h3b.example"),
        ("*", "*"),
        ("", None),
        ("a b", None),
        ("https://example.com/", None),
        ("-x.example", None),
        ("가" * 80, None),
        ("x." * 200, None),
    ],
)
def test_a_site_is_a_host_name(given: str, name: str | None) -> None:
    """Names are compared in one spelling; what is no host name is none."""
    assert site_name(given) == name


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("2/s", "2/s"),
        ("0.5 / s", "30/min"),
        ("30/m", "30/min"),
        ("90/min", "1.5/s"),
        ("10/h", "10/h"),
        ("0.5/h", "0.5/h"),
    ],
)
def test_a_rate_is_read_and_told(given: str, told: str) -> None:
    """A rate is told in the unit in which people would say it."""
    per_s = rate_per_s(given)

    assert per_s is not None
    assert rate_text(per_s) == told
    assert rate_per_s(told) == pytest.approx(per_s)


@pytest.mark.parametrize("given", ["", "fast", "0/s", "2", "2/d", "-1/s", "1e3/s"])
def test_what_is_no_rate_is_none(given: str) -> None:
    """A rate has a number above zero and a unit."""
    assert rate_per_s(given) is None
