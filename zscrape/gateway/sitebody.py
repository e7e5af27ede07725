"""The body that sets the budget of a site."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from zscrape.budgets import rate_per_s
from zscrape.gateway.faults import field_fault
from zscrape.gateway.requests import decode_body
from zscrape.model import SiteBudget

_Count = Annotated[int, Meta(ge=1, le=1_000)]


class SiteRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT /v1/sites/{site}`; what it leaves out has no limit."""

    rate: Annotated[str, Meta(max_length=32)] | None = None  # such as `2/s` or `30/min`
    concurrency: _Count | None = None
    burst: _Count | None = None
    gap: Annotated[float, Meta(gt=0, le=3_600)] | None = None  # seconds


_DECODE = msgspec.json.Decoder(SiteRequest).decode


def decode_site(body: bytes) -> SiteBudget:
    """Read the budget that a site is to have.

    Raises:
        MalformedJson, InvalidRequest: The body is no budget.
    """
    asked = decode_body(_DECODE, body, known=SiteRequest.__struct_fields__)
    per_s = None if asked.rate is None else rate_per_s(asked.rate)
    if asked.rate is not None and per_s is None:
        raise field_fault("/rate", "site_rate", given=asked.rate)
    return SiteBudget(per_s, asked.concurrency, asked.burst, asked.gap)
