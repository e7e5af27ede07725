"""Check a script's folder as a gateway would, and a little more strictly."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from msgspec import Struct

from zscrape.errors import ZscrapeError
from zscrape.errors.scripts import ManifestInvalid
from zscrape.messages import text
from zscrape.ops.local import locate
from zscrape.scripts.cache import ScriptCache
from zscrape.scripts.catalogue import Catalogue, Script
from zscrape.scripts.directory import DirectoryRepository
from zscrape.scripts.problems import Problem, pointer_to, problem, told
from zscrape.scripts.trust import NOBODY, Trust

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
    try:
        script = await examine_script(path)
    except ManifestInvalid as error:
        return CheckReport(str(path), errors=told(error.problems, lang))
    except ZscrapeError as error:
        words = text(error.text_key, lang, **error.fields)
        return CheckReport(str(path), errors=[{"pointer": "", "reason": words}])
    return CheckReport(
        str(path),
        name=script.pin.name,
        version=script.pin.version,
        digest=script.pin.digest,
        errors=told(script.warnings, lang),
        warnings=told((*unpublishable(script), *script.notices), lang),
        parameters=script.schema.get("properties", {}),
    )


async def examine_script(path: Path, trust: Trust = NOBODY) -> Script:
    """Read and check the script at `path`; nothing of it is run.

    Raises:
        ScriptError: It cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="zscrape-check-") as scratch:
        root, name, version = locate(path, Path(scratch))
        repository = DirectoryRepository(root)
        cache = ScriptCache(Path(scratch) / "cache")
        catalogue = Catalogue((repository,), cache, trust=trust)
        try:
            return await catalogue.resolve(name, version)
        finally:
            await catalogue.close()
            await cache.close()


def unpublishable(script: Script) -> list[Problem]:
    """Return what a script lacks that it needs to be published, though not to run."""
    return [
        problem(pointer_to(name), "unpublished")
        for name in _PUBLISHED_FIELDS
        if not getattr(script.manifest, name)
    ]
