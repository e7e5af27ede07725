"""What the endpoints share: reading a call, answering it, telling what was wrong with it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from zscrape.core.bucket import rate_of
from zscrape.errors import RefusedError, ZscrapeError
from zscrape.errors.refusals import RateLimited, TooManyConnections
from zscrape.errors.requests import (
    BodyTimeout,
    BodyTooLarge,
    LockedOut,
    LockHeld,
    NotFound,
    Unauthorized,
)
from zscrape.gateway.clients import Client
from zscrape.gateway.connections import CROWDED
from zscrape.gateway.envelope import encode, error_view, problem
from zscrape.gateway.faults import FieldFault, field_fault
from zscrape.gateway.ratelimits import RATE, require
from zscrape.gateway.state import GatewayState, HttpPolicy
from zscrape.messages import negotiate
from zscrape.spelling import nearest
from zscrape.store.tasks import TaskRow

RawHeaders = list[tuple[bytes, bytes]]

JSON_TYPE: Final = b"application/json"
PROBLEM_TYPE: Final = b"application/problem+json"

# Names under which the edge leaves what it has found in the ASGI scope.
REQUEST_ID: Final = "zscrape.request_id"
CLIENT: Final = "zscrape.client"


class ClientGone(Exception):
    """Raised when the client has closed its connection: nobody is left to answer."""


# ---- reading -------------------------------------------------------------------------


def gateway_of(request: Request) -> GatewayState:
    """Return the gateway's parts."""
    state: GatewayState = request.app.state.gateway
    return state


def client_of(request: Request) -> Client:
    """Return whose key the call carries."""
    client: Client = request.scope[CLIENT]
    return client


def peer_of(scope: Scope) -> str:
    """Return the address that a call comes from; an empty text where there is none."""
    peer = scope.get("client")
    return peer[0] if peer else ""


def language_of(headers: Mapping[bytes, bytes], default: str) -> str:
    """Return the language to answer in."""
    accepted = headers.get(b"accept-language")
    return negotiate(accepted.decode("latin-1"), default) if accepted else default


def language(request: Request) -> str:
    """Return the language to answer in."""
    default = gateway_of(request).policy.lang
    return negotiate(request.headers.get("accept-language", ""), default)


def check_room(scope: Scope, policy: HttpPolicy) -> None:
    """Refuse a call over a connection beyond the limit.

    Raises:
        TooManyConnections: It came over one.
    """
    if CROWDED in scope:
        raise TooManyConnections(limit_count=policy.connection_limit)


def check_rate(scope: Scope, state: GatewayState, client: Client) -> None:
    """Count a call of a client, and refuse one that comes too soon.

    Raises:
        RateLimited: It does.
    """
    own = None if client.rate_per_s is None else rate_of(client.rate_per_s)
    verdict = state.limiter.take(client.id, own)
    if verdict is not None:
        scope[RATE] = verdict
        require(verdict)


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, policy: HttpPolicy) -> bytes:
    """Read the body; one that is too long is refused before it is read.

    Raises:
        BodyTooLarge: It is longer than allowed, by its own word or as it comes.
        BodyTimeout: It has not come in the time for it.
        ClientGone: There is nobody left to answer.
    """
    declared = headers.get(b"content-length", b"")
    if declared.isdigit():
        check_length(int(declared[:20]), policy)
    try:
        async with asyncio.timeout(policy.body_timeout_s):
            return await _receive_body(receive, policy)
    except TimeoutError as error:
        raise BodyTimeout(limit_s=policy.body_timeout_s) from error


def check_length(bytes_count: int, policy: HttpPolicy) -> None:
    """Refuse a body of this length.

    Raises:
        BodyTooLarge: It is longer than allowed.
    """
    if bytes_count > policy.body_limit_bytes:
        raise BodyTooLarge(limit_bytes=policy.body_limit_bytes)


async def _receive_body(receive: Receive, policy: HttpPolicy) -> bytes:
    message = await receive()
    if message["type"] != "http.request":
        raise ClientGone
    body: bytes = message.get("body", b"")
    check_length(len(body), policy)
    if not message.get("more_body", False):
        return body
    parts, length = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        check_length(length, policy)
    return b"".join(parts)


async def disconnect(receive: Receive) -> None:
    """Wait until the client has gone; the body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def body_of(request: Request) -> bytes:
    """Read the body of a call within the gateway's limit."""
    headers = dict(request.scope["headers"])
    return await read_body(headers, request.receive, gateway_of(request).policy)


async def row_of(request: Request) -> TaskRow:
    """Return the task that the path names; from now on the call goes by its id.

    Raises:
        NotFound: It is not known (any more), or not to this client.
    """
    task_id = request.path_params["task_id"]
    service = gateway_of(request).service
    row = await service.get(task_id)
    if not client_of(request).sees(row):
        raise NotFound(kind="task", name=task_id[:80])
    request.scope[REQUEST_ID] = row.id
    await service.settled(row)
    return row


# ---- queries -------------------------------------------------------------------------


def check_query(request: Request, known: Iterable[str]) -> None:
    """Refuse a parameter that means nothing here, and one that is given twice.

    Raises:
        FieldFault: There is one.
    """
    names = tuple(known)
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in names:
            near = nearest(name, names)
            key = "unknown_query.nearest" if near else "unknown_query"
            raise field_fault(name[:80], key, name=name[:80], **({"nearest": near} if near else {}))
        if name in seen:
            raise field_fault(name, "given_twice", name=name)
        seen.add(name)


def whole(request: Request, name: str, default: int | None, *, low: int, high: int) -> int | None:
    """Return a query parameter that is a whole number.

    Raises:
        FieldFault: It is not, or out of range.
    """
    given = request.query_params.get(name)
    if given is None:
        return default
    if not (given.isascii() and given.isdigit() and len(given) <= 18):
        raise field_fault(name, "not_whole", given=given[:80])
    value = int(given)
    if not low <= value <= high:
        raise field_fault(name, "out_of_range", bound=f"{low}..{high}")
    return value


def seconds(request: Request, name: str, *, high: float) -> float | None:
    """Return a query parameter that is a span of time; one beyond `high` is cut to it.

    Raises:
        FieldFault: It is no number of seconds.
    """
    given = request.query_params.get(name)
    return None if given is None else min(seconds_in(given, name), high)


def seconds_in(given: str, name: str) -> float:
    """Return the number of seconds that `given` says.

    Raises:
        FieldFault: It says none: not a number, negative or not finite.
    """
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0 or "_" in given:
        raise field_fault(name, "not_seconds", given=given[:80])
    return value


def moment_in(given: str, name: str) -> float:
    """Return the Unix time of an ISO 8601 moment; without a zone it is UTC.

    Raises:
        FieldFault: It is no moment.
    """
    try:
        # A `+` of the zone arrives as a space when it was not escaped.
        told = datetime.fromisoformat(given.strip().replace(" ", "+") if "T" in given else given)
        return (told if told.tzinfo is not None else told.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise field_fault(name, "not_moment", given=given[:80]) from None


def is_true(request: Request, name: str) -> bool:
    """Return a query parameter that is a switch.

    Raises:
        FieldFault: It is neither on nor off.
    """
    given = request.query_params.get(name, "0").lower()
    if given not in {"0", "1", "true", "false"}:
        raise field_fault(name, "not_switch", given=given[:80])
    return given in {"1", "true"}


def choice(request: Request, name: str, default: str, known: Iterable[str]) -> str:
    """Return a query parameter that is one of a few words.

    Raises:
        FieldFault: It is none of them.
    """
    given = request.query_params.get(name, default)
    names = tuple(known)
    if given not in names:
        raise not_one_of(name, given, names)
    return given


def not_one_of(name: str, given: str, known: Iterable[str]) -> FieldFault:
    """Return the fault of a value that is none of the known ones."""
    return field_fault(name, "not_one_of.known", given=given[:80], known=", ".join(known))


def preferred_wait(headers: Mapping[bytes, bytes], high: float) -> float | None:
    """Return the seconds of `Prefer: wait=N`; a preference that says nothing is no preference.

    Source: RFC 7240, section 4.3.
    """
    prefer = headers.get(b"prefer")
    if prefer is None:
        return None
    for part in prefer.decode("latin-1").replace(";", ",").split(","):
        name, _, value = part.strip().partition("=")
        if name.strip().lower() == "wait":
            try:
                return min(seconds_in(value.strip(' "'), "Prefer"), high)
            except FieldFault:
                return None
    return None


# ---- answering -----------------------------------------------------------------------


def told(view: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a view as JSON."""
    return Response(encode(view), status, headers, media_type="application/json")


def one_line(document: bytes) -> bytes:
    """Return a JSON document without line ends: outside its texts they are mere white space."""
    return document.replace(b"\r", b" ").replace(b"\n", b" ")


def refusal_headers(error: ZscrapeError) -> RawHeaders:
    """Return the headers that belong to a refusal."""
    told: RawHeaders = []
    wait_s = _wait_s(error)
    if wait_s is not None:
        told.append((b"retry-after", b"%d" % wait_s))
    if isinstance(error, Unauthorized):
        told.append((b"www-authenticate", b'Bearer realm="zscrape"'))
    if isinstance(error, TooManyConnections | BodyTooLarge | BodyTimeout):
        told.append((b"connection", b"close"))  # the rest of the body is not read
    return told


def _wait_s(error: ZscrapeError) -> int | None:
    """Return after how many seconds it is worth to try again; None when it never is."""
    if isinstance(error, RateLimited):
        return error.wait_s
    if isinstance(error, RefusedError | LockedOut):
        return error.retry_after_s
    return 5 if isinstance(error, LockHeld) else None


def problem_document(error: ZscrapeError, request_id: str, lang: str, *, at: str = "") -> bytes:
    """Return what is told of an error outside `/scrape`; `at` points to what is at fault."""
    is_refusal = isinstance(error, RefusedError)
    view = error_view(error, lang)
    if at:
        view.problems = [{"pointer": at, "reason": view.message}, *view.problems]
    return problem(view, error.http_status, request_id, is_refusal=is_refusal)


def to_client(send: Send) -> Send:
    """Return `send` such that a client who has gone is told by `ClientGone`.

    Source: the ASGI specification 2.4, "Disconnected Client": sending raises an OSError.
    """

    async def send_or_gone(message: Message) -> None:
        try:
            await send(message)
        except OSError as error:
            raise ClientGone from error

    return send_or_gone


def while_current(send: Send, is_current: Callable[[], bool]) -> Send:
    """Return `send` such that an answer without a known length ends once that is false.

    Its next piece is not sent, and whoever sends is told by `ClientGone`.
    """
    is_open_ended = False

    async def send_or_end(message: Message) -> None:
        nonlocal is_open_ended
        if message["type"] == "http.response.start":
            names = {name for name, _ in message.get("headers", ())}
            is_open_ended = b"content-length" not in names
        elif is_open_ended and message.get("more_body", False) and not is_current():
            await send({"type": "http.response.body", "body": b""})
            raise ClientGone
        await send(message)

    return send_or_end


async def send_whole(
    send: Send, status: int, body: bytes, content_type: bytes, headers: RawHeaders
) -> None:
    """Send an answer that is there in one piece."""
    told_headers = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": told_headers})
    await send({"type": "http.response.body", "body": body})


def request_id_of(scope: Scope) -> str:
    """Return the id under which this call is told of."""
    request_id: str = scope[REQUEST_ID]
    return request_id
