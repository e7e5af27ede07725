"""Sessions with sites as scripts and people tell them: cookies, names, questions."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from zscrape.gateway.faults import field_fault
from zscrape.gateway.requests import decode_body

COOKIE_LIMIT_COUNT: Final = 300
_SITE: Final = re.compile(r"[a-z0-9]([a-z0-9._:-]{0,252}[a-z0-9])?")
_ACCOUNT: Final = re.compile(r"[^\x00-\x1f\x7f/]{1,200}")
_PATTERN: Final = re.compile(r"[a-z0-9_*?\[\]!-]{1,64}")
_Age = Annotated[float, Meta(gt=0, le=10 * 365 * 86_400)]


class Cookie(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One cookie, by the names that browsers use (`Network.CookieParam`)."""

    name: Annotated[str, Meta(min_length=1, max_length=1_000)]
    value: Annotated[str, Meta(max_length=8_000)]
    domain: Annotated[str, Meta(max_length=255)] = ""  # empty: the session's site
    path: Annotated[str, Meta(max_length=1_000)] = "/"
    secure: bool = False
    httpOnly: bool = False  # noqa: N815 - as browsers call it
    expires: float | None = None  # Unix time; None: with the session


_Cookies = Annotated[tuple[Cookie, ...], Meta(max_length=COOKIE_LIMIT_COUNT)]


class SessionRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT /v1/sessions/...`; what is not given stays as it is."""

    cookies: _Cookies | None = None
    scripts: Annotated[tuple[str, ...], Meta(max_length=256)] | None = None
    max_age_s: _Age | None = None  # from now on; after that a script has to log in again


class SessionQuestion(Struct, frozen=True, forbid_unknown_fields=True):
    """What a running script asks; see `zscrape.runtime.session`."""

    op: Literal["lease", "return"]
    site: str
    account: str
    shared: bool = False
    cookies: _Cookies | None = None
    bad: Annotated[str, Meta(max_length=255)] = ""
    max_age_s: _Age | None = None


_REQUEST: Final = msgspec.json.Decoder(SessionRequest)
_QUESTION: Final = msgspec.json.Decoder(SessionQuestion)
_COOKIES: Final = msgspec.json.Decoder(tuple[Cookie, ...])
_KNOWN: Final = (*SessionRequest.__struct_fields__, *Cookie.__struct_fields__)
encode_cookies = msgspec.json.Encoder().encode
decode_cookies = _COOKIES.decode


def decode_session(body: bytes) -> SessionRequest:
    """Read what is to be kept of a session.

    Raises:
        MalformedJson, InvalidRequest: The body is no such request.
    """
    asked = decode_body(_REQUEST.decode, body, known=_KNOWN)
    for place, script in enumerate(asked.scripts or ()):
        if not _PATTERN.fullmatch(script):
            raise field_fault(f"/scripts/{place}", "secret_script")
    return asked


def decode_question(body: bytes) -> SessionQuestion:
    """Read what a running script asks.

    Raises:
        MalformedJson, InvalidRequest: It is no such question.
    """
    asked = decode_body(_QUESTION.decode, body, known=SessionQuestion.__struct_fields__)
    check_place(asked.site, asked.account)
    return asked


def check_place(site: str, account: str) -> None:
    """Prove that a session may be called so.

    Raises:
        FieldFault: It may not.
    """
    if not _SITE.fullmatch(site):
        raise field_fault("/site", "session_site")
    if not _ACCOUNT.fullmatch(account):
        raise field_fault("/account", "session_account")
