"""A script's files as one run of bytes, for the link between gateway and worker."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from zscrape.errors.scripts import FilesInvalid
from zscrape.scripts.digest import TREE_SIZE_LIMIT_BYTES, ScriptFile, require_usable
from zscrape.scripts.problems import problem

# Paths and framing of 2,000 files add less than 1 MB to their content.
_PACKED_LIMIT_BYTES = TREE_SIZE_LIMIT_BYTES + 1_000_000

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(tuple[ScriptFile, ...])


def pack(files: Iterable[ScriptFile]) -> bytes:
    """Return the files, in order of path, as one run of bytes."""
    return _ENCODER.encode(sorted(files, key=lambda each: each.path))


def unpack(body: bytes, name: str) -> tuple[ScriptFile, ...]:
    """Read what `pack` made. The bytes may come from anybody: nothing of them is trusted.

    Raises:
        FilesInvalid: They are not a usable tree (`name` is the script's, for the words).
    """
    if len(body) > _PACKED_LIMIT_BYTES:
        fault = problem("/files", "files_size", limit=TREE_SIZE_LIMIT_BYTES)
        raise FilesInvalid(name=name, problems=[fault])
    try:
        files = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError) as error:
        fault = problem("/files", "unreadable", detail=error)
        raise FilesInvalid(name=name, problems=[fault]) from error
    require_usable(name, files)
    return files
