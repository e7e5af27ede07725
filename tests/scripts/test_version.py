"""Versions and requests for them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, strategies as st

from zscrape.errors.scripts import VersionInvalid
from zscrape.scripts.version import VersionRequest, newest_first, parse_version

# SemVer 2.0.0, section 11, in ascending order.
SPEC_ORDER = [
    ["1.0.0", "2.0.0", "2.1.0", "2.1.1"],
    [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
    ],
    ["1.9.0", "1.10.0", "1.11.0"],
]

# (range, version, does npm's semver 7 say that it fits)
NPM_TRUTH = [
    ("^1.2.3", "1.2.3", True),
    ("^1.2.3", "1.9.0", True),
    ("^1.2.3", "1.2.2", False),
    ("^1.2.3", "2.0.0", False),
    ("^1.2.3", "2.0.0-0", False),
    ("^1.2.3", "1.3.0-beta", False),
    ("^1.2.3-beta.2", "1.2.3-beta.4", True),
    ("^1.2.3-beta.2", "1.2.4-beta.2", False),
    ("^0.2.3", "0.2.9", True),
    ("^0.2.3", "0.3.0", False),
    ("^0.0.3", "0.0.3", True),
    ("^0.0.3", "0.0.4", False),
    ("^0.0.3-beta", "0.0.3-pr.2", True),
    ("^1.2", "1.2.0", True),
    ("^1.2", "1.10.7", True),
    ("^1.2", "1.1.9", False),
    ("^0.0", "0.0.9", True),
    ("^0.0", "0.1.0", False),
    ("^0", "0.9.9", True),
    ("^0", "1.0.0", False),
    ("^1.x", "1.0.0", True),
    ("^0.x", "0.7.0", True),
    ("~1.2.3", "1.2.9", True),
    ("~1.2.3", "1.3.0", False),
    ("~1.2", "1.2.0", True),
    ("~1.2", "1.3.0", False),
    ("~1", "1.9.9", True),
    ("~1", "2.0.0", False),
    ("~>1.2", "1.2.8", True),
    ("~0.2.3", "0.2.2", False),
    ("~1.2.3-beta.2", "1.2.3-beta.4", True),
    ("~1.2.3-beta.2", "1.2.4-beta.4", False),
    ("1.x", "1.0.0", True),
    ("1.x", "1.99.99", True),
    ("1.x", "2.0.0", False),
    ("1.X", "1.4.0", True),
    ("1.*", "1.4.0", True),
    ("1.2.x", "1.2.7", True),
    ("1.2.x", "1.3.0", False),
    ("1", "1.7.0", True),
    ("1", "2.0.0", False),
    ("1.2", "1.2.5", True),
    ("1.2", "1.3.0", False),
    ("=1.2", "1.2.5", True),
    ("*", "7.1.3", True),
    ("*", "7.1.3-rc.1", False),
    ("x", "0.0.0", True),
    (">1", "1.9.0", False),
    (">1", "2.0.0", True),
    (">1.2", "1.2.9", False),
    (">1.2", "1.3.0", True),
    (">1.2.3", "1.2.3", False),
    (">1.2.3", "1.2.4", True),
    (">=1.2", "1.2.0", True),
    (">=1.2", "1.2.0-rc.1", False),
    (">=1.2.0-rc.0", "1.2.0-rc.1", True),
    ("<2", "1.9.9", True),
    ("<2", "2.0.0-alpha", False),
    ("<1.2", "1.2.0", False),
    ("<1.2", "1.1.9", True),
    ("<=1.2", "1.2.9", True),
    ("<=1.2", "1.3.0", False),
    ("<=1", "1.9.9", True),
    ("<=2.0.0", "2.0.0", True),
    ("<*", "1.0.0", False),
    (">*", "1.0.0", False),
    (">=*", "1.0.0", True),
    (">=1.2 <2", "1.5.0", True),
    (">=1.2 <2", "2.0.0", False),
    (">= 1.2 < 2", "1.5.0", True),
    (">1.0.0 <1.0.5", "1.0.5", False),
    ("1.2.3 - 2.3.4", "2.3.4", True),
    ("1.2.3 - 2.3.4", "2.3.5", False),
    ("1.2 - 2.3.4", "1.2.0", True),
    ("1.2.3 - 2.3", "2.3.9", True),
    ("1.2.3 - 2.3", "2.4.0", False),
    ("1.2.3 - 2", "2.9.9", True),
    ("1.2.3 - 2", "3.0.0", False),
    ("1.x || 3.x", "3.1.0", True),
    ("1.x || 3.x", "2.0.0", False),
    ("<1.0.0 || >=2.3.1", "2.4.0", True),
    ("<1.0.0 || >=2.3.1 <2.4.5 || >=2.5.0", "2.4.5", False),
    (">1.2.3-alpha.3", "1.2.3-alpha.7", True),
    (">1.2.3-alpha.3", "3.4.5", True),
    (">1.2.3-alpha.3", "3.4.5-alpha.9", False),
    ("v1.x", "1.5.0", True),
    ("^v1.2.3", "1.2.5", True),
    ("^1.2.3", "1.2.4+build.5", True),
]

numbers = st.integers(min_value=0, max_value=3)
releases = st.builds("{}.{}.{}".format, numbers, numbers, numbers)
versions = st.builds(
    "{}{}".format, releases, st.sampled_from(["", "-0", "-1", "-alpha", "-alpha.1", "-rc.2", "+b1"])
)


@pytest.mark.parametrize("ascending", SPEC_ORDER)
def test_order_is_the_specifications(ascending: list[str]) -> None:
    """Every pair of the specification's own examples is ordered as it says."""
    for low, high in itertools.combinations(ascending, 2):
        assert newest_first([low, high]) == [high, low] == newest_first([high, low])


@pytest.mark.parametrize(("requested", "version", "fits"), NPM_TRUTH)
def test_ranges_mean_what_npm_means(requested: str, version: str, fits: bool) -> None:
    """A range takes a version exactly when npm's semver does."""
    assert VersionRequest.parse(requested).choose([version]) == (version if fits else None)


@pytest.mark.parametrize(
    ("with_comma", "with_space"), [(">=1.2,<2", ">=1.2 <2"), (">1 , <=3.1", ">1 <=3.1")]
)
def test_a_comma_joins_like_a_space(with_comma: str, with_space: str) -> None:
    """Both ways of joining two bounds take the same versions."""
    known = ["1.1.0", "1.2.0", "1.9.9", "2.0.0", "3.1.5", "4.0.0"]

    taken = [
        [each for each in known if VersionRequest.parse(form).choose([each])]
        for form in (with_comma, with_space)
    ]

    assert taken[0] == taken[1] != []


def test_latest_is_the_greatest_release() -> None:
    """Without a request, and with `latest`, pre-releases are passed over."""
    known = ["1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1"]

    assert {VersionRequest.parse(each).choose(known) for each in (None, "", "latest")} == {"1.10.0"}
    assert VersionRequest.parse(None).choose(["2.0.0-rc.1"]) is None


def test_exact_needs_that_version() -> None:
    """An exact request takes that version only; build metadata need not be given."""
    known = ["1.4.2", "1.4.3+b1", "1.4.3+b2", "2.0.0-rc.1"]

    assert VersionRequest.parse("1.4.2").choose(known) == "1.4.2"
    assert VersionRequest.parse("v1.4.2").choose(known) == "1.4.2"
    assert VersionRequest.parse("1.4.3").choose(known) == "1.4.3+b2"
    assert VersionRequest.parse("1.4.3+b1").choose(known) == "1.4.3+b1"
    assert VersionRequest.parse("1.4.3+b9").choose(known) is None
    assert VersionRequest.parse("2.0.0-rc.1").choose(known) == "2.0.0-rc.1"
    assert VersionRequest.parse("2.0.0").choose(known) is None


def test_a_channel_is_what_it_is_said_to_be() -> None:
    """A channel stands for the version that it maps to, if there is such a version."""
    request = VersionRequest.parse("stable")

    assert request.kind == "channel"
    assert request.choose(["1.0.0", "2.0.0"], {"stable": "1.0.0"}) == "1.0.0"
    assert request.choose(["1.0.0"], {"stable": "3.0.0"}) is None


def test_a_channel_that_nobody_has_set_stands_for_the_newest_of_its_name() -> None:
    """`stable` is the newest release, another name the newest pre-release that begins with it."""
    known = ["1.0.0", "1.1.0", "2.0.0-beta.2", "2.0.0-beta.10", "2.0.0-rc.1", "1.0.0-betas"]

    assert VersionRequest.parse("stable").choose(known) == "1.1.0"
    assert VersionRequest.parse("beta").choose(known, {"rc": "1.0.0"}) == "2.0.0-beta.10"
    assert VersionRequest.parse("rc").choose(known) == "2.0.0-rc.1"
    assert VersionRequest.parse("alpha").choose(known) is None
    assert VersionRequest.parse("stable").choose(["1.0.0-rc.1"]) is None


def test_a_digest_names_no_version() -> None:
    """A digest is recognised and left to whoever knows bytes."""
    request = VersionRequest.parse("sha256:" + "a" * 64)

    assert (request.kind, request.choose(["1.0.0"])) == ("digest", None)


@pytest.mark.parametrize(
    "requested",
    [
        *[
            "1.2.3.4",
            "01.2.3",
            "1.2.3-",
            ">=",
            "^",
            "1..2",
            "Stable!",
            "sha256:abc",
            "||",
            "-1",
            "x.2",
            ">1.*.3",
        ],
        *("^1.2.3 nonsense!", "1.2.3 -2.0", "1.x ||", "1" * 300, "\x00", "latest\nx"),
        "1." + "9" * 17 + ".0",
    ],
)
def test_what_is_no_request_is_refused(requested: str) -> None:
    """A text that is neither version, range, channel nor digest is an error that quotes it."""
    with pytest.raises(VersionInvalid) as caught:
        VersionRequest.parse(requested)

    assert caught.value.requested[:10] == requested.strip()[:10]


@pytest.mark.parametrize(
    "version",
    ["1.0", "1.0.0.0", "v1.0.0", "1.0.0-", "1.0.0-01", "1.0.0+", "a.b.c", "١.٠.٠", "1.0.0\n"],
)
def test_what_is_no_semver_is_no_version(version: str) -> None:
    """Only SemVer 2.0.0 is a version; others are left out of a list."""
    assert parse_version(version) is None
    assert newest_first([version, "1.0.0"]) == ["1.0.0"]


@given(st.lists(versions, max_size=8))
def test_order_does_not_depend_on_the_order_given(known: list[str]) -> None:
    """Sorting is total: any order of the same versions gives the same list."""
    assert newest_first(known) == newest_first(reversed(known))


@given(releases, st.lists(versions, max_size=8))
def test_a_caret_range_keeps_its_promise(base: str, known: list[str]) -> None:
    """What a caret range gives is no pre-release, not less, and within the left-most number."""
    chosen = VersionRequest.parse(f"^{base}").choose(known)

    if chosen is not None:
        low, found = parse_version(base), parse_version(chosen)
        assert low is not None
        assert found is not None
        assert found >= low
        assert found.prerelease is None
        fixed = next((index for index in range(3) if low[index]), 2)
        assert found[: fixed + 1] == low[: fixed + 1]


@given(st.text(max_size=40))
def test_any_text_is_a_request_or_a_clear_error(requested: str) -> None:
    """Reading a request ends in a request or in VersionInvalid, whatever the text."""
    try:
        request = VersionRequest.parse(requested)
    except VersionInvalid:
        return
    request.choose(["1.0.0", "2.0.0-rc.1"])
