"""What a worker proves itself by, and by which keys it knows its gateways.

The key pair and the gateways' keys stand beside the worker's id in its home folder, for their
owner only. A gateway's key is remembered once it has let the worker join: from then on no
token is needed, and when the gateway is to take another key it tells so ahead.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any, Final

import zmq

from zscrape.config import JOIN_FILE, JoinTarget, JoinToken, SettingError, parse_token
from zscrape.config.keyfiles import (
    broken,
    key_bytes,
    key_text,
    new_pair,
    pair_of,
    read_private,
    write_private,
)

# Ports that were free once are addresses for ever: the oldest go.
_KNOWN_LIMIT_COUNT: Final = 64


class WorkerKeys:
    """The file with a worker's key pair and the keys of gateways that know it.

    `on_fault` hears why it cannot be written later on; the keys hold until the worker ends.

    Raises:
        ConfigError: Others can read it, or it holds no keys.
        OSError: It cannot be written.
    """

    def __init__(self, path: Path, *, on_fault: Callable[[OSError], None]) -> None:
        self._path = path
        self._on_fault = on_fault
        table = read_private(path)
        try:
            if table is None:
                self.pair = new_pair()
                self._known: dict[str, tuple[bytes, ...]] = {}
                self._save()
            else:
                self.pair = pair_of(key_bytes(table.get("secret")))
                self._known = {
                    str(address): tuple(map(key_bytes, keys))
                    for address, *keys in table.get("gateways", [])
                }
        except (ValueError, TypeError) as error:
            raise broken(path, str(error)) from error

    def known(self, address: str) -> tuple[bytes, ...]:
        """Return the keys of the gateway at an address, as far as it has let this worker join."""
        return self._known.get(address, ())

    def remember(self, address: str, keys: tuple[bytes, ...]) -> None:
        """Keep the keys by which the gateway at an address is known."""
        if self._known.get(address) == keys:
            return
        self._known.pop(address, None)
        self._known[address] = keys
        while len(self._known) > _KNOWN_LIMIT_COUNT:
            del self._known[next(iter(self._known))]
        try:
            self._save()
        except OSError as error:
            self._on_fault(error)

    def _save(self) -> None:
        gateways = [[address, *map(key_text, keys)] for address, keys in self._known.items()]
        table: dict[str, Any] = {"secret": key_text(self.pair.secret), "gateways": gateways}
        write_private(self._path, table)


class Credentials:
    """What one worker shows the gateway at one address, and whom it takes for that gateway."""

    def __init__(
        self, keys: WorkerKeys, address: str, token: JoinToken | None, *, is_fresh: bool = False
    ) -> None:
        self._keys = keys
        self.address = address
        self._is_fresh = is_fresh  # the token is as old as the gateway's process: it knows best
        self._join_pair = None if token is None else pair_of(token.secret)
        self._token_keys = () if token is None else token.server_keys
        self._turn = 0

    @property
    def is_known(self) -> bool:
        """True iff this gateway has let this worker join before."""
        return bool(self._keys.known(self.address))

    @property
    def can_join(self) -> bool:
        """True iff there is a token to join by."""
        return self._join_pair is not None

    @property
    def public(self) -> bytes:
        """The worker's public key."""
        return self._keys.pair.public

    @property
    def has_choice(self) -> bool:
        """True iff the gateway may prove itself by more than one key."""
        return len(self._candidates()) > 1

    def _candidates(self) -> tuple[bytes, ...]:
        known = self._keys.known(self.address)
        both = (self._token_keys, known) if self._is_fresh else (known, self._token_keys)
        return tuple(dict.fromkeys(chain(*both)))

    def apply(self, socket: zmq.Socket[Any], *, is_joining: bool = False) -> bytes:
        """Close a socket to all but the gateway; return the key by which it must prove itself.

        A gateway may have changed its key: each call takes the next one that it may have.
        """
        candidates = self._candidates()
        server_key = candidates[self._turn % len(candidates)]
        self._turn += 1
        pair = self._join_pair if is_joining and self._join_pair else self._keys.pair
        socket.setsockopt(zmq.CURVE_SERVERKEY, server_key)
        socket.setsockopt(zmq.CURVE_PUBLICKEY, pair.public)
        socket.setsockopt(zmq.CURVE_SECRETKEY, pair.secret)
        return server_key

    def remember(self, keys: tuple[bytes, ...]) -> None:
        """Keep the keys by which the gateway is known from now on."""
        self._turn = 1  # the first of them is in use
        self._keys.remember(self.address, keys)

    def prefer(self, server_key: bytes) -> None:
        """Keep a key by which the gateway has proven itself, and try it first."""
        self._turn = 1  # it is in use
        known = self._keys.known(self.address)
        if known[:1] != (server_key,):
            others = (key for key in known if key != server_key)
            self._keys.remember(self.address, (server_key, *others))


def credentials_for(keys: WorkerKeys, target: JoinTarget, home: Path) -> Credentials:
    """Return what to show one gateway.

    Raises:
        ConfigError: There is neither a token, nor has the gateway let this worker join before,
            nor is it the one of this home folder.
    """
    token, is_fresh = target.token, False
    if token is None:
        token, is_fresh = _token_of(home), True
    if token is None and not keys.known(target.address):
        raise SettingError(
            source="--join",
            reason=f"{target.address} is not known here",
            fault="no_token",
            value=target.address,
            expected=str(home),
        )
    return Credentials(keys, target.address, token, is_fresh=is_fresh)


def _token_of(home: Path) -> JoinToken | None:
    """Return the token that a gateway of the same home folder has left for its workers."""
    path = home / JOIN_FILE
    table = read_private(path)
    if table is None:
        return None
    try:
        return parse_token(str(table.get("token")))
    except ValueError as error:
        raise broken(path, str(error)) from error
