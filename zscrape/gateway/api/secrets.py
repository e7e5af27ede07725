"""`/v1/secrets`: values for scripts. They go in here and never come out here."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.gateway.api.exchange import body_of, check_query, gateway_of, told
from zscrape.gateway.faults import field_fault
from zscrape.gateway.requests import decode_body
from zscrape.gateway.vault import SecretView
from zscrape.model import KIB

# Shorter values would blank out ordinary words of logs, longer ones are files.
VALUE_LIMITS_BYTES: Final = (4, 64 * KIB)
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
_Pattern = Annotated[str, Meta(pattern=r"\A[a-z0-9_*?\[\]!-]{1,64}\Z")]


class SecretRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/secrets`; without `value` an existing one keeps its own."""

    name: str
    value: str | None = None
    scripts: Annotated[tuple[_Pattern, ...], Meta(max_length=256)] | None = None


_DECODER = msgspec.json.Decoder(SecretRequest)


async def secrets(request: Request) -> Response:
    """`GET /v1/secrets`: names, and who may read them."""
    check_query(request, ())
    return told({"secrets": [_view(each) for each in gateway_of(request).vault.views()]})


async def keep(request: Request) -> Response:
    """`POST /v1/secrets`: keep one, over the one of its name."""
    check_query(request, ())
    body = await body_of(request)
    asked = decode_body(_DECODER.decode, body, known=SecretRequest.__struct_fields__)
    if not _NAME.fullmatch(asked.name):
        raise field_fault("/name", "secret_name")
    if asked.value is not None:
        _check_value(asked.value)
    vault = gateway_of(request).vault
    return told(_view(await vault.put(asked.name, value=asked.value, scripts=asked.scripts)))


async def remove(request: Request) -> Response:
    """`DELETE /v1/secrets/{name}`: forget one."""
    check_query(request, ())
    await gateway_of(request).vault.remove(request.path_params["name"])
    return Response(status_code=204)


def _check_value(value: str) -> None:
    """Refuse a value that could not be kept out of logs, or not be given to a script.

    Raises:
        FieldFault: It is one.
    """
    low, high = VALUE_LIMITS_BYTES
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise field_fault("/value", "secret_text") from None
    if "\0" in value:
        raise field_fault("/value", "secret_text")
    if not low <= size <= high:
        raise field_fault("/value", "secret_value", limit=high)


def _view(secret: SecretView) -> dict[str, Any]:
    from datetime import UTC, datetime

    return {
        "name": secret.name,
        "scripts": secret.scripts,
        "created_at": datetime.fromtimestamp(secret.created_at, UTC),
        "updated_at": datetime.fromtimestamp(secret.updated_at, UTC),
    }


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/v1/secrets", secrets, methods=["GET"]),
        Route("/v1/secrets", keep, methods=["POST"]),
        Route("/v1/secrets/{name}", remove, methods=["DELETE"]),
    ]
