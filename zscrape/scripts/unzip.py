"""Read a `.zip` in memory: what the directory at its end says must be what is there.

Not `zipfile`: it takes overlapping members and two names for one, and what it raises for
nonsense changes with the Python version.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from msgspec import Struct

from zscrape.scripts.entries import (
    ENTRY_COUNT_LIMIT,
    ArchiveFault,
    Entries,
    damaged,
    require_ratio,
)
from zscrape.scripts.problems import problem

# APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16.
_LOCAL: Final = struct.Struct("<4sHHHHHLLLHH")
_CENTRAL: Final = struct.Struct("<4sHHHHHHLLLHHHHHLL")
_END: Final = struct.Struct("<4sHHHHLLH")
_END64: Final = struct.Struct("<4sQHHLLQQQQ")
_LOCATOR64: Final = struct.Struct("<4sLQL")
_END_SIGNATURE: Final = b"PK\x05\x06"
_COMMENT_LIMIT_BYTES: Final = 65_535
_FULL16: Final = 0xFFFF  # the number stands in the 64-bit record
_FULL32: Final = 0xFFFFFFFF
_EXTRA64: Final = 1

_ENCRYPTED: Final = 0x0001 | 0x0040 | 0x2000
_SIZES_LATER: Final = 0x0008
_STORED: Final = 0
_DEFLATED: Final = 8

_KIND: Final = 0o170000
_FILE: Final = 0o100000
_FOLDER: Final = 0o040000
_LINK: Final = 0o120000


class _Directory(Struct, frozen=True):
    entry_count: int
    start: int
    end: int


class _Member(Struct, frozen=True):
    name: bytes
    flags: int
    method: int
    checksum: int
    packed_bytes: int
    size_bytes: int
    mode: int  # as of POSIX; 0: not told
    start: int  # of its own header

    @property
    def is_folder(self) -> bool:
        return self.name.endswith(b"/") or self.mode & _KIND == _FOLDER


def is_zip(body: bytes) -> bool:
    """True iff a zip archive begins here, an empty one included."""
    return body.startswith((b"PK\x03\x04", _END_SIGNATURE))


def read_zip(body: bytes, entries: Entries) -> None:
    """Enter the members of a zip archive.

    Raises:
        ArchiveFault: It cannot be read any further.
    """
    directory = _directory(body)
    members = _members(body, directory)
    require_ratio(len(body), sum(each.size_bytes for each in members))
    spans = {id(each): _span(body, each, directory) for each in members}
    _require_apart(members, spans)
    for each in members:
        _enter(body, each, spans[id(each)], entries)


def _enter(body: bytes, member: _Member, span: tuple[int, int], entries: Entries) -> None:
    path = entries.admit(member.name, is_folder=member.is_folder)
    kind = member.mode & _KIND
    if path is None:
        return
    if kind not in (0, _FILE, _FOLDER):
        entries.refuse(path, "link" if kind == _LINK else "special")
    elif member.flags & _ENCRYPTED:
        entries.refuse(path, "archive_feature", actual="encryption")
    elif member.is_folder:
        return
    elif member.method not in (_STORED, _DEFLATED):
        entries.refuse(path, "archive_feature", actual=f"compression method {member.method}")
    else:
        entries.expect(member.size_bytes)
        content = _content(body[slice(*span)], member)
        if content is None:
            entries.refuse(
                path, "unreadable", detail="size or checksum are not what they should be"
            )
        else:
            entries.add(path, content, is_executable=bool(member.mode & 0o100))


def _content(packed: bytes, member: _Member) -> bytes | None:
    """Return what a member holds; None: it is not what the directory says."""
    content = packed
    if member.method == _DEFLATED:
        engine = zlib.decompressobj(wbits=-15)
        try:
            # One byte more than there may be: the end must be reached within it.
            content = engine.decompress(packed, member.size_bytes + 1)
        except zlib.error:
            return None
        if not engine.eof or engine.unused_data:
            return None
    is_same = len(content) == member.size_bytes and zlib.crc32(content) == member.checksum
    return content if is_same else None


def _directory(body: bytes) -> _Directory:
    """Find the directory by the record at the end, which must be exactly there."""
    at = len(body) - _END.size
    while at >= 0:
        at = body.rfind(
            _END_SIGNATURE, max(0, len(body) - _END.size - _COMMENT_LIMIT_BYTES), at + 4
        )
        if at < 0:
            break
        found = _END.unpack_from(body, at)
        if at + _END.size + found[7] == len(body):
            return _checked(*_end64(body, at, found))
        at -= 1
    raise damaged("it ends too early")


def _end64(body: bytes, at: int, found: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return count, size, start and end of the directory, from the 64-bit record if need be."""
    _, disk, first_disk, here, count, size_bytes, start, _ = found
    if _FULL16 not in (disk, first_disk, here, count) and _FULL32 not in (size_bytes, start):
        if disk or first_disk or here != count:
            raise damaged("it is a part of several")
        return count, size_bytes, start, at
    locator_at = at - _LOCATOR64.size
    if locator_at < 0:
        raise damaged("its 64-bit record is missing")
    signature, _, record_at, _ = _LOCATOR64.unpack_from(body, locator_at)
    if signature != b"PK\x06\x07" or record_at + _END64.size > locator_at:
        raise damaged("its 64-bit record is missing")
    record = _END64.unpack_from(body, record_at)
    # 12: the length that the record tells does not count its first two fields.
    if record[0] != b"PK\x06\x06" or record_at + record[1] + 12 != locator_at:
        raise damaged("its 64-bit record is missing")
    if record[4] or record[5] or record[6] != record[7]:
        raise damaged("it is a part of several")
    return record[7], record[8], record[9], record_at


def _checked(count: int, size_bytes: int, start: int, end: int) -> _Directory:
    if start + size_bytes != end:
        raise damaged("its directory is not where it should be")
    if count > ENTRY_COUNT_LIMIT:
        raise ArchiveFault(problem("/files", "files_count", limit=ENTRY_COUNT_LIMIT))
    return _Directory(count, start, end)


def _members(body: bytes, directory: _Directory) -> list[_Member]:
    """Read the directory."""
    found = []
    at = directory.start
    for _ in range(directory.entry_count):
        if at + _CENTRAL.size > directory.end:
            raise damaged("its directory ends too early")
        fields = _CENTRAL.unpack_from(body, at)
        name_at = at + _CENTRAL.size
        extra_at = name_at + fields[10]
        at = extra_at + fields[11] + fields[12]
        if fields[0] != b"PK\x01\x02" or at > directory.end:
            raise damaged("its directory does not hold together")
        extra = body[extra_at : extra_at + fields[11]]
        size_bytes, packed_bytes, start = _wide(extra, fields[9], fields[8], fields[16])
        found.append(
            _Member(
                name=body[name_at:extra_at],
                flags=fields[3],
                method=fields[4],
                checksum=fields[7],
                packed_bytes=packed_bytes,
                size_bytes=size_bytes,
                mode=fields[15] >> 16,
                start=start,
            )
        )
    if at != directory.end:
        raise damaged("its directory is longer than it says")
    return found


def _wide(extra: bytes, *numbers: int) -> list[int]:
    """Return the numbers, those that are too big for 32 bits from the extra field, in order."""
    if _FULL32 not in numbers:
        return list(numbers)
    wide = _extra64(extra)
    found = []
    for number in numbers:
        if number != _FULL32:
            found.append(number)
            continue
        if len(wide) < 8:
            raise damaged("a 64-bit size is missing")
        found.append(int.from_bytes(wide[:8], "little"))
        wide = wide[8:]
    return found


def _extra64(extra: bytes) -> bytes:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == _EXTRA64:
            return extra[at + 4 : at + 4 + length]
        at += 4 + length
    return b""


def _span(body: bytes, member: _Member, directory: _Directory) -> tuple[int, int]:
    """Return where the bytes of a member are; its own header must say what the directory says."""
    if member.start + _LOCAL.size > directory.start:
        raise damaged("a member is not where the directory says")
    fields = _LOCAL.unpack_from(body, member.start)
    name_at = member.start + _LOCAL.size
    start = name_at + fields[9] + fields[10]
    end = start + member.packed_bytes
    if fields[0] != b"PK\x03\x04" or end > directory.start:
        raise damaged("a member is not where the directory says")
    name = body[name_at : name_at + fields[9]]
    if (name, fields[2] & _ENCRYPTED, fields[3]) != (
        member.name,
        member.flags & _ENCRYPTED,
        member.method,
    ):
        raise damaged("a member is called one thing by itself and another by the directory")
    if not fields[2] & _SIZES_LATER:
        extra = body[name_at + fields[9] : start]
        size_bytes, packed_bytes = _wide(extra, fields[8], fields[7])
        if (size_bytes, packed_bytes, fields[6]) != (
            member.size_bytes,
            member.packed_bytes,
            member.checksum,
        ):
            raise damaged("a member has one size by itself and another by the directory")
    return start, end


def _require_apart(members: list[_Member], spans: dict[int, tuple[int, int]]) -> None:
    """Refuse members that share bytes: 46 MB have been made 4 PB so."""
    free_from = 0
    for each in sorted(members, key=lambda member: member.start):
        if each.start < free_from:
            raise damaged("members lie over each other")
        free_from = spans[id(each)][1]
