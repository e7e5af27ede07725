"""What the bodies of `/v1/keys` and `/v1/tokens` are made of."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from zscrape.gateway.clients import Scope

LIFE_LIMIT_S: Final = 10 * 366 * 86_400
_OVERLAP_S: Final = 86_400.0
_OVERLAP_LIMIT_S: Final = 90 * 86_400

_Label = Annotated[str, Meta(max_length=100, pattern=r"\A[^\x00-\x1f\x7f]*\Z")]
_Address = Annotated[str, Meta(min_length=1, max_length=300, pattern=r"\A[\x21-\x7e]+\Z")]
_Scripts = Annotated[tuple[str, ...], Meta(max_length=100)]
_Group = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\A[^\x00-\x1f\x7f]*\Z")]
_Groups = Annotated[tuple[_Group, ...], Meta(max_length=100)]
_Seconds = Annotated[float, Meta(gt=0, le=LIFE_LIMIT_S)]


class KeyRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/keys`."""

    scopes: tuple[Scope, ...]
    name: _Label = ""
    scripts: _Scripts = ()
    groups: _Groups = ()  # of tasks, by their `metadata.group`
    expires_in: _Seconds | None = None  # seconds; None: never
    rate: str | None = None  # `10/s`, `600/m`, `5000/h`
    # Of its tasks that have not ended; None: as it is set for all.
    task_limit: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None


class TokenRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/tokens`."""

    name: _Label = ""
    uses: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None  # workers; None: any number
    # Seconds; null: never.
    expires_in: _Seconds | UnsetType | None = UNSET
    addresses: Annotated[tuple[_Address, ...], Meta(max_length=16)] = ()


class RotateRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/tokens/rotate-key`."""

    overlap: Annotated[float, Meta(ge=0, le=_OVERLAP_LIMIT_S)] = _OVERLAP_S  # seconds
