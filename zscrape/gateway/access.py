"""Who may call: API keys, kept as hashes, compared in constant time.

A gateway has a key from its first start on. It is made here, or adopted from the settings
(containers), and stands with the gateway's address in `<home>/client.toml`, readable by its
owner only, so that the command line on the same machine needs neither told.
"""

from __future__ import annotations

import math
import os
import time
import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hmac import compare_digest
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from zscrape.config import CLIENT_FILE
from zscrape.errors import ConfigError
from zscrape.errors.requests import (
    KeyExpired,
    KeyRevoked,
    LockedOut,
    LoginInvalid,
    TokenInvalid,
    Unauthorized,
)
from zscrape.gateway.clients import Client
from zscrape.gateway.guesses import Guesses
from zscrape.gateway.jwts import TOKEN_LIMIT, JwtKeys, looks_like_token
from zscrape.gateway.keyring import KEY_ID_PREFIX, KeyRing, Known, digest_of, first_key, new_key
from zscrape.gateway.sessions import Sessions, check_origin, cookie_in

_KEY_LENGTH_LIMIT: Final = 512

GuessListener: TypeAlias = Callable[[str, float], None]  # hears of an address, and its wait
Headers: TypeAlias = Mapping[bytes, bytes]  # names in lower case, as ASGI gives them


class Presented(Struct, frozen=True):
    """A key or a token as it was presented, and what it is found by; an empty key is none."""

    key: bytes
    digest: bytes


class Access:
    """Knows who calls by what they present. `keys` are those beside the first one."""

    def __init__(
        self,
        admin_key: str,
        keys: KeyRing | None = None,
        *,
        jwts: JwtKeys | None = None,
        clock: Callable[[], float] = time.time,
        on_guess: GuessListener = lambda peer, wait_s: None,
    ) -> None:
        self._first = first_key(admin_key)
        self._keys = keys
        self._jwts = jwts
        self._clock = clock
        self._on_guess = on_guess
        self._guesses = Guesses()
        self._sessions = Sessions()
        # A browser sends cookies to every port of a host: gateways must not share a name.
        self.cookie_name = f"zscrape_{digest_of(self._first.digest).hex()[:8]}"

    def authenticate(
        self,
        headers: Headers,
        peer: str = "",
        *,
        method: str = "GET",
        presented: Presented | None = None,
    ) -> Client:
        """Return whose key the headers carry (`Authorization: Bearer KEY` or `X-Api-Key: KEY`).

        Without one, a browser's session counts. `presented` is what the headers carry, where
        somebody has looked already.

        Raises:
            Unauthorized: There is none, or it is not known, or its time is over.
            LockedOut: Too many wrong ones have come from this address.
            CrossSite: A session's call was made by another site's page.
        """
        if presented is None:
            presented = presented_in(headers)
        if not presented.key:
            return self._by_session(headers, method)
        now, known = self._clock(), self._first
        if not compare_digest(self._first.digest, presented.digest):
            found = None if self._keys is None else self._keys.find(presented.digest)
            if found is None:
                self._check_guesses(peer, now)
                return self._by_token(presented.key, peer, now)
            known = found
        if peer not in known.peers:
            self._check_guesses(peer, now)
            _check_time(known, now)
            known.note_peer(peer)
        elif known is not self._first:  # which stands in no store, and has no end
            _check_time(known, now)
        known.used_at = now
        return known.client

    def _by_token(self, presented: bytes, peer: str, now: float) -> Client:
        """Return who calls with a token; what is neither a key nor a token is a guess."""
        try:
            if self._jwts is None or not looks_like_token(presented):
                raise Unauthorized  # noqa: TRY301 - counted as a token of nobody's is
            return self._jwts.verify(presented)
        except Unauthorized as error:
            if not (isinstance(error, TokenInvalid) and error.is_signed):
                self._note_guess(peer, now)
            raise

    def _check_guesses(self, peer: str, now: float) -> None:
        wait_s = self._guesses.wait_s(peer, now)
        if wait_s:
            raise LockedOut(retry_after_s=math.ceil(wait_s))

    def _note_guess(self, peer: str, now: float) -> None:
        wait_s = self._guesses.note(peer, now)
        if wait_s:
            self._on_guess(peer, wait_s)

    # ---- browsers --------------------------------------------------------------------

    def _by_session(self, headers: Headers, method: str) -> Client:
        token = cookie_in(headers, self.cookie_name)
        client = self._sessions.find(token, self._clock()) if token else None
        if client is None:
            raise Unauthorized
        known = self._keys.known(client.id) if self._keys is not None else None
        if known is not None:
            _check_time(known, self._clock())  # who is revoked is signed out
        elif client.id.startswith(KEY_ID_PREFIX):
            raise KeyRevoked  # and forgotten since
        check_origin(headers, method)
        return client

    def new_link(self, client: Client | None = None) -> str:
        """Return a code that signs a browser in as this client, else as the first key."""
        return self._sessions.new_link(client or self._first.client, self._clock())

    def sign_in(self, code: str, peer: str) -> tuple[str, Client]:
        """Return a session's token for a link's code, and who is signed in by it.

        Raises:
            LoginInvalid: The code is used, too old or unknown.
            LockedOut: Too many wrong ones have come from this address.
        """
        now = self._clock()
        self._check_guesses(peer, now)
        found = self._sessions.redeem(code, now)
        if found is None:
            self._note_guess(peer, now)
            raise LoginInvalid
        return found

    def sign_out(self, headers: Headers) -> None:
        """End the session that the headers carry."""
        self._sessions.end(cookie_in(headers, self.cookie_name))

    def is_current(self, client: Client) -> bool:
        """True iff what this client came in with still holds."""
        if client.until is not None and client.until <= self._clock():
            return False
        if not client.id.startswith(KEY_ID_PREFIX):
            return True
        known = self._keys.known(client.id) if self._keys is not None else None
        return known is not None and known.revoked_at is None


def _check_time(known: Known, now: float) -> None:
    if known.revoked_at is not None:
        raise KeyRevoked
    if known.expires_at is not None and known.expires_at <= now:
        raise KeyExpired(expired_at=datetime.fromtimestamp(known.expires_at, UTC).isoformat())


def presented_in(headers: Headers) -> Presented:
    """Return the key or the token that the headers carry."""
    value = headers.get(b"authorization", b"")
    if value[:7].lower() == b"bearer ":
        key = value[7:].strip()[:TOKEN_LIMIT]
    else:
        key = headers.get(b"x-api-key", b"").strip()[:TOKEN_LIMIT]
    return Presented(key, digest_of(key))


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
        return new_key()
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
