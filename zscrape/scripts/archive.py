"""A script as an archive, for repositories behind a web server."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Sequence

from zscrape.scripts.digest import ScriptFile


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
