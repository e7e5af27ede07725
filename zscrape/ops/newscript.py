"""The folder of a new script: small enough to read, whole enough to run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from zscrape.errors import ConfigError
from zscrape.messages import text
from zscrape.ops.starters import STARTERS
from zscrape.scripts.digest import MANIFEST_FILE
from zscrape.scripts.manifest import is_script_name


def create_script(folder: Path, *, author: str, lang: str, starter: str = "http") -> list[Path]:
    """Make the folder of a new script, named as the folder, and return its files.

    Args:
        folder: Where; its name becomes the script's.
        author: Who writes it.
        lang: The language of complaints.
        starter: What it begins as: one of `STARTERS`.

    Raises:
        ConfigError: The name cannot be a script's, or the folder is not empty.
    """
    name = folder.name
    if not is_script_name(name):
        reason = text("cli.scripts.name", lang, name=name)
        raise ConfigError(source=str(folder), reason=reason)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(source=str(folder), reason=text("cli.scripts.occupied", lang))
    chosen = STARTERS[starter]
    manifest = {
        "name": name,
        "version": "0.1.0",
        "description": chosen.description,
        "author": author,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "entry_point": "main.py",
        "timeout": 60,
        "kit": ["http"],
        **chosen.manifest,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        manifest_path, main_path = folder / MANIFEST_FILE, folder / "main.py"
        manifest_path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        main_path.write_text(chosen.source.format(name=name), encoding="utf-8")
    except OSError as error:
        raise ConfigError(source=str(folder), reason=error.strerror or str(error)) from error
    return [manifest_path, main_path]
