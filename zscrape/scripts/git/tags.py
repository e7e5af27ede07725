"""What the names of tags say: `v1.2.3` of all scripts, `NAME/v1.2.3` and its like of one."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from zscrape.scripts.version import parse_version

_TAGS: Final = b"refs/tags/"
_VERSION: Final = r"(?P<version>\d+\.\d+\.\d+[0-9A-Za-z.+-]*)"
_NAME: Final = r"(?P<name>[a-z0-9][a-z0-9_-]{0,63})"
# In this order: a dash may also stand inside a name, so the version decides where it ends.
_SHAPES: Final = (
    re.compile(rf"v?{_VERSION}"),
    re.compile(rf"{_NAME}/v?{_VERSION}"),
    re.compile(rf"{_NAME}@v?{_VERSION}"),
    re.compile(rf"{_NAME}-v{_VERSION}"),
)


class VersionTag(Struct, frozen=True):
    """A tag that gives a version to one script, or to all (`name` is empty)."""

    name: str
    version: str


def read_tag(reference: bytes) -> VersionTag | None:
    """Return what the tag behind `refs/tags/...` says; None if it is no version."""
    try:
        told = reference.removeprefix(_TAGS).decode()
    except UnicodeDecodeError:
        return None
    for shape in _SHAPES:
        match = shape.fullmatch(told)
        if match is not None and parse_version(match["version"]) is not None:
            return VersionTag(match.groupdict().get("name") or "", match["version"])
    return None


def is_tag(reference: bytes) -> bool:
    """True iff a reference is a tag itself, and not what an annotated one points to."""
    return reference.startswith(_TAGS) and not reference.endswith(b"^{}")


def tag_name(reference: bytes) -> str:
    """Return a tag's name for people."""
    return reference.removeprefix(_TAGS).decode("utf-8", "replace")
