"""Check a script's folder as a gateway would, and a little more strictly."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from msgspec import Struct

from zscrape.errors import ManifestInvalid, ZscrapeError
from zscrape.messages import text
from zscrape.ops.local import locate
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.catalogue import Catalogue
from zscrape.scripts.directory import DirectoryRepository
from zscrape.scripts.problems import Problem, told

# Required to publish, though not to run (contract section 2).
_PUBLISHED_FIELDS = ("description", "author")


class CheckReport(Struct, frozen=True):
    """What is wrong with one script. `errors` keep it from running or are unknown fields."""

    path: str
    name: str = ""
    version: str = ""
    digest: str = ""
    errors: list[Problem] = []
    warnings: list[Problem] = []
    parameters: dict[str, Any] = {}

    @property
    def is_ok(self) -> bool:
        """True iff nothing is wrong that must be mended."""
        return not self.errors


async def check_script(path: Path, *, lang: str) -> CheckReport:
    """Return everything that is wrong with the script at `path`; nothing of it is run."""
    with tempfile.TemporaryDirectory(prefix="zscrape-check-") as scratch:
        cache = ScriptCache(Path(scratch) / "cache")
        try:
            root, name, version = locate(path, Path(scratch))
            catalogue = Catalogue((DirectoryRepository(root),), cache)
            script = await catalogue.resolve(name, version)
        except ManifestInvalid as error:
            return CheckReport(str(path), errors=told(error.problems, lang))
        except ZscrapeError as error:
            words = text(error.text_key, lang, **error.fields)
            return CheckReport(str(path), errors=[{"pointer": "", "reason": words}])
        finally:
            await cache.close()
    missing = [
        {"pointer": f"/{name}", "reason": text("cli.check.unpublished", lang)}
        for name in _PUBLISHED_FIELDS
        if not getattr(script.manifest, name)
    ]
    return CheckReport(
        str(path),
        name=script.pin.name,
        version=script.pin.version,
        digest=script.pin.digest,
        errors=told(script.warnings, lang),
        warnings=missing,
        parameters=script.schema.get("properties", {}),
    )
