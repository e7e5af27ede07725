"""Versions by SemVer 2.0.0, and requests for them: exact, range, channel, digest.

Order is the `semver` package's. It has no ranges, so their grammar is here, with the
meaning that npm's `semver` gives them: `^1.2`, `~1.2`, `1.x`, `>=1.2 <2`, `1.2 - 2.3`, `||`;
a comma joins like a space. A pre-release fits a range only when one of the range's own
comparators names a pre-release of the same major.minor.patch.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import Struct

from zscrape.errors.scripts import VersionInvalid
from zscrape.onuse import on_use

if TYPE_CHECKING:
    import semver
else:
    semver = on_use("semver")

# Numbers of a version are bounded: Python refuses to read more than 4,300 digits.
_NUMBER = r"(?:0|[1-9][0-9]{0,15})"
_PRERELEASE_PART = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_PRERELEASE = rf"{_PRERELEASE_PART}(?:\.{_PRERELEASE_PART})*"
_BUILD = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_PRERELEASE})?(?:\+{_BUILD})?")
_WILD = rf"(?:{_NUMBER}|[xX*])"
_PARTIAL = (
    rf"v?(?P<major>{_WILD})(?:\.(?P<minor>{_WILD})"
    rf"(?:\.(?P<patch>{_WILD})(?:-(?P<pre>{_PRERELEASE}))?(?:\+{_BUILD})?)?)?"
)
_COMPARATOR = re.compile(rf"(?P<op>\^|~>?|[<>]=?|=)?\s*{_PARTIAL}")
_CHANNEL = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HYPHEN = re.compile(r"(\S+)\s+-\s+(\S+)")
_OPERATOR_GAP = re.compile(r"(\^|~>?|[<>]=?|=)\s+")

VERSION_LENGTH = 128
_REQUEST_LENGTH = 256


def parse_version(value: str) -> semver.Version | None:
    """Return `value` as a version, or None when it is not SemVer 2.0.0."""
    if len(value) > VERSION_LENGTH or not _VERSION.fullmatch(value):
        return None
    return semver.Version.parse(value)


def is_digest(value: str) -> bool:
    """True iff `value` is `sha256:` and 64 lower-case hexadecimal digits."""
    return _DIGEST.fullmatch(value) is not None


def newest_first(versions: Iterable[str]) -> list[str]:
    """Return the valid ones of `versions`, greatest first.

    Versions that differ only in build metadata are equal to SemVer; their text decides, so
    that the order is always the same.
    """
    known = [(version, each) for each in versions if (version := parse_version(each)) is not None]
    known.sort(key=lambda pair: (pair[0], pair[1]), reverse=True)
    return [each for _, each in known]


class _Comparator(NamedTuple):
    """One bound of a range."""

    holds: Callable[[semver.Version, semver.Version], bool]
    bound: semver.Version

    def admits(self, version: semver.Version) -> bool:
        """True iff `version` is on the right side of the bound."""
        return self.holds(version, self.bound)


_ComparatorSet = tuple[_Comparator, ...]


class VersionRequest(Struct, frozen=True):
    """What a caller asked for: made by `parse`, answered by `choose`."""

    text: str
    kind: Literal["latest", "exact", "range", "channel", "digest"]

    @classmethod
    def parse(cls, requested: str | None) -> VersionRequest:
        """Read a request; None and the empty text mean `latest`.

        Raises:
            VersionInvalid: It is neither a version, a range, a channel nor a digest.
        """
        told = (requested or "latest").strip()
        if len(told) > _REQUEST_LENGTH:
            raise VersionInvalid(requested=told[:_REQUEST_LENGTH] + "…")
        if told == "latest":
            return cls(text=told, kind="latest")
        if is_digest(told):
            return cls(text=told, kind="digest")
        if parse_version(told.removeprefix("v")) is not None:
            return cls(text=told.removeprefix("v"), kind="exact")
        if _comparator_sets(told) is not None:
            return cls(text=told, kind="range")
        if _CHANNEL.fullmatch(told):
            return cls(text=told, kind="channel")
        raise VersionInvalid(requested=told)

    def choose(
        self, versions: Iterable[str], channels: Mapping[str, str] | None = None
    ) -> str | None:
        """Return the greatest of `versions` that fits, or None.

        A channel is looked up in `channels`; one that is not there stands for the greatest
        release if it is `stable`, else for the greatest pre-release of that name (`beta`:
        2.0.0-beta.3). A digest names bytes, not a version: None.
        """
        ordered = newest_first(versions)
        match self.kind:
            case "latest":
                return next((each for each in ordered if _release(each)), None)
            case "exact":
                return _exact(self.text, ordered)
            case "range":
                sets = _comparator_sets(self.text) or ()
                return next((each for each in ordered if _fits(each, sets)), None)
            case "channel":
                named = (channels or {}).get(self.text)
                if named is not None:
                    return named if named in ordered else None
                fits = _release if self.text == "stable" else self._is_pre_release
                return next((each for each in ordered if fits(each)), None)
            case "digest":
                return None

    def _is_pre_release(self, version: str) -> bool:
        """True iff the first identifier of its pre-release is the name that was asked for."""
        pre_release = semver.Version.parse(version).prerelease
        return pre_release is not None and pre_release.split(".")[0] == self.text


def _release(version: str) -> bool:
    return semver.Version.parse(version).prerelease is None


def _exact(requested: str, ordered: list[str]) -> str | None:
    """Prefer the very text; without build metadata any build of that version will do."""
    if requested in ordered:
        return requested
    if "+" in requested:
        return None
    wanted = semver.Version.parse(requested)
    return next((each for each in ordered if semver.Version.parse(each) == wanted), None)


# ---- ranges --------------------------------------------------------------------------


def _fits(version: str, sets: Iterable[_ComparatorSet]) -> bool:
    parsed = semver.Version.parse(version)
    return any(_fits_all(parsed, each) for each in sets)


def _fits_all(version: semver.Version, comparators: _ComparatorSet) -> bool:
    if not all(each.admits(version) for each in comparators):
        return False
    if version.prerelease is None:
        return True
    numbers = (version.major, version.minor, version.patch)
    return any(
        each.bound.prerelease is not None
        and (each.bound.major, each.bound.minor, each.bound.patch) == numbers
        for each in comparators
    )


def _comparator_sets(requested: str) -> tuple[_ComparatorSet, ...] | None:
    """Return the alternatives of a range (joined by `||`), or None when it is not one."""
    sets: list[_ComparatorSet] = []
    for alternative in requested.split("||"):
        comparators = _comparators(alternative.strip())
        if comparators is None:
            return None
        sets.append(comparators)
    return tuple(sets)


def _comparators(alternative: str) -> _ComparatorSet | None:
    if not alternative:
        return None
    hyphen = _HYPHEN.fullmatch(alternative)
    if hyphen:
        return _hyphen_range(hyphen[1], hyphen[2])
    joined: list[_Comparator] = []
    for part in _OPERATOR_GAP.sub(r"\1", alternative.replace(",", " ")).split():
        match = _COMPARATOR.fullmatch(part)
        partial = _Partial.of(match)
        if match is None or partial is None:
            return None
        joined.extend(_expand(match["op"] or "=", partial))
    return tuple(joined)


def _hyphen_range(low: str, high: str) -> _ComparatorSet | None:
    start, end = (_Partial.of(re.fullmatch(_PARTIAL, each)) for each in (low, high))
    if start is None or end is None:
        return None
    return (*_expand(">=", start), *_expand("<=", end))


class _Partial(NamedTuple):
    """A version with its tail left open: `1`, `1.2`, `1.x`, `1.2.3-rc.1`."""

    major: int | None
    minor: int | None
    patch: int | None
    prerelease: str | None

    @classmethod
    def of(cls, match: re.Match[str] | None) -> _Partial | None:
        """Read the numbers; None when there are none, or one follows a wildcard (`x.2`)."""
        if match is None:
            return None
        digits = [match[name] for name in ("major", "minor", "patch")]
        numbers = [int(each) if each is not None and each.isdigit() else None for each in digits]
        open_count = numbers.count(None)
        if any(each is not None for each in numbers[3 - open_count :]):
            return None
        major, minor, patch = numbers
        return cls(major, minor, patch, match["pre"] if patch is not None else None)

    @property
    def floor(self) -> semver.Version:
        """The smallest version meant; of an open tail, its first release."""
        return semver.Version(
            self.major or 0, self.minor or 0, self.patch or 0, prerelease=self.prerelease
        )

    @property
    def after_open(self) -> semver.Version:
        """The first version (its lowest pre-release) beyond those that the partial covers."""
        if self.minor is None:
            return _edge((self.major or 0) + 1, 0, 0)
        return _edge(self.major or 0, self.minor + 1, 0)


def _edge(major: int, minor: int, patch: int) -> semver.Version:
    """Return the lowest pre-release of a version: nothing of it or after it is below."""
    return semver.Version(major, minor, patch, prerelease="0")


def _expand(symbol: str, partial: _Partial) -> _ComparatorSet:
    """Return the plain bounds that `symbol` and a partial version stand for.

    Source: "Advanced Range Syntax" of npm's `semver`.
    """
    if partial.major is None:
        if symbol in {"<", ">"}:  # than any version: there is none
            return (_Comparator(operator.lt, _edge(0, 0, 0)),)
        return (_Comparator(operator.ge, semver.Version(0, 0, 0)),)
    if symbol == "^":
        return _between(partial.floor, _caret_edge(partial))
    if symbol in {"~", "~>"}:
        return _between(partial.floor, partial.after_open)
    if partial.patch is not None:
        return (_Comparator(_PLAIN[symbol], partial.floor),)
    return _expand_open(symbol, partial)


def _expand_open(symbol: str, partial: _Partial) -> _ComparatorSet:
    """`>1.2` is beyond all of 1.2.x, `<=1.2` takes all of it; `<1.2` ends before it."""
    if symbol == ">":
        after = partial.after_open
        release = semver.Version(after.major, after.minor, after.patch)
        return (_Comparator(operator.ge, release),)
    if symbol == ">=":
        return (_Comparator(operator.ge, partial.floor),)
    if symbol == "<":
        floor = partial.floor
        return (_Comparator(operator.lt, _edge(floor.major, floor.minor, floor.patch)),)
    if symbol == "<=":
        return (_Comparator(operator.lt, partial.after_open),)
    return _between(partial.floor, partial.after_open)


def _caret_edge(partial: _Partial) -> semver.Version:
    """Return the end of `^`: the left-most number that is not zero may not change."""
    major, minor, patch = partial.major or 0, partial.minor, partial.patch
    if major > 0 or minor is None:
        return _edge(major + 1, 0, 0)
    if minor > 0 or patch is None:
        return _edge(0, minor + 1, 0)
    return _edge(0, 0, patch + 1)


def _between(low: semver.Version, end: semver.Version) -> _ComparatorSet:
    return (_Comparator(operator.ge, low), _Comparator(operator.lt, end))


_PLAIN: dict[str, Callable[[semver.Version, semver.Version], bool]] = {
    "=": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
