"""Errors of calls: whoever makes the call can mend it."""

from __future__ import annotations

from typing import ClassVar

from zscrape.errors import RequestError

# ---- what was sent -------------------------------------------------------------------


class MalformedJson(RequestError):
    """Raised when a body is not a JSON document."""

    code: ClassVar[str] = "malformed_json"
    reason: str


class InvalidRequest(RequestError):
    """Raised when a body, a query or a header has a wrong type, range or unknown field.

    `pointer` is a JSON pointer into the body, or the name of the query parameter or header.
    """

    code: ClassVar[str] = "invalid_request"
    http_status: ClassVar[int] = 422
    pointer: str
    reason: str


class BodyTooLarge(RequestError):
    """Raised when a request body is longer than the limit."""

    code: ClassVar[str] = "body_too_large"
    http_status: ClassVar[int] = 413
    limit_bytes: int


class BodyTimeout(RequestError):
    """Raised when a request body does not arrive within the time for it."""

    code: ClassVar[str] = "body_timeout"
    http_status: ClassVar[int] = 408
    limit_s: float


class ParamsInvalid(RequestError):
    """Raised when parameters do not fit the script's schema.

    `problems` has one `{"pointer": "/parameters/url", "reason": "..."}` per fault, all at once.
    """

    code: ClassVar[str] = "params_invalid"
    http_status: ClassVar[int] = 422
    script_name: str
    problems: list[dict[str, str]]


# ---- who has sent it -----------------------------------------------------------------


class Unauthorized(RequestError):
    """Raised when a call carries no key, or one that is not known."""

    code: ClassVar[str] = "unauthorized"
    http_status: ClassVar[int] = 401


class KeyExpired(Unauthorized):
    """Raised when a key is known, but its time is over."""

    code: ClassVar[str] = "key_expired"
    expired_at: str


class KeyRevoked(Unauthorized):
    """Raised when a key is known, but somebody has revoked it."""

    code: ClassVar[str] = "key_revoked"


class TokenInvalid(Unauthorized):
    """Raised when a JSON Web Token is not to be believed; `reason` is one word."""

    code: ClassVar[str] = "token_invalid"
    reason: str

    @property
    def is_signed(self) -> bool:
        """True iff somebody with the key has made it: it is no guess."""
        return self.reason not in {"signature", "algorithm", "form"}


class LoginInvalid(RequestError):
    """Raised when the link that is to sign a browser in has been used, or is too old."""

    code: ClassVar[str] = "login_invalid"
    http_status: ClassVar[int] = 410


class LockedOut(RequestError):
    """Raised when an address has presented too many wrong keys."""

    code: ClassVar[str] = "locked_out"
    http_status: ClassVar[int] = 429
    retry_after_s: int


class CrossSite(RequestError):
    """Raised when a browser's session is used by a page that is not the gateway's own."""

    code: ClassVar[str] = "cross_site"
    http_status: ClassVar[int] = 403
    origin: str


class Forbidden(RequestError):
    """Raised when a known key lacks the scope that a call needs."""

    code: ClassVar[str] = "forbidden"
    http_status: ClassVar[int] = 403
    scope: str


class ScriptForbidden(Forbidden):
    """Raised when a key is for other scripts than the one that a call is about."""

    code: ClassVar[str] = "script_forbidden"
    name: str
    allowed: str


class GroupForbidden(Forbidden):
    """Raised when a key is for other groups than the one that a task is to be of."""

    code: ClassVar[str] = "group_forbidden"
    name: str  # empty: the task says none
    allowed: str
    is_shared: bool = False  # what is asked for is of all groups of a script

    @property
    def text_key(self) -> str:
        """The words of a group that is another's, or is not told, or of what is of all groups."""
        if self.is_shared:
            return "group_forbidden.shared"
        return "group_forbidden" if self.name else "group_forbidden.none"


class HostUnknown(RequestError):
    """Raised when a call is for a host that this gateway is not (RFC 9110, 15.5.20)."""

    code: ClassVar[str] = "host_unknown"
    http_status: ClassVar[int] = 421
    host: str


# ---- what it is about ----------------------------------------------------------------


class NotFound(RequestError):
    """Raised when the thing named in the path does not exist (`kind` is a noun of the contract)."""

    code: ClassVar[str] = "not_found"
    http_status: ClassVar[int] = 404
    kind: str
    name: str


class MethodNotAllowed(RequestError):
    """Raised when a path exists but not for this HTTP method."""

    code: ClassVar[str] = "method_not_allowed"
    http_status: ClassVar[int] = 405
    method: str
    path: str


class LockHeld(RequestError):
    """Raised when a task's lock is held and its overlap policy is to skip."""

    code: ClassVar[str] = "lock_held"
    http_status: ClassVar[int] = 409
    key: str
    holder: str  # the holding task's id
    age_s: float  # since the holder was accepted


class RunHeld(RequestError):
    """Raised when another run of the same operational verb and scope is under way."""

    code: ClassVar[str] = "lock_held"
    http_status: ClassVar[int] = 409
    key: str
    run_id: str  # the run that holds it
    holder_pid: int
    since: str

    @property
    def text_key(self) -> str:
        """A run is held up otherwise than a task."""
        return "lock_held.run"


class IdempotencyConflict(RequestError):
    """Raised when an `Idempotency-Key` comes again with another body."""

    code: ClassVar[str] = "idempotency_conflict"
    http_status: ClassVar[int] = 409
    key: str
    holder: str  # the task that was made with it


class TaskRunning(RequestError):
    """Raised when a task is to be done again that has not ended."""

    code: ClassVar[str] = "task_running"
    http_status: ClassVar[int] = 409
    task_id: str
    status: str


class TableTooLarge(RequestError):
    """Raised when there is more than a spreadsheet can hold."""

    code: ClassVar[str] = "table_too_large"
    http_status: ClassVar[int] = 422
    row_count: int
    column_count: int


class ScheduleExists(RequestError):
    """Raised when a schedule is to get the name of another; nothing was changed."""

    code: ClassVar[str] = "schedule_exists"
    http_status: ClassVar[int] = 409
    name: str


class ScheduleChanged(RequestError):
    """Raised when a schedule was changed by somebody else at the same moment."""

    code: ClassVar[str] = "schedule_changed"
    http_status: ClassVar[int] = 409
    name: str


# ---- asking people -------------------------------------------------------------------


class HandoffClosed(RequestError):
    """Raised when a question to a person has been ended before: by whom or what `status` says."""

    code: ClassVar[str] = "handoff_closed"
    http_status: ClassVar[int] = 409
    id: str
    status: str


class HandoffInvalid(RequestError):
    """Raised when what a script asks of a person is no question."""

    code: ClassVar[str] = "handoff_invalid"
    http_status: ClassVar[int] = 422
    reason: str


class HandoffExpired(RequestError):
    """Raised, to a script, when nobody has answered in time."""

    code: ClassVar[str] = "handoff_expired"
    http_status: ClassVar[int] = 504
    limit_s: float


class HandoffDismissed(RequestError):
    """Raised, to a script, when a person will not answer."""

    code: ClassVar[str] = "handoff_dismissed"
    http_status: ClassVar[int] = 409
    actor: str


class TooManyHandoffs(RequestError):
    """Raised, to a script, when one attempt asks people too often."""

    code: ClassVar[str] = "too_many_handoffs"
    http_status: ClassVar[int] = 429
    limit_count: int


# ---- a script's state ----------------------------------------------------------------


class StateConflict(RequestError):
    """Raised when a script's state has changed since it was read."""

    code: ClassVar[str] = "state_conflict"
    http_status: ClassVar[int] = 409
    script_name: str
    key: str


class StateFull(RequestError):
    """Raised when a script remembers as much as it may."""

    code: ClassVar[str] = "state_full"
    http_status: ClassVar[int] = 422
    script_name: str
    limit_count: int
