"""Read a `.tar` or `.tar.gz` in memory: every block bounded, regular files only.

Not `tarfile`: it reads extended headers of any size whole, follows sparse maps, takes
negative sizes, and its filters have been passed by more than once (CVE-2025-4517, -8194).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct

from zscrape.scripts.digest import TREE_SIZE_LIMIT_BYTES
from zscrape.scripts.entries import (
    ENTRY_COUNT_LIMIT,
    NAME_LENGTH_LIMIT_BYTES,
    Entries,
    damaged,
    require_ratio,
)

_BLOCK_BYTES: Final = 512
_STEP_BYTES: Final = 65_536
_EXTENDED_LIMIT_BYTES: Final = 65_536
# Files, their padding, and one extended header (two blocks and its own header) for each.
_WHOLE_LIMIT_BYTES: Final = TREE_SIZE_LIMIT_BYTES + ENTRY_COUNT_LIMIT * 4 * _BLOCK_BYTES
_ZEROS: Final = bytes(_BLOCK_BYTES)

_FILE: Final = (b"0", b"\0")
_FOLDER: Final = b"5"
_LINKS: Final = (b"1", b"2")
_DEVICES: Final = (b"3", b"4", b"6")
_LONG_NAME: Final = b"L"
_LONG_LINK: Final = b"K"
_EXTENDED: Final = b"x"
_EXTENDED_ALL: Final = b"g"
# Words of an extended header that change what a member is; times, owners and the like do not.
_STRANGE: Final = ("GNU.sparse.", "SCHILY.realsize", "SUN.holesdata")

_OCTAL: Final = re.compile(rb"[0-7]+")
_DECIMAL: Final = re.compile(rb"[0-9]{1,19}")

Read = Callable[[int], bytes]


class _Member(Struct, frozen=True):
    name: bytes
    kind: bytes
    mode: int
    size_bytes: int


class _Extended(Struct):
    """What stands before a member and belongs to it."""

    name: bytes | None = None
    size_bytes: int | None = None
    strange: str = ""


class Gunzip:
    """Reads what one gzip stream holds; its checksum is checked by the reader of its end."""

    def __init__(self, packed: bytes) -> None:
        self._engine = zlib.decompressobj(wbits=31)
        self._packed = memoryview(packed)
        self._at = 0
        self._ready = bytearray()
        self._total_bytes = 0

    def read(self, count: int) -> bytes:
        """Return the next `count` bytes, fewer only at the end.

        Raises:
            ArchiveFault: It is damaged, cut off, or a bomb.
        """
        while len(self._ready) < count and not self._engine.eof:
            self._inflate()
        found = bytes(self._ready[:count])
        del self._ready[:count]
        return found

    def _inflate(self) -> None:
        waiting = self._engine.unconsumed_tail
        if not waiting:
            waiting = bytes(self._packed[self._at : self._at + _STEP_BYTES])
            self._at += len(waiting)
        is_last = not waiting
        try:
            found = self._engine.decompress(waiting, _STEP_BYTES)
        except zlib.error as error:
            raise damaged(error) from error
        if is_last and not found and not self._engine.eof:
            raise damaged("it ends too early")
        self._total_bytes += len(found)
        require_ratio(len(self._packed), self._total_bytes)
        if self._engine.eof and (self._engine.unused_data or self._at < len(self._packed)):
            raise damaged("there is more after its end")
        self._ready += found


def is_tar(body: bytes) -> bool:
    """True iff the first block is a header of tar."""
    block = body[:_BLOCK_BYTES]
    return len(block) == _BLOCK_BYTES and block != _ZEROS and _is_sound(block)


def read_tar(read: Read, entries: Entries) -> None:
    """Enter the members of a tar archive.

    Raises:
        ArchiveFault: It cannot be read any further.
    """
    _Reader(read, entries).run()


class _Reader:
    def __init__(self, read: Read, entries: Entries) -> None:
        self._read = read
        self._entries = entries
        self._taken_bytes = 0

    def run(self) -> None:
        extended = _Extended()
        while (block := self._take(_BLOCK_BYTES)) != _ZEROS:
            member = _member(block)
            if member.kind in (_LONG_NAME, _LONG_LINK, _EXTENDED, _EXTENDED_ALL):
                self._extend(extended, member)
                continue
            self._enter(_merged(member, extended), extended)
            extended = _Extended()
        self._end()

    def _take(self, count: int) -> bytes:
        self._taken_bytes += count
        if self._taken_bytes > _WHOLE_LIMIT_BYTES:
            raise damaged(f"more than {_WHOLE_LIMIT_BYTES} bytes")
        found = self._read(count)
        if len(found) < count:
            raise damaged("it ends too early")
        return found

    def _content(self, size_bytes: int) -> bytes:
        """Return what a member holds, without the rest of its last block."""
        return self._take(size_bytes + -size_bytes % _BLOCK_BYTES)[:size_bytes]

    def _skip(self, size_bytes: int) -> None:
        left = size_bytes + -size_bytes % _BLOCK_BYTES
        while left:
            left -= len(self._take(min(left, _STEP_BYTES)))

    def _extend(self, extended: _Extended, member: _Member) -> None:
        """Take up a header that belongs to the next member."""
        is_name = member.kind in (_LONG_NAME, _LONG_LINK)
        limit_bytes = NAME_LENGTH_LIMIT_BYTES if is_name else _EXTENDED_LIMIT_BYTES
        if member.size_bytes > limit_bytes:
            raise damaged(f"a header of {member.size_bytes} bytes, more than {limit_bytes}")
        content = self._content(member.size_bytes)
        if member.kind == _LONG_NAME:
            extended.name = content.partition(b"\0")[0]
        elif not is_name:
            for key, value in _records(content):
                self._apply(extended, key, value, is_for_all=member.kind == _EXTENDED_ALL)

    def _apply(self, extended: _Extended, key: str, value: bytes, *, is_for_all: bool) -> None:
        if key.startswith(_STRANGE):
            extended.strange = "sparse files"
        elif key in ("path", "size") and is_for_all:
            raise damaged(f"one {key} for all members")
        elif key == "path":
            extended.name = value
        elif key == "size":
            extended.size_bytes = _decimal(value)

    def _enter(self, member: _Member, extended: _Extended) -> None:
        is_folder = member.kind == _FOLDER or (
            member.kind == b"\0" and member.name.endswith(b"/")  # as before POSIX
        )
        path = self._entries.admit(member.name, is_folder=is_folder)
        # Links, devices and folders hold nothing, whatever their header says of a size.
        holds = not is_folder and member.kind not in (*_LINKS, *_DEVICES)
        is_file = member.kind in _FILE and not is_folder and not extended.strange
        if path is not None and is_file:
            self._entries.expect(member.size_bytes)
            content = self._content(member.size_bytes)
            self._entries.add(path, content, is_executable=bool(member.mode & 0o100))
            return
        if path is not None and not is_folder:
            self._refuse(path, member, extended)
        if holds:
            self._skip(member.size_bytes)

    def _refuse(self, path: str, member: _Member, extended: _Extended) -> None:
        if extended.strange or member.kind == b"S":
            self._entries.refuse(path, "archive_feature", actual="sparse files")
        elif member.kind in _LINKS:
            self._entries.refuse(path, "link")
        else:
            self._entries.refuse(path, "special")

    def _end(self) -> None:
        """Read to the end: a checksum stands there, and nothing else may."""
        while rest := self._read(_STEP_BYTES):
            self._taken_bytes += len(rest)
            if rest.count(0) != len(rest):
                raise damaged("there is more after its end")
            if self._taken_bytes > _WHOLE_LIMIT_BYTES:
                raise damaged(f"more than {_WHOLE_LIMIT_BYTES} bytes")


def _member(block: bytes) -> _Member:
    """Read a header."""
    if not _is_sound(block):
        raise damaged("the checksum of a header is wrong")
    name = block[:100].partition(b"\0")[0]
    # GNU's own format keeps times where POSIX has the beginning of a long path.
    if block[257:263] == b"ustar\0" and (prefix := block[345:500].partition(b"\0")[0]):
        name = prefix + b"/" + name
    mode, size_bytes = _number(block[100:108]), _number(block[124:136])
    if mode is None or size_bytes is None:
        raise damaged("a number of a header is none")
    return _Member(name, block[156:157], mode, size_bytes)


def _merged(member: _Member, extended: _Extended) -> _Member:
    """Return a member as the headers before it want it."""
    name = member.name if extended.name is None else extended.name
    size_bytes = member.size_bytes if extended.size_bytes is None else extended.size_bytes
    return _Member(name, member.kind, member.mode, size_bytes)


def _is_sound(block: bytes) -> bool:
    told = _number(block[148:156])
    blanked = block[:148] + b" " * 8 + block[156:]
    # Some old writers summed signed bytes.
    return told in (sum(blanked), sum(each - 256 if each > 127 else each for each in blanked))


def _number(field: bytes) -> int | None:
    """Read a number of a header: octal digits, or, with its first bit set, binary."""
    if field[0] & 0x80:
        return (
            None
            if field[0] & 0x40
            else int.from_bytes(field, "big") - (0x80 << 8 * (len(field) - 1))
        )
    digits = field.partition(b"\0")[0].strip(b" ")
    if not digits:
        return 0
    return int(digits, 8) if _OCTAL.fullmatch(digits) else None


def _decimal(digits: bytes) -> int:
    if not _DECIMAL.fullmatch(digits):
        raise damaged("a number of a header is none")
    return int(digits)


def _records(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the words of an extended header: `LENGTH KEY=VALUE` and a line feed each."""
    at = 0
    while at < len(content):
        length, space, _ = content[at : at + 8].partition(b" ")
        end = at + (_decimal(length) if space else 0)
        record = content[at + len(length) + 1 : end]
        key, equals, value = record.partition(b"=")
        if end > len(content) or not equals or not value.endswith(b"\n"):
            raise damaged("an extended header does not hold together")
        yield key.decode("utf-8", "backslashreplace"), value[:-1]
        at = end
