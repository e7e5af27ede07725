"""What running scripts ask and tell about sites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from zscrape.budgets import EVERY_SITE
from zscrape.core.sites import site_of
from zscrape.gateway.requests import decode_body
from zscrape.model import SiteBudget

ROBOTS: Final = "robots.txt"  # who asks for what a site's robots.txt says: no script's name
_GAP_LIMIT_S: Final = 300.0

_Host = Annotated[str, Meta(max_length=300)]
_Seconds = Annotated[float, Meta(ge=0)]


class SiteQuestion(Struct, frozen=True):
    """May I ask this host now? Without a host: which sites have a budget?"""

    host: _Host = ""
    is_held: bool = True  # the end of the request is told
    gap_s: _Seconds | None = None  # what the site's robots.txt asks for


class Seen(Struct, frozen=True):
    """How one request went. Without `token` it was one to a site without a budget."""

    event: Literal["used", "over"]
    host: _Host = ""
    token: str = ""
    status: int = 0
    retry_after_s: _Seconds | None = None


class SeenReports(Struct, frozen=True):
    """The body of `seen`."""

    reports: Annotated[tuple[Seen, ...], Meta(max_length=1_000)]


_QUESTION: Final = msgspec.json.Decoder(SiteQuestion).decode
_SEEN: Final = msgspec.json.Decoder(SeenReports).decode


def decode_question(body: bytes) -> SiteQuestion:
    """Read a question about a site.

    Raises:
        MalformedJson, InvalidRequest: It is none.
    """
    return decode_body(_QUESTION, body, SiteQuestion.__struct_fields__)


def decode_seen(body: bytes) -> SeenReports:
    """Read how requests went.

    Raises:
        MalformedJson, InvalidRequest: It does not say.
    """
    return decode_body(_SEEN, body, SeenReports.__struct_fields__)


def claims_of(
    script_name: str, host: str, named: Mapping[str, SiteBudget], gap_s: float | None
) -> dict[str, SiteBudget]:
    """Return what a script's manifest, and the site's robots.txt, ask for at this host."""
    claims: dict[str, SiteBudget] = {}
    wish = named.get(site_of(host, named) or EVERY_SITE)
    if wish is not None:
        claims[script_name] = wish
    if gap_s:
        claims[ROBOTS] = SiteBudget(gap_s=min(gap_s, _GAP_LIMIT_S))
    return claims
