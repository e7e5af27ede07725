"""Which wheels a set of requirements means on another machine, and getting them.

uv resolves, since it can judge markers for a machine that it does not run on; pip downloads,
which uv does not do. Both take packages from where the worker's settings say, and otherwise
from where they are set to by the person who runs this.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import ClassVar, Final

import uv
from msgspec import Struct

from zscrape.config import WorkerSettings
from zscrape.errors import ZscrapeError
from zscrape.ops.airgap.platforms import Platform

_LIMIT_S: Final = 1800.0


class WheelsMissing(ZscrapeError):
    """Raised when requirements cannot be had as wheels for a platform."""

    code: ClassVar[str] = "environment_error"
    platform: str
    reason: str

    @property
    def text_key(self) -> str:
        """Say what to do where another platform may help."""
        is_about_wheels = "wheel" in self.reason and self.platform.startswith("manylinux")
        return "cli.bundle.no_wheel" if is_about_wheels else "cli.bundle.unresolved"


class Source(Struct, frozen=True):
    """Where packages come from, and for which Python they are fetched."""

    settings: WorkerSettings
    python: str  # 3.11
    platforms: tuple[Platform, ...] = ()  # none: this machine

    @property
    def kinds(self) -> tuple[Platform | None, ...]:
        """Every platform; None is this machine."""
        return self.platforms or (None,)


def fetch(source: Source, lines: Iterable[str], wheels: Path, *, own: Path | None = None) -> int:
    """Put every wheel that requirement lines mean into a folder; return how many were meant.

    Args:
        source: Where from and what for.
        lines: Requirement lines.
        wheels: The folder.
        own: A folder with the wheel of zscrape, where the lines ask for it; what zscrape needs
            is then taken in the versions that are installed here.

    Raises:
        WheelsMissing: They contradict each other, or a package has no wheel for a platform.
        OSError: The folder cannot be written.
    """
    pins: set[str] = set()
    with tempfile.TemporaryDirectory(prefix="zscrape-bundle-") as work:
        wanted, lock, held = (Path(work) / name for name in ("wanted", "lock", "held"))
        wanted.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        held.write_text("" if own is None else _installed(), encoding="utf-8")
        for platform in source.kinds:
            _resolve(source, platform, wanted, held, lock, own)
            listed = lock.read_text("utf-8").split()
            if listed:
                _download(source, platform, lock, wheels)
            pins |= {f"{line} {platform and platform.name}" for line in listed}
    return len(pins)


def _resolve(
    source: Source,
    platform: Platform | None,
    wanted: Path,
    held: Path,
    lock: Path,
    own: Path | None,
) -> None:
    links = [*source.settings.find_links, *([str(own)] if own else [])]
    _run(
        [
            *(uv.find_uv_bin(), "pip", "compile", "--quiet", "--no-header", "--no-annotate"),
            *("--no-build", "--no-strip-markers", "--color", "never", "--no-progress"),
            *("--no-emit-package", "zscrape", "--constraints", str(held)),
            *("--python-version", source.python, "--no-python-downloads"),
            *(() if platform is None else ("--python-platform", platform.uv_name)),
            *(part for link in links for part in ("--find-links", link)),
            *(("--offline", "--no-index") if source.settings.offline else ()),
            *("--output-file", str(lock), str(wanted)),
        ],
        source,
        platform,
        lock.parent,
    )


def _download(source: Source, platform: Platform | None, lock: Path, wheels: Path) -> None:
    tags = [] if platform is None else platform.tags
    _run(
        [
            *(*_pip(), "download", "--quiet", "--disable-pip-version-check", "--no-input"),
            *("--no-deps", "--only-binary", ":all:", "--dest", str(wheels)),
            *("--python-version", source.python),
            *(part for tag in tags for part in ("--platform", tag)),
            *(part for link in source.settings.find_links for part in ("--find-links", link)),
            *(("--no-index",) if source.settings.offline else ()),
            *("--requirement", str(lock)),
        ],
        source,
        platform,
        lock.parent,
    )


def _pip() -> Sequence[str]:
    """Return what runs pip; an environment that uv has made has none."""
    if importlib.util.find_spec("pip") is not None:
        return (sys.executable, "-m", "pip")
    return (uv.find_uv_bin(), "tool", "run", "pip")


def _run(command: Sequence[str], source: Source, platform: Platform | None, folder: Path) -> None:
    name = os.uname().machine if platform is None else platform.name
    environ = dict(os.environ)
    if source.settings.index_url is not None:
        # Not an argument: those can be read by every user of the machine.
        environ |= dict.fromkeys(("UV_DEFAULT_INDEX", "PIP_INDEX_URL"), source.settings.index_url)
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WheelsMissing(platform=name, reason=f"{command[0]}: {error}") from error
    if done.returncode != 0:
        raise WheelsMissing(platform=name, reason=_last_words(done.stderr or done.stdout))


def _last_words(told: str) -> str:
    """Return what matters of what a program said: its last lines, without notices."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("[notice]", "WARNING:", "hint:"))]
    return " ".join(lines[-6:]).replace("ERROR: ", "")


def _installed() -> str:
    """Return what is installed here, as constraints: zscrape has been tried with that."""
    return "".join(
        f"{each.metadata['Name']}=={each.version}\n"
        for each in metadata.distributions()
        if each.metadata["Name"] not in ("zscrape", None)
    )
