"""This very installation as a wheel: what was tried here is what is installed there."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

import zscrape
from zscrape import __version__
from zscrape.ops.samples import samples_folder

_ABOUT: Final = "Wheel-Version: 1.0\nGenerator: zscrape\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_LEFT_OUT: Final = frozenset({"__pycache__", ".pytest_cache"})
_MOMENT: Final = (1980, 1, 1, 0, 0, 0)  # the same files make the same wheel


def write_own_wheel(folder: Path) -> Path:
    """Write the wheel of the zscrape that runs this; return its path.

    Raises:
        OSError: A file cannot be read, or the wheel not written.
    """
    info = f"zscrape-{__version__}.dist-info"
    path = folder / f"zscrape-{__version__}-py3-none-any.whl"
    records: list[str] = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:

        def add(name: str, content: bytes) -> None:
            entry = zipfile.ZipInfo(name, _MOMENT)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            records.append(f"{name},sha256={digest.decode()},{len(content)}")

        for name, source in sorted(package_files().items()):
            add(name, source.read_bytes())
        for name, content in _metadata_files():
            add(f"{info}/{name}", content)
        add(f"{info}/WHEEL", _ABOUT.encode())
        records.append(f"{info}/RECORD,,")
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD", _MOMENT), "\n".join(records) + "\n")
    return path


def package_files() -> dict[str, Path]:
    """Return every file of the installed package by its name in a wheel, samples among them."""
    package = Path(zscrape.__file__).parent
    found = {f"zscrape/{name}": path for name, path in _walk(package)}
    found |= {f"zscrape/_samples/{name}": path for name, path in _walk(samples_folder())}
    return found


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in folder.rglob("*"):
        inner = path.relative_to(folder)
        if path.is_file() and not _LEFT_OUT.intersection(inner.parts):
            yield inner.as_posix(), path


def _metadata_files() -> Iterator[tuple[str, bytes]]:
    installed = metadata.distribution("zscrape")
    for name in ("METADATA", "entry_points.txt"):
        yield name, (installed.read_text(name) or "").encode()
    for file in installed.files or ():
        if file.parent.name == "licenses" and file.parent.parent.name.endswith(".dist-info"):
            yield f"licenses/{file.name}", file.read_binary()
