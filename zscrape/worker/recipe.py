"""What makes an environment what it is: requirements, kit parts, interpreter; and its digest."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from zscrape.config import Settings, parse_size
from zscrape.model import RunSpec
from zscrape.onuse import on_use
from zscrape.worker.interpreters import Interpreter, is_own_in

if TYPE_CHECKING:
    from importlib import metadata
else:
    metadata = on_use("importlib.metadata")

# What each part of the kit imports in a child (`runtime/ctx_http.py`); the versions are those
# that zscrape itself has been tested with, the installed ones.
_HTTP = ("httpx", "h2", "httptools", "selectolax", "protego", "charset-normalizer", "lxml")
KIT_PACKAGES: dict[str, tuple[str, ...]] = {
    "http": _HTTP,
    "browser": ("pydoll-python", *_HTTP),  # a tab's page is one of `ctx.http`
}
_FORMAT = 1  # raised when an environment of before could not be used any more


class Recipe(Struct, frozen=True):
    """Everything that an environment is made of. Equal recipes are one environment."""

    requirements: tuple[str, ...]
    kit: tuple[str, ...]  # requirement lines of the kit parts, exact
    interpreter: Interpreter

    @property
    def has_hashes(self) -> bool:
        """True iff every file that the requirements mean is known by its hash."""
        return any(" --hash=" in line for line in self.requirements)

    @property
    def digest(self) -> str:
        """The name of the environment: 64 hexadecimal digits."""
        who = self.interpreter
        parts = [
            *(_FORMAT, sorted(self.requirements), sorted(self.kit)),
            *(who.implementation, who.version, who.path, who.platform),
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class EnvironmentPolicy(Struct, frozen=True, kw_only=True):
    """Where environments are kept, where packages come from, and what building one may take."""

    root: Path
    index_url: str | None = None  # None: uv's own default
    find_links: tuple[str, ...] = ()
    offline: bool = False
    allow_builds: bool = False  # from source: that runs the packages' code, unlimited
    allow_python_downloads: bool = False
    build_timeout_s: float = 600.0
    # A failure is told again for this long without another try: it is likely to be the same
    # one, and a hundred tasks would wait for it in turn.
    failure_kept_s: float = 60.0
    limit_bytes: int = 2_000_000_000  # one environment
    total_limit_bytes: int = 10_000_000_000
    max_age_s: float = 168 * 3600.0


def environment_policy(settings: Settings) -> EnvironmentPolicy:
    """Return what the settings say of environments."""
    worker = settings.worker
    return EnvironmentPolicy(
        root=settings.cache_dir / "environments",
        index_url=worker.index_url,
        find_links=worker.find_links,
        offline=worker.offline,
        allow_builds=worker.allow_builds,
        allow_python_downloads=worker.allow_python_downloads,
        build_timeout_s=worker.build_timeout_s,
        limit_bytes=parse_size(worker.environment_size_limit),
        total_limit_bytes=parse_size(worker.environments_size_limit),
        max_age_s=settings.cache_max_age_h * 3600.0,
    )


def needs_environment(run: RunSpec) -> bool:
    """True iff a script cannot run in the interpreter that zscrape itself runs in.

    Raises:
        EnvironmentFailed: Its Python range is none.
    """
    return bool(run.requirements) or bool(run.python and not is_own_in(run.python))


def kit_lines(kit: Iterable[str]) -> tuple[str, ...]:
    """Return the requirement lines of kit parts."""
    return tuple(dict.fromkeys(line for part in kit for line in _part_lines(part)))


@functools.cache
def _part_lines(part: str) -> tuple[str, ...]:
    return tuple(f"{name}=={metadata.version(name)}" for name in KIT_PACKAGES[part])


def venv_command(uv: str, cache: Path, recipe: Recipe, place: Path) -> list[str]:
    """Return the command that makes an empty environment which may be moved afterwards."""
    return [
        *(uv, "venv", *_common(cache), "--no-project", "--relocatable", "--quiet"),
        *("--python", recipe.interpreter.path, str(place)),
    ]


def install_command(
    uv: str, cache: Path, policy: EnvironmentPolicy, place: Path, wanted: Iterable[str]
) -> list[str]:
    """Return the command that installs into an environment; `wanted` are its last arguments."""
    sources = [part for link in policy.find_links for part in ("--find-links", link)]
    if policy.offline:
        sources.append("--offline")
        if policy.find_links and policy.index_url is None:
            sources.append("--no-index")
    return [
        *(uv, "pip", "install", *_common(cache), *sources),
        # Hard links would let a script that writes into its environment change uv's cache.
        *("--link-mode", "copy", "--python", str(place / "bin" / "python")),
        *(() if policy.allow_builds else ("--no-build",)),
        *wanted,
    ]


def _common(cache: Path) -> tuple[str, ...]:
    return (
        *("--no-config", "--no-python-downloads", "--color", "never", "--no-progress"),
        *("--cache-dir", str(cache)),
    )
