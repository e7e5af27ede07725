"""Where a gateway is, the key to it, and how its certificate is known."""

from __future__ import annotations

import os
import ssl
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from zscrape import __version__
from zscrape.client.failures import ClientError
from zscrape.config import CLIENT_FILE, default_home, is_loopback, with_files
from zscrape.messages import text

_CLIENT_TLS: Final = ssl.PROTOCOL_TLS_CLIENT
_PEM_END: Final = "-----END CERTIFICATE-----"


class Gateway(Struct, frozen=True):
    """Where a gateway is and the key to it; `source` says how that is known.

    `certificate` is the file of the one that it shows, where it is known to this machine.
    """

    url: str
    key: str
    source: str
    certificate: str = ""


def find_gateway(
    *,
    url: str | None = None,
    key: str | None = None,
    home: Path | None = None,
    environ: Mapping[str, str] | None = None,
    lang: str = "en",
) -> Gateway:
    """Return the gateway to call: what is given, else the environment, else `client.toml`.

    The key of `client.toml` goes only to the address beside it.

    Raises:
        ClientError: `gateway_unknown`, or `client.toml` cannot be read.
    """
    environ = with_files(os.environ if environ is None else environ)
    home = home or Path(environ.get("ZSCRAPE_HOME") or default_home(environ))
    asked_url = url or environ.get("ZSCRAPE_URL") or ""
    asked_key = key or environ.get("ZSCRAPE_API_KEY") or ""
    path = home / CLIENT_FILE
    if asked_url and asked_key:
        return Gateway(asked_url.rstrip("/"), asked_key, "--url" if url else "ZSCRAPE_URL")
    kept_url, kept_key, certificate = _read_client_file(path, lang)
    if not asked_url and not kept_url:
        words = text("client.gateway_unknown", lang, path=path)
        raise ClientError("gateway_unknown", words)
    target = (asked_url or kept_url).rstrip("/")
    is_kept = target == kept_url.rstrip("/")
    key_found = asked_key or (kept_key if is_kept else "")
    source = str(path) if not asked_url else ("--url" if url else "ZSCRAPE_URL")
    return Gateway(target, key_found, source, certificate if is_kept else "")


def _read_client_file(path: Path, lang: str) -> tuple[str, str, str]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return str(table["url"]), str(table["key"]), str(table.get("certificate", ""))
    except FileNotFoundError:
        return "", "", ""
    except (OSError, UnicodeError, tomllib.TOMLDecodeError, KeyError) as error:
        words = text("client.file_invalid", lang, path=path, reason=str(error))
        raise ClientError("config_invalid", words) from error


def connection_options(gateway: Gateway, lang: str) -> dict[str, Any]:
    """Return how httpx is to talk with a gateway: the same for both of its clients."""
    headers = {"Accept-Language": lang, "User-Agent": f"zscrape/{__version__}"}
    if gateway.key:
        headers["Authorization"] = f"Bearer {gateway.key}"
    is_tls = gateway.url.startswith("https:")
    return {
        "base_url": gateway.url,
        "headers": headers,
        # Loading certificate authorities takes long, and a plain address has no use for them.
        "verify": _trust(gateway.certificate) if is_tls else ssl.SSLContext(_CLIENT_TLS),
        # A proxy meant for the internet cannot reach this machine's own loopback.
        "trust_env": not is_loopback(urlsplit(gateway.url).hostname or ""),
    }


def _trust(certificate: str) -> ssl.SSLContext | bool:
    """Return what tells a gateway's certificate: the system's authorities, or that one alone."""
    if not certificate:
        return True
    try:
        first = Path(certificate).read_text("ascii").partition(_PEM_END)
        context = ssl.create_default_context(cadata=first[0] + first[1])
    except (OSError, ValueError):  # it has gone or changed: the call says what is wrong with it
        return True
    # It is known by itself: its name may be another, and who has signed it does not matter.
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
