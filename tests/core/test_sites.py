"""Which budget holds for an address, and what is left of it."""

from __future__ import annotations

import pytest

from zscrape.core.sites import Pace, bare_host, pace_of, site_of, strictest
from zscrape.model import SiteBudget


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("example.com", "example.com"),
        ("www.example.com", "example.com"),
        ("shop.example.com", "shop.example.com"),
        ("a.shop.example.com", "shop.example.com"),
        ("example.com:8080", "example.com:8080"),
        ("www.example.com:8080", "example.com"),
        ("badexample.com", None),
        ("example.org", None),
        ("a." * 100 + "example.com", None),
    ],
)
def test_the_longest_name_that_fits_is_the_site(host: str, site: str | None) -> None:
    """A budget holds for all hosts below its name, unless one of a longer name does."""
    names = {"example.com", "shop.example.com", "example.com:8080"}

    assert site_of(host, names) == site


def test_a_port_is_told_from_an_address() -> None:
    """A host without its port is what a site without a budget is called by."""
    hosts = ["a.example:80", "a.example", "[::1]", "[::1]:80"]

    assert [bare_host(each) for each in hosts] == ["a.example", "a.example", "[::1]", "[::1]"]


def test_the_strictest_number_of_each_kind_holds() -> None:
    """Budgets are merged number by number; who says nothing of one has no say in it."""
    merged = strictest(
        [
            SiteBudget(rate_per_s=5.0, concurrency_count=3, burst_count=4),
            SiteBudget(concurrency_count=2, gap_s=1.0),
            SiteBudget(rate_per_s=2.0, burst_count=8, gap_s=0.5),
        ]
    )

    assert merged == SiteBudget(2.0, 2, 4, 1.0)
    assert strictest([SiteBudget(rate_per_s=1.0), SiteBudget(2.0, None, 9)]) == SiteBudget(
        rate_per_s=1.0, burst_count=1
    )
    assert strictest([]) is None


@pytest.mark.parametrize(
    ("budget", "share", "pace"),
    [
        (SiteBudget(rate_per_s=5.0), 1.0, Pace((1, 0.2), (5, 1.0))),
        (SiteBudget(rate_per_s=5.0), 0.5, Pace((1, 0.4), (2, 0.8))),
        (SiteBudget(rate_per_s=0.5, burst_count=4), 1.0, Pace((4, 8.0), (4, 8.0))),
        (SiteBudget(rate_per_s=250.0), 1.0, Pace((1, 0.004), (83, 1 / 3))),
        (SiteBudget(concurrency_count=3, gap_s=1.0), 0.5, Pace(gap_s=2.0, open_count=1)),
        (SiteBudget(concurrency_count=1), 0.1, Pace(open_count=1)),
    ],
)
def test_a_budget_comes_to_counts_in_spans(budget: SiteBudget, share: float, pace: Pace) -> None:
    """Whole rates are kept in every second, and a share of a budget is that much of it."""
    assert pace_of(budget, share) == pace


def test_only_as_much_is_remembered_as_is_counted() -> None:
    """A pace says how many of the last requests it looks at."""
    assert pace_of(SiteBudget(rate_per_s=5.0, burst_count=7), 1.0).remembered_count == 7
    assert pace_of(SiteBudget(concurrency_count=7), 1.0).remembered_count == 1
