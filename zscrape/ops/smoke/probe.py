"""The script that the cases run: it echoes, waits, or takes more memory than it may.

It is put into a folder that the gateway reads scripts from and taken away again; a deployed
copy of it under any name does as well (`--script`).
"""

from __future__ import annotations

import json
import secrets
import shutil
from pathlib import Path
from typing import Final

from zscrape.errors import ConfigError

PREFIX: Final = "zscrape_smoke_"

SOURCE: Final = '''"""What `zscrape smoke` runs to see that an installation works."""

import time


def run(act: str = "echo", seconds: float = 0.0, *, ctx):
    if act == "memory":
        held = []
        for _ in range(256):
            held.append(b"x" * (16 * 1024 * 1024))
    time.sleep(seconds)
    ctx.log.info("probe", act=act)
    ctx.progress(1.0, act)
    yield {"act": act}
'''

_MANIFEST: Final = {
    "version": "1.0.0",
    "description": "Run by zscrape smoke",
    "author": "zscrape",
    "tags": ["smoke"],
    "kit": [],
    "timeout": 60,
    "memory_limit": "128MB",
}


def write_probe(folder: Path, name: str | None = None) -> Path:
    """Write the probe into a folder of scripts; returns its own folder.

    Raises:
        ConfigError: The folder is not there or cannot be written.
    """
    name = name or f"{PREFIX}{secrets.token_hex(4)}"
    place = folder / name
    try:
        place.mkdir()
        (place / "main.py").write_text(SOURCE, encoding="utf-8")
        manifest = json.dumps({"name": name, **_MANIFEST}, indent=2)
        (place / "metadata.json").write_text(manifest + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(source=str(place), reason=error.strerror or str(error)) from error
    return place


def remove_probe(place: Path) -> None:
    """Take the probe away again.

    Raises:
        OSError: It cannot be removed.
    """
    shutil.rmtree(place)
