"""Look at this machine, this home folder and this gateway, and say what is wrong.

A check is `ok`, a `warning` (something works less well or less safely) or `broken`
(something required does not work). Nothing is changed.
"""

from __future__ import annotations

import asyncio
import os
import platform
import resource
import shutil
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct

from zscrape import __version__
from zscrape.client import NO_RETRY, Client, ClientError, find_gateway
from zscrape.config import (
    CLIENT_FILE,
    JOIN_FILE,
    RepositorySettings,
    Settings,
    parse_http,
    parse_link,
    refusals,
    unknown_environment,
)
from zscrape.config.keyfiles import is_private
from zscrape.errors import StorageError
from zscrape.errors.scripts import EnvironmentFailed, RepositoryUnavailable
from zscrape.errors.storage import PostgresEncoding, PostgresMissing, StorageCorrupt, StorageNewer
from zscrape.gateway.linkkeys import LINK_FILE
from zscrape.messages import text
from zscrape.model import LAYERS
from zscrape.ops.backup import inspect
from zscrape.scripts.repository import open_source
from zscrape.scripts.source import Listing
from zscrape.store.database import FILE_NAME
from zscrape.worker import interpreters, isolation
from zscrape.worker.identity import PROGRAMS
from zscrape.worker.isolation import STAGING
from zscrape.worker.network import network_strength

Status = Literal["ok", "warning", "broken"]

_OPEN_FILE_MINIMUM: Final = 1024
_DISK_FREE_MINIMUM_BYTES: Final = 200_000_000


class Check(Struct, frozen=True):
    """One thing looked at. `detail` says what was found, and for a fault the next step."""

    name: str
    status: Status
    detail: str


def examine(settings: Settings, *, lang: str, environ: Mapping[str, str]) -> list[Check]:
    """Return every check, in the order in which a person would mend things."""
    checks: list[Check] = []
    for look in (
        *(_python, _interpreters, _limits, _layers, _home, _safety, _link_keys, _database),
        *(_repositories, _environment, _ports, _gateway),
    ):
        checks.extend(look(_Case(settings, lang, environ)))
    checks.append(_programs(lang))
    return checks


class _Case(Struct, frozen=True):
    settings: Settings
    lang: str
    environ: Mapping[str, str]

    def tell(self, name: str, status: Status, key: str, **fields: object) -> Check:
        return Check(name, status, text(f"doctor.{key}", self.lang, **fields))


# ---- this machine --------------------------------------------------------------------


def _python(case: _Case) -> Iterator[Check]:
    is_new = sys.version_info >= (3, 11)
    yield case.tell(
        "python",
        "ok" if is_new else "broken",
        "python" if is_new else "python.old",
        version=platform.python_version(),
        implementation=platform.python_implementation(),
        zscrape=__version__,
    )
    yield case.tell(
        "platform",
        "ok" if sys.platform == "linux" else "warning",
        "platform" if sys.platform == "linux" else "platform.other",
        system=platform.platform(terse=True),
        machine=platform.machine(),
        cpu_count=os.cpu_count() or 1,
    )


def _interpreters(case: _Case) -> Iterator[Check]:
    """What builds environments, and what they can be built with."""
    try:
        version, found = interpreters.uv_version(), interpreters.installed()
    except EnvironmentFailed as error:
        yield case.tell("uv", "broken", "uv.broken", reason=error.reason)
        return
    yield case.tell("uv", "ok", "uv", version=version, path=interpreters.uv_path())
    told = ", ".join(f"{version} ({path})" for version, path in found)
    key = "interpreters" if found else "interpreters.none"
    yield case.tell("interpreters", "ok", key, found=told)


def _limits(case: _Case) -> Iterator[Check]:
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    is_enough = open_files == resource.RLIM_INFINITY or open_files >= _OPEN_FILE_MINIMUM
    yield case.tell(
        "open_files",
        "ok" if is_enough else "warning",
        "open_files" if is_enough else "open_files.few",
        count="unlimited" if open_files == resource.RLIM_INFINITY else open_files,
        minimum=_OPEN_FILE_MINIMUM,
    )
    yield case.tell("user", "ok", "user.root" if os.geteuid() == 0 else "user", uid=os.geteuid())


def _layers(case: _Case) -> Iterator[Check]:
    """Try every layer of isolation, as a worker does when it starts."""
    settings = case.settings
    trees = settings.cache_dir / "sha256"
    with tempfile.TemporaryDirectory(prefix="zscrape-doctor-") as folder:
        (Path(folder) / STAGING).mkdir()
        skip = frozenset(settings.isolation.skip)
        roots = (trees,) if trees.is_dir() else ()
        found = asyncio.run(isolation.examine(sys.executable, folder, roots, skip=skip))
    strength = network_strength()
    found = found.with_network(strength.name, strength.reason)
    for layer in LAYERS:
        name, reason = f"layer {layer}", found.missing.get(layer)
        if reason is None:
            key = f"layer.{layer}"
            if layer == "network" and strength.name == "supervised":
                key = "layer.network.supervised"
            elif layer == "view" and not found.hides_processes:
                key = "layer.view.processes"
            yield case.tell(name, "ok", key, reason=strength.reason)
            continue
        is_required = layer in (*settings.isolation.require, "tree")
        cost = text(f"doctor.cost.{layer}", case.lang)
        status: Status = "broken" if is_required else "warning"
        yield case.tell(name, status, "layer.missing", reason=reason, cost=cost)


def _programs(lang: str) -> Check:
    found = [name for name in PROGRAMS if shutil.which(name)]
    key = "programs" if found else "programs.none"
    return Check("programs", "ok", text(f"doctor.{key}", lang, names=", ".join(found)))


# ---- files ---------------------------------------------------------------------------


def _home(case: _Case) -> Iterator[Check]:
    home = case.settings.home
    problem = _write_problem(home)
    if problem:
        yield case.tell("home", "broken", "home.unwritable", path=home, reason=problem)
        return
    free_bytes = shutil.disk_usage(_nearest_folder(home)).free
    is_roomy = free_bytes >= _DISK_FREE_MINIMUM_BYTES
    yield case.tell(
        "home",
        "ok" if is_roomy else "warning",
        "home" if is_roomy else "home.full",
        path=home,
        free_mb=free_bytes // 1_000_000,
    )
    client_file = home / CLIENT_FILE
    if client_file.exists():
        mode = stat.S_IMODE(client_file.stat().st_mode)
        is_private = mode & 0o077 == 0
        yield case.tell(
            "client_file",
            "ok" if is_private else "broken",
            "client_file" if is_private else "client_file.open",
            path=client_file,
            mode=f"{mode:04o}",
        )


def _safety(case: _Case) -> Iterator[Check]:
    """Tell of everything for which a gateway would not start."""
    told = str(case.settings.home / CLIENT_FILE)  # by the check of that file
    found = [each for each in refusals(case.settings) if each.source != told]
    # What calls a gateway elsewhere need not be able to start one.
    status: Status = "warning" if "ZSCRAPE_URL" in case.environ else "broken"
    for refusal in found:
        yield Check("safety", status, text(refusal.text_key, case.lang, **refusal.fields))
    if not found:
        yield case.tell("safety", "ok", "safety")


def _link_keys(case: _Case) -> Iterator[Check]:
    """Look at the files that hold keys of the link, a gateway's and workers' alike."""
    home = case.settings.home
    paths = [path for path in (home / LINK_FILE, home / JOIN_FILE) if path.exists()]
    paths += sorted((home / "workers").glob("*.key"))
    open_paths = [path for path in paths if not is_private(path)]
    for path in open_paths:
        mode = f"{stat.S_IMODE(path.stat().st_mode):04o}"
        yield case.tell("link_keys", "broken", "link_keys.open", path=path, mode=mode)
    if not open_paths:
        key = "link_keys" if paths else "link_keys.none"
        yield case.tell("link_keys", "ok", key, count=len(paths), home=home)


def _database(case: _Case) -> Iterator[Check]:
    if case.settings.gateway.database_url:
        yield _server(case, case.settings.gateway.database_url)
        return
    path = case.settings.home / FILE_NAME
    if not path.exists():
        yield case.tell("database", "ok", "database.none", path=path)
        return
    try:
        facts = inspect(path)
    except (StorageCorrupt, StorageNewer) as error:
        yield Check("database", "broken", text(error.text_key, case.lang, **error.fields))
        return
    except OSError as error:
        reason = error.strerror or str(error)
        yield case.tell("database", "broken", "home.unwritable", path=path, reason=reason)
        return
    yield case.tell(
        "database",
        "ok",
        "database",
        path=path,
        size_mb=facts.size_bytes / 1_000_000,
        schema=facts.schema,
        count=facts.task_count,
    )


def _server(case: _Case, url: str) -> Check:
    from zscrape.store.postgres import look_at_server

    try:
        schema, gateway_count = look_at_server(url)
    except (StorageError, PostgresEncoding, PostgresMissing) as error:
        return Check("database", "broken", text(error.text_key, case.lang, **error.fields))
    key = "database.server" if schema else "database.new"
    return case.tell("database", "ok", key, schema=schema, count=gateway_count)


def _nearest_folder(path: Path) -> Path:
    """Return the folder itself, or the nearest one above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _write_problem(home: Path) -> str:
    """Return why nothing can be written to the home folder, or an empty text."""
    try:
        with tempfile.TemporaryFile(dir=_nearest_folder(home)) as probe:
            probe.write(b"zscrape")
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _repositories(case: _Case) -> Iterator[Check]:
    for repository in case.settings.repositories:
        name = f"repository {repository.name}"
        if repository.type != "dir":
            yield _remote_repository(case, repository, name)
            continue
        folder = Path(repository.url)
        if folder.is_dir():
            yield case.tell(name, "ok", "repository", path=folder)
        else:
            is_default = case.settings.sources["repositories"] == "default"
            status: Status = "warning" if is_default else "broken"
            yield case.tell(name, status, "repository.missing", path=folder)


def _remote_repository(case: _Case, repository: RepositorySettings, name: str) -> Check:
    """Look at a repository behind a network, as a gateway would at its start."""

    async def look(folder: Path) -> Listing:
        source = open_source(repository, folder)
        try:
            return await source.scan(None)
        finally:
            await source.close()

    where = repository.url or f"s3://{repository.bucket}/{repository.prefix}"
    try:
        with tempfile.TemporaryDirectory(prefix="zscrape-doctor-") as scratch:
            found = asyncio.run(look(Path(scratch)))
    except RepositoryUnavailable as error:
        return case.tell(name, "broken", "repository.unavailable", reason=error.reason)
    count = sum(len(versions) for versions in found.scripts.values())
    facts = {"type": repository.type, "where": where, "count": len(found.scripts)}
    return case.tell(name, "ok", "repository.remote", **facts, version_count=count)


def _environment(case: _Case) -> Iterator[Check]:
    for name, nearest in unknown_environment(case.environ).items():
        yield case.tell(name, "warning", "environment.unknown", nearest=nearest)


# ---- the gateway ---------------------------------------------------------------------


def _ports(case: _Case) -> Iterator[Check]:
    """A port in use is right when the gateway that uses it is ours: `_gateway` tells."""
    settings = case.settings
    for name, address, parse in (
        ("http", settings.gateway.http, parse_http),
        ("link", settings.gateway.link, parse_link),
    ):
        host, port = parse(address)
        is_free = port == 0 or _is_free(host, port)
        yield case.tell(name, "ok", "port" if is_free else "port.used", address=address)


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _gateway(case: _Case) -> Iterator[Check]:
    try:
        gateway = find_gateway(home=case.settings.home, environ=case.environ, lang=case.lang)
    except ClientError as error:
        yield Check("gateway", "warning", error.words)
        return
    try:
        with Client(gateway, lang=case.lang, retry=NO_RETRY) as client:
            status = client.status()
            workers: list[dict[str, Any]] = client.workers().get("workers", [])
    except ClientError as error:
        # A key that is refused is a fault; a gateway that is not running may be meant.
        yield Check("gateway", "broken" if error.status else "warning", error.words)
        return
    yield case.tell(
        "gateway",
        "ok",
        "gateway",
        url=gateway.url,
        source=gateway.source,
        queued_count=status.get("queue_length", 0),
    )
    yield case.tell(
        "workers",
        "ok" if workers else "warning",
        "workers" if workers else "workers.none",
        count=len(workers),
        slots=sum(int(worker.get("slots", 0)) for worker in workers),
    )
