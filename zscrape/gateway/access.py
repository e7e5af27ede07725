"""Who may call: API keys, kept as hashes, compared in constant time.

A gateway has a key from its first start on. It is made here, or adopted from the settings
(containers), and stands with the gateway's address in `<home>/client.toml`, readable by its
owner only, so that the command line on the same machine needs neither told.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tomllib
from collections.abc import Mapping
from hmac import compare_digest
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from zscrape.config import CLIENT_FILE
from zscrape.errors import ConfigError, Unauthorized

_KEY_BYTES: Final = 24  # 192 bits: nothing is won by a slow hash
_KEY_LENGTH_LIMIT: Final = 512

Headers: TypeAlias = Mapping[bytes, bytes]  # names in lower case, as ASGI gives them


class Client(Struct, frozen=True):
    """Whose key a call carries."""

    id: str


class _Key(Struct, frozen=True):
    digest: bytes
    client: Client


class Access:
    """Knows the keys, and nothing of them but their hashes."""

    def __init__(self, admin_key: str) -> None:
        self._keys = [_Key(_digest(admin_key.encode()), Client(id="admin"))]

    def authenticate(self, headers: Headers) -> Client:
        """Return whose key the headers carry (`Authorization: Bearer KEY` or `X-Api-Key: KEY`).

        Raises:
            Unauthorized: There is none, or it is not known.
        """
        digest = _digest(_presented(headers))
        found = None
        for key in self._keys:  # all of them: the time taken tells nothing
            if compare_digest(key.digest, digest):
                found = key.client
        if found is None:
            raise Unauthorized
        return found


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _presented(headers: Headers) -> bytes:
    value = headers.get(b"authorization", b"")
    if value[:7].lower() == b"bearer ":
        return value[7:].strip()[:_KEY_LENGTH_LIMIT]
    return headers.get(b"x-api-key", b"").strip()[:_KEY_LENGTH_LIMIT]


# ---- the first key -------------------------------------------------------------------


def admin_key(home: Path, adopted: str | None) -> str:
    """Return the gateway's admin key: the adopted one, else that of the home folder, else new.

    Raises:
        ConfigError: The adopted key cannot be sent in a header, or the home's cannot be read.
    """
    if adopted is not None:
        _check(adopted, "ZSCRAPE_API_KEY")
        return adopted
    path = home / CLIENT_FILE
    try:
        kept = tomllib.loads(path.read_text("utf-8")).get("key")
    except FileNotFoundError:
        return f"zs_{secrets.token_urlsafe(_KEY_BYTES)}"
    except (OSError, ValueError) as error:
        raise ConfigError(source=str(path), reason=str(error)) from error
    if not isinstance(kept, str):
        raise ConfigError(source=str(path), reason="no `key` in it; remove the file to get a new")
    _check(kept, str(path))
    return kept


def _check(key: str, source: str) -> None:
    is_sendable = key.isascii() and key.isprintable() and " " not in key
    if not key or not is_sendable or len(key) > _KEY_LENGTH_LIMIT:
        reason = f"a key is 1 to {_KEY_LENGTH_LIMIT} visible ASCII characters without spaces"
        raise ConfigError(source=source, reason=reason)


def write_client(home: Path, *, url: str, key: str, certificate: Path | None = None) -> Path:
    """Write `client.toml` in one step, readable by its owner only; return its path.

    A client on this machine trusts the `certificate` itself, whatever name it is for.

    Raises:
        OSError: It cannot be written; nothing is left.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = home / CLIENT_FILE
    draft = home / f".{CLIENT_FILE}.{os.getpid()}"
    draft.unlink(missing_ok=True)
    # TOML's basic strings take JSON's escapes.
    lines = [
        f"{name} = {msgspec.json.encode(str(value)).decode()}"
        for name, value in (("url", url), ("key", key), ("certificate", certificate))
        if value is not None
    ]
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        draft.replace(path)
    except OSError:
        draft.unlink()  # it has the key in it
        raise
    return path
