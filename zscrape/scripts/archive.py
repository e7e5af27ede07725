"""A script as an archive: read `.tar.gz`, `.tar` and `.zip`, write `.tar.gz`, all in memory.

Nothing is ever written to disk here, and nothing of an archive is believed: only regular
files, paths of the grammar in `digest`, and limits that hold while it is being read.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Sequence
from typing import BinaryIO, Final

from zscrape.errors.scripts import FilesInvalid
from zscrape.scripts.digest import TREE_SIZE_LIMIT_BYTES, ScriptFile
from zscrape.scripts.entries import ArchiveFault, Entries
from zscrape.scripts.problems import problem
from zscrape.scripts.untar import Gunzip, is_tar, read_tar
from zscrape.scripts.unzip import is_zip, read_zip

# The files as they are, and what a format adds to each of 2,000: at most four blocks of tar.
ARCHIVE_SIZE_LIMIT_BYTES: Final = TREE_SIZE_LIMIT_BYTES + 10_000_000

_GZIP: Final = b"\x1f\x8b"


def is_archive(body: bytes) -> bool:
    """True iff these bytes begin as an archive that `read_archive` knows."""
    return body.startswith(_GZIP) or is_zip(body) or is_tar(body)


def read_archive(packed: bytes | BinaryIO, name: str) -> tuple[ScriptFile, ...]:
    """Return the files of the script `name`, sorted by path.

    What it is, its first bytes say. One folder that holds everything is taken away; hidden
    files and byte code are left out, as from a folder on disk.

    Raises:
        FilesInvalid: It is no archive, is damaged, or holds what cannot be used; all faults
            at once.
    """
    body = packed if isinstance(packed, bytes) else packed.read(ARCHIVE_SIZE_LIMIT_BYTES + 1)
    if len(body) > ARCHIVE_SIZE_LIMIT_BYTES:
        fault = problem("/files", "files_size", limit=ARCHIVE_SIZE_LIMIT_BYTES)
        raise FilesInvalid(name=name, problems=[fault])
    entries = Entries()
    try:
        _read(body, entries)
    except ArchiveFault as error:
        entries.end(error)
    return entries.finish(name)


def _read(body: bytes, entries: Entries) -> None:
    if body.startswith(_GZIP):
        read_tar(Gunzip(body).read, entries)
    elif is_zip(body):
        read_zip(body, entries)
    elif is_tar(body):
        read_tar(io.BytesIO(body).read, entries)
    else:
        raise ArchiveFault(problem("/files", "archive_format"))


def write_tar_gz(files: Sequence[ScriptFile], root: str) -> bytes:
    """Return the files as a `.tar.gz` below the folder `root`: the same files, the same bytes.

    Order, times, owners and modes say nothing of where it was made; the compressed bytes are
    the same wherever zlib is.
    """
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for file in sorted(files, key=lambda each: each.path):
            entry = tarfile.TarInfo(f"{root}/{file.path}")
            entry.size = len(file.content)
            entry.mode = 0o755 if file.is_executable else 0o644
            archive.addfile(entry, io.BytesIO(file.content))
    return packed.getvalue()
