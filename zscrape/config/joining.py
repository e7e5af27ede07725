"""What `worker --join` takes: join tokens and plain addresses, several joined by commas.

A token carries what a new worker needs and nothing more: where to dial, the gateway's public
keys, and the secret key of a pair that the gateway lets in to register another. Handing that
secret out gives a limited right to join; it opens nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Struct

TOKEN_PREFIX: Final = "zsj_"  # noqa: S105 - of every token, and no secret
KEY_BYTES: Final = 32  # of X25519, public and secret alike
_VERSION: Final = 1
_CHECK_BYTES: Final = 4
_LENGTH_LIMIT: Final = 8_192
_ADDRESS_LIMIT_COUNT: Final = 64


class JoinToken(Struct, frozen=True, array_like=True):
    """The right to join, as it is handed out."""

    version: int
    addresses: tuple[str, ...]
    server_keys: tuple[bytes, ...]  # one of them proves the gateway: the one in use, the next
    secret: bytes

    @classmethod
    def of(
        cls, addresses: tuple[str, ...], server_keys: tuple[bytes, ...], secret: bytes
    ) -> JoinToken:
        """Return a token of this version."""
        return cls(_VERSION, addresses, server_keys, secret)

    def text(self) -> str:
        """Return the one string that is handed out."""
        body = msgspec.msgpack.encode(self)
        check = hashlib.sha256(body).digest()[:_CHECK_BYTES]
        return TOKEN_PREFIX + base64.urlsafe_b64encode(body + check).rstrip(b"=").decode()


class JoinTarget(Struct, frozen=True):
    """One gateway to dial; without a token it must be known already, or be of this home."""

    address: str
    token: JoinToken | None = None


_DECODER: Final = msgspec.msgpack.Decoder(JoinToken)


def parse_token(told: str) -> JoinToken:
    """Return the token that a text is.

    Raises:
        ValueError: It is none; the text is not repeated.
    """
    if not told.startswith(TOKEN_PREFIX) or len(told) > _LENGTH_LIMIT:
        raise ValueError("not a join token")
    encoded = told.removeprefix(TOKEN_PREFIX)
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        body, check = raw[:-_CHECK_BYTES], raw[-_CHECK_BYTES:]
        if hashlib.sha256(body).digest()[:_CHECK_BYTES] != check:
            raise ValueError("a join token that was cut or mistyped")
        token = _DECODER.decode(body)
    except (binascii.Error, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ValueError("a join token that was cut or mistyped") from error
    keys = (*token.server_keys, token.secret)
    if token.version != _VERSION:
        raise ValueError("a join token of another version of zscrape")
    if not token.server_keys or any(len(key) != KEY_BYTES for key in keys):
        raise ValueError("a join token without keys")
    if not 0 < len(token.addresses) <= _ADDRESS_LIMIT_COUNT:
        raise ValueError("a join token without addresses")
    return token


def read_targets(told: str, parse_link: Callable[[str], Any]) -> tuple[JoinTarget, ...]:
    """Return the gateways that tokens and addresses name, joined by commas.

    Raises:
        ValueError: One is neither, or an address stands there twice.
    """
    targets: list[JoinTarget] = []
    for each in told.split(","):
        if each.startswith(TOKEN_PREFIX):
            token = parse_token(each)
            targets += [JoinTarget(address, token) for address in token.addresses]
        else:
            targets.append(JoinTarget(each))
    for target in targets:
        parse_link(target.address)
    if len({target.address for target in targets}) < len(targets):
        raise ValueError("twice the same address")
    return tuple(targets)
