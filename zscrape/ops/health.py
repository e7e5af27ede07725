"""Whether what runs from a home folder is alive, cheaply: for health checks every few seconds.

A gateway is asked at its address, by what a `curl` would do and no more imports than that.
A worker has no port: its loop leaves a sign of life (`zscrape.worker.pulse`).
"""

from __future__ import annotations

import http.client
import json
import ssl
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psutil
from msgspec import Struct

from zscrape.config import CLIENT_FILE, default_home
from zscrape.messages import text
from zscrape.worker import pulse

_CALL_TIMEOUT_S: Final = 5.0
_SILENCE_S: Final = 3 * pulse.INTERVAL_S
_SIZE_LIMIT: Final = 65_536


class Part(Struct, frozen=True):
    """One process: its name, its own word for how it is, and whether that will do."""

    name: str
    status: str
    is_well: bool
    detail: str = ""


def examine(
    *, home: Path | None, url: str | None, is_ready: bool, lang: str, environ: Mapping[str, str]
) -> list[Part]:
    """Return what runs: the gateway at `url`, else all that has begun in the home folder.

    Args:
        home: The home folder; None: the environment's, or the platform's.
        url: A gateway's address, which need not be on this machine.
        is_ready: To be alive is not enough: it must take tasks, or have joined a gateway.
        lang: Language of the details.
        environ: The environment.
    """
    home = home or Path(environ.get("ZSCRAPE_HOME") or default_home(environ))
    if url:
        return [_gateway(url, "", is_ready)]
    kept, certificate = _kept_address(home)
    parts = [] if not kept else [_gateway(kept, certificate, is_ready)]
    parts += (_worker(beat, is_ready, lang) for beat in _beats(home))
    return parts


def _kept_address(home: Path) -> tuple[str, str]:
    try:
        table = tomllib.loads((home / CLIENT_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return "", ""  # no gateway has begun here; a worker's home has no such file
    return str(table.get("url", "")), str(table.get("certificate", ""))


def _gateway(url: str, certificate: str, is_ready: bool) -> Part:
    try:
        code, told = _get(url, certificate, "/ready" if is_ready else "/health")
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Part("gateway", "unreachable", is_well=False, detail=f"{url}: {reason}")
    components = told.get("components", {})
    detail = ", ".join(f"{name} {word}" for name, word in components.items())
    return Part("gateway", str(told.get("status", code)), is_well=code == 200, detail=detail)


def _get(url: str, certificate: str, path: str) -> tuple[int, dict[str, Any]]:
    where = urlsplit(url)
    address = where.hostname or "", where.port
    connection: http.client.HTTPConnection
    if where.scheme == "https":
        context = ssl.create_default_context()
        if certificate:
            # The gateway's own, as its home folder has it: its names are of no matter then.
            context.load_verify_locations(certificate)
            context.check_hostname = False
        connection = http.client.HTTPSConnection(*address, timeout=_CALL_TIMEOUT_S, context=context)
    else:
        connection = http.client.HTTPConnection(*address, timeout=_CALL_TIMEOUT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        told = json.loads(answer.read(_SIZE_LIMIT) or b"{}")
    finally:
        connection.close()
    return answer.status, told if isinstance(told, dict) else {}


def _beats(home: Path) -> Iterator[pulse.Beat]:
    """Yield the last words of workers that live, and of one that has died and is not back."""
    dead: list[pulse.Beat] = []
    has_living = False
    for path in sorted((home / "workers").glob(f"*{pulse.SUFFIX}")):
        beat = pulse.read(path)
        if beat is None:
            continue
        if psutil.pid_exists(beat.pid):
            has_living = True
            yield beat
        else:
            dead.append(beat)
    if not has_living:
        yield from dead


def _worker(beat: pulse.Beat, is_ready: bool, lang: str) -> Part:
    silent_s = pulse.age_s(beat)
    if silent_s > _SILENCE_S:
        detail = text("cli.health.late", lang, silent_s=silent_s)
        return Part(beat.worker_id, "silent", is_well=False, detail=detail)
    counts = {"joined_count": beat.joined_count, "gateway_count": beat.gateway_count}
    detail = text("cli.health.joined", lang, **counts)
    status = "draining" if beat.is_draining else "joined" if beat.joined_count else "dialling"
    return Part(beat.worker_id, status, not is_ready or status == "joined", detail)
