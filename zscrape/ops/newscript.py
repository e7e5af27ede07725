"""The folder of a new script: small enough to read, whole enough to run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from zscrape.errors import ConfigError
from zscrape.messages import text
from zscrape.ops.templates import DEFAULT, TEMPLATES
from zscrape.scripts.digest import MANIFEST_FILE
from zscrape.scripts.manifest import is_script_name


def create_script(folder: Path, *, author: str, lang: str, template: str = DEFAULT) -> list[Path]:
    """Make the folder of a new script, named as the folder, and return its files.

    `template` is one of `TEMPLATES`.

    Raises:
        ConfigError: The name cannot be a script's, or the folder is not empty.
    """
    name = folder.name
    if not is_script_name(name):
        reason = text("cli.scripts.name", lang, name=name)
        raise ConfigError(source=str(folder), reason=reason)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(source=str(folder), reason=text("cli.scripts.occupied", lang))
    begun = TEMPLATES[template]
    manifest = {
        "name": name,
        "version": "0.1.0",
        "description": begun.description,
        "author": author,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "entry_point": "main.py",
        "timeout": begun.timeout_s,
        "kit": begun.kit,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        manifest_path, main_path = folder / MANIFEST_FILE, folder / "main.py"
        manifest_path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        main_path.write_text(begun.main.format(name=name), encoding="utf-8")
    except OSError as error:
        raise ConfigError(source=str(folder), reason=error.strerror or str(error)) from error
    return [manifest_path, main_path]
