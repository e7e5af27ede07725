"""What the calls of other products have in common, so that their clients can be kept.

Their clients send a key as the password of Basic authentication, and read errors in a form of
their own. Calls that start something by GET are among them: a browser's session opens none.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from zscrape.errors import ZscrapeError
from zscrape.errors.requests import InvalidRequest, ParamsInvalid
from zscrape.gateway.api.exchange import body_of
from zscrape.gateway.envelope import encode, error_view
from zscrape.gateway.faults import field_fault

SCRAPYD: Final = frozenset(
    f"/{name}.json"
    for name in (
        "daemonstatus",
        "schedule",
        "cancel",
        "status",
        "listprojects",
        "listversions",
        "listspiders",
        "listjobs",
        "addversion",
        "delversion",
        "delproject",
    )
)
# What no call of theirs can do here: a deployment must not look as if it had gone well.
_UNSERVED: Final = frozenset({"/addversion.json", "/delversion.json", "/delproject.json"})
SCRAPYRT: Final = frozenset({"/crawl.json"})
PATHS: Final = SCRAPYD | SCRAPYRT
_FIELD_COUNT: Final = 1_000
_FORM: Final = "application/x-www-form-urlencoded"
# Of these the status alone tells: they are the cluster's, not the call's.
_HONEST_STATUS: Final = frozenset({401, 403, 405, 429})


def key_headers(path: str, headers: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    """Return the headers by which a caller is known: of these paths, with the password as key.

    The user's name is free, and is the key where there is no password (`curl -u KEY:`).
    """
    if path not in PATHS:
        return headers
    own = dict(headers)
    own.pop(b"cookie", None)
    scheme, _, told = own.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"basic":
        try:
            user, _, password = base64.b64decode(told.strip(), validate=True).partition(b":")
        except binascii.Error:
            user = password = b""
        own[b"authorization"] = b"Bearer " + (password or user)
    return own


def refusal(path: str, error: ZscrapeError, request_id: str, lang: str) -> tuple[int, bytes] | None:
    """Return the status and the body of an error in the form of a path's clients.

    None: the path is none of theirs.
    """
    if path in SCRAPYRT:
        status = 400 if isinstance(error, InvalidRequest | ParamsInvalid) else error.http_status
        view = {"status": "error", "code": status, "message": words_of(error, lang)}
        return status, encode({**view, "request_id": request_id})
    if path not in SCRAPYD:
        return None
    # Scrapyd tells what is wrong with a call by its body: its clients read no other.
    status = 501 if path in _UNSERVED and isinstance(error, InvalidRequest) else error.http_status
    is_honest = status >= 500 or status in _HONEST_STATUS
    view = {"status": "error", "message": words_of(error, lang), "request_id": request_id}
    return status if is_honest else 200, encode(view)


def words_of(error: ZscrapeError, lang: str) -> str:
    """Return all that is told of an error in one text: these forms have room for no more."""
    view = error_view(error, lang)
    problems = "; ".join(f"{each['pointer']}: {each['reason']}" for each in view.problems)
    told_already = len(view.problems) == 1 and view.problems[0]["reason"] in view.message
    return view.message if told_already or not problems else f"{view.message} ({problems})"


# ---- reading -------------------------------------------------------------------------


async def fields_of(request: Request) -> dict[str, list[str]]:
    """Return the fields of a call, of its address and its form, each with all its values.

    Raises:
        FieldFault: The body is no such form.
    """
    pairs = list(request.query_params.multi_items())
    if request.method == "POST":
        given = request.headers.get("content-type", _FORM).partition(";")[0].strip().lower()
        body = await body_of(request)
        if body and given != _FORM:
            raise field_fault("Content-Type", "dialect_form", given=given[:80])
        pairs += _pairs(body.decode("utf-8", "replace"))
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _pairs(form: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(form, keep_blank_values=True, max_num_fields=_FIELD_COUNT)
    except ValueError as error:  # half a million of them would hold everybody up
        raise field_fault("body", "dialect_fields", limit=_FIELD_COUNT) from error


def required(fields: Mapping[str, Any], name: str) -> str:
    """Return a field that must be there.

    Raises:
        FieldFault: It is not.
    """
    value = optional(fields, name)
    if not value:
        raise field_fault(name, "dialect_missing")
    return value


def optional(fields: Mapping[str, Any], name: str) -> str | None:
    """Return the first value of a field; None when it is not given."""
    values = fields.get(name)
    return values[0] if isinstance(values, list) and values else None
