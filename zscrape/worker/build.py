"""One build of one environment: from a recipe to a folder that can be put in its place."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

from zscrape.errors.scripts import EnvironmentFailed
from zscrape.messages import text
from zscrape.worker.installer import Installer, clean_environ
from zscrape.worker.interpreters import last_words, uv_path
from zscrape.worker.recipe import EnvironmentPolicy, Recipe, install_command, venv_command
from zscrape.worker.scratch import remove_tree
from zscrape.worker.shelf import EnvironmentRecord, Shelf, forbid_writing, size_bytes, write_record

_FREE_MINIMUM_BYTES = 100_000_000
# What uv says of a package that has no wheel for this interpreter.
_NEEDS_BUILD = re.compile(r"no usable wheels|building source|--no-build|source distribution", re.I)
# What uv says of an index or a file that cannot be had, with its retries at an end.
_UNREACHABLE = re.compile(r"failed to fetch|error sending request", re.I)
# `compileall` of the interpreter itself, without `site`: that would run the packages' `.pth`.
_COMPILE = ("-I", "-S", "-m", "compileall", "-q")
_COMPILE_LIMIT_S = 600.0
_TRIM_TIMEOUT_S = 120.0


async def build(shelf: Shelf, policy: EnvironmentPolicy, recipe: Recipe, digest: str) -> str:
    """Build an environment and put it in its place, whose lock is held alone.

    Returns:
        What was said while it was built.

    Raises:
        EnvironmentFailed: It cannot be built; nothing of it is left but the log of the attempt.
    """
    began = time.monotonic()
    loop = asyncio.get_running_loop()
    try:
        staging = await asyncio.to_thread(shelf.stage, digest)
    except OSError as error:
        raise _disk_fault(error) from error
    place = staging / "env"
    installer: Installer | None = None
    try:
        installer = Installer(
            staging,
            ends_at=loop.time() + policy.build_timeout_s,
            limit_s=policy.build_timeout_s,
            file_limit_bytes=policy.limit_bytes,
            environ=_environ(staging / "work", policy),
            check=lambda: _check(place, policy),
        )
        await _install(installer, shelf, policy, recipe, staging)
        built_bytes = await asyncio.to_thread(_check, place, policy)
        log = _told(installer, staging, policy)
        record = EnvironmentRecord(
            requirements=(*recipe.requirements, *recipe.kit),
            python=recipe.interpreter.path,
            version=recipe.interpreter.version,
            size_bytes=built_bytes,
            built_s=time.monotonic() - began,
            built_at=time.time(),
        )
        write_record(place, record, log)
        shelf.publish(place, digest)
    except EnvironmentFailed as error:
        if installer is not None:
            error.log = _told(installer, staging, policy)
        shelf.keep_log(digest, error.log or error.reason)
        raise
    except OSError as error:
        raise _disk_fault(error) from error
    finally:
        await asyncio.shield(asyncio.to_thread(remove_tree, str(staging)))
    return log


async def finish(shelf: Shelf, recipe: Recipe, digest: str) -> None:
    """Compile what an environment holds, for children that start without; then close it.

    Not part of the build: nothing waits for it, and what was not compiled is by the next
    worker that uses the environment. A file that is no Python for this interpreter, as many
    packages have, is left as it is.

    Raises:
        EnvironmentFailed: The compiler could not be run, or took too long.
        OSError: The disk will not take it.
    """
    place = shelf.folder(digest)
    marker = place / "compiled"
    if marker.exists():
        return
    staging = await asyncio.to_thread(shelf.stage_beside, digest)
    try:
        installer = Installer(
            staging,
            ends_at=asyncio.get_running_loop().time() + _COMPILE_LIMIT_S,
            limit_s=_COMPILE_LIMIT_S,
            file_limit_bytes=_FREE_MINIMUM_BYTES,
            environ=clean_environ(staging / "work"),
            check=lambda: None,
        )
        packages = [str(path) for path in place.glob("lib/python*/site-packages")]
        command = [recipe.interpreter.path, *_COMPILE, *packages]
        await installer.run(command, is_background=True)
        await asyncio.to_thread(marker.touch)
        await asyncio.to_thread(forbid_writing, place)
    finally:
        await asyncio.shield(asyncio.to_thread(remove_tree, str(staging)))


def trim_cache(shelf: Shelf, policy: EnvironmentPolicy) -> None:
    """Empty uv's cache when it is larger than all environments may be; uv waits for its own."""
    if size_bytes(shelf.uv_cache) <= policy.total_limit_bytes:
        return
    command = [uv_path(), "cache", "clean", "--no-config", "--cache-dir", str(shelf.uv_cache)]
    # Not in time, or not at all: the next cleaning tries again.
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(command, capture_output=True, check=True, timeout=_TRIM_TIMEOUT_S, env={})


async def _install(
    installer: Installer, shelf: Shelf, policy: EnvironmentPolicy, recipe: Recipe, staging: Path
) -> None:
    uv, place = uv_path(), staging / "env"
    wanted = staging / "requirements.txt"
    wanted.write_text("".join(f"{line}\n" for line in recipe.requirements), encoding="utf-8")
    kit = staging / "kit.txt"
    kit.write_text("".join(f"{line}\n" for line in recipe.kit), encoding="utf-8")
    steps = [venv_command(uv, shelf.uv_cache, recipe, place)]
    if recipe.has_hashes:
        # The kit's files are known by version only: they come second, and must fit what is
        # there, which cannot change any more.
        steps.append(
            install_command(
                *(uv, shelf.uv_cache, policy, place), ("--require-hashes", "-r", str(wanted))
            )
        )
        if recipe.kit:
            beside = ("-r", str(kit), "-c", str(wanted))
            steps.append(install_command(uv, shelf.uv_cache, policy, place, beside))
    elif recipe.requirements or recipe.kit:
        listed = [each for each in (wanted, kit) if each.stat().st_size]
        arguments = tuple(part for each in listed for part in ("-r", str(each)))
        steps.append(install_command(uv, shelf.uv_cache, policy, place, arguments))
    for step in steps:
        if await installer.run(step) == 0:
            continue
        told = _told(installer, staging, policy)
        # With the index down, what uv's cache holds may do: that is looked at as well.
        may_do = not policy.offline and _UNREACHABLE.search(told) is not None
        if not may_do or await installer.run([*step, "--offline"]) != 0:
            raise EnvironmentFailed(reason=_reason(told, policy))


def _reason(log: str, policy: EnvironmentPolicy) -> str:
    """Return uv's own last words, and the setting that would help where there is one."""
    words = last_words(log)
    if not policy.allow_builds and _NEEDS_BUILD.search(words):
        return f"{words} {text('environment_error.no_builds', 'en')}"
    return words


def _check(place: Path, policy: EnvironmentPolicy) -> int:
    """Return the environment's size.

    Raises:
        EnvironmentFailed: It is too large, or the disk is nearly full.
    """
    free_bytes = shutil.disk_usage(place.parent).free
    if free_bytes < _FREE_MINIMUM_BYTES:
        reason = text("environment_error.disk_full", "en", free_bytes=free_bytes)
        raise EnvironmentFailed(reason=reason)
    built_bytes = size_bytes(place)
    if built_bytes > policy.limit_bytes:
        reason = text("environment_error.too_large", "en", limit_bytes=policy.limit_bytes)
        raise EnvironmentFailed(reason=reason)
    return built_bytes


def _environ(home: Path, policy: EnvironmentPolicy) -> dict[str, str]:
    environ = clean_environ(home)
    if policy.index_url is not None:
        # Not an argument: those can be read by every user of the machine.
        environ["UV_DEFAULT_INDEX"] = policy.index_url
    return environ


def _told(installer: Installer, staging: Path, policy: EnvironmentPolicy) -> str:
    """Return what was said, without the worker's folders and the credentials of its owner."""
    log = installer.log.replace(f"{staging}/", "")
    user_info = urlsplit(policy.index_url or "").netloc.rpartition("@")[0]
    for secret in (user_info, user_info.partition(":")[2]):
        if secret:
            log = log.replace(secret, "****")
    return log


def _disk_fault(error: OSError) -> EnvironmentFailed:
    detail = error.strerror or str(error)
    return EnvironmentFailed(reason=text("environment_error.disk", "en", detail=detail))
