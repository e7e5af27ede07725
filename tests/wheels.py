"""Wheels for tests: made of three files, or of what is installed here, without any network."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

# What `"kit": ["http"]` brings, with what that needs.
KIT_WHEELS = (
    *("httpx", "httpcore", "h11", "anyio", "idna", "certifi", "h2", "hpack", "hyperframe"),
    *("httptools", "selectolax", "protego", "charset-normalizer", "lxml"),
)


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    *,
    files: Mapping[str, str] | None = None,
    requires: Iterable[str] = (),
) -> str:
    """Write a wheel whose module tells its version; return its SHA-256."""
    info = f"{name}-{version}.dist-info"
    about = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    about += [f"Requires-Dist: {each}" for each in requires]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in (files or {f"{name}.py": f"VERSION = {version!r}\n"}).items():
            archive.writestr(inner, text)
        archive.writestr(f"{info}/METADATA", "\n".join(about) + "\n")
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def repack(folder: Path, *names: str, compression: int = zipfile.ZIP_DEFLATED) -> None:
    """Write a wheel of each installed package, with the very files that are installed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        found = metadata.distribution(name)
        tags = [
            line.partition(": ")[2]
            for line in (found.read_text("WHEEL") or "").splitlines()
            if line.startswith("Tag: ")
        ]
        tag = next((each for each in tags if each.startswith("py3-")), tags[0])
        stem = f"{found.metadata['Name'].replace('-', '_')}-{found.version}"
        with zipfile.ZipFile(folder / f"{stem}-{tag}.whl", "w", compression) as archive:
            for each in found.files or ():
                place = Path(str(found.locate_file(each)))
                if each.parts[:3] == ("..", "..", "..") and each.parts[3] == "bin":
                    script = f"{stem}.data/scripts/{each.name}"
                    if is_binary(place):  # what is no entry point: uv, for one
                        archive.write(place, script)
                    continue
                is_inside = ".." not in each.parts and "__pycache__" not in each.parts
                if is_inside and each.name not in ("INSTALLER", "REQUESTED", "direct_url.json"):
                    archive.write(place, str(each))


def is_binary(path: Path) -> bool:
    """True iff a file is a program of machine code."""
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"
