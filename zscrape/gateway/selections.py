"""Which tasks a call is about: by their ids, or by what they have in common."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from zscrape.gateway.faults import field_fault
from zscrape.gateway.requests import decode_body
from zscrape.model import TaskState

SELECTION_LIMIT_COUNT: Final = 10_000  # tasks that one call may change

_Id = Annotated[str, Meta(min_length=1, max_length=200)]
_Ids = Annotated[tuple[_Id, ...], Meta(max_length=SELECTION_LIMIT_COUNT)]
_Limit = Annotated[int, Meta(ge=1, le=SELECTION_LIMIT_COUNT)]
_Word = Annotated[str, Meta(min_length=1, max_length=200)]


class TaskSelection(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/tasks/cancel`."""

    ids: _Ids = ()
    status: tuple[TaskState, ...] | TaskState = ()
    script: _Word | None = None
    origin: _Word | None = None
    since: _Word | None = None
    all: bool = False
    limit: _Limit = 1_000

    @property
    def statuses(self) -> frozenset[TaskState]:
        """The states that are asked for; empty: any."""
        given = (self.status,) if isinstance(self.status, TaskState) else self.status
        return frozenset(given)


class LetterSelection(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /v1/deadletters/retry`, and the query of `DELETE /v1/deadletters`."""

    ids: _Ids = ()
    script: _Word | None = None
    reason: _Word | None = None
    since: _Word | None = None
    all: bool = False
    limit: _Limit = 1_000


_TASKS: Final = msgspec.json.Decoder(TaskSelection)
_LETTERS: Final = msgspec.json.Decoder(LetterSelection)


def decode_task_selection(body: bytes) -> TaskSelection:
    """Read which tasks are meant.

    Raises:
        MalformedJson, InvalidRequest: The body is no such request, or selects nothing.
    """
    found = decode_body(_TASKS.decode, body, known=TaskSelection.__struct_fields__)
    has_filter = bool(found.status or found.script or found.origin or found.since)
    _check(found.ids, has_filter, found.all, "status, script, origin, since")
    return found


def decode_letter_selection(body: bytes) -> LetterSelection:
    """Read which dead letters are meant.

    Raises:
        MalformedJson, InvalidRequest: The body is no such request, or selects nothing.
    """
    found = decode_body(_LETTERS.decode, body, known=LetterSelection.__struct_fields__)
    check_letters(found)
    return found


def check_letters(found: LetterSelection) -> None:
    """Refuse a selection that names nothing: all there is must be said, never left out.

    Raises:
        FieldFault: It does, or names ids and a filter at once.
    """
    has_filter = bool(found.script or found.reason or found.since)
    _check(found.ids, has_filter, found.all, "script, reason, since")


def _check(ids: tuple[str, ...], has_filter: bool, is_all: bool, known: str) -> None:
    if ids and (has_filter or is_all):
        raise field_fault("/ids", "ids_or_filter")
    if not (ids or has_filter or is_all):
        raise field_fault("", "nothing_selected", known=known)
