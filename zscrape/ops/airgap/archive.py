"""The archive of a bundle: checksums of everything, and a program that installs it."""

from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path
from typing import Any, Final

import msgspec

from zscrape.config import SettingError

# Wheels are compressed already: little is gained by trying again, and much time lost.
_MODES: Final = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz"}
_SUMS: Final = "SHA256SUMS"
_INSTALLER: Final = "install.sh"


def archive_mode(path: Path) -> str:
    """Return how to write an archive of this name.

    Raises:
        ConfigError: Its name is none of an archive.
    """
    for suffix, mode in _MODES.items():
        if path.name.endswith(suffix) and path.name != suffix:
            return mode
    expected = ", ".join(f"NAME{suffix}" for suffix in _MODES)
    raise SettingError(
        source="FILE", reason=path.name, fault="value", value=path.name, expected=expected
    )


def complete(folder: Path, about: dict[str, Any]) -> None:
    """Add to the folder of a bundle what it is, how it is installed, and its checksums."""
    (folder / "bundle.json").write_bytes(msgspec.json.format(msgspec.json.encode(about)) + b"\n")
    installer = Path(__file__).with_name(_INSTALLER).read_bytes()
    (folder / _INSTALLER).write_bytes(installer)
    lines = [
        f"{_sha256(path)}  {path.relative_to(folder).as_posix()}\n"
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    (folder / _SUMS).write_text("".join(lines), encoding="utf-8")


def write_archive(folder: Path, path: Path, mode: str) -> int:
    """Write the folder of a bundle as an archive, all of it or nothing; return its size.

    Raises:
        OSError: The disk will not take it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    options: dict[str, Any] = {"compresslevel": 1} if mode.endswith("gz") else {}
    try:
        with tarfile.open(draft, mode, **options) as archive:  # type: ignore[call-overload]
            archive.add(folder, arcname=folder.name, filter=_plain)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path.stat().st_size


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who made it and when: the same content is the same archive."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    is_program = entry.isdir() or entry.name.endswith(f"/{_INSTALLER}")
    entry.mode = 0o755 if is_program or entry.mode & 0o100 else 0o644
    return entry


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
