"""What a web server says that it has, and what is kept of that until the next look."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from zscrape.scripts.channels import is_channel_name
from zscrape.scripts.manifest import is_script_name
from zscrape.scripts.problems import shortened
from zscrape.scripts.source import Listing
from zscrape.scripts.version import parse_version
from zscrape.scripts.web.body import Seen

INDEX_LIMIT_BYTES: Final = 16_000_000
VERSIONS_LIMIT_BYTES: Final = 1_000_000
SCRIPT_COUNT_LIMIT: Final = 10_000
VERSION_COUNT_LIMIT: Final = 200_000  # of all scripts together
_IGNORED_COUNT_LIMIT: Final = 1000

T = TypeVar("T")


class DocumentInvalid(Exception):
    """Raised when a document of the server cannot be used; the text says why."""


class Index(Struct, frozen=True):
    """The scripts of a server. `None` as versions: they are asked for one by one."""

    seen: Seen = Seen()
    scripts: dict[str, tuple[str, ...] | None] = {}
    channels: dict[str, dict[str, str]] = {}
    ignored: tuple[str, ...] = ()


class Versions(Struct, frozen=True):
    """The versions of one script."""

    seen: Seen = Seen()
    versions: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


class Artifact(Struct, frozen=True):
    """Bytes that were fetched under a mark, and how to see that there are others now."""

    mark: str
    file: Seen
    document: Seen | None = None  # None: the archive has a manifest of its own


class State(Struct, frozen=True):
    """What one scan tells the next."""

    index: Index | None = None
    versions: dict[str, Versions] = {}
    artifacts: dict[str, Artifact] = {}  # by `name version`


class _Entry(Struct, frozen=True):
    name: str
    versions: list[str] | None = None
    channels: dict[str, str] = {}


class _IndexDocument(Struct, frozen=True):
    scripts: list[str | _Entry]


class _VersionsDocument(Struct, frozen=True):
    versions: list[str]


def read_index(body: bytes, seen: Seen) -> Index:
    """Read `/api/scripts`; names that are none are noted, not taken.

    Raises:
        DocumentInvalid: It is not such a document, or has too many scripts.
    """
    found = _decode(body, _IndexDocument).scripts
    if len(found) > SCRIPT_COUNT_LIMIT:
        raise DocumentInvalid(f"it lists {len(found)} scripts, more than {SCRIPT_COUNT_LIMIT}")
    entries = [_Entry(each) if isinstance(each, str) else each for each in found]
    ignored = [f"name {shortened(each.name)}" for each in entries if not is_script_name(each.name)]
    scripts: dict[str, tuple[str, ...] | None] = {}
    channels: dict[str, dict[str, str]] = {}
    for each in entries:
        if not is_script_name(each.name):
            continue
        scripts[each.name] = None
        if each.versions is not None:
            scripts[each.name], wrong = _sorted_out(each.name, each.versions)
            ignored += wrong
        channels[each.name] = {
            channel: version
            for channel, version in each.channels.items()
            if is_channel_name(channel) and parse_version(version) is not None
        }
    told = {name: found for name, found in channels.items() if found}
    return Index(seen, scripts, told, tuple(ignored[:_IGNORED_COUNT_LIMIT]))


def read_versions(body: bytes, seen: Seen, name: str) -> Versions:
    """Read `/api/scripts/{name}/versions`; what is no version is noted, not taken.

    Raises:
        DocumentInvalid: It is not such a document.
    """
    versions, ignored = _sorted_out(name, _decode(body, _VersionsDocument).versions)
    return Versions(seen, versions, ignored[:_IGNORED_COUNT_LIMIT])


def read_state(known: Listing | None) -> State:
    """Return what the last scan told; nothing if it was another program's."""
    if known is None or not known.state:
        return State()
    try:
        return msgspec.json.decode(known.state, type=State)
    except msgspec.MsgspecError:
        return State()


def write_state(state: State) -> str:
    """Return a state as a text, the same for the same state."""
    return msgspec.json.encode(state, order="deterministic").decode()


def _sorted_out(name: str, versions: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    usable = tuple(sorted({each for each in versions if parse_version(each) is not None}))
    wrong = (each for each in versions if parse_version(each) is None)
    return usable, tuple(f"{name} {shortened(each)}" for each in wrong)


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise DocumentInvalid(f"not the JSON document that it should be ({error})") from error
