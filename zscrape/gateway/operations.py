"""What each operation of the API takes and gives, as far as its code does not say it by itself.

A route without an entry is described all the same: by its docstring, with a body and an answer
of any form. An entry makes that exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct, field

from zscrape.gateway.envelope import Envelope, TaskSummary, TaskView
from zscrape.gateway.handoffbody import AnswerRequest
from zscrape.gateway.keyrequests import KeyRequest, RotateRequest, TokenRequest
from zscrape.gateway.requests import (
    BATCH_LIMIT_COUNT,
    TIMEOUT_LIMIT_S,
    ChannelRequest,
    PrefetchRequest,
    TaskRequest,
    WaitRequest,
)
from zscrape.gateway.schedulebody import ScheduleRequest
from zscrape.gateway.scriptstate import StateRequest
from zscrape.gateway.secretrequests import SecretRequest
from zscrape.gateway.selections import LetterSelection, TaskSelection
from zscrape.gateway.sessionbody import SessionRequest
from zscrape.gateway.sitebody import SiteRequest
from zscrape.model import TaskState
from zscrape.store.handoffs import HandoffStatus

Schema = dict[str, Any]

_OBJECT: Final[Schema] = {"type": "object"}
JSON: Final = "application/json"
LINES: Final = "application/x-ndjson"
EVENTS: Final = "text/event-stream"
HTML: Final = "text/html"
_ANY: Final[Schema] = {}
_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_STATES: Final = [state.value for state in TaskState]


class Accepted(Struct):
    """A task that was accepted."""

    request_id: str
    status: str
    links: dict[str, str]


class Operation(Struct, frozen=True):
    """One operation. A body or an answer is a struct, a schema, or None for none."""

    query: Mapping[str, Schema] = {}
    body: type | Schema | None = None
    is_body_needed: bool = True
    # By status, then media type.
    answers: Mapping[str, Mapping[str, type | Schema] | None] = field(
        default_factory=lambda: {"200": {JSON: _OBJECT}}
    )
    is_open: bool = False  # answered without a key
    has_envelope: bool = False  # failures are told by an envelope too


def _whole(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


_SECONDS: Final[Schema] = {"type": "number", "minimum": 0, "maximum": 300}
_MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
_SWITCH: Final[Schema] = {"type": "string", "enum": ["0", "1", "true", "false"]}
_FILTERS: Final[dict[str, Schema]] = {
    "status": {"type": "string", "enum": _STATES},
    "script": _TEXT,
    "origin": _TEXT,
    "since": _MOMENT,
}
_PAGE: Final[dict[str, Schema]] = {"limit": _whole(1, 500), "cursor": _TEXT}
_LETTERS: Final[dict[str, Schema]] = {
    "script": _TEXT,
    "reason": {"type": "string", "enum": ["", "retry_exhausted", "poison"]},
    "since": _MOMENT,
}
_VERSION: Final[dict[str, Schema]] = {"version": _TEXT}


def _listed(name: str, schema: Schema) -> Schema:
    """Return the schema of a page: its rows under `name`, and the cursor of the next."""
    return {
        "type": "object",
        "required": [name, "next_cursor"],
        "properties": {
            name: {"type": "array", "items": schema},
            "next_cursor": {"type": ["string", "null"]},
        },
    }


def _named(**properties: Schema) -> Schema:
    return {"type": "object", "required": [*properties], "properties": properties}


def _rows(name: str) -> Schema:
    return _named(**{name: {"type": "array", "items": _OBJECT}})


SUMMARY: Final[Schema] = {"$ref": f"#/components/schemas/{TaskSummary.__name__}"}
_TASK_LIST: Final[Schema] = {
    "type": "array",
    "minItems": 1,
    "maxItems": BATCH_LIMIT_COUNT,
    "items": {"$ref": f"#/components/schemas/{TaskRequest.__name__}"},
}
_TASKS: Final[Schema] = {"oneOf": [_TASK_LIST["items"], _TASK_LIST]}
_BATCH: Final[Schema] = {
    "oneOf": [
        _TASK_LIST,
        {**_named(tasks=_TASK_LIST), "additionalProperties": False},
    ]
}
_SESSION: Final = _named(
    site=_TEXT,
    account=_TEXT,
    status={"type": "string", "enum": ["new", "good", "bad", "expired"]},
    reason={"type": ["string", "null"]},
    scripts={"type": "array", "items": _TEXT},
    cookie_count=_COUNT,
    use_count=_COUNT,
    bad_count=_COUNT,
    created_at=_MOMENT,
    updated_at=_MOMENT,
    used_at={"type": ["string", "null"], "format": "date-time"},
    expires_at={"type": ["string", "null"], "format": "date-time"},
    leases={"type": "array", "items": _OBJECT},
)
_STATE: Final = _named(key=_TEXT, revision=_COUNT, size_bytes=_COUNT, updated_at=_MOMENT)
_CHANGED: Final = _named(tasks={"type": "array", "items": _OBJECT}, failed_count=_COUNT)
_PAGES_OF_FAULTS: Final = {status: {HTML: _TEXT} for status in ("400", "410", "429")}
_ACCEPTED: Final = {"202": {JSON: Accepted}}
_SECRET: Final = _named(
    name=_TEXT,
    scripts={"type": "array", "items": _TEXT},
    created_at=_MOMENT,
    updated_at=_MOMENT,
)

# (method, path) -> what it takes and gives.
OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    ("POST", "/scrape"): Operation(
        body=TaskRequest,
        query={"on_disconnect": {"type": "string", "enum": ["cancel", "continue"]}},
        answers={
            "200": {JSON: Envelope, EVENTS: _ANY, LINES: _TEXT},
            "202": {JSON: Envelope},
            "504": {JSON: Envelope},
        },
        has_envelope=True,
    ),
    ("POST", "/v1/tasks"): Operation(body=_TASKS, answers={"202": {JSON: _OBJECT}}),
    ("POST", "/v1/tasks/batch"): Operation(body=_BATCH, answers={"202": {JSON: _OBJECT}}),
    ("GET", "/v1/tasks"): Operation(
        query={**_FILTERS, **_PAGE}, answers={"200": {JSON: _listed("tasks", SUMMARY)}}
    ),
    ("GET", "/v1/tasks/{task_id}"): Operation(
        query={"wait": _SECONDS}, answers={"200": {JSON: TaskView}}
    ),
    ("DELETE", "/v1/tasks/{task_id}"): Operation(answers={"200": {JSON: TaskView}}),
    ("POST", "/v1/tasks/{task_id}/cancel"): Operation(answers={"200": {JSON: TaskView}}),
    ("POST", "/v1/tasks/{task_id}/retry"): Operation(answers=_ACCEPTED),
    ("POST", "/v1/tasks/cancel"): Operation(body=TaskSelection, answers={"200": {JSON: _CHANGED}}),
    ("GET", "/v1/tasks/{task_id}/events"): Operation(answers={"200": {EVENTS: _ANY}, "204": None}),
    ("GET", "/v1/tasks/{task_id}/logs"): Operation(
        query={"follow": _SWITCH, "after": _COUNT}, answers={"200": {LINES: _TEXT}}
    ),
    ("GET", "/v1/tasks/{task_id}/items"): Operation(
        query={
            "format": {"type": "string", "enum": ["json", "jsonl", "csv", "xlsx"]},
            "offset": _whole(0, 10**12),
            "limit": _whole(1, 100_000),
            "fields": _TEXT,
            "omit": _TEXT,
        },
        answers={
            "200": {
                JSON: {"type": "array"},
                LINES: _TEXT,
                "text/csv": _TEXT,
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": _TEXT,
            }
        },
    ),
    ("GET", "/v1/tasks/{task_id}/result"): Operation(answers={"200": {JSON: _ANY}}),
    ("GET", "/v1/tasks/{task_id}/artifacts/{name}"): Operation(answers={"200": {"*/*": _TEXT}}),
    ("GET", "/v1/tasks/{task_id}/capsule"): Operation(
        query={"attempt": _whole(1, 2**31)}, answers={"200": {"application/zip": _TEXT}}
    ),
    ("GET", "/v1/tasks/export"): Operation(
        query={
            **_FILTERS,
            "limit": _whole(1, 10**9),
            "format": {"type": "string", "enum": ["jsonl", "csv"]},
            "data": _SWITCH,
        },
        answers={"200": {LINES: _TEXT, "text/csv": _TEXT}},
    ),
    ("GET", "/v1/deadletters"): Operation(
        query={**_LETTERS, **_PAGE}, answers={"200": {JSON: _listed("deadletters", _OBJECT)}}
    ),
    ("DELETE", "/v1/deadletters"): Operation(
        query={**_LETTERS, "ids": _TEXT, "limit": _whole(1, 10_000), "all": _SWITCH}
    ),
    ("POST", "/v1/deadletters/retry"): Operation(
        body=LetterSelection, answers={"200": {JSON: _OBJECT}, "202": {JSON: _OBJECT}}
    ),
    ("GET", "/v1/scripts/{name}"): Operation(query=_VERSION),
    ("GET", "/v1/scripts/{name}/schema"): Operation(query=_VERSION),
    ("POST", "/v1/scripts/{name}/validate"): Operation(query=_VERSION, body=_OBJECT),
    ("POST", "/v1/scripts/{name}/run"): Operation(
        query={
            **_VERSION,
            "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": TIMEOUT_LIMIT_S},
            "on_disconnect": {"type": "string", "enum": ["cancel", "continue"]},
        },
        body=_OBJECT,
        is_body_needed=False,
        answers={"200": {JSON: _ANY}, "202": {JSON: Envelope}, "303": None},
    ),
    ("POST", "/v1/scripts/refresh"): Operation(),
    ("POST", "/v1/scripts/prefetch"): Operation(
        body=PrefetchRequest, answers={"202": {JSON: _OBJECT}}
    ),
    ("PUT", "/v1/scripts/{name}/channels/{channel}"): Operation(body=ChannelRequest),
    ("DELETE", "/v1/scripts/{name}/channels/{channel}"): Operation(
        answers={"200": {JSON: _OBJECT}, "204": None}
    ),
    ("GET", "/v1/scripts/{name}/state"): Operation(
        query={**_PAGE, "prefix": _TEXT, "limit": _whole(1, 1_000)},
        answers={"200": {JSON: _listed("state", _STATE)}},
    ),
    ("DELETE", "/v1/scripts/{name}/state"): Operation(
        answers={"200": {JSON: _named(removed_count=_COUNT)}}
    ),
    ("GET", "/v1/scripts/{name}/state/{key:path}"): Operation(
        answers={"200": {JSON: {**_STATE, "properties": {**_STATE["properties"], "value": _ANY}}}}
    ),
    ("PUT", "/v1/scripts/{name}/state/{key:path}"): Operation(
        body=StateRequest, answers={"200": {JSON: _named(key=_TEXT, revision=_COUNT)}}
    ),
    ("DELETE", "/v1/scripts/{name}/state/{key:path}"): Operation(answers={"204": None}),
    ("GET", "/v1/sessions"): Operation(
        query={"site": _TEXT},
        answers={"200": {JSON: _named(sessions={"type": "array", "items": _SESSION})}},
    ),
    ("GET", "/v1/sessions/{site}/{account}"): Operation(answers={"200": {JSON: _SESSION}}),
    ("PUT", "/v1/sessions/{site}/{account}"): Operation(
        body=SessionRequest, answers={"200": {JSON: _SESSION}}
    ),
    ("DELETE", "/v1/sessions/{site}/{account}"): Operation(answers={"204": None}),
    ("GET", "/v1/scripts/{name}/keys"): Operation(
        answers={"200": {JSON: _named(known_count=_COUNT)}}
    ),
    ("DELETE", "/v1/scripts/{name}/keys"): Operation(
        answers={"200": {JSON: _named(removed_count=_COUNT)}}
    ),
    ("GET", "/v1/scripts/{name}/keys/{key:path}"): Operation(
        answers={"200": {JSON: _named(key=_TEXT, request_id=_TEXT, expires_at=_MOMENT)}}
    ),
    ("DELETE", "/v1/scripts/{name}/keys/{key:path}"): Operation(
        answers={"200": {JSON: _named(removed_count=_COUNT)}}
    ),
    ("GET", "/v1/handoffs"): Operation(
        query={
            "status": {"type": "string", "enum": [status.value for status in HandoffStatus]},
            "task": _TEXT,
            "limit": _whole(1, 1_000),
        },
        answers={"200": {JSON: _rows("handoffs")}},
    ),
    ("POST", "/v1/handoffs/{handoff_id}/answer"): Operation(body=AnswerRequest),
    ("POST", "/v1/handoffs/{handoff_id}/resolve"): Operation(body=AnswerRequest),
    ("GET", "/v1/secrets"): Operation(
        answers={"200": {JSON: _named(secrets={"type": "array", "items": _SECRET})}}
    ),
    ("POST", "/v1/secrets"): Operation(body=SecretRequest, answers={"200": {JSON: _SECRET}}),
    ("DELETE", "/v1/secrets/{name}"): Operation(answers={"204": None}),
    ("GET", "/v1/sites"): Operation(
        answers={"200": {JSON: _named(sites={"type": "array", "items": _OBJECT})}}
    ),
    ("PUT", "/v1/sites/{site}"): Operation(body=SiteRequest),
    ("DELETE", "/v1/sites/{site}"): Operation(answers={"204": None}),
    ("POST", "/v1/tasks/wait"): Operation(body=WaitRequest),
    ("GET", "/v1/keys"): Operation(answers={"200": {JSON: _rows("keys")}}),
    ("POST", "/v1/keys"): Operation(body=KeyRequest, answers={"201": {JSON: _OBJECT}}),
    ("GET", "/v1/audit"): Operation(
        query={
            "since": _MOMENT,
            "actor": _TEXT,
            "action": _TEXT,
            "cursor": _TEXT,
            "limit": _whole(1, 1_000),
            "format": {"type": "string", "enum": ["json", "jsonl", "csv"]},
        },
        answers={"200": {JSON: _listed("audit", _OBJECT), LINES: _TEXT, "text/csv": _TEXT}},
    ),
    ("GET", "/"): Operation(answers={"200": {HTML: _TEXT}}, is_open=True),
    ("GET", "/ui/{digest}/{name}"): Operation(
        answers={
            "200": {HTML: _TEXT, "text/javascript": _TEXT, "text/css": _TEXT, JSON: _ANY},
            "304": None,
        },
        is_open=True,
    ),
    ("GET", "/v1/overview/events"): Operation(answers={"200": {EVENTS: _ANY}}),
    ("GET", "/login"): Operation(
        query={"code": _TEXT},
        answers={"200": {HTML: _TEXT}, "204": None, "303": None, **_PAGES_OF_FAULTS},
        is_open=True,
    ),
    ("POST", "/logout"): Operation(answers={"303": None}),
    ("POST", "/v1/logins"): Operation(answers={"201": {JSON: _OBJECT}}),
    ("GET", "/v1/tokens"): Operation(answers={"200": {JSON: _rows("tokens")}}),
    ("POST", "/v1/tokens"): Operation(
        body=TokenRequest, is_body_needed=False, answers={"201": {JSON: _OBJECT}}
    ),
    ("POST", "/v1/tokens/rotate-key"): Operation(
        body=RotateRequest, is_body_needed=False, answers={"202": {JSON: _OBJECT}}
    ),
    ("GET", "/v1/schedules"): Operation(
        query={"script": _TEXT, "limit": _whole(1, 1_000), "cursor": _TEXT},
        answers={"200": {JSON: _listed("schedules", _OBJECT)}},
    ),
    ("POST", "/v1/schedules"): Operation(body=ScheduleRequest, answers={"201": {JSON: _OBJECT}}),
    ("POST", "/v1/schedules/preview"): Operation(body=ScheduleRequest),
    ("PATCH", "/v1/schedules/{schedule}"): Operation(body=_OBJECT),
    ("POST", "/v1/schedules/{schedule}/trigger"): Operation(answers={"202": {JSON: _OBJECT}}),
    ("GET", "/v1/schedules/{schedule}/occurrences"): Operation(
        query={"status": _TEXT, "limit": _whole(1, 1_000), "cursor": _whole(0, 10**15)},
        answers={"200": {JSON: _listed("occurrences", _OBJECT)}},
    ),
    ("GET", "/v1/locks"): Operation(
        query={"prefix": _TEXT, "limit": _whole(1, 10_000)},
        answers={"200": {JSON: _rows("locks")}},
    ),
    ("DELETE", "/v1/locks/{key:path}"): Operation(query={"force": _SWITCH}),
    ("GET", "/health"): Operation(
        answers={"200": {JSON: _OBJECT}, "503": {JSON: _OBJECT}}, is_open=True
    ),
    ("GET", "/ready"): Operation(
        answers={"200": {JSON: _OBJECT}, "503": {JSON: _OBJECT}}, is_open=True
    ),
    ("GET", "/status"): Operation(is_open=True),
    ("GET", "/metrics"): Operation(
        answers={"200": {"text/plain": _TEXT, "application/openmetrics-text": _TEXT}}
    ),
    ("GET", "/openapi.json"): Operation(is_open=True),
    ("GET", "/docs"): Operation(answers={"200": {HTML: _TEXT}, "304": None}, is_open=True),
    ("GET", "/docs/{digest}/{name}"): Operation(
        answers={"200": {"text/javascript": _TEXT, "text/css": _TEXT}, "304": None}, is_open=True
    ),
    ("GET", "/v1/pressure"): Operation(
        answers={
            "200": {JSON: _OBJECT, "text/plain": _TEXT},
            "503": {"text/plain": _TEXT},
        }
    ),
}
