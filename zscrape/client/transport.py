"""What both transports share: a call as httpx takes it, an answer as conversations do."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import msgspec
from msgspec import UNSET

from zscrape.client.calls import Answer, Broken, Call
from zscrape.client.failures import ClientError
from zscrape.client.finding import Gateway, find_gateway
from zscrape.messages import text

CALL_TIMEOUT_S: Final = 30.0
_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_Method = TypeVar("_Method", bound=Callable[..., Any])


def gateway_of(
    gateway: Gateway | str | None, key: str | None, home: Path | None, lang: str
) -> Gateway:
    """Return the gateway that a client is made for.

    Raises:
        ClientError: None is known, or its address is none.
    """
    if not isinstance(gateway, Gateway):
        gateway = find_gateway(url=gateway, key=key, home=home, lang=lang)
    try:
        parts = httpx.URL(gateway.url)
        is_address = parts.scheme in ("http", "https") and bool(parts.host)
    except httpx.InvalidURL:
        is_address = False
    if not is_address:
        words = text("client.address_invalid", lang, url=gateway.url, source=gateway.source)
        raise ClientError("config_invalid", words)
    return gateway


def request_options(call: Call[Any], timeout_s: float) -> dict[str, Any]:
    """Return a call as httpx takes it."""
    silence_s = timeout_s if call.timeout_s is UNSET else call.timeout_s
    if silence_s is not None:
        silence_s += call.extra_s
    options: dict[str, Any] = {
        "method": call.method,
        "url": call.path,
        "params": call.params,
        "headers": {**call.headers, **_trace_headers()},
        "timeout": httpx.Timeout(timeout_s, read=silence_s),
    }
    if call.body is not UNSET:  # httpx's own way of writing large bodies is a slow one
        options["content"] = msgspec.json.encode(call.body)
        options["headers"]["Content-Type"] = "application/json"
    return options


def _trace_headers() -> dict[str, str]:
    """Return what makes a call part of the trace of a program that traces itself."""
    headers: dict[str, str] = {}
    if "opentelemetry.trace" in sys.modules:  # nobody else has one, nor wants to load it
        from opentelemetry.propagate import inject

        inject(headers)
    return headers


def head_of(response: httpx.Response, content: bytes = b"") -> Answer:
    """Return an answer with this content."""
    return Answer(response.status_code, response.headers, content)


def broken(error: httpx.HTTPError) -> Broken:
    """Return what is told of a call without an answer."""
    return Broken(str(error) or type(error).__name__, isinstance(error, _UNSENT))


def named(method: _Method, source: Callable[..., Any]) -> _Method:
    """Return a method with the name, the words and the parameters of what it is made of."""
    method.__name__ = source.__name__
    method.__qualname__ = source.__name__
    method.__doc__ = source.__doc__
    parameters = list(inspect.signature(source).parameters.values())
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    if parameters and parameters[0].name == "manner":  # a conversation: the client brings that
        parameters = parameters[1:]
    kept = [each for each in parameters if each.kind is not inspect.Parameter.POSITIONAL_ONLY]
    method.__signature__ = inspect.Signature([own, *kept])  # type: ignore[attr-defined]
    return method
