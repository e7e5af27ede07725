"""Script folders for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def manifest(name: str = "sample", version: str = "1.0.0", **fields: Any) -> bytes:
    """Return the bytes of a `metadata.json`."""
    return json.dumps({"name": name, "version": version, **fields}).encode()


def write_script(
    folder: Path,
    files: dict[str, str | bytes] | None = None,
    *,
    version: str = "1.0.0",
    name: str = "",
    **fields: Any,
) -> Path:
    """Write a script's folder and return it; without files it has a `main.py` only."""
    folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, str | bytes] = {
        "metadata.json": manifest(name or folder.name, version, **fields),
        "main.py": "def run(url: str, pages: int = 1):\n    return url\n",
        **(files or {}),
    }
    for path, body in content.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(body if isinstance(body, bytes) else body.encode())
    return folder


def wait_for_the_clock(folder: Path) -> None:
    """Write a file beside the others until the file system's clock has moved on."""
    probe = folder / ".clock"
    probe.touch()
    first_ns = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == first_ns:
        probe.touch()
