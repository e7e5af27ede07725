"""Python interpreters on this machine: which one a range of versions means.

zscrape's own is preferred wherever the range admits it. Any other is found by uv, which is
never asked to download one unless the worker's owner allows that.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from zscrape.errors.scripts import EnvironmentFailed
from zscrape.messages import text
from zscrape.onuse import on_use

if TYPE_CHECKING:
    import uv
    from packaging import specifiers
else:
    specifiers = on_use("packaging.specifiers")
    uv = on_use("uv")

# What `zscrape.runtime`, which runs inside of it, is written for.
OLDEST = (3, 8)

_QUERY_TIMEOUT_S = 60.0
_INSTALL_TIMEOUT_S = 600.0
_ABOUT = (
    "import json, platform, sys, sysconfig; print(json.dumps([sys.executable, "
    "platform.python_version(), platform.python_implementation(), sysconfig.get_platform()]))"
)
# How the worker's owner reaches programs and the network is uv's business too.
PASSED_ENVIRON = frozenset(
    {"PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH"}
    | {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
    | {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
)


class Interpreter(Struct, frozen=True):
    """One interpreter as it was when it was asked; `stamp` tells whether it still is that one."""

    path: str
    version: str
    implementation: str
    platform: str
    stamp: tuple[int, int, int]

    @property
    def holds(self) -> bool:
        """True iff the file is the same as it was."""
        return _stamp(self.path) == self.stamp


@functools.lru_cache(maxsize=1)
def own() -> Interpreter:
    """Return the interpreter that zscrape runs in."""
    return Interpreter(
        path=sys.executable,
        version=platform.python_version(),
        implementation=platform.python_implementation(),
        platform=sysconfig.get_platform(),
        stamp=_stamp(sys.executable),
    )


@functools.lru_cache(maxsize=256)
def is_own_in(python_range: str) -> bool:
    """True iff zscrape's own interpreter fits a PEP 440 range.

    Raises:
        EnvironmentFailed: It is no range.
    """
    try:
        return specifiers.SpecifierSet(python_range).contains(
            platform.python_version(), prereleases=True
        )
    except specifiers.InvalidSpecifier as error:
        raise EnvironmentFailed(reason=str(error)) from error


def find(python_range: str, *, may_download: bool = False) -> Interpreter:
    """Return an installed interpreter that fits a PEP 440 range, zscrape's own first.

    Blocks while uv looks; `may_download` lets it fetch one.

    Raises:
        EnvironmentFailed: There is none, or it cannot be used; names the range and what was found.
    """
    if is_own_in(python_range):
        return own()
    request = ("--no-project", "--no-python-downloads", python_range)
    found = _uv("python", "find", *request)
    if found.returncode != 0 and may_download:
        install = ("--no-bin", python_range)
        fetched = _uv("python", "install", *install, timeout_s=_INSTALL_TIMEOUT_S)
        if fetched.returncode != 0:
            raise EnvironmentFailed(reason=last_words(fetched.stderr))
        found = _uv("python", "find", *request)
    if found.returncode != 0:
        raise EnvironmentFailed(
            reason=text(
                "environment_error.no_interpreter",
                "en",
                python=python_range,
                found=_told(installed()),
            )
        )
    return _examine(os.path.realpath(found.stdout.strip()))


def installed() -> tuple[tuple[str, str], ...]:
    """Return version and path of every interpreter that uv finds here, newest first."""
    listed = _uv(
        *("python", "list", "--only-installed", "--no-python-downloads"),
        *("--output-format", "json"),
    )
    if listed.returncode != 0:
        return ()
    by_place: dict[str, tuple[str, str]] = {}
    for each in json.loads(listed.stdout):
        by_place.setdefault(os.path.realpath(each["path"]), (each["version"], each["path"]))
    return tuple(by_place.values())


def uv_version() -> str:
    """Return the version of the uv that builds environments.

    Raises:
        EnvironmentFailed: It cannot be run.
    """
    told = _uv("--version")
    if told.returncode != 0:
        raise EnvironmentFailed(reason=last_words(told.stderr))
    return told.stdout.split()[1]


def uv_path() -> str:
    """Return the program that the package `uv` has brought.

    Raises:
        EnvironmentFailed: It is not there.
    """
    try:
        return str(uv.find_uv_bin())
    except FileNotFoundError as error:
        raise EnvironmentFailed(
            reason=text("environment_error.no_uv", "en", detail=error)
        ) from error


def last_words(output: str) -> str:
    """Return what uv gave as the error, on one line."""
    # Until 0.12 a resolver's error began with a cross and was drawn as a tree.
    told = re.split(r"^(?:error: |\s*× )", output, maxsplit=1, flags=re.MULTILINE)[-1]
    told = re.sub(r":?\n\s*(?:cause: |╰─▶ )", ": ", told)
    return " ".join(re.sub(r"[│╰├▶─]", " ", told).split())[:2000]


def _told(found: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{version} ({path})" for version, path in found) or "-"


def _examine(path: str) -> Interpreter:
    """Ask an interpreter what it is."""
    try:
        asked = subprocess.run(
            [path, "-I", "-S", "-c", _ABOUT],
            capture_output=True,
            check=True,
            timeout=_QUERY_TIMEOUT_S,
            env={},
        )
        _, version, implementation, platform_tag = msgspec.json.decode(
            asked.stdout, type=tuple[str, str, str, str]
        )
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError) as error:
        reason = text("environment_error.bad_interpreter", "en", path=path, detail=error)
        raise EnvironmentFailed(reason=reason) from error
    if tuple(map(int, version.split(".")[:2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        reason = text("environment_error.old_interpreter", "en", version=version, oldest=oldest)
        raise EnvironmentFailed(reason=reason)
    return Interpreter(path, version, implementation, platform_tag, _stamp(path))


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        found = Path(path).stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _uv(*arguments: str, timeout_s: float = _QUERY_TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    # HOME: that is where interpreters that uv has installed are.
    passed = PASSED_ENVIRON | {"HOME"}
    environ = {name: os.environ[name] for name in passed if name in os.environ}
    try:
        return subprocess.run(
            # Without a cache: looking leaves nothing in the user's home.
            [uv_path(), "--no-config", "--no-cache", "--color", "never", *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout_s,
            cwd="/",
            env=environ,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EnvironmentFailed(
            reason=text("environment_error.no_uv", "en", detail=error)
        ) from error
