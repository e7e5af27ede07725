"""The pool of proxies by itself."""

from __future__ import annotations

import pytest

from zscrape.runtime import proxies
from zscrape.runtime.proxies import Proxies, ProxyError


def pool(*lines: str) -> Proxies:
    """Return a pool as a secret's lines make it."""
    made = Proxies()
    made.add_lines("\n".join(lines))
    return made


def chosen(made: Proxies, host: str = "shop.example") -> str:
    """Return the name of the next one."""
    found = made.choose(host)
    return "" if found is None else found.name


def test_proxies_take_turns_within_a_tier() -> None:
    """The one that has rested longest is next; a higher tier waits."""
    made = pool("http://a:1", "http://b:1", "http://home:1 tier=1")

    assert [chosen(made) for _ in range(4)] == ["a:1", "b:1", "a:1", "b:1"]


def test_failed_proxy_rests_and_a_higher_tier_steps_in() -> None:
    """With every cheap one resting the dear one is taken; when it works it has a clean slate."""
    made = pool("http://a:1", "http://home:1 tier=1")
    first = made.choose("shop.example")
    assert first is not None
    made.failed(first)

    assert chosen(made) == "home:1"
    made.worked(first)
    assert (chosen(made), first.failure_count) == ("a:1", 0)


def test_all_resting_is_no_reason_to_go_directly() -> None:
    """When all rest, the one whose rest ends first is taken: never the own address."""
    made = pool("http://a:1", "http://b:1")
    for _ in range(2):
        found = made.choose("shop.example")
        assert found is not None
        made.failed(found)

    assert chosen(made) == "a:1"


def test_refusal_counts_for_its_site_only() -> None:
    """One that a site has refused is still good for others; the last one has no successor."""
    made = pool("http://a:1", "http://b:1")
    first, second = made.choose("shop.example"), made.choose("shop.example")
    assert first is not None
    assert second is not None

    assert made.refused(first, "shop.example")
    assert not made.refused(second, "shop.example")
    assert chosen(made, "other.example") in ("a:1", "b:1")


def test_proxy_may_be_for_some_sites() -> None:
    """A proxy with sites serves these and what is below them; others go directly."""
    made = pool("# ours", "", "http://a:1 sites=shop.example,b.example")

    assert chosen(made, "www.shop.example") == "a:1"
    assert chosen(made, "workshop.example") == ""


@pytest.mark.parametrize(
    "line",
    ["a:1", "ftp://a:1", "http://", "http://a:x", "http://a:1 tier=x", "http://a:1 speed=2"],
)
def test_line_that_is_no_proxy_is_told_without_its_text(line: str) -> None:
    """The number of the line is told and what belongs there; never a password."""
    with pytest.raises(ProxyError, match="line 2") as caught:
        pool("http://fine:1", line.replace("http://a", "http://me:hidden@a"))

    assert "hidden" not in str(caught.value)


def test_name_and_text_of_a_proxy_have_no_password() -> None:
    """What is shown of a proxy is where it is."""
    made = pool("http://me:hidden@a:1")
    found = made.choose("shop.example")

    assert repr(found) == "Proxy(a:1, tier=0)"
    assert proxies.address_of(" http://a:1 ") == "http://a:1"
