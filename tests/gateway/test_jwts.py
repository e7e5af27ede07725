"""Tokens of another sign-in: believed as far as the settings say, and no further."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from zscrape.config import load
from zscrape.errors import ConfigError
from zscrape.errors.requests import TokenInvalid, Unauthorized
from zscrape.gateway.access import Access
from zscrape.gateway.jwts import JwtKeys, jwt_keys_of

SECRET = "0123456789abcdef0123456789abcdef"
PRIVATE = Ed25519PrivateKey.generate()
PUBLIC = PRIVATE.public_key()
BOTH = JwtKeys({"HS256": SECRET.encode(), "EdDSA": PUBLIC}, issuer="https://in", audience="zs")


def claims(**changed: Any) -> dict[str, Any]:
    """Return the claims of a good token, some changed; None takes one out."""
    good = {
        "iss": "https://in",
        "aud": "zs",
        "sub": "alice",
        "exp": time.time() + 60,
        "scope": "openid run",
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def signed(alg: str = "HS256", key: Any = SECRET, **changed: Any) -> bytes:
    """Return a token."""
    return jwt.encode(claims(**changed), key, algorithm=alg).encode()


@pytest.mark.parametrize(("alg", "key"), [("HS256", SECRET), ("EdDSA", PRIVATE)])
def test_claims_become_a_client(alg, key):
    """`sub` is who calls, `scope` what they may, `scripts` narrows; other scopes are not ours."""
    token = signed(alg, key, scope="openid run read", scripts=["price_*"])

    client = BOTH.verify(token)

    assert (client.id, client.name) == ("jwt:alice", "alice")
    assert client.scopes == {"run", "read"}
    assert client.scripts == ("price_*",)
    assert client.until is not None
    assert client.until > time.time()


def test_a_narrowed_admin_is_none():
    """`admin` opens every door, so a token for some scripts does not have it."""
    client = BOTH.verify(signed(scope="admin run", scripts=["a"]))

    assert client.scopes == {"run"}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": 1}, "expired"),
        ({"exp": None}, "claims"),
        ({"sub": None}, "claims"),
        ({"iss": None}, "claims"),
        ({"aud": None}, "claims"),
        ({"iss": "https://i"}, "issuer"),
        ({"iss": "https://in/"}, "issuer"),
        ({"aud": "other"}, "audience"),
        ({"nbf": 4_000_000_000}, "not_yet"),
        ({"sub": "two words"}, "subject"),
        ({"sub": "x" * 201}, "subject"),
        ({"scope": ["run"]}, "scope"),
        ({"scripts": "a"}, "scripts"),
        ({"scripts": ["A!"]}, "scripts"),
    ],
)
def test_tokens_that_are_not_for_us(changed, reason):
    """Every claim that counts is asked for and looked at; the reason is one word."""
    with pytest.raises(TokenInvalid) as refused:
        BOTH.verify(signed(**changed))

    assert refused.value.reason == reason
    assert refused.value.is_signed


def test_a_token_is_checked_once_while_it_lasts(monkeypatch):
    """The same token is not checked with every call, and never believed beyond its end."""
    monkeypatch.setattr("zscrape.gateway.jwts._LEEWAY_S", 3_600)  # longer than this test takes
    now = [time.time()]
    secret = {"HS256": SECRET.encode()}
    keys = JwtKeys(secret, issuer="https://in", audience="zs", clock=lambda: now[0])
    token = signed(exp=int(now[0]) - 3)  # over, but for the leeway between the clocks

    brief = keys.verify(token)
    for number in range(1_100):
        keys.verify(signed(sub=f"user-{number}"))

    assert brief is not keys.verify(token)
    assert len(keys._believed) == 1_024
    now[0] += 120
    fresh = signed()
    assert keys.verify(fresh) is not keys.verify(fresh)  # this clock says that it is over
    now[0] -= 120
    assert keys.verify(fresh) is keys.verify(fresh)


def forged(header: dict[str, Any], signature: bytes = b"") -> bytes:
    """Return a token with this header and a signature of our own."""
    parts = [msgspec.json.encode(header), msgspec.json.encode(claims()), signature]
    return b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)


def test_no_algorithm_can_be_chosen_by_the_token():
    """Neither `none`, nor the public key as a secret, nor an algorithm without a key of ours."""
    raw = PUBLIC.public_bytes(Encoding.Raw, PublicFormat.Raw)
    pem = PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    one_way = JwtKeys({"EdDSA": PUBLIC}, issuer="https://in", audience="zs")
    import hashlib
    import hmac

    for key in (raw, pem, pem.strip()):
        unsigned = forged({"alg": "HS256"}).rsplit(b".", 1)[0]
        mac = hmac.new(key, unsigned, hashlib.sha256).digest()
        token = unsigned + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")
        for keys in (one_way, BOTH):
            with pytest.raises(TokenInvalid):
                keys.verify(token)
    for header in ({"alg": "none"}, {"alg": "HS512"}, {}, {"alg": None}, {"alg": ["HS256"]}):
        with pytest.raises(TokenInvalid) as refused:
            BOTH.verify(forged(header))
        assert not refused.value.is_signed
    with pytest.raises(TokenInvalid):
        BOTH.verify(signed("HS256", "another secret of thirty-two bytes"))


GARBAGE = [b"", b"ey", b"ey.ey.", b"ey..", b"ey.\xff.a", b"a.b.c", b"ey.ey.ey"]
DEEP = base64.urlsafe_b64encode(b'{"a":' * 4_000)
HUGE = base64.urlsafe_b64encode(b'{"a":' + b"9" * 5_000 + b"}")


@pytest.mark.parametrize("token", [*GARBAGE, DEEP + b".ey.ey", HUGE + b".ey.ey"])
def test_what_is_no_token_at_all(token):
    """Garbage is refused as everything else is."""
    with pytest.raises(TokenInvalid):
        BOTH.verify(token)


def test_a_token_comes_in_where_a_key_does():
    """`Authorization: Bearer` takes both; without settings for tokens none is believed."""
    header = {b"authorization": b"Bearer " + signed()}

    assert Access("key", jwts=BOTH).authenticate(header).id == "jwt:alice"
    with pytest.raises(Unauthorized):
        Access("key").authenticate(header)


# ---- settings ------------------------------------------------------------------------


def settings(tmp_path: Path, **given: str) -> Any:
    """Return settings with these of the gateway."""
    environ = {f"ZSCRAPE_{name.upper()}": value for name, value in given.items()}
    return load(environ={**environ, "ZSCRAPE_HOME": str(tmp_path), "HOME": str(tmp_path)})


ABOUT = {"jwt_issuer": "https://in", "jwt_audience": "zs"}


def test_settings_for_tokens(tmp_path):
    """A secret, a public key in a file, or one in the setting itself."""
    raw = base64.b64encode(PUBLIC.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    pem = tmp_path / "login.pem"
    pem.write_bytes(PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    by_secret = jwt_keys_of(settings(tmp_path, **ABOUT, jwt_secret=SECRET))
    by_file = jwt_keys_of(settings(tmp_path, **ABOUT, jwt_public_key=str(pem)))
    by_text = jwt_keys_of(settings(tmp_path, **ABOUT, jwt_public_key=f"ed25519:{raw}"))

    assert jwt_keys_of(settings(tmp_path)) is None
    assert by_secret is not None
    assert by_secret.verify(signed()).id == "jwt:alice"
    for keys in (by_file, by_text):
        assert keys is not None
        assert keys.verify(signed("EdDSA", PRIVATE)).id == "jwt:alice"
        with pytest.raises(TokenInvalid):
            keys.verify(signed())


@pytest.mark.parametrize(
    ("given", "source"),
    [
        ({"jwt_secret": SECRET}, "gateway.jwt_issuer"),
        ({"jwt_secret": SECRET, "jwt_issuer": "i"}, "gateway.jwt_audience"),
        ({"jwt_issuer": "i"}, "gateway.jwt_secret"),
        ({**ABOUT, "jwt_secret": "short"}, "gateway.jwt_secret"),
        ({**ABOUT, "jwt_public_key": "ed25519:AAAA"}, "gateway.jwt_public_key"),
        ({**ABOUT, "jwt_public_key": "/no/such.pem"}, "gateway.jwt_public_key"),
    ],
)
def test_half_of_the_settings_is_refused(tmp_path, given, source):
    """A start that would believe too much, or nobody, is refused with the setting at fault."""
    with pytest.raises(ConfigError) as refused:
        jwt_keys_of(settings(tmp_path, **given))

    assert refused.value.source == source
    assert "short" not in str(refused.value) or source == "gateway.jwt_secret"
