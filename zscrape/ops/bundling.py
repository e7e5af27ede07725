"""Make a bundle: zscrape, scripts and the wheels of their environments, for a machine apart."""

from __future__ import annotations

import platform
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from zscrape import __version__
from zscrape.config import Settings
from zscrape.errors.scripts import EnvironmentFailed
from zscrape.ops.airgap.archive import complete, write_archive
from zscrape.ops.airgap.fetching import Source, fetch
from zscrape.ops.airgap.ownwheel import write_own_wheel
from zscrape.ops.airgap.platforms import Platform
from zscrape.ops.onelook import open_anew
from zscrape.scripts.catalogue import Catalogue
from zscrape.scripts.repository import Repository
from zscrape.scripts.script import Script
from zscrape.scripts.trusted import trust_of
from zscrape.scripts.writing import place_tree
from zscrape.worker.recipe import kit_lines


class Bundle(Struct, frozen=True):
    """A bundle while it is made: its folder and what is in it."""

    folder: Path
    source: Source
    scripts: list[dict[str, Any]] = []

    @property
    def wheels(self) -> Path:
        """The folder of wheels."""
        return self.folder / "wheels"

    def add_zscrape(self) -> None:
        """Put zscrape itself and what it needs into the bundle.

        Raises:
            WheelsMissing: Something of it has no wheel for a platform.
            OSError: The disk will not take it.
        """
        own = write_own_wheel(self.wheels)
        fetch(self.source, [f"zscrape[postgres]=={__version__}"], self.wheels, own=own.parent)

    async def add_script(self, script: Script, repository: Repository) -> None:
        """Put a script and the wheels of its environment into the bundle.

        Raises:
            ScriptError: Its files cannot be had.
            WheelsMissing: Its environment cannot be made of wheels.
            EnvironmentFailed: It is for another Python.
            OSError: The disk will not take it.
        """
        run, pin = script.run, script.pin
        _require_python(run.python, self.source.python)
        if run.requirements:
            fetch(self.source, [*run.requirements, *kit_lines(run.kit)], self.wheels)
        place_tree(
            await repository.fetch(pin.name, pin.version),
            self.folder / "scripts" / pin.name / pin.version,
        )
        self.scripts.append({"name": pin.name, "version": pin.version, "digest": pin.digest})

    def write(self, path: Path, mode: str) -> int:
        """Write the archive; return its size.

        Raises:
            OSError: The disk will not take it.
        """
        machines = [each.machine for each in self.source.platforms] or [platform.machine()]
        about = {
            "zscrape": __version__,
            "python": self.source.python,
            "machines": sorted(set(machines)),
            "platforms": [each.name for each in self.source.platforms] or ["this machine's"],
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "scripts": self.scripts,
        }
        complete(self.folder, about)
        return write_archive(self.folder, path, mode)


class Shelf(Struct, frozen=True):
    """The repositories of the settings, open for one look."""

    repositories: Sequence[Repository]
    catalogue: Catalogue

    async def names(self) -> list[str]:
        """Return the names of all scripts.

        Raises:
            RepositoryUnavailable: A repository cannot be read.
        """
        return sorted({name for each in self.repositories for name in await each.names()})

    async def find(self, target: str) -> tuple[Script, Repository]:
        """Return the script that `NAME` or `NAME@VERSION` means, and where it comes from.

        Raises:
            ScriptError: There is none, or it cannot be used.
        """
        name, _, version = target.partition("@")
        script = await self.catalogue.resolve(name, version or None)
        (repository,) = [each for each in self.repositories if each.name == script.pin.repository]
        return script, repository


@asynccontextmanager
async def open_shelf(settings: Settings) -> AsyncIterator[Shelf]:
    """Open the repositories anew, past what a gateway has cached.

    Raises:
        ConfigError: One of them cannot be opened.
    """
    async with open_anew(settings) as (repositories, cache):
        yield Shelf(repositories, Catalogue(repositories, cache, trust=trust_of(settings)))


def begin_bundle(
    scratch: Path, settings: Settings, python: str | None, platforms: Sequence[Platform]
) -> Bundle:
    """Return a bundle without anything in it yet."""
    folder = scratch / f"zscrape-{__version__}"
    for name in ("wheels", "scripts"):
        (folder / name).mkdir(parents=True)
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Bundle(folder, Source(settings.worker, python or own, tuple(platforms)), [])


def _require_python(wanted: str, python: str) -> None:
    """Refuse a script for another Python than the bundle's.

    Raises:
        EnvironmentFailed: It is for another one.
    """
    try:
        wants = SpecifierSet(wanted)  # of any patch of it, the first one or a late one
    except InvalidSpecifier as error:
        raise EnvironmentFailed(reason=str(error)) from error
    if not any(wants.contains(f"{python}.{patch}") for patch in (0, 99)):
        raise EnvironmentFailed(reason=f"python_version {wanted}, --python {python}")
