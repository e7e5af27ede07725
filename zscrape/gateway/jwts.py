"""JSON Web Tokens of somebody else's sign-in, believed as far as the settings say.

Each key is for one algorithm, chosen by the settings and never by the token: a public key can
be no secret of HS256, and `none` is nothing that we know.
Source: RFC 8725 (best current practices), sections 3.1, 3.8 and 3.9.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from zscrape.config import SettingError, Settings
from zscrape.config.settings import GatewaySettings
from zscrape.errors import ConfigError
from zscrape.errors.requests import TokenInvalid
from zscrape.gateway.clients import SCOPES, Client

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_Key: TypeAlias = "bytes | Ed25519PublicKey"

SECRET_LENGTH: Final = 32  # bytes; RFC 7518, section 3.2: no shorter than the hash
TOKEN_LIMIT: Final = 8_192
_LEEWAY_S: Final = 5  # between the clocks
_BELIEVED_COUNT: Final = 1_024
_CLAIMS: Final = ["exp", "iss", "aud", "sub"]
_SUBJECT: Final = re.compile(r"[\x21-\x7e]{1,200}")
_SCRIPT: Final = re.compile(r"[a-z0-9_*-]{1,64}")


def looks_like_token(presented: bytes) -> bool:
    """True iff this may be a token and is no key of ours."""
    return presented.startswith(b"ey") and presented.count(b".") == 2


class JwtKeys:
    """What tokens are checked with."""

    def __init__(
        self,
        keys: Mapping[str, _Key],
        *,
        issuer: str,
        audience: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        import jwt  # loaded where tokens are taken, and nowhere else

        self._jwt = jwt
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        # A signature takes as long as a whole call: a client sends the same token all day.
        self._believed: OrderedDict[bytes, Client] = OrderedDict()  # by hash, the oldest first

    def verify(self, token: bytes) -> Client:
        """Return who calls.

        Raises:
            TokenInvalid: Nobody should believe this token.
        """
        digest = sha256(token).digest()
        client = self._believed.get(digest)
        if client is not None and client.until is not None and self._clock() < client.until:
            return client
        client = self._believed[digest] = self._verified(token)
        if len(self._believed) > _BELIEVED_COUNT:
            self._believed.popitem(last=False)
        return client

    def _verified(self, token: bytes) -> Client:
        jwt = self._jwt
        try:
            alg = jwt.get_unverified_header(token).get("alg")
            key = self._keys.get(str(alg))
            if key is None:
                raise TokenInvalid(reason="algorithm")
            claims = jwt.decode(
                token,
                cast(Any, key),
                algorithms=[str(alg)],
                issuer=self._issuer,
                audience=self._audience,
                leeway=_LEEWAY_S,
                options={"require": _CLAIMS},
            )
        except (jwt.PyJWTError, RecursionError) as error:  # brackets within brackets
            raise TokenInvalid(reason=_reason(error)) from error
        return _client(claims)


def _reason(error: Exception) -> str:
    """Return what is told of a token: the class of the fault, in our own few words."""
    return _REASONS.get(type(error).__name__, "form")


_REASONS: Final = {
    "ExpiredSignatureError": "expired",
    "ImmatureSignatureError": "not_yet",
    "InvalidSignatureError": "signature",
    "InvalidIssuerError": "issuer",
    "InvalidAudienceError": "audience",
    "InvalidAlgorithmError": "algorithm",
    "MissingRequiredClaimError": "claims",
    "InvalidSubjectError": "subject",
}


def _client(claims: dict[str, Any]) -> Client:
    """Return who calls: scopes that are none of ours are for somebody else.

    Raises:
        TokenInvalid: The subject or the scripts cannot be used.
    """
    subject, scope, scripts = claims["sub"], claims.get("scope", ""), claims.get("scripts", [])
    if not _SUBJECT.fullmatch(subject):
        raise TokenInvalid(reason="subject")
    if not isinstance(scope, str):
        raise TokenInvalid(reason="scope")
    if not isinstance(scripts, list) or not all(
        isinstance(glob, str) and _SCRIPT.fullmatch(glob) for glob in scripts
    ):
        raise TokenInvalid(reason="scripts")
    groups = claims.get("groups", [])
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise TokenInvalid(reason="groups")
    scopes = {name for name in scope.split() if name in SCOPES}
    if scripts or groups:
        scopes.discard("admin")  # it opens every door: narrowed, it would be no `admin`
    # The prefix keeps a subject from being taken for a key of ours.
    return Client(
        id=f"jwt:{subject}",
        scopes=frozenset(scopes),
        scripts=tuple(scripts),
        groups=tuple(groups),
        name=subject,
        until=float(claims["exp"]),
    )


# ---- settings ------------------------------------------------------------------------


def jwt_keys_of(settings: Settings) -> JwtKeys | None:
    """Return what the settings say of tokens; None when they say nothing.

    Raises:
        ConfigError: They say half of it, or the secret is too short, or a key cannot be read.
    """
    gateway = settings.gateway
    if gateway.jwt_secret is None and gateway.jwt_public_key is None:
        _check_nothing_else(gateway)
        return None
    for name in ("jwt_issuer", "jwt_audience"):
        if not getattr(gateway, name):
            raise _incomplete(f"gateway.{name}")
    keys: dict[str, _Key] = {}
    if gateway.jwt_secret is not None:
        secret = gateway.jwt_secret.encode()
        if len(secret) < SECRET_LENGTH:
            raise SettingError(
                source="gateway.jwt_secret",
                reason="too short",
                fault="jwt_secret_short",
                expected=str(SECRET_LENGTH),
            )
        keys["HS256"] = secret
    if gateway.jwt_public_key is not None:
        keys["EdDSA"] = _public_key(gateway.jwt_public_key)
    return JwtKeys(keys, issuer=gateway.jwt_issuer or "", audience=gateway.jwt_audience or "")


def _check_nothing_else(gateway: GatewaySettings) -> None:
    if gateway.jwt_issuer or gateway.jwt_audience:
        raise _incomplete("gateway.jwt_secret")


def _incomplete(source: str) -> SettingError:
    return SettingError(source=source, reason="is missing", fault="jwt_incomplete")


def _public_key(told: str) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from zscrape.scripts.signing import read_trust

    try:
        (trusted,) = read_trust([told]).keys.values()
    except ConfigError as error:
        raise ConfigError(source="gateway.jwt_public_key", reason=error.reason) from error
    return Ed25519PublicKey.from_public_bytes(trusted.raw)
