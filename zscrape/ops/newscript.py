"""The folder of a new script: small enough to read, whole enough to run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from zscrape.errors import ConfigError
from zscrape.messages import text
from zscrape.scripts.digest import MANIFEST_FILE
from zscrape.scripts.manifest import is_script_name

_MAIN: Final = '''\
"""{name}: the title and the links of a page."""


def run(url: str = "https://example.com", limit: int = 10, *, ctx):
    page = ctx.http.get(url)
    ctx.log.info("page read", title=page.css_first("title").text)

    links = page.links()[:limit]
    for number, link in enumerate(links, 1):
        ctx.progress(number / len(links), link)
        yield {{"number": number, "link": link}}
'''


def create_script(folder: Path, *, author: str, lang: str) -> list[Path]:
    """Make the folder of a new script, named as the folder, and return its files.

    Raises:
        ConfigError: The name cannot be a script's, or the folder is not empty.
    """
    name = folder.name
    if not is_script_name(name):
        reason = text("cli.scripts.name", lang, name=name)
        raise ConfigError(source=str(folder), reason=reason)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(source=str(folder), reason=text("cli.scripts.occupied", lang))
    manifest = {
        "name": name,
        "version": "0.1.0",
        "description": "The title and the links of a page",
        "author": author,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "entry_point": "main.py",
        "timeout": 60,
        "kit": ["http"],
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        manifest_path, main_path = folder / MANIFEST_FILE, folder / "main.py"
        manifest_path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        main_path.write_text(_MAIN.format(name=name), encoding="utf-8")
    except OSError as error:
        raise ConfigError(source=str(folder), reason=error.strerror or str(error)) from error
    return [manifest_path, main_path]
