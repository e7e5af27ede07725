"""What stands around every call: whom it names, where it comes from, what its answer carries.

* The host that a call names must be one of ours. A page of a stranger whose name suddenly
  leads to 127.0.0.1 (DNS rebinding) could otherwise read a gateway that only listens there.
* Pages of other origins may read answers only where that is set (CORS); no cookies with it.
* Every answer says that it is not to be guessed at, framed, or kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from starlette.types import Message, Scope, Send

from zscrape.errors.requests import HostUnknown
from zscrape.gateway.ratelimits import RATE, rate_headers

RawHeaders = list[tuple[bytes, bytes]]

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_METHODS: Final = b"GET, POST, PUT, PATCH, DELETE"
_REQUEST_HEADERS: Final = (
    b"authorization, content-type, idempotency-key, last-event-id, prefer, x-api-key"
)
_SHOWN_HEADERS: Final = (
    b"location, retry-after, x-request-id, x-total-count, preference-applied, "
    b"ratelimit, ratelimit-policy, ratelimit-limit, ratelimit-remaining, ratelimit-reset"
)
_PREFLIGHT_AGE_S: Final = b"600"
# Of every answer that does not say otherwise. An answer of the API is no page: nothing in it
# may load or be framed; a page of ours has a policy of its own.
_STANDING: Final[RawHeaders] = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]
# The same with its type, of an answer that is JSON, and the id of its call.
_JSON_LINES: Final = b"%bx-request-id: %%b\r\n" % b"".join(
    b"%b: %b\r\n" % each for each in (*_STANDING, (b"content-type", b"application/json"))
)
_STANDING_NAMES: Final = frozenset(name for name, _ in _STANDING)


class ShieldPolicy(Struct, frozen=True):
    """Who may be named and who may read. `hosts` of None: any name; in lower case, no port."""

    hosts: frozenset[str] | None = None
    origins: frozenset[str] = frozenset()  # `https://dashboard.example.com`, or `*`


def hosts_for(bound_host: str, *, is_loopback: bool, named: Iterable[str]) -> frozenset[str] | None:
    """Return the names under which a gateway bound to this host may be called.

    Beyond loopback it cannot know its names: there only those that are set are held to.
    """
    names = frozenset(each.lower().strip("[]") for each in named)
    if "*" in names or not (is_loopback or names):
        return None
    return names | LOOPBACK_HOSTS | {bound_host.lower().strip("[]")}


def check_host(headers: dict[bytes, bytes], policy: ShieldPolicy) -> None:
    """Refuse a call for a host that is not ours; one that names none comes from no browser.

    Raises:
        HostUnknown: It is.
    """
    if not is_ours(headers, policy):
        raise HostUnknown(host=headers[b"host"][:100].decode("latin-1"))


def is_ours(headers: dict[bytes, bytes], policy: ShieldPolicy) -> bool:
    """True iff a call is for a host of ours, or names none."""
    given = headers.get(b"host")
    return policy.hosts is None or given is None or _bare(given) in policy.hosts


def _bare(host: bytes) -> str:
    """Return the name in a Host field without its port, in lower case."""
    told = host.decode("latin-1").strip().lower()
    if told.startswith("["):
        return told[1:].partition("]")[0]
    return told.rpartition(":")[0] if told.count(":") == 1 else told


def preflight(scope: Scope, headers: dict[bytes, bytes], policy: ShieldPolicy) -> RawHeaders | None:
    """Return the answer's headers where a page asks whether it may call; None: it does not ask."""
    if scope["method"] != "OPTIONS" or b"access-control-request-method" not in headers:
        return None
    allowed = _allowed_origin(headers, policy)
    if allowed is None:
        return None
    return [
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-allow-headers", _REQUEST_HEADERS),
        (b"access-control-max-age", _PREFLIGHT_AGE_S),
        (b"content-length", b"0"),
    ]


def _allowed_origin(headers: dict[bytes, bytes], policy: ShieldPolicy) -> bytes | None:
    origin = headers.get(b"origin")
    if origin is None or not policy.origins:
        return None
    if "*" in policy.origins:
        return b"*"
    return origin if origin.decode("latin-1").lower() in policy.origins else None


def shielded(send: Send, scope: Scope, headers: dict[bytes, bytes], policy: ShieldPolicy) -> Send:
    """Return `send` such that an answer carries what every answer does."""

    async def send_shielded(message: Message) -> None:
        if message["type"] == "http.response.start":
            own: RawHeaders = list(message.get("headers", ()))
            said = _STANDING_NAMES.intersection(name.lower() for name, _ in own)
            own += [each for each in _STANDING if each[0] not in said] if said else _STANDING
            own += _of_call(scope, headers, policy)
            message = {**message, "headers": own}
        await send(message)

    return send_shielded


def shielded_json_head(
    request_id: str,
    told: RawHeaders,
    scope: Scope,
    headers: dict[bytes, bytes],
    policy: ShieldPolicy,
) -> bytes:
    """Return as lines the headers of an answer in JSON: its id, these, and every one's."""
    lines = _JSON_LINES % request_id.encode()
    if scope or policy.origins:
        told = told + _of_call(scope, headers, policy)
    for each in told:
        lines += b"%b: %b\r\n" % each
    return lines


def _of_call(scope: Scope, headers: dict[bytes, bytes], policy: ShieldPolicy) -> RawHeaders:
    """Return what an answer carries for who has called."""
    own: RawHeaders = _cors(headers, policy) if policy.origins else []
    return own + rate_headers(scope[RATE]) if RATE in scope else own


def _cors(headers: dict[bytes, bytes], policy: ShieldPolicy) -> RawHeaders:
    """Return what lets a page of an allowed origin read the answer."""
    allowed = _allowed_origin(headers, policy)
    told: RawHeaders = [(b"vary", b"origin")]
    if allowed is not None:
        told.append((b"access-control-allow-origin", allowed))
        told.append((b"access-control-expose-headers", _SHOWN_HEADERS))
    return told
