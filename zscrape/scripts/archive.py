"""A script as an archive: written the same way every time, read as if an enemy had made it.

Nothing is extracted to disk. Only regular files come out, of names that a script may have,
within the limits of a script's tree; what an archive says of sizes is checked while it is read.
The standard library's extractors are not used: their filters have been passed by before.
"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

from zscrape.errors import FilesInvalid
from zscrape.scripts.digest import (
    FILE_COUNT_LIMIT,
    MANIFEST_FILE,
    PROBLEM_COUNT_LIMIT,
    TREE_SIZE_LIMIT_BYTES,
    ScriptFile,
    require_usable,
)
from zscrape.scripts.problems import Problem, pointer_to, problem
from zscrape.scripts.tree import is_left_out

_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_USTAR_AT: Final = 257
_BLOCK_BYTES: Final = 512
# Headers, padding and long names of as many files as a script may have.
_TAR_LIMIT_BYTES: Final = TREE_SIZE_LIMIT_BYTES + 4 * _BLOCK_BYTES * FILE_COUNT_LIMIT
_ENTRY_LIMIT_COUNT: Final = 2 * FILE_COUNT_LIMIT  # folders have entries, too
_PIECE_BYTES: Final = 65_536
_ENCRYPTED: Final = 0x1
_UNIX: Final = 3  # zip: who made an entry
# What the readers of the standard library raise for nonsense, beside their own.
_NONSENSE: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,  # UnicodeError among them
    KeyError,
    IndexError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    OSError,
)


def write_tar_gz(files: Sequence[ScriptFile], root: str) -> bytes:
    """Return the files as a `.tar.gz` below the folder `root`: the same files, the same bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in sorted(files, key=lambda each: each.path):
            entry = tarfile.TarInfo(f"{root}/{file.path}")
            entry.size = len(file.content)
            entry.mode = 0o755 if file.is_executable else 0o644
            archive.addfile(entry, io.BytesIO(file.content))
    return gzip.compress(packed.getvalue(), mtime=0)


def is_archive(body: bytes) -> bool:
    """True iff `body` begins as an archive that `read_archive` reads."""
    return body.startswith((_GZIP, *_ZIP)) or body[_USTAR_AT : _USTAR_AT + 5] == b"ustar"


def read_archive(body: bytes, name: str) -> tuple[ScriptFile, ...]:
    """Return the files in a `.tar.gz`, `.tar` or `.zip`, told by content, of the script `name`.

    One folder around everything is taken off. Hidden files and byte code are no part of a
    script, as in a folder.

    Raises:
        FilesInvalid: It is no such archive, or holds what no script may have; all at once.
    """
    problems: list[Problem] = []
    try:
        found = _entries(body, problems)
    except _NONSENSE as error:
        raise _invalid(name, [problem("/files", "archive", detail=str(error)[:200])]) from error
    files = _without_top(found)
    if problems:
        raise _invalid(name, problems)
    require_usable(name, files)
    return tuple(sorted(files, key=lambda each: each.path))


def _entries(body: bytes, problems: list[Problem]) -> list[ScriptFile]:
    if body.startswith(_ZIP):
        return _bounded(_zip_entries(body, problems), problems)
    raw = _unzipped(body) if body.startswith(_GZIP) else body
    if raw[_USTAR_AT : _USTAR_AT + 5] != b"ustar":
        raise tarfile.ReadError("neither a tar nor a zip archive")
    return _bounded(_tar_entries(raw, problems), problems)


def _bounded(entries: Iterator[ScriptFile], problems: list[Problem]) -> list[ScriptFile]:
    """Take entries until a limit is passed: beyond it nothing is read."""
    found: list[ScriptFile] = []
    size_bytes = 0
    for entry in entries:
        size_bytes += len(entry.content)
        if size_bytes > TREE_SIZE_LIMIT_BYTES:
            problems.append(problem("/files", "files_size", limit=TREE_SIZE_LIMIT_BYTES))
            break
        if len(found) >= FILE_COUNT_LIMIT:
            problems.append(problem("/files", "files_count", limit=FILE_COUNT_LIMIT))
            break
        if len(problems) >= PROBLEM_COUNT_LIMIT:
            break
        found.append(entry)
    return found


def _unzipped(body: bytes) -> bytes:
    """Decompress a gzip file no further than a script's archive may be."""
    stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    parts: list[bytes] = []
    size_bytes, rest = 0, body
    while rest and not stream.eof:
        part = stream.decompress(rest, _PIECE_BYTES)
        size_bytes += len(part)
        if size_bytes > _TAR_LIMIT_BYTES:
            raise tarfile.ReadError(f"more than {TREE_SIZE_LIMIT_BYTES} bytes when unpacked")
        parts.append(part)
        rest = stream.unconsumed_tail
    if not stream.eof:
        raise EOFError("it is cut off")
    if stream.unused_data.strip(b"\0"):
        raise tarfile.ReadError("something follows the end of it")
    return b"".join(parts)


def _tar_entries(raw: bytes, problems: list[Problem]) -> Iterator[ScriptFile]:
    with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as archive:
        for number, entry in enumerate(archive):
            if number >= _ENTRY_LIMIT_COUNT:
                problems.append(problem("/files", "files_count", limit=FILE_COUNT_LIMIT))
                return
            if entry.isdir():
                continue
            path = _path_of(entry.name)
            if entry.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or entry.issparse():
                code = "link" if entry.islnk() or entry.issym() else "special"
                problems.append(problem(pointer_to("files", path), code))
            elif entry.size > TREE_SIZE_LIMIT_BYTES:
                problems.append(problem(pointer_to("files", path), "size", limit=entry.size))
            else:
                opened = archive.extractfile(entry)
                content = b"" if opened is None else opened.read()
                yield ScriptFile(path, bool(entry.mode & stat.S_IXUSR), content)
        end = raw[archive.offset : archive.offset + _BLOCK_BYTES]
        if len(end) < _BLOCK_BYTES or any(end):
            raise EOFError("it is cut off")


def _zip_entries(body: bytes, problems: list[Problem]) -> Iterator[ScriptFile]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        entries = archive.infolist()
        if len(entries) > _ENTRY_LIMIT_COUNT:
            problems.append(problem("/files", "files_count", limit=FILE_COUNT_LIMIT))
            return
        if sum(entry.file_size for entry in entries) > TREE_SIZE_LIMIT_BYTES:
            problems.append(problem("/files", "files_size", limit=TREE_SIZE_LIMIT_BYTES))
            return
        for entry in entries:
            path = _path_of(entry.orig_filename)
            if entry.orig_filename.endswith("/"):
                continue
            mode = entry.external_attr >> 16 if entry.create_system == _UNIX else 0
            if entry.flag_bits & _ENCRYPTED:
                problems.append(problem(pointer_to("files", path), "encrypted"))
            elif stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                code = "link" if stat.S_ISLNK(mode) else "special"
                problems.append(problem(pointer_to("files", path), code))
            else:
                with archive.open(entry) as opened:
                    content = opened.read(entry.file_size + 1)
                yield ScriptFile(path, bool(mode & stat.S_IXUSR), content)


def _path_of(name: str) -> str:
    """Return an entry's path, without the `./` that packing a folder puts before it."""
    return unicodedata.normalize("NFC", name.removeprefix("./"))


def _without_top(files: list[ScriptFile]) -> list[ScriptFile]:
    """Take off one folder around everything, then what is no part of a script."""
    paths = [file.path for file in files]
    tops = {path.partition("/")[0] for path in paths}
    top = next(iter(tops), "")
    is_wrapped = (
        len(tops) == 1
        and MANIFEST_FILE not in paths
        and top.strip(".") != ""
        and all("/" in path for path in paths)
    )
    if is_wrapped:
        files = [
            ScriptFile(file.path[len(top) + 1 :], file.is_executable, file.content)
            for file in files
        ]
    return [file for file in files if not _is_left_out(file.path)]


def _is_left_out(path: str) -> bool:
    *folders, leaf = path.split("/")
    if any(part in ("", ".", "..") for part in (*folders, leaf)):
        return False  # not hidden but strange: it is to be told
    return is_left_out(leaf, is_folder=False) or any(
        is_left_out(each, is_folder=True) for each in folders
    )


def _invalid(name: str, problems: list[Problem]) -> FilesInvalid:
    return FilesInvalid(name=name, problems=problems[:PROBLEM_COUNT_LIMIT])
